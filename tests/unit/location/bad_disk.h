/*
 * bad_disk: a disk in memory for SQLite that fails, fills, tears and loses.
 *
 * A VFS that is SQLite's default while it is there. What was written and not synced is
 * lost by a power cut, all of it or parts, in any order, torn at any byte. A sync that
 * fails has thrown away what it should have kept: a later one does not bring it back
 * (as Linux does it). For tests; one thread at a time.
 */
#ifndef BAD_DISK_H
#define BAD_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_FILES 8

enum disk_fault {
    DISK_SOUND,
    DISK_FAILS,   /* that one operation: an I/O error, a write half done */
    DISK_IS_FULL, /* from that operation on nothing grows, until there is room again */
    DISK_CUT,     /* the power goes within that operation, until disk_reboot() */
    DISK_READS,   /* that one read fails */
};

struct disk_write {
    size_t at;
    size_t n;
    unsigned char *bytes; /* NULL: the file was cut to `at` bytes */
};

struct disk_file {
    char *name; /* NULL: free */
    unsigned char *now;
    unsigned char *durable;
    size_t now_n;
    size_t durable_n;
    struct disk_write *unsynced;
    size_t unsynced_n;
    unsigned char **shared; /* what SQLite shares between connections: gone with the power */
    size_t shared_n;
};

struct disk {
    struct disk_file file[DISK_FILES];
    enum disk_fault fault;
    unsigned fault_at;  /* the operation's number, from 1 */
    unsigned operation; /* so many were done: writes, syncs and cuts; with DISK_READS, reads */
    bool fired;
    bool no_power;
    bool full;
    bool read_only;
    uint64_t chance; /* what is lost is drawn from here */
};

/* Makes it SQLite's disk; nothing is on it. */
void disk_init(struct disk *d, uint64_t seed);
/* Gives SQLite its own back. All files must be closed. */
void disk_fini(struct disk *d);

/* From now on: the fault at the operation with this number, counted from here. */
void disk_break(struct disk *d, enum disk_fault fault, unsigned at);
/* The power is back: what was not synced is there or not. All files must be closed. */
void disk_reboot(struct disk *d);

#endif

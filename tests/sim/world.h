/*
 * world: virtual time, the core, and the table of ports that it lives on.
 *
 * The journal becomes durable at once or a random while later, as the seed says.
 */
#ifndef MIDREG_SIM_WORLD_H
#define MIDREG_SIM_WORLD_H

#include "chance.h"
#include "core.h"
#include "disk.h"

struct sim;

/* Index in the configuration. */
#define WORLD_LISTENER_UDP 0
#define WORLD_LISTENER_TCP 1

struct world {
    struct ports ports;
    struct config *config;
    struct core *core;
    struct address midreg; /* where it listens */
    uint64_t clock_us;     /* the monotonic clock at the beginning */
    uint64_t core_due_us;  /* when the core wants its next turn */
    struct chance core_chance;
    struct chance chance;
    uint32_t journal_us; /* how long a commit takes at the most; 0: durable at once */
    struct span writing; /* the batch that the disk has not yet synced */
    struct disk disk;
    uint32_t life;       /* how often midreg has been started again */
    uint64_t crashed_us; /* when last; 0: never */
    uint8_t secret[HASH_SECRET_SIZE];
    uint32_t rate; /* REGISTERs a second to the pbx, as configured; 0: unlimited */
    char *room;    /* of datagram_reserve() */
};

/* False: midreg refuses the configuration, or there is no memory. */
bool world_init(struct sim *s);
void world_fini(struct sim *s);

/* midreg is killed and started again: what the disk has synced is all that it knows. */
void world_crash(struct sim *s);

/* A turn of the core, for what comes by stream. */
void world_begin(struct sim *s);
void world_end(struct sim *s);

/* Does the next thing. False: nothing happens any more before `until_us`. */
bool world_step(struct sim *s, uint64_t until_us);

/* The core's own time, in which its records count. */
uint64_t world_core_ms(const struct sim *s);

#endif

/*
 * load: what the parts of the load generator share.
 *
 * One session plays all phones and the main registrar towards one server, reads
 * commands from stdin and answers each with one line of JSON. engine.c runs the
 * operations of a command, work_*.c say what an operation is, pbx.c plays the main
 * registrar. Every answer is checked; nothing is ever sent twice: what got no
 * answer in time is counted as lost. One thread.
 */
#ifndef MIDREG_BENCH_LOAD_H
#define MIDREG_BENCH_LOAD_H

#include "latency.h"
#include "text.h"
#include "usage.h"
#include "wire.h"

#include <stdio.h>

#define CONTACTS_MAX  16
#define SLOTS_MAX     65536
#define WINDOW        64   /* of a closed loop */
#define LOST_AFTER_MS 5000 /* an operation without its end */
#define TARGET_SIZE   64

struct load;

/* What an operation of a command is. */
struct work {
    /* Sends its first message. */
    void (*begin)(struct load *l, uint32_t slot);
    void (*receive)(struct load *l, unsigned socket, const struct fields *f, struct span datagram);
    /* From time to time, or NULL. `since_ms`: the run began. */
    void (*tick)(struct load *l, uint64_t since_ms);
};

/* One operation on its way. */
struct slot {
    uint64_t number;   /* which of the command's operations it is */
    uint64_t due_ns;   /* when it was to begin; without a rate, when it began */
    uint64_t began_ns; /* for the loss */
    uint32_t generation;
    uint32_t aor;
    bool busy;
    uint32_t step; /* work_floor.c */
    uint32_t awaited;
};

/* A command, read. */
struct order {
    const struct work *work;
    uint64_t count;
    uint64_t warm; /* operations before those that are measured */
    uint64_t first;
    uint64_t range; /* of AORs; operations choose among them */
    uint64_t rate;  /* operations a second; 0: as fast as the window allows */
    uint32_t window;
    uint32_t contact;
    uint32_t contacts;
    uint32_t expires_s;
    bool in_order; /* AORs one after the other, not in a scattered order */
    const char *script;
};

struct tally {
    uint64_t good;
    uint64_t bad;
    uint64_t lost;
    uint64_t stray;        /* what belonged to nothing on its way */
    uint64_t repeated;     /* requests that the server sent again */
    uint64_t upstream;     /* REGISTERs that the main registrar got */
    uint64_t rings;        /* INVITEs that phones got */
    uint64_t ring_last_ns; /* when the last of them did */
    char why[256];         /* the first bad thing */
};

struct load {
    struct wire wire;
    struct usage_of server;
    struct sockaddr_in server_at;
    uint64_t aors;
    uint16_t *bound;              /* of each AOR: bit c is set: contact c is registered */
    uint32_t *cseq[CONTACTS_MAX]; /* of each contact number: the last CSeq of each AOR */
    char (*target)[TARGET_SIZE];  /* of each AOR: the contact that the server gave the
                                     main registrar; "": none */
    struct slot slot[SLOTS_MAX];
    uint32_t free_slot[SLOTS_MAX];
    uint32_t free_slots;
    struct order order;
    struct tally tally;
    uint64_t begun;
    uint64_t ended;
    uint64_t now_ns; /* read once in each turn */
    struct latency latency;
    struct calls *calls;        /* work_call.c */
    struct floor_script *floor; /* work_floor.c */
};

uint64_t load_now_ns(void);

/* Runs the order and writes its line. False: the server is gone. */
bool engine_run(struct load *l);
/* The slot of an operation that is on its way, or NULL: it has ended. */
struct slot *engine_slot(struct load *l, uint32_t slot, uint32_t generation);
/* An operation ends well, or badly: `why` goes into the tally. */
void engine_good(struct load *l, uint32_t slot);
void engine_bad(struct load *l, uint32_t slot, const char *why, struct span seen);
/* A message that is wrong but ends no operation. */
void engine_wrong(struct load *l, const char *why, struct span seen);

/* A request to the main registrar's socket. */
void pbx_receive(struct load *l, const struct fields *f, struct span datagram);

extern const struct work work_register;
extern const struct work work_call;  /* INVITE to BYE */
extern const struct work work_storm; /* all ring at once, then all are cancelled */
extern const struct work work_floor; /* sizes alone */

/* Reads the floor's script; false: it is none. */
bool floor_prepare(struct load *l, const char *script);
/* Room for the calls of this order; false: no memory. */
bool call_prepare(struct load *l);
void call_finish(struct load *l);

#endif

/*
 * world: the real core on a clock that others set, and its datagrams on a stream.
 *
 * main.c asks; everything the core does is written to `out` at once, in the form
 * that README.md tells. One thread. The secret, chance and the beginning of time
 * are constants: the same commands give the same bytes. No connections: nobody
 * can open one here. What is submitted to the journal is durable.
 */
#ifndef MIDREG_DRIVE_WORLD_H
#define MIDREG_DRIVE_WORLD_H

#include "chance.h"
#include "core.h"

struct world {
    struct ports ports;
    struct config *config;
    struct core *core;
    FILE *out;
    char *room; /* of datagram_reserve() */
    uint64_t now_ms;
    uint64_t next_ms; /* what core_end() said */
    uint64_t sent;    /* datagrams so far */
    struct chance core_chance;
};

/* Reads the configuration and starts the core. False: `errors` says why; call
 * world_fini() in either case. `w` stays where it is. */
bool world_init(struct world *w, const char *config_path, FILE *out, FILE *errors);
void world_fini(struct world *w);

/* One turn with one datagram. False: midreg does not listen at `to`. */
bool world_receive(struct world *w, const struct address *from, const struct address *to,
                   struct span datagram);

/* Turns, each when the core wants it, until `ms` have passed or the core has sent
 * something: how that is answered is the caller's business. */
void world_advance(struct world *w, uint64_t ms);

/* Since the beginning. */
uint64_t world_time_ms(const struct world *w);

#endif

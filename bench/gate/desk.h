/*
 * desk: the core on a desk: ports in memory, a clock that is set.
 *
 * What the core sends waits in a queue for desk_next(). Nothing here costs more than
 * it must: what is counted is the core. desk_measured_*() are the calls whose
 * instructions tools/gate has callgrind collect; the others are for preparation.
 */
#ifndef MIDREG_BENCH_DESK_H
#define MIDREG_BENCH_DESK_H

#include "core.h"

#define DESK_QUEUE    64
#define DESK_UPSTREAM 15080 /* the main registrar's port; phones have others */

struct desk_datagram {
    uint16_t port; /* whom it is for, on 127.0.0.1 */
    size_t n;
    char bytes[DATAGRAM_MAX];
};

struct desk {
    struct ports ports;
    struct config *config;
    struct core *core;
    uint64_t now_us;
    uint64_t chance;
    bool measured; /* which of the two the core is called by */
    unsigned head, tail;
    struct desk_datagram *queue;
};

/* False, with a line on stderr: the configuration is bad, or there is no memory. */
bool desk_init(struct desk *d);
void desk_fini(struct desk *d);

/* A datagram from this port of 127.0.0.1, in a turn of its own. */
void desk_receive(struct desk *d, uint16_t from_port, struct span datagram);
/* The next datagram that the core has sent, or NULL. Valid until DESK_QUEUE more. */
const struct desk_datagram *desk_next(struct desk *d);
/* Moves the clock, a turn at each deadline on the way. */
void desk_advance(struct desk *d, uint64_t ms);

void desk_measured_turn(struct core *c, const struct flow *from, struct span datagram);
uint64_t desk_measured_end(struct core *c);

#endif

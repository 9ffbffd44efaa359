/*
 * core: the program without the world.
 *
 * One core owns all SIP state. Everything it does to the world goes through the
 * table of ports; the world calls the functions below, on one thread. net/ is
 * the real world, tests/sim/ the simulated one.
 *
 * A turn of the world's loop: core_begin(), then any number of core_receive()
 * and core_durable(), then core_end(), which fires timers.
 */
#ifndef MIDREG_CORE_H
#define MIDREG_CORE_H

#include "config/config.h"
#include "location/location.h"

struct core;

/* `config` and `ports` outlive the core. `secret`: HASH_SECRET_SIZE bytes, the
 * installation's, the same at every start. NULL: no memory. */
struct core *core_new(const struct config *config, const struct ports *ports,
                      const uint8_t *secret);
/* Ends at once: nothing is sent. */
void core_free(struct core *c);

/* Call once when datagrams can be sent: probes the upstreams. */
void core_start(struct core *c);

/* Reads the clock. */
void core_begin(struct core *c);
/* One datagram, or one message of a stream (sip/framer.h). The bytes may be
 * reused when it returns. */
void core_receive(struct core *c, const struct flow *from, struct span message);
/* A stream connection is gone, or could not be made. */
void core_flow_closed(struct core *c, const struct flow *flow);
/* All changes up to this number are durable. */
void core_durable(struct core *c, uint64_t sequence);
/* Fires due timers; returns the monotonic millisecond at which the next turn
 * must happen at the latest, UINT64_MAX: no deadline. */
uint64_t core_end(struct core *c);

/* For SIGUSR1 and the end: "name=value ..." of all counters and sizes. */
void core_put_status(struct buf *out, const struct core *c);

/* For checks from outside (simulation, benchmarks). */
const struct counters *core_counters(const struct core *c);
const struct location *core_location(const struct core *c);
/* Transactions, forks, waiting REGISTERs: must be 0 when all is quiet. */
unsigned core_pending(const struct core *c);

#endif

/*
 * core: the program without the world.
 *
 * One core owns all SIP state. Everything it does to the world goes through the
 * table of ports; the world calls the functions below, on one thread. net/ is
 * the real world, tests/sim/ the simulated one.
 *
 * A turn of the world's loop: core_begin(), then any number of core_receive()
 * and core_written(), then core_end(), which fires timers and gives the store what
 * has changed.
 */
#ifndef MIDREG_CORE_H
#define MIDREG_CORE_H

#include "base/resolved.h"
#include "config/config.h"
#include "location/location.h"

struct core;
struct registrar;
struct proxy;

/* `config` and `ports` outlive the core. `secret`: HASH_SECRET_SIZE bytes, the
 * installation's, the same at every start. NULL: no memory. */
struct core *core_new(const struct config *config, const struct ports *ports,
                      const uint8_t *secret);
/* Ends at once: nothing is sent. */
void core_free(struct core *c);

/* Before core_start(): puts a stored record back (location/image.h), whose number is of our
 * secret. False: no memory, or it is there already. */
bool core_restore(struct core *c, const struct aor *image);
/* Then: of its contacts that were removed, so that a late copy of a REGISTER does not bring them
 * back (registrar_removed()). `until_ms` since 1970. */
void core_restore_removed(struct core *c, uint64_t hash, struct binding_spec *removed,
                          uint64_t until_ms);
/* The number of an AOR by our secret. */
uint64_t core_hash(const struct core *c, struct span aor);
/* Before core_start(): what upstream number i held may be lost, and was not registered again
 * when midreg ended. */
void core_was_lost(struct core *c, unsigned i);
/* Before core_start(): by this text it told that start of its own from others then
 * (journal_run()). */
void core_run_was(struct core *c, unsigned i, struct span run);
/* Call once when datagrams can be sent: probes the upstreams. */
void core_start(struct core *c);

/* Reads the clock. */
void core_begin(struct core *c);
/* One datagram, one message of a stream (sip/framer.h), or some of what a connection
 * of TRANSPORT_BYTES brings. The bytes may be reused when it returns. */
void core_receive(struct core *c, const struct flow *from, struct span message);
/* A stream connection is gone, or could not be made. */
void core_flow_closed(struct core *c, const struct flow *flow);
/* A datagram to this address came back: nobody has that port open there (ICMP, which
 * anybody may forge). */
void core_refused(struct core *c, const struct address *to);
/* What the port `resolve` was asked for is known, or not to be known. */
void core_resolved(struct core *c, unsigned asker, const struct resolved *answer);
/* The batch that journal_submit() was given is durable, or (false) could not be
 * written: it is given again in a while. */
void core_written(struct core *c, bool done);
/* How upstream number i (from 0, in the order of the configuration) is told to reach
 * us, as text; false: there is no such upstream, or it is not known where it is. After
 * core_start(). */
bool core_contact_at(const struct core *c, unsigned i, struct buf *out);
/* The address at which it holds our leases, as far as the store knows; false: it has none, or
 * they are on their way. */
bool core_place_at(const struct core *c, unsigned i, struct address *out);
/* Of one with a name: that was so before the restart: it is believed to be there still.
 * Before core_start(). */
void core_place(struct core *c, unsigned i, const struct address *was);
/* Of one with a name: that is what the store has of it, so that it is compared when it is known
 * where the upstream is. */
void core_contact_was(struct core *c, unsigned i, const struct address *noted);
/* It was another one before the restart (registrar_contact_moved()). After core_start(). */
void core_contact_moved(struct core *c, unsigned i, const struct address *before);
/* Fires due timers; returns the monotonic millisecond at which the next turn
 * must happen at the latest, UINT64_MAX: no deadline. */
uint64_t core_end(struct core *c);

/* For SIGUSR1 and the end: "name=value ..." of all counters and sizes. */
void core_put_status(struct buf *out, const struct core *c);

/* For the admin surface: the rooms that know, and do, what it is asked. */
struct registrar *core_registrar(struct core *c);
struct proxy *core_proxy(struct core *c);

/* The end comes: nothing new is begun. Who sends it by datagram sends it again, and finds
 * the next midreg. */
void core_drain(struct core *c);
/* Has every phone its answer, and is all that has changed with the disk? */
bool core_is_drained(const struct core *c);

/* For checks from outside (simulation, benchmarks). */
const struct counters *core_counters(const struct core *c);
const struct location *core_location(const struct core *c);
/* Transactions but pings, forks, waiting REGISTERs: must be 0 when all is quiet. */
unsigned core_pending(const struct core *c);

#endif

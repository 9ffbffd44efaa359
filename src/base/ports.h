/*
 * base/ports: the one table through which the core touches the world.
 *
 * Nothing else knows time, chance, sockets or disks: net/ fills the table with
 * the real ones, tests/sim/ with a simulated world. All functions are called on
 * the core thread, return at once and never call back into the core.
 */
#ifndef MIDREG_BASE_PORTS_H
#define MIDREG_BASE_PORTS_H

#include "base/address.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

/* The largest datagram that is built: UDP's own limit. */
#define DATAGRAM_MAX 65507

struct ports {
    void *world;

    /* Monotonic microseconds. Read once a turn into runtime.now_ms. */
    uint64_t (*now_us)(void *world);
    /* Seconds since 1970, for Date and the lease's CSeq. */
    uint64_t (*wall_s)(void *world);
    /* Unpredictable bytes (deterministic in the simulation). */
    void (*random)(void *world, void *out, size_t n);

    /* Room for one message, *capacity bytes, valid until the next reserve: no
     * more than DATAGRAM_MAX, so that what does not fit is noticed here and not
     * by the kernel. Never NULL. Reserving again without a commit
     * abandons the first. */
    char *(*datagram_reserve)(void *world, size_t *capacity);
    /* Sends the first n bytes of the reserved room over the flow; it leaves at
     * the end of the turn at the latest. Lost like any datagram if it cannot. On
     * a stream it is queued; a peer that does not read is cut, and the core told
     * (core_flow_closed()) in a later turn. */
    void (*datagram_commit)(void *world, const struct flow *to, size_t n);
    /* Our own address as that peer sees it on this flow: the listener's, or,
     * for a wildcard listener, the local address of the route. */
    void (*local_address)(void *world, const struct flow *to, struct address *out);

    /* Begins to connect to `peer` by `transport` and sets *out at once; messages
     * may be committed at once and leave when it is connected. False: no room, or
     * the transport is not to be had. A failure is told by core_flow_closed(). With
     * TRANSPORT_BYTES the core is given what comes as it comes, in pieces of any size. */
    bool (*stream_open)(void *world, const struct address *peer, enum transport transport,
                        struct flow *out);
    /* Closes the connection when what is queued has been written. The core is not
     * told. */
    void (*stream_close)(void *world, const struct flow *flow);
    /* Is this stream connected, or connecting? No longer when the peer has ended
     * its side; but answers committed to it are still written for half a minute, or
     * until it is closed. */
    bool (*flow_alive)(void *world, const struct flow *flow);

    /* Finds out where a host name leads, for SIP over UDP (RFC 3263): `port`, or 0: as its
     * SRV records say. Answered in a later turn by core_resolved() with the same `asker`
     * (the number of an upstream); not asked again before. `name` stays as it is. */
    void (*resolve)(void *world, unsigned asker, const char *name, uint16_t port);

    /* Makes a batch of images durable (location/image.h). True: it is already.
     * Else the bytes stay as they are until the world calls core_written(); there
     * is no other batch meanwhile. Not called for a store in memory. */
    bool (*journal_submit)(void *world, struct span images);

    /* One line without line end, key=value. May be dropped under load. */
    void (*log)(void *world, enum log_level level, struct span line);
};

/* Can something be sent over it? A datagram always can. */
static inline bool flow_alive(const struct ports *p, const struct flow *flow)
{
    return !transport_is_stream(flow->transport) || p->flow_alive(p->world, flow);
}

/* Sends a copy of `data`. */
static inline void ports_send(const struct ports *p, const struct flow *to, struct span data)
{
    size_t cap;
    char *room = p->datagram_reserve(p->world, &cap);

    if (data.n > cap)
        return;
    memcpy(room, data.p, data.n);
    p->datagram_commit(p->world, to, data.n);
}

#endif

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

    /* Room for one datagram, *capacity bytes (at least DATAGRAM_MAX), valid
     * until the next reserve. Never NULL. Reserving again without a commit
     * abandons the first. */
    char *(*datagram_reserve)(void *world, size_t *capacity);
    /* Sends the first n bytes of the reserved room over the flow; it leaves at
     * the end of the turn at the latest. Lost like any datagram if it cannot. */
    void (*datagram_commit)(void *world, const struct flow *to, size_t n);
    /* Our own address as that peer sees it on this flow: the listener's, or,
     * for a wildcard listener, the local address of the route. */
    void (*local_address)(void *world, const struct flow *to, struct address *out);

    /* Makes change number `sequence` durable. True: it is already. Else the
     * world calls core_durable() with it, or with a later number, later. */
    bool (*journal_submit)(void *world, uint64_t sequence);

    /* One line without line end, key=value. May be dropped under load. */
    void (*log)(void *world, enum log_level level, struct span line);
};

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

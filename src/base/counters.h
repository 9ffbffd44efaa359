/*
 * base/counters: what midreg counts, by name.
 *
 * One list makes the enum, the names that operators see and their meaning.
 * Core thread only.
 */
#ifndef MIDREG_BASE_COUNTERS_H
#define MIDREG_BASE_COUNTERS_H

#include "base/buf.h"

#define COUNTER_LIST(X)                                                                            \
    X(REGISTER_RECEIVED, "register_received", "REGISTERs from phones, retransmissions included")   \
    X(REGISTER_ABSORBED, "register_absorbed", "REGISTERs answered here")                           \
    X(REGISTER_FORWARDED, "register_forwarded", "REGISTERs answered with the upstream's word")     \
    X(REGISTER_REFUSED, "register_refused", "REGISTERs refused here")                              \
    X(REGISTER_UPSTREAM, "register_upstream", "REGISTERs sent upstream, without retransmissions")  \
    X(LEASE_REFRESHED, "lease_refreshed", "leases registered again by midreg's own means")         \
    X(LEASE_REMOVED, "lease_removed", "leases de-registered upstream")                             \
    X(LEASE_FAILED, "lease_failed", "own REGISTERs upstream that failed or timed out")             \
    X(LEASE_LAPSED, "lease_lapsed", "leases left to lapse because midreg could not de-register")   \
    X(BINDING_ADDED, "binding_added", "contacts added")                                            \
    X(BINDING_REMOVED, "binding_removed", "contacts removed by their phones")                      \
    X(UNDURABLE, "undurable", "changes while the store was behind: a crash would lose them")       \
    X(BINDING_EXPIRED, "binding_expired", "contacts that expired")                                 \
    X(CALLS, "calls", "INVITEs from upstreams to our contacts")                                    \
    X(CALLS_OUT, "calls_out", "INVITEs from phones to upstreams")                                  \
    X(BRANCHES, "branches", "INVITE branches sent to phones")                                      \
    X(CANCELS, "cancels", "CANCELs sent to phones")                                                \
    X(ANSWERED, "answered", "calls to phones that were answered")                                  \
    X(REQUEST_REFUSED, "request_refused", "requests of strangers that were not relayed")           \
    X(BAD_MESSAGE, "bad_message", "messages that were not SIP or malformed")                       \
    X(STRAY_RESPONSE, "stray_response", "responses that matched nothing")                          \
    X(RETRANSMIT_IN, "retransmit_in", "requests that were retransmissions")                        \
    X(RETRANSMIT_OUT, "retransmit_out", "requests and answers sent again")                         \
    X(OUT_OF_MEMORY, "out_of_memory", "requests answered 503 for lack of memory or room")          \
    X(HASH_COLLISION, "hash_collision", "AORs refused because another has the same token")

enum counter {
#define X(id, name, help) COUNTER_##id,
    COUNTER_LIST(X)
#undef X
        COUNTERS
};

struct counters {
    uint64_t value[COUNTERS];
};

static inline void counter_add(struct counters *c, enum counter which)
{
    c->value[which]++;
}

const char *counter_name(enum counter which);
const char *counter_help(enum counter which);
/* Appends "name=value name=value ..." of all counters, in list order. */
void counters_put(struct buf *out, const struct counters *c);

#endif

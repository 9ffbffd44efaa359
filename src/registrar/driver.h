/*
 * registrar/driver: what the files of this room share.
 *
 * registrar.c receives and applies, errand.c carries REGISTERs upstream,
 * lease.c plans midreg's own, answer.c answers phones. Not for other rooms. Core
 * thread only.
 */
#ifndef MIDREG_REGISTRAR_DRIVER_H
#define MIDREG_REGISTRAR_DRIVER_H

#include "registrar/demand.h"
#include "registrar/pacer.h"
#include "registrar/registrar.h"
#include "registrar/reload.h"
#include "registrar/rules.h"
#include "registrar/storm.h"
#include "transaction/server.h"

/* How long a removed binding is remembered (timer F of its phone, RFC 3261). */
#define TOMBSTONE_MS 32000
/* How many of an AOR's: beyond them the oldest is forgotten. */
#define TOMBSTONES_MAX 32

/* lease.c: own refreshes that a main registrar refused in this minute. */
struct refusals {
    uint64_t since_ms;
    unsigned count;  /* of so many leases, each counted once */
    unsigned before; /* in the minute before that */
    uint16_t minute; /* its number, never 0; refused_in of a lease */
};

struct registrar {
    struct registrar_parts with;
    struct runtime *rt;
    struct slab errands; /* errand.h */
    struct table lanes;  /* AOR hash -> its first errand */
    struct table extras; /* extras.h: AOR hash -> what its lease's answers gave */
    struct pacer pacer[CONFIG_UPSTREAMS_MAX];
    struct demand demand[CONFIG_UPSTREAMS_MAX];
    struct reload reload[CONFIG_UPSTREAMS_MAX];
    struct storm storm[CONFIG_UPSTREAMS_MAX];
    uint32_t upstream_expires_s; /* configured, or more if a 423 asked for it */
    struct slab parked;          /* answer.h: answers that wait for the journal */
    struct parked *parked_first;
    struct parked *parked_last;
    struct slab endings; /* ending.h: leases whose end waits for the journal */
    struct ending *endings_first;
    struct ending *endings_last;
    uint64_t date_s; /* answer.c: the second that date_text tells */
    char date_text[32];
    size_t date_n;
    struct refusals refusals[CONFIG_UPSTREAMS_MAX];
    /* demand.c: of the records, by enum config_policy, and where the last sample ended. */
    double policy_part[POLICY_ALL + 1];
    uint64_t sampled_to;
};

/* Decides on the record as it is now. */
void driver_decide(struct registrar *r, const struct register_request *rq, enum proof proof,
                   struct outcome *out);

/* Applies the changes. False: no memory; what was applied stays. */
bool driver_apply(struct registrar *r, const struct register_request *rq, enum proof proof,
                  const struct outcome *outcome);

/* After driver_apply() to a REGISTER that waited: has its connection closed
 * meanwhile? Then nobody will say so again, and flow-grace begins now. */
void driver_flow_lost(struct registrar *r, uint64_t hash, const struct flow *flow);

/* auth = "upstream", and the upstream accepts anybody: its word proves nothing
 * (design 3.2). */
bool driver_upstream_is_open(struct registrar *r, const struct register_request *rq);

/* Decodes a REGISTER that was accepted before; false cannot happen with a
 * message that registrar_receive() let in, but is obeyed. */
bool driver_decode(struct registrar *r, const struct sip_message *m, const struct flow *from,
                   struct register_request *rq, struct sip_fault *fault);

/* "Retry-After: N" with a short random N: a long one makes phones give up for
 * good. Returns the field in `room`. */
struct span driver_retry_after(struct registrar *r, char room[32]);

#endif

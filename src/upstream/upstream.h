/*
 * upstream/upstream: the main registrars, and what we know of them.
 *
 * Who is an upstream, where it is reached, whether it challenges anybody
 * (openness). Core thread only. Design 3.2, 6.
 */
#ifndef MIDREG_UPSTREAM_UPSTREAM_H
#define MIDREG_UPSTREAM_UPSTREAM_H

#include "config/config.h"
#include "transaction/client.h"
#include "upstream/health.h"
#include "upstream/name.h"
#include "upstream/stream.h"

enum upstream_openness {
    UPSTREAM_UNKNOWN, /* no answer to the probe yet */
    UPSTREAM_CLOSED,  /* it challenges */
    UPSTREAM_DOUBTED, /* it accepted somebody without credentials and is being probed */
    UPSTREAM_OPEN,    /* it accepts anybody: its word proves nothing */
};

struct upstream {
    const struct config_upstream *config;
    struct flow flow; /* by datagram; upstream_route() tells when it is not this; peer of family
                       * ADDRESS_NONE: not known yet (name.h) */
    struct upstream_stream stream;
    struct address contact;        /* our address in the contacts that it holds */
    struct address contact_before; /* an earlier one, where leases are stale */
    struct address contact_noted;  /* of one with a name: that of the store */
    enum upstream_openness openness;
    enum upstream_openness before_doubt;
    uint64_t doubt_after_ms; /* not doubted again before */
    struct timer timer;      /* TIMER_UPSTREAM: the next probe of openness */
    struct health health;
    struct upstream_name name;
    uint32_t probe_cseq;
    struct handle probed; /* the last probe of openness */
    struct upstreams *all;
};

/* Who wants to know what becomes of them; what is NULL is not told. */
struct upstream_user {
    /* It answers no more. */
    void (*down)(void *self, struct upstream *u);
    /* It takes REGISTERs again, after it had gone: what it held may be lost. */
    void (*returned)(void *self, struct upstream *u);
};

/* The registrar, and the proxy. */
#define UPSTREAM_USERS_MAX 2

struct upstreams {
    struct runtime *rt;
    const struct config *config;
    struct transactions *transactions;
    struct upstream list[CONFIG_UPSTREAMS_MAX];
    unsigned count;
    struct {
        const struct upstream_user *user;
        void *self;
    } users[UPSTREAM_USERS_MAX]; /* in the order in which they are told */
    unsigned user_count;
};

void upstreams_init(struct upstreams *u, struct runtime *rt, const struct config *config,
                    struct transactions *transactions);

/* Who is told; `user` outlives it. UPSTREAM_USERS_MAX at most, before upstreams_start(). */
void upstreams_tell(struct upstreams *u, const struct upstream_user *user, void *self);

/* Tells them (health.c). */
void upstream_tell_down(struct upstream *u);
void upstream_tell_returned(struct upstream *u);

/* Finds our own addresses and sends the first probes and pings. Call once, when
 * datagrams can be sent. */
void upstreams_start(struct upstreams *u);

/* It is there: nothing is sent, and it is as up or down as before. */
void upstream_place(struct upstream *u, const struct address *at);

/* It is at another address from now on, or at one at all: whether it takes REGISTERs there
 * is asked at once, and it is down until it does. */
void upstream_move(struct upstream *u, const struct address *to);

/* Is it known where it is? */
static inline bool upstream_is_placed(const struct upstream *u)
{
    return u->flow.peer.family != ADDRESS_NONE;
}

/*
 * It accepted a REGISTER without credentials. Is it open, or is it that one user
 * who needs none? It is probed at once, and not believed until it has answered;
 * at most once in half a minute, or that user's phone, or anybody in his name,
 * could keep everybody else out.
 */
void upstream_doubt(struct upstream *u);

/* May its word prove nothing? */
static inline bool upstream_may_be_open(const struct upstream *u)
{
    return u->openness >= UPSTREAM_DOUBTED;
}

/*
 * The upstream that a message on this flow comes from, or NULL. A datagram from
 * its address and port, or a message on the connection that we opened to it: a
 * connection that somebody opened to us is nobody's, though it come from the
 * upstream's host, as its port says nothing (phones and users of that host have
 * the same address), unless it is to a listen address of the upstream's own, from
 * one of its sources.
 */
struct upstream *upstreams_sender(struct upstreams *u, const struct flow *from);

/* Is one of them where this flow leads to? One that has moved since it was used is not, and
 * what is answered there is not its word any more. */
bool upstreams_at(const struct upstreams *u, const struct flow *to);

/* How many pings are on their way. */
unsigned upstreams_pinged(const struct upstreams *u);

/* Nobody has that port open (health_refused()). */
void upstreams_refused(struct upstreams *u, const struct address *to);

/*
 * The upstream that serves an AOR (canonical; empty: nobody's) now, by the policy of its
 * domain. "failover": the first that is up; "hash" and "all": each has its share by
 * `weight`, and of one that is down the others take over its AORs alone (rendezvous
 * hashing). Are all down: as if they were up.
 */
struct upstream *upstreams_of(struct upstreams *u, struct span aor, uint64_t aor_hash);

/* The policy of the AOR's domain. */
enum config_policy upstreams_policy(const struct upstreams *u, struct span aor);

/* Which part of the AORs with this policy has a lease there, as things are now: 0 to 1. */
double upstreams_share(const struct upstreams *u, enum config_policy policy, unsigned upstream);

static inline bool upstream_is_up(const struct upstream *u)
{
    return u->health.state == HEALTH_UP;
}

#endif

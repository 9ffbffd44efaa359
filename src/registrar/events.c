/*
 * registrar/events: see the header.
 *
 * Called by the event sockets and by lease.c, on the core thread.
 */
#include "registrar/events.h"

#include "registrar/home.h"
#include "registrar/lease.h"
#include "registrar/outgoing.h"
#include "registrar/reload.h"
#include "upstream/contact.h"

/* A flush that was lost with its connection is asked for again after so long. */
#define FLUSH_WAIT_MS 10000

/* The lease that is not wanted there any more, so that it may be dropped, and its record.
 * NULL: a phone is back, or the lease has ended. */
static struct lease *to_be_flushed(struct registrar *r, const struct upstream *u, uint64_t hash,
                                   struct aor **out)
{
    struct aor *a = location_find(r->with.location, hash);
    struct lease *l = a ? aor_lease_at(a, (unsigned)(u - r->with.upstreams->list)) : NULL;

    *out = a;
    if (!l || a->busy || l->means != MEANS_NONE || !lease_possible(l, r->rt->now_ms) ||
        (aor_live_count(a, r->rt->now_ms) && home_wants(r, a, l)))
        return NULL;
    return l;
}

bool events_flush(struct registrar *r, struct aor *a, struct lease *l)
{
    if (!r->with.events)
        return false;
    if (l->next_ms > r->rt->now_ms)
        return true; /* asked already */
    if (!event_socket_flush(r->with.events, &r->with.upstreams->list[l->upstream], a->hash))
        return false;
    l->next_ms = r->rt->now_ms + FLUSH_WAIT_MS;
    return true;
}

/* ---- what it tells ------------------------------------------------------------------ */

static void on_restarted(void *self, struct upstream *u)
{
    (void)self;
    health_restarted(u); /* when it takes REGISTERs, all leases are registered again */
}

/* So that the next start knows, too. What it lost is in the journal before that. */
static void on_identified(void *self, struct upstream *u, struct span uuid)
{
    struct registrar *r = self;

    journal_run(r->with.journal, (unsigned)(u - r->with.upstreams->list), uuid);
}

/* Anybody's contact: only one of ours, of a user who is here, is looked at. */
static void on_dropped(void *self, struct upstream *u, struct span contact)
{
    struct registrar *r = self;
    struct sip_nameaddr value;
    struct sip_fault fault;
    const struct aor *a;
    uint64_t hash;

    if (!sip_nameaddr_parse(contact, &value, &fault) || !contact_token(&value.uri, &hash))
        return;
    a = location_find(r->with.location, hash);
    if (!a || !contact_fits(&value.uri, aor_text(a), hash))
        return;
    registrar_lease_gone(r, hash, u);
}

static bool on_flush_call_id(void *self, struct upstream *u, uint64_t tag, struct buf *out)
{
    struct registrar *r = self;
    struct aor *a;
    const struct lease *l = to_be_flushed(r, u, tag, &a);

    if (l)
        outgoing_put_call_id(out, r, a, l->upstream);
    return l != NULL;
}

static void on_flushed(void *self, struct upstream *u, uint64_t tag, bool done)
{
    struct registrar *r = self;
    struct aor *a;
    struct lease *l = to_be_flushed(r, u, tag, &a);

    if (!l)
        return;
    lease_granted(r, a, l, 0);
    runtime_count(r->rt, done ? COUNTER_LEASE_REMOVED : COUNTER_LEASE_LAPSED);
    if (done && l == &a->lease)
        news_add(&r->with.location->news, a->hash, 0);
    lease_settle(r, tag);
}

struct event_socket_user registrar_events(struct registrar *r)
{
    return (struct event_socket_user){
        .self = r,
        .restarted = on_restarted,
        .identified = on_identified,
        .dropped = on_dropped,
        .flush_call_id = on_flush_call_id,
        .flushed = on_flushed,
    };
}

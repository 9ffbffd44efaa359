/*
 * registrar/lane: who of an AOR's errands may be on its way beside whom.
 *
 * Called by errand.c and registrar.c on the core thread. Order and bounds alone;
 * sends and answers nothing.
 */
#include "registrar/lane.h"

struct errand *lane_first(struct registrar *r, uint64_t hash)
{
    return table_find(&r->lanes, hash);
}

bool lane_append(struct registrar *r, struct errand *e)
{
    struct errand *last = lane_first(r, e->hash);

    if (!last)
        return table_put(&r->lanes, e->hash, e);
    while (last->next)
        last = last->next;
    last->next = e;
    return true;
}

void lane_remove(struct registrar *r, struct errand *e)
{
    struct errand *first = lane_first(r, e->hash);

    if (first == e) {
        if (e->next)
            table_put(&r->lanes, e->hash, e->next); /* replaces: needs no memory */
        else
            table_remove(&r->lanes, e->hash);
        return;
    }
    while (first->next != e)
        first = first->next;
    first->next = e->next;
}

bool lane_in_flight(const struct errand *e)
{
    return e->state != ERRAND_WAITING;
}

/* Sent, and without an answer for longer than it should take. */
static bool is_late(const struct errand *e)
{
    return e->state == ERRAND_SENT && e->late_at_ms == 0;
}

/*
 * May these two not be on their way together? A removal goes alone: the main
 * registrar may see them in either order. Strangers go beside the others. So does
 * everybody beside what another host has sent and the main registrar is silent
 * about: bad credentials that it drops must not keep the user's own phones out.
 */
static bool conflict(const struct errand *a, const struct errand *b)
{
    if (a->upstream != b->upstream && (a->own || b->own))
        return false; /* another main registrar's business */
    if (a->removes || b->removes)
        return true;
    if (a->stranger || b->stranger)
        return false;
    return (!is_late(a) && !is_late(b)) || address_same_host(&a->source, &b->source);
}

/* Does it wait behind something late of its own host? Then nobody waits behind it. */
static bool is_held_up(struct registrar *r, const struct errand *e)
{
    if (lane_in_flight(e))
        return false;
    for (const struct errand *o = lane_first(r, e->hash); o; o = o->next)
        if (is_late(o) && address_same_host(&o->source, &e->source))
            return true;
    return false;
}

bool lane_may_start(struct registrar *r, const struct errand *e)
{
    bool before = true;
    unsigned late = 0;

    for (const struct errand *o = lane_first(r, e->hash); o; o = o->next) {
        if (o == e)
            before = false;
        else if ((before || lane_in_flight(o)) && conflict(o, e) && !is_held_up(r, o))
            return false;
        else
            late += is_late(o);
    }
    return late < LANE_LATE_MAX;
}

bool lane_has_call(struct registrar *r, uint64_t hash, struct span call_id)
{
    for (const struct errand *e = lane_first(r, hash); e; e = e->next) {
        const struct server_tx *tx = server_get(r->with.transactions, e->server);

        if (tx && e->answer_by_ms && span_eq(sip_value(tx->request, SIP_H_CALL_ID), call_id))
            return true;
    }
    return false;
}

/* Not what a stranger sends; nor what waits for its turn, as it may need no answer of the
 * main registrar's then. */
bool lane_refreshes(struct registrar *r, uint64_t hash, unsigned upstream)
{
    for (const struct errand *e = lane_first(r, hash); e; e = e->next)
        if (e->upstream == upstream && !e->removes && !e->stranger && (e->own || lane_in_flight(e)))
            return true;
    return false;
}

/* Strangers never wait: they could fill every queue. */
bool lane_stranger_may_go(struct registrar *r, const struct errand *e)
{
    unsigned beside = 0;

    for (const struct errand *o = lane_first(r, e->hash); o; o = o->next)
        beside += o != e && o->stranger;
    return beside < LANE_STRANGERS_MAX && lane_may_start(r, e);
}

/* Who has proved his flow finds a place as long as there is one. Of the others,
 * whose credentials may be anything, one host gets a few only. */
bool lane_is_full(struct registrar *r, const struct register_request *rq, enum proof proof)
{
    unsigned waiting = 0, from_here = 0;

    for (const struct errand *e = lane_first(r, rq->hash); e; e = e->next) {
        if (e->state != ERRAND_WAITING)
            continue;
        waiting++;
        from_here += address_same_host(&e->source, &rq->flow.peer);
    }
    return waiting >= LANE_WAITING_MAX || (proof == PROOF_ABSENT && from_here >= LANE_HOST_MAX);
}

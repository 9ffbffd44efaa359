/*
 * registrar/errand_answer: see the header.
 *
 * Called by errand.c on the core thread. Stores nothing of a phone before the main
 * registrar has accepted it.
 */
#include "registrar/errand_answer.h"

#include "registrar/answer.h"
#include "registrar/extras.h"
#include "registrar/home.h"
#include "registrar/lane.h"
#include "registrar/lease.h"

/* A main registrar that does not say what it granted is asked again soon. */
#define GRANT_UNKNOWN_S 60

/* Applies what was decided for the phone and answers it. */
void errand_commit_in(struct registrar *r, struct handle server, const struct register_request *rq,
                      enum proof proof, const struct outcome *outcome)
{
    if (outcome->verdict == REG_REFUSED) {
        struct server_tx *tx = server_get(r->with.transactions, server);

        runtime_count(r->rt, COUNTER_REGISTER_REFUSED);
        if (tx)
            server_reply(tx, outcome->status, outcome->reason, SPAN_NONE);
        return;
    }
    if (outcome->verdict != REG_ANSWERED && !driver_apply(r, rq, proof, outcome)) {
        answer_unavailable_in(r, server, NULL);
        return;
    }
    runtime_count(r->rt,
                  proof == PROOF_UPSTREAM ? COUNTER_REGISTER_FORWARDED : COUNTER_REGISTER_ABSORBED);
    if (proof == PROOF_ABSENT && outcome->verdict == REG_ANSWERED)
        answer_nobody_in(r, server, rq->hash);
    else
        answer_ok_in(r, server, rq->hash);
    driver_flow_lost(r, rq->hash, &rq->flow);
}

void errand_commit(struct errand *e, const struct register_request *rq, enum proof proof,
                   const struct outcome *outcome)
{
    e->answer_by_ms = 0;
    errand_commit_in(e->r, e->server, rq, proof, outcome);
}

/* Decodes the phone's request again. False: its transaction is gone. */
bool errand_request(struct errand *e, struct register_request *rq)
{
    struct server_tx *tx = server_get(e->r->with.transactions, e->server);
    struct sip_fault fault;

    return tx && driver_decode(e->r, tx->request, &tx->source, rq, &fault);
}

/* The upstream is silent or ill: a known phone's proved refresh is absorbed all
 * the same (design 3.3, 3.4). False: this one needs the upstream's word. */
bool errand_survive(struct errand *e)
{
    struct registrar *r = e->r;
    struct register_request rq;
    struct outcome outcome;
    enum proof proof;

    if (!errand_request(e, &rq))
        return false;
    proof =
        rules_proof(location_find(r->with.location, e->hash), &rq, r->rt->now_ms, r->with.config);
    driver_decide(r, &rq, proof, &outcome);
    if (outcome.verdict == REG_REFUSED || (outcome.verdict == REG_FORWARD && !outcome.survives))
        return false;
    if (e->stranger)
        return false; /* what is in flight beside him may change what he would be told */
    errand_commit(e, &rq, proof, &outcome);
    return true;
}

/* auth = "upstream": neither what was accepted without credentials proves
 * anything, nor what an upstream says that accepts anybody. */
static bool proves_nothing(const struct errand *e)
{
    const struct config *c = e->r->with.config;

    return c->auth == AUTH_UPSTREAM && !c->allow_open_upstream &&
           (!e->credentials || upstream_may_be_open(errand_upstream(e)));
}

/* `held`: the main registrar holds the lease now. One that says 200 and grants
 * nothing has registered nobody. */
static void commit_accepted(struct errand *e, bool held)
{
    struct registrar *r = e->r;
    struct register_request rq;
    struct outcome outcome;

    if (!errand_request(e, &rq))
        return;
    if (proves_nothing(e)) {
        if (!e->credentials)
            upstream_doubt(errand_upstream(e));
        if (!errand_survive(e))
            answer_unavailable_in(r, e->server, "Service Unavailable (main registrar is open)");
        e->answer_by_ms = 0;
        return;
    }
    driver_decide(r, &rq, PROOF_UPSTREAM, &outcome);
    if (held || !outcome_binds(&outcome)) {
        errand_commit(e, &rq, PROOF_UPSTREAM, &outcome);
        return;
    }
    if (!errand_survive(e))
        answer_unavailable_in(r, e->server, "Service Unavailable (main registrar grants nothing)");
    e->answer_by_ms = 0;
}

/* Those sent before it that are on their way still: the main registrar carries out
 * REGISTERs in the order of their CSeq, whatever the order of its answers. */
static void supersede(const struct errand *e)
{
    for (struct errand *o = lane_first(e->r, e->hash); o; o = o->next)
        if (o->state == ERRAND_SENT && o->upstream == e->upstream &&
            (int32_t)(e->cseq - o->cseq) > 0)
            o->superseded = true;
}

/* Notes what the 2xx says of the lease. */
static void note_grant(struct errand *e, struct aor *a, const struct sip_message *response,
                       uint32_t granted_s)
{
    struct registrar *r = e->r;
    struct lease *l = errand_lease(e, a);

    if (e->superseded)
        return;
    supersede(e);
    lease_granted(r, a, l, granted_s);
    if (l == &a->lease)
        extras_learn(r, a->hash, response);
    /* Accepted, and not done: not again at once. */
    if ((granted_s == 0) != e->removes)
        lease_own_failed(r, a, l, e->removes, 0, 0);
    e->granted = granted_s > 0;
    if (lease_held(l, r->rt->now_ms))
        demand_granted(errand_demand(e), lease_refresh_at_ms(a, l) - r->rt->now_ms);
}

void errand_accepted(struct errand *e, struct aor *a, const struct sip_message *response)
{
    struct registrar *r = e->r;
    struct lease *l = errand_lease(e, a);
    uint32_t granted_s = 0;

    /* What is refused asks for nothing: anybody can have it forwarded. */
    if (!e->own && !e->stranger && lease_held(l, r->rt->now_ms) &&
        !rules_lease_due(l, r->rt->now_ms))
        demand_forwarded(errand_demand(e));
    if (!lease_read_grant(response, a, &granted_s)) {
        granted_s = 0;
        if (!e->removes && !sip_delta_seconds(sip_value(response, SIP_H_EXPIRES), &granted_s))
            granted_s = GRANT_UNKNOWN_S;
    }
    if (e->removes && l->stale) /* what it lists is the present one */
        granted_s = 0;
    note_grant(e, a, response, granted_s);
    if (!e->credentials)
        lease_learn(r, l, MEANS_ACL);
    if (e->removes && granted_s == 0) {
        runtime_count(r->rt, COUNTER_LEASE_REMOVED);
        if (l == &a->lease && aor_live_count(a, r->rt->now_ms) == 0)
            news_add(&r->with.location->news, a->hash, 0);
    } else if (e->own) {
        runtime_count(r->rt, COUNTER_LEASE_REFRESHED);
    }
    if (e->answer_by_ms)
        commit_accepted(e, granted_s > 0);
}

/* Design 3.4: a 403 or 404 ends at most the binding that its phone refreshed. */
static void end_refused(struct errand *e)
{
    struct registrar *r = e->r;
    struct aor *a = location_find(r->with.location, e->hash);
    struct register_request rq;
    bool ended = false;

    if (!a || !errand_request(e, &rq))
        return;
    for (struct binding *b = aor_first(a); b; b = aor_next(a, b)) {
        if (!binding_live(b, r->rt->now_ms) || !flow_equal(&b->flow, &rq.flow) ||
            !span_eq(binding_call_id(b), rq.call_id))
            continue;
        for (unsigned i = 0; i < rq.contacts; i++)
            if (span_eq(binding_uri(b), rq.contact[i].uri_text) &&
                location_bury(r->with.location, a, b->id, rq.cseq, r->rt->now_ms + TOMBSTONE_MS)) {
                runtime_count(r->rt, COUNTER_BINDING_REMOVED);
                ended = true;
                break;
            }
    }
    if (ended)
        journal_change(r->with.journal, a);
}

void errand_refused(struct errand *e, struct aor *a, const struct sip_message *response)
{
    struct registrar *r = e->r;
    int status = response->status;
    uint32_t retry_after_s = 0;

    if ((status == 401 || status == 407) && !e->credentials)
        lease_learn(r, errand_lease(e, a), MEANS_NONE);
    if (e->own) {
        /* Retry-After may carry a comment behind the number. */
        struct span after = sip_value(response, SIP_H_RETRY_AFTER);
        size_t digits = 0;

        while (digits < after.n && ascii_digit(after.p[digits]))
            digits++;
        if (!sip_delta_seconds(span_make(after.p, digits), &retry_after_s))
            retry_after_s = 0;
        lease_own_failed(r, a, errand_lease(e, a), e->removes, status, retry_after_s);
        return;
    }
    if (status == 403 || status == 404)
        end_refused(e);
    if (!e->answer_by_ms)
        return;
    if (health_is_trouble(status) && errand_survive(e))
        return;
    answer_passed_on(r, e->server, response);
    e->answer_by_ms = 0;
}

/*
 * registrar/errand: carries REGISTERs to the main registrar, one lane per AOR.
 *
 * Called by registrar.c, lease.c, the client transactions and its own timers,
 * on the core thread. Stores nothing of a phone before the main registrar has
 * accepted it.
 */
#include "registrar/errand.h"

#include "registrar/answer.h"
#include "registrar/extras.h"
#include "registrar/lane.h"
#include "registrar/lease.h"
#include "registrar/outgoing.h"

#define REPEATS_MAX 2
/* RFC 4320 4.1: when the phone's timer E has reached T2. */
#define TRYING_MS 3500
/* An answer that takes longer is a sign of too much work (design 3.6). */
#define LATE_MS 1000
/* A main registrar that asks for more than a week is mistaken. */
#define MIN_EXPIRES_MAX_S 604800
/* A main registrar that does not say what it granted is asked again soon. */
#define GRANT_UNKNOWN_S 60

/* ---- beginning and end ------------------------------------------------------ */

static struct errand *errand_new(struct registrar *r, struct aor *a)
{
    struct handle handle;
    struct errand *e = slab_new(&r->errands, &handle);

    if (!e)
        return NULL;
    *e = (struct errand){.r = r, .handle = handle, .hash = a->hash};
    if (!lane_append(r, e)) {
        slab_free(&r->errands, handle);
        return NULL;
    }
    a->lease.busy++;
    return e;
}

static unsigned upstream_of(struct registrar *r, uint64_t hash)
{
    return (unsigned)(upstreams_of(r->with.upstreams, hash) - r->with.upstreams->list);
}

static struct pacer *pacer_of(struct registrar *r, uint64_t hash)
{
    return &r->pacer[upstream_of(r, hash)];
}

static struct demand *demand_of(struct registrar *r, uint64_t hash)
{
    return &r->demand[upstream_of(r, hash)];
}

/* Nobody reads that REGISTER any more, but for an answer that waits for the journal. */
static void forget_phone(struct registrar *r, struct handle server)
{
    struct server_tx *tx = server_get(r->with.transactions, server);

    if (tx)
        server_forget(tx);
}

static enum reload_end reload_end_of(const struct errand *e, const struct aor *a)
{
    if (e->granted)
        return RELOAD_GRANTED;
    return a && a->lease.means == MEANS_NONE ? RELOAD_CHALLENGED : RELOAD_FAILED;
}

/* Takes the errand out; the caller runs the lane and settles the lease. */
static void errand_drop(struct errand *e)
{
    struct registrar *r = e->r;
    struct aor *a = location_find(r->with.location, e->hash);

    lane_remove(r, e);
    wheel_disarm(&r->rt->wheel, &e->timer);
    if (e->state == ERRAND_PACED)
        pacer_leave(pacer_of(r, e->hash), &e->place);
    if (a)
        a->lease.busy--;
    forget_phone(r, e->server);
    if (e->reload)
        reload_answered(r, upstream_of(r, e->hash), e->reload, reload_end_of(e, a));
    slab_free(&r->errands, e->handle);
}

static void lane_run(struct registrar *r, uint64_t hash);

static void errand_finish(struct errand *e)
{
    struct registrar *r = e->r;
    uint64_t hash = e->hash;

    errand_drop(e);
    lane_run(r, hash);
    lease_settle(r, hash);
}

static void arm(struct errand *e)
{
    uint64_t due_ms = e->answer_by_ms ? e->answer_by_ms : UINT64_MAX;

    if (e->state == ERRAND_SENT && e->late_at_ms && e->late_at_ms < due_ms)
        due_ms = e->late_at_ms;
    if (e->answer_by_ms && e->trying_at_ms && e->trying_at_ms < due_ms)
        due_ms = e->trying_at_ms;
    if (due_ms == UINT64_MAX)
        wheel_disarm(&e->r->rt->wheel, &e->timer);
    else
        wheel_arm(&e->r->rt->wheel, &e->timer, TIMER_FORWARD, due_ms);
}

/* ---- the REGISTER that goes up ---------------------------------------------- */

static const struct client_user errand_user;

/* False: no memory. */
static bool send_now(struct errand *e)
{
    struct registrar *r = e->r;
    struct aor *a = location_find(r->with.location, e->hash);
    const struct server_tx *phone = server_get(r->with.transactions, e->server);
    struct buf out;
    struct client_tx *tx;

    e->asked_s = e->removes ? 0 : demand_expires_s(demand_of(r, e->hash), r->upstream_expires_s);
    tx = outgoing_prepare(&(struct outgoing){r, a, e->asked_s, phone ? phone->request : NULL,
                                             &errand_user, handle_pack(e->handle)},
                          &out);
    if (!tx)
        return false;
    e->state = ERRAND_SENT;
    e->late_at_ms = r->rt->now_ms + LATE_MS;
    e->client = tx->handle;
    e->cseq = a->lease.cseq;
    e->superseded = false;
    runtime_count(r->rt, COUNTER_REGISTER_UPSTREAM);
    arm(e);
    return client_send(tx, buf_done(&out));
}

static void out_of_memory(struct errand *e)
{
    runtime_count(e->r->rt, COUNTER_OUT_OF_MEMORY);
    if (e->answer_by_ms)
        answer_unavailable_in(e->r, e->server, NULL);
    errand_finish(e);
}

static bool survive(struct errand *e);

/* Design 3.6. A stranger is one also where the lease needs him: anybody may come
 * and say so. */
static enum pacer_class class_of(const struct errand *e)
{
    struct registrar *r = e->r;
    const struct aor *a = location_find(r->with.location, e->hash);
    uint64_t now_ms = r->rt->now_ms;

    if (e->stranger)
        return PACER_STRANGER;
    if (a && !e->removes && aor_live_count(a, now_ms)) {
        const struct lease *l = &a->lease;

        if (!lease_held(l, now_ms) || l->until_ms - now_ms < (uint64_t)l->granted_s * 250)
            return PACER_LEASE;
    }
    return e->own ? PACER_SPARE : PACER_KNOWN;
}

static void arm_pacer(struct registrar *r, struct pacer *pacer)
{
    uint64_t due_ms = pacer_next_ms(pacer);

    if (due_ms != UINT64_MAX)
        wheel_arm(&r->rt->wheel, &pacer->timer, TIMER_PACER, due_ms);
}

/* Sends the errand, or has it wait for its turn. False: it is over (answered,
 * dropped), the lane has changed. */
static bool pace(struct errand *e)
{
    struct registrar *r = e->r;
    struct pacer *pacer = pacer_of(r, e->hash);

    e->state = ERRAND_WAITING;
    demand_watch(r, upstream_of(r, e->hash));
    if (pacer_take(pacer, r->rt->now_ms)) {
        if (send_now(e))
            return true;
        runtime_count(r->rt, COUNTER_OUT_OF_MEMORY);
        if (e->answer_by_ms)
            answer_unavailable_in(r, e->server, NULL);
        errand_drop(e);
        return false;
    }
    if (!pacer_enter(pacer, &e->place, class_of(e))) {
        if (e->answer_by_ms && !survive(e))
            answer_unavailable_in(r, e->server, "Service Unavailable (main registrar is busy)");
        errand_drop(e);
        return false;
    }
    e->state = ERRAND_PACED;
    arm(e);
    arm_pacer(r, pacer);
    return true;
}

/* Somebody's turn has come. */
static void on_turn(void *self, struct timer *t)
{
    struct registrar *r = self;
    struct pacer *pacer = (struct pacer *)((char *)t - offsetof(struct pacer, timer));
    struct pacer_place *place;

    while ((place = pacer_next(pacer, r->rt->now_ms))) {
        struct errand *e = (struct errand *)((char *)place - offsetof(struct errand, place));

        e->state = ERRAND_WAITING; /* in no queue any more */
        if (!send_now(e))
            out_of_memory(e);
    }
    arm_pacer(r, pacer);
}

/* What the pacer learns from. A stranger could choose what his REGISTER gets. */
static void tell_pacer(struct errand *e, bool quick)
{
    e->late_at_ms = 0;
    if (!e->stranger)
        pacer_outcome(pacer_of(e->r, e->hash), e->r->rt->now_ms, quick);
}

/* ---- phones' errands: decide anew, survive, commit --------------------------- */

/* Applies what was decided for the phone and answers it. */
static void commit_in(struct registrar *r, struct handle server, const struct register_request *rq,
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
    answer_ok_in(r, server, rq->hash);
    driver_flow_lost(r, rq->hash, &rq->flow);
}

static void commit(struct errand *e, const struct register_request *rq, enum proof proof,
                   const struct outcome *outcome)
{
    e->answer_by_ms = 0;
    commit_in(e->r, e->server, rq, proof, outcome);
}

/* Decodes the phone's request again. False: its transaction is gone. */
static bool phone_request(struct errand *e, struct register_request *rq)
{
    struct server_tx *tx = server_get(e->r->with.transactions, e->server);
    struct sip_fault fault;

    return tx && driver_decode(e->r, tx->request, &tx->source, rq, &fault);
}

/* The upstream is silent or ill: a known phone's proved refresh is absorbed all
 * the same (design 3.3, 3.4). False: this one needs the upstream's word. */
static bool survive(struct errand *e)
{
    struct registrar *r = e->r;
    struct register_request rq;
    struct outcome outcome;
    enum proof proof;

    if (!phone_request(e, &rq))
        return false;
    proof =
        rules_proof(location_find(r->with.location, e->hash), &rq, r->rt->now_ms, r->with.config);
    driver_decide(r, &rq, proof, &outcome);
    if (outcome.verdict == REG_REFUSED || (outcome.verdict == REG_FORWARD && !outcome.survives))
        return false;
    if (e->stranger)
        return false; /* what is in flight beside him may change what he would be told */
    commit(e, &rq, proof, &outcome);
    return true;
}

/* A phone's errand whose turn has come after waiting: the record may have
 * changed. True: it still has to go up. */
static bool decide_anew(struct errand *e)
{
    struct registrar *r = e->r;
    struct register_request rq;
    struct outcome outcome;
    enum proof proof;

    if (!phone_request(e, &rq))
        return false;
    proof =
        rules_proof(location_find(r->with.location, e->hash), &rq, r->rt->now_ms, r->with.config);
    driver_decide(r, &rq, proof, &outcome);
    if (outcome.verdict == REG_FORWARD && !outcome.survives &&
        driver_upstream_is_open(r, e->hash)) {
        answer_unavailable_in(r, e->server, "Service Unavailable (main registrar is open)");
        return false;
    }
    if (outcome.verdict == REG_FORWARD) {
        e->removes = outcome.empties;
        return true;
    }
    commit(e, &rq, proof, &outcome);
    return false;
}

/* Starts what may start, until nothing more may. */
static void lane_run(struct registrar *r, uint64_t hash)
{
    struct errand *e = lane_first(r, hash);

    while (e) {
        if (lane_in_flight(e) || !lane_may_start(r, e)) {
            e = e->next;
            continue;
        }
        if (e->own || decide_anew(e)) {
            /* What was decided anew may be a removal now, which goes alone. */
            if (!lane_may_start(r, e)) {
                e = e->next;
                continue;
            }
            pace(e);
        } else {
            errand_drop(e);
        }
        e = lane_first(r, hash);
    }
}

/* ---- answers from the main registrar ----------------------------------------- */

/* auth = "upstream": neither what was accepted without credentials proves
 * anything, nor what an upstream says that accepts anybody. */
static bool proves_nothing(const struct errand *e)
{
    const struct config *c = e->r->with.config;

    return c->auth == AUTH_UPSTREAM && !c->allow_open_upstream &&
           (!e->credentials || driver_upstream_is_open(e->r, e->hash));
}

/* `held`: the main registrar holds the lease now. One that says 200 and grants
 * nothing has registered nobody. */
static void commit_accepted(struct errand *e, bool held)
{
    struct registrar *r = e->r;
    struct register_request rq;
    struct outcome outcome;

    if (!phone_request(e, &rq))
        return;
    if (proves_nothing(e)) {
        if (!e->credentials)
            upstream_doubt(upstreams_of(r->with.upstreams, e->hash));
        if (!survive(e))
            answer_unavailable_in(r, e->server, "Service Unavailable (main registrar is open)");
        e->answer_by_ms = 0;
        return;
    }
    driver_decide(r, &rq, PROOF_UPSTREAM, &outcome);
    if (held || !outcome_binds(&outcome)) {
        commit(e, &rq, PROOF_UPSTREAM, &outcome);
        return;
    }
    if (!survive(e))
        answer_unavailable_in(r, e->server, "Service Unavailable (main registrar grants nothing)");
    e->answer_by_ms = 0;
}

/* Those sent before it that are on their way still: the main registrar carries out
 * REGISTERs in the order of their CSeq, whatever the order of its answers. */
static void supersede(const struct errand *e)
{
    for (struct errand *o = lane_first(e->r, e->hash); o; o = o->next)
        if (o->state == ERRAND_SENT && (int32_t)(e->cseq - o->cseq) > 0)
            o->superseded = true;
}

/* Notes what the 2xx says of the lease. */
static void note_grant(struct errand *e, struct aor *a, const struct sip_message *response,
                       uint32_t granted_s)
{
    struct registrar *r = e->r;

    if (e->superseded)
        return;
    supersede(e);
    lease_granted(r, a, granted_s);
    extras_learn(r, a->hash, response);
    /* Accepted, and not done: not again at once. */
    if ((granted_s == 0) != e->removes)
        lease_own_failed(r, a, e->removes, 0, 0);
    e->granted = granted_s > 0;
    if (lease_held(&a->lease, r->rt->now_ms))
        demand_granted(demand_of(r, e->hash), lease_refresh_at_ms(a) - r->rt->now_ms);
}

static void accepted(struct errand *e, struct aor *a, const struct sip_message *response)
{
    struct registrar *r = e->r;
    uint32_t granted_s = 0;

    /* What is refused asks for nothing: anybody can have it forwarded. */
    if (!e->own && !e->stranger && lease_held(&a->lease, r->rt->now_ms) &&
        !rules_lease_due(&a->lease, r->rt->now_ms))
        demand_forwarded(demand_of(r, e->hash));
    if (!lease_read_grant(response, a, &granted_s)) {
        granted_s = 0;
        if (!e->removes && !sip_delta_seconds(sip_value(response, SIP_H_EXPIRES), &granted_s))
            granted_s = GRANT_UNKNOWN_S;
    }
    note_grant(e, a, response, granted_s);
    if (!e->credentials)
        lease_learn(r, a, MEANS_ACL);
    if (e->removes && granted_s == 0) {
        runtime_count(r->rt, COUNTER_LEASE_REMOVED);
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

    if (!a || !phone_request(e, &rq))
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

static void refused(struct errand *e, struct aor *a, const struct sip_message *response)
{
    struct registrar *r = e->r;
    int status = response->status;
    uint32_t retry_after_s = 0;

    if ((status == 401 || status == 407) && !e->credentials)
        lease_learn(r, a, MEANS_NONE);
    if (e->own) {
        /* Retry-After may carry a comment behind the number. */
        struct span after = sip_value(response, SIP_H_RETRY_AFTER);
        size_t digits = 0;

        while (digits < after.n && ascii_digit(after.p[digits]))
            digits++;
        if (!sip_delta_seconds(span_make(after.p, digits), &retry_after_s))
            retry_after_s = 0;
        lease_own_failed(r, a, e->removes, status, retry_after_s);
        return;
    }
    if (status == 403 || status == 404)
        end_refused(e);
    if (!e->answer_by_ms)
        return;
    if (health_is_trouble(status) && survive(e))
        return;
    answer_passed_on(r, e->server, response);
    e->answer_by_ms = 0;
}

static void send_again(struct errand *e)
{
    struct registrar *r = e->r;
    uint64_t hash = e->hash;

    e->repeats++;
    if (!pace(e)) {
        lane_run(r, hash);
        lease_settle(r, hash);
    }
}

/* 423: ask for more. 482: the main registrar took it for a copy; a new CSeq
 * makes it another request. True: sent again. */
static bool repeat(struct errand *e, const struct sip_message *response)
{
    struct registrar *r = e->r;
    uint32_t min_s;

    if (e->repeats >= REPEATS_MAX)
        return false;
    if (response->status == 423) {
        if (e->removes || !sip_delta_seconds(sip_value(response, SIP_H_MIN_EXPIRES), &min_s) ||
            min_s <= e->asked_s || min_s > MIN_EXPIRES_MAX_S)
            return false;
        if (r->upstream_expires_s < min_s)
            r->upstream_expires_s = min_s;
    } else if (response->status != 482) {
        return false;
    }
    send_again(e);
    return true;
}

static struct errand *errand_of(struct registrar *r, const struct client_tx *tx)
{
    return slab_get(&r->errands, handle_unpack(tx->owner));
}

static void on_timeout(void *self, struct client_tx *tx);

static void on_response(void *self, struct client_tx *tx, const struct sip_message *response)
{
    struct registrar *r = self;
    struct errand *e = errand_of(r, tx);

    if (!e || response->status < 200)
        return;
    if (!upstreams_at(r->with.upstreams, &tx->flow)) {
        on_timeout(self, tx); /* it has moved since, and has not answered where it is */
        return;
    }
    if (e->late_at_ms)
        tell_pacer(e, response->status < 500 && response->status != 408);
    health_answered(upstreams_of(r->with.upstreams, e->hash), response->status);
    if (repeat(e, response))
        return;
    struct aor *a = location_find(r->with.location, e->hash);
    if (a && response->status < 300)
        accepted(e, a, response);
    else if (a)
        refused(e, a, response);
    errand_finish(e);
}

/* Whatever became of a stranger's REGISTER, an upstream that challenges did not
 * accept it. */
static bool surely_refused(const struct errand *e)
{
    const struct upstream *u = upstreams_of(e->r->with.upstreams, e->hash);

    return e->stranger && u->openness == UPSTREAM_CLOSED;
}

/* No answer within timer F, or none can come. */
static void on_timeout(void *self, struct client_tx *tx)
{
    struct registrar *r = self;
    struct errand *e = errand_of(r, tx);
    struct aor *a = e ? location_find(r->with.location, e->hash) : NULL;

    if (!e)
        return;
    if (a && !surely_refused(e))
        lease_lost(r, a, e->asked_s);
    /* RFC 3261 18.4: its connection has closed. Again, by datagram. */
    if (!flow_alive(r->rt->ports, &tx->flow) && e->repeats < REPEATS_MAX) {
        send_again(e);
        return;
    }
    if (a && e->own)
        lease_own_failed(r, a, e->removes, 0, 0);
    if (e->answer_by_ms && !survive(e))
        answer_unavailable_in(r, e->server, NULL);
    errand_finish(e);
}

static const struct client_user errand_user = {.response = on_response, .timeout = on_timeout};

/* ---- timers ------------------------------------------------------------------- */

static void say_trying(struct errand *e)
{
    struct server_tx *tx = server_get(e->r->with.transactions, e->server);

    e->trying_at_ms = 0;
    if (tx)
        server_reply(tx, 100, NULL, SPAN_NONE);
}

/* The phone waits no longer. A known one's REGISTER goes on for the lease. False:
 * the errand is over. */
static bool answer_now(struct errand *e)
{
    struct registrar *r = e->r;
    bool survived = survive(e);

    if (!survived)
        answer_unavailable_in(r, e->server, "Service Unavailable (main registrar is silent)");
    e->answer_by_ms = 0;
    if (e->state == ERRAND_SENT || (e->state == ERRAND_PACED && survived))
        return true;
    errand_finish(e);
    return false;
}

static void on_timer(void *self, struct timer *t)
{
    struct errand *e = (struct errand *)((char *)t - offsetof(struct errand, timer));
    struct registrar *r = self;
    uint64_t now_ms = r->rt->now_ms;

    if (e->answer_by_ms && e->trying_at_ms && e->trying_at_ms <= now_ms)
        say_trying(e);
    if (e->answer_by_ms && e->answer_by_ms <= now_ms) {
        if (!answer_now(e))
            return;
        lease_settle(r, e->hash);
    }
    bool late = e->state == ERRAND_SENT && e->late_at_ms && e->late_at_ms <= now_ms;

    if (late)
        tell_pacer(e, false);
    arm(e);
    if (late) /* it is in nobody's way any more */
        lane_run(r, e->hash);
}

void errands_init(struct registrar *r)
{
    slab_init(&r->errands, sizeof(struct errand), ERRANDS_MAX);
    table_init(&r->lanes);
    wheel_handler(&r->rt->wheel, TIMER_FORWARD, on_timer, r);
    wheel_handler(&r->rt->wheel, TIMER_PACER, on_turn, r);
}

void errands_fini(struct registrar *r)
{
    struct errand *e;
    struct handle h = HANDLE_NONE;

    for (uint32_t slot = 0; (e = slab_next(&r->errands, slot, &h)) != NULL; slot = h.slot + 1)
        wheel_disarm(&r->rt->wheel, &e->timer);
    for (unsigned i = 0; i < CONFIG_UPSTREAMS_MAX; i++)
        wheel_disarm(&r->rt->wheel, &r->pacer[i].timer);
    table_fini(&r->lanes);
    slab_fini(&r->errands);
}

/* ---- from outside --------------------------------------------------------------- */

static struct errand *admit(struct registrar *r, struct server_tx *tx, struct aor *a,
                            const struct register_request *rq, enum proof proof,
                            const struct outcome *outcome)
{
    const struct config *c = r->with.config;
    bool stranger = c->auth == AUTH_UPSTREAM && !rq->credentials && proof == PROOF_ABSENT;
    struct errand *e = lane_is_full(r, rq, proof) ? NULL : errand_new(r, a);

    if (!e)
        return NULL;
    e->server = tx->handle;
    e->source = rq->flow.peer;
    e->credentials = rq->credentials;
    e->stranger = stranger;
    e->removes = outcome->verdict == REG_FORWARD && outcome->empties;
    e->trying_at_ms = r->rt->now_ms + TRYING_MS;
    e->answer_by_ms =
        r->rt->now_ms + (outcome->survives ? c->forward_timeout_ms : c->forward_timeout_new_ms);
    if (stranger && !lane_stranger_may_go(r, e)) {
        errand_drop(e);
        return NULL;
    }
    return e;
}

/* midreg's own removal that still waits for the pacer is not wanted while a phone
 * returns, and would hold it up; lease_settle() brings it back if need be. */
static void recall_removal(struct registrar *r, uint64_t hash)
{
    struct errand *e = lane_first(r, hash);

    while (e && !(e->own && e->removes && e->state == ERRAND_PACED))
        e = e->next;
    if (e)
        errand_drop(e);
}

void errand_forward(struct registrar *r, const struct sip_message *m, const struct flow *from,
                    const struct register_request *rq, enum proof proof,
                    const struct outcome *outcome)
{
    struct aor *a;
    enum location_added added = location_ensure(r->with.location, rq->aor, rq->to_uri, &a);

    if (added == LOCATION_COLLISION) {
        struct log_text room;

        runtime_count(r->rt, COUNTER_HASH_COLLISION);
        runtime_log(r->rt, LOG_ERROR, "hash_collision", "aor=%s remedy=\"rename one of the users\"",
                    log_value(&room, rq->aor));
    }
    if (added == LOCATION_OK)
        lease_begin(r, a);
    struct server_tx *tx =
        added == LOCATION_OK ? server_begin(r->with.transactions, m, from, NULL, NULL) : NULL;
    if (!tx) {
        runtime_count(r->rt, COUNTER_OUT_OF_MEMORY);
        answer_unavailable(r, m, from, NULL);
        lease_settle(r, rq->hash);
        return;
    }
    struct handle server = tx->handle;
    struct errand *e = admit(r, tx, a, rq, proof, outcome);
    if (!e) {
        /* Design 3.3: a known binding's proved refresh does not depend on others. */
        if (outcome->survives)
            commit_in(r, server, rq, proof, outcome);
        else
            answer_unavailable_in(r, server,
                                  "Service Unavailable (others of this user are waiting)");
        forget_phone(r, server);
        lease_settle(r, rq->hash);
        return;
    }
    if (!e->stranger)
        recall_removal(r, rq->hash);
    arm(e);
    if (lane_may_start(r, e) && outcome->verdict == REG_FORWARD)
        pace(e);
    lane_run(r, rq->hash);
    lease_settle(r, rq->hash);
}

static bool run_own(struct registrar *r, struct errand *e)
{
    e->own = true;
    return !lane_may_start(r, e) || pace(e);
}

bool errand_own(struct registrar *r, struct aor *a, bool removes)
{
    struct errand *e = errand_new(r, a);

    if (!e)
        return false;
    e->removes = removes;
    return run_own(r, e);
}

bool errand_reload(struct registrar *r, struct aor *a, uint16_t number)
{
    struct errand *e = errand_new(r, a);

    if (!e)
        return false;
    e->reload = number;
    return run_own(r, e);
}

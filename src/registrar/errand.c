/*
 * registrar/errand: carries REGISTERs to the main registrar, one lane per AOR.
 *
 * Called by registrar.c, lease.c, the client transactions and its own timers,
 * on the core thread. Stores nothing of a phone before the main registrar has
 * accepted it.
 */
#include "registrar/errand.h"

#include "registrar/answer.h"
#include "registrar/errand_answer.h"
#include "registrar/home.h"
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

/* ---- beginning and end ------------------------------------------------------ */

static struct errand *errand_new(struct registrar *r, struct aor *a, unsigned upstream)
{
    struct handle handle;
    struct errand *e = slab_new(&r->errands, &handle);

    if (!e)
        return NULL;
    *e = (struct errand){.r = r, .handle = handle, .hash = a->hash, .upstream = (uint8_t)upstream};
    if (!lane_append(r, e)) {
        slab_free(&r->errands, handle);
        return NULL;
    }
    a->busy++;
    return e;
}

/* Nobody reads that REGISTER any more, but for an answer that waits for the journal. */
static void forget_phone(struct registrar *r, struct handle server)
{
    struct server_tx *tx = server_get(r->with.transactions, server);

    if (tx)
        server_forget(tx);
}

static enum reload_end reload_end_of(const struct errand *e, struct aor *a)
{
    if (e->granted)
        return RELOAD_GRANTED;
    return a && errand_lease(e, a)->means == MEANS_NONE ? RELOAD_CHALLENGED : RELOAD_FAILED;
}

static void arm_pacer(struct registrar *r, struct pacer *pacer)
{
    uint64_t due_ms = pacer_next_ms(pacer);

    if (due_ms != UINT64_MAX)
        wheel_arm(&r->rt->wheel, &pacer->timer, TIMER_PACER, due_ms);
}

/* It is answered, late, or nobody waits for it: another may go. */
static void landed(struct errand *e)
{
    if (!e->out)
        return;
    e->out = false;
    pacer_landed(errand_pacer(e), e->stranger);
    arm_pacer(e->r, errand_pacer(e));
}

/* Takes the errand out; the caller runs the lane and settles the lease. */
static void errand_drop(struct errand *e)
{
    struct registrar *r = e->r;
    struct aor *a = location_find(r->with.location, e->hash);

    lane_remove(r, e);
    wheel_disarm(&r->rt->wheel, &e->timer);
    landed(e);
    if (e->state == ERRAND_PACED)
        pacer_leave(errand_pacer(e), &e->place);
    if (a)
        a->busy--;
    forget_phone(r, e->server);
    if (e->reload)
        reload_answered(r, e, reload_end_of(e, a));
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

/* It may have waited for its turn until nearly the end: told then to come again, while the
 * main registrar accepts it, its phone would go up twice. */
static void give_time(struct errand *e)
{
    const struct config *c = e->r->with.config;
    uint64_t least_ms = c->forward_timeout_ms < c->forward_timeout_new_ms
                            ? c->forward_timeout_ms
                            : c->forward_timeout_new_ms;
    uint64_t by_ms = e->r->rt->now_ms + least_ms;

    if (e->anew && e->answer_by_ms && e->answer_by_ms < by_ms)
        e->answer_by_ms = by_ms;
}

/* False: no memory. */
static bool send_now(struct errand *e)
{
    struct registrar *r = e->r;
    struct aor *a = location_find(r->with.location, e->hash);
    const struct server_tx *phone = server_get(r->with.transactions, e->server);
    struct buf out;
    struct client_tx *tx;

    e->asked_s = e->removes ? 0 : demand_expires_s(errand_demand(e), r->upstream_expires_s);
    tx = outgoing_prepare(&(struct outgoing){r, a, e->upstream, e->asked_s,
                                             phone ? phone->request : NULL, &errand_user,
                                             handle_pack(e->handle)},
                          &out);
    if (!tx)
        return false;
    e->state = ERRAND_SENT;
    e->late_at_ms = r->rt->now_ms + LATE_MS;
    e->client = tx->handle;
    e->cseq = errand_lease(e, a)->cseq;
    e->superseded = false;
    give_time(e);
    runtime_count(r->rt, COUNTER_REGISTER_UPSTREAM);
    e->out = true;
    pacer_sent(errand_pacer(e), e->stranger);
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

/* Design 3.6. A stranger is one also where the lease needs him: anybody may come
 * and say so. */
static enum pacer_class class_of(const struct errand *e)
{
    struct registrar *r = e->r;
    struct aor *a = location_find(r->with.location, e->hash);
    uint64_t now_ms = r->rt->now_ms;

    if (e->stranger)
        return PACER_STRANGER;
    if (a && !e->removes && aor_live_count(a, now_ms)) {
        const struct lease *l = errand_lease(e, a);
        bool held = lease_held(l, now_ms);

        if (held ? l->until_ms - now_ms < (uint64_t)l->granted_s * 250 : !e->own)
            return PACER_LEASE;
        if (!held)
            return PACER_LOST;
    }
    return e->own ? PACER_SPARE : PACER_KNOWN;
}

/* A phone's REGISTER goes to what is its home when it goes. */
static void aim(struct errand *e)
{
    struct aor *a = location_find(e->r->with.location, e->hash);

    if (!a || e->own)
        return;
    home_move(e->r, &a);
    e->upstream = a->lease.upstream;
}

/* Sends the errand, or has it wait for its turn. False: it is over (answered,
 * dropped), the lane has changed. */
static bool pace(struct errand *e)
{
    struct registrar *r = e->r;

    landed(e);
    e->state = ERRAND_WAITING;
    aim(e);
    struct pacer *pacer = errand_pacer(e);

    demand_watch(r, e->upstream);
    if (pacer_take(pacer, e->stranger, r->rt->now_ms)) {
        if (send_now(e))
            return true;
        runtime_count(r->rt, COUNTER_OUT_OF_MEMORY);
        if (e->answer_by_ms)
            answer_unavailable_in(r, e->server, NULL);
        errand_drop(e);
        return false;
    }
    if (!pacer_enter(pacer, &e->place, class_of(e))) {
        if (e->answer_by_ms && !errand_survive(e)) {
            storm_refused(r, e->upstream);
            answer_unavailable_in(r, e->server, "Service Unavailable (main registrar is busy)");
        }
        errand_drop(e);
        return false;
    }
    storm_waits(r, e->upstream);
    e->state = ERRAND_PACED;
    arm(e);
    arm_pacer(r, pacer);
    return true;
}

/* A removal that has waited, of a lease that is wanted again: a phone is back, or the home. */
static bool is_needless(const struct errand *e)
{
    struct registrar *r = e->r;
    struct aor *a = location_find(r->with.location, e->hash);
    const struct lease *l = a ? aor_lease_at(a, e->upstream) : NULL;

    return e->own && e->removes && l && !l->stale && home_wants(r, a, l) &&
           aor_live_count(a, r->rt->now_ms) > 0;
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
        if (is_needless(e))
            errand_finish(e);
        else if (!send_now(e))
            out_of_memory(e);
    }
    arm_pacer(r, pacer);
}

/* What the pacer learns from. A stranger could choose what his REGISTER gets. */
static void tell_pacer(struct errand *e, enum pacer_outcome what)
{
    uint64_t sent_ms = e->late_at_ms - LATE_MS;

    e->late_at_ms = 0;
    landed(e);
    if (!e->stranger)
        pacer_outcome(errand_pacer(e), e->r->rt->now_ms, sent_ms, what);
}

/* ---- the lane ---------------------------------------------------------------- */

/* A phone's errand whose turn has come after waiting: the record may have
 * changed. True: it still has to go up. */
static bool decide_anew(struct errand *e)
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
    if (outcome.verdict == REG_FORWARD && !outcome.survives && driver_upstream_is_open(r, &rq)) {
        answer_unavailable_in(r, e->server, "Service Unavailable (main registrar is open)");
        return false;
    }
    if (outcome.verdict == REG_FORWARD) {
        e->removes = outcome.empties;
        return true;
    }
    errand_commit(e, &rq, proof, &outcome);
    return false;
}

/* Starts what may start, until nothing more may. */
static void lane_run(struct registrar *r, uint64_t hash)
{
    struct errand *e = lane_first(r, hash);

    while (e) {
        if (!lane_in_flight(e))
            aim(e);
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
        tell_pacer(e, response->status >= 500 || response->status == 408 ? PACER_TROUBLE
                                                                         : PACER_QUICK);
    health_answered(errand_upstream(e), response->status);
    if (repeat(e, response))
        return;
    struct aor *a = location_find(r->with.location, e->hash);
    if (a && response->status < 300)
        errand_accepted(e, a, response);
    else if (a)
        errand_refused(e, a, response);
    errand_finish(e);
}

/* Whatever became of a stranger's REGISTER, an upstream that challenges did not
 * accept it. */
static bool surely_refused(const struct errand *e)
{
    return e->stranger && errand_upstream(e)->openness == UPSTREAM_CLOSED;
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
        lease_lost(r, errand_lease(e, a), e->asked_s);
    /* RFC 3261 18.4: its connection has closed. Again, by datagram. */
    if (!flow_alive(r->rt->ports, &tx->flow) && e->repeats < REPEATS_MAX) {
        send_again(e);
        return;
    }
    if (a && e->own)
        lease_own_failed(r, a, errand_lease(e, a), e->removes, 0, 0);
    if (e->answer_by_ms && !errand_survive(e))
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
    bool survived = errand_survive(e);

    if (!survived && e->state == ERRAND_PACED)
        storm_refused(r, e->upstream);
    if (!survived)
        answer_unavailable_in(r, e->server,
                              e->state == ERRAND_PACED
                                  ? "Service Unavailable (main registrar is busy)"
                                  : "Service Unavailable (main registrar is silent)");
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
        tell_pacer(e, PACER_LATE);
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
    struct errand *e = lane_is_full(r, rq, proof) ? NULL : errand_new(r, a, a->lease.upstream);

    if (!e)
        return NULL;
    aim(e);
    e->server = tx->handle;
    e->source = rq->flow.peer;
    e->credentials = rq->credentials;
    e->stranger = stranger;
    e->anew = !outcome->survives;
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
    struct errand *next;

    for (struct errand *e = lane_first(r, hash); e; e = next) {
        next = e->next;
        if (e->own && e->removes && e->state == ERRAND_PACED)
            errand_drop(e);
    }
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
    if (added == LOCATION_OK) {
        lease_begin(r, a);
        home_move(r, &a);
    }
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
            errand_commit_in(r, server, rq, proof, outcome);
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

bool errand_own(struct registrar *r, struct aor *a, unsigned upstream, bool removes)
{
    struct errand *e = errand_new(r, a, upstream);

    if (!e)
        return false;
    e->removes = removes;
    return run_own(r, e);
}

bool errand_reload(struct registrar *r, struct aor *a, unsigned upstream, uint16_t number)
{
    struct errand *e = errand_new(r, a, upstream);
    struct handle handle = e ? e->handle : HANDLE_NONE;

    if (!e || !run_own(r, e))
        return false;
    e = slab_get(&r->errands, handle);
    if (e)
        e->reload = number;
    return e != NULL;
}

bool errands_owe(const struct registrar *r)
{
    const struct errand *e;
    struct handle h = HANDLE_NONE;

    for (uint32_t slot = 0; (e = slab_next(&r->errands, slot, &h)) != NULL; slot = h.slot + 1)
        if (e->answer_by_ms)
            return true;
    return false;
}

/* It is sent to the new home, if its phone waits still. */
static void divert(struct errand *e)
{
    struct registrar *r = e->r;
    struct client_tx *tx = client_get(r->with.transactions, e->client);
    struct aor *a = location_find(r->with.location, e->hash);
    uint64_t hash = e->hash;

    if (e->state == ERRAND_PACED)
        pacer_leave(errand_pacer(e), &e->place);
    if (e->state == ERRAND_SENT && a && !surely_refused(e))
        lease_lost(r, errand_lease(e, a), e->asked_s);
    if (tx)
        client_abandon(tx);
    landed(e);
    e->state = ERRAND_WAITING;
    if (e->own || !e->answer_by_ms)
        errand_drop(e);
    lane_run(r, hash);
    lease_settle(r, hash);
}

void errands_divert(struct registrar *r, unsigned upstream)
{
    struct errand *e;
    struct handle h = HANDLE_NONE;

    for (uint32_t slot = 0; (e = slab_next(&r->errands, slot, &h)) != NULL; slot = h.slot + 1)
        if (e->upstream == upstream && lane_in_flight(e))
            divert(e);
}

/*
 * registrar/registrar: the driver around the rules.
 *
 * registrar_receive() is where every REGISTER of a phone arrives: decode, ask
 * the rules, apply or forward, answer. Called by core.c on the core thread;
 * never blocks.
 */
#include "registrar/registrar.h"

#include "registrar/answer.h"
#include "registrar/ending.h"
#include "registrar/errand.h"
#include "registrar/extras.h"
#include "registrar/lane.h"
#include "registrar/lease.h"
#include "upstream/own.h"

#include <stdlib.h>

/* ---- what may be said to be a REGISTER for us --------------------------------- */

static void refuse(struct registrar *r, const struct sip_message *m, const struct flow *from,
                   int status, const char *reason)
{
    runtime_count(r->rt, COUNTER_REGISTER_REFUSED);
    server_reject(r->rt, m, from, status, reason, SPAN_NONE);
}

/* False: the list is malformed. */
static bool put_unsupported(struct buf *out, const struct sip_message *m, enum sip_header_id id)
{
    struct sip_list it;
    struct span value;

    sip_list_init(&it, m, id);
    while (sip_list_next(&it, &value)) {
        if (span_ieq(value, SPAN("path"))) /* RFC 3327 5.3 */
            continue;
        buf_lit(out, "Unsupported: ");
        buf_span(out, value);
        buf_lit(out, "\r\n");
    }
    return !it.bad;
}

/* RFC 3261 8.2.2.3. GIN (RFC 6140) is refused here too. */
static bool refuse_extensions(struct registrar *r, const struct sip_message *m,
                              const struct flow *from)
{
    char room[1024];
    struct buf fields = buf_make(room, sizeof room);

    if (!put_unsupported(&fields, m, SIP_H_REQUIRE) ||
        !put_unsupported(&fields, m, SIP_H_PROXY_REQUIRE)) {
        refuse(r, m, from, 400, "Bad Require");
        return true;
    }
    if (fields.n == 0 && !fields.overflow)
        return false;
    runtime_count(r->rt, COUNTER_REGISTER_REFUSED);
    server_reject(r->rt, m, from, 420, NULL, fields.overflow ? SPAN_NONE : buf_done(&fields));
    return true;
}

/* The Request-URI names the registrar (RFC 3261 10.2, 10.3 step 1): one of our
 * domains, or our address, as phones do that were given one. It goes up as it is,
 * where digest covers it: a main registrar that trusts us must not be led elsewhere. */
static bool names_us(struct registrar *r, const struct sip_uri *ruri, const struct flow *from)
{
    struct span maddr;

    if (!config_serves(r->with.config, config_domain(r->with.config, ruri->host)) &&
        !own_host(r->with.upstreams, from, ruri->host))
        return false;
    return !sip_uri_param(ruri, SPAN("maddr"), &maddr) || own_host(r->with.upstreams, from, maddr);
}

static bool check_ruri(struct registrar *r, const struct sip_message *m, const struct flow *from)
{
    struct sip_fault fault = {0};
    struct sip_uri ruri;

    if (!sip_uri_parse(m->ruri, &ruri, &fault))
        refuse(r, m, from, fault.status, fault.reason);
    else if (ruri.scheme != SIP_SCHEME_SIP && ruri.scheme != SIP_SCHEME_SIPS)
        refuse(r, m, from, 416, NULL);
    else if (!names_us(r, &ruri, from))
        refuse(r, m, from, 404, "Not Found (domain is not served here)");
    else
        return true;
    return false;
}

bool driver_decode(struct registrar *r, const struct sip_message *m, const struct flow *from,
                   struct register_request *rq, struct sip_fault *fault)
{
    if (!request_decode(r->with.config, m, from, rq, fault))
        return false;
    rq->hash = location_hash(r->with.location, rq->aor);
    return true;
}

/* The host of a canonical AOR is what follows the last '@'. */
static struct span domain_of(struct span aor)
{
    size_t at = aor.n;

    while (at > 0 && aor.p[at - 1] != '@')
        at--;
    return span_make(aor.p + at, aor.n - at);
}

static bool admit(struct registrar *r, const struct sip_message *m, const struct flow *from,
                  struct register_request *rq)
{
    struct sip_fault fault = {0};

    if (upstreams_sender(r->with.upstreams, from)) {
        refuse(r, m, from, 482, "Loop Detected (REGISTER from the main registrar)");
        return false;
    }
    if (!check_ruri(r, m, from) || refuse_extensions(r, m, from))
        return false;
    if (!driver_decode(r, m, from, rq, &fault)) {
        runtime_count(r->rt, COUNTER_REGISTER_REFUSED);
        server_reject(r->rt, m, from, fault.status, fault.reason,
                      fault.status == 420 ? SPAN("Unsupported: gin\r\n") : SPAN_NONE);
        return false;
    }
    if (!config_serves(r->with.config, domain_of(rq->aor))) {
        refuse(r, m, from, 404, "Not Found (domain is not served here)");
        return false;
    }
    return true;
}

/* ---- decide, then commit --------------------------------------------------------- */

void driver_decide(struct registrar *r, const struct register_request *rq, enum proof proof,
                   struct outcome *out)
{
    struct rules_input in = {
        .record = location_find(r->with.location, rq->hash),
        .request = rq,
        .proof = proof,
        .now_ms = r->rt->now_ms,
        .dice = runtime_random(r->rt, UINT32_MAX),
        .config = r->with.config,
    };

    rules_decide(&in, out);
}

/* What a restart gives a phone that asked for this: what it may have been granted
 * without a word to the store. */
static uint16_t restart_of(const struct config *c, uint32_t asked_s)
{
    uint32_t most = asked_s < c->phone_expires_s ? asked_s : c->phone_expires_s;

    return most < UINT16_MAX ? (uint16_t)most : UINT16_MAX;
}

static struct binding_spec spec_of(struct registrar *r, const struct register_request *rq,
                                   const struct change *change)
{
    const struct register_contact *c = &rq->contact[change->contact];

    return (struct binding_spec){
        .uri = c->uri_text,
        .params = c->params,
        .call_id = rq->call_id,
        .path = rq->path,
        .flow = rq->flow,
        .expires_ms = r->rt->now_ms + (uint64_t)change->granted_s * 1000,
        .proved_ms = r->rt->now_ms,
        .granted_s = change->granted_s,
        .cseq = rq->cseq,
        .restart_s = restart_of(r->with.config, c->expires_s),
        .q = c->q,
        .q_given = c->q_given,
        .flags = BINDING_FLOW_PROVED,
    };
}

/* The first one after a restart may be a late copy of what was answered before, so that the phone
 * hears nothing of a shorter grant: unless it asks for less, it keeps what it had (`until_ms`). */
static void keep_promise(const struct registrar *r, struct binding *b, uint64_t until_ms,
                         const struct register_request *rq, const struct change *change)
{
    uint64_t asked_ms = (uint64_t)rq->contact[change->contact].expires_s * 1000;

    b->flags &= BINDING_RESTORED ^ 15u;
    if (b->expires_ms < until_ms && until_ms <= r->rt->now_ms + asked_ms)
        b->expires_ms = until_ms;
}

static void refresh(struct registrar *r, struct aor *a, const struct register_request *rq,
                    const struct change *change, bool proved)
{
    struct binding *b = location_binding(a, change->binding_id);
    uint64_t until_ms;

    if (!b)
        return;
    until_ms = b->expires_ms;
    b->expires_ms = r->rt->now_ms + (uint64_t)change->granted_s * 1000;
    if (b->flags & BINDING_RESTORED)
        keep_promise(r, b, until_ms, rq, change);
    b->granted_s = change->granted_s;
    b->cseq = rq->cseq;
    if (b->restart_s < change->granted_s)
        b->restart_s = restart_of(r->with.config, rq->contact[change->contact].expires_s);
    if (proved)
        b->proved_ms = r->rt->now_ms;
}

/* A phone that removes one after the other shall not fill the record. False: there is
 * room for all. */
static bool forget_a_tombstone(struct registrar *r, struct aor **a)
{
    const struct binding *oldest = NULL;
    unsigned tombstones = 0;

    for (const struct binding *b = aor_first(*a); b; b = aor_next(*a, b)) {
        if (!(b->flags & BINDING_TOMBSTONE))
            continue;
        tombstones++;
        if (!oldest || b->expires_ms < oldest->expires_ms)
            oldest = b;
    }
    if (tombstones <= TOMBSTONES_MAX)
        return false;
    location_unbind(r->with.location, a, oldest->id);
    return true;
}

/* A removed binding is remembered for a while. */
static void bury(struct registrar *r, struct aor *a, const struct change *change)
{
    location_bury(r->with.location, a, change->binding_id, change->cseq,
                  r->rt->now_ms + TOMBSTONE_MS);
    runtime_count(r->rt, COUNTER_BINDING_REMOVED);
}

/* A tombstone of what was not there. Without memory there is none. */
static void note(struct registrar *r, struct aor **a, const struct register_request *rq,
                 const struct change *change, bool proved)
{
    uint64_t until_ms = r->rt->now_ms + TOMBSTONE_MS;
    struct binding_spec spec = spec_of(r, rq, change);

    if (change->binding_id) {
        location_bury(r->with.location, *a, change->binding_id, change->cseq, until_ms);
        return;
    }
    spec.expires_ms = until_ms;
    spec.flags = BINDING_TOMBSTONE | (proved ? BINDING_FLOW_PROVED : 0);
    (void)location_bind(r->with.location, a, &spec);
}

static bool add(struct registrar *r, struct aor **a, const struct binding_spec *spec)
{
    const struct binding *b = location_bind(r->with.location, a, spec);

    if (!b)
        return false;
    runtime_count(r->rt, COUNTER_BINDING_ADDED);
    news_add(&r->with.location->news, (*a)->hash, b->id);
    return true;
}

static bool replace(struct registrar *r, struct aor **a, uint32_t id,
                    const struct binding_spec *spec)
{
    const struct binding *old = location_binding(*a, id);
    bool revives = old && (old->flags & BINDING_TOMBSTONE);
    /* RFC 3261 10.2: another Call-ID is another boot of the phone. */
    bool boots = old && !span_eq(binding_call_id(old), spec->call_id);

    if (!location_rebind(r->with.location, a, id, spec))
        return false;
    if (revives)
        runtime_count(r->rt, COUNTER_BINDING_ADDED);
    if (revives || boots)
        news_add(&r->with.location->news, (*a)->hash, id);
    return true;
}

static bool apply_one(struct registrar *r, struct aor **a, const struct register_request *rq,
                      const struct change *change, bool proved)
{
    struct binding_spec spec;

    switch (change->kind) {
    case CHANGE_REFRESH:
        refresh(r, *a, rq, change, proved);
        return true;
    case CHANGE_REMOVE:
        bury(r, *a, change);
        return true;
    case CHANGE_NOTE:
        note(r, a, rq, change, proved);
        return true;
    case CHANGE_ADD:
        spec = spec_of(r, rq, change);
        return add(r, a, &spec);
    case CHANGE_REPLACE:
        spec = spec_of(r, rq, change);
        return replace(r, a, change->binding_id, &spec);
    }
    return false;
}

/* A pure refresh writes nothing (design 7), but for one of more than a restart would
 * give it. To be asked before it is applied. */
static bool is_stored(const struct aor *a, const struct change *change)
{
    const struct binding *b;

    switch (change->kind) {
    case CHANGE_REFRESH:
        b = location_binding(a, change->binding_id);
        return b && change->granted_s > b->restart_s;
    case CHANGE_NOTE:
        return false;
    default:
        return true;
    }
}

bool driver_apply(struct registrar *r, const struct register_request *rq, enum proof proof,
                  const struct outcome *outcome)
{
    bool proved = proof == PROOF_UPSTREAM || proof == PROOF_TRUSTED;
    bool must_last = false;
    bool buries = false;
    bool done = true;
    struct aor *a;

    if (location_ensure(r->with.location, rq->aor, rq->to_uri, &a) != LOCATION_OK)
        return false;
    for (unsigned i = 0; done && i < outcome->changes; i++) {
        const struct change *change = &outcome->change[i];

        must_last |= is_stored(a, change);
        done = apply_one(r, &a, rq, change, proved);
        buries |= change->kind == CHANGE_REMOVE || change->kind == CHANGE_NOTE;
    }
    if (!done)
        runtime_count(r->rt, COUNTER_OUT_OF_MEMORY);
    /* Not before all is applied: what is forgotten may be what comes back. */
    while (buries && forget_a_tombstone(r, &a))
        continue;
    if (must_last)
        journal_change(r->with.journal, a);
    return done;
}

static struct upstream *home_of(const struct registrar *r, const struct register_request *rq)
{
    return upstreams_of(r->with.upstreams, rq->aor, rq->hash);
}

bool driver_upstream_is_open(struct registrar *r, const struct register_request *rq)
{
    const struct upstream *u = home_of(r, rq);

    return r->with.config->auth == AUTH_UPSTREAM && !r->with.config->allow_open_upstream &&
           upstream_may_be_open(u);
}

static void forward(struct registrar *r, const struct sip_message *m, const struct flow *from,
                    const struct register_request *rq, enum proof proof,
                    const struct outcome *outcome)
{
    if (outcome->verdict == REG_FORWARD && !outcome->survives && driver_upstream_is_open(r, rq)) {
        answer_unavailable(r, m, from, "Service Unavailable (main registrar is open)");
        return;
    }
    if (!upstream_is_placed(home_of(r, rq))) {
        answer_unavailable(r, m, from, "Service Unavailable (main registrar's address unknown)");
        return;
    }
    errand_forward(r, m, from, rq, proof, outcome);
}

void registrar_receive(struct registrar *r, const struct sip_message *request,
                       const struct flow *from)
{
    struct register_request rq;
    struct outcome outcome;

    if (!admit(r, request, from, &rq))
        return;
    enum proof proof =
        rules_proof(location_find(r->with.location, rq.hash), &rq, r->rt->now_ms, r->with.config);
    driver_decide(r, &rq, proof, &outcome);

    /* It would wait for an answer that does not come (design 3.4). */
    if (outcome.verdict == REG_FORWARD && outcome.survives && !upstream_is_up(home_of(r, &rq)))
        outcome.verdict = REG_ABSORBED;

    /* While a REGISTER of this Call-ID is on its way, later ones wait for it. A
     * stranger does not wait, so he must not be told yet that nothing is there to
     * remove: what is on its way may add it. The main registrar challenges him. */
    bool waits = outcome.verdict != REG_REFUSED && lane_has_call(r, rq.hash, rq.call_id);
    if (waits && proof == PROOF_ABSENT && !rq.credentials)
        outcome.verdict = REG_FORWARD;
    if (outcome.verdict == REG_FORWARD || waits) {
        forward(r, request, from, &rq, proof, &outcome);
        return;
    }
    if (outcome.verdict == REG_REFUSED) {
        answer_refusal(r, request, from, &outcome);
        return;
    }
    if (outcome.verdict == REG_ANSWERED) {
        runtime_count(r->rt, COUNTER_REGISTER_ABSORBED);
        if (proof == PROOF_ABSENT)
            answer_nobody(r, request, from, rq.hash);
        else
            answer_ok(r, request, from, rq.hash);
        return;
    }
    if (driver_apply(r, &rq, proof, &outcome)) {
        runtime_count(r->rt, COUNTER_REGISTER_ABSORBED);
        answer_ok(r, request, from, rq.hash);
    } else {
        answer_unavailable(r, request, from, NULL); /* what was applied is there */
    }
    lease_settle(r, rq.hash);
}

/* ---- connections --------------------------------------------------------------------- */

/* Marks the AOR's bindings on this flow. True: one of them leaves earlier now. */
static bool cut_off(struct registrar *r, struct aor *a, const struct flow *flow)
{
    uint64_t leaves_ms = r->rt->now_ms + r->with.config->flow_grace_ms;
    bool earlier = false;

    for (struct binding *b = aor_first(a); b; b = aor_next(a, b)) {
        if (!binding_live(b, r->rt->now_ms) || !flow_equal(&b->flow, flow))
            continue;
        b->flags |= BINDING_UNREACHABLE;
        if (b->expires_ms > leaves_ms) {
            b->expires_ms = leaves_ms;
            earlier = true;
        }
    }
    return earlier;
}

void registrar_flow_closed(struct registrar *r, const struct flow *flow)
{
    size_t count;
    uint64_t *hashes = flows_take(&r->with.location->flows, flow, &count);

    for (size_t i = 0; i < count; i++) {
        struct aor *a = location_find(r->with.location, hashes[i]);

        if (a && cut_off(r, a, flow))
            lease_settle(r, hashes[i]);
    }
    free(hashes);
}

void driver_flow_lost(struct registrar *r, uint64_t hash, const struct flow *flow)
{
    struct aor *a;

    if (flow_alive(r->rt->ports, flow))
        return;
    registrar_flow_closed(r, flow); /* for what was noted anew */
    a = location_find(r->with.location, hash);
    if (a && cut_off(r, a, flow)) /* a refreshed binding was not */
        lease_settle(r, hash);
}

/* ---- after a restart ------------------------------------------------------------------ */

/* When leases and expiries of stored records are looked after. */
#define RESTORED_AFTER_MS  100
#define RESTORED_WITHIN_MS 5000
/* Stored in whole seconds, by a clock that is set right now and then. */
#define CLOCK_SLACK_MS 2000

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Granted later than now, so the clock was set back: what is left of it, nobody knows. */
static void restore_lease(struct lease *l, uint64_t now_ms)
{
    if (l->until_ms > now_ms + (uint64_t)l->granted_s * 1000 + CLOCK_SLACK_MS)
        l->until_ms = now_ms;
    l->until_ms = earlier(l->until_ms, now_ms + (uint64_t)l->granted_s * 1000);
    l->may_ms = later(l->until_ms, earlier(l->may_ms, now_ms + DEMAND_EXPIRES_MAX_S * 1000));
}

void registrar_restored(struct registrar *r, struct aor *a)
{
    uint64_t now_ms = r->rt->now_ms;

    for (struct binding *b = aor_first(a); b; b = aor_next(a, b)) {
        uint64_t granted_ms = (uint64_t)b->granted_s * 1000;

        if (b->flags & BINDING_TOMBSTONE) {
            b->expires_ms = earlier(b->expires_ms, now_ms + TOMBSTONE_MS);
            continue;
        }
        /* No longer than granted, though the clock was set back; but refreshes since
         * then were not stored. */
        b->expires_ms = earlier(b->expires_ms, now_ms + granted_ms);
        b->expires_ms = later(b->expires_ms, now_ms + b->restart_s * UINT64_C(1000));
        b->proved_ms = earlier(b->proved_ms, now_ms);
        b->flags |= BINDING_RESTORED;
    }
    for (unsigned i = 0; i <= a->further; i++)
        restore_lease(aor_lease(a, i), now_ms);
    /* Its home is not in the configuration any more: survive-max counts from now. */
    if (a->lease.until_ms == 0 && a->bindings)
        a->lease.until_ms = a->lease.may_ms = now_ms;
    lease_begin(r, a);
    /* Nothing can be sent yet; and not all at once, when it can. */
    wheel_arm(&r->rt->wheel, &a->timer, TIMER_AOR,
              now_ms + RESTORED_AFTER_MS + a->hash % RESTORED_WITHIN_MS);
}

void registrar_removed(struct registrar *r, uint64_t aor_hash, const struct binding_spec *removed)
{
    struct aor *a = location_find(r->with.location, aor_hash);
    struct binding_spec spec = *removed;

    spec.expires_ms = earlier(spec.expires_ms, r->rt->now_ms + TOMBSTONE_MS);
    spec.flags |= BINDING_RESTORED;
    if (a && spec.expires_ms > r->rt->now_ms)
        (void)location_bind(r->with.location, &a, &spec);
}

static void say_contact_moved(struct registrar *r, const struct upstream *u)
{
    char room[2][IMAGE_TEXT_MAX];
    struct buf before = buf_make(room[0], sizeof room[0] - 1);
    struct buf now = buf_make(room[1], sizeof room[1] - 1);

    address_put(&before, &u->contact_before);
    address_put(&now, &u->contact);
    room[0][before.n] = room[1][now.n] = '\0';
    runtime_log(
        r->rt, LOG_WARN, "contact_moved",
        "upstream=%s before=%s now=%s remedy=\"none needed: all leases are registered anew, "
        "and the old contacts removed\"",
        u->config->name, room[0], room[1]);
}

void registrar_contact_moved(struct registrar *r, struct upstream *u, const struct address *before)
{
    struct aor *a;
    size_t at = 0;

    u->contact_before = *before;
    while ((a = location_next(r->with.location, &at))) {
        struct lease *l = aor_lease_at(a, (unsigned)(u - r->with.upstreams->list));

        if (l && l->means == MEANS_ACL && lease_possible(l, r->rt->now_ms))
            l->stale = STALE_ALONE;
    }
    say_contact_moved(r, u);
    journal_lost(r->with.journal, (unsigned)(u - r->with.upstreams->list), true);
    if (upstream_is_up(u)) /* else when it is */
        registrar_upstream_lost(r, u, "our contact there is another one");
}

/* ---- main registrars that go and come ------------------------------------------------ */

/* What becomes of their REGISTERs meanwhile says nothing of their rate; each lease
 * waits (lease.c) until they are back, or moves to another. */
static void on_down(void *self, struct upstream *u)
{
    struct registrar *r = self;
    struct upstreams *all = r->with.upstreams;
    bool moves = config_may_policy(r->with.config, POLICY_HASH) ||
                 config_may_policy(r->with.config, POLICY_FAILOVER);
    bool others = false;

    journal_lost(r->with.journal, (unsigned)(u - all->list), true);
    reload_stop(r, u);
    for (unsigned i = 0; i < all->count; i++)
        others |= upstream_is_up(&all->list[i]);
    if (!others)
        return;
    errands_divert(r, (unsigned)(u - all->list));
    for (unsigned i = 0; i < all->count && moves; i++)
        if (upstream_is_up(&all->list[i]))
            reload_take_over(r, &all->list[i], u);
}

/* Of one with a name it is known only now what our contact there is. True: it is another one
 * than that of the stored leases. */
static bool compare_contact(struct registrar *r, struct upstream *u)
{
    struct address noted = u->contact_noted;

    if (!u->config->host)
        return false;
    u->contact_noted = u->contact;
    if (noted.family == ADDRESS_NONE)
        reload_note_contact(r, u);
    if (noted.family == ADDRESS_NONE || address_equal(&noted, &u->contact))
        return false;
    registrar_contact_moved(r, u, &noted);
    return true;
}

/* What waits for another one that is down need not, any more. */
static void on_returned(void *self, struct upstream *u)
{
    struct registrar *r = self;
    struct upstreams *all = r->with.upstreams;

    if (!compare_contact(r, u))
        registrar_upstream_lost(r, u, "it was away or was restarted, and may have lost them");
    for (unsigned i = 0; i < all->count; i++)
        if (!upstream_is_up(&all->list[i]))
            errands_divert(r, i);
}

void registrar_started(struct registrar *r)
{
    struct upstreams *all = r->with.upstreams;

    demand_sample(r);
    for (unsigned i = 0; i < all->count; i++)
        if (journal_is_lost(r->with.journal, i) && upstream_is_up(&all->list[i]))
            registrar_upstream_lost(r, &all->list[i],
                                    "midreg ended before all was registered again");
}

static const struct upstream_user upstream_user = {.down = on_down, .returned = on_returned};

/* ---- life --------------------------------------------------------------------------- */

static void on_aor_timer(void *self, struct timer *t)
{
    struct aor *a = (struct aor *)((char *)t - offsetof(struct aor, timer));

    lease_settle(self, a->hash);
}

struct registrar *registrar_new(const struct registrar_parts *parts)
{
    struct registrar *r = calloc(1, sizeof *r);

    if (!r)
        return NULL;
    r->with = *parts;
    r->rt = parts->rt;
    r->upstream_expires_s = parts->config->upstream_expires_s;
    for (unsigned i = 0; i < parts->upstreams->count; i++) {
        pacer_init(&r->pacer[i], parts->config->upstream[i].rate,
                   parts->config->upstream[i].rate_max, r->rt->now_ms);
        demand_init(&r->demand[i], r->rt->now_ms);
        r->refusals[i].minute = 1;
    }
    r->policy_part[parts->config->policy] = 1;
    slab_init(&r->parked, sizeof(struct parked), PARKED_MAX);
    endings_init(r);
    wheel_handler(&r->rt->wheel, TIMER_AOR, on_aor_timer, r);
    errands_init(r);
    reload_init(r);
    storm_init(r);
    upstreams_tell(parts->upstreams, &upstream_user, r);
    table_init(&r->extras);
    return r;
}

void registrar_free(struct registrar *r)
{
    if (!r)
        return;
    reload_fini(r);
    storm_fini(r);
    errands_fini(r);
    extras_fini(r);
    slab_fini(&r->parked);
    endings_fini(r);
    free(r);
}

const struct registrar_parts *registrar_parts(const struct registrar *r)
{
    return &r->with;
}

void registrar_durable(struct registrar *r)
{
    answer_durable(r);
    endings_durable(r);
}

void registrar_put_status(struct buf *out, const struct registrar *r)
{
    demand_put_status(out, r);
}

unsigned registrar_pending(const struct registrar *r)
{
    return r->errands.used + r->parked.used;
}

bool registrar_owes(const struct registrar *r)
{
    return r->parked.used > 0 || errands_owe(r);
}

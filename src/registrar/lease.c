/*
 * registrar/lease: keeps at the main registrars what should be there. For each lease:
 *
 *             first binding accepted                 refreshed at 85 %
 *   nothing ------------------------> held ----------------------------> held
 *      ^                               |  last binding gone: removed within a second
 *      |                               |  or the home has moved, and that one holds it
 *      +-------------------------------+  (or lapses, where midreg may not remove it)
 *
 * Called by registrar.c, errand.c and the AOR's timer, on the core thread.
 */
#include "registrar/lease.h"

#include "registrar/ending.h"
#include "registrar/errand.h"
#include "registrar/events.h"
#include "registrar/extras.h"
#include "registrar/home.h"
#include "registrar/kick.h"
#include "upstream/contact.h"

/* CSeq counts from here: higher after every restart, below 2^31 until 2088. */
#define CSEQ_EPOCH_S     1577836800u /* 2020-01-01 */
#define BACKOFF_FIRST_MS 1000
/* Policy "all": one of the main registrars does not know that user. */
#define REFUSED_ELSEWHERE_MS 600000
/* Our errands do not stand in the pacer's line for longer; they come again. */
#define OWN_PACER_WAIT_MS 2000

static struct location *location_of(struct registrar *r)
{
    return r->with.location;
}

/* A machine that does not know the time counts from its start. Below 2^31 (RFC 3261
 * 8.1.1.5): what is above is no time that a clock shows. */
static uint32_t clock_cseq(struct registrar *r)
{
    uint64_t wall_s = r->rt->ports->wall_s(r->rt->ports->world);
    bool known = wall_s > CSEQ_EPOCH_S && wall_s - CSEQ_EPOCH_S <= INT32_MAX;

    return (uint32_t)(known ? wall_s - CSEQ_EPOCH_S : r->rt->now_ms / 1000);
}

uint32_t lease_next_cseq(struct registrar *r, struct lease *l)
{
    uint32_t clock = clock_cseq(r);

    l->cseq = l->cseq + 1 > clock ? l->cseq + 1 : clock;
    return l->cseq;
}

void lease_begin(struct registrar *r, struct aor *a)
{
    for (unsigned i = 0; i <= a->further; i++)
        home_configure(r, aor_lease(a, i));
}

/* ---- what an errand brought home ------------------------------------------ */

void lease_granted(struct registrar *r, struct aor *a, struct lease *l, uint32_t granted_s)
{
    l->granted_s = granted_s;
    /* Nothing granted ends it; what had ended before stays so: survive-max counts
     * from there. */
    if (granted_s || l->until_ms > r->rt->now_ms)
        l->until_ms = r->rt->now_ms + (uint64_t)granted_s * 1000;
    /* Removed was the earlier contact: ours may be there still. */
    if (granted_s || l->stale != STALE_BESIDE)
        l->may_ms = l->until_ms;
    l->next_ms = 0;
    l->stale = granted_s && l->stale ? STALE_BESIDE : STALE_NOT;
    if (granted_s)
        l->failures = 0;
    l->refused = 0;
    journal_change(r->with.journal, a);
}

void lease_learn(struct registrar *r, struct lease *l, enum lease_means means)
{
    if (r->with.config->upstream[l->upstream].means == CONFIG_MEANS_AUTO)
        l->means = (uint8_t)means;
}

void lease_lost(struct registrar *r, struct lease *l, uint32_t asked_s)
{
    uint64_t until_ms = r->rt->now_ms + (uint64_t)asked_s * 1000;

    if (l->may_ms < until_ms)
        l->may_ms = until_ms;
    if (asked_s == 0 && l->until_ms > until_ms)
        l->until_ms = until_ms;
}

static uint64_t backoff_ms(struct registrar *r, unsigned failures)
{
    uint64_t most = r->with.config->retry_max_ms;
    uint64_t wait = BACKOFF_FIRST_MS;

    while (failures-- > 1 && wait < most)
        wait *= 2;
    wait = wait < most ? wait : most;
    return wait / 2 + runtime_random(r->rt, (uint32_t)(wait / 2) + 1);
}

/*
 * Design 3.4: midreg's own refresh refused twice ends the AOR, unless so many
 * leases are refused in this minute, or in the last, that the upstream must be at
 * fault. Each lease counts once in a minute, as long as it is refused: an upstream
 * that is at fault for longer than that must not become believable.
 */
static bool refusals_are_believable(struct registrar *r, struct lease *l)
{
    struct refusals *all = &r->refusals[l->upstream];
    uint64_t leases = demand_leases(r, l->upstream);
    uint64_t most = leases / 100 > 3 ? leases / 100 : 3;
    uint64_t age_ms = r->rt->now_ms - all->since_ms;
    bool first;

    if (age_ms >= 60000) {
        all->before = age_ms < 120000 ? all->count : 0;
        all->since_ms = r->rt->now_ms;
        all->count = 0;
        if (++all->minute == 0)
            all->minute = 1;
    }
    first = l->refused_in != all->minute;
    l->refused_in = all->minute;
    all->count += first;
    if (first && all->count == most + 1 && all->before <= most)
        runtime_log(r->rt, LOG_ERROR, "upstream_refuses",
                    "upstream=%s remedy=\"the main registrar refuses many leases: check it\"",
                    r->with.config->upstream[l->upstream].name);
    return all->count <= most && all->before <= most;
}

static void end_aor(struct registrar *r, struct aor *a)
{
    struct log_text room;

    runtime_log(r->rt, LOG_WARN, "aor_ended",
                "aor=%s reason=\"refused twice by the main registrar\"",
                log_value(&room, aor_text(a)));
    kick_bury(r, a, SPAN_NONE);
    lease_granted(r, a, &a->lease, 0);
}

static void own_refused(struct registrar *r, struct aor *a, struct lease *l)
{
    uint64_t wait_ms = (uint64_t)l->granted_s * 100; /* a tenth of the granted time */

    if (wait_ms == 0 || wait_ms > 30000)
        wait_ms = 30000;
    /* Who is registered at his home stays, whatever others say of him. */
    if (l != &a->lease) {
        l->next_ms = r->rt->now_ms + REFUSED_ELSEWHERE_MS;
        return;
    }
    if (!refusals_are_believable(r, l)) {
        l->next_ms = r->rt->now_ms + r->with.config->retry_max_ms;
        return;
    }
    if (++l->refused >= 2)
        end_aor(r, a);
    else
        l->next_ms = r->rt->now_ms + wait_ms;
}

void lease_own_failed(struct registrar *r, struct aor *a, struct lease *l, bool removes, int status,
                      uint32_t retry_after_s)
{
    uint64_t obeyed_ms = (uint64_t)retry_after_s * 1000;

    runtime_count(r->rt, COUNTER_LEASE_FAILED);
    if (status && removes)
        l->stale = STALE_NOT; /* it does not remove what was there before: that lapses */
    if (status == 401 || status == 407) {
        lease_learn(r, l, MEANS_NONE);
        if (l->means == MEANS_NONE)
            return;
    }
    if (removes && status == 404) {
        lease_granted(r, a, l, 0); /* it says that it holds nothing of this user */
        return;
    }
    /* A removal that is forbidden may be allowed again before the lease has run
     * out: it is tried like any other failure. */
    if (!removes && (status == 403 || status == 404)) {
        own_refused(r, a, l);
        return;
    }
    if (l->failures < UINT8_MAX)
        l->failures++;
    l->next_ms = r->rt->now_ms + backoff_ms(r, l->failures);
    if (obeyed_ms > r->with.config->retry_max_ms)
        obeyed_ms = r->with.config->retry_max_ms;
    if (l->next_ms < r->rt->now_ms + obeyed_ms)
        l->next_ms = r->rt->now_ms + obeyed_ms;
}

bool lease_read_grant(const struct sip_message *response, const struct aor *a, uint32_t *granted_s)
{
    struct sip_list it;
    struct span value, expires;

    sip_list_init(&it, response, SIP_H_CONTACT);
    while (sip_list_next(&it, &value)) {
        struct sip_nameaddr na;
        struct sip_fault fault;
        uint64_t hash;

        if (!sip_nameaddr_parse(value, &na, &fault) || !contact_token(&na.uri, &hash) ||
            hash != a->hash || !contact_fits(&na.uri, aor_text(a), a->hash))
            continue;
        if (sip_param(na.params, SPAN("expires"), &expires) &&
            sip_delta_seconds(expires, granted_s))
            return true;
        return sip_delta_seconds(sip_value(response, SIP_H_EXPIRES), granted_s);
    }
    return false;
}

/* ---- what should be there -------------------------------------------------- */

/* What is left in a record. */
struct left {
    bool live;        /* bindings */
    uint64_t ends_ms; /* the first of them, or of the tombstones */
};

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* Takes away what has run out. Returns the record, which may have moved. */
static struct aor *expire(struct registrar *r, struct aor *a, struct left *left)
{
    uint64_t now_ms = r->rt->now_ms;
    struct binding *b = aor_first(a);
    bool changed = false;

    *left = (struct left){false, UINT64_MAX};
    while (b) {
        if (b->expires_ms > now_ms) {
            left->live |= !(b->flags & BINDING_TOMBSTONE);
            left->ends_ms = earlier(left->ends_ms, b->expires_ms);
            b = aor_next(a, b);
            continue;
        }
        if (!(b->flags & BINDING_TOMBSTONE)) {
            runtime_count(r->rt, COUNTER_BINDING_EXPIRED);
            changed = true;
        }
        location_unbind(location_of(r), &a, b->id);
        *left = (struct left){false, UINT64_MAX};
        b = aor_first(a);
    }
    if (changed)
        journal_change(r->with.journal, a);
    return a;
}

uint64_t lease_refresh_at_ms(const struct aor *a, const struct lease *l)
{
    uint64_t granted_ms = (uint64_t)l->granted_s * 1000;
    uint64_t left_ms = l->means == MEANS_ACL ? granted_ms * 15 / 100 : granted_ms / 2;
    uint64_t spread_ms = granted_ms / 20;

    left_ms += spread_ms ? a->hash % spread_ms : 0;
    return l->until_ms - left_ms;
}

/* The home has moved away from there. The old lease goes when calls come by the new one. */
static bool is_needed_still(struct registrar *r, const struct aor *a, const struct lease *l,
                            bool live)
{
    return live && l != &a->lease && !lease_held(&a->lease, r->rt->now_ms);
}

/* A stale one is removed first, as a main registrar that keeps one contact for each user, or
 * each Call-ID, would take the new one away with it. */
static bool is_wanted(struct registrar *r, const struct aor *a, const struct lease *l)
{
    return home_wants(r, a, l) && !l->stale;
}

uint64_t lease_own_action_ms(struct registrar *r, const struct aor *a, const struct lease *l,
                             bool live)
{
    bool wanted = live && is_wanted(r, a, l);
    uint64_t at_ms = 0;

    /* One that is down is left alone: once it is back all its leases are seen to. */
    if (a->busy || l->means == MEANS_NONE || !upstream_is_up(&r->with.upstreams->list[l->upstream]))
        return UINT64_MAX;
    if (!wanted && (!lease_possible(l, r->rt->now_ms) || is_needed_still(r, a, l, live)))
        return UINT64_MAX;
    if (wanted && lease_held(l, r->rt->now_ms))
        at_ms = lease_refresh_at_ms(a, l);
    return at_ms > l->next_ms ? at_ms : l->next_ms;
}

/* Nobody is left and midreg may not de-register: the lease runs out upstream,
 * and calls get 480 until then. */
static void let_lapse(struct registrar *r, struct aor *a, struct lease *l)
{
    runtime_count(r->rt, COUNTER_LEASE_LAPSED);
    lease_granted(r, a, l, 0);
}

/* The main registrar drops it for us, or it lapses. Returns when to look again. */
static uint64_t end_without_means(struct registrar *r, struct aor *a, struct lease *l)
{
    if (events_flush(r, a, l))
        return l->next_ms;
    let_lapse(r, a, l);
    return UINT64_MAX;
}

/* Registers, refreshes or de-registers. */
static void act_on_lease(struct registrar *r, struct aor *a, unsigned upstream, bool wanted)
{
    uint64_t hash = a->hash;

    /* The line that de-registers: no binding is left, so Expires: 0 goes up. */
    if (errand_own(r, a, upstream, !wanted))
        return;
    a = location_find(location_of(r), hash);
    struct lease *l = a ? aor_lease_at(a, upstream) : NULL;

    if (l)
        l->next_ms =
            r->rt->now_ms + OWN_PACER_WAIT_MS / 2 + runtime_random(r->rt, OWN_PACER_WAIT_MS / 2);
}

/* Does what is to be done now with the record's lease `i`. Returns when to look again. The
 * record may move, or be gone: NULL. */
static uint64_t see_to(struct registrar *r, struct aor **record, unsigned i, bool live)
{
    struct aor *a = *record;
    struct lease *l = aor_lease(a, i);
    unsigned upstream = l->upstream;
    uint64_t hash = a->hash;
    uint64_t now_ms = r->rt->now_ms;
    uint64_t again_ms = UINT64_MAX;
    bool wanted = live && is_wanted(r, a, l);

    if (!wanted && l->means == MEANS_NONE && !a->busy && lease_possible(l, now_ms) &&
        !is_needed_still(r, a, l, live))
        again_ms = ending_is_stored(r, a, l) ? end_without_means(r, a, l) : l->next_ms;
    uint64_t action_ms = lease_own_action_ms(r, a, l, live);

    if (action_ms > now_ms)
        return earlier(action_ms, again_ms);
    if (!wanted && !l->stale && !ending_is_stored(r, a, l))
        return earlier(l->next_ms, again_ms);
    act_on_lease(r, a, upstream, wanted);
    a = *record = location_find(location_of(r), hash);
    l = a ? aor_lease_at(a, upstream) : NULL;
    return l ? earlier(lease_own_action_ms(r, a, l, live), again_ms) : UINT64_MAX;
}

/* ---- what is over ---------------------------------------------------------- */

/* Nothing is there, and its CSeq is not used again. */
static bool lease_is_spent(struct registrar *r, const struct lease *l)
{
    return !lease_possible(l, r->rt->now_ms) && l->cseq < clock_cseq(r);
}

/* When to look whether it is spent: once the main registrar holds nothing and the
 * clock has passed its CSeq (or the store has caught up). */
static uint64_t lease_spent_at_ms(struct registrar *r, const struct lease *l)
{
    uint32_t clock = clock_cseq(r);

    if (lease_possible(l, r->rt->now_ms))
        return l->may_ms;
    return r->rt->now_ms + (l->cseq > clock ? (l->cseq - clock) * UINT64_C(1000) : 1000);
}

/* Nothing left to keep the record for? */
static bool is_spent(struct registrar *r, struct aor *a)
{
    if (a->bindings || a->busy || !journal_is_durable(r->with.journal, a->sequence))
        return false;
    for (unsigned i = 0; i <= a->further; i++)
        if (!lease_is_spent(r, aor_lease(a, i)))
            return false;
    return true;
}

/* Leases at main registrars that the home has moved away from. */
static struct aor *drop_spent_leases(struct registrar *r, struct aor *a, bool live)
{
    if (a->busy)
        return a; /* an answer for it may come */
    for (unsigned i = a->further; i > 0; i--) {
        const struct lease *l = aor_lease(a, i);

        if ((live && home_wants(r, a, l)) || !lease_is_spent(r, l))
            continue;
        location_drop_lease(location_of(r), &a, l->upstream);
        journal_change(r->with.journal, a);
    }
    return a;
}

static void arm(struct registrar *r, struct aor *a, const struct left *left, uint64_t action_ms)
{
    uint64_t due_ms = earlier(action_ms, left->ends_ms);

    for (unsigned i = a->bindings ? 1 : 0; i <= a->further && !a->busy; i++)
        if (!left->live || !home_wants(r, a, aor_lease(a, i)))
            due_ms = earlier(due_ms, lease_spent_at_ms(r, aor_lease(a, i)));
    if (due_ms == UINT64_MAX)
        return;
    /* A later deadline needs no work: the timer looks again when it fires. */
    if (!timer_armed(&a->timer) || a->timer.due_ms > due_ms)
        wheel_arm(&r->rt->wheel, &a->timer, TIMER_AOR, due_ms);
}

void lease_settle(struct registrar *r, uint64_t hash)
{
    struct aor *a = location_find(location_of(r), hash);
    uint64_t action_ms = UINT64_MAX;
    struct left left;

    if (!a)
        return;
    a = expire(r, a, &left);
    if (left.live)
        home_settle(r, &a);
    for (unsigned i = 0; i <= a->further; i++) {
        action_ms = earlier(action_ms, see_to(r, &a, i, left.live));
        if (!a)
            return;
    }
    a = drop_spent_leases(r, a, left.live);
    if (is_spent(r, a)) {
        extras_forget(r, hash);
        journal_note(r->with.journal, hash);
        location_delete(location_of(r), a);
        return;
    }
    arm(r, a, &left, action_ms);
}

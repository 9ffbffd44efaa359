/*
 * registrar/reload: see the header.
 *
 * Called by its timer, by the health of the upstreams, by who reads FreeSWITCH's
 * events, by the operator, and by errand.c with what came of it, on the core thread.
 * Allocates nothing; holds the core for a few hundred records at most.
 */
#include "registrar/reload.h"

#include "registrar/errand.h"
#include "registrar/home.h"
#include "registrar/lane.h"
#include "registrar/lease.h"

/* Records that are looked at in one step, and the pause between two. */
#define STEP_RECORDS 400
#define STEP_MS      1
/* The pacer has enough: look again then. */
#define FULL_MS 20
/* A lease that is dropped is registered again so long after it was granted, at least. */
#define GONE_AGAIN_MS 2000
/* So much of a second's REGISTERs of ours waits in the pacer's line: what is done meanwhile
 * need not be done again, and one who comes finds few before him. */
#define WAITING_PARTS 4

static struct reload *reload_of(struct registrar *r, const struct upstream *u)
{
    return &r->reload[u - r->with.upstreams->list];
}

static struct upstream *upstream_of(struct registrar *r, const struct reload *l)
{
    return &r->with.upstreams->list[l - r->reload];
}

static void arm(struct registrar *r, struct reload *l, uint64_t after_ms)
{
    wheel_arm(&r->rt->wheel, &l->timer, TIMER_RELOAD, r->rt->now_ms + after_ms);
}

void reload_note_contact(struct registrar *r, struct upstream *u)
{
    char room[IMAGE_TEXT_MAX];
    struct buf text = buf_make(room, sizeof room);

    address_put(&text, &u->contact);
    journal_contact(r->with.journal, (unsigned)(u - r->with.upstreams->list), buf_done(&text));
}

static void end(struct registrar *r, struct reload *l)
{
    struct upstream *u = upstream_of(r, l);

    l->state = RELOAD_IDLE;
    l->ended_ms = r->rt->now_ms;
    if (l->walked && l->lost && !l->dry && upstream_is_up(u)) {
        journal_lost(r->with.journal, (unsigned)(l - r->reload), false);
        if (u->config->host) /* of others it is known, and stored, from the start */
            reload_note_contact(r, u);
    }
    runtime_log(r->rt, LOG_INFO, "reload_ended",
                "upstream=%s done=%llu failed=%llu due=%llu seconds=%llu", u->config->name,
                (unsigned long long)l->done, (unsigned long long)l->failed,
                (unsigned long long)l->marked,
                (unsigned long long)(l->ended_ms - l->began_ms + 999) / 1000);
}

static void end_if_answered(struct registrar *r, struct reload *l)
{
    if (l->state == RELOAD_ENDING && l->pending == 0)
        end(r, l);
}

/* ---- one lease ---------------------------------------------------------------------- */

static uint64_t granted_at_ms(const struct lease *l)
{
    uint64_t granted_ms = (uint64_t)l->granted_s * 1000;

    return l->until_ms > granted_ms ? l->until_ms - granted_ms : 0;
}

/* What is believed of it from now on, and after a crash. survive-max counts from here. */
static void forget_grant(struct registrar *r, struct aor *a, struct lease *l)
{
    l->next_ms = 0;
    if (l->until_ms <= r->rt->now_ms)
        return;
    l->until_ms = r->rt->now_ms;
    journal_change(r->with.journal, a);
}

/* Due, but not lost: half of what was granted is left (rules_lease_due()). */
static void mark_due(struct registrar *r, struct lease *l)
{
    uint64_t due_ms = r->rt->now_ms + (uint64_t)l->granted_s * 500;

    if (l->until_ms > due_ms)
        l->until_ms = due_ms;
}

/* May one more go now, by the rate that was asked for? */
static bool is_its_turn(struct registrar *r, struct reload *l)
{
    uint64_t now_us = r->rt->now_ms * 1000;

    if (l->rate == 0)
        return true;
    if (l->next_us > now_us)
        return false;
    /* What the steps left unused is not made up for later than this. */
    if (l->next_us + FULL_MS * 2000 < now_us)
        l->next_us = now_us - FULL_MS * 2000;
    l->next_us += 1000000 / l->rate;
    return true;
}

/* What waits there of phones is of no account: the pacer knows whose turn it is. */
static bool enough_wait(struct registrar *r, const struct reload *l)
{
    const struct pacer *p = &r->pacer[l - r->reload];
    uint32_t ours = p->queue[PACER_LOST].count + p->queue[PACER_SPARE].count;

    return p->rate && ours > p->rate / WAITING_PARTS;
}

enum reloaded { RELOADED, RELOAD_NO_PLACE };

/* Is there nothing to do with this lease, or was it done since the begin? */
static bool is_done(struct registrar *r, const struct reload *l, const struct lease *lease,
                    bool wanted)
{
    if (granted_at_ms(lease) > l->began_ms || (l->moved && lease_held(lease, r->rt->now_ms)))
        return true;
    return !wanted && !lease_possible(lease, r->rt->now_ms);
}

/* Its REGISTER goes; where the contact that it is for is not ours any more, that is removed
 * before it. False: no place. */
static bool send_register(struct registrar *r, struct reload *l, uint64_t hash, unsigned upstream)
{
    struct aor *a = location_find(r->with.location, hash);

    if (aor_lease_at(a, upstream)->stale && !errand_own(r, a, upstream, true))
        return false;
    a = location_find(r->with.location, hash); /* a removal that fails at once ends it */
    if (!a || !aor_lease_at(a, upstream))
        return true;
    if (!errand_reload(r, a, upstream, l->number))
        return false;
    l->pending++;
    return true;
}

/* Sends the lease's REGISTER, or marks it. */
static enum reloaded reload_lease(struct registrar *r, struct reload *l, struct aor *a,
                                  struct lease *lease)
{
    bool live = aor_live_count(a, r->rt->now_ms) > 0 && home_wants(r, a, lease);

    if (is_done(r, l, lease, live))
        return RELOADED;
    if (l->dry) {
        l->done += lease->means != MEANS_NONE;
        l->marked += lease->means == MEANS_NONE;
        return RELOADED;
    }
    if (lease->means == MEANS_NONE || !live) {
        l->lost ? forget_grant(r, a, lease) : mark_due(r, lease);
        l->marked += live;
        if (!live)
            lease_settle(r, a->hash);
        return RELOADED;
    }
    if (lane_refreshes(r, a->hash, lease->upstream)) {
        if (l->lost)
            forget_grant(r, a, lease);
        return RELOADED;
    }
    if (enough_wait(r, l) || !is_its_turn(r, l))
        return RELOAD_NO_PLACE;
    if (l->lost)
        forget_grant(r, a, lease);
    return send_register(r, l, a->hash, lease->upstream) ? RELOADED : RELOAD_NO_PLACE;
}

/* ---- the walk ------------------------------------------------------------------------ */

static void step(struct registrar *r, struct reload *l)
{
    unsigned upstream = (unsigned)(l - r->reload);

    for (unsigned i = 0; i < STEP_RECORDS; i++) {
        uint64_t here = l->at;
        void *found;

        if (!table_walk(&r->with.location->aors, &l->at, &found)) {
            l->state = RELOAD_ENDING;
            l->walked = true;
            l->total = l->done + l->failed + l->marked + l->pending; /* now it is known */
            end_if_answered(r, l);
            return;
        }
        if (!found)
            continue;
        struct aor *a = found;

        home_settle(r, &a);
        struct lease *lease = aor_lease_at(a, upstream);

        if (!lease)
            continue;
        if (reload_lease(r, l, a, lease) == RELOAD_NO_PLACE) {
            l->at = here;
            arm(r, l, FULL_MS);
            return;
        }
        l->seen++;
    }
    arm(r, l, STEP_MS);
}

static void on_timer(void *self, struct timer *t)
{
    struct reload *l = (struct reload *)((char *)t - offsetof(struct reload, timer));

    if (l->state == RELOAD_WALKING)
        step(self, l);
}

/* ---- from outside ---------------------------------------------------------------------- */

void reload_init(struct registrar *r)
{
    wheel_handler(&r->rt->wheel, TIMER_RELOAD, on_timer, r);
}

void reload_fini(struct registrar *r)
{
    for (unsigned i = 0; i < CONFIG_UPSTREAMS_MAX; i++)
        wheel_disarm(&r->rt->wheel, &r->reload[i].timer);
}

void reload_begin(struct registrar *r, struct upstream *u, const struct reload_order *order)
{
    struct reload *l = reload_of(r, u);
    unsigned upstream = (unsigned)(l - r->reload);
    uint16_t number = (uint16_t)(l->number + 1);
    bool walks = l->state == RELOAD_WALKING && !l->dry;
    /* What moves here meanwhile is seen by a whole walk, too. */
    bool goes_on = walks && order->moved && !l->moved;
    bool lost;

    if (order->lost)
        journal_lost(r->with.journal, upstream, true);
    lost = journal_is_lost(r->with.journal, upstream);
    wheel_disarm(&r->rt->wheel, &l->timer);
    *l = (struct reload){
        .state = RELOAD_WALKING,
        .lost = lost,
        .moved = order->moved && !goes_on && !lost,
        .dry = order->dry,
        .rate = goes_on ? l->rate : order->rate,
        .number = number ? number : 1,
        .began_ms = goes_on ? l->began_ms : r->rt->now_ms,
        .next_us = r->rt->now_ms * 1000,
        .total = demand_leases(r, upstream),
    };
    runtime_log(r->rt, order->lost ? LOG_WARN : LOG_INFO, "reload_begun",
                "upstream=%s leases=%llu reason=\"%s\"", u->config->name,
                (unsigned long long)l->total, order->why);
    arm(r, l, 0);
}

void reload_stop(struct registrar *r, struct upstream *u)
{
    struct reload *l = reload_of(r, u);

    if (l->state == RELOAD_IDLE)
        return;
    l->state = RELOAD_ENDING;
    end_if_answered(r, l);
}

void registrar_upstream_lost(struct registrar *r, struct upstream *u, const char *why)
{
    pacer_restart(&r->pacer[u - r->with.upstreams->list], r->rt->now_ms);
    reload_begin(r, u, &(struct reload_order){.lost = true, .why = why});
}

void reload_take_over(struct registrar *r, struct upstream *u, const struct upstream *gone)
{
    char why[128];

    snprintf(why, sizeof why, "%s is down, and its leases move here", gone->config->name);
    reload_begin(r, u, &(struct reload_order){.moved = true, .why = why});
}

void registrar_lease_gone(struct registrar *r, uint64_t aor_hash, const struct upstream *u)
{
    struct aor *a = location_find(r->with.location, aor_hash);
    struct lease *l = a ? aor_lease_at(a, (unsigned)(u - r->with.upstreams->list)) : NULL;
    uint64_t granted_ms;

    if (!l || !lease_held(l, r->rt->now_ms))
        return; /* that is known */
    granted_ms = granted_at_ms(l);
    forget_grant(r, a, l);
    /* One that drops what it has just granted is not asked again and again. */
    if (granted_ms + GONE_AGAIN_MS > r->rt->now_ms)
        l->next_ms = granted_ms + GONE_AGAIN_MS;
    lease_settle(r, aor_hash);
}

bool registrar_reload_one(struct registrar *r, uint64_t aor_hash)
{
    struct aor *a = location_find(r->with.location, aor_hash);

    if (!a)
        return false;
    home_settle(r, &a);
    for (unsigned i = 0; i <= a->further; i++) {
        struct lease *l = aor_lease(a, i);

        if (!upstream_is_up(&r->with.upstreams->list[l->upstream]) || !home_wants(r, a, l))
            continue;
        if (l->means == MEANS_NONE)
            mark_due(r, l);
        else
            forget_grant(r, a, l); /* so that lease_settle() registers it */
    }
    lease_settle(r, aor_hash);
    return true;
}

const struct reload *registrar_reload(const struct registrar *r, const struct upstream *u)
{
    return &r->reload[u - r->with.upstreams->list];
}

void reload_answered(struct registrar *r, const struct errand *e, enum reload_end how)
{
    struct reload *l = &r->reload[e->upstream];

    if (l->number != e->reload || l->pending == 0)
        return; /* of one that was begun anew since */
    l->pending--;
    l->done += how == RELOAD_GRANTED;
    l->marked += how == RELOAD_CHALLENGED;
    l->failed += how == RELOAD_FAILED;
    end_if_answered(r, l);
}

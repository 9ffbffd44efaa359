/*
 * upstream/health: pings main registrars, and notices when they are gone and back.
 *
 * Called by its own timer, by the transactions of its pings, and by the registrar
 * with what REGISTERs get, on the core thread. Never blocks. At most one ping is on
 * its way to each.
 */
#include "upstream/health.h"

#include "upstream/probe.h"

/* So many pings in a row are lost until it is down. */
#define LOST_MAX 2
/* While it is down it is asked so often: it shall not wait for us once it is back. */
#define DOWN_EVERY_MS 1000
/* A ping on its way is copied after 0.5 s and 1 s more (timer E, RFC 3261): it is
 * given the time for one copy, but where pings are so frequent that it would take
 * longer than two intervals to see that it is down. */
#define LOST_LEAST_MS 700

static struct upstream *upstream_of(struct timer *t)
{
    struct health *h = (struct health *)((char *)t - offsetof(struct health, timer));

    return (struct upstream *)((char *)h - offsetof(struct upstream, health));
}

static void arm(struct upstream *u, uint64_t due_ms)
{
    wheel_arm(&u->all->rt->wheel, &u->health.timer, TIMER_PING, due_ms);
}

static uint64_t interval_ms(const struct upstream *u)
{
    return u->health.state == HEALTH_DOWN ? DOWN_EVERY_MS : u->config->ping_interval_ms;
}

/* When a ping that has left at `asked_ms` is lost. */
static uint64_t lost_at_ms(const struct upstream *u)
{
    uint64_t interval_ms = u->config->ping_interval_ms;
    uint64_t least_ms = interval_ms / 2 < LOST_LEAST_MS ? interval_ms / 2 : LOST_LEAST_MS;

    if (u->health.state == HEALTH_DOWN)
        return u->health.asked_ms + LOST_LEAST_MS;
    return u->health.asked_ms + (interval_ms / 3 > least_ms ? interval_ms / 3 : least_ms);
}

/* ---- down and up --------------------------------------------------------------- */

static void enter(struct upstream *u, enum health_state state)
{
    u->health.state = state;
    u->health.since_ms = u->all->rt->now_ms;
    u->health.lost = 0;
}

static void go_down(struct upstream *u)
{
    enter(u, HEALTH_DOWN);
    runtime_log(u->all->rt, LOG_ERROR, "upstream_down",
                "upstream=%s remedy=\"it answers no pings: see whether it runs and can be reached; "
                "known phones are served meanwhile, and leases registered again when it is back\"",
                u->config->name);
    upstream_tell_down(u);
}

static void go_up(struct upstream *u)
{
    uint64_t gone_ms = u->all->rt->now_ms - u->health.since_ms;

    enter(u, HEALTH_UP);
    u->health.returned_ms = u->all->rt->now_ms;
    u->name.tried = 0;
    runtime_log(u->all->rt, LOG_WARN, "upstream_up", "upstream=%s gone_s=%llu", u->config->name,
                (unsigned long long)(gone_ms + 999) / 1000);
    upstream_tell_returned(u);
}

/* ---- pings ----------------------------------------------------------------------- */

static void ping(struct upstream *u, bool by_register);

static bool pings_by_register(const struct upstream *u)
{
    return u->health.state == HEALTH_DOWN || u->health.answers_register;
}

/* Nobody waits for the last ping any more. */
static void give_up(struct upstream *u)
{
    struct client_tx *tx = client_get(u->all->transactions, u->health.asked);

    u->health.asked = HANDLE_NONE;
    u->health.waits = false;
    if (tx)
        client_abandon(tx);
}

/* Who answers REGISTERs is there; it may drop the rest when it has too much to do. */
static bool is_heard(const struct health *h)
{
    return h->state == HEALTH_UP && h->heard_ms > h->asked_ms;
}

static void lost(struct upstream *u)
{
    struct health *h = &u->health;

    give_up(u);
    if (is_heard(h)) {
        ping(u, pings_by_register(u));
        return;
    }
    h->lost++;
    if (h->state == HEALTH_DOWN) {
        arm(u, h->asked_ms + DOWN_EVERY_MS);
        name_silent(u);
        return;
    }
    if (h->lost < LOST_MAX) {
        ping(u, pings_by_register(u));
        return;
    }
    /* Does it take no OPTIONS at all? */
    if (h->lost == LOST_MAX && !h->answers_options && !h->answers_register) {
        ping(u, true);
        return;
    }
    go_down(u);
    ping(u, true);
}

static void answered(struct upstream *u)
{
    struct health *h = &u->health;

    h->rtt_ms = (uint32_t)(u->all->rt->now_ms - h->asked_ms);
    h->lost = 0;
    h->waits = false;
    arm(u, h->asked_ms + interval_ms(u));
}

static struct upstream *pinged(void *self, const struct client_tx *tx)
{
    struct upstreams *all = self;
    struct upstream *u = &all->list[tx->owner];

    return u->health.waits && client_get(all->transactions, u->health.asked) == tx ? u : NULL;
}

static void on_response(void *self, struct client_tx *tx, const struct sip_message *response)
{
    struct upstream *u = pinged(self, tx);
    int status = response->status;

    if (!u || status < 200)
        return;
    if (tx->method == SIP_OPTIONS) {
        u->health.answers_options = true;
        answered(u);
        return;
    }
    if (health_is_trouble(status)) { /* it runs, and takes no registrations */
        u->health.waits = false;
        if (u->health.state == HEALTH_UP && ++u->health.lost >= LOST_MAX)
            go_down(u);
        arm(u, u->health.asked_ms + DOWN_EVERY_MS);
        return;
    }
    /* While it was down nothing else was asked. */
    if (u->health.state == HEALTH_UP && !u->health.answers_options)
        u->health.answers_register = true;
    answered(u);
    health_answered(u, status);
}

/* Timer F cannot come before the ping is lost; a stream's end could. */
static void on_timeout(void *self, struct client_tx *tx)
{
    struct upstream *u = pinged(self, tx);

    if (u)
        arm(u, u->all->rt->now_ms);
}

static const struct client_user ping_user = {.response = on_response, .timeout = on_timeout};

static void ping(struct upstream *u, bool by_register)
{
    struct health *h = &u->health;
    struct client_tx *tx;

    give_up(u);
    tx = by_register ? probe_send(u, &ping_user) : probe_options(u, &u->flow, &ping_user);

    h->asked_ms = u->all->rt->now_ms;
    h->asked = tx ? tx->handle : HANDLE_NONE;
    h->waits = tx != NULL;
    /* Without memory nothing is learned. */
    arm(u, tx ? lost_at_ms(u) : h->asked_ms + interval_ms(u));
}

static void on_timer(void *self, struct timer *t)
{
    struct upstream *u = upstream_of(t);

    (void)self;
    if (u->health.waits)
        lost(u);
    else if (u->health.state == HEALTH_DOWN || u->config->ping_interval_ms)
        ping(u, pings_by_register(u));
}

/* ---- the room's side ---------------------------------------------------------------- */

void health_init(struct upstreams *all)
{
    for (unsigned i = 0; i < all->count; i++)
        all->list[i].health.since_ms = all->rt->now_ms;
    wheel_handler(&all->rt->wheel, TIMER_PING, on_timer, all);
}

void health_start(struct upstream *u)
{
    if (u->config->ping_interval_ms)
        ping(u, false);
}

void health_answered(struct upstream *u, int status)
{
    if (health_is_trouble(status))
        return;
    u->health.heard_ms = u->all->rt->now_ms;
    if (u->health.state == HEALTH_UP)
        return;
    go_up(u);
    if (!u->health.waits && u->config->ping_interval_ms)
        arm(u, u->all->rt->now_ms + u->config->ping_interval_ms);
}

void health_restarted(struct upstream *u)
{
    if (u->health.state == HEALTH_UP) {
        enter(u, HEALTH_DOWN);
        upstream_tell_down(u);
    }
    ping(u, true);
}

void health_refused(struct upstream *u)
{
    if (u->health.waits)
        lost(u);
    else if (u->health.state == HEALTH_UP && u->config->ping_interval_ms)
        ping(u, pings_by_register(u));
}

/*
 * registrar/storm: see the header.
 *
 * Called by errand.c and by its timer, on the core thread. Allocates nothing.
 */
#include "registrar/storm.h"

#include "registrar/driver.h"

/* Retry-After is 5 s in the mean (answer.c): who was refused is back within a window. */
#define WINDOW_MS 8000
#define LOOK_MS   1000
#define SAY_MS    10000
/* What takes less is none. */
#define LEAST_S 5

static struct storm *storm_of(struct registrar *r, unsigned upstream)
{
    return &r->storm[upstream];
}

/* The last window that has come to its end, or this one if it is worse. */
static uint32_t refused_of_late(const struct storm *s)
{
    return s->before > s->refused ? s->before : s->refused;
}

uint32_t storm_seconds(const struct registrar *r, unsigned upstream)
{
    const struct storm *s = &r->storm[upstream];
    const struct pacer *p = &r->pacer[upstream];
    uint64_t outside = (uint64_t)pacer_waiting(p) + refused_of_late(s);

    if (p->rate == 0)
        return 0;
    outside = (outside + p->rate - 1) / p->rate;
    return outside < LEAST_S ? 0 : (uint32_t)outside;
}

static void turn_window(struct registrar *r, struct storm *s)
{
    uint64_t now_ms = r->rt->now_ms;

    if (now_ms - s->window_ms < WINDOW_MS)
        return;
    s->before = now_ms - s->window_ms < UINT64_C(2) * WINDOW_MS ? s->refused : 0;
    s->refused = 0;
    s->window_ms = now_ms;
}

static void say(struct registrar *r, struct storm *s, uint32_t seconds)
{
    unsigned upstream = (unsigned)(s - r->storm);
    const struct pacer *p = &r->pacer[upstream];

    s->said_ms = r->rt->now_ms;
    runtime_log(r->rt, LOG_WARN, "storm",
                "upstream=%s waiting=%u refused=%u rate=%u seconds=%u remedy=\"none needed: known "
                "phones are served, new ones as fast as it takes them; raise rate-max if it can "
                "take more\"",
                r->with.upstreams->list[upstream].config->name, pacer_waiting(p),
                refused_of_late(s), p->rate, seconds);
}

static void end(struct registrar *r, struct storm *s)
{
    s->on = false;
    runtime_log(r->rt, LOG_INFO, "storm_over", "upstream=%s seconds=%llu",
                r->with.upstreams->list[s - r->storm].config->name,
                (unsigned long long)(r->rt->now_ms - s->began_ms + 999) / 1000);
}

static void look(struct registrar *r, struct storm *s)
{
    uint32_t seconds;

    turn_window(r, s);
    seconds = storm_seconds(r, (unsigned)(s - r->storm));
    if (seconds && !s->on) {
        s->on = true;
        s->began_ms = r->rt->now_ms;
        say(r, s, seconds);
    } else if (seconds && r->rt->now_ms - s->said_ms >= SAY_MS) {
        say(r, s, seconds);
    } else if (!seconds && s->on) {
        end(r, s);
    }
    if (s->on || refused_of_late(s))
        wheel_arm(&r->rt->wheel, &s->timer, TIMER_STORM, r->rt->now_ms + LOOK_MS);
}

static void on_timer(void *self, struct timer *t)
{
    look(self, (struct storm *)((char *)t - offsetof(struct storm, timer)));
}

void storm_init(struct registrar *r)
{
    wheel_handler(&r->rt->wheel, TIMER_STORM, on_timer, r);
}

void storm_fini(struct registrar *r)
{
    for (unsigned i = 0; i < CONFIG_UPSTREAMS_MAX; i++)
        wheel_disarm(&r->rt->wheel, &r->storm[i].timer);
}

void storm_refused(struct registrar *r, unsigned upstream)
{
    struct storm *s = storm_of(r, upstream);

    turn_window(r, s);
    s->refused++;
    storm_waits(r, upstream);
}

void storm_waits(struct registrar *r, unsigned upstream)
{
    struct storm *s = storm_of(r, upstream);

    if (!timer_armed(&s->timer))
        wheel_arm(&r->rt->wheel, &s->timer, TIMER_STORM, r->rt->now_ms + LOOK_MS);
}

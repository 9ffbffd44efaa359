/*
 * faults: makes the plan and carries it out.
 *
 * Called at the beginning and by its own events. A restart is a sequence, as a
 * FreeSWITCH's is: silence, 503 with a Retry-After nobody should obey, service.
 */
#include "sim.h"

#define EVENING       FAULTS_MAX
#define CRASH         (FAULTS_MAX + 1)
#define EVENING_SPAN  (12 * MINUTE)
#define CALM_SHORTEST (16 * MINUTE)

static const char *const names[] = {"network", "cut",        "silence",   "restart", "purge",
                                    "flush",   "busy (503)", "shortened", "refused", "crash"};

bool sim_evening(const struct sim *s)
{
    return s->now_us + EVENING_SPAN >= s->options->day_us;
}

bool faults_calm_for(const struct sim *s, uint64_t us)
{
    return s->faults.running == 0 && s->now_us >= s->faults.calm_since_us + us;
}

static void add(struct sim *s, enum fault_kind kind, uint64_t begins_us, uint64_t ends_us)
{
    struct faults *f = &s->faults;

    if (f->count == FAULTS_MAX)
        return;
    f->plan[f->count] =
        (struct fault){kind, begins_us, ends_us, (uint32_t)chance_next(&f->chance), false};
    queue_push(&s->queue, begins_us, EVENT_FAULT, f->count, NULL);
    queue_push(&s->queue, ends_us, EVENT_FAULT, f->count, NULL);
    f->count++;
}

/* How long a fault of this kind lasts. */
static uint64_t length_us(struct chance *c, enum fault_kind kind)
{
    switch (kind) {
    case FAULT_NETWORK:
        return chance_between(c, 1, 30) * MINUTE;
    case FAULT_CUT:
        return chance_between(c, 1, 90) * SECOND;
    case FAULT_SILENCE:
        return chance_percent(c, 80) ? chance_between(c, 1, 120) * SECOND
                                     : chance_between(c, 2, 20) * MINUTE;
    case FAULT_RESTART:
    case FAULT_PURGE:
        return chance_between(c, 2, 60) * SECOND;
    case FAULT_FLUSH:
        return SECOND;
    case FAULT_CRASH:
        return MINUTE;
    case FAULT_BUSY:
        return chance_between(c, 1, 120) * SECOND;
    case FAULT_SHORTENED:
        return chance_between(c, 1, 20) * MINUTE;
    case FAULT_REFUSED:
        return chance_between(c, 1, 20) * MINUTE;
    case FAULT_KINDS:
        break;
    }
    return SECOND;
}

static void plan_bad_time(struct sim *s, uint64_t begins_us, uint64_t ends_us)
{
    struct chance *c = &s->faults.chance;

    for (unsigned n = 1 + chance_below(c, 8); n > 0; n--) {
        enum fault_kind kind = (enum fault_kind)chance_below(c, FAULT_KINDS);
        uint64_t from_us = chance_between(c, begins_us, ends_us);
        uint64_t until_us = from_us + length_us(c, kind);

        add(s, kind, from_us, until_us < ends_us ? until_us : ends_us + SECOND);
    }
}

void faults_init(struct sim *s)
{
    struct chance *c = &s->faults.chance;
    uint64_t evening_us = s->options->day_us - EVENING_SPAN;
    uint64_t at_us;

    *c = chance_of(s->options->seed, STREAM_FAULTS);
    /* Some days begin badly. */
    at_us = chance_percent(c, 30) ? 0 : chance_between(c, 5, 30) * MINUTE;
    while (at_us + HOUR < evening_us) {
        uint64_t bad_us = chance_between(c, 5, 40) * MINUTE;

        plan_bad_time(s, at_us, at_us + bad_us);
        at_us += bad_us + CALM_SHORTEST + chance_below(c, 20) * MINUTE;
    }
    queue_push(&s->queue, evening_us, EVENT_FAULT, EVENING, NULL);
}

/* ---- carrying it out ----------------------------------------------------------------- */

static void set_network(struct sim *s)
{
    static const uint32_t losses[] = {10, 50, 200, 400};
    struct network *n = &s->network;

    n->level[SIDE_PHONES] = n->level[SIDE_PBX] = (struct network_level){0, 0, 0};
    for (unsigned i = 0; i < s->faults.count; i++) {
        const struct fault *f = &s->faults.plan[i];
        uint32_t detail = f->detail;

        if (!f->running || (f->kind != FAULT_NETWORK && f->kind != FAULT_CUT))
            continue;
        for (unsigned side = 0; side < SIDES; side++, detail >>= 8) {
            struct network_level *level = &n->level[side];

            if (f->kind == FAULT_CUT && (f->detail >> 16) % SIDES == side)
                level->loss = 1000;
            if (f->kind == FAULT_CUT || detail % 4 == 0)
                continue;
            if (level->loss < losses[detail / 4 % 4])
                level->loss = losses[detail / 4 % 4];
            level->duplicate = detail / 16 % 4 * 60;
            level->late = detail / 64 % 4 * 60;
        }
    }
}

static bool any_running(const struct sim *s, enum fault_kind kind)
{
    for (unsigned i = 0; i < s->faults.count; i++)
        if (s->faults.plan[i].running && s->faults.plan[i].kind == kind)
            return true;
    return false;
}

static void set_pbx(struct sim *s)
{
    struct pbx *pbx = &s->pbx;

    pbx->silent = any_running(s, FAULT_SILENCE) || any_running(s, FAULT_RESTART) ||
                  any_running(s, FAULT_PURGE);
    pbx->busy = any_running(s, FAULT_BUSY);
    pbx->shortened = any_running(s, FAULT_SHORTENED);
}

static void begin(struct sim *s, struct fault *f)
{
    switch (f->kind) {
    case FAULT_RESTART:
        pbx_restart(s, false);
        break;
    case FAULT_PURGE:
        pbx_restart(s, true);
        break;
    case FAULT_FLUSH:
        pbx_flush(s);
        break;
    case FAULT_REFUSED:
        s->people.list[f->detail % s->people.count].refused = true;
        break;
    case FAULT_CRASH:
        s->faults.crash_wanted = true;
        break;
    default:
        break;
    }
}

static void crash(struct sim *s)
{
    s->faults.crash_wanted = false;
    world_crash(s);
}

/* Shortly before it is done, or shortly after. */
void faults_writing(struct sim *s, uint64_t us)
{
    if (!s->faults.crash_wanted)
        return;
    s->faults.crash_wanted = false;
    queue_push(&s->queue, s->now_us + chance_below(&s->faults.chance, (uint32_t)(us + us / 4)),
               EVENT_FAULT, CRASH, NULL);
}

static void end(struct sim *s, struct fault *f)
{
    if (f->kind == FAULT_CRASH && s->faults.crash_wanted)
        crash(s); /* nothing was written */
    if (f->kind == FAULT_RESTART || f->kind == FAULT_PURGE) {
        /* It is up, but not ready: for a moment it says 410 or 503. */
        pbx_awake(s, s->now_us + chance_between(&s->faults.chance, 50, 3000) * 1000,
                  f->detail % 2 ? 503 : 410);
    }
    if (f->kind == FAULT_REFUSED)
        s->people.list[f->detail % s->people.count].refused = false;
}

void faults_event(struct sim *s, uint32_t who)
{
    struct faults *faults = &s->faults;

    if (who == EVENING) {
        TRACE(s, NO_AOR, "---- evening: all leave");
        phones_to_bed(s);
        return;
    }
    if (who == CRASH) {
        TRACE(s, NO_AOR, "---- crash");
        crash(s);
        return;
    }
    struct fault *f = &faults->plan[who];
    f->running = !f->running;
    TRACE(s, NO_AOR, "---- fault %s %s (%x)", names[f->kind], f->running ? "begins" : "ends",
          f->detail);
    if (f->running) {
        faults->running++;
        begin(s, f);
    } else {
        faults->running--;
        faults->calm_since_us = s->now_us + NETWORK_LATE_MAX_US + SECOND;
        end(s, f);
    }
    set_network(s);
    set_pbx(s);
}

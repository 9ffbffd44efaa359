/*
 * engine: runs the operations of one command, closed or open loop.
 *
 * Closed: `window` operations are always on their way. Open (a rate is given): each
 * begins at its time, whatever became of the others, and its duration counts from
 * that time, also when we were late to begin it. Called by main.c.
 */
#include "load.h"

#include <inttypes.h>
#include <time.h>
#include <unistd.h>

#define SWEEP_NS 100000000ull

struct measured {
    struct usage usage;
    struct tally tally;
    uint64_t sent, received, sent_bytes, received_bytes;
    uint64_t at_ns;
};

uint64_t load_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

struct slot *engine_slot(struct load *l, uint32_t slot, uint32_t generation)
{
    if (slot >= l->order.window || !l->slot[slot].busy || l->slot[slot].generation != generation)
        return NULL;
    return &l->slot[slot];
}

static void explain(struct load *l, const char *why, struct span seen)
{
    size_t line = 0;

    if (l->tally.why[0])
        return;
    while (line < seen.n && line < 100 && (unsigned char)seen.p[line] >= ' ' &&
           seen.p[line] != '"' && seen.p[line] != '\\')
        line++;
    snprintf(l->tally.why, sizeof l->tally.why, "%s: %.*s", why, (int)line, seen.p ? seen.p : "");
}

static void finish(struct load *l, uint32_t slot)
{
    struct slot *s = &l->slot[slot];

    latency_add(&l->latency, l->now_ns > s->due_ns ? l->now_ns - s->due_ns : 0);
    s->busy = false;
    s->generation++;
    l->free_slot[l->free_slots++] = slot;
    l->ended++;
}

void engine_good(struct load *l, uint32_t slot)
{
    l->tally.good++;
    finish(l, slot);
}

void engine_bad(struct load *l, uint32_t slot, const char *why, struct span seen)
{
    explain(l, why, seen);
    l->tally.bad++;
    finish(l, slot);
}

void engine_wrong(struct load *l, const char *why, struct span seen)
{
    explain(l, why, seen);
    l->tally.stray++;
}

static void receive(void *self, unsigned socket, struct span datagram)
{
    struct load *l = self;
    struct fields f;

    if (l->order.work == &work_floor) {
        work_floor.receive(l, socket, NULL, datagram);
        return;
    }
    if (!fields_read(datagram, &f))
        engine_wrong(l, "not understood", datagram);
    else if (socket == WIRE_UPSTREAM && !f.status)
        pbx_receive(l, &f, datagram);
    else
        l->order.work->receive(l, socket, &f, datagram);
}

/* Scattered: a step that has no divisor in common with the range goes through all
 * of it, far from its neighbours each time. */
static uint64_t step_of(uint64_t range)
{
    uint64_t step = (uint64_t)((double)range * 0.6180339887) | 1;

    for (;; step += 2) {
        uint64_t a = step, b = range;

        while (b) {
            uint64_t rest = a % b;

            a = b;
            b = rest;
        }
        if (a == 1)
            return step;
    }
}

static uint32_t aor_of(const struct order *o, uint64_t number, uint64_t step)
{
    uint64_t at = o->in_order ? number % o->range : number % o->range * step % o->range;

    return (uint32_t)(o->first + at);
}

static void begin_due(struct load *l, uint64_t began_ns, uint64_t until, uint64_t step)
{
    const struct order *o = &l->order;

    while (l->begun < until && l->free_slots) {
        uint64_t number = l->begun;
        uint64_t due_ns = o->rate ? began_ns + number * 1000000000 / o->rate : l->now_ns;
        uint32_t slot;
        struct slot *s;

        if (due_ns > l->now_ns)
            return;
        slot = l->free_slot[--l->free_slots];
        s = &l->slot[slot];
        s->number = number;
        s->due_ns = due_ns;
        s->began_ns = l->now_ns;
        s->aor = aor_of(o, number, step);
        s->busy = true;
        l->begun++;
        o->work->begin(l, slot);
    }
}

static void sweep(struct load *l)
{
    for (uint32_t i = 0; i < l->order.window; i++) {
        const struct slot *s = &l->slot[i];

        if (s->busy && l->now_ns - s->began_ns > LOST_AFTER_MS * 1000000ull) {
            explain(l, "no answer in time", SPAN_NONE);
            l->tally.lost++;
            finish(l, i);
        }
    }
}

/* Until `until` operations have begun and all have ended. */
static bool run_until(struct load *l, uint64_t until, uint64_t step)
{
    uint64_t began_ns, swept_ns;

    l->now_ns = began_ns = swept_ns = load_now_ns();
    l->begun = l->ended = 0;
    l->free_slots = 0;
    for (uint32_t i = l->order.window; i-- > 0;)
        l->free_slot[l->free_slots++] = i;
    while (l->ended < until) {
        begin_due(l, began_ns, until, step);
        wire_flush(&l->wire);
        /* An open loop looks all the time: sleeping would cost it its punctuality. */
        if (!wire_receive(&l->wire, l->order.rate ? 0 : 50, receive, l)) {
            fprintf(stderr, "load: nobody listens at the server's address\n");
            return false;
        }
        l->now_ns = load_now_ns();
        if (l->now_ns - swept_ns > SWEEP_NS) {
            sweep(l);
            if (l->order.work->tick)
                l->order.work->tick(l, (l->now_ns - began_ns) / 1000000);
            swept_ns = l->now_ns;
        }
    }
    wire_flush(&l->wire);
    return true;
}

/* Answers that come after the end of their operation, if any. */
static bool drain(struct load *l)
{
    uint64_t received;

    do {
        received = l->wire.received;
        if (!wire_receive(&l->wire, 5, receive, l))
            return false;
        wire_flush(&l->wire);
    } while (l->wire.received != received);
    return true;
}

static bool measure(struct load *l, struct measured *m)
{
    if (l->server.count && !usage_read(&l->server, &m->usage))
        return false;
    m->sent = l->wire.sent;
    m->received = l->wire.received;
    m->sent_bytes = l->wire.sent_bytes;
    m->received_bytes = l->wire.received_bytes;
    m->at_ns = load_now_ns();
    return true;
}

static void report(const struct load *l, const struct measured *a, const struct measured *b)
{
    const struct tally *t = &l->tally;
    const struct latency *d = &l->latency;
    double count = (double)l->order.count;
    double ticks_user = (double)(b->usage.user_ticks - a->usage.user_ticks);
    double ticks_system = (double)(b->usage.system_ticks - a->usage.system_ticks);
    double ticks = ticks_user + ticks_system;

    printf("{\"count\": %" PRIu64 ", \"good\": %" PRIu64 ", \"bad\": %" PRIu64
           ", \"lost\": %" PRIu64 ", \"stray\": %" PRIu64 ", \"repeated\": %" PRIu64
           ", \"upstream\": %" PRIu64 ", \"rings\": %" PRIu64 ", \"why\": \"%s\", ",
           l->order.count, t->good, t->bad, t->lost, t->stray, t->repeated, t->upstream, t->rings,
           t->why);
    printf("\"cpu_us\": %.4f, \"user_share\": %.3f, \"seconds\": %.4f, \"sent\": %.3f, "
           "\"received\": %.3f, \"sent_bytes\": %.1f, \"received_bytes\": %.1f, ",
           (double)(b->usage.run_ns - a->usage.run_ns) / 1000 / count,
           ticks > 0 ? ticks_user / ticks : 0, (double)(b->at_ns - a->at_ns) / 1e9,
           (double)(b->sent - a->sent) / count, (double)(b->received - a->received) / count,
           (double)(b->sent_bytes - a->sent_bytes) / count,
           (double)(b->received_bytes - a->received_bytes) / count);
    printf("\"p50_us\": %.1f, \"p90_us\": %.1f, \"p99_us\": %.1f, \"p999_us\": %.1f, "
           "\"max_us\": %.1f, \"ring_ms\": %.2f}\n",
           (double)latency_at(d, 500) / 1e3, (double)latency_at(d, 900) / 1e3,
           (double)latency_at(d, 990) / 1e3, (double)latency_at(d, 999) / 1e3,
           (double)d->most_ns / 1e3,
           t->rings ? ((double)t->ring_last_ns - (double)a->at_ns) / 1e6 : 0);
    fflush(stdout);
}

bool engine_run(struct load *l)
{
    uint64_t step = step_of(l->order.range);
    struct measured before = {0}, after = {0};

    memset(&l->tally, 0, sizeof l->tally);
    if (l->order.warm && (!run_until(l, l->order.warm, step) || !drain(l)))
        return false;
    struct tally warm = l->tally;
    memset(&l->tally, 0, sizeof l->tally);
    memset(&l->latency, 0, sizeof l->latency);
    if (!measure(l, &before) || !run_until(l, l->order.count, step) || !drain(l) ||
        !measure(l, &after))
        return false;
    l->tally.bad += warm.bad + warm.lost; /* a fault is a fault */
    if (!l->tally.why[0])
        memcpy(l->tally.why, warm.why, sizeof l->tally.why);
    report(l, &before, &after);
    return true;
}

/*
 * registrar/pacer: see the header.
 *
 * Called by errand.c on the core thread. Never allocates.
 */
#include "registrar/pacer.h"

#include <assert.h>

/* Design 3.6: the rate is not halved below this. */
#define RATE_LEAST 10
/* One place of so many is theirs where others wait too; 0: there is no such right. Nobody
 * shall be without a registration for as long as others come, or the other way round. */
static const unsigned share[PACER_CLASSES] = {[PACER_LOST] = 3, [PACER_STRANGER] = 5};
/* So much of a second's REGISTERs is unanswered at a time. One that drops what comes too
 * fast would otherwise be kept busy with copies alone (timer E, RFC 3261 17.1.2.2): each
 * comes three times within 3.5 s. */
#define UNANSWERED_PARTS 4
/* Below this nothing is learned from a second: one lease's 503 is its own. */
#define BAD_LEAST 2
/* One that is gone so soon after it had too much may be gone because of that. */
#define OURS_MS 5000
/* However slow the upstream, so many may wait in each class. */
#define QUEUE_LEAST 8

/* How many seconds' worth of places each class may wait for. The known ones wait
 * as long as phones do; midreg's own come again by themselves. */
static const uint32_t queue_seconds[PACER_CLASSES] = {[PACER_LEASE] = 2,
                                                      [PACER_KNOWN] = 16,
                                                      [PACER_SPARE] = 2,
                                                      [PACER_LOST] = 2,
                                                      [PACER_STRANGER] = 1};

void pacer_init(struct pacer *p, uint32_t rate, uint32_t rate_max, uint64_t now_ms)
{
    *p = (struct pacer){
        .rate = rate,
        .rate_least = rate < RATE_LEAST ? rate : RATE_LEAST,
        .rate_most = rate < rate_max ? rate_max : rate,
        .rate_first = rate,
        .second_ms = now_ms,
    };
}

static void begin_second(struct pacer *p, uint64_t now_ms)
{
    for (unsigned i = 0; i < PACER_OUTCOMES; i++)
        p->came[i] = 0;
    p->pressed = false;
    p->second_ms = now_ms;
}

void pacer_restart(struct pacer *p, uint64_t now_ms)
{
    p->rate = p->rate_first;
    p->restarted_ms = now_ms;
    if (now_ms - p->halved_ms > OURS_MS)
        p->too_much = 0;
    p->took[0] = p->took[1] = 0;
    p->settling = false;
    p->silent = false;
    p->was_silent = false;
    begin_second(p, now_ms);
}

/* ---- the rate ------------------------------------------------------------------ */

/* Doubled, it would be more than half of what was too much; or it is that, and a quarter
 * more at most: beyond, that was a passing trouble. */
static bool is_near_too_much(const struct pacer *p)
{
    return p->rate * UINT64_C(4) > p->too_much &&
           p->rate * UINT64_C(4) <= p->too_much * UINT64_C(5);
}

/* The rate seeks what is too much fast, and again where that is known to be far: a restarted
 * one shall have its leases back soon. */
static void climb(struct pacer *p)
{
    if (!is_near_too_much(p))
        p->rate *= 2;
    else
        p->rate += p->rate >= 10 ? p->rate / 10 : 1;
    p->rate = p->rate < p->rate_most ? p->rate : p->rate_most;
}

static uint32_t between(uint32_t least, uint32_t n, uint32_t most)
{
    return n < least ? least : n > most ? most : n;
}

/* What is late now was sent a second ago or two, before the rate climbed: at what the
 * upstream took then. */
static uint32_t rate_of_late_ones(const struct pacer *p)
{
    uint32_t took = p->took[0] > p->took[1] ? p->took[0] : p->took[1];

    return took ? between(p->rate / 4, took, p->rate) : p->rate;
}

/* Much less than what was too much may be late because of that: it is believed by and by. */
static void halve(struct pacer *p, uint64_t now_ms)
{
    uint32_t rate = rate_of_late_ones(p);

    p->rate = between(p->rate_least, rate / 2, p->rate_most);
    p->too_much = between(p->too_much - p->too_much / 4, rate, UINT32_MAX);
    p->halved_ms = now_ms;
}

/* Looks back on a second: halves, climbs, or leaves the rate as it is. */
static void look_back(struct pacer *p, uint64_t now_ms)
{
    uint32_t bad = p->came[PACER_TROUBLE] + p->came[PACER_LATE];
    uint32_t quick = p->came[PACER_QUICK];

    if (p->rate == 0 || now_ms - p->second_ms < 1000)
        return;
    if (bad >= BAD_LEAST && bad * UINT64_C(10) > quick + bad) {
        /* What was sent at the old rate is still coming home: once is enough. And one that
         * is silent gets next to nothing, whatever the rate. */
        if (!p->settling && !p->was_silent)
            halve(p, now_ms);
        p->settling = !p->settling;
    } else {
        p->took[1] = p->took[0];
        p->took[0] = p->pressed ? quick : 0;
        if (p->took[0])
            climb(p);
        p->settling = false;
    }
    p->was_silent = p->silent;
    begin_second(p, now_ms);
}

void pacer_outcome(struct pacer *p, uint64_t now_ms, uint64_t sent_ms, enum pacer_outcome what)
{
    look_back(p, now_ms);
    if (sent_ms < p->restarted_ms)
        return;
    p->came[what]++;
    if (what != PACER_LATE)
        p->answered_ms = now_ms;
    p->silent = what == PACER_LATE && p->answered_ms <= sent_ms;
}

/* ---- the bucket ----------------------------------------------------------------- */

/* A burst of a tenth of a second's worth may go at once. */
static uint64_t burst_us(const struct pacer *p)
{
    return p->rate >= 10 ? 100000 : 0;
}

static bool is_free(const struct pacer *p, uint64_t now_ms)
{
    return p->rate == 0 || p->next_us <= now_ms * 1000;
}

static void spend(struct pacer *p, uint64_t now_ms)
{
    uint64_t now_us = now_ms * 1000;

    if (p->rate == 0)
        return;
    /* An idle bucket fills up to the burst and no further. */
    if (p->next_us + burst_us(p) < now_us)
        p->next_us = now_us - burst_us(p);
    p->next_us += (1000000 + p->rate - 1) / p->rate; /* rounded up: never faster */
}

/* ---- what is unanswered ---------------------------------------------------------- */

void pacer_sent(struct pacer *p, bool stranger)
{
    stranger ? p->out_strangers++ : p->out++;
}

void pacer_landed(struct pacer *p, bool stranger)
{
    uint32_t *out = stranger ? &p->out_strangers : &p->out;

    assert(*out);
    --*out;
}

/* Strangers are in nobody's way: anybody could send what is not answered. */
static bool enough_are_out(const struct pacer *p, bool stranger)
{
    uint32_t out = p->out + (stranger ? p->out_strangers : 0);
    uint32_t most = p->rate / UNANSWERED_PARTS;

    if (p->silent && most > RATE_LEAST)
        most = RATE_LEAST;
    return p->rate && out > most;
}

/* ---- taking a place at once -------------------------------------------------------- */

uint32_t pacer_waiting(const struct pacer *p)
{
    uint32_t waiting = 0;

    for (unsigned class = 0; class < PACER_CLASSES; class ++)
        waiting += p->queue[class].count;
    return waiting;
}

static bool somebody_waits(const struct pacer *p)
{
    return pacer_waiting(p) > 0;
}

bool pacer_take(struct pacer *p, bool stranger, uint64_t now_ms)
{
    look_back(p, now_ms);
    if (!is_free(p, now_ms) || somebody_waits(p) || enough_are_out(p, stranger)) {
        p->pressed = true;
        return false;
    }
    spend(p, now_ms);
    return true;
}

/* ---- the queues ----------------------------------------------------------------- */

bool pacer_enter(struct pacer *p, struct pacer_place *place, enum pacer_class class)
{
    uint64_t most = (uint64_t)p->rate * queue_seconds[class];

    if (p->queue[class].count >= (most > QUEUE_LEAST ? most : QUEUE_LEAST))
        return false;
    *place = (struct pacer_place){.prev = p->queue[class].last, .class = class};
    if (place->prev)
        place->prev->next = place;
    else
        p->queue[class].first = place;
    p->queue[class].last = place;
    p->queue[class].count++;
    return true;
}

void pacer_leave(struct pacer *p, struct pacer_place *place)
{
    assert(p->queue[place->class].count);
    if (place->prev)
        place->prev->next = place->next;
    else
        p->queue[place->class].first = place->next;
    if (place->next)
        place->next->prev = place->prev;
    else
        p->queue[place->class].last = place->prev;
    p->queue[place->class].count--;
}

/* Who may go of this class. */
static struct pacer_place *first_of(const struct pacer *p, unsigned class)
{
    return enough_are_out(p, class == PACER_STRANGER) ? NULL : p->queue[class].first;
}

/* The first of the best class; NULL: nobody may go. */
static struct pacer_place *best_of(const struct pacer *p)
{
    struct pacer_place *best = NULL;

    for (unsigned class = 0; class < PACER_CLASSES && !best; class ++)
        best = first_of(p, class);
    return best;
}

/* The best one, but for who has a share. It binds only where others wait too. */
static struct pacer_place *choose(struct pacer *p)
{
    struct pacer_place *best = best_of(p);
    struct pacer_place *chosen = best;

    for (unsigned class = 0; class < PACER_CLASSES; class ++) {
        struct pacer_place *first = first_of(p, class);

        if (!first)
            p->passed_by[class] = 0;
        else if (first != best && share[class] && ++p->passed_by[class] >= share[class])
            chosen = first;
    }
    if (chosen)
        p->passed_by[chosen->class] = 0;
    return chosen;
}

struct pacer_place *pacer_next(struct pacer *p, uint64_t now_ms)
{
    struct pacer_place *place;

    look_back(p, now_ms);
    p->pressed |= somebody_waits(p);
    if (!is_free(p, now_ms))
        return NULL;
    place = choose(p);
    if (!place)
        return NULL;
    pacer_leave(p, place);
    spend(p, now_ms);
    return place;
}

uint64_t pacer_next_ms(const struct pacer *p)
{
    return best_of(p) ? (p->next_us + 999) / 1000 : UINT64_MAX;
}

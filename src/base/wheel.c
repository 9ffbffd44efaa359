/*
 * base/wheel: hashed, hierarchical, seven levels of 256 slots.
 *
 * Called by the rooms of the core, on the core thread; never allocates. A timer
 * stands on the level of the highest byte in which its deadline differs from
 * the present. So timers of one deadline always share one slot, in the order in
 * which they were armed, and go down together when the present reaches their
 * slot's first millisecond: cascading keeps the order.
 */
#include "base/wheel.h"

#include <assert.h>

#define WHEEL_BITS 8
#define WHEEL_END  (((uint64_t)1 << (WHEEL_BITS * WHEEL_LEVELS)) - 1)
/* wheel_next() looks at so many timers of a slot for the earliest. */
#define WHEEL_LOOK 8

static_assert(WHEEL_SLOTS == 1 << WHEEL_BITS, "a level is a byte of the time");

void wheel_init(struct wheel *w, uint64_t now_ms)
{
    *w = (struct wheel){.now_ms = now_ms};
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++) {
            struct timer *head = &w->slots[level][slot];

            head->next = head->prev = head;
        }
    }
}

void wheel_handler(struct wheel *w, enum timer_kind kind, timer_fn *fire, void *self)
{
    w->handlers[kind].fire = fire;
    w->handlers[kind].self = self;
}

static unsigned slot_of(uint64_t ms, unsigned level)
{
    return ms >> (level * WHEEL_BITS) & (WHEEL_SLOTS - 1);
}

static void wheel_insert(struct wheel *w, struct timer *t)
{
    uint64_t differs = t->due_ms ^ w->now_ms;
    unsigned level = differs ? (63 - (unsigned)__builtin_clzll(differs)) / WHEEL_BITS : 0;
    unsigned slot = slot_of(t->due_ms, level);
    struct timer *head = &w->slots[level][slot];

    t->next = head;
    t->prev = head->prev;
    head->prev->next = t;
    head->prev = t;
    w->occupied[level][slot / 64] |= (uint64_t)1 << slot % 64;
}

static void wheel_unlink(struct wheel *w, struct timer *t)
{
    struct timer *head = t->next;

    t->next->prev = t->prev;
    t->prev->next = t->next;
    if (head == t->prev) { /* it was alone: both neighbours are the list's head */
        size_t at = (size_t)(head - &w->slots[0][0]);

        w->occupied[at / WHEEL_SLOTS][at % WHEEL_SLOTS / 64] &= ~((uint64_t)1 << at % 64);
    }
    t->next = t->prev = NULL;
}

void wheel_arm(struct wheel *w, struct timer *t, enum timer_kind kind, uint64_t due_ms)
{
    if (timer_armed(t))
        wheel_disarm(w, t);
    if (due_ms <= w->now_ms)
        due_ms = w->now_ms + 1;
    t->due_ms = (due_ms < WHEEL_END ? due_ms : WHEEL_END) & WHEEL_END;
    t->kind = kind;
    wheel_insert(w, t);
    w->armed++;
}

void wheel_disarm(struct wheel *w, struct timer *t)
{
    if (!timer_armed(t))
        return;
    wheel_unlink(w, t);
    w->armed--;
}

void wheel_moved(struct timer *t)
{
    if (!timer_armed(t))
        return;
    t->next->prev = t;
    t->prev->next = t;
}

/* The first occupied slot after `slot`, or WHEEL_SLOTS. */
static unsigned next_occupied(const uint64_t *occupied, unsigned slot)
{
    unsigned word = (slot + 1) / 64;
    uint64_t bits;

    if (slot + 1 >= WHEEL_SLOTS)
        return WHEEL_SLOTS;
    bits = occupied[word] & ~(uint64_t)0 << (slot + 1) % 64;
    while (bits == 0) {
        if (++word == WHEEL_SLOTS / 64)
            return WHEEL_SLOTS;
        bits = occupied[word];
    }
    return word * 64 + (unsigned)__builtin_ctzll(bits);
}

/*
 * The slot that comes next: what a level holds lies within the present slot of
 * the level above, hence before all of that. False: nothing is armed.
 */
static bool next_slot(const struct wheel *w, unsigned *level, unsigned *slot, uint64_t *start_ms)
{
    for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
        unsigned s = next_occupied(w->occupied[l], slot_of(w->now_ms, l));

        if (s < WHEEL_SLOTS) {
            unsigned shift = l * WHEEL_BITS;

            *level = l;
            *slot = s;
            *start_ms = (w->now_ms >> shift >> WHEEL_BITS << WHEEL_BITS | s) << shift;
            return true;
        }
    }
    return false;
}

static void wheel_cascade(struct wheel *w, unsigned level, unsigned slot)
{
    struct timer *head = &w->slots[level][slot];

    while (head->next != head) {
        struct timer *t = head->next;

        wheel_unlink(w, t);
        wheel_insert(w, t);
    }
}

static void wheel_fire(struct wheel *w)
{
    struct timer *head = &w->slots[0][slot_of(w->now_ms, 0)];

    /* Handlers arm for later than now_ms: never into this slot. */
    while (head->next != head) {
        struct timer *t = head->next;
        unsigned kind = t->kind;

        wheel_disarm(w, t);
        w->handlers[kind].fire(w->handlers[kind].self, t);
    }
}

void wheel_advance(struct wheel *w, uint64_t now_ms)
{
    unsigned level;
    unsigned slot;
    uint64_t start_ms;

    while (next_slot(w, &level, &slot, &start_ms) && start_ms <= now_ms) {
        w->now_ms = start_ms;
        if (level)
            wheel_cascade(w, level, slot);
        wheel_fire(w);
    }
    if (now_ms > w->now_ms)
        w->now_ms = now_ms;
}

uint64_t wheel_next(const struct wheel *w)
{
    unsigned level;
    unsigned slot;
    unsigned looked = 0;
    uint64_t start_ms;
    uint64_t earliest = UINT64_MAX;
    const struct timer *head;

    if (!next_slot(w, &level, &slot, &start_ms))
        return UINT64_MAX;
    if (level == 0)
        return start_ms;
    head = &w->slots[level][slot];
    for (const struct timer *t = head->next; t != head; t = t->next) {
        if (++looked > WHEEL_LOOK)
            return start_ms;
        if (t->due_ms < earliest)
            earliest = t->due_ms;
    }
    return earliest;
}

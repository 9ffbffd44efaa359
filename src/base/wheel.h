/*
 * base/wheel: a hierarchical timer wheel with 1 ms ticks.
 *
 * Timers are intrusive and cost 24 bytes; what fires is named by `kind`, whose
 * handler is registered once. Deadlines are lazy: to move one later, write your
 * own field, let the timer fire, look, and arm again; arming an armed timer
 * moves it (needed only for an earlier deadline). Timers of the same tick fire
 * in the order in which they were armed (deterministic). Core thread only.
 */
#ifndef MIDREG_BASE_WHEEL_H
#define MIDREG_BASE_WHEEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct timer {
    struct timer *next; /* NULL: not armed */
    struct timer *prev;
    uint64_t due_ms : 56;
    uint64_t kind : 8;
};

enum timer_kind {
    TIMER_AOR,    /* location/record.h: struct aor */
    TIMER_SERVER, /* transaction/server.h */
    TIMER_CLIENT, /* transaction/client.h */
    TIMER_CLIENT_END,
    TIMER_FORWARD,  /* registrar/errand.h */
    TIMER_PACER,    /* registrar/pacer.h */
    TIMER_FORK,     /* proxy/fork.h */
    TIMER_BRANCH,   /* timer C */
    TIMER_JOURNAL,  /* location/journal.h */
    TIMER_UPSTREAM, /* upstream/upstream.h: the probe */
    TIMER_PING,     /* upstream/health.h */
    TIMER_NAME,     /* upstream/name.h */
    TIMER_RELOAD,   /* registrar/reload.h */
    TIMER_STORM,    /* registrar/storm.h */
    TIMER_EVENTS,   /* upstream/event_socket.h */
    TIMER_STREAM,   /* net/connection.h, on a wheel of its own */
    TIMER_KINDS
};

#define WHEEL_LEVELS 7 /* bytes of due_ms: no deadline is too far */
#define WHEEL_SLOTS  256

typedef void timer_fn(void *self, struct timer *t);

struct wheel {
    uint64_t now_ms;
    struct timer slots[WHEEL_LEVELS][WHEEL_SLOTS]; /* list heads */
    uint64_t occupied[WHEEL_LEVELS][WHEEL_SLOTS / 64];
    struct {
        timer_fn *fire;
        void *self;
    } handlers[TIMER_KINDS];
    uint64_t armed; /* how many timers are armed */
};

void wheel_init(struct wheel *w, uint64_t now_ms);
void wheel_handler(struct wheel *w, enum timer_kind kind, timer_fn *fire, void *self);

static inline bool timer_armed(const struct timer *t)
{
    return t->next != NULL;
}

/* Arms, or moves, the timer. A deadline in the past fires at the next turn. */
void wheel_arm(struct wheel *w, struct timer *t, enum timer_kind kind, uint64_t due_ms);
void wheel_disarm(struct wheel *w, struct timer *t);

/* To be called when a struct that holds an armed timer has been moved in
 * memory (realloc): mends the neighbours' pointers. */
void wheel_moved(struct timer *t);

/* Fires all that is due until now_ms, in order. Handlers may arm, move and
 * disarm any timer, and free the struct that holds the one that fired. */
void wheel_advance(struct wheel *w, uint64_t now_ms);

/* A time at or before which wheel_advance() need not be called again;
 * UINT64_MAX when nothing is armed. Never later than the earliest deadline. */
uint64_t wheel_next(const struct wheel *w);

#endif

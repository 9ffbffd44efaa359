/*
 * registrar/pacer: how many REGISTERs a second an upstream gets, and in which
 * order.
 *
 * A token bucket, kept as the time at which it would be full again (GCRA), and
 * behind it a bounded queue for each class. Who waits is served class by class,
 * first come first served within one; but where leases that were lost, or strangers,
 * wait beside others each third, or fifth, place is theirs. While somebody has to wait and the
 * upstream is quick, the rate is doubled each second; while it is not quick, it is
 * halved, and near what was too much it climbs by a tenth. Few are unanswered at a time.
 * Knows no clock of its own. Core thread only. Design 3.6.
 */
#ifndef MIDREG_REGISTRAR_PACER_H
#define MIDREG_REGISTRAR_PACER_H

#include "base/wheel.h"

enum pacer_class {
    PACER_LEASE,    /* leases with under a quarter left */
    PACER_KNOWN,    /* requests with credentials or a proved flow */
    PACER_SPARE,    /* de-registrations, and refreshes that can wait */
    PACER_LOST,     /* our own, for leases that are not held any more */
    PACER_STRANGER, /* neither credentials nor a proved flow */
    PACER_CLASSES
};

enum pacer_outcome {
    PACER_QUICK,   /* answered in good time */
    PACER_TROUBLE, /* the same, but it tells of trouble of the upstream's */
    PACER_LATE,
    PACER_OUTCOMES
};

/* A place in a queue; part of what waits, which must not move. */
struct pacer_place {
    struct pacer_place *next;
    struct pacer_place *prev;
    enum pacer_class class;
};

struct pacer {
    uint32_t rate;       /* a second, as it is now; 0: unlimited */
    uint32_t rate_least; /* it is not halved below */
    uint32_t rate_most;  /* it does not climb above */
    uint32_t rate_first; /* what it begins with */
    uint32_t took[2];    /* in the last two good seconds; 0: it could have had more */
    uint32_t too_much;   /* what is believed to be too much; 0: that is not known */
    uint64_t halved_ms;  /* the last time */
    uint64_t next_us;    /* when the next place is free */
    struct {
        struct pacer_place *first, *last;
        uint32_t count;
    } queue[PACER_CLASSES];
    unsigned passed_by[PACER_CLASSES]; /* places that others got while it waited */
    uint32_t out, out_strangers;       /* unanswered, and not late */
    uint64_t restarted_ms;             /* what was sent before is of no account */
    uint64_t second_ms;                /* the second that is looked at began then: */
    uint32_t came[PACER_OUTCOMES];     /* what became of REGISTERs in it */
    bool pressed;                      /* somebody had to wait */
    bool settling;                     /* the rate was halved just before it */
    uint64_t answered_ms;              /* the last answer in good time */
    bool silent;                       /* since then one has become late */
    bool was_silent;                   /* in the second before */
    struct timer timer;                /* TIMER_PACER, the user's: when to call pacer_next() */
};

/* `rate_max` below `rate`: the rate does not climb. */
void pacer_init(struct pacer *p, uint32_t rate, uint32_t rate_max, uint64_t now_ms);

/* The upstream begins anew, and so does its rate; who waits waits on. */
void pacer_restart(struct pacer *p, uint64_t now_ms);
/* How many wait. */
uint32_t pacer_waiting(const struct pacer *p);

/* Takes a place at once. False: none is free, or others wait for it. */
bool pacer_take(struct pacer *p, bool stranger, uint64_t now_ms);

/* Waits for a place. False: too many wait in this class. */
bool pacer_enter(struct pacer *p, struct pacer_place *place, enum pacer_class class);
/* Gives up waiting. */
void pacer_leave(struct pacer *p, struct pacer_place *place);

/* Whose turn it is now, taken out of its queue; NULL: nobody's yet. */
struct pacer_place *pacer_next(struct pacer *p, uint64_t now_ms);
/* When the next turn comes; UINT64_MAX: nobody waits, or all of them for pacer_landed(). */
uint64_t pacer_next_ms(const struct pacer *p);

/* A REGISTER is sent; it is answered, late, or given up. Each once. */
void pacer_sent(struct pacer *p, bool stranger);
void pacer_landed(struct pacer *p, bool stranger);

/* What became of a REGISTER that was sent at `sent_ms`. Once each: an answer to a late one
 * tells nothing new. */
void pacer_outcome(struct pacer *p, uint64_t now_ms, uint64_t sent_ms, enum pacer_outcome what);

#endif

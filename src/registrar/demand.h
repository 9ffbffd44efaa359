/*
 * registrar/demand: how many REGISTERs a second an upstream needs from us, and what
 * we ask of it where that is more than it takes.
 *
 * Needed is what keeps all leases alive (their number by the time after which one
 * is refreshed) and what phones forward beside it. Where that stays above the rate
 * that the pacer has reached, leases ask for twice the expiry, up to a day; where
 * half of it would do again, for half. Only what is granted counts: an upstream
 * that grants what it always did sees no difference. Core thread only. Design 3.6.
 */
#ifndef MIDREG_REGISTRAR_DEMAND_H
#define MIDREG_REGISTRAR_DEMAND_H

#include "base/buf.h"

/* So long the pacer has time to climb before its rate is taken for all there is. */
#define DEMAND_WINDOW_MS 30000
/* The longest expiry that is asked for because of it. */
#define DEMAND_EXPIRES_MAX_S 86400

struct registrar;

struct demand {
    uint64_t since_ms;       /* the window began then */
    uint32_t forwarded;      /* REGISTERs in it that no lease needed */
    bool granted;            /* something was granted in it */
    bool waited;             /* somebody waited for a place when it began */
    uint32_t forwarded_rate; /* of the last window, thousandths a second */
    uint64_t interval_ms;    /* from grant to refresh, running mean; 0: none yet */
    unsigned doublings;      /* of the expiry that is asked for */
    uint64_t warn_ms;        /* no warning before */
};

void demand_init(struct demand *d, uint64_t now_ms);

/* A lease was granted, and will be refreshed after so long. */
void demand_granted(struct demand *d, uint64_t interval_ms);
/* A phone's REGISTER goes up although its lease does not need it. */
void demand_forwarded(struct demand *d);

/* Thousandths of a REGISTER a second. */
uint64_t demand_needed(const struct demand *d, uint64_t leases);

/* What is asked of the upstream, of which `base_s` is what is configured. */
uint32_t demand_expires_s(const struct demand *d, uint32_t base_s);

/*
 * Looks back on the window, if it has ended: changes what is asked for by one
 * step. `rate`: the pacer's (0: unlimited); `waits`: somebody waits for a place.
 * True: more is needed than the upstream takes.
 */
bool demand_look(struct demand *d, uint64_t now_ms, uint64_t leases, uint32_t rate, bool waits,
                 uint32_t base_s);

/* Looks at this upstream's demand; warns, not more than once a minute. */
void demand_watch(struct registrar *r, unsigned upstream);

/* Looks at some records anew, to see how many follow which policy. */
void demand_sample(struct registrar *r);
/* How many leases this upstream has, about. */
uint64_t demand_leases(const struct registrar *r, unsigned upstream);

/* " NAME.rate=... NAME.needed=... NAME.expires=..." of each upstream. */
void demand_put_status(struct buf *out, const struct registrar *r);

#endif

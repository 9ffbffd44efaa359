/*
 * registrar/reload: registers the leases of a main registrar again.
 *
 * One by one and paced: because the operator wants it, or because what the main
 * registrar held may be lost. Leases that only a phone can register (means none) are
 * marked as due: the phone's next REGISTER goes up. What was granted since the begin is
 * left alone, so that it may be begun again at any time. Walks the table a few
 * hundred records at a time. Core thread only. Design 3.7.
 *
 *   IDLE --reload_begin()--> WALKING --end of the table--> ENDING --last answer--> IDLE
 *
 * A dry run only counts.
 */
#ifndef MIDREG_REGISTRAR_RELOAD_H
#define MIDREG_REGISTRAR_RELOAD_H

#include "base/slab.h"
#include "base/wheel.h"
#include "upstream/upstream.h"

struct registrar;
struct aor;
struct errand;

enum reload_state { RELOAD_IDLE, RELOAD_WALKING, RELOAD_ENDING };

/* Of one upstream; when idle, of the last one. */
struct reload {
    struct timer timer; /* TIMER_RELOAD: the next steps */
    enum reload_state state;
    bool lost;       /* what was granted before is believed to be gone */
    bool moved;      /* only what has its home there since another one went */
    bool walked;     /* it has come to the end of the table */
    uint32_t rate;   /* at most so many a second; 0: as the pacer lets them */
    bool dry;        /* nothing is sent */
    uint16_t number; /* of this reload, never 0 once there was one */
    uint64_t began_ms;
    uint64_t ended_ms;
    uint64_t next_us; /* `rate`: when the next one may go */
    uint64_t at;      /* in the table (table_walk()) */
    uint64_t total;   /* leases there as it began, more or less */
    uint64_t seen;    /* that the walk has come to */
    uint64_t done;    /* granted (dry: would be registered) */
    uint64_t failed;  /* answered otherwise, or not: each goes on by itself */
    uint64_t marked;  /* left to their phones */
    uint64_t pending; /* on their way */
};

/* Registers the timer. */
void reload_init(struct registrar *r);
void reload_fini(struct registrar *r);

struct reload_order {
    bool lost;       /* what was granted before is believed to be gone */
    bool moved;      /* only what has its home there since another one went */
    bool dry;        /* only counts */
    uint32_t rate;   /* at most so many a second; 0: as the pacer lets them */
    const char *why; /* goes to the log */
};

/* Begins, or begins again, with this upstream. What was begun because of a loss is not
 * over before such a reload has come to its end: whatever the order, and after a restart
 * of midreg (journal_lost()). */
void reload_begin(struct registrar *r, struct upstream *u, const struct reload_order *order);
/* Goes no further; what is on its way is. */
void reload_stop(struct registrar *r, struct upstream *u);

/* What a main registrar held was lost: it was restarted, or purged. */
void registrar_upstream_lost(struct registrar *r, struct upstream *u, const char *why);
/* Another one went: its leases move here. */
void reload_take_over(struct registrar *r, struct upstream *u, const struct upstream *gone);
/* It holds this AOR's contact no more, as it says itself; it is registered again. */
void registrar_lease_gone(struct registrar *r, uint64_t aor_hash, const struct upstream *u);
/* One AOR of the operator's choice. False: there is none. */
bool registrar_reload_one(struct registrar *r, uint64_t aor_hash);

/* The reload of this upstream. */
const struct reload *registrar_reload(const struct registrar *r, const struct upstream *u);

/* Our contact there is stored as that of its leases. */
void reload_note_contact(struct registrar *r, struct upstream *u);

/* ---- for the room -------------------------------------------------------------------- */

/* What became of an errand of a reload. */
enum reload_end {
    RELOAD_GRANTED,
    RELOAD_CHALLENGED, /* so that it is learned that only its phone can do it */
    RELOAD_FAILED,
};

/* An errand of a reload has ended. */
void reload_answered(struct registrar *r, const struct errand *e, enum reload_end how);

#endif

/*
 * location/journal: which changes are durable.
 *
 * Each change of a record gets a number; a number that is durable makes all
 * lower ones durable. Not a log: a set of records that differ from what is
 * stored, each of which is written as it is when its turn comes, so it is
 * bounded by their number. One batch of images (location/image.h) is with the
 * store at a time; what changes meanwhile goes with the next. A record whose
 * last change is not durable answers nobody 200, unless the store is behind for
 * too long: then the alarm says so, and midreg goes on from memory until it has
 * caught up. `store = "memory"` is durable at once. Also, of main registrars: which may
 * have lost what they held, so that the next start owes the reload. Core thread only.
 */
#ifndef MIDREG_LOCATION_JOURNAL_H
#define MIDREG_LOCATION_JOURNAL_H

#include "base/runtime.h"
#include "base/table.h"
#include "location/image.h"
#include "location/location.h"

/* A store that takes longer is behind (design 7). */
#define JOURNAL_STALL_MS 2000
/* A batch that failed is tried again after. */
#define JOURNAL_RETRY_MS 1000

struct journal {
    struct runtime *rt;
    struct location *location;
    bool kept;            /* there is a store */
    uint64_t submitted;   /* the last number given out */
    uint64_t durable;     /* all up to this are safe */
    struct table changed; /* AOR hashes that the next round writes; all values are this */
    struct table round;   /* those that this round writes */
    size_t round_at;      /* how far it has come in that table */
    uint64_t round_reaches;
    bool round_open;
    bool missed;          /* a change found no memory to be noted: the next round writes all */
    uint32_t lost;        /* bit i: what main registrar i holds may be lost */
    uint32_t lost_stored; /* as the store has it, once the batch is written */
    uint64_t known_after; /* what has to be durable before one is stored as known again */
    bool telling;         /* there may be something to tell of main registrars */
    struct journal_texts {
        uint32_t due; /* bit i: of main registrar i the next batch tells it */
        char text[IMAGE_UPSTREAMS_MAX][IMAGE_TEXT_MAX];
    } run, contact;
    char *batch; /* the images with the store */
    size_t batch_n;
    size_t batch_room;
    bool with_store;    /* the batch is not yet written */
    bool failed;        /* the store could not: it is given to it again */
    uint64_t since_ms;  /* when it was first */
    bool alarm;         /* it fails, or is too slow: answers do not wait for it */
    uint64_t owes;      /* what was answered during an alarm goes up to this; 0: all of it is
                           written */
    struct timer timer; /* TIMER_JOURNAL: it takes too long, or is to be tried again */
};

/* `kept`: false for a store in memory. `location` may be empty, but initialised. */
void journal_init(struct journal *j, struct runtime *rt, struct location *location, bool kept);
void journal_fini(struct journal *j);

/* Notes that the record has changed. True: durable already. */
bool journal_change(struct journal *j, struct aor *a);
/* Notes a change that nobody waits for: it is written soon. */
void journal_note(struct journal *j, uint64_t hash);

/* What this main registrar holds may be lost, or (false) is known: then each change until
 * now is durable before that is. Written soon; nobody waits for it. */
void journal_lost(struct journal *j, unsigned upstream, bool lost);
/* The store says so: before the first change. */
void journal_restore_lost(struct journal *j, unsigned upstream);

/* By this text (at most IMAGE_TEXT_MAX) it tells one start of its own from another; stored
 * soon, and not before that it lost something. */
void journal_run(struct journal *j, unsigned upstream, struct span run);
/* Its leases are for this contact of ours, as text; stored soon. */
void journal_contact(struct journal *j, unsigned upstream, struct span contact);

static inline bool journal_is_lost(const struct journal *j, unsigned upstream)
{
    return j->lost >> upstream & 1;
}

/* To be called at the end of each turn: gives the store what has changed. True:
 * answers that waited may leave now. */
bool journal_flush(struct journal *j);
/* TIMER_JOURNAL: is the store behind, or to be tried again? True as above. */
bool journal_look(struct journal *j);

/* The store's word on the batch that it was given. True: answers that waited may
 * leave now. */
bool journal_written(struct journal *j, bool done);

/* Is anything not yet with the disk? For shutdown and checks. */
bool journal_is_behind(const struct journal *j);

/* Would a crash lose what was answered? */
static inline bool journal_owes(const struct journal *j)
{
    return j->alarm || j->owes;
}

static inline bool journal_is_durable(const struct journal *j, uint64_t sequence)
{
    return sequence <= j->durable || j->alarm;
}

#endif

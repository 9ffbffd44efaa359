/*
 * location/journal: the set of records that differ from what is stored.
 *
 *   nothing changed --change--> changed --flush--> with the store --written--> ...
 *                                  ^                    |  failed: the same batch again,
 *                                  +--- (next round)    |  the alarm is up meanwhile
 *                                                       +---------------------------------
 *
 * A round writes what had changed when it began, in batches of at most BATCH_MAX
 * (one record at least), so that a turn never copies a whole table; when it has
 * ended, all numbers given out before it are durable. Called by the registrar after
 * each change and by core.c; core thread only, never blocks.
 */
#include "location/journal.h"

#include <stdlib.h>

#define BATCH_FIRST (64 * 1024)
#define BATCH_MAX   (1024 * 1024)

void journal_init(struct journal *j, struct runtime *rt, struct location *location, bool kept)
{
    *j = (struct journal){.rt = rt, .location = location, .kept = kept};
    table_init(&j->changed);
    table_init(&j->round);
}

void journal_fini(struct journal *j)
{
    wheel_disarm(&j->rt->wheel, &j->timer);
    table_fini(&j->changed);
    table_fini(&j->round);
    free(j->batch);
    j->batch = NULL;
}

/* ---- changes --------------------------------------------------------------- */

void journal_note(struct journal *j, uint64_t hash)
{
    if (!j->kept || table_put(&j->changed, hash, j))
        return;
    runtime_count(j->rt, COUNTER_OUT_OF_MEMORY);
    j->missed = true;
}

bool journal_change(struct journal *j, struct aor *a)
{
    a->sequence = ++j->submitted;
    if (!j->kept)
        j->durable = j->submitted;
    else if (j->alarm)
        runtime_count(j->rt, COUNTER_UNDURABLE);
    journal_note(j, a->hash);
    return journal_is_durable(j, a->sequence);
}

void journal_lost(struct journal *j, unsigned upstream, bool lost)
{
    uint32_t bit = UINT32_C(1) << upstream;

    if (lost == journal_is_lost(j, upstream))
        return;
    j->telling = true;
    j->lost ^= bit;
    if (!lost)
        j->known_after = j->submitted;
    if (!j->kept)
        j->lost_stored = j->lost;
}

void journal_restore_lost(struct journal *j, unsigned upstream)
{
    j->lost |= UINT32_C(1) << upstream;
    j->lost_stored = j->lost;
}

static void tell(struct journal *j, struct journal_texts *t, unsigned upstream, struct span text)
{
    if (!j->kept || text.n > IMAGE_TEXT_MAX)
        return;
    memset(t->text[upstream], 0, IMAGE_TEXT_MAX);
    memcpy(t->text[upstream], text.p, text.n);
    t->due |= UINT32_C(1) << upstream;
    j->telling = true;
}

void journal_run(struct journal *j, unsigned upstream, struct span run)
{
    tell(j, &j->run, upstream, run);
}

void journal_contact(struct journal *j, unsigned upstream, struct span contact)
{
    tell(j, &j->contact, upstream, contact);
}

/* The main registrars of which the store is to be told what they lost, or did not. */
static uint32_t lost_due(const struct journal *j)
{
    uint32_t differ = j->lost ^ j->lost_stored;

    return j->durable >= j->known_after ? differ : differ & j->lost;
}

/* ---- the alarm ------------------------------------------------------------- */

static void look_in(struct journal *j, uint64_t ms)
{
    wheel_arm(&j->rt->wheel, &j->timer, TIMER_JOURNAL, j->rt->now_ms + ms);
}

static void raise_alarm(struct journal *j, const char *why)
{
    if (j->alarm)
        return;
    j->alarm = true;
    runtime_log(j->rt, LOG_ERROR, "store_behind",
                "reason=\"%s\" remedy=\"registrations are served from memory and would be lost in "
                "a crash: look after the disk of the store\"",
                why);
}

/* The store writes again: from now on answers wait for it. What was answered without
 * it meanwhile may stand in the next round still, so that this is not the end. */
static void end_alarm(struct journal *j)
{
    if (j->alarm)
        j->owes = j->submitted;
    j->alarm = false;
    if (j->owes == 0 || j->durable < j->owes)
        return;
    j->owes = 0;
    runtime_log(j->rt, LOG_INFO, "store_caught_up", "undurable=%llu",
                (unsigned long long)j->rt->counters.value[COUNTER_UNDURABLE]);
}

/* ---- rounds and batches ---------------------------------------------------- */

/* Makes room for `n` more bytes, if the batch may grow by them. */
static bool grow_batch(struct journal *j, size_t n)
{
    size_t room = j->batch_room ? j->batch_room : BATCH_FIRST;
    char *larger;

    if (j->batch_n + n <= j->batch_room)
        return true;
    if (j->batch_n && j->batch_n + n > BATCH_MAX)
        return false;
    while (room < j->batch_n + n)
        room *= 2;
    larger = realloc(j->batch, room);
    if (!larger)
        return false;
    j->batch = larger;
    j->batch_room = room;
    return true;
}

/* What could not be noted: everything is written. False: no memory for that either. */
static bool note_all(struct journal *j)
{
    const struct aor *a;
    size_t at = 0;

    while ((a = location_next(j->location, &at)))
        if (!table_put(&j->changed, a->hash, j))
            return false;
    return true;
}

/* Is there something to tell of main registrars, and memory for it? */
static bool can_tell_of_upstreams(struct journal *j)
{
    if (lost_due(j) == 0 && j->run.due == 0 && j->contact.due == 0) {
        j->telling = j->lost != j->lost_stored;
        return false;
    }
    j->batch_n = 0;
    if (grow_batch(j, IMAGE_UPSTREAMS_MAX * (sizeof(struct image_entry) + 2 * IMAGE_TEXT_ROOM)))
        return true;
    runtime_count(j->rt, COUNTER_OUT_OF_MEMORY);
    look_in(j, JOURNAL_RETRY_MS);
    return false;
}

static bool begin_round(struct journal *j)
{
    struct table done = j->round;

    if (j->missed && note_all(j))
        j->missed = false;
    if (j->changed.used == 0 && (!j->telling || !can_tell_of_upstreams(j)))
        return false;
    j->round = j->changed;
    j->changed = done;
    j->round_at = 0;
    /* An AOR that was missed and is not among these may not be called safe. */
    j->round_reaches = j->missed ? j->durable : j->submitted;
    j->round_open = true;
    return true;
}

static void end_round(struct journal *j)
{
    j->round_open = false;
    table_clear(&j->round);
    j->durable = j->round_reaches;
    if (!j->missed)
        end_alarm(j);
}

/* Tells the store what main registrars may have lost, if there is room. */
static void put_lost(struct journal *j)
{
    uint32_t due = lost_due(j);

    for (unsigned i = 0; due >> i; i++) {
        if (!(due >> i & 1))
            continue;
        if (!grow_batch(j, sizeof(struct image_entry)))
            return;
        j->batch_n += image_put_lost(j->batch + j->batch_n, i, journal_is_lost(j, i));
        j->lost_stored ^= UINT32_C(1) << i;
    }
}

/* Tells the store these texts of the main registrars in `mask`, if there is room. */
static void put_texts(struct journal *j, struct journal_texts *t, enum image_kind kind,
                      uint32_t mask)
{
    uint32_t due = t->due & mask;

    for (unsigned i = 0; due >> i; i++) {
        if (!(due >> i & 1))
            continue;
        if (!grow_batch(j, IMAGE_TEXT_ROOM))
            return;
        j->batch_n += image_put_text(j->batch + j->batch_n, i, kind,
                                     span_make(t->text[i], strnlen(t->text[i], IMAGE_TEXT_MAX)));
        t->due &= ~(UINT32_C(1) << i);
    }
}

/* Fills the batch from the open round. */
static void fill_batch(struct journal *j)
{
    uint64_t hash;
    size_t before = j->round_at;

    j->batch_n = 0;
    put_lost(j);
    /* Who is known to run anew has lost what he held: not before that. */
    put_texts(j, &j->run, IMAGE_RUN, ~(lost_due(j) & j->lost));
    put_texts(j, &j->contact, IMAGE_CONTACT, UINT32_MAX);
    while (table_next_key(&j->round, &j->round_at, &hash)) {
        const struct aor *a = location_find(j->location, hash);

        if (!grow_batch(j, image_room(a))) {
            j->round_at = before;
            return;
        }
        j->batch_n += image_put(j->rt, j->batch + j->batch_n, hash, a);
        before = j->round_at;
    }
}

static bool is_round_over(const struct journal *j)
{
    size_t at = j->round_at;
    uint64_t hash;

    return !table_next_key(&j->round, &at, &hash);
}

static void give(struct journal *j)
{
    const struct ports *ports = j->rt->ports;

    look_in(j, j->alarm ? JOURNAL_RETRY_MS : JOURNAL_STALL_MS);
    if (ports->journal_submit(ports->world, span_make(j->batch, j->batch_n)))
        (void)journal_written(j, true);
}

bool journal_flush(struct journal *j)
{
    uint64_t durable = j->durable;

    while (!j->with_store && (j->round_open || begin_round(j))) {
        fill_batch(j);
        if (j->batch_n == 0) { /* no memory: the timer comes back to it */
            runtime_count(j->rt, COUNTER_OUT_OF_MEMORY);
            look_in(j, JOURNAL_RETRY_MS);
            break;
        }
        j->with_store = true;
        j->since_ms = j->rt->now_ms;
        give(j);
    }
    return j->durable != durable;
}

bool journal_written(struct journal *j, bool done)
{
    if (!j->with_store || j->failed)
        return false;
    if (!done) {
        j->failed = true;
        raise_alarm(j, "the store cannot be written");
        look_in(j, JOURNAL_RETRY_MS);
        return true;
    }
    j->with_store = false;
    if (is_round_over(j))
        end_round(j);
    return true;
}

bool journal_look(struct journal *j)
{
    bool alarmed = j->alarm;

    if (!j->with_store)
        return false;
    if (j->failed) {
        j->failed = false;
        give(j);
    } else if (j->rt->now_ms >= j->since_ms + JOURNAL_STALL_MS) {
        raise_alarm(j, "the store does not answer");
    } else {
        look_in(j, j->since_ms + JOURNAL_STALL_MS - j->rt->now_ms);
    }
    return j->alarm != alarmed;
}

bool journal_is_behind(const struct journal *j)
{
    return j->with_store || j->round_open || j->changed.used || j->missed ||
           j->lost != j->lost_stored || j->run.due || j->contact.due;
}

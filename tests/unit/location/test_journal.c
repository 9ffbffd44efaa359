/* location/journal: numbers rise, what is durable never falls, each record that
 * changed is with the store as it is, and the alarm. */
#include "fake_ports.h"
#include "location/image.h"
#include "location/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct desk {
    struct fake fake;
    struct location l;
    struct journal j;
    unsigned looks; /* TIMER_JOURNAL let answers go */
};

static void on_timer(void *self, struct timer *t)
{
    struct desk *d = self;

    (void)t;
    d->looks += journal_look(&d->j);
}

static struct desk *desk_new(bool kept)
{
    struct desk *d = calloc(1, sizeof *d);

    assert_non_null(d);
    fake_init(&d->fake);
    location_init(&d->l, &d->fake.rt);
    journal_init(&d->j, &d->fake.rt, &d->l, kept);
    wheel_handler(&d->fake.rt.wheel, TIMER_JOURNAL, on_timer, d);
    d->fake.journal_held = true;
    return d;
}

static int with_store(void **state)
{
    *state = desk_new(true);
    return 0;
}

static int without(void **state)
{
    *state = desk_new(false);
    return 0;
}

static int end(void **state)
{
    struct desk *d = *state;

    journal_fini(&d->j);
    location_fini(&d->l);
    fake_fini(&d->fake);
    free(d);
    return 0;
}

static struct aor *record(struct desk *d, const char *aor)
{
    struct aor *a;

    assert_int_equal(location_ensure(&d->l, span_of(aor), span_of(aor), &a), LOCATION_OK);
    return a;
}

static unsigned entries(const struct desk *d)
{
    struct span batch = d->fake.journal_batch;
    unsigned n = 0;

    while (image_next(&batch))
        n++;
    assert_int_equal(batch.n, 0);
    return n;
}

static void test_memory(void **state)
{
    struct desk *d = *state;
    struct aor *a = record(d, "sip:a@x");

    assert_true(journal_is_durable(&d->j, 0)); /* never changed */
    assert_true(journal_change(&d->j, a));
    assert_int_equal(a->sequence, 1);
    assert_false(journal_flush(&d->j));
    assert_int_equal(d->fake.journal_batches, 0);
    assert_false(journal_is_behind(&d->j));
}

static void test_round(void **state)
{
    struct desk *d = *state;
    struct aor *a = record(d, "sip:a@x"), *b = record(d, "sip:b@x");

    assert_false(journal_flush(&d->j)); /* nothing has changed */
    assert_int_equal(d->fake.journal_batches, 0);
    assert_false(journal_change(&d->j, a));
    assert_false(journal_change(&d->j, a));
    assert_true(journal_is_behind(&d->j));
    assert_false(journal_flush(&d->j));
    assert_int_equal(d->fake.journal_batches, 1);
    assert_int_equal(entries(d), 1); /* once, as it is */
    assert_false(journal_change(&d->j, b));
    assert_false(journal_flush(&d->j)); /* one batch at a time */
    assert_int_equal(d->fake.journal_batches, 1);
    assert_true(journal_written(&d->j, true));
    assert_true(journal_is_durable(&d->j, a->sequence));
    assert_false(journal_is_durable(&d->j, b->sequence));
    assert_false(journal_written(&d->j, true)); /* nothing was given */
    assert_false(journal_is_durable(&d->j, b->sequence));
    journal_flush(&d->j);
    assert_true(journal_written(&d->j, true));
    assert_true(journal_is_durable(&d->j, b->sequence));
    assert_false(journal_is_behind(&d->j));
    fake_advance(&d->fake, 10000);
    assert_int_equal(d->looks, 0); /* nor an alarm later */
}

static void test_at_once(void **state)
{
    struct desk *d = *state;
    struct aor *a = record(d, "sip:a@x");

    d->fake.journal_held = false;
    assert_false(journal_change(&d->j, a));
    assert_true(journal_flush(&d->j)); /* answers may leave */
    assert_true(journal_is_durable(&d->j, a->sequence));
}

static void test_gone(void **state)
{
    struct desk *d = *state;
    struct aor *a = record(d, "sip:a@x");
    struct span batch;
    const struct image_entry *e;
    uint64_t hash = a->hash;

    journal_note(&d->j, hash);
    location_delete(&d->l, a);
    journal_flush(&d->j);
    batch = d->fake.journal_batch;
    e = image_next(&batch);
    assert_int_equal(e->hash, hash);
    assert_null(image_record(e));
}

/* More than a batch takes: nothing is durable before the last of the round. */
static void test_batches(void **state)
{
    struct desk *d = *state;
    char text[2000];
    unsigned seen = 0;

    memset(text, 'x', sizeof text);
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(text, 16, "sip:%010u", i);
        text[14] = '@';
        text[sizeof text - 1] = '\0';
        journal_change(&d->j, record(d, text));
    }
    journal_flush(&d->j);
    seen += entries(d);
    assert_true(seen > 400);
    assert_true(seen < 600); /* a megabyte */
    journal_change(&d->j, record(d, "sip:late@x"));
    while (seen < 2000) {
        assert_int_equal(d->j.durable, 0);
        assert_true(journal_written(&d->j, true));
        if (seen + 1 < 2000)
            journal_flush(&d->j);
        seen += seen < 2000 && d->j.with_store ? entries(d) : 0;
        if (d->j.durable)
            break;
    }
    assert_int_equal(seen, 2000);
    while (!journal_is_durable(&d->j, 2000)) {
        journal_written(&d->j, true);
        journal_flush(&d->j);
    }
    assert_false(journal_is_durable(&d->j, 2001));
    journal_flush(&d->j);
    assert_int_equal(entries(d), 1);
}

/* Design 7: the alarm, answers leave all the same, and it catches up. */
static void test_fails(void **state)
{
    struct desk *d = *state;
    struct aor *a = record(d, "sip:a@x"), *b = record(d, "sip:b@x");

    journal_change(&d->j, a);
    journal_flush(&d->j);
    assert_true(journal_written(&d->j, false));
    assert_true(fake_logged(&d->fake, "event=store_behind"));
    assert_true(journal_is_durable(&d->j, a->sequence));
    assert_true(journal_change(&d->j, b)); /* served from memory, and counted */
    assert_int_equal(d->fake.rt.counters.value[COUNTER_UNDURABLE], 1);
    journal_flush(&d->j);
    assert_int_equal(d->fake.journal_batches, 1);
    fake_advance(&d->fake, JOURNAL_RETRY_MS - 1);
    assert_int_equal(d->fake.journal_batches, 1);
    fake_advance(&d->fake, 1); /* the same once more */
    assert_int_equal(d->fake.journal_batches, 2);
    assert_int_equal(entries(d), 1);
    assert_true(journal_written(&d->j, true));
    /* b was answered, too, and is not written yet. */
    assert_false(fake_logged(&d->fake, "event=store_caught_up"));
    assert_true(journal_owes(&d->j));
    assert_false(journal_is_durable(&d->j, b->sequence)); /* new ones wait again */
    journal_flush(&d->j);
    assert_int_equal(d->fake.journal_batches, 3);
    assert_true(journal_written(&d->j, true));
    assert_false(journal_owes(&d->j));
    assert_true(fake_logged(&d->fake, "event=store_caught_up undurable=1"));
    assert_true(journal_is_durable(&d->j, b->sequence));
}

static void test_stalls(void **state)
{
    struct desk *d = *state;
    struct aor *a = record(d, "sip:a@x");

    journal_change(&d->j, a);
    journal_flush(&d->j);
    fake_advance(&d->fake, JOURNAL_STALL_MS - 1);
    assert_false(journal_is_durable(&d->j, a->sequence));
    assert_int_equal(d->looks, 0);
    fake_advance(&d->fake, 1);
    assert_int_equal(d->looks, 1);
    assert_true(journal_is_durable(&d->j, a->sequence));
    fake_advance(&d->fake, 60000); /* it is one batch, and one alarm */
    assert_int_equal(d->looks, 1);
    assert_int_equal(d->fake.journal_batches, 1);
    assert_true(journal_written(&d->j, true));
    assert_false(journal_is_behind(&d->j));
}

/* A stall counts from the batch that stalls, not from an earlier one. */
static void test_slow_but_steady(void **state)
{
    struct desk *d = *state;
    struct aor *a = record(d, "sip:a@x");

    for (unsigned i = 0; i < 10; i++) {
        journal_change(&d->j, a);
        journal_flush(&d->j);
        fake_advance(&d->fake, JOURNAL_STALL_MS - 500);
        assert_true(journal_written(&d->j, true));
    }
    assert_int_equal(d->looks, 0);
}

/* ---- main registrars whose registrations may be lost ------------------------------------ */

/* The kinds of the entries that the store has now, as digits. */
static unsigned kinds(const struct desk *d)
{
    struct span batch = d->fake.journal_batch;
    const struct image_entry *e;
    unsigned all = 0;

    while ((e = image_next(&batch)))
        all = all * 10 + e->kind + 1;
    return all;
}

static void test_lost(void **state)
{
    struct desk *d = *state;
    struct span batch;

    journal_lost(&d->j, 3, true);
    journal_lost(&d->j, 3, true);
    assert_true(journal_is_lost(&d->j, 3));
    assert_false(journal_is_lost(&d->j, 2));
    assert_true(journal_is_behind(&d->j));
    journal_flush(&d->j);
    assert_int_equal(kinds(d), 2);
    batch = d->fake.journal_batch;
    assert_int_equal(image_next(&batch)->hash, 3);
    assert_true(journal_written(&d->j, false));
    fake_advance(&d->fake, JOURNAL_RETRY_MS); /* it failed: once more */
    assert_int_equal(d->fake.journal_batches, 2);
    assert_int_equal(kinds(d), 2);
    journal_written(&d->j, true);
    assert_false(journal_is_behind(&d->j));
    journal_flush(&d->j);
    assert_int_equal(d->fake.journal_batches, 2); /* and no more */
    journal_lost(&d->j, 3, false);
    journal_flush(&d->j);
    assert_int_equal(kinds(d), 3);
    journal_written(&d->j, true);
    assert_false(journal_is_behind(&d->j));
}

/* It is known again once all that was registered again is safe, not before. */
static void test_known_again(void **state)
{
    struct desk *d = *state;
    struct aor *a = record(d, "sip:a@x");

    journal_restore_lost(&d->j, 0);
    assert_false(journal_is_behind(&d->j));
    journal_change(&d->j, a);
    journal_lost(&d->j, 0, false);
    journal_flush(&d->j);
    assert_int_equal(kinds(d), 1);
    assert_true(journal_is_behind(&d->j));
    journal_change(&d->j, a); /* later than that: it does not wait for this one */
    journal_written(&d->j, true);
    journal_flush(&d->j);
    assert_int_equal(kinds(d), 31);
    journal_lost(&d->j, 0, true); /* lost again while that is being written */
    journal_written(&d->j, true);
    assert_true(journal_is_behind(&d->j));
    journal_flush(&d->j);
    assert_int_equal(kinds(d), 2);
    journal_written(&d->j, true);
    assert_false(journal_is_behind(&d->j));
}

/* Who runs anew has lost what he held: that is stored first, or with it. */
static void test_run(void **state)
{
    struct desk *d = *state;
    struct span batch;
    const struct image_entry *e;

    journal_run(&d->j, 2, SPAN("first"));
    journal_lost(&d->j, 2, true);
    journal_run(&d->j, 2, SPAN("second"));
    assert_true(journal_is_behind(&d->j));
    journal_flush(&d->j);
    assert_int_equal(kinds(d), 24);
    batch = d->fake.journal_batch;
    (void)image_next(&batch);
    e = image_next(&batch);
    assert_int_equal(e->hash, 2);
    assert_true(span_eq(image_text(e), SPAN("second")));
    journal_run(&d->j, 2, SPAN("third")); /* while that is being written */
    journal_contact(&d->j, 1, SPAN("10.0.0.1:5060"));
    journal_written(&d->j, true);
    assert_true(journal_is_behind(&d->j));
    journal_flush(&d->j);
    assert_int_equal(kinds(d), 45);
    journal_written(&d->j, true);
    assert_false(journal_is_behind(&d->j));
}

static void test_lost_in_memory(void **state)
{
    struct desk *d = *state;

    journal_lost(&d->j, 1, true);
    journal_run(&d->j, 1, SPAN("first"));
    assert_true(journal_is_lost(&d->j, 1));
    assert_false(journal_flush(&d->j));
    assert_int_equal(d->fake.journal_batches, 0);
    assert_false(journal_is_behind(&d->j));
}

#define WITH(world, test) cmocka_unit_test_setup_teardown(test, world, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(without, test_memory),     WITH(with_store, test_round),
        WITH(with_store, test_at_once), WITH(with_store, test_gone),
        WITH(with_store, test_batches), WITH(with_store, test_fails),
        WITH(with_store, test_stalls),  WITH(with_store, test_slow_but_steady),
        WITH(with_store, test_lost),    WITH(with_store, test_known_again),
        WITH(with_store, test_run),     WITH(without, test_lost_in_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

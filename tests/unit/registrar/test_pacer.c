/*
 * registrar/pacer: never more than the rate allows, the order of the classes,
 * shares, bounds, and how the rate follows the upstream.
 */
#include "registrar/pacer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define START_MS   1000000
#define PLACES_MAX 100000

static struct pacer p;
static struct pacer_place places[PLACES_MAX];
static unsigned used;
static uint64_t now_ms;

static void begin(uint32_t rate, uint32_t rate_max)
{
    now_ms = START_MS;
    used = 0;
    pacer_init(&p, rate, rate_max, now_ms);
}

/* `n` of this class come now; how many are let in. */
static unsigned come(enum pacer_class class, unsigned n)
{
    unsigned let_in = 0;

    assert_true(used + n <= PLACES_MAX);
    while (n--)
        let_in += pacer_enter(&p, &places[used++], class);
    return let_in;
}

/* How many places are taken at once. */
static unsigned take(unsigned at_most)
{
    unsigned taken = 0;

    while (taken < at_most && pacer_take(&p, false, now_ms))
        taken++;
    return taken;
}

/* Time goes by as a timer would have it; counts who went, by class. */
static void pass(uint64_t ms, unsigned went[PACER_CLASSES])
{
    uint64_t until_ms = now_ms + ms;
    struct pacer_place *place;

    for (unsigned i = 0; i < PACER_CLASSES; i++)
        went[i] = 0;
    for (;;) {
        while ((place = pacer_next(&p, now_ms)))
            went[place->class]++;
        if (pacer_next_ms(&p) >= until_ms)
            break;
        now_ms = pacer_next_ms(&p);
    }
    now_ms = until_ms;
}

static void test_unlimited(void **state)
{
    (void)state;
    begin(0, 900);
    assert_int_equal(take(100000), 100000);
    for (int i = 0; i < 100; i++)
        pacer_outcome(&p, now_ms += 100, START_MS, PACER_LATE);
    assert_int_equal(p.rate, 0);
}

/* Invariant 7: in each second, the rate and the burst of a tenth of a second. */
static void test_rate_holds(void **state)
{
    static const uint32_t rates[] = {1, 3, 9, 10, 100, 300, 900, 4000};
    unsigned went[PACER_CLASSES];

    (void)state;
    for (unsigned i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        uint32_t rate = rates[i];

        begin(rate, 0);
        assert_in_range(take(1000000), 1, rate / 10 + 1);
        for (int second = 0; second < 5; second++) {
            come(PACER_KNOWN, 2 * rate);
            pass(1000, went);
            assert_in_range(went[PACER_KNOWN], rate - rate / 100 - 1, rate + 1);
        }
    }
}

static void test_burst(void **state)
{
    (void)state;
    begin(100, 0);
    assert_int_equal(take(50), 11);
    /* A long pause saves no more than that. */
    now_ms += 3600000;
    assert_int_equal(take(50), 11);
    /* Slow ones have no burst. */
    begin(2, 0);
    assert_int_equal(take(10), 1);
    /* A clock that starts at zero is no long pause. */
    pacer_init(&p, 100, 0, now_ms = 0);
    assert_int_equal(take(50), 1);
}

/* Nobody passes those who wait. */
static void test_who_comes_later_waits(void **state)
{
    unsigned went[PACER_CLASSES];

    (void)state;
    begin(100, 0);
    take(50);
    come(PACER_KNOWN, 1);
    now_ms += 5000; /* its turn has come, and it is not called yet */
    assert_false(pacer_take(&p, false, now_ms));
    pass(1, went);
    assert_int_equal(went[PACER_KNOWN], 1);
    assert_true(pacer_take(&p, false, now_ms));
}

static void test_first_come_first_served(void **state)
{
    (void)state;
    begin(10, 0);
    come(PACER_KNOWN, 20);
    for (unsigned i = 0; i < 20; i++) {
        struct pacer_place *place = pacer_next(&p, now_ms);

        assert_ptr_equal(place, &places[i]);
        now_ms = pacer_next_ms(&p);
    }
    assert_true(pacer_next_ms(&p) == UINT64_MAX);
}

static void test_order_of_classes(void **state)
{
    unsigned went[PACER_CLASSES];

    (void)state;
    begin(10, 0);
    take(50);
    come(PACER_SPARE, 10);
    come(PACER_KNOWN, 10);
    come(PACER_LEASE, 10);
    pass(1001, went);
    assert_int_equal(went[PACER_LEASE], 10);
    pass(1000, went);
    assert_int_equal(went[PACER_KNOWN], 10);
    assert_int_equal(went[PACER_SPARE], 0);
    pass(1000, went);
    assert_int_equal(went[PACER_SPARE], 10);
}

/* Strangers get a fifth beside others, and all of it when they are alone. */
static void test_share_of_strangers(void **state)
{
    unsigned went[PACER_CLASSES];

    (void)state;
    begin(100, 0);
    take(50);
    come(PACER_KNOWN, 160);
    come(PACER_STRANGER, 100);
    pass(1001, went);
    assert_int_equal(went[PACER_STRANGER], 20);
    assert_int_equal(went[PACER_KNOWN], 80);
    pass(1000, went);
    assert_int_equal(went[PACER_STRANGER], 20);
    pass(600, went);
    assert_int_equal(went[PACER_KNOWN], 0);
    assert_int_equal(went[PACER_STRANGER], 60);
}

/* Leases that were lost get a third beside others, who get the rest; strangers theirs, too. */
static void test_share_of_lost_leases(void **state)
{
    unsigned went[PACER_CLASSES];

    (void)state;
    begin(100, 0);
    take(50);
    come(PACER_KNOWN, 400);
    come(PACER_LOST, 150);
    pass(1001, went);
    assert_in_range(went[PACER_LOST], 33, 34);
    assert_in_range(went[PACER_KNOWN], 66, 67);
    come(PACER_STRANGER, 60);
    pass(1000, went);
    assert_int_equal(went[PACER_STRANGER], 20);
    assert_in_range(went[PACER_LOST], 26, 34);
    begin(100, 0);
    take(50);
    come(PACER_LOST, 50);
    come(PACER_KNOWN, 1); /* who comes does not wait for all of them */
    pass(21, went);
    assert_int_equal(went[PACER_KNOWN], 1);
    pass(700, went);
    assert_in_range(went[PACER_LOST], 49, 50);
}

/* One who comes later than many strangers does not wait for them. */
static void test_flood_of_strangers(void **state)
{
    unsigned went[PACER_CLASSES];

    (void)state;
    begin(10, 0);
    take(50);
    come(PACER_STRANGER, 1000);
    come(PACER_KNOWN, 3);
    pass(501, went);
    assert_int_equal(went[PACER_KNOWN], 3);
}

static void test_queues_are_bounded(void **state)
{
    unsigned went[PACER_CLASSES];

    (void)state;
    begin(100, 0);
    take(50);
    assert_int_equal(come(PACER_STRANGER, 5000), 100);
    assert_int_equal(come(PACER_SPARE, 5000), 200);
    assert_int_equal(come(PACER_LEASE, 5000), 200);
    assert_int_equal(come(PACER_KNOWN, 5000), 1600);
    pass(100, went);
    assert_int_equal(come(PACER_LEASE, 5000), went[PACER_LEASE]);
    begin(1, 0);
    assert_int_equal(come(PACER_STRANGER, 50), 8);
}

static void test_leaving(void **state)
{
    unsigned went[PACER_CLASSES];

    (void)state;
    begin(100, 0);
    take(50);
    come(PACER_KNOWN, 5);
    pacer_leave(&p, &places[2]);
    pacer_leave(&p, &places[0]);
    pacer_leave(&p, &places[4]);
    assert_int_equal(p.queue[PACER_KNOWN].count, 2);
    now_ms += 1000;
    assert_ptr_equal(pacer_next(&p, now_ms), &places[1]);
    assert_ptr_equal(pacer_next(&p, now_ms), &places[3]);
    assert_null(pacer_next(&p, now_ms));
    pass(1000, went);
    assert_int_equal(went[PACER_KNOWN], 0);
}

/* What became of one that was sent a moment ago, or a second. */
static void tell(enum pacer_outcome what)
{
    pacer_outcome(&p, now_ms, what == PACER_LATE ? now_ms - 1000 : now_ms, what);
}

/* How many go at once, though enough time has passed for more; none is answered. */
static unsigned send(unsigned at_most, bool strangers)
{
    unsigned sent = 0;

    while (sent < at_most && pacer_next(&p, now_ms += 100)) {
        pacer_sent(&p, strangers);
        sent++;
    }
    return sent;
}

static void test_few_are_unanswered(void **state)
{
    (void)state;
    begin(40, 0);
    come(PACER_KNOWN, 30);
    assert_int_equal(send(30, false), 11);
    assert_true(pacer_next_ms(&p) == UINT64_MAX);
    assert_false(pacer_take(&p, false, now_ms));
    pacer_landed(&p, false);
    assert_true(pacer_next_ms(&p) <= now_ms);
    assert_int_equal(send(30, false), 1);
    for (unsigned i = 0; i < 11; i++)
        pacer_landed(&p, false);
    assert_int_equal(send(30, false), 11);
    /* Nobody waits, and yet there is no place. */
    begin(40, 0);
    for (unsigned i = 0; i < 11; i++) {
        assert_true(pacer_take(&p, false, now_ms += 100));
        pacer_sent(&p, false);
    }
    assert_false(pacer_take(&p, false, now_ms += 100));
}

/* Unanswered strangers are in nobody's way but strangers'. */
static void test_unanswered_strangers(void **state)
{
    (void)state;
    begin(40, 0);
    come(PACER_STRANGER, 30);
    assert_int_equal(send(30, true), 11);
    assert_false(pacer_take(&p, true, now_ms));
    come(PACER_KNOWN, 30);
    assert_int_equal(send(30, false), 11);
    assert_int_equal(p.queue[PACER_KNOWN].count, 19);
    assert_int_equal(p.queue[PACER_STRANGER].count, 19);
    for (unsigned i = 0; i < 11; i++)
        pacer_landed(&p, true);
    assert_int_equal(send(30, true), 0);
}

/* `ms` of work: enough wait, and each that goes is answered. One in `bad_of` is
 * late or fails; 0: none. */
static void work(uint64_t ms, unsigned bad_of)
{
    unsigned went[PACER_CLASSES];
    unsigned n = 0;

    for (uint64_t at = 0; at < ms; at += 100) {
        if (used > PLACES_MAX / 2) {
            assert_null(p.queue[PACER_LEASE].first);
            used = 0;
        }
        come(PACER_LEASE, p.rate / 5 + 1);
        pass(100, went);
        for (unsigned i = 0; i < went[PACER_LEASE]; i++)
            tell(!bad_of || ++n % bad_of ? PACER_QUICK : PACER_LATE);
        while (p.queue[PACER_LEASE].first)
            pacer_leave(&p, p.queue[PACER_LEASE].first);
    }
}

static void test_climbs(void **state)
{
    (void)state;
    begin(100, 900);
    work(1000, 0);
    work(1000, 0);
    assert_in_range(p.rate, 200, 400);
    work(3000, 0);
    assert_int_equal(p.rate, 900);
    work(2500, 8); /* that was too much: from now on with care */
    assert_in_range(p.rate, 225, 450);
    work(3000, 0);
    assert_in_range(p.rate, 225 * 12 / 10, 450 * 15 / 10);
    work(60000, 0);
    assert_int_equal(p.rate, 900);
    pacer_restart(&p, now_ms);
    assert_int_equal(p.rate, 100);
    work(5000, 0);
    assert_int_equal(p.rate, 900);
    begin(100, 50); /* nowhere to climb to */
    work(60000, 0);
    assert_int_equal(p.rate, 100);
}

/* What nobody waits for proves nothing. */
static void test_climbs_only_under_pressure(void **state)
{
    (void)state;
    begin(100, 900);
    for (int i = 0; i < 1000; i++) {
        assert_true(pacer_take(&p, false, now_ms += 50));
        tell(PACER_QUICK);
    }
    assert_int_equal(p.rate, 100);
}

static void test_halves(void **state)
{
    (void)state;
    begin(100, 900);
    work(2500, 8); /* more than 10 % */
    assert_in_range(p.rate, 50, 50);
    work(60000, 4); /* two of ten are seen, one is not */
    assert_int_equal(p.rate, 10);
    work(60000, 0);
    assert_in_range(p.rate, 500, 900);
    begin(3, 3);
    work(60000, 1);
    assert_int_equal(p.rate, 3); /* it was below by configuration */
}

/* 10 % of a second's REGISTERs, or one lease's 503, halve nothing. */
static void test_a_few_bad_ones(void **state)
{
    (void)state;
    begin(100, 900);
    work(20000, 12);
    assert_true(p.rate > 100);
    begin(100, 900);
    for (int i = 0; i < 100; i++, now_ms += 1500)
        tell(PACER_LATE);
    assert_int_equal(p.rate, 100);
}

/* What was sent before the halving comes home after it: once is enough. */
static void test_halves_once_for_one_trouble(void **state)
{
    (void)state;
    begin(400, 900);
    for (int i = 0; i < 100; i++)
        tell(PACER_TROUBLE);
    now_ms += 1000;
    for (int i = 0; i < 100; i++)
        tell(PACER_TROUBLE);
    assert_int_equal(p.rate, 200);
    now_ms += 1000;
    tell(PACER_QUICK);
    assert_int_equal(p.rate, 200);
}

/* Nothing is answered in time, for so many seconds. */
static void late(unsigned seconds)
{
    while (seconds--) {
        now_ms += 1000;
        for (int i = 0; i < 20; i++)
            tell(PACER_LATE);
    }
}

/* One that has gone under what it got begins anew, but not as if that were not known. */
static void test_gone_under_it(void **state)
{
    (void)state;
    begin(100, 4000);
    work(4000, 0);
    assert_int_equal(p.rate, 1600);
    late(3);
    assert_in_range(p.rate, 350, 400); /* it took 800 */
    now_ms += 3000;
    pacer_restart(&p, now_ms);
    late(2); /* what is late now was sent since, and its trouble is an old one */
    assert_int_equal(p.rate, 50);
    work(3000, 0);
    assert_in_range(p.rate, 200, 400);
    work(10000, 0);
    assert_in_range(p.rate, 500, 1000);
    late(3);
    now_ms += 60000;
    pacer_restart(&p, now_ms);
    work(6000, 0);
    assert_int_equal(p.rate, 4000);
}

/* Care ends where the rate is beyond what was too much. */
static void test_a_passing_trouble(void **state)
{
    (void)state;
    begin(100, 4000);
    work(1500, 2);
    assert_int_equal(p.rate, 50);
    work(7000, 0);
    assert_in_range(p.rate, 80, 120);
    work(7000, 0);
    assert_in_range(p.rate, 500, 4000);
}

/* What is late was sent before the last doubling. */
static void test_halves_what_it_was(void **state)
{
    (void)state;
    begin(100, 4000);
    work(3000, 0);
    assert_int_equal(p.rate, 800);
    for (int i = 0; i < 100; i++)
        tell(PACER_LATE);
    now_ms += 1000;
    tell(PACER_LATE);
    assert_in_range(p.rate, 180, 200);
}

/* One that answers nothing gets ten at a time until it does; then it goes on from half of what
 * was too much. */
static void test_silence(void **state)
{
    (void)state;
    begin(800, 0);
    late(10);
    assert_int_equal(p.rate, 400);
    come(PACER_KNOWN, 300);
    assert_int_equal(send(300, false), 11);
    tell(PACER_QUICK);
    assert_in_range(send(300, false), 80, 110);
    /* One that says that it has trouble is not silent. */
    begin(800, 0);
    for (unsigned second = 0; second < 10; second++, now_ms += 1000)
        for (int i = 0; i < 20; i++)
            tell(i ? PACER_LATE : PACER_TROUBLE);
    assert_in_range(p.rate, 10, 50);
}

/* What was sent before it began anew tells nothing of it. */
static void test_restart(void **state)
{
    (void)state;
    begin(100, 900);
    work(3500, 0);
    assert_in_range(p.rate, 400, 900);
    pacer_restart(&p, now_ms += 500);
    for (unsigned second = 0; second < 3; second++, now_ms += 1000)
        for (int i = 0; i < 20; i++)
            pacer_outcome(&p, now_ms, now_ms - 500 - second * 1000, PACER_LATE);
    assert_int_equal(p.rate, 100);
    work(5000, 0);
    assert_int_equal(p.rate, 900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_are_unanswered),
        cmocka_unit_test(test_unanswered_strangers),
        cmocka_unit_test(test_gone_under_it),
        cmocka_unit_test(test_a_passing_trouble),
        cmocka_unit_test(test_halves_what_it_was),
        cmocka_unit_test(test_silence),
        cmocka_unit_test(test_restart),
        cmocka_unit_test(test_unlimited),
        cmocka_unit_test(test_rate_holds),
        cmocka_unit_test(test_burst),
        cmocka_unit_test(test_who_comes_later_waits),
        cmocka_unit_test(test_first_come_first_served),
        cmocka_unit_test(test_order_of_classes),
        cmocka_unit_test(test_share_of_strangers),
        cmocka_unit_test(test_share_of_lost_leases),
        cmocka_unit_test(test_flood_of_strangers),
        cmocka_unit_test(test_queues_are_bounded),
        cmocka_unit_test(test_leaving),
        cmocka_unit_test(test_climbs),
        cmocka_unit_test(test_climbs_only_under_pressure),
        cmocka_unit_test(test_halves),
        cmocka_unit_test(test_a_few_bad_ones),
        cmocka_unit_test(test_halves_once_for_one_trouble),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * registrar/pacer: never more than the rate allows, never a place lost.
 */
#include "registrar/pacer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define START_MS 1000000

/* How many of `callers`, all arriving at START_MS + `late_ms`, are sent by when. */
static unsigned sent_within(struct pacer *p, uint64_t late_ms, unsigned callers, uint64_t within_ms)
{
    unsigned sent = 0;

    for (unsigned i = 0; i < callers; i++)
        sent += pacer_reserve(p, START_MS + late_ms, 1000000) <= within_ms;
    return sent;
}

static void test_unlimited(void **state)
{
    struct pacer p;

    (void)state;
    pacer_init(&p, 0);
    for (int i = 0; i < 100000; i++)
        assert_int_equal(pacer_reserve(&p, START_MS, 0), 0);
    assert_int_equal(pacer_backlog(&p, START_MS), 0);
}

/* Invariant 7: in each second, the rate and the burst of a tenth of a second. */
static void test_rate_holds(void **state)
{
    static const uint32_t rates[] = {1, 3, 9, 10, 100, 300, 900, 7000};

    (void)state;
    for (unsigned i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        uint32_t rate = rates[i];
        struct pacer p;

        pacer_init(&p, rate);
        assert_in_range(sent_within(&p, 0, rate * 20, 9999), rate * 10 - rate / 100,
                        rate * 10 + rate / 10 + 1);
    }
}

static void test_burst(void **state)
{
    struct pacer p;

    (void)state;
    pacer_init(&p, 100);
    assert_int_equal(sent_within(&p, 0, 50, 0), 11);
    /* A long pause saves no more than that. */
    pacer_init(&p, 100);
    assert_int_equal(pacer_reserve(&p, START_MS, 0), 0);
    assert_int_equal(sent_within(&p, 3600000, 50, 0), 11);
    /* Slow ones have no burst. */
    pacer_init(&p, 2);
    assert_int_equal(sent_within(&p, 0, 10, 0), 1);
}

static void test_waits_in_order(void **state)
{
    struct pacer p;
    uint64_t last = 0;

    (void)state;
    pacer_init(&p, 10);
    for (int i = 0; i < 100; i++) {
        uint64_t wait = pacer_reserve(&p, START_MS, 1000000);

        assert_true(wait >= last);
        assert_true(wait <= last + 101);
        last = wait;
    }
}

static void test_refused_reserves_nothing(void **state)
{
    struct pacer p;
    uint64_t backlog;

    (void)state;
    pacer_init(&p, 1);
    assert_int_equal(pacer_reserve(&p, START_MS, 2000), 0);
    assert_int_equal(pacer_reserve(&p, START_MS, 2000), 1000);
    assert_int_equal(pacer_reserve(&p, START_MS, 2000), 2000);
    backlog = pacer_backlog(&p, START_MS);
    assert_int_equal(backlog, 3000);
    for (int i = 0; i < 10; i++)
        assert_true(pacer_reserve(&p, START_MS, 2000) == PACER_REFUSED);
    assert_int_equal(pacer_backlog(&p, START_MS), backlog);
    /* Who waits longer may still come. */
    assert_int_equal(pacer_reserve(&p, START_MS, 3000), 3000);
}

/* A clock that starts at zero is no long pause. */
static void test_young_clock(void **state)
{
    struct pacer p;

    (void)state;
    pacer_init(&p, 100);
    assert_int_equal(pacer_reserve(&p, 0, 1000), 0);
    assert_int_equal(pacer_reserve(&p, 0, 1000), 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unlimited),
        cmocka_unit_test(test_rate_holds),
        cmocka_unit_test(test_burst),
        cmocka_unit_test(test_waits_in_order),
        cmocka_unit_test(test_refused_reserves_nothing),
        cmocka_unit_test(test_young_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

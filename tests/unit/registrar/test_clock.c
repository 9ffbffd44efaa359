/*
 * registrar: the wall's clock is set while midreg runs. What is measured in seconds goes on
 * as if nothing had been; what the wall's clock is for (the lease's CSeq) never goes back.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define DAY_S   86400
#define HOUR_MS 3600000u

static int none(void **state)
{
    (void)state;
    world_open(AUTH_NONE);
    world_start();
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_close();
    return 0;
}

static uint32_t cseq_of(const char *request)
{
    return (uint32_t)strtoul(fake_field(request, "CSeq"), NULL, 10);
}

/* The clock on the wall is set. */
static void set_clock(int64_t by_s)
{
    world.fake.wall_s = (uint64_t)((int64_t)world.fake.wall_s + by_s);
}

/* ---- what lasts ----------------------------------------------------------------------- */

struct seen {
    unsigned registers, removals;
    uint64_t gone_ms;
};

/* A phone lives for three hours and falls silent; the clock is set after the first. */
static struct seen a_life(int64_t by_s)
{
    struct caller c = {0, CONTACT_HOME};
    struct pbx pbx = {0};
    struct seen seen;

    world_open(AUTH_NONE);
    world_start();
    say(&c);
    assert_true(live_on(&c, &pbx, HOUR_MS));
    set_clock(by_s);
    assert_true(live_on(&c, &pbx, 2 * HOUR_MS));
    assert_int_equal(live_contacts(), 1);
    assert_true(pbx.held_until_ms > world.fake.rt.now_ms);
    seen.gone_ms = world.fake.rt.now_ms;
    while (!pbx.removals) {
        assert_true(world.fake.rt.now_ms - seen.gone_ms < HOUR_MS);
        run(&pbx, 100);
    }
    seen = (struct seen){pbx.registers, pbx.removals, world.fake.rt.now_ms - seen.gone_ms};
    world_close();
    return seen;
}

static void test_nothing_comes_earlier_or_later(void **state)
{
    const struct seen quiet = a_life(0);

    (void)state;
    for (int64_t by_s = -DAY_S; by_s <= DAY_S; by_s += 2 * DAY_S) {
        struct seen seen = a_life(by_s);

        assert_int_equal(seen.registers, quiet.registers);
        assert_int_equal(seen.removals, quiet.removals);
        assert_int_equal(seen.gone_ms, quiet.gone_ms);
    }
    assert_in_range(quiet.gone_ms, 1000, 121000);
}

/* ---- the lease's CSeq ------------------------------------------------------------------ */

static uint32_t registered(unsigned cseq)
{
    uint32_t used;

    phone(HOME, "h1", cseq, CONTACT_HOME);
    used = cseq_of(upstream_accepts());
    assert_answer(HOME, 200);
    return used;
}

static uint32_t removed(unsigned cseq)
{
    uint32_t used;

    phone(HOME, "h1", cseq, GONE_HOME);
    assert_answer(HOME, 200);
    pass(1000);
    used = cseq_of(upstream_accepts());
    assert_int_equal(live_contacts(), 0);
    return used;
}

static void test_cseq_never_goes_back(void **state)
{
    uint32_t last = registered(1), next;

    (void)state;
    set_clock(-DAY_S);
    next = removed(2);
    assert_int_equal(next, last + 1);
    pass(HOUR_MS); /* nothing is left of her but that */
    assert_non_null(anna());
    assert_true(registered(3) > next);
    set_clock(2 * DAY_S);
    last = removed(4);
    assert_true(last > next + DAY_S / 2);
    set_clock(-DAY_S);
    assert_true(registered(5) > last);
}

/* The clock has passed it: then it is not needed any more. */
static void test_the_record_goes_when_the_clock_has_passed_its_cseq(void **state)
{
    (void)state;
    (void)registered(1);
    set_clock(-600);
    (void)removed(2);
    pass(590000);
    assert_non_null(anna());
    pass(60000);
    assert_null(anna());
}

/* RFC 3261 8.1.1.5: a CSeq is below 2^31, whatever the clock says. */
static void test_cseq_of_a_mad_clock(void **state)
{
    (void)state;
    set_clock(INT64_C(1) << 31);
    assert_true(registered(1) <= INT32_MAX);
    assert_true(removed(2) <= INT32_MAX);
}

#define IN(test) cmocka_unit_test_setup_teardown(test, none, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_comes_earlier_or_later),
        IN(test_cseq_never_goes_back),
        IN(test_the_record_goes_when_the_clock_has_passed_its_cseq),
        IN(test_cseq_of_a_mad_clock),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

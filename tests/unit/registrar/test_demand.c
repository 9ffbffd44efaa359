/*
 * registrar/demand: more than the upstream takes is needed: leases ask for longer,
 * up to a day, and for less again when there is room (design 3.6).
 */
#include "world.h"

#include "registrar/demand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define BASE  3600
#define LEASE ((uint64_t)BASE * 850)
/* 425 leases of 3060 s need a refresh each 7.2 s. */
#define LEASES UINT64_C(425)

static struct demand d;
static uint64_t now_ms;

static int pure(void **state)
{
    (void)state;
    now_ms = 1000;
    demand_init(&d, now_ms);
    return 0;
}

/* A window with grants of this interval passes. */
static bool window(uint64_t leases, uint32_t rate, bool waits, uint64_t interval_ms)
{
    for (unsigned i = 0; i < 500; i++)
        demand_granted(&d, interval_ms);
    now_ms += DEMAND_WINDOW_MS;
    return demand_look(&d, now_ms, leases, rate, waits, BASE);
}

static void test_what_is_needed(void **state)
{
    (void)state;
    assert_int_equal(demand_needed(&d, LEASES), 0); /* nothing was granted yet */
    demand_granted(&d, LEASE);
    assert_int_equal(demand_needed(&d, LEASES), 1000 * LEASES / 3060);
    for (int i = 0; i < 60; i++)
        demand_forwarded(&d);
    now_ms += DEMAND_WINDOW_MS;
    demand_look(&d, now_ms, LEASES, 900, false, BASE);
    assert_int_equal(demand_needed(&d, LEASES), 1000 * LEASES / 3060 + 2000);
}

static void test_stretches_step_by_step_up_to_a_day(void **state)
{
    static const uint32_t steps[] = {7200, 14400, 28800, 57600, 86400, 86400, 86400};

    (void)state;
    assert_int_equal(demand_expires_s(&d, BASE), BASE);
    assert_false(window(LEASES * 1000, 100, true, LEASE)); /* the rate may climb yet */
    for (unsigned i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        assert_true(window(LEASES * 1000, 100, true, LEASE)); /* it grants 3600 all the same */
        assert_int_equal(demand_expires_s(&d, BASE), steps[i]);
    }
    assert_int_equal(demand_expires_s(&d, 2 * DEMAND_EXPIRES_MAX_S), 2 * DEMAND_EXPIRES_MAX_S);
}

static void test_not_before_the_window_ends(void **state)
{
    (void)state;
    window(LEASES * 1000, 100, true, LEASE);
    demand_granted(&d, LEASE);
    now_ms += DEMAND_WINDOW_MS - 1;
    assert_false(demand_look(&d, now_ms, LEASES * 1000, 100, true, BASE));
    now_ms++;
    assert_true(demand_look(&d, now_ms, LEASES * 1000, 100, true, BASE));
}

/* A crowd that waits, and would not need to for long; leases that nobody waits
 * for; an upstream that is down; one without limit. */
static void test_what_stretches_nothing(void **state)
{
    (void)state;
    for (int i = 0; i < 5; i++)
        assert_false(window(LEASES, 100, true, LEASE));
    for (int i = 0; i < 5; i++)
        assert_false(window(LEASES * 1000, 100, false, LEASE));
    for (int i = 0; i < 5; i++)
        assert_false(window(LEASES * 1000, 0, true, LEASE));
    for (int i = 0; i < 5; i++) {
        now_ms += DEMAND_WINDOW_MS;
        assert_false(demand_look(&d, now_ms, LEASES * 1000, 100, true, BASE));
    }
    assert_int_equal(demand_expires_s(&d, BASE), BASE);
}

static void test_comes_back_when_there_is_room(void **state)
{
    (void)state;
    window(LEASES * 1000, 100, true, LEASE);
    window(LEASES * 1000, 100, true, LEASE);
    assert_int_equal(demand_expires_s(&d, BASE), 2 * BASE);
    /* 69 a second now, 139 with half the expiry: not yet. */
    window(LEASES * 1000, 100, false, 2 * LEASE);
    assert_int_equal(demand_expires_s(&d, BASE), 2 * BASE);
    /* 41 and 83: that is not room enough. */
    window(LEASES * 600, 100, false, 2 * LEASE);
    assert_int_equal(demand_expires_s(&d, BASE), 2 * BASE);
    window(LEASES * 500, 100, false, 2 * LEASE);
    assert_int_equal(demand_expires_s(&d, BASE), BASE);
}

/* ---- with phones ------------------------------------------------------------------- */

static int crowded(void **state)
{
    (void)state;
    world_open(AUTH_NONE);
    world.config.upstream[0].rate = 10;
    world.config.upstream_expires_s = 20;
    world.config.phone_expires_s = 3600;
    world_start();
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_close();
    return 0;
}

static void everybody(struct pbx *pbx, unsigned cseq, unsigned from, unsigned to,
                      const char *expires)
{
    char user[16], contact[160];

    for (unsigned i = from; i < to; i++) {
        snprintf(user, sizeof user, "u%u", i);
        snprintf(contact, sizeof contact, "Contact: <sip:%s@10.0.0.1:5062>\r\nExpires: %s\r\n",
                 user, expires);
        phone_of(user, HOME, user, cseq, contact);
        if (i % 50 == 49)
            run(pbx, 6000);
    }
}

static uint32_t asks(void)
{
    char text[512];
    struct buf out = buf_make(text, sizeof text - 1);
    unsigned expires = 0;

    registrar_put_status(&out, world.registrar);
    text[out.n] = 0;
    const char *at = strstr(text, " pbx.expires=");
    assert_non_null(at);
    assert_int_equal(sscanf(at, " pbx.expires=%u", &expires), 1);
    return expires;
}

static unsigned warnings(void)
{
    unsigned n = 0;

    for (size_t i = 0; i < world.fake.log_count; i++)
        n += strstr(world.fake.logs[i], "event=upstream_too_slow") != NULL;
    return n;
}

/* 300 leases of 20 s need 17 REGISTERs a second; 10 are allowed. */
static void test_many_leases_ask_for_longer(void **state)
{
    struct pbx pbx = {0};
    const char *warning = "event=upstream_too_slow upstream=pbx needed=1";

    (void)state;
    assert_int_equal(asks(), 20);
    everybody(&pbx, 1, 0, 300, "3600");
    run(&pbx, 90000);
    assert_true(fake_logged(&world.fake, warning));
    assert_in_range(asks(), 40, 80);
    run(&pbx, 60000); /* the leases of 20 s have gone by */
    uint64_t failed = counted(COUNTER_LEASE_FAILED);
    unsigned warned = warnings();
    run(&pbx, 60000);
    assert_in_range(asks(), 40, 80);
    assert_int_equal(warnings(), warned);
    assert_int_equal(counted(COUNTER_LEASE_FAILED), failed);
    /* Most of them leave. */
    everybody(&pbx, 2, 50, 300, "0");
    run(&pbx, 180000);
    assert_int_equal(asks(), 20);
}

/* What counts is what is granted: asking for more changes nothing here. */
static void test_an_upstream_that_grants_no_more(void **state)
{
    struct pbx pbx = {.grant_s = 20};

    (void)state;
    everybody(&pbx, 1, 0, 300, "3600");
    run(&pbx, 100000);
    assert_true(asks() > 20);
    assert_in_range(warnings(), 1, 3); /* once a minute */
    const struct aor *first =
        location_find(&world.location, location_hash(&world.location, SPAN("sip:u0@example.com")));
    assert_non_null(first);
    assert_int_equal(first->lease.granted_s, 20);
}

/* ---- two main registrars, and domains of their own policies --------------------------- */

static int two(void **state)
{
    (void)state;
    world_open(AUTH_NONE);
    world.config.policy = POLICY_FAILOVER;
    world.config.domain_policy[0].domain = (char *)"b.example";
    world.config.domain_policy[0].policy = POLICY_ALL;
    world.config.domain_policy_count = 1;
    world.config.upstream[1] = world.config.upstream[0];
    world.config.upstream[1].name = (char *)"two";
    world.config.upstream_count = 2;
    assert_true(address_parse(SPAN("10.9.9.10:5080"), 0, &world.config.upstream[1].address));
    world_start_unprobed();
    return 0;
}

static void there_is(unsigned i, const char *domain)
{
    char aor[64];
    struct aor *a;
    struct binding_spec spec = {.uri = SPAN("sip:x@10.0.0.1"),
                                .call_id = SPAN("c"),
                                .flow = fake_flow(HOME),
                                .expires_ms = world.fake.rt.now_ms + 3600000,
                                .granted_s = 3600};

    snprintf(aor, sizeof aor, "sip:u%u@%s", i, domain);
    assert_int_equal(location_ensure(&world.location, span_of(aor), span_of(aor), &a), LOCATION_OK);
    assert_non_null(location_bind(&world.location, &a, &spec));
}

/* 300 under "failover" are at the first alone, 100 under "all" at both. */
static void test_how_many_leases_each_has(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 400; i++)
        there_is(i, i % 4 ? "a.example" : "b.example");
    assert_int_equal(demand_leases(world.registrar, 1), 0); /* nobody has looked yet */
    registrar_started(world.registrar);
    assert_int_equal(demand_leases(world.registrar, 0), 400);
    assert_in_range(demand_leases(world.registrar, 1), 40, 190);
    uint64_t sum = 0;
    for (unsigned i = 0; i < 100; i++) { /* sample after sample: all are seen */
        demand_sample(world.registrar);
        sum += demand_leases(world.registrar, 1);
    }
    assert_in_range(sum / 100, 90, 110);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_what_is_needed, pure),
        cmocka_unit_test_setup(test_stretches_step_by_step_up_to_a_day, pure),
        cmocka_unit_test_setup(test_not_before_the_window_ends, pure),
        cmocka_unit_test_setup(test_what_stretches_nothing, pure),
        cmocka_unit_test_setup(test_comes_back_when_there_is_room, pure),
        cmocka_unit_test_setup_teardown(test_many_leases_ask_for_longer, crowded, end),
        cmocka_unit_test_setup_teardown(test_an_upstream_that_grants_no_more, crowded, end),
        cmocka_unit_test_setup_teardown(test_how_many_leases_each_has, two, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

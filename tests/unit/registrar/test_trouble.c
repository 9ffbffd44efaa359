/*
 * registrar: silence, floods, no memory, and the end while much is on its way.
 */
#include "registrar/lane.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static int none(void **state)
{
    (void)state;
    world_open(AUTH_NONE);
    world_start();
    return 0;
}

static int upstream(void **state)
{
    (void)state;
    world_open(AUTH_UPSTREAM);
    world_start();
    return 0;
}

static int unstarted(void **state)
{
    (void)state;
    world_open(AUTH_NONE);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_close();
    return 0;
}

static void register_home(void)
{
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    upstream_accepts();
    assert_answer(HOME, 200);
}

/* The lease is such that the next proved REGISTER goes up. */
static void make_due(void)
{
    anna()->lease.means = MEANS_NONE;
    anna()->lease.until_ms = world.fake.rt.now_ms + 1700000;
    anna()->lease.may_ms = anna()->lease.until_ms;
}

/* ---- silence ------------------------------------------------------------------------ */

/* forward-timeout: a known phone's proved refresh is answered here after 3 s. */
static void test_known_phone_waits_3_s(void **state)
{
    const char *up;

    (void)state;
    register_home();
    make_due();
    phone(HOME, "h1", 2, CONTACT_HOME CREDENTIALS);
    up = assert_register(3600);
    pass(2999);
    assert_no_answer(HOME);
    pass(1);
    assert_non_null(strstr(assert_answer(HOME, 200), "5062>;expires=120\r\n"));
    assert_int_equal(counted(COUNTER_REGISTER_ABSORBED), 1);
    /* Its next one does not wait behind it for longer than that either. */
    pass(10000);
    phone(HOME, "h1", 3, CONTACT_HOME);
    assert_no_answer(HOME);
    pass(3000);
    assert_answer(HOME, 200);
    assert_upstream_quiet();
    /* A late 2xx: the lease is good again, and nobody is answered twice. */
    upstream_grants(up, 3600);
    assert_no_answer(HOME);
    assert_true(anna()->lease.until_ms > world.fake.rt.now_ms + 3500000);
    phone(HOME, "h1", 4, CONTACT_HOME);
    assert_answer(HOME, 200);
    assert_upstream_quiet();
}

/* A new one gets 503 after 16 s; a late 2xx updates the lease only. */
static void test_new_phone_waits_16_s(void **state)
{
    struct pbx pbx = {0};
    const char *up, *answer;

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    up = assert_register(3600);
    pass(15999);
    assert_answer(HOME, 100);
    assert_no_answer(HOME);
    pass(1);
    answer = assert_answer(HOME, 503);
    assert_in_range(strtoul(fake_field(answer, "Retry-After"), NULL, 10), 1, 10);
    pass(4000);
    upstream_grants(up, 3600);
    assert_no_answer(HOME);
    assert_int_equal(live_contacts(), 0);
    assert_int_equal(counted(COUNTER_BINDING_ADDED), 0);
    /* Nobody is there: the lease that came late is given back. */
    upstream_grants(assert_register(0), 0);
    assert_all_gone(&pbx);
    assert_int_equal(pbx.registers, 0);
}

/* Who waits behind a silent one is answered in time, too. */
static void test_who_waits_is_answered_in_time(void **state)
{
    struct pbx pbx = {.silent = true};

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    run(&pbx, 5000);
    phone(DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
    run(&pbx, 11000);
    assert_answer(HOME, 100);
    assert_answer(HOME, 503);
    assert_answer(DESK, 100);
    assert_no_answer(DESK);
    run(&pbx, 5000);
    assert_answer(DESK, 503);
    /* The first was late already: the other host does not wait for it. */
    assert_int_equal(pbx.registers, 2);
    pbx.silent = false;
    assert_all_gone(&pbx);
}

/* A main registrar that drops bad credentials: who sends them keeps no place of
 * the user's phones. */
static void test_silence_for_one_is_not_for_all(void **state)
{
    struct pbx pbx = {.silent = true};

    (void)state;
    phone(THIRD, "evil", 1, "Contact: <sip:evil@10.0.0.3>\r\nAuthorization: x\r\n");
    phone(THIRD, "evil2", 1, "Contact: <sip:evil@10.0.0.3>\r\nAuthorization: x\r\n");
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    run(&pbx, 900);
    assert_int_equal(pbx.registers, 1);
    assert_no_answer(HOME);
    pbx.silent = false;
    run(&pbx, 200);
    assert_answer(HOME, 200);
    assert_int_equal(live_contacts(), 1);
}

/* Two go up beside each other, the first being late. The answer to it comes last, but
 * the other one is what the main registrar carried out last. */
static void test_the_later_grant_counts(void **state)
{
    const char *first, *second;

    (void)state;
    phone(THIRD, "t1", 1, "Contact: <sip:anna@10.0.0.3:5060>\r\n" CREDENTIALS);
    first = assert_register(3600);
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    pass(1100);
    second = assert_register(3600);
    upstream_grants(second, 140);
    assert_answer(HOME, 200);
    upstream_grants(first, 600);
    assert_answer(THIRD, 200);
    assert_int_equal(anna()->lease.granted_s, 140);
    assert_int_equal(live_contacts(), 2);
}

/* Garbage for credentials from one host fills a few places only, and a known phone
 * needs none. */
static void test_a_flood_of_credentials(void **state)
{
    struct pbx pbx = {0};
    char call[16];

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    run(&pbx, 20);
    assert_answer(HOME, 200);
    anna()->lease.means = MEANS_NONE;
    anna()->lease.granted_s = 130; /* due */
    anna()->lease.until_ms = world.fake.rt.now_ms + 50000;
    for (unsigned i = 0; i < 40; i++) {
        snprintf(call, sizeof call, "evil%u", i);
        phone(THIRD, call, 1, "Contact: <sip:evil@10.0.0.3>\r\nAuthorization: x\r\n");
    }
    for (unsigned i = 0; i < 40 - 1 - LANE_HOST_MAX; i++)
        assert_answer(THIRD, 503);
    assert_no_answer(THIRD);
    for (unsigned i = 0; i < LANE_WAITING_MAX; i++) { /* now from everywhere */
        snprintf(call, sizeof call, "10.1.0.%u:5060", i + 1);
        phone(call, call, 1, "Contact: <sip:evil@10.0.0.3>\r\nAuthorization: x\r\n");
    }
    phone(HOME, "h1", 2, CONTACT_HOME CREDENTIALS);
    assert_answer(HOME, 200);
}

/* forward-timeout-new beyond timer F: nothing is left unanswered. */
static void test_timer_f_answers(void **state)
{
    struct pbx pbx = {.silent = true};

    (void)state;
    world.config.forward_timeout_new_ms = 40000;
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    run(&pbx, 32100);
    assert_answer(HOME, 100);
    assert_answer(HOME, 503);
    pbx.silent = false;
    assert_all_gone(&pbx);
}

static void test_503_for_a_known_phone(void **state)
{
    static const int statuses[] = {500, 503, 504, 408, 410, 480};

    (void)state;
    register_home();
    for (unsigned i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        make_due();
        phone(HOME, "h1", i + 2, CONTACT_HOME CREDENTIALS);
        upstream_answers(assert_register(3600), statuses[i], "Retry-After: 300\r\n");
        assert_answer(HOME, 200);
        assert_int_equal(live_contacts(), 1);
    }
    /* What it did not prove does not survive. */
    phone(DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
    upstream_answers(assert_register(3600), 503, "");
    assert_answer(DESK, 503);
}

/* ---- the pacer ------------------------------------------------------------------------ */

static void crowd(unsigned from, unsigned n)
{
    char user[16], contact[160];

    for (unsigned i = from; i < from + n; i++) {
        snprintf(user, sizeof user, "u%u", i);
        snprintf(contact, sizeof contact, "Contact: <sip:%s@10.0.0.1:5062>\r\n" CREDENTIALS, user);
        phone_of(user, HOME, user, 1, contact);
    }
}

/* Invariant 7. */
static void test_rate_limit(void **state)
{
    struct pbx pbx = {0};
    unsigned before, accepted = 0;
    const char *answer;

    (void)state;
    world.config.upstream[0].rate = 50;
    world_start();
    crowd(0, 200);
    for (int second = 0; second < 4; second++) {
        before = pbx.registers;
        run(&pbx, 1000);
        assert_in_range(pbx.registers - before, second < 3 ? 49 : 40, 50 + 6);
    }
    run(&pbx, 1000);
    while ((answer = to_phone(HOME)))
        accepted += status_of(answer) == 200;
    assert_int_equal(accepted, 200);
    /* All leave at once: the removals are paced as well. */
    before = pbx.registers;
    run(&pbx, 116000);
    for (int second = 0; second < 8; second++) {
        before = pbx.registers;
        run(&pbx, 1000);
        assert_true(pbx.registers - before <= 56);
    }
    run(&pbx, 20000);
    assert_int_equal(pbx.removals, 200);
    assert_all_gone(&pbx);
}

/* Repeats are REGISTERs like others. */
static void test_repeats_are_paced(void **state)
{
    unsigned sent = 0;
    const char *up;

    (void)state;
    world.config.upstream[0].rate = 10;
    world_start();
    crowd(0, 20);
    for (int i = 0; i < 100; i++) {
        while ((up = to_upstream())) {
            sent++;
            upstream_answers(up, 482, "");
        }
        pass(10);
    }
    assert_in_range(sent, 9, 12);
}

/* More than it can take within forward-timeout-new: told so at once. */
static void test_too_many(void **state)
{
    struct pbx pbx = {0};
    unsigned refused = 0;
    const char *answer;

    (void)state;
    world.config.upstream[0].rate = 10;
    world_start();
    crowd(0, 300);
    while ((answer = to_phone(HOME))) {
        assert_int_equal(status_of(answer), 503);
        assert_non_null(fake_field(answer, "Retry-After"));
        refused++;
    }
    assert_in_range(refused, 300 - 163, 300 - 158);
    assert_all_gone(&pbx);
}

/* A known phone does not fall off because the pacer is busy, and its turn is used
 * for the lease. */
static void test_busy_pacer_and_a_known_phone(void **state)
{
    struct pbx pbx = {0};
    const char *up;

    (void)state;
    world.config.upstream[0].rate = 10;
    world_start();
    phone(DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
    upstream_accepts();
    assert_answer(DESK, 200);
    make_due();
    crowd(0, 60);
    phone(DESK, "d1", 2, CONTACT_DESK CREDENTIALS);
    run(&pbx, 2990);
    assert_no_answer(DESK);
    run(&pbx, 20);
    assert_answer(DESK, 200);
    run(&pbx, 5000);
    assert_true(anna()->lease.until_ms > world.fake.rt.now_ms + 3500000);

    make_due();
    crowd(100, 300);
    phone(DESK, "d1", 3, CONTACT_DESK CREDENTIALS);
    assert_answer(DESK, 200); /* no place at all within 16 s */
    while ((up = to_upstream()))
        upstream_grants(up, 3600);
}

/* ---- growth ----------------------------------------------------------------------------- */

/* A phone that comes and goes under ever new names does not fill its record. */
static void test_tombstones_are_bounded(void **state)
{
    struct pbx pbx = {0};
    char contact[96];

    (void)state;
    register_home();
    for (unsigned i = 0; i < 500; i++) {
        snprintf(contact, sizeof contact, "Contact: <sip:a%u@10.0.0.1:5062>\r\n", i);
        phone(HOME, "h1", 2 + 2 * i, contact);
        assert_answer(HOME, 200);
        snprintf(contact, sizeof contact, "Contact: <sip:a%u@10.0.0.1:5062>;expires=0\r\n", i);
        phone(HOME, "h1", 3 + 2 * i, contact);
        assert_answer(HOME, 200);
    }
    assert_true(anna()->bindings <= 34);
    assert_true(world.location.bytes < 10000);
    phone(DESK, "d1", 1, CONTACT_DESK);
    assert_int_equal(count_of(assert_answer(DESK, 200), "Contact:"), 2);
    assert_all_gone(&pbx);
}

/* With the record full of tombstones, one REGISTER removes and brings one back: all
 * of it or nothing (RFC 3261 10.3). */
static void test_the_oldest_tombstone_comes_back(void **state)
{
    char contact[128];

    (void)state;
    register_home();
    for (unsigned i = 0; i < 32; i++) {
        snprintf(contact, sizeof contact, "Contact: <sip:x%u@10.0.0.1:5062>;expires=0\r\n", i);
        phone(HOME, "h1", 2 + i, contact);
        assert_answer(HOME, 200);
    }
    phone(HOME, "h1", 100,
          "Contact: <sip:y@10.0.0.1:5062>;expires=0, <sip:x0@10.0.0.1:5062>;expires=120\r\n");
    assert_int_equal(count_of(assert_answer(HOME, 200), "Contact:"), 2);
    assert_int_equal(live_contacts(), 2);
}

/* What came, left and expired adds up, also where a tombstone came back. */
static void test_counters_add_up(void **state)
{
    struct pbx pbx = {0};

    (void)state;
    for (unsigned i = 0; i < 10; i++) {
        phone(HOME, "h1", 10 * i + 1, CONTACT_HOME);
        run(&pbx, 100);
        phone(DESK, "d1", 10 * i + 1, CONTACT_DESK);
        phone(HOME, "h1", 10 * i + 2, i % 2 ? GONE_HOME : STAR);
        run(&pbx, 5000);
    }
    run(&pbx, 130000);
    assert_int_equal(counted(COUNTER_BINDING_ADDED),
                     counted(COUNTER_BINDING_REMOVED) + counted(COUNTER_BINDING_EXPIRED));
    assert_int_equal(world.location.bindings, 0);
    assert_all_gone(&pbx);
}

/* Many strangers, many names: nothing is left behind. */
static void test_flood_of_strangers(void **state)
{
    struct pbx pbx = {.challenges = true};
    char user[32], flow[32];

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        snprintf(user, sizeof user, "u%u", i % 700);
        snprintf(flow, sizeof flow, "10.2.%u.%u:5060", i / 200, i % 200);
        phone_of(user, flow, user, i, "Contact: <sip:x@10.9.9.1>\r\n");
        run(&pbx, 1);
    }
    assert_all_gone(&pbx);
    assert_int_equal(counted(COUNTER_BINDING_ADDED), 0);
}

/* ---- the end ------------------------------------------------------------------------------ */

/* Errands in every state, answers that are parked: freed with all their timers
 * (what AddressSanitizer and LeakSanitizer look at). */
static void test_end_in_the_middle(void **state)
{
    (void)state;
    world.config.auth = AUTH_UPSTREAM;
    world.config.upstream[0].rate = 10;
    world_start();
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    upstream_accepts();
    assert_answer(HOME, 200);
    store_opens();
    phone(DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
    phone(THIRD, "t1", 1, "Contact: <sip:anna@10.0.0.3:7000>\r\n" CREDENTIALS);
    upstream_accepts();
    crowd(0, 50);
    pass(500);
    assert_true(registrar_pending(world.registrar) > 40);
}

#define IN(world, test) cmocka_unit_test_setup_teardown(test, world, end)

/* Its turn came late, and the answer a second after forward-timeout-new: it is not told to
 * come again while it is being registered. */
static void test_who_waited_long_is_given_time_for_the_answer(void **state)
{
    static struct pbx pbx;
    const char *answer;

    (void)state;
    pbx = (struct pbx){0};
    world.config.upstream[0].rate = 1;
    world_start();
    for (unsigned i = 0; i < 15; i++) {
        char user[16], lines[64];

        snprintf(user, sizeof user, "f%u", i);
        snprintf(lines, sizeof lines, "Contact: <sip:%s@10.0.0.3:7000>\r\n", user);
        phone_of(user, THIRD, user, 1, lines);
    }
    phone(HOME, "h1", 1, CONTACT_HOME);
    run(&pbx, 14500);
    pbx.silent = true; /* its own REGISTER leaves now, and gets its answer late */
    run(&pbx, 1700);
    pbx.silent = false;
    run(&pbx, 4000);
    do
        answer = to_phone(HOME);
    while (answer && status_of(answer) == 100);
    assert_non_null(answer);
    assert_int_equal(status_of(answer), 200);
    assert_int_equal(live_contacts(), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(upstream, test_known_phone_waits_3_s),
        IN(upstream, test_new_phone_waits_16_s),
        IN(upstream, test_who_waits_is_answered_in_time),
        IN(upstream, test_silence_for_one_is_not_for_all),
        IN(upstream, test_the_later_grant_counts),
        IN(upstream, test_a_flood_of_credentials),
        IN(upstream, test_timer_f_answers),
        IN(upstream, test_503_for_a_known_phone),
        IN(unstarted, test_who_waited_long_is_given_time_for_the_answer),
        IN(unstarted, test_rate_limit),
        IN(unstarted, test_repeats_are_paced),
        IN(unstarted, test_too_many),
        IN(unstarted, test_busy_pacer_and_a_known_phone),
        IN(none, test_tombstones_are_bounded),
        IN(none, test_the_oldest_tombstone_comes_back),
        IN(none, test_counters_add_up),
        IN(upstream, test_flood_of_strangers),
        IN(unstarted, test_end_in_the_middle),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * registrar/answer: what phones get, and when it may leave.
 */
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

/* ---- durable first ----------------------------------------------------------------------------
 */

static void test_200_leaves_when_durable(void **state)
{
    struct pbx pbx = {0};

    (void)state;
    store_opens();
    phone(HOME, "h1", 1, CONTACT_HOME);
    upstream_accepts();
    assert_no_answer(HOME);
    phone_again();
    assert_no_answer(HOME);
    store_takes();
    assert_no_answer(HOME);
    store_writes();
    assert_answer(HOME, 200);

    /* An absorbed one waits likewise, also behind another record's change. */
    phone(DESK, "d1", 1, CONTACT_DESK);
    phone_of("bert", THIRD, "b1", 1, "Contact: <sip:bert@10.0.0.3:7000>\r\n");
    upstream_accepts();
    phone(HOME, "h1", 2, CONTACT_HOME); /* a pure refresh of a record that is not safe yet */
    assert_no_answer(HOME);
    assert_no_answer(DESK);
    assert_no_answer(THIRD);
    assert_int_equal(registrar_pending(world.registrar), 3);
    store_writes();
    assert_answer(DESK, 200);
    assert_answer(THIRD, 200);
    assert_int_equal(count_of(assert_answer(HOME, 200), "Contact:"), 2);
    assert_int_equal(registrar_pending(world.registrar), 0);

    /* A pure refresh changes nothing that must last. */
    phone(HOME, "h1", 3, CONTACT_HOME);
    assert_answer(HOME, 200);
    world.fake.journal_held = false;
    assert_all_gone(&pbx);
}

static void test_more_changes_while_parked(void **state)
{
    (void)state;
    register_home();
    store_opens();
    phone(DESK, "d1", 1, CONTACT_DESK);
    store_takes();
    phone(THIRD, "t1", 1, "Contact: <sip:anna@10.0.0.3:7000>\r\n");
    store_writes();
    assert_no_answer(DESK); /* its 200 would list the third, which is not safe */
    assert_no_answer(THIRD);
    store_writes();
    assert_answer(DESK, 200);
    assert_answer(THIRD, 200);
}

/* Nobody was there when a stranger asked; who comes before he can be answered is none of his
 * business. */
static void test_a_stranger_who_waits(void **state)
{
    const char *answer;

    (void)state;
    register_home();
    store_opens();
    phone(HOME, "h1", 2, GONE_HOME CREDENTIALS);
    upstream_grants(assert_register(0), 0);
    phone(THIRD, "t1", 1, "");
    assert_no_answer(THIRD);
    phone(DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
    upstream_accepts();
    for (unsigned i = 0; i < 4; i++) {
        store_takes();
        store_writes();
    }
    assert_answer(HOME, 200);
    assert_int_equal(count_of(assert_answer(DESK, 200), "Contact:"), 1);
    answer = assert_answer(THIRD, 200);
    assert_int_equal(count_of(answer, "Contact:"), 0);
}

/* Design 7: after two seconds it is served from memory, and the alarm is up. */
static void test_a_store_that_stalls(void **state)
{
    (void)state;
    register_home();
    store_opens();
    phone(HOME, "h1", 2, GONE_HOME);
    store_takes();
    pass(JOURNAL_STALL_MS - 1);
    assert_no_answer(HOME);
    assert_upstream_quiet();
    pass(1);
    assert_answer(HOME, 200);
    assert_true(fake_logged(&world.fake, "store_behind"));
    upstream_grants(assert_register(0), 0);
    phone(DESK, "d1", 1, CONTACT_DESK); /* nobody waits for it now */
    upstream_accepts();
    assert_answer(DESK, 200);
    store_writes();
    assert_false(fake_logged(&world.fake, "store_caught_up")); /* but for the second */
    store_writes();
    assert_true(fake_logged(&world.fake, "store_caught_up"));
    phone(THIRD, "t1", 1, "Contact: <sip:anna@10.0.0.3:7000>\r\n");
    assert_no_answer(THIRD);
    store_writes();
    assert_answer(THIRD, 200);
}

/* ---- what is no REGISTER for us ---------------------------------------------------------------
 */

static void raw(const char *ruri, const char *to, const char *lines)
{
    char text[4096];

    snprintf(text, sizeof text,
             "REGISTER %s SIP/2.0\r\n"
             "Via: SIP/2.0/UDP %s;branch=z9hG4bKraw%u\r\n"
             "From: <sip:anna@example.com>;tag=1\r\n"
             "To: %s\r\n"
             "Call-ID: raw\r\n"
             "CSeq: 1 REGISTER\r\n"
             "%s\r\n",
             ruri, HOME, ++world.branches, to, lines);
    receive(HOME, text);
}

static void test_refused_here(void **state)
{
    static const struct {
        const char *ruri, *to, *lines;
        int status;
    } cases[] = {
        {"sip:elsewhere.example", "<sip:anna@example.com>", "", 404},
        {"sip:example.com", "<sip:anna@elsewhere.example>", "", 404},
        /* nor is an address that is not ours: it would go up with our trust */
        {"sip:8.8.8.8", "<sip:anna@example.com>", "", 404},
        {"sip:example.com;maddr=9.9.9.9", "<sip:anna@example.com>", "", 404},
        {"sip:127.0.0.1;maddr=pbx.example", "<sip:anna@example.com>", "", 404},
        {"tel:+49", "<sip:anna@example.com>", "", 416},
        {"sip:example.com", "<sip:anna@example.com>", "Require: gruu, x\r\n", 420},
        {"sip:example.com", "<sip:anna@example.com>", "Proxy-Require: y\r\n", 420},
        {"sip:example.com", "<sip:anna@example.com>", "Require: ,\r\n", 400},
        {"sip:example.com", "<sip:anna@example.com>", "Contact: *\r\n", 400},
        {"sip:example.com", "<sip:anna@example.com>", CONTACT_HOME "Expires: 5\r\n", 423},
    };

    (void)state;
    world.config.domains[0] = (char *)"example.com";
    world.config.domain_count = 1;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        raw(cases[i].ruri, cases[i].to, cases[i].lines);
        const char *answer = assert_answer(HOME, cases[i].status);
        if (cases[i].status == 423)
            assert_string_equal(fake_field(answer, "Min-Expires"), "60");
        if (strstr(cases[i].lines, "gruu"))
            assert_int_equal(count_of(answer, "Unsupported:"), 2);
    }
    assert_int_equal(counted(COUNTER_REGISTER_REFUSED), sizeof cases / sizeof cases[0]);
    assert_upstream_quiet();
    assert_int_equal(world.location.aors.used, 0);
    raw("sip:127.0.0.1", "<sip:anna@example.com>", CONTACT_HOME); /* given by address */
    assert_register(3600);
}

/* peers.md row 13: who registered since then stays. */
static void test_late_copy_of_a_star(void **state)
{
    (void)state;
    register_home();
    phone(HOME, "h1", 2, STAR);
    upstream_grants(assert_register(0), 0);
    assert_answer(HOME, 200);
    phone(DESK, "d1", 1, CONTACT_DESK);
    upstream_accepts();
    assert_answer(DESK, 200);
    phone(HOME, "h1", 2, STAR); /* by another branch, past any transaction */
    assert_answer(HOME, 200);
    phone(HOME, "h1", 1, STAR);
    assert_answer(HOME, 500);
    assert_int_equal(live_contacts(), 1);
    assert_upstream_quiet();
}

/* A phone leaves before its last REGISTER has arrived: that comes too late. */
static void test_late_copy_of_what_was_never_there(void **state)
{
    (void)state;
    register_home();
    phone(DESK, "d1", 8, GONE_DESK);
    assert_answer(DESK, 200);
    phone(DESK, "d1", 7, CONTACT_DESK);
    assert_answer(DESK, 500);
    phone(DESK, "d1", 10, GONE_DESK); /* 9 is late, too */
    assert_answer(DESK, 200);
    phone(DESK, "d1", 9, CONTACT_DESK);
    assert_answer(DESK, 500);
    assert_int_equal(live_contacts(), 1);
    phone(DESK, "d1", 11, CONTACT_DESK);
    assert_int_equal(count_of(assert_answer(DESK, 200), "Contact:"), 2);
    assert_upstream_quiet();
}

/* What a stranger has removed in a phone's name, with the highest of numbers, does
 * not keep that phone out. */
static void test_a_strangers_trace_stops_nobody(void **state)
{
    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    upstream_accepts();
    assert_answer(HOME, 200);
    phone(HOME, "h1", 2, GONE_HOME CREDENTIALS);
    upstream_grants(assert_register(0), 0);
    assert_answer(HOME, 200);
    phone(THIRD, "d1", 4000000000, GONE_DESK);
    assert_answer(THIRD, 200);
    phone(THIRD, "h1", 4000000000, GONE_HOME);
    assert_answer(THIRD, 200);
    phone(DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
    upstream_accepts();
    assert_answer(DESK, 200);
    phone(HOME, "h1", 3, CONTACT_HOME CREDENTIALS);
    upstream_accepts();
    assert_answer(HOME, 200);
    assert_int_equal(live_contacts(), 2);
}

static void test_register_from_the_main_registrar(void **state)
{
    (void)state;
    phone(UPSTREAM, "u1", 1, CONTACT_HOME);
    assert_answer(UPSTREAM, 482);
}

static void test_queries(void **state)
{
    (void)state;
    phone(DESK, "q", 1, "");
    assert_int_equal(count_of(assert_answer(DESK, 200), "Contact:"), 0);
    register_home();
    phone(DESK, "q", 2, "");
    assert_answer(DESK, 403);
    phone(HOME, "h1", 2, "");
    assert_int_equal(count_of(assert_answer(HOME, 200), "Contact:"), 1);
    assert_upstream_quiet(); /* FreeSWITCH would store an empty contact */
}

/* q and the other parameters come back as they were. */
static void test_parameters_come_back(void **state)
{
    (void)state;
    phone(HOME, "h1", 1, "Contact: <sip:anna@10.0.0.1:5062;ob>;q=0.25;+x=\"a,b\"\r\n");
    upstream_accepts();
    assert_non_null(
        strstr(assert_answer(HOME, 200),
               "Contact: <sip:anna@10.0.0.1:5062;ob>;expires=120;q=0.25;+x=\"a,b\"\r\n"));
}

/* An answer that no datagram holds is said to be so. */
static void test_answer_too_long(void **state)
{
    static char lines[4096];

    (void)state;
    world.config.max_contacts = 100;
    for (unsigned i = 0; i < 40; i++) {
        snprintf(lines, sizeof lines, "Contact: <sip:anna@10.0.0.1:5062;p=%u%02000u>\r\n", i, 0);
        phone(HOME, "h1", i + 1, lines);
        if (i == 0)
            upstream_accepts();
        assert_answer(HOME, i < 31 ? 200 : 500);
    }
}

#define IN(world, test) cmocka_unit_test_setup_teardown(test, world, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(none, test_200_leaves_when_durable),
        IN(none, test_more_changes_while_parked),
        IN(upstream, test_a_stranger_who_waits),
        IN(none, test_a_store_that_stalls),
        IN(none, test_refused_here),
        IN(none, test_late_copy_of_what_was_never_there),
        IN(upstream, test_a_strangers_trace_stops_nobody),
        IN(none, test_late_copy_of_a_star),
        IN(none, test_register_from_the_main_registrar),
        IN(upstream, test_queries),
        IN(none, test_parameters_come_back),
        IN(none, test_answer_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

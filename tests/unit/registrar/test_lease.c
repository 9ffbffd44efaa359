/*
 * registrar/lease: what the main registrar holds, and how it comes to hold it.
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

static uint32_t cseq_of(const char *request)
{
    return (uint32_t)strtoul(fake_field(request, "CSeq"), NULL, 10);
}

static void register_home(void)
{
    phone(HOME, "h1", 1, CONTACT_HOME);
    upstream_accepts();
    assert_answer(HOME, 200);
}

static uint64_t held_for_s(void)
{
    uint64_t now_ms = world.fake.rt.now_ms;

    return anna() && anna()->lease.until_ms > now_ms ? (anna()->lease.until_ms - now_ms) / 1000 : 0;
}

/* ---- refresh -------------------------------------------------------------------------- */

/* peers.md row 4: by midreg's own means, whatever the phone does; at 85 %, jittered. */
static void test_refreshed_at_85_percent(void **state)
{
    struct caller c = {0, CONTACT_HOME "Expires: 86400\r\n"};
    struct pbx pbx = {0};
    char call_id[64], contact[128], tag[128];
    const char *up;
    uint64_t start;
    uint32_t cseq;

    (void)state;
    world.config.phone_expires_s = 86400; /* the phone is silent */
    say(&c);
    up = assert_register(3600);
    snprintf(call_id, sizeof call_id, "%s", fake_field(up, "Call-ID"));
    snprintf(contact, sizeof contact, "%s", fake_field(up, "Contact"));
    snprintf(tag, sizeof tag, "%s", fake_field(up, "From"));
    cseq = cseq_of(up);
    upstream_grants(up, 3600);
    assert_answer(HOME, 200);
    assert_int_equal(anna()->lease.means, MEANS_ACL);
    start = world.fake.rt.now_ms;
    pass(3600 * 800 - 1);
    assert_upstream_quiet();
    while (!(up = to_upstream()))
        pass(1000);
    assert_in_range(world.fake.rt.now_ms - start, 3600 * 800, 3600 * 850);
    /* The same Call-ID, tag and contact, a higher CSeq (RFC 3261 10.2.4). */
    assert_string_equal(fake_field(up, "Call-ID"), call_id);
    assert_string_equal(fake_field(up, "From"), tag);
    assert_string_equal(fake_field(up, "Contact"), contact);
    assert_memory_equal(up, "REGISTER sip:example.com SIP/2.0\r\n", 34);
    assert_true(cseq_of(up) > cseq);
    upstream_grants(up, 3600);
    assert_int_equal(counted(COUNTER_LEASE_REFRESHED), 1);
    assert_int_equal(held_for_s(), 3600);
    run(&pbx, 86400000 - 3600000);
    assert_in_range(pbx.registers, 82800 / 3060, 82800 / 2880);
    run(&pbx, 1000000);
    assert_all_gone(&pbx);
    assert_int_equal(pbx.removals, 1);
}

/* Granted is what the 2xx says, never what was asked. */
static void test_grant_is_believed(void **state)
{
    struct pbx pbx = {.grant_s = 300};
    struct caller c = {0, CONTACT_HOME};
    uint64_t least = UINT64_MAX;

    (void)state;
    say(&c);
    run(&pbx, 20);
    assert_answer(HOME, 200);
    assert_int_equal(anna()->lease.granted_s, 300);
    for (int i = 0; i < 60; i++) {
        assert_true(live_on(&c, &pbx, 60000));
        least = held_for_s() < least ? held_for_s() : least;
    }
    assert_in_range(least, 1, 300);
    assert_in_range(pbx.registers, 12, 16);
}

/* "@@" stands for our contact. */
static void answered_with(const char *lines, uint32_t granted_s)
{
    phone(HOME, "h1", 1, CONTACT_HOME);
    const char *up = assert_register(3600);
    const char *ours = strstr(lines, "@@");
    char text[2048];

    if (ours)
        snprintf(text, sizeof text, "%.*s%.*s%s", (int)(ours - lines), lines,
                 (int)strcspn(fake_field(up, "Contact"), ">"), fake_field(up, "Contact"), ours + 2);
    else
        snprintf(text, sizeof text, "%s", lines);
    upstream_answers(up, 200, text);
    assert_answer(HOME, 200);
    assert_int_equal(anna()->lease.granted_s, granted_s);
}

static void test_grant_as_it_is_written(void **state)
{
    static const struct {
        const char *lines;
        uint32_t granted_s;
    } cases[] = {
        {"Contact: @@>;expires=77\r\nExpires: 1200\r\n", 77},
        {"Contact: <sip:anna@10.0.0.77>;expires=5\r\nContact: @@>;expires=90\r\n", 90},
        {"Contact: <sip:anna@10.0.0.77>;expires=5, @@;x=y>;expires=91\r\n", 91},
        {"Contact: @@>\r\nExpires: 1200\r\n", 1200},
        {"Expires: 1300\r\n", 1300},
        {"Contact: @@>;expires=soon\r\nExpires: 1400\r\n", 1400},
        {"X: y\r\n", 60}, /* it says nothing: asked again soon */
        {"Contact: <sip:anna@10.0.0.77>;expires=5\r\n", 60},
        {"Contact: <sip:bert@127.0.0.1:5060;mr=aaaaaaaaaaaaa>;expires=5\r\n", 60},
        {"Contact: <sip:anna@127.0.0.1:5060;mr=aaaaaaaaaaaaa>;expires=5\r\n", 60},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        answered_with(cases[i].lines, cases[i].granted_s);
        end(state);
        none(state);
    }
}

/* FreeSWITCH's echo: escapes undone, host and port of a NAT. */
static void test_canonicalised_echo(void **state)
{
    const char *up;
    char text[256];

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    up = assert_register(3600);
    snprintf(text, sizeof text, "Contact: \"x\" <sip:%%61nna@192.0.2.1:9;%s;fs=1>;expires=99\r\n",
             strstr(fake_field(up, "Contact"), "mr="));
    *strchr(strchr(text, '>'), '>') = '\0';
    text[strcspn(text, "<")] = '<';
    snprintf(text + strlen(text), sizeof text - strlen(text), ">;expires=99\r\n");
    upstream_answers(up, 200, text);
    assert_int_equal(anna()->lease.granted_s, 99);
}

/* Accepted, but not held: tried again, but not in a loop. */
static void test_granted_nothing(void **state)
{
    struct caller c = {0, CONTACT_HOME};
    struct pbx pbx = {0};
    unsigned asked = 0;
    uint64_t ended_ms;
    const char *up;

    (void)state;
    say(&c);
    run(&pbx, 20);
    assert_true(live_on(&c, &pbx, 2820000));
    for (int i = 0; i < 6000; i++) {
        while ((up = to_upstream())) {
            asked++;
            upstream_answers(up, 200, "Expires: 0\r\n");
        }
        if (i % 600 == 0)
            say(&c);
        pass(100);
        if (asked == 1)
            ended_ms = anna()->lease.until_ms;
    }
    assert_in_range(asked, 10, 60);
    /* survive-max counts from when it was held last. */
    assert_int_equal(anna()->lease.until_ms, ended_ms);
    assert_int_equal(live_contacts(), 1);
    assert_all_gone(&pbx);
}

/* ---- means ------------------------------------------------------------------------------ */

static void test_means_learned(void **state)
{
    struct caller c = {0, CONTACT_HOME};
    struct pbx pbx = {.challenges = true};
    const char *answer;

    (void)state;
    say(&c);
    run(&pbx, 20);
    assert_answer(HOME, 401);
    assert_int_equal(anna()->lease.means, MEANS_NONE);
    /* Kept until the phone comes with credentials, a little later. */
    run(&pbx, 500);
    c.lines = CONTACT_HOME CREDENTIALS;
    say(&c);
    run(&pbx, 20);
    assert_answer(HOME, 200);
    assert_int_equal(anna()->lease.means, MEANS_NONE);

    /* None: half the time it is absorbed, then a phone's REGISTER goes up. */
    assert_true(live_on(&c, &pbx, 1740000));
    assert_int_equal(pbx.registers, 2);
    assert_true(live_on(&c, &pbx, 120000));
    assert_int_equal(pbx.registers, 3);
    assert_true(held_for_s() > 3500);
    assert_true(live_on(&c, &pbx, 7200000));
    assert_in_range(pbx.registers, 6, 8);

    /* The last one leaves: midreg cannot de-register. */
    while ((answer = to_phone(HOME)))
        continue;
    c.lines = GONE_HOME CREDENTIALS;
    say(&c);
    run(&pbx, 20);
    assert_answer(HOME, 200);
    assert_int_equal(counted(COUNTER_LEASE_LAPSED), 1);
    assert_int_equal(pbx.removals, 0);
    assert_all_gone(&pbx);
}

/* Unknown: midreg tries by itself at half the time; accepted, it knows. */
static void test_unknown_means_are_tried(void **state)
{
    struct caller c = {0, CONTACT_HOME CREDENTIALS};
    struct pbx pbx = {0};

    (void)state;
    say(&c);
    run(&pbx, 20);
    assert_int_equal(anna()->lease.means, MEANS_UNKNOWN);
    assert_true(live_on(&c, &pbx, 1560000));
    assert_int_equal(pbx.registers, 1);
    assert_true(live_on(&c, &pbx, 240000));
    assert_int_equal(pbx.registers, 2);
    assert_int_equal(anna()->lease.means, MEANS_ACL);
    assert_int_equal(counted(COUNTER_LEASE_REFRESHED), 1);
}

static void test_unknown_means_are_refused(void **state)
{
    struct caller c = {0, CONTACT_HOME CREDENTIALS};
    struct pbx pbx = {.challenges = true};

    (void)state;
    say(&c);
    run(&pbx, 20);
    assert_true(live_on(&c, &pbx, 1860000));
    /* The try, its challenge, and the phone's next REGISTER, which heals it. */
    assert_int_equal(pbx.registers, 3);
    assert_int_equal(anna()->lease.means, MEANS_NONE);
    assert_true(held_for_s() > 3300);
}

static void test_configured_none(void **state)
{
    struct caller c = {0, CONTACT_HOME};
    struct pbx pbx = {0};

    (void)state;
    world.config.upstream[0].means = CONFIG_MEANS_NONE;
    world_start();
    say(&c);
    run(&pbx, 20);
    assert_int_equal(anna()->lease.means, MEANS_NONE);
    run(&pbx, 119000);
    assert_int_equal(live_contacts(), 1);
    run(&pbx, 2000);
    /* Expired, and left to lapse: midreg does nothing by itself. */
    assert_int_equal(pbx.registers, 1);
    assert_int_equal(counted(COUNTER_LEASE_LAPSED), 1);
    assert_all_gone(&pbx);
}

static void test_configured_acl(void **state)
{
    struct caller c = {0, CONTACT_HOME CREDENTIALS};
    struct pbx pbx = {0};

    (void)state;
    world.config.upstream[0].means = CONFIG_MEANS_ACL;
    world_start();
    say(&c);
    run(&pbx, 20);
    assert_int_equal(anna()->lease.means, MEANS_ACL);
    assert_true(live_on(&c, &pbx, 2820000));
    assert_int_equal(pbx.registers, 1); /* at 85 %, not at 50 % */
    assert_true(live_on(&c, &pbx, 300000));
    assert_int_equal(pbx.registers, 2);
    /* A challenge is a fault then; it is tried on, and teaches nothing. */
    pbx.challenges = true;
    assert_true(live_on(&c, &pbx, 3600000));
    assert_int_equal(anna()->lease.means, MEANS_ACL);
}

/* A grant shorter than the phone's expiry: the phone must come often enough. */
static void test_short_grant_without_means(void **state)
{
    struct pbx pbx = {.challenges = true, .grant_s = 100};

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    run(&pbx, 20);
    assert_non_null(strstr(assert_answer(HOME, 200), "5062>;expires=50\r\n"));
}

/* ---- the last one goes --------------------------------------------------------------------- */

static void test_expiry_deregisters_at_once(void **state)
{
    struct pbx pbx = {0};

    (void)state;
    register_home();
    pass(119999);
    assert_upstream_quiet();
    assert_int_equal(live_contacts(), 1);
    pass(1);
    assert_int_equal(counted(COUNTER_BINDING_EXPIRED), 1);
    upstream_grants(assert_register(0), 0);
    assert_int_equal(counted(COUNTER_LEASE_REMOVED), 1);
    assert_all_gone(&pbx);
    assert_int_equal(pbx.registers, 0);
}

static void test_one_of_two_expires(void **state)
{
    (void)state;
    register_home();
    pass(60000);
    phone(DESK, "d1", 1, CONTACT_DESK);
    assert_answer(DESK, 200);
    pass(60000);
    assert_int_equal(live_contacts(), 1);
    assert_upstream_quiet();
    pass(60000);
    assert_register(0);
}

/* A record that is gone leaves no CSeq behind that would be used again. */
static void test_cseq_rises_over_the_records_end(void **state)
{
    struct pbx pbx = {0};
    uint32_t last = 0;

    (void)state;
    for (unsigned i = 1; i < 30; i++) {
        phone(HOME, "h1", 2 * i, CONTACT_HOME);
        const char *up = upstream_accepts();
        assert_true(cseq_of(up) > last);
        assert_answer(HOME, 200);
        phone(HOME, "h1", 2 * i + 1, GONE_HOME);
        assert_answer(HOME, 200);
        up = assert_register(0);
        last = cseq_of(up);
        upstream_grants(up, 0);
        if (i % 10 == 0)
            run(&pbx, 40000);
    }
    assert_all_gone(&pbx);
}

/* A machine that does not know the time: CSeq stays below 2^31 (RFC 3261 8.1.1.5). */
static void test_cseq_without_a_clock(void **state)
{
    struct pbx pbx = {0};
    uint32_t first, second;

    (void)state;
    world.fake.wall_s = 12;
    phone(HOME, "h1", 1, CONTACT_HOME);
    first = cseq_of(upstream_accepts());
    assert_true(first < 0x80000000);
    phone(HOME, "h1", 2, GONE_HOME);
    second = cseq_of(upstream_accepts());
    assert_true(second > first);
    assert_all_gone(&pbx);
}

/* A clock that is set back: the number goes on rising, and the record stays until
 * the clock has passed it, without looking each second. */
static void test_cseq_when_the_clock_is_set_back(void **state)
{
    struct pbx pbx = {0};
    uint32_t first;

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    first = cseq_of(upstream_accepts());
    world.fake.wall_s -= 3600;
    phone(HOME, "h1", 2, GONE_HOME);
    assert_true(cseq_of(upstream_accepts()) > first);
    run(&pbx, 40000);
    assert_non_null(anna());
    assert_true(anna()->timer.due_ms > world.fake.rt.now_ms + 3500000);
    run(&pbx, 3600000);
    assert_all_gone(&pbx);
}

/* ---- 423, 482 ----------------------------------------------------------------------------- */

static void test_423_asks_for_more(void **state)
{
    const char *up;
    uint32_t cseq;

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    up = assert_register(3600);
    cseq = cseq_of(up);
    upstream_answers(up, 423, "Min-Expires: 7200\r\n");
    assert_no_answer(HOME);
    up = assert_register(7200);
    assert_true(cseq_of(up) > cseq);
    upstream_grants(up, 7200);
    assert_answer(HOME, 200);
    assert_int_equal(held_for_s(), 7200);
    /* It is known from now on. */
    phone_of("bert", DESK, "b1", 1, "Contact: <sip:bert@10.0.0.2>\r\n");
    assert_register(7200);
}

static void test_423_without_sense(void **state)
{
    static const char *const lines[] = {"", "Min-Expires: 3600\r\n", "Min-Expires: 60\r\n",
                                        "Min-Expires: x\r\n", "Min-Expires: 4294967295\r\n"};

    (void)state;
    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        phone(HOME, "h1", i + 1, CONTACT_HOME);
        upstream_answers(assert_register(3600), 423, lines[i]);
        assert_upstream_quiet();
        assert_answer(HOME, 503);
    }
    /* One that raises it each time is not followed for ever. */
    phone(HOME, "h1", 10, CONTACT_HOME);
    upstream_answers(assert_register(3600), 423, "Min-Expires: 4000\r\n");
    upstream_answers(assert_register(4000), 423, "Min-Expires: 5000\r\n");
    upstream_answers(assert_register(5000), 423, "Min-Expires: 6000\r\n");
    assert_upstream_quiet();
    assert_answer(HOME, 503);
}

static void test_482_takes_a_new_cseq(void **state)
{
    const char *up;
    uint32_t cseq;

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    up = assert_register(3600);
    cseq = cseq_of(up);
    upstream_answers(up, 482, "");
    up = assert_register(3600);
    assert_true(cseq_of(up) > cseq);
    upstream_grants(up, 3600);
    assert_answer(HOME, 200);
    /* A removal likewise. */
    phone(HOME, "h1", 2, GONE_HOME);
    upstream_answers(assert_register(0), 482, "");
    upstream_grants(assert_register(0), 0);
    assert_int_equal(counted(COUNTER_LEASE_REMOVED), 1);
}

/* ---- lost answers --------------------------------------------------------------------------- */

/* The first REGISTER's answer is lost: it may be held, so it is removed. */
static void test_doubtful_lease_is_removed(void **state)
{
    struct pbx pbx = {.silent = true};

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    run(&pbx, 16000);
    assert_answer(HOME, 100);
    assert_answer(HOME, 503);
    assert_int_equal(live_contacts(), 0);
    run(&pbx, 17000); /* timer F at 32 s: now it is tried at once */
    assert_int_equal(pbx.registers, 2);
    assert_int_equal(pbx.removals, 1);
    assert_true(lease_possible(&anna()->lease, world.fake.rt.now_ms));
    assert_false(lease_held(&anna()->lease, world.fake.rt.now_ms));
    /* and again, with pauses, until somebody answers */
    run(&pbx, 300000);
    assert_in_range(pbx.removals, 5, 12);
    pbx.silent = false;
    run(&pbx, 63000);
    assert_null(anna());
    assert_int_equal(counted(COUNTER_LEASE_REMOVED), 1);
    assert_all_gone(&pbx);
}

/* Nobody ever answers: it ends with the time for which it may be held. */
static void test_doubtful_lease_ends(void **state)
{
    struct pbx pbx = {.silent = true};

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    run(&pbx, 3600000 + 100000);
    assert_all_gone(&pbx);
}

/* A stranger's REGISTER was not accepted by an upstream that challenges. */
static void test_strangers_leave_no_doubt(void **state)
{
    struct pbx pbx = {.silent = true};

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    run(&pbx, 60000);
    assert_int_equal(pbx.registers, 1);
    assert_null(anna());
    pbx.silent = false;
    assert_all_gone(&pbx);
}

/* A removal's answer is lost: the contact may be gone, so a phone that stays is
 * registered again. */
static void test_lost_removal_is_no_lease(void **state)
{
    struct pbx pbx = {.silent = true};
    const char *up;

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    upstream_accepts();
    assert_answer(HOME, 200);
    anna()->lease.means = MEANS_ACL;
    world.config.phone_expires_s = 86400;
    phone(HOME, "h1", 2, CONTACT_HOME);
    assert_answer(HOME, 200);
    phone(HOME, "h1", 3, GONE_HOME CREDENTIALS);
    up = assert_register(0);
    (void)up;
    run(&pbx, 20000);
    assert_answer(HOME, 100);
    assert_answer(HOME, 503); /* it is still registered, as far as we say */
    assert_int_equal(live_contacts(), 1);
    run(&pbx, 12500);
    assert_false(lease_held(&anna()->lease, world.fake.rt.now_ms));
    assert_int_equal(pbx.registers, 1);
    pbx.silent = false;
    run(&pbx, 40000);
    assert_true(lease_held(&anna()->lease, world.fake.rt.now_ms));
}

/* A refresh is lost: what was granted before still holds. */
static void test_lost_refresh(void **state)
{
    struct caller c = {0, CONTACT_HOME};
    struct pbx pbx = {0};

    (void)state;
    say(&c);
    run(&pbx, 20);
    assert_answer(HOME, 200);
    assert_true(live_on(&c, &pbx, 2700000));
    pbx.silent = true;
    assert_true(live_on(&c, &pbx, 600000));
    assert_true(lease_held(&anna()->lease, world.fake.rt.now_ms));
    assert_in_range(pbx.registers, 5, 12);
    assert_true(counted(COUNTER_LEASE_FAILED) > 3);
    pbx.silent = false;
    assert_true(live_on(&c, &pbx, 120000));
    assert_true(held_for_s() > 3400);
    assert_int_equal(anna()->lease.failures, 0);
}

#define IN(world, test) cmocka_unit_test_setup_teardown(test, world, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(none, test_refreshed_at_85_percent),
        IN(none, test_grant_is_believed),
        IN(none, test_grant_as_it_is_written),
        IN(none, test_canonicalised_echo),
        IN(none, test_granted_nothing),
        IN(none, test_means_learned),
        IN(none, test_unknown_means_are_tried),
        IN(none, test_unknown_means_are_refused),
        IN(unstarted, test_configured_none),
        IN(unstarted, test_configured_acl),
        IN(upstream, test_short_grant_without_means),
        IN(none, test_expiry_deregisters_at_once),
        IN(none, test_one_of_two_expires),
        IN(none, test_cseq_rises_over_the_records_end),
        IN(none, test_cseq_without_a_clock),
        IN(none, test_cseq_when_the_clock_is_set_back),
        IN(none, test_423_asks_for_more),
        IN(none, test_423_without_sense),
        IN(none, test_482_takes_a_new_cseq),
        IN(none, test_doubtful_lease_is_removed),
        IN(none, test_doubtful_lease_ends),
        IN(upstream, test_strangers_leave_no_doubt),
        IN(upstream, test_lost_removal_is_no_lease),
        IN(none, test_lost_refresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * registrar/registrar: phones and the main registrar, message for message.
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
    world_open(AUTH_UPSTREAM);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_close();
    return 0;
}

/* ---- the first ---------------------------------------------------------------------- */

static void test_first_is_forwarded(void **state)
{
    const char *up, *answer;

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME "Expires: 600\r\n");
    up = assert_register(3600);
    assert_memory_equal(up, "REGISTER sip:example.com SIP/2.0\r\n", 34);
    assert_string_equal(fake_field(up, "To"), "<sip:anna@example.com>");
    assert_non_null(strstr(fake_field(up, "From"), "<sip:anna@example.com>;tag="));
    assert_non_null(strstr(fake_field(up, "Contact"), "<sip:anna@127.0.0.1:5060;mr="));
    assert_non_null(strstr(fake_field(up, "Contact"), ">;expires=3600"));
    assert_string_equal(fake_field(up, "Max-Forwards"), "70");
    assert_null(strstr(up, "10.0.0.1"));
    assert_int_equal(strtoul(fake_field(up, "CSeq"), NULL, 10), 1767225600 - 1577836800);
    assert_no_answer(HOME); /* nothing before the main registrar's word */
    assert_int_equal(live_contacts(), 0);

    upstream_grants(up, 3600);
    answer = assert_answer(HOME, 200);
    assert_int_equal(count_of(answer, "Contact:"), 1);
    assert_non_null(strstr(answer, "Contact: <sip:anna@10.0.0.1:5062>;expires=120\r\n"));
    assert_null(fake_field(answer, "Expires")); /* peers.md row 7 */
    assert_non_null(fake_field(answer, "Date"));
    assert_string_equal(fake_field(answer, "CSeq"), "1 REGISTER");
    assert_non_null(strstr(fake_field(answer, "To"), ";tag="));
    assert_int_equal(live_contacts(), 1);
    assert_int_equal(counted(COUNTER_REGISTER_FORWARDED), 1);
    assert_int_equal(counted(COUNTER_REGISTER_UPSTREAM), 1);
    assert_int_equal(counted(COUNTER_BINDING_ADDED), 1);
}

static void register_home(void)
{
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    upstream_accepts();
    assert_answer(HOME, 200);
}

static void test_retransmission_of_the_first(void **state)
{
    const char *up;

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    phone_again();
    up = assert_register(3600);
    assert_upstream_quiet();
    upstream_grants(up, 3600);
    assert_answer(HOME, 200);
    phone_again();
    assert_answer(HOME, 200);
    assert_upstream_quiet();
    assert_int_equal(counted(COUNTER_BINDING_ADDED), 1);
}

/* RFC 4320 4.1: 100 to a non-INVITE when timer E has reached T2, not before. */
static void test_trying(void **state)
{
    const char *up;

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    up = assert_register(3600);
    pass(3000);
    phone_again();
    assert_no_answer(HOME);
    pass(500);
    assert_answer(HOME, 100);
    phone_again();
    assert_answer(HOME, 100);
    upstream_grants(up, 3600);
    assert_answer(HOME, 200);
}

static void test_refreshes_are_absorbed(void **state)
{
    char first[64], second[64];

    (void)state;
    register_home();
    for (unsigned i = 2; i < 6; i++) {
        pass(60000);
        phone(HOME, "h1", i, CONTACT_HOME);
        assert_non_null(strstr(assert_answer(HOME, 200), "5062>;expires=120\r\n"));
    }
    assert_upstream_quiet();
    assert_int_equal(counted(COUNTER_REGISTER_ABSORBED), 4);
    assert_int_equal(live_contacts(), 1);
    /* The same request gets the same answer, and changes nothing. */
    phone(HOME, "h1", 6, CONTACT_HOME);
    snprintf(first, sizeof first, "%s", fake_field(assert_answer(HOME, 200), "To"));
    pass(5000);
    phone_again();
    snprintf(second, sizeof second, "%s", fake_field(assert_answer(HOME, 200), "To"));
    assert_string_equal(first, second);
    assert_int_equal(aor_first(anna())->expires_ms, world.fake.rt.now_ms + 115000);
}

/* Remaining times are rounded up. */
/* RFC 3261 10.3 step 7: only a copy is answered like what it is a copy of. */
static void test_a_number_is_used_once(void **state)
{
    static const char *const others[] = {GONE_HOME, STAR,
                                         "Contact: <sip:anna@10.0.0.1:5062>;q=0.1\r\n",
                                         "Contact: <sip:anna@10.0.0.1:5062>;x\r\n"};

    (void)state;
    register_home();
    for (unsigned i = 0; i < sizeof others / sizeof others[0]; i++) {
        phone(HOME, "h1", 1, others[i]);
        assert_answer(HOME, 500);
    }
    phone(HOME, "h1", 1, CONTACT_HOME);
    assert_answer(HOME, 200);
    assert_int_equal(live_contacts(), 1);
    assert_upstream_quiet();
}

static void test_remaining_time(void **state)
{
    (void)state;
    register_home();
    pass(1);
    phone(HOME, "q", 1, "");
    assert_non_null(strstr(assert_answer(HOME, 200), "5062>;expires=120\r\n"));
    pass(999);
    phone(HOME, "q", 2, "");
    assert_non_null(strstr(assert_answer(HOME, 200), "5062>;expires=119\r\n"));
}

/* ---- several phones ------------------------------------------------------------------- */

/* Design 3.3: two phones of a new AOR at the same moment, one transaction upstream. */
static void test_second_phone_waits_and_is_absorbed(void **state)
{
    const char *up, *answer;

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    phone(DESK, "d1", 1, CONTACT_DESK);
    up = assert_register(3600);
    assert_upstream_quiet();
    assert_no_answer(DESK);
    upstream_grants(up, 3600);
    assert_answer(HOME, 200);
    answer = assert_answer(DESK, 200);
    assert_int_equal(count_of(answer, "Contact:"), 2);
    assert_upstream_quiet();
    assert_int_equal(counted(COUNTER_REGISTER_UPSTREAM), 1);
    assert_int_equal(counted(COUNTER_REGISTER_FORWARDED), 1);
    assert_int_equal(counted(COUNTER_REGISTER_ABSORBED), 1);
}

/* Under `upstream` one after the other, in the order of arrival. */
static void test_lane_order(void **state)
{
    const char *up;

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    phone(DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
    phone(THIRD, "t1", 1, "Contact: <sip:anna@10.0.0.3:7000>\r\n" CREDENTIALS);
    up = assert_register(3600);
    assert_upstream_quiet();
    upstream_grants(up, 3600);
    assert_answer(HOME, 200);
    assert_no_answer(DESK);
    up = assert_register(3600);
    assert_upstream_quiet();
    upstream_answers(up, 403, "");
    assert_answer(DESK, 403);
    up = assert_register(3600);
    upstream_grants(up, 3600);
    assert_int_equal(count_of(assert_answer(THIRD, 200), "Contact:"), 2);
    assert_int_equal(live_contacts(), 2);
}

/* While a Call-ID's REGISTER is on its way, later ones of it wait. */
static void test_same_call_id_waits(void **state)
{
    const char *up;

    (void)state;
    register_home();
    /* A changed contact goes up; the refresh behind it would be absorbed at once. */
    phone(HOME, "h1", 2, "Contact: <sip:anna@10.0.0.1:5062>;x=1\r\n" CREDENTIALS);
    phone(HOME, "h1", 3, CONTACT_HOME);
    up = assert_register(3600);
    assert_no_answer(HOME);
    upstream_grants(up, 3600);
    assert_answer(HOME, 200);
    /* The contact without x is a changed one by now: it goes up. */
    upstream_answers(assert_register(3600), 401, "");
    assert_answer(HOME, 401);
}

/* The lane is bounded; beyond it phones come again soon. */
static void test_lane_is_bounded(void **state)
{
    unsigned refused = 0;
    char flow[32], call_id[32], contact[128];

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        snprintf(flow, sizeof flow, "10.0.1.%u:5060", i);
        snprintf(call_id, sizeof call_id, "c%u", i);
        snprintf(contact, sizeof contact, "Contact: <sip:anna@%s>\r\n" CREDENTIALS, flow);
        phone(flow, call_id, 1, contact);
        const char *answer = to_phone(flow);
        if (answer) {
            assert_int_equal(status_of(answer), 503);
            assert_in_range(strtoul(fake_field(answer, "Retry-After"), NULL, 10), 1, 30);
            refused++;
        }
    }
    assert_int_equal(refused, 40 - 17);
    assert_int_equal(registrar_pending(world.registrar), 17);
}

/* Two strangers may be on their way beside the lane, a third comes again. */
static void test_strangers(void **state)
{
    const char *a, *b, *c;

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    phone(DESK, "d1", 1, CONTACT_DESK);
    phone(THIRD, "t1", 1, "Contact: <sip:anna@10.0.0.3:7000>\r\n");
    phone("10.0.0.4:1", "x1", 1, "Contact: <sip:anna@10.0.0.4:1>\r\n");
    assert_answer("10.0.0.4:1", 503);
    a = assert_register(3600);
    b = assert_register(3600);
    c = assert_register(3600);
    assert_non_null(fake_field(a, "Authorization"));
    assert_null(fake_field(b, "Authorization"));
    upstream_answers(b, 401, "WWW-Authenticate: Digest realm=\"r\"\r\n");
    assert_answer(DESK, 401);
    phone("10.0.0.4:1", "x1", 2, "Contact: <sip:anna@10.0.0.4:1>\r\n");
    upstream_answers(assert_register(3600), 401, "WWW-Authenticate: Digest realm=\"r\"\r\n");
    assert_answer("10.0.0.4:1", 401);
    upstream_answers(c, 401, "WWW-Authenticate: Digest realm=\"r\"\r\n");
    assert_answer(THIRD, 401);
    upstream_grants(a, 3600);
    assert_answer(HOME, 200);
    assert_int_equal(live_contacts(), 1);
}

/* Who has a proved flow is no stranger, and waits for his own Call-ID. */
static void test_proved_flow_is_no_stranger(void **state)
{
    const char *up;

    (void)state;
    register_home();
    phone(HOME, "h1", 2, "Contact: <sip:anna@10.0.0.1:5062>;x=1\r\n" CREDENTIALS);
    up = assert_register(3600);
    for (unsigned i = 3; i < 7; i++)
        phone(HOME, "h1", i, CONTACT_HOME);
    assert_no_answer(HOME);
    upstream_answers(up, 401, "");
    assert_answer(HOME, 401);
    for (unsigned i = 3; i < 7; i++)
        assert_answer(HOME, 200);
    assert_upstream_quiet();
}

/* ---- who leaves ------------------------------------------------------------------------ */

static void test_one_of_two_leaves(void **state)
{
    (void)state;
    register_home();
    phone(DESK, "d1", 1, CONTACT_DESK);
    assert_answer(DESK, 200);
    phone(DESK, "d1", 2, GONE_DESK);
    assert_int_equal(count_of(assert_answer(DESK, 200), "Contact:"), 1);
    assert_upstream_quiet();
    assert_int_equal(counted(COUNTER_BINDING_REMOVED), 1);
    /* A late copy of its REGISTER does not bring it back. */
    phone(DESK, "d1", 1, CONTACT_DESK);
    assert_answer(DESK, 500);
    phone(DESK, "d1", 2, CONTACT_DESK);
    assert_answer(DESK, 500); /* a 200 would tell it that it is registered */
    phone(DESK, "d1", 2, GONE_DESK);
    assert_int_equal(count_of(assert_answer(DESK, 200), "Contact:"), 1);
    assert_int_equal(live_contacts(), 1);
}

static void test_last_leaves(void **state)
{
    struct pbx pbx = {0};
    const char *up;

    (void)state;
    register_home();
    phone(HOME, "h1", 2, GONE_HOME);
    assert_int_equal(count_of(assert_answer(HOME, 200), "Contact:"), 0);
    up = assert_register(0);
    assert_non_null(strstr(fake_field(up, "Contact"), ">;expires=0"));
    upstream_grants(up, 0);
    assert_int_equal(counted(COUNTER_LEASE_REMOVED), 1);
    /* Its copy gets the same answer, for 32 s. */
    phone_again();
    assert_answer(HOME, 200);
    assert_upstream_quiet();
    assert_int_equal(anna()->bindings, 1);
    assert_all_gone(&pbx);
    assert_int_equal(pbx.registers, 0);
}

static void test_star(void **state)
{
    (void)state;
    register_home();
    phone(DESK, "d1", 1, CONTACT_DESK);
    assert_answer(DESK, 200);
    phone(DESK, "d1", 2, STAR);
    assert_int_equal(count_of(assert_answer(DESK, 200), "Contact:"), 0);
    upstream_grants(assert_register(0), 0);
    assert_null(strstr(world.fake.sent[world.fake.sent_count - 1].text, "*"));
}

/* Under `upstream` a removal that is not the last goes up as a refresh. */
static void test_removal_is_proved(void **state)
{
    const char *up;

    (void)state;
    register_home();
    phone(DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
    upstream_accepts();
    assert_answer(DESK, 200);
    phone(THIRD, "evil", 1, GONE_HOME);
    upstream_answers(assert_register(3600), 401, "WWW-Authenticate: Digest realm=\"r\"\r\n");
    assert_answer(THIRD, 401);
    assert_int_equal(live_contacts(), 2);
    phone(DESK, "d1", 2, GONE_DESK);
    upstream_answers(assert_register(3600), 401, "WWW-Authenticate: Digest realm=\"r\"\r\n");
    assert_answer(DESK, 401);
    assert_int_equal(live_contacts(), 2);
    phone(DESK, "d1", 3, GONE_DESK CREDENTIALS);
    up = assert_register(3600);
    upstream_grants(up, 3600);
    assert_int_equal(count_of(assert_answer(DESK, 200), "Contact:"), 1);
    phone(HOME, "h1", 2, GONE_HOME CREDENTIALS);
    up = assert_register(0);
    upstream_grants(up, 0);
    assert_int_equal(count_of(assert_answer(HOME, 200), "Contact:"), 0);
    assert_upstream_quiet();
    assert_int_equal(counted(COUNTER_LEASE_REMOVED), 1);
}

/* A removal goes alone: the main registrar might see two in either order. */
static void test_removal_goes_alone(void **state)
{
    const char *up;

    (void)state;
    register_home();
    phone(HOME, "h1", 2, GONE_HOME CREDENTIALS);
    phone(DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
    phone(THIRD, "t1", 1, "Contact: <sip:anna@10.0.0.3:7000>\r\n");
    assert_answer(THIRD, 503); /* strangers never wait */
    up = assert_register(0);
    assert_upstream_quiet();
    upstream_grants(up, 0);
    assert_answer(HOME, 200);
    upstream_grants(assert_register(3600), 3600);
    assert_int_equal(count_of(assert_answer(DESK, 200), "Contact:"), 1);
    assert_true(lease_held(&anna()->lease, world.fake.rt.now_ms));
}

/* It was the last when it came, but it waited, and another phone came first. */
static void test_removal_is_decided_anew(void **state)
{
    const char *up;

    (void)state;
    register_home();
    phone(DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
    phone(HOME, "h1", 2, GONE_HOME CREDENTIALS);
    up = assert_register(3600);
    assert_upstream_quiet();
    upstream_grants(up, 3600);
    assert_answer(DESK, 200);
    up = assert_register(3600); /* a refresh: the desk phone is there */
    upstream_grants(up, 3600);
    assert_int_equal(count_of(assert_answer(HOME, 200), "Contact:"), 1);
    assert_upstream_quiet();
}

/* midreg removes the lease of an empty AOR; a phone that comes meanwhile waits. */
static void test_phone_comes_while_the_lease_goes(void **state)
{
    const char *up;

    (void)state;
    register_home();
    phone(HOME, "h1", 2, GONE_HOME);
    assert_answer(HOME, 200);
    up = assert_register(0);
    phone(DESK, "d1", 1, CONTACT_DESK);
    assert_upstream_quiet();
    upstream_grants(up, 0);
    assert_no_answer(DESK);
    upstream_grants(assert_register(3600), 3600);
    assert_answer(DESK, 200);
    assert_upstream_quiet();
}

/* ---- the main registrar's word ----------------------------------------------------------- */

static void test_challenge_both_ways(void **state)
{
    static const char challenges[] =
        "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"1\", algorithm=SHA-256\r\n"
        "WWW-Authenticate: Digest realm=\"example.com\", nonce=\"2\", algorithm=MD5\r\n";
    const char *up, *answer;

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    up = assert_register(3600);
    assert_null(fake_field(up, "Authorization"));
    upstream_answers(up, 401, challenges);
    answer = assert_answer(HOME, 401);
    assert_non_null(strstr(answer, challenges)); /* in their order, RFC 8760 */
    assert_memory_equal(answer, "SIP/2.0 401 Said So\r\n", 21);
    assert_int_equal(live_contacts(), 0);
    assert_upstream_quiet(); /* nothing to remove: it never was there */

    phone(HOME, "h1", 2, CONTACT_HOME CREDENTIALS);
    up = assert_register(3600);
    assert_non_null(strstr(up, CREDENTIALS));
    upstream_grants(up, 3600);
    assert_answer(HOME, 200);
    assert_int_equal(anna()->lease.means, MEANS_NONE);
}

/* peers.md row 2: nothing local is changed before the main registrar has answered. */
static void test_refusal_leaves_nothing(void **state)
{
    static const int statuses[] = {401, 403, 404, 407, 480, 486, 500, 503, 600};
    struct pbx pbx = {0};

    (void)state;
    for (unsigned i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        phone(HOME, "h1", i + 1, CONTACT_HOME CREDENTIALS);
        upstream_answers(assert_register(3600), statuses[i], "");
        assert_answer(HOME, statuses[i]);
        assert_int_equal(live_contacts(), 0);
        assert_upstream_quiet();
        pass(3000);
        assert_null(anna());
    }
    assert_all_gone(&pbx);
    assert_int_equal(pbx.registers, 0);
}

/* peers.md row 17. */
static void test_retry_after_is_ours(void **state)
{
    const char *answer;

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    upstream_answers(assert_register(3600), 503, "Retry-After: 300\r\n");
    answer = assert_answer(HOME, 503);
    assert_in_range(strtoul(fake_field(answer, "Retry-After"), NULL, 10), 1, 10);
}

/* What midreg asked wrongly is not the phone's fault. */
static void test_what_a_refusal_says_passes(void **state)
{
    static const struct {
        int status;
        const char *lines;
        const char *passes; /* NULL: nothing of them */
    } cases[] = {
        {421, "Require: path\r\n", "Require: path\r\n"},
        {500, "Retry-After: 300\r\n", "Retry-After: "},
        {500, "Retry-After: 300\r\n", NULL},
        {404, "Content-Language: en\r\n", NULL},
        {403, "Warning: 399 pbx \"locked\"\r\n", "Warning: 399 pbx \"locked\"\r\n"},
        {403, "Contact: <sip:anna@10.8.0.1>\r\n", NULL},
        {403, "Content-Type: text/plain\r\n", NULL},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *answer;

        phone(HOME, "h1", i + 1, CONTACT_HOME);
        upstream_answers(assert_register(3600), cases[i].status, cases[i].lines);
        answer = assert_answer(HOME, cases[i].status);
        if (cases[i].passes)
            assert_non_null(strstr(answer, cases[i].passes));
        else
            assert_null(strstr(answer, cases[i].lines));
    }
}

static void test_own_mistakes_are_not_passed_on(void **state)
{
    /* 408: RFC 4320 4.2; 410: FreeSWITCH while a profile restarts. */
    static const int statuses[] = {423, 482, 302, 408, 410};

    (void)state;
    for (unsigned i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        const char *up;

        phone(HOME, "h1", i + 1, CONTACT_HOME);
        while ((up = to_upstream()))
            upstream_answers(up, statuses[i], "");
        assert_non_null(fake_field(assert_answer(HOME, 503), "Retry-After"));
    }
}

static void test_403_ends_only_its_own_binding(void **state)
{
    (void)state;
    register_home();
    phone(DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
    upstream_accepts();
    assert_answer(DESK, 200);

    /* Somebody else with the same contact: neither flow nor Call-ID. */
    phone(THIRD, "evil", 1, CONTACT_HOME CREDENTIALS);
    upstream_answers(assert_register(3600), 403, "");
    assert_answer(THIRD, 403);
    assert_int_equal(live_contacts(), 2);
    /* The right flow, another Call-ID. */
    phone(HOME, "evil", 2, CONTACT_HOME CREDENTIALS);
    upstream_answers(assert_register(3600), 404, "");
    assert_answer(HOME, 404);
    assert_int_equal(live_contacts(), 2);

    /* peers.md row 14: itself. */
    phone(HOME, "h1", 2, "Contact: <sip:anna@10.0.0.1:5062>;x=1\r\n" CREDENTIALS);
    upstream_answers(assert_register(3600), 403, "");
    assert_answer(HOME, 403);
    assert_int_equal(live_contacts(), 1);
    assert_int_equal(counted(COUNTER_BINDING_REMOVED), 1);
    assert_upstream_quiet();
    /* 401 and 410 end nothing. */
    phone(DESK, "d1", 2, "Contact: <sip:anna@10.0.0.2:5060>;x=1\r\n" CREDENTIALS);
    upstream_answers(assert_register(3600), 401, "");
    assert_answer(DESK, 401);
    phone(DESK, "d1", 3, "Contact: <sip:anna@10.0.0.2:5060>;x=1\r\n" CREDENTIALS);
    upstream_answers(assert_register(3600), 410, "");
    assert_answer(DESK, 503);
    assert_int_equal(live_contacts(), 1);
}

/* ---- the open upstream --------------------------------------------------------------------- */

static void test_probe_finds_it_open(void **state)
{
    const char *probe;

    (void)state;
    world_start_unprobed();
    probe = assert_register(0);
    assert_null(fake_field(probe, "Authorization"));
    upstream_grants(probe, 0);
    assert_true(fake_logged(&world.fake, "event=upstream_open"));
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    assert_answer(HOME, 503);
    assert_upstream_quiet();
    /* It is asked again soon: an operator who mends it need not wait an hour. */
    pass(60000);
    upstream_answers(assert_register(0), 401, "");
    register_home();
}

/* What is on its way when the probe's answer comes proves nothing either. */
static void test_open_is_found_while_forwarding(void **state)
{
    const char *probe, *up;

    (void)state;
    world_start_unprobed();
    probe = assert_register(0);
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    phone(DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
    up = assert_register(3600);
    upstream_grants(probe, 0);
    upstream_grants(up, 3600);
    assert_answer(HOME, 503);
    assert_answer(DESK, 503);
    assert_int_equal(live_contacts(), 0);
    /* and the lease that came of it goes */
    upstream_grants(assert_register(0), 0);
    assert_upstream_quiet();
}

/* Accepted without credentials: nobody proved anything. */
static void test_accepted_without_credentials(void **state)
{
    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    upstream_grants(assert_register(3600), 3600);
    assert_answer(HOME, 503);
    assert_int_equal(live_contacts(), 0);
    upstream_grants(assert_register(0), 0); /* the probe */
    assert_true(fake_logged(&world.fake, "event=upstream_open"));
    upstream_grants(assert_register(0), 0); /* the lease that came of it */
    assert_upstream_quiet();
}

/* One user needs no password: he proves nothing, and whoever registers in his name
 * does not keep the others out. */
static void test_a_user_without_password(void **state)
{
    (void)state;
    for (unsigned i = 1; i < 5; i++) {
        const char *up;

        phone_of("open", THIRD, "open", i, CONTACT_HOME);
        upstream_grants(assert_register(3600), 3600);
        assert_answer(THIRD, 503);
        while ((up = to_upstream()))
            upstream_answers(up, strstr(up, "midreg-probe") ? 401 : 200, "");
        phone(HOME, "h1", i, CONTACT_HOME CREDENTIALS);
        if (i == 1)
            upstream_accepts();
        assert_answer(HOME, 200);
    }
    assert_false(fake_logged(&world.fake, "event=upstream_open"));
}

/* A 200 that grants nothing has registered nobody. */
static void test_granted_nothing(void **state)
{
    const char *up;

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    upstream_answers(assert_register(3600), 200, "Expires: 0\r\n");
    assert_non_null(fake_field(assert_answer(HOME, 503), "Retry-After"));
    assert_int_equal(live_contacts(), 0);
    while ((up = to_upstream()))
        upstream_grants(up, 0);
    phone(HOME, "h1", 2, CONTACT_HOME CREDENTIALS);
    upstream_accepts();
    assert_answer(HOME, 200);
    assert_int_equal(live_contacts(), 1);
}

/* A removal is done when our contact is gone, not when it was said to be. */
static void test_removal_that_was_none(void **state)
{
    (void)state;
    register_home();
    phone(HOME, "h1", 2, GONE_HOME);
    upstream_grants(assert_register(0), 500);
    assert_answer(HOME, 200);
    assert_int_equal(counted(COUNTER_LEASE_REMOVED), 0);
    pass(3000);
    upstream_grants(assert_register(0), 0);
    assert_int_equal(counted(COUNTER_LEASE_REMOVED), 1);
    pass(60000);
    assert_upstream_quiet();
}

/* A known phone does not fall because its main registrar has become open. */
static void test_known_phones_of_an_open_upstream(void **state)
{
    (void)state;
    register_home();
    pass(60000);
    anna()->lease.means = MEANS_NONE;
    anna()->lease.granted_s = 110; /* due */
    aor_first(anna())->granted_s = 55;
    anna()->lease.until_ms = world.fake.rt.now_ms + 50000;
    phone(HOME, "h1", 2, CONTACT_HOME);
    upstream_grants(assert_register(3600), 3600);
    assert_answer(HOME, 200);
    assert_int_equal(live_contacts(), 1);
    upstream_grants(assert_register(0), 0); /* the probe */
    phone(HOME, "h1", 3, CONTACT_HOME);
    assert_answer(HOME, 200);
    assert_upstream_quiet();
    phone(DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
    assert_answer(DESK, 503);
}

static void test_allow_open_upstream(void **state)
{
    (void)state;
    world.config.allow_open_upstream = true;
    world_start_unprobed();
    assert_upstream_quiet(); /* no probe */
    phone(HOME, "h1", 1, CONTACT_HOME);
    upstream_accepts();
    assert_answer(HOME, 200);
    phone(DESK, "d1", 1, CONTACT_DESK);
    upstream_accepts();
    assert_int_equal(count_of(assert_answer(DESK, 200), "Contact:"), 2);
    phone(DESK, "d1", 2, CONTACT_DESK);
    assert_answer(DESK, 200);
    assert_upstream_quiet();
}

#define IN(world, test) cmocka_unit_test_setup_teardown(test, world, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(none, test_first_is_forwarded),
        IN(none, test_retransmission_of_the_first),
        IN(none, test_trying),
        IN(none, test_refreshes_are_absorbed),
        IN(none, test_a_number_is_used_once),
        IN(none, test_remaining_time),
        IN(none, test_second_phone_waits_and_is_absorbed),
        IN(upstream, test_lane_order),
        IN(upstream, test_same_call_id_waits),
        IN(upstream, test_lane_is_bounded),
        IN(upstream, test_strangers),
        IN(upstream, test_proved_flow_is_no_stranger),
        IN(none, test_one_of_two_leaves),
        IN(none, test_last_leaves),
        IN(none, test_star),
        IN(upstream, test_removal_is_proved),
        IN(upstream, test_removal_goes_alone),
        IN(upstream, test_removal_is_decided_anew),
        IN(none, test_phone_comes_while_the_lease_goes),
        IN(upstream, test_challenge_both_ways),
        IN(upstream, test_refusal_leaves_nothing),
        IN(none, test_retry_after_is_ours),
        IN(none, test_what_a_refusal_says_passes),
        IN(none, test_own_mistakes_are_not_passed_on),
        IN(upstream, test_403_ends_only_its_own_binding),
        IN(unstarted, test_probe_finds_it_open),
        IN(unstarted, test_open_is_found_while_forwarding),
        IN(upstream, test_accepted_without_credentials),
        IN(upstream, test_a_user_without_password),
        IN(upstream, test_granted_nothing),
        IN(none, test_removal_that_was_none),
        IN(upstream, test_known_phones_of_an_open_upstream),
        IN(unstarted, test_allow_open_upstream),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * registrar/lease: a main registrar that refuses, and one in trouble.
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
    phone(HOME, "h1", 1, CONTACT_HOME);
    upstream_accepts();
    assert_answer(HOME, 200);
}

static uint64_t held_for_s(void)
{
    uint64_t now_ms = world.fake.rt.now_ms;

    return anna() && anna()->lease.until_ms > now_ms ? (anna()->lease.until_ms - now_ms) / 1000 : 0;
}

/* ---- refused ------------------------------------------------------------------------------- */

/* Until the own refresh is refused for the first time. */
static void until_refused(struct caller *c, struct pbx *pbx, int status)
{
    say(c);
    run(pbx, 20);
    assert_answer(HOME, 200);
    assert_true(live_on(c, pbx, 2820000));
    pbx->status = status;
    while (counted(COUNTER_LEASE_FAILED) == 0)
        assert_true(live_on(c, pbx, 60000));
}

static void test_refused_twice_ends_the_aor(void **state)
{
    static const int statuses[] = {403, 404};

    for (unsigned i = 0; i < 2; i++) {
        struct caller c = {0, CONTACT_HOME};
        struct pbx pbx = {0};

        until_refused(&c, &pbx, statuses[i]);
        assert_int_equal(live_contacts(), 1);
        run(&pbx, 30000);
        assert_int_equal(live_contacts(), 0);
        assert_true(fake_logged(&world.fake, "event=aor_ended"));
        assert_int_equal(counted(COUNTER_BINDING_REMOVED), 1);
        assert_int_equal(pbx.removals, 0);
        /* The phone's next REGISTER goes up as a new one and brings it the word. */
        say(&c);
        run(&pbx, 20);
        assert_answer(HOME, statuses[i]);
        assert_all_gone(&pbx);
        end(state);
        none(state);
    }
}

static void test_refused_once_is_forgiven(void **state)
{
    struct caller c = {0, CONTACT_HOME};
    struct pbx pbx = {0};

    (void)state;
    until_refused(&c, &pbx, 403);
    assert_int_equal(anna()->lease.refused, 1);
    pbx.status = 0;
    run(&pbx, 30000);
    assert_int_equal(anna()->lease.refused, 0);
    assert_true(held_for_s() > 3500);
}

/* Refused are so many that the upstream is at fault: all stay. */
static void refused_at_once(unsigned users, unsigned grant_s)
{
    struct pbx pbx = {.grant_s = grant_s};
    char user[16], contact[80];

    world.config.phone_expires_s = 86400;
    for (unsigned i = 0; i < users; i++) {
        snprintf(user, sizeof user, "u%u", i);
        snprintf(contact, sizeof contact, "Contact: <sip:%s@10.0.0.1:5062>;expires=86400\r\n",
                 user);
        phone_of(user, HOME, user, 1, contact);
        run(&pbx, 10);
        assert_answer(HOME, 200);
    }
    pbx.status = 403;
    run(&pbx, 3600000 + 1200000);
    assert_int_equal(world.location.bindings, users);
    assert_true(fake_logged(&world.fake, "event=upstream_refuses"));
    assert_false(fake_logged(&world.fake, "event=aor_ended"));
    pbx.status = 0;
    run(&pbx, 120000);
    for (size_t at = 0;;) {
        const struct aor *a = location_next(&world.location, &at);

        if (!a)
            break;
        assert_true(lease_held(&a->lease, world.fake.rt.now_ms));
    }
    assert_true(world.fake.log_count < 60);
}

static void test_mass_refusal_ends_nobody(void **state)
{
    (void)state;
    refused_at_once(40, 0);
}

/* As few as are no more believable, all within a minute: nor do they become so, however
 * long it lasts. */
static void test_four_refusals_are_too_many(void **state)
{
    (void)state;
    refused_at_once(4, 300);
}

/* Three that are refused, twice each, are three: it is believable. */
static void test_three_refusals_are_believed(void **state)
{
    struct pbx pbx = {.grant_s = 20}; /* so that all happens within a minute */
    char user[16], contact[80];

    (void)state;
    world.config.phone_expires_s = 86400;
    for (unsigned i = 0; i < 3; i++) {
        snprintf(user, sizeof user, "u%u", i);
        snprintf(contact, sizeof contact, "Contact: <sip:%s@10.0.0.1:5062>;expires=86400\r\n",
                 user);
        phone_of(user, HOME, user, 1, contact);
        run(&pbx, 10);
        assert_answer(HOME, 200);
    }
    pbx.status = 403;
    run(&pbx, 25000);
    assert_int_equal(world.location.bindings, 0);
}

/* A removal of what is not found: there is nothing to remove. */
static void test_refused_removal(void **state)
{
    struct pbx pbx = {0};

    (void)state;
    register_home();
    phone(HOME, "h1", 2, GONE_HOME);
    assert_answer(HOME, 200);
    upstream_answers(assert_register(0), 404, "");
    assert_all_gone(&pbx);
    assert_int_equal(pbx.registers, 0);
}

/* One that is forbidden says nothing about what is there: it is tried again
 * (found by the simulator). */
static void test_forbidden_removal(void **state)
{
    struct pbx pbx = {0};

    (void)state;
    register_home();
    phone(HOME, "h1", 2, GONE_HOME);
    assert_answer(HOME, 200);
    upstream_answers(assert_register(0), 403, "");
    assert_all_gone(&pbx);
    assert_int_equal(pbx.registers, 1);
}

/* peers.md row 8: challenged, and midreg cannot answer: it lapses, and is counted. */
static void test_challenged_removal(void **state)
{
    struct pbx pbx = {0};

    (void)state;
    register_home();
    phone(HOME, "h1", 2, GONE_HOME);
    assert_answer(HOME, 200);
    upstream_answers(assert_register(0), 401, "");
    assert_int_equal(counted(COUNTER_LEASE_LAPSED), 1);
    assert_all_gone(&pbx);
    assert_int_equal(pbx.registers, 0);
}

/* ---- trouble --------------------------------------------------------------------------------- */

/* The lease retries with back-off; Retry-After is obeyed up to retry-max. */
static void test_retry_after_is_bounded(void **state)
{
    struct caller c = {0, CONTACT_HOME};
    struct pbx pbx = {.lines = "Retry-After: 300 (starting)\r\n"};
    unsigned before;

    (void)state;
    until_refused(&c, &pbx, 503);
    before = pbx.registers;
    assert_true(live_on(&c, &pbx, 300000));
    assert_in_range(pbx.registers - before, 9, 12);
    pbx.lines = "Retry-After: 7\r\n";
    assert_true(live_on(&c, &pbx, 60000));
    before = pbx.registers;
    assert_true(live_on(&c, &pbx, 300000));
    assert_in_range(pbx.registers - before, 9, 22); /* the back-off is longer by then */
    pbx.status = 0;
    assert_true(live_on(&c, &pbx, 60000));
    assert_true(held_for_s() > 3400);
}

static void test_backoff_doubles(void **state)
{
    uint64_t last, waits[8];

    (void)state;
    register_home();
    phone(HOME, "h1", 2, GONE_HOME);
    assert_answer(HOME, 200);
    last = world.fake.rt.now_ms;
    for (unsigned i = 0; i < 8; i++) {
        upstream_answers(assert_register(0), 500, "");
        do
            pass(1);
        while (world.transactions.clients.used == 0 || anna()->busy == 0);
        waits[i] = world.fake.rt.now_ms - last;
        last = world.fake.rt.now_ms;
    }
    for (unsigned i = 0; i < 8; i++) {
        uint64_t most = 1000ull << i < 30000 ? 1000ull << i : 30000;

        assert_in_range(waits[i], most / 2, most + 2);
    }
}

/* Accepted phones are absorbed on, at most survive-max beyond their lease. */
static void test_survive_max(void **state)
{
    static const int statuses[] = {0, 503, 500, 410};

    for (unsigned i = 0; i < 4; i++) {
        struct caller c = {0, CONTACT_HOME};
        struct pbx pbx = {0};
        const char *answer;
        int last = 0;

        say(&c);
        run(&pbx, 20);
        assert_answer(HOME, 200);
        pbx.silent = statuses[i] == 0;
        pbx.status = statuses[i];
        assert_true(live_on(&c, &pbx, 7140000));
        assert_int_equal(live_contacts(), 1);
        live_on(&c, &pbx, 240000);
        say(&c);
        run(&pbx, 17000);
        while ((answer = to_phone(HOME)))
            last = status_of(answer);
        assert_int_equal(last, statuses[i] == 500 ? 500 : 503);
        assert_int_equal(live_contacts(), 0);
        pbx.silent = false;
        pbx.status = 0;
        assert_all_gone(&pbx);
        end(state);
        none(state);
    }
}

/* Under `upstream` known phones survive as well, by the proof of their flow. */
static void test_survival_by_flow(void **state)
{
    struct caller c = {0, CONTACT_HOME CREDENTIALS};
    struct pbx pbx = {.challenges = true};
    const char *answer;

    (void)state;
    say(&c);
    run(&pbx, 20);
    assert_answer(HOME, 200);
    pbx.status = 503;
    assert_true(live_on(&c, &pbx, 5400000));
    assert_int_equal(live_contacts(), 1);
    pbx.status = 0;
    assert_true(live_on(&c, &pbx, 120000));
    assert_true(held_for_s() > 3000);
    while ((answer = to_phone(HOME)))
        continue;
}

/* The lease was lost upstream and midreg has no means: the next phone heals it. */
static void test_lapsed_lease_is_healed_by_the_phone(void **state)
{
    struct caller c = {0, CONTACT_HOME CREDENTIALS};
    struct pbx pbx = {.challenges = true};

    (void)state;
    say(&c);
    run(&pbx, 20);
    assert_answer(HOME, 200);
    anna()->lease.means = MEANS_NONE;
    anna()->lease.until_ms = 0;
    assert_true(live_on(&c, &pbx, 60000));
    assert_true(held_for_s() > 3500);
    assert_int_equal(pbx.registers, 2);
}

/* ---- a phone's own ---------------------------------------------------------------------- */

/* Design 3.4: a 403 or 404 to a phone's REGISTER ends at most the binding whose flow,
 * Call-ID and contact match it, whatever else fits. */
static void test_403_ends_what_matches_in_all_three(void **state)
{
    static const int statuses[] = {403, 404};
    static const struct {
        const char *flow, *call_id, *contact;
        unsigned left;
    } rows[] = {
        {THIRD, "h1", CONTACT_HOME, 2},  /* another flow */
        {HOME, "evil", CONTACT_HOME, 2}, /* another Call-ID */
        {HOME, "h1", CONTACT_DESK, 2},   /* another contact: that of the desk */
        {HOME, "h1", "Contact: <sip:anna@10.0.0.1:5062;x=1>\r\n", 2},
        {HOME, "h1", "Contact: <sip:anna@10.0.0.1:5062>;x=1\r\n", 1},
    };

    for (unsigned i = 0; i < 2 * sizeof rows / sizeof rows[0]; i++) {
        unsigned row = i / 2;
        char lines[256];

        world_close();
        upstream(state);
        phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
        upstream_accepts();
        assert_answer(HOME, 200);
        phone(DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
        upstream_accepts();
        assert_answer(DESK, 200);
        snprintf(lines, sizeof lines, "%s" CREDENTIALS, rows[row].contact);
        phone(rows[row].flow, rows[row].call_id, 2, lines);
        upstream_answers(assert_register(3600), statuses[i % 2], "");
        assert_answer(rows[row].flow, statuses[i % 2]);
        if (live_contacts() != rows[row].left)
            fail_msg("row %u: %u", row, live_contacts());
    }
}

#define IN(world, test) cmocka_unit_test_setup_teardown(test, world, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(none, test_refused_twice_ends_the_aor),
        IN(none, test_refused_once_is_forgiven),
        IN(none, test_mass_refusal_ends_nobody),
        IN(none, test_four_refusals_are_too_many),
        IN(none, test_three_refusals_are_believed),
        IN(none, test_refused_removal),
        IN(none, test_forbidden_removal),
        IN(none, test_challenged_removal),
        IN(none, test_retry_after_is_bounded),
        IN(none, test_backoff_doubles),
        IN(none, test_survive_max),
        IN(upstream, test_403_ends_what_matches_in_all_three),
        IN(upstream, test_survival_by_flow),
        IN(upstream, test_lapsed_lease_is_healed_by_the_phone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

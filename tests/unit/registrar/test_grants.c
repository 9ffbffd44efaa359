/*
 * registrar/rules: what a phone is granted, and when the lease decides that its
 * REGISTER goes up (design 3.1, 3.4).
 */
#include "ruling.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- what is granted -------------------------------------------------------------------- */

static uint32_t granted(const char *expires, uint32_t dice)
{
    char lines[128];

    snprintf(lines, sizeof lines, HOME_CONTACT "Expires: %s\r\n", expires);
    ask(HOME, CALL, 6, lines);
    decide_with(PROOF_UPSTREAM, dice);
    assert_int_equal(out.verdict, REG_ABSORBED);
    return out.change[0].granted_s;
}

static void test_grant(void **state)
{
    (void)state;
    assert_int_equal(granted("3600", 0), 120);
    assert_int_equal(granted("100", 0), 100);
    assert_int_equal(granted("4294967295", 0), 120);
    have_home();
    assert_int_equal(granted("60", 12345), 60);
}

/* At most `expires-jitter` percent less, and all of that range is used. */
static void test_jitter(void **state)
{
    uint32_t least = UINT32_MAX, most = 0;

    (void)state;
    config.expires_jitter = 10;
    for (uint32_t dice = 0; dice < 1000; dice++) {
        uint32_t got = granted("3600", dice * 2654435761u);

        least = got < least ? got : least;
        most = got > most ? got : most;
    }
    assert_int_equal(least, 108);
    assert_int_equal(most, 120);
    /* Never below min-expires because of it. */
    for (uint32_t dice = 0; dice < 100; dice++)
        assert_in_range(granted("62", dice), 60, 62);
}

/* Where only phones can hold the lease they must come often enough. */
static void test_half_of_a_short_grant(void **state)
{
    (void)state;
    have_home();
    record->lease.granted_s = 60;
    record->lease.means = MEANS_NONE;
    assert_int_equal(granted("3600", 0), 30);
    record->lease.means = MEANS_UNKNOWN; /* its first own try may be refused */
    assert_int_equal(granted("3600", 0), 30);
    record->lease.means = MEANS_ACL;
    assert_int_equal(granted("3600", 0), 120);
    record->lease.means = MEANS_NONE;
    record->lease.granted_s = 155; /* due after 77 s, gone after 155 */
    assert_int_equal(granted("3600", 0), 77);
    record->lease.granted_s = 240;
    assert_int_equal(granted("3600", 0), 120);
    record->lease.granted_s = 1;
    assert_int_equal(granted("3600", 0), 1);
}

/* ---- the lease decides --------------------------------------------------------------------- */

static void have_lease(enum lease_means means, uint32_t granted_s, int64_t left_s)
{
    have_record();
    record->lease.means = (uint8_t)means;
    record->lease.granted_s = granted_s;
    record->lease.until_ms = (uint64_t)((int64_t)fake.rt.now_ms + left_s * 1000);
    record->lease.may_ms = record->lease.until_ms;
}

static void test_lease_due(void **state)
{
    (void)state;
    have_lease(MEANS_NONE, 3600, 1801);
    assert_false(rules_lease_due(&record->lease, fake.rt.now_ms));
    have_lease(MEANS_NONE, 3600, 1800);
    assert_true(rules_lease_due(&record->lease, fake.rt.now_ms));
    have_lease(MEANS_NONE, 3600, -1);
    assert_true(rules_lease_due(&record->lease, fake.rt.now_ms));
    record->lease = (struct lease){.means = MEANS_NONE}; /* lost: due at once */
    assert_true(rules_lease_due(&record->lease, fake.rt.now_ms));
    have_lease(MEANS_ACL, 3600, 1);
    assert_false(rules_lease_due(&record->lease, fake.rt.now_ms));
    have_lease(MEANS_UNKNOWN, 3600, 1);
    assert_false(rules_lease_due(&record->lease, fake.rt.now_ms));
}

static void test_due_lease_takes_the_next_proved_register(void **state)
{
    static const enum config_auth auths[] = {AUTH_UPSTREAM, AUTH_NONE};

    (void)state;
    have_home();
    have_lease(MEANS_NONE, 3600, 1800);
    for (int i = 0; i < 2; i++) {
        config.auth = auths[i];
        ask(HOME, CALL, 6, HOME_CONTACT);
        decide();
        assert_int_equal(out.verdict, REG_FORWARD);
        assert_true(out.survives); /* a silent upstream does not end a known phone */
        assert_false(out.empties);
    }
    /* A removal heals nothing; a copy of an old REGISTER is no refresh. */
    ask(HOME, CALL, 6, GONE);
    decide();
    assert_int_equal(out.verdict, REG_ABSORBED);
    ask(HOME, CALL, 5, HOME_CONTACT);
    decide();
    assert_int_equal(out.verdict, REG_ANSWERED);
}

static void test_lost_lease(void **state)
{
    (void)state;
    have_home();
    ask(HOME, CALL, 6, HOME_CONTACT);
    /* By its own means midreg heals it: the phone is absorbed on. */
    have_lease(MEANS_ACL, 3600, -10);
    decide();
    assert_int_equal(out.verdict, REG_ABSORBED);
    /* Else the phone's REGISTER heals it. */
    have_lease(MEANS_NONE, 3600, -10);
    decide();
    assert_int_equal(out.verdict, REG_FORWARD);
    assert_true(out.survives);
}

/* survive-max: beyond it even a known phone needs the main registrar's word. */
static void test_survive_max(void **state)
{
    static const enum lease_means means[] = {MEANS_ACL, MEANS_NONE, MEANS_UNKNOWN};

    (void)state;
    fake.rt.now_ms += 10000000;
    have_home();
    ask(HOME, CALL, 6, HOME_CONTACT);
    for (int i = 0; i < 3; i++) {
        have_lease(means[i], 3600, -3600);
        decide();
        assert_true(out.verdict == REG_ABSORBED || out.survives);
        have_lease(means[i], 3600, -3601);
        decide();
        assert_int_equal(out.verdict, REG_FORWARD);
        assert_false(out.survives);
    }
    config.auth = AUTH_NONE;
    decide();
    assert_int_equal(out.verdict, REG_FORWARD);
    assert_false(out.survives);
    ask(HOME, CALL, 6, GONE);
    decide();
    assert_int_equal(out.verdict, REG_ABSORBED);
}

/* Design 3.2: each binding is proved again at least once per lease. */
static void test_proved_once_per_lease(void **state)
{
    struct binding *b = have_home();

    (void)state;
    have_lease(MEANS_ACL, 600, 500);
    ask(HOME, CALL, 6, HOME_CONTACT);
    b->proved_ms = fake.rt.now_ms - 599999;
    decide();
    assert_int_equal(out.verdict, REG_ABSORBED);
    b->proved_ms = fake.rt.now_ms - 600000;
    decide();
    assert_int_equal(out.verdict, REG_FORWARD);
    assert_true(out.survives);
    config.auth = AUTH_NONE;
    decide();
    assert_int_equal(out.verdict, REG_ABSORBED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULING(test_grant),
        RULING(test_jitter),
        RULING(test_half_of_a_short_grant),
        RULING(test_lease_due),
        RULING(test_due_lease_takes_the_next_proved_register),
        RULING(test_lost_lease),
        RULING(test_survive_max),
        RULING(test_proved_once_per_lease),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

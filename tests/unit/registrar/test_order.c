/*
 * registrar: who goes upstream first when the pacer is busy, and what the pacer
 * learns from the answers (design 3.6).
 */
#include "world.h"

#include "registrar/driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define RATE 10

static int begin(void **state)
{
    (void)state;
    world_open(AUTH_UPSTREAM);
    world.config.upstream[0].rate = RATE;
    world_start();
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_close();
    return 0;
}

static void restart(uint32_t rate, uint32_t rate_max)
{
    world_close();
    world_open(AUTH_UPSTREAM);
    world.config.upstream[0].rate = rate;
    world.config.upstream[0].rate_max = rate_max;
    world_start();
}

/* `n` phones register, each of its own user. */
static void crowd(const char *prefix, unsigned n, const char *credentials)
{
    char user[16], contact[160];

    for (unsigned i = 0; i < n; i++) {
        snprintf(user, sizeof user, "%s%u", prefix, i);
        snprintf(contact, sizeof contact, "Contact: <sip:%s@10.0.0.1:5062>\r\n%s", user,
                 credentials);
        phone_of(user, HOME, user, 1, contact);
    }
}

/* How many of the next `n` REGISTERs upstream are for these users. All are refused, at once. */
static unsigned next_ones(const char *prefix, unsigned n)
{
    unsigned found = 0;
    char to[32];

    snprintf(to, sizeof to, "To: <sip:%s", prefix);
    for (unsigned looked = 0; looked < n;) {
        const char *up = to_upstream();

        if (!up) {
            pass(10);
            continue;
        }
        looked++;
        found += strstr(up, to) != NULL;
        upstream_answers(up, 403, "");
    }
    return found;
}

static unsigned count_answers(int status)
{
    unsigned n = 0;
    const char *answer;

    while ((answer = to_phone(HOME)))
        n += status_of(answer) == status;
    return n;
}

/* Strangers get a fifth beside those who have credentials; more than a second's
 * worth of them does not wait. */
static void test_strangers_come_last(void **state)
{
    (void)state;
    crowd("known", 2, CREDENTIALS); /* the burst */
    assert_int_equal(next_ones("known", 2), 2);
    crowd("stranger", 30, "");
    assert_int_equal(count_answers(503), 20);
    crowd("known", 30, CREDENTIALS);
    assert_int_equal(next_ones("stranger", 20), 4);
    assert_int_equal(count_answers(503), 0);
}

/* A lease that is about to run out goes before new phones, whether midreg or its
 * phone asks. */
static void test_due_leases_come_first(void **state)
{
    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    upstream_accepts();
    assert_answer(HOME, 200);
    anna()->lease.means = MEANS_NONE;
    anna()->lease.until_ms = anna()->lease.may_ms = world.fake.rt.now_ms + 800000;
    crowd("known", 31, CREDENTIALS);
    phone(HOME, "h1", 2, CONTACT_HOME);
    next_ones("", 1); /* its place was taken before */
    assert_int_equal(next_ones("anna", 1), 1);
}

/* With time left it is one of the known ones. */
static void test_other_leases_wait(void **state)
{
    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    upstream_accepts();
    assert_answer(HOME, 200);
    anna()->lease.means = MEANS_NONE;
    anna()->lease.until_ms = anna()->lease.may_ms = world.fake.rt.now_ms + 1700000;
    crowd("known", 11, CREDENTIALS);
    phone(HOME, "h1", 2, CONTACT_HOME);
    assert_int_equal(next_ones("anna", 11), 0);
    assert_int_equal(next_ones("anna", 1), 1);
}

/* De-registrations come after those who want to be there. A phone that returns
 * does not wait behind the one of its own AOR. */
static void test_removals_wait(void **state)
{
    const char *answer, *up;

    (void)state;
    world.config.upstream[0].means = CONFIG_MEANS_ACL;
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    upstream_accepts();
    assert_answer(HOME, 200);
    pass(115000);
    crowd("known", 150, CREDENTIALS);
    while ((answer = to_phone(HOME)))
        assert_int_equal(status_of(answer), 100);
    assert_int_equal(next_ones("anna", 70), 0); /* anna's binding has run out meanwhile */
    assert_int_equal(live_contacts(), 0);
    assert_int_equal(anna()->busy, 1);
    phone(DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
    assert_int_equal(anna()->busy, 1); /* the removal has left, its own has come */
    assert_no_answer(DESK);
    while (!(up = to_upstream()) || !strstr(up, "To: <sip:anna@"))
        pass(10);
    assert_non_null(strstr(up, "\r\nExpires: 3600\r\n"));
}

/* The main registrar is ill: half the rate. One lease's 503 is its own. */
static void test_503s_halve_the_rate(void **state)
{
    struct pbx pbx = {.status = 503};
    unsigned before;

    (void)state;
    restart(100, 0);
    crowd("known", 300, CREDENTIALS);
    run(&pbx, 1000);
    assert_in_range(pbx.registers, 100, 111);
    before = pbx.registers;
    run(&pbx, 1000);
    assert_in_range(pbx.registers - before, 49, 55);
}

/* How many went up in the next so many milliseconds. */
static uint64_t went(struct pbx *pbx, uint64_t ms)
{
    uint64_t before = counted(COUNTER_REGISTER_UPSTREAM);

    run(pbx, ms);
    return counted(COUNTER_REGISTER_UPSTREAM) - before;
}

/* Silence is late after a second. Few are unanswered at a time, and next to nothing goes up
 * while there is no answer at all. */
static void test_silence_cuts_the_rate(void **state)
{
    struct pbx pbx = {.silent = true};

    (void)state;
    restart(100, 0);
    crowd("known", 600, CREDENTIALS);
    run(&pbx, 950);
    assert_int_equal(counted(COUNTER_REGISTER_UPSTREAM), 26);
    run(&pbx, 1350); /* they are late */
    assert_in_range(went(&pbx, 950), 10, 12);
    assert_in_range(went(&pbx, 950), 10, 12);
    assert_int_equal(world.registrar->pacer[0].rate, 50);
    pbx.silent = false;
    run(&pbx, 1200);
    assert_in_range(went(&pbx, 1000), 45, 60);
}

/* Who is not answered makes room in the end, whatever becomes of him. */
static void test_all_land(void **state)
{
    struct pbx pbx = {.silent = true};

    (void)state;
    restart(100, 0);
    crowd("known", 60, CREDENTIALS);
    crowd("stranger", 60, "");
    run(&pbx, 900);
    assert_int_equal(world.registrar->pacer[0].out, 26);
    pbx.silent = false;
    run(&pbx, 100000);
    assert_int_equal(world.registrar->pacer[0].out, 0);
    assert_int_equal(world.registrar->pacer[0].out_strangers, 0);
}

/* Quick answers while some wait: it climbs up to rate-max. */
static void test_quick_answers_raise_the_rate(void **state)
{
    struct pbx pbx = {0};

    (void)state;
    restart(RATE, 20);
    for (unsigned i = 0; i < 20; i++) {
        char prefix[8];

        snprintf(prefix, sizeof prefix, "k%u-", i);
        crowd(prefix, 25, CREDENTIALS);
        run(&pbx, 1000);
    }
    pbx.registers = 0;
    run(&pbx, 1000);
    assert_in_range(pbx.registers, 19, 21);
}

#define IN(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(test_strangers_come_last),
        IN(test_due_leases_come_first),
        IN(test_other_leases_wait),
        IN(test_removals_wait),
        IN(test_503s_halve_the_rate),
        IN(test_silence_cuts_the_rate),
        IN(test_all_land),
        IN(test_quick_answers_raise_the_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

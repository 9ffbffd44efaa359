/*
 * registrar: a main registrar that lost what it held is given it again.
 */
#include "world.h"

#include "location/image.h"
#include "registrar/driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CROWD 60

static struct pbx pbx;

static int begin_with(enum config_auth auth)
{
    pbx = (struct pbx){0};
    world_open(auth);
    world.config.upstream[0].rate = 10;
    world.config.upstream[0].rate_max = 10;
    world_start();
    return 0;
}

static int begin(void **state)
{
    (void)state;
    return begin_with(AUTH_NONE);
}

static int begin_challenged(void **state)
{
    (void)state;
    return begin_with(AUTH_UPSTREAM);
}

static int end(void **state)
{
    (void)state;
    world_close();
    return 0;
}

static struct upstream *upstream(void)
{
    return &world.upstreams.list[0];
}

static const struct reload *reload(void)
{
    return registrar_reload(world.registrar, upstream());
}

static void crowd(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char user[16], lines[96];

        snprintf(user, sizeof user, "u%u", i);
        snprintf(lines, sizeof lines, "Contact: <sip:%s@10.0.0.1:5062>\r\n", user);
        phone_of(user, HOME, user, 1, lines);
        run(&pbx, 150);
    }
    run(&pbx, 10000);
    assert_int_equal(world.location.aors.used, n);
}

static void lose(void)
{
    pbx.registers = 0;
    registrar_upstream_lost(world.registrar, upstream(), "the test says so");
}

static unsigned held(void)
{
    unsigned n = 0;
    size_t at = 0;
    struct aor *a;

    while ((a = location_next(&world.location, &at)))
        n += lease_held(&a->lease, world.fake.rt.now_ms);
    return n;
}

/* Each once, as fast as the pacer lets them. */
static void test_all_are_registered_again(void **state)
{
    (void)state;
    crowd(CROWD);
    lose();
    run(&pbx, 1000);
    assert_in_range(pbx.registers, 9, 12);
    assert_int_equal(reload()->state, RELOAD_WALKING);
    assert_int_equal(reload()->total, CROWD);
    run(&pbx, 7000);
    assert_int_equal(reload()->state, RELOAD_IDLE);
    assert_int_equal(reload()->done, CROWD);
    assert_int_equal(reload()->failed, 0);
    assert_int_equal(pbx.registers, CROWD);
    assert_int_equal(held(), CROWD);
    assert_true(fake_logged(&world.fake, "event=reload_ended upstream=pbx done=60 failed=0"));
}

/* What was granted since is not touched again, though it begins anew. */
static void test_begun_anew(void **state)
{
    (void)state;
    crowd(CROWD);
    lose();
    run(&pbx, 3000);
    reload_begin(world.registrar, upstream(), &(struct reload_order){.why = "again"});
    pbx.registers = 0;
    run(&pbx, 9000);
    assert_int_equal(reload()->state, RELOAD_IDLE);
    assert_in_range(pbx.registers, CROWD - 5, CROWD);
    assert_int_equal(held(), CROWD);
}

/* A main registrar that is slower than the rate has no heap of them to answer. */
static void test_few_are_under_way(void **state)
{
    (void)state;
    world.config.upstream[0].rate = 40;
    crowd(CROWD);
    pacer_init(&world.registrar->pacer[0], 40, 40, world.fake.rt.now_ms);
    run(&pbx, 1000);
    pbx.silent = true;
    lose();
    run(&pbx, 900);
    assert_in_range(pbx.registers, 10, 12);
    run(&pbx, 500); /* they are late, and in nobody's way any more */
    assert_in_range(pbx.registers, 20, 24);
    pbx.silent = false;
    run(&pbx, 20000);
    assert_int_equal(reload()->done, CROWD);
}

/* New phones come all the time, more of them than may go up: each third place is a lease's. */
static void test_in_a_storm(void **state)
{
    (void)state;
    crowd(CROWD);
    lose();
    for (unsigned i = 0; i < 100; i++) {
        for (unsigned k = 0; k < 5; k++) {
            char user[16], lines[96];

            snprintf(user, sizeof user, "new%u", i * 5 + k);
            snprintf(lines, sizeof lines, "Contact: <sip:%s@10.0.0.2:5060>\r\n", user);
            phone_of(user, DESK, user, 1, lines);
        }
        run(&pbx, 200);
    }
    assert_int_equal(reload()->state, RELOAD_IDLE);
    assert_true(reload()->done >= CROWD); /* and some that came in before its walk's end */
}

/* Somebody new does not wait until all others are registered again. */
static void test_a_newcomer_meanwhile(void **state)
{
    (void)state;
    crowd(CROWD);
    lose();
    run(&pbx, 2000);
    phone_of("new", DESK, "new", 1, "Contact: <sip:new@10.0.0.2:5060>\r\n");
    run(&pbx, 500);
    assert_answer(DESK, 200);
    assert_int_equal(reload()->state, RELOAD_WALKING);
}

/* The operator's rate, and he may stop it. */
static void test_slowly(void **state)
{
    (void)state;
    crowd(CROWD);
    pbx.registers = 0;
    reload_begin(world.registrar, upstream(), &(struct reload_order){.rate = 2, .why = "slowly"});
    run(&pbx, 10000);
    assert_in_range(pbx.registers, 18, 22);
    reload_stop(world.registrar, upstream());
    run(&pbx, 5000);
    assert_int_equal(reload()->state, RELOAD_IDLE);
    assert_in_range(pbx.registers, 18, 24);
    assert_int_equal(held(), CROWD); /* nobody was believed to be lost */
}

static void test_dry(void **state)
{
    (void)state;
    crowd(CROWD);
    pbx.registers = 0;
    reload_begin(world.registrar, upstream(), &(struct reload_order){.dry = true, .why = "dry"});
    run(&pbx, 1000);
    assert_int_equal(reload()->state, RELOAD_IDLE);
    assert_int_equal(reload()->done, CROWD);
    assert_int_equal(pbx.registers, 0);
}

/* Those that fail go on by themselves. */
static void test_failures(void **state)
{
    (void)state;
    crowd(10);
    pbx.status = 500;
    lose();
    run(&pbx, 3000);
    assert_int_equal(reload()->failed, 10);
    assert_int_equal(reload()->state, RELOAD_IDLE);
    assert_int_equal(held(), 0);
    pbx.status = 0;
    run(&pbx, 40000);
    assert_int_equal(held(), 10);
}

/* Where only a phone's credentials can do it, its next REGISTER goes up. */
static void test_means_none(void **state)
{
    struct caller c = {.lines = CONTACT_HOME CREDENTIALS};

    (void)state;
    pbx.challenges = true;
    assert_true(live_on(&c, &pbx, 300000));
    anna()->lease.means = MEANS_NONE;
    run(&pbx, 1000);
    lose();
    run(&pbx, 1000);
    assert_int_equal(reload()->state, RELOAD_IDLE);
    assert_int_equal(reload()->marked, 1);
    assert_int_equal(pbx.registers, 0);
    assert_false(lease_held(&anna()->lease, world.fake.rt.now_ms));
    say(&c);
    run(&pbx, 1000);
    assert_answer(HOME, 200);
    assert_int_equal(pbx.registers, 1);
    assert_true(lease_held(&anna()->lease, world.fake.rt.now_ms));
}

/* That is learned by the reload itself: no failure, its phone does it. */
static void test_means_unknown(void **state)
{
    struct caller c = {.lines = CONTACT_HOME CREDENTIALS};

    (void)state;
    pbx.challenges = true;
    assert_true(live_on(&c, &pbx, 60000));
    assert_int_equal(anna()->lease.means, MEANS_UNKNOWN);
    lose();
    run(&pbx, 1000);
    assert_int_equal(reload()->state, RELOAD_IDLE);
    assert_int_equal(reload()->marked, 1);
    assert_int_equal(reload()->failed, 0);
    assert_int_equal(anna()->lease.means, MEANS_NONE);
    say(&c);
    run(&pbx, 1000);
    assert_true(lease_held(&anna()->lease, world.fake.rt.now_ms));
}

/* One that it says it no longer holds. */
static void test_one_is_gone(void **state)
{
    (void)state;
    crowd(2);
    pbx.registers = 0;
    registrar_lease_gone(world.registrar,
                         location_hash(&world.location, SPAN("sip:u0@example.com")),
                         world.upstreams.list);
    registrar_lease_gone(world.registrar, 12345, world.upstreams.list); /* nobody's */
    run(&pbx, 1000);
    assert_int_equal(pbx.registers, 1);
    assert_true(registrar_reload_one(world.registrar,
                                     location_hash(&world.location, SPAN("sip:u1@example.com"))));
    assert_false(registrar_reload_one(world.registrar, 12345));
    run(&pbx, 1000);
    assert_int_equal(pbx.registers, 2);
    assert_int_equal(held(), 2);
}

/* It drops what it has just granted, again and again: it is not asked without pause. */
static void test_dropped_again_and_again(void **state)
{
    uint64_t u0 = location_hash(&world.location, SPAN("sip:u0@example.com"));

    (void)state;
    crowd(1);
    pbx.registers = 0;
    for (unsigned i = 0; i < 100; i++) {
        registrar_lease_gone(world.registrar, u0, world.upstreams.list);
        run(&pbx, 100);
    }
    assert_in_range(pbx.registers, 4, 6);
    run(&pbx, 3000);
    assert_int_equal(held(), 1);
}

/* While it is down nothing is sent that nobody answers, known phones get 200 at once,
 * and who left meanwhile is removed once it is back. */
static void test_while_it_is_down(void **state)
{
    struct caller c = {.lines = CONTACT_HOME CREDENTIALS};

    (void)state;
    pbx.challenges = true;
    assert_true(live_on(&c, &pbx, 300000));
    anna()->lease.means = MEANS_NONE;
    anna()->lease.until_ms = world.fake.rt.now_ms; /* its phone's REGISTER is due */
    upstream()->health.state = HEALTH_DOWN;
    pbx.registers = 0;
    say(&c);
    assert_answer(HOME, 200);
    run(&pbx, 1000);
    assert_int_equal(pbx.registers, 0);
    health_answered(upstream(), 401);
    assert_true(upstream_is_up(upstream()));
    run(&pbx, 100);
    assert_int_equal(reload()->number, 1);
    assert_int_equal(reload()->marked, 1);
}

static void test_who_left_while_it_was_down(void **state)
{
    (void)state;
    crowd(3);
    upstream()->health.state = HEALTH_DOWN;
    phone_of("u0", HOME, "u0", 2, "Contact: <sip:u0@10.0.0.1:5062>;expires=0\r\n");
    pbx.removals = pbx.registers = 0;
    run(&pbx, 5000);
    assert_int_equal(pbx.registers, 0);
    health_answered(upstream(), 200);
    run(&pbx, 5000);
    assert_int_equal(pbx.registers, 3);
    assert_int_equal(pbx.removals, 1);
    assert_int_equal(held(), 2);
}

/* ---- what a start has to know of it ---------------------------------------------------- */

static bool is_lost(void)
{
    return journal_is_lost(&world.journal, 0);
}

/* From the moment it is gone until the last lease is registered again. */
static void test_lost_until_the_end(void **state)
{
    (void)state;
    crowd(CROWD);
    assert_false(is_lost());
    upstream_tell_down(upstream());
    assert_true(is_lost());
    upstream()->health.state = HEALTH_DOWN;
    run(&pbx, 1000);
    health_answered(upstream(), 200);
    run(&pbx, 2000);
    assert_int_equal(reload()->state, RELOAD_WALKING);
    assert_true(is_lost());
    run(&pbx, 7000);
    assert_int_equal(reload()->state, RELOAD_IDLE);
    assert_false(is_lost());
}

/* It was stopped, so all that follows is as for one that has lost all, and only its end
 * is the end. */
static void test_lost_though_stopped(void **state)
{
    (void)state;
    crowd(CROWD);
    lose();
    run(&pbx, 1000);
    reload_stop(world.registrar, upstream());
    run(&pbx, 2000);
    assert_int_equal(reload()->state, RELOAD_IDLE);
    assert_true(is_lost());
    reload_begin(world.registrar, upstream(), &(struct reload_order){.dry = true, .why = "dry"});
    run(&pbx, 1000);
    assert_true(is_lost());
    reload_begin(world.registrar, upstream(), &(struct reload_order){.moved = true, .why = "m"});
    pbx.registers = 0;
    run(&pbx, 9000);
    assert_int_equal(pbx.registers, CROWD);
    assert_false(is_lost());
}

/* A reload that the operator wants tells nothing of what it holds. */
static void test_not_lost(void **state)
{
    (void)state;
    crowd(10);
    reload_begin(world.registrar, upstream(), &(struct reload_order){.why = "asked for"});
    assert_false(is_lost());
    run(&pbx, 500);
    assert_false(is_lost());
}

/* The last run ended before all was registered again. */
static void test_lost_before_the_start(void **state)
{
    (void)state;
    crowd(10);
    pbx.registers = 0;
    registrar_started(world.registrar);
    run(&pbx, 2000);
    assert_int_equal(pbx.registers, 0);
    journal_restore_lost(&world.journal, 0);
    registrar_started(world.registrar);
    run(&pbx, 3000);
    assert_int_equal(pbx.registers, 10);
    assert_int_equal(reload()->done, 10);
    assert_false(is_lost());
    assert_true(fake_logged(&world.fake, "reason=\"midreg ended before"));
}

/* What could not be registered is not believed after a crash either. */
static void test_failures_are_stored(void **state)
{
    struct span batch;
    const struct aor *stored;

    (void)state;
    crowd(1);
    store_opens();
    pbx.status = 500;
    lose();
    run(&pbx, 1000);
    assert_int_equal(reload()->failed, 1);
    store_takes();
    batch = world.fake.journal_batch;
    assert_int_equal(image_next(&batch)->kind, IMAGE_LOST);
    stored = image_record(image_next(&batch));
    assert_true(stored->lease.until_ms <= world.fake.wall_s * 1000);
    assert_true(stored->lease.may_ms > world.fake.wall_s * 1000);
    assert_int_equal(batch.n, 0);
    store_writes(); /* and only now that it is over */
    batch = world.fake.journal_batch;
    assert_int_equal(image_next(&batch)->kind, IMAGE_KNOWN);
}

#define IN(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(test_all_are_registered_again),
        IN(test_begun_anew),
        IN(test_few_are_under_way),
        IN(test_in_a_storm),
        IN(test_a_newcomer_meanwhile),
        IN(test_slowly),
        IN(test_dry),
        IN(test_failures),
        cmocka_unit_test_setup_teardown(test_means_none, begin_challenged, end),
        cmocka_unit_test_setup_teardown(test_means_unknown, begin_challenged, end),
        IN(test_one_is_gone),
        IN(test_dropped_again_and_again),
        cmocka_unit_test_setup_teardown(test_while_it_is_down, begin_challenged, end),
        IN(test_who_left_while_it_was_down),
        IN(test_lost_until_the_end),
        IN(test_lost_though_stopped),
        IN(test_not_lost),
        IN(test_lost_before_the_start),
        IN(test_failures_are_stored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

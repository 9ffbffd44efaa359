/*
 * registrar: what a restart gives those that were stored (design 7).
 */
#include "world.h"

#include "location/image.h"
#include "registrar/lease.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static _Alignas(8) char image[4096];

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

/* Stores Anna as she is, forgets her, lets `down_s` pass on the wall's clock alone,
 * and has her back. */
static struct aor *restarted_after(int down_s)
{
    struct span batch = span_make(image, image_put(&world.fake.rt, image, anna()->hash, anna()));
    struct aor *a = anna();

    assert_true(batch.n < sizeof image);
    wheel_disarm(&world.fake.rt.wheel, &a->timer);
    location_delete(&world.location, a);
    assert_null(anna());
    world.fake.wall_s += (uint64_t)down_s;
    a = location_restore(&world.location, image_record(image_next(&batch)));
    assert_non_null(a);
    registrar_restored(world.registrar, a);
    return a;
}

static uint64_t left_s(const struct aor *a)
{
    return (aor_first(a)->expires_ms - world.fake.rt.now_ms) / 1000;
}

static void register_for(unsigned expires)
{
    char lines[128];

    snprintf(lines, sizeof lines, "Contact: <sip:anna@10.0.0.1:5060>;expires=%u\r\n", expires);
    phone(HOME, "h1", ++world.branches, lines);
    upstream_accepts();
    assert_answer(HOME, 200);
}

/* Who has expired may have some time again after a crash, but not from a lease whose end has
 * gone up just before it. */
static void test_what_ends_is_stored_first(void **state)
{
    struct span batch;
    const struct aor *stored;

    (void)state;
    register_for(90);
    store_opens();
    pass(91000);
    store_takes();
    assert_int_equal(live_contacts(), 0);
    assert_upstream_quiet();
    batch = world.fake.journal_batch;
    stored = image_record(image_next(&batch));
    assert_true(stored->lease.until_ms <= world.fake.wall_s * 1000);
    assert_true(stored->lease.may_ms > world.fake.wall_s * 1000);
    store_writes();
    upstream_grants(assert_register(0), 0);
}

/* Its refreshes were not stored: it gets what one of them may have granted. */
static void test_what_it_asked_for(void **state)
{
    struct aor *a;

    (void)state;
    register_for(90);
    assert_int_equal(aor_first(anna())->restart_s, 90);
    a = restarted_after(1000);
    assert_int_equal(left_s(a), 90);
    assert_int_equal(live_contacts(), 1);
}

/* At most phone-expires. */
static void test_at_most_phone_expires(void **state)
{
    (void)state;
    register_for(100000);
    assert_int_equal(left_s(restarted_after(0)), world.config.phone_expires_s);
}

static uint32_t cseq_of(const char *request)
{
    return (uint32_t)strtoul(fake_field(request, "CSeq"), NULL, 10);
}

/* A clock that was set back gives nobody an hour; and as nobody knows what is left of the
 * lease, it is registered anew, with a CSeq that has not been used. */
static void test_clock_set_back(void **state)
{
    const struct aor *a;
    uint32_t cseq;

    (void)state;
    register_for(90);
    cseq = anna()->lease.cseq;
    a = restarted_after(-86400);
    assert_in_range(left_s(a), 89, 90);
    assert_true(aor_first(a)->proved_ms <= world.fake.rt.now_ms);
    assert_true(a->lease.until_ms <= world.fake.rt.now_ms);
    assert_true(lease_possible(&a->lease, world.fake.rt.now_ms));
    pass(6000);
    assert_true(cseq_of(upstream_accepts()) > cseq);
    pass(85000);
    assert_int_equal(live_contacts(), 0);
    assert_register(0);
}

/* As ntpd does it: not worth a word. */
static void test_clock_set_back_a_little(void **state)
{
    (void)state;
    register_for(90);
    restarted_after(-1);
    pass(6000);
    assert_upstream_quiet();
}

/* All have expired, to look at the clock: none of them vanishes, and none stays. */
static void test_clock_set_forward(void **state)
{
    const struct aor *a;
    uint32_t cseq;

    (void)state;
    register_for(90);
    cseq = anna()->lease.cseq;
    a = restarted_after(86400);
    assert_int_equal(left_s(a), 90);
    assert_int_equal(aor_first(a)->proved_ms, 1); /* before the machine was started */
    pass(6000);
    assert_true(cseq_of(upstream_accepts()) >= cseq + 86400);
    phone(HOME, "h1", 1000, "Contact: <sip:anna@10.0.0.1:5060>;expires=90\r\n");
    assert_answer(HOME, 200);
    assert_int_equal(live_contacts(), 1);
    pass(91000);
    assert_int_equal(live_contacts(), 0);
    assert_register(0);
}

/* A machine without a clock starts in 1970: all lies far ahead. */
static void test_clock_lost(void **state)
{
    const struct aor *a;
    uint32_t cseq;

    (void)state;
    register_for(90);
    cseq = anna()->lease.cseq;
    a = restarted_after(-(int)(world.fake.wall_s - 5));
    assert_in_range(left_s(a), 89, 90);
    pass(6000);
    assert_int_equal(cseq_of(upstream_accepts()), cseq + 1);
    pass(85000);
    assert_int_equal(live_contacts(), 0);
}

/* A lease that is held is left alone; one that has run out is registered again, but
 * not before anything can be sent. */
static void test_leases(void **state)
{
    (void)state;
    register_for(90);
    restarted_after(10);
    pass(6000);
    assert_upstream_quiet();
    restarted_after(100000);
    assert_upstream_quiet();
    pass(6000);
    assert_register(world.config.upstream_expires_s);
}

/* After a restart our contact there is another one than 10.1.1.1:5099. */
static void move_contact(void)
{
    struct address before;

    assert_true(address_parse(SPAN("10.1.1.1:5099"), 0, &before));
    registrar_contact_moved(world.registrar, &world.upstreams.list[0], &before);
}

/* Where it is believed down then, and a phone has registered the present one. */
static void move_contact_behind_a_phone(void)
{
    register_for(90);
    restarted_after(1);
    world.upstreams.list[0].health.state = HEALTH_DOWN;
    move_contact();
    lease_granted(world.registrar, anna(), &anna()->lease, 3600);
}

static void test_contact_moved(void **state)
{
    const char *removal;

    (void)state;
    register_for(90);
    restarted_after(1);
    move_contact();
    pass(6000);
    removal = assert_register(0);
    assert_non_null(strstr(removal, "Contact: <sip:anna@10.1.1.1:5099;mr="));
    upstream_grants(removal, 0);
    assert_non_null(strstr(assert_register(world.config.upstream_expires_s),
                           "Contact: <sip:anna@127.0.0.1:5060;mr="));
}

/* It is not over before a crash may come. */
static void test_contact_moved_is_owed(void **state)
{
    (void)state;
    register_for(90);
    restarted_after(1);
    move_contact();
    pass(100);
    assert_true(journal_is_lost(&world.journal, 0));
    upstream_grants(assert_register(0), 0);
    pass(100);
    assert_true(journal_is_lost(&world.journal, 0));
    upstream_accepts();
    assert_upstream_quiet();
    assert_false(journal_is_lost(&world.journal, 0));
}

/* A phone is first: its REGISTER is no reason to leave the earlier contact there. What the
 * answer to the removal lists is the present one. */
static void test_contact_moved_and_a_phone_is_first(void **state)
{
    const char *removal;

    (void)state;
    move_contact_behind_a_phone();
    world.upstreams.list[0].health.state = HEALTH_UP;
    lease_settle(world.registrar, anna()->hash);
    removal = assert_register(0);
    assert_non_null(strstr(removal, "Contact: <sip:anna@10.1.1.1:5099;mr="));
    upstream_grants(removal, 3600);
    assert_non_null(strstr(assert_register(world.config.upstream_expires_s),
                           "Contact: <sip:anna@127.0.0.1:5060;mr="));
}

/* The same, and the phone leaves: both are removed. */
static void test_contact_moved_and_the_phone_leaves(void **state)
{
    const char *removal;

    (void)state;
    move_contact_behind_a_phone();
    phone(HOME, "h1", 1000, "Contact: <sip:anna@10.0.0.1:5060>;expires=0\r\n");
    world.upstreams.list[0].health.state = HEALTH_UP;
    lease_settle(world.registrar, anna()->hash);
    removal = assert_register(0);
    assert_non_null(strstr(removal, "Contact: <sip:anna@10.1.1.1:5099;mr="));
    upstream_grants(removal, 0);
    removal = assert_register(0);
    assert_non_null(strstr(removal, "Contact: <sip:anna@127.0.0.1:5060;mr="));
}

/* One that does not let us remove it is not asked again and again: the new one is there. */
static void test_contact_moved_and_the_old_one_stays(void **state)
{
    (void)state;
    register_for(90);
    restarted_after(1);
    move_contact();
    pass(6000);
    upstream_answers(assert_register(0), 403, "");
    pass(5000);
    upstream_grants(assert_register(world.config.upstream_expires_s), 3600);
    pass(60000);
    assert_upstream_quiet();
}

/* The main registrar would challenge us. */
static void test_contact_moved_without_means(void **state)
{
    (void)state;
    register_for(90);
    restarted_after(1);
    anna()->lease.means = MEANS_UNKNOWN;
    move_contact();
    pass(6000);
    assert_register(world.config.upstream_expires_s);
}

/* A copy of what was answered before a crash is answered with less: the phone, which has had its
 * answer, does not hear it. */
static void test_a_shorter_grant_takes_nothing_away(void **state)
{
    (void)state;
    register_for(90);
    restarted_after(1);
    anna()->lease.granted_s = 60;
    anna()->lease.means = MEANS_UNKNOWN;
    phone(HOME, "h1", 1000, "Contact: <sip:anna@10.0.0.1:5060>;expires=90\r\n");
    assert_non_null(strstr(assert_answer(HOME, 200), ";expires=30\r\n"));
    assert_in_range(left_s(anna()), 80, 90);
    phone(HOME, "h1", 1001, "Contact: <sip:anna@10.0.0.1:5060>;expires=90\r\n");
    assert_answer(HOME, 200);
    assert_in_range(left_s(anna()), 29, 30); /* once */
    restarted_after(1);
    phone(HOME, "h1", 1002, "Contact: <sip:anna@10.0.0.1:5060>;expires=65\r\n");
    assert_answer(HOME, 200);
    assert_in_range(left_s(anna()), 29, 30); /* it wishes for less than it has */
}

/* More than a restart would give it is stored first, and once. */
static void test_a_longer_refresh_is_stored(void **state)
{
    (void)state;
    register_for(70);
    store_opens();
    phone(HOME, "h1", 1000, "Contact: <sip:anna@10.0.0.1:5060>;expires=65\r\n");
    assert_answer(HOME, 200);
    phone(HOME, "h1", 1001, "Contact: <sip:anna@10.0.0.1:5060>;expires=110\r\n");
    assert_no_answer(HOME);
    store_writes();
    assert_answer(HOME, 200);
    phone(HOME, "h1", 1002, "Contact: <sip:anna@10.0.0.1:5060>;expires=110\r\n");
    assert_answer(HOME, 200);
}

#define IN(test) cmocka_unit_test_setup_teardown(test, none, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(test_what_ends_is_stored_first),
        IN(test_what_it_asked_for),
        IN(test_at_most_phone_expires),
        IN(test_clock_set_back),
        IN(test_clock_set_back_a_little),
        IN(test_clock_set_forward),
        IN(test_clock_lost),
        IN(test_leases),
        IN(test_contact_moved),
        IN(test_a_shorter_grant_takes_nothing_away),
        IN(test_contact_moved_is_owed),
        IN(test_contact_moved_and_a_phone_is_first),
        IN(test_contact_moved_and_the_phone_leaves),
        IN(test_contact_moved_and_the_old_one_stays),
        IN(test_contact_moved_without_means),
        IN(test_a_longer_refresh_is_stored),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

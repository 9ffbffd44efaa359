/*
 * registrar: each single allocation fails once; then all of them from there on.
 *
 * Whatever fails, nothing leaks or is used after its end (the sanitizers look),
 * who is refused is told so, and afterwards all comes to its end as usual. Linked
 * with --wrap for malloc, calloc and realloc.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static unsigned allocations;
static unsigned fail_at;     /* counts from 1; 0: none fails */
static bool fail_on;         /* and all after that one */
static bool world_allocates; /* what the world needs is not counted */

static bool fails(void)
{
    if (world_allocates || fail_at == 0)
        return false;
    allocations++;
    return fail_on ? allocations >= fail_at : allocations == fail_at;
}

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

static void (*real_commit)(void *self, const struct flow *to, size_t n);
static void (*real_log)(void *self, enum log_level level, struct span line);

static void commit(void *self, const struct flow *to, size_t n)
{
    world_allocates = true;
    real_commit(self, to, n);
    world_allocates = false;
}

static void keep_line(void *self, enum log_level level, struct span line)
{
    world_allocates = true;
    real_log(self, level, line);
    world_allocates = false;
}

static void begin(enum config_auth auth)
{
    world_open(auth);
    real_commit = world.fake.ports.datagram_commit;
    real_log = world.fake.ports.log;
    world.fake.ports.datagram_commit = commit;
    world.fake.ports.log = keep_line;
    world_start();
}

/* Phones come, wait, refresh, are challenged, move and leave. */
static void live(struct pbx *pbx)
{
    phone(HOME, "h1", 1, CONTACT_HOME);
    phone(DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
    run(pbx, 20);
    phone(HOME, "h1", 2, CONTACT_HOME CREDENTIALS);
    phone(HOME, "h1", 3, CONTACT_HOME);
    run(pbx, 20);
    store_opens();
    phone(THIRD, "t1", 1,
          "Contact: <sip:anna@10.0.0.3:7000>;x=1, <sip:a@10.0.0.3>\r\n" CREDENTIALS);
    run(pbx, 20);
    phone(DESK, "d1", 2, CONTACT_DESK);
    world.fake.journal_held = false;
    store_writes();
    phone(HOME, "h1", 4, GONE_HOME CREDENTIALS);
    run(pbx, 20);
    phone(DESK, "d1", 3, STAR CREDENTIALS);
    run(pbx, 60000);
}

/* How many allocations there are in that. */
static unsigned count_allocations(enum config_auth auth)
{
    struct pbx pbx = {.challenges = auth == AUTH_UPSTREAM};

    begin(auth);
    allocations = 0;
    fail_at = UINT32_MAX;
    live(&pbx);
    fail_at = 0;
    assert_all_gone(&pbx);
    world_close();
    return allocations;
}

static void live_through(enum config_auth auth, unsigned at, bool on)
{
    struct pbx pbx = {.challenges = auth == AUTH_UPSTREAM};

    begin(auth);
    allocations = 0;
    fail_at = at;
    fail_on = on;
    live(&pbx);
    fail_at = 0;
    /* A phone that comes now is served as ever. */
    phone(HOME, "h1", 10, CONTACT_HOME CREDENTIALS);
    run(&pbx, 20);
    assert_int_equal(live_contacts() > 0, true);
    assert_all_gone(&pbx);
    world_close();
}

static void test_each_fails_once(void **state)
{
    (void)state;
    for (int auth = AUTH_UPSTREAM; auth <= AUTH_NONE; auth++) {
        unsigned n = count_allocations((enum config_auth)auth);

        assert_true(n > 20);
        for (unsigned i = 1; i <= n; i++)
            live_through((enum config_auth)auth, i, false);
    }
}

static void test_all_fail(void **state)
{
    (void)state;
    for (int auth = AUTH_UPSTREAM; auth <= AUTH_NONE; auth++) {
        unsigned n = count_allocations((enum config_auth)auth);

        for (unsigned i = 1; i <= n; i++)
            live_through((enum config_auth)auth, i, true);
    }
}

/* Who cannot be served is told to come again. */
static void test_no_memory_is_said(void **state)
{
    struct pbx pbx = {0};

    (void)state;
    begin(AUTH_NONE);
    fail_on = true;
    fail_at = 1;
    allocations = 0;
    phone(HOME, "h1", 1, CONTACT_HOME);
    fail_at = 0;
    assert_non_null(fake_field(assert_answer(HOME, 503), "Retry-After"));
    assert_true(counted(COUNTER_OUT_OF_MEMORY) > 0);
    phone(HOME, "h1", 2, CONTACT_HOME);
    run(&pbx, 20);
    assert_answer(HOME, 200);
    /* absorbed */
    fail_at = 1;
    allocations = 0;
    phone(DESK, "d1", 1, CONTACT_DESK);
    fail_at = 0;
    assert_answer(DESK, 503);
    assert_int_equal(live_contacts(), 1);
    assert_all_gone(&pbx);
    world_close();
}

/* What was applied before it failed is in the record, and leaves it in time. */
static void test_half_of_a_request(void **state)
{
    struct pbx pbx = {0};

    (void)state;
    begin(AUTH_NONE);
    phone(HOME, "h1", 1, CONTACT_HOME);
    run(&pbx, 20);
    assert_answer(HOME, 200);
    fail_on = false;
    fail_at = 2;
    allocations = 0;
    phone(DESK, "d1", 1, "Contact: <sip:a@10.0.0.2>;expires=60, <sip:b@10.0.0.2>;expires=60\r\n");
    fail_at = 0;
    assert_answer(DESK, 503);
    run(&pbx, 60000);
    assert_int_equal(counted(COUNTER_BINDING_EXPIRED), counted(COUNTER_BINDING_ADDED) - 1);
    assert_int_equal(world.location.bindings, 1);
    assert_all_gone(&pbx);
    world_close();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_fails_once),
        cmocka_unit_test(test_all_fail),
        cmocka_unit_test(test_no_memory_is_said),
        cmocka_unit_test(test_half_of_a_request),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * registrar: a main registrar that moves to another address, or whose address is not
 * known yet.
 */
#include "world.h"

#include "registrar/driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define ELSEWHERE "10.9.9.8:5080"

static struct pbx pbx;

static int begin(void **state)
{
    (void)state;
    pbx = (struct pbx){0};
    world_open(AUTH_NONE);
    return 0;
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

static void move(void)
{
    struct address to;

    assert_true(address_parse(SPAN(ELSEWHERE), 0, &to));
    upstream_move(upstream(), &to);
}

/* What the old place still says of a REGISTER says nothing of where it is now. */
static void test_an_answer_of_the_old_place(void **state)
{
    const char *request;

    (void)state;
    world_start();
    phone(HOME, "h", 1, CONTACT_HOME);
    request = assert_register(3600);
    move();
    assert_false(upstream_is_up(upstream()));
    upstream_grants(request, 3600);
    assert_answer(HOME, 503);
    assert_false(upstream_is_up(upstream()));
    assert_int_equal(live_contacts(), 0);
}

static void test_leases_follow_and_phones_see_nothing(void **state)
{
    const char *request;

    (void)state;
    world_start();
    phone(HOME, "h", 1, CONTACT_HOME);
    upstream_accepts();
    assert_answer(HOME, 200);
    move();
    phone(HOME, "h", 2, CONTACT_HOME);
    assert_answer(HOME, 200);
    request = to_phone(ELSEWHERE); /* whether it is ready */
    assert_non_null(request);
    assert_non_null(strstr(request, "sip:midreg-probe-"));
    health_answered(upstream(), 200);
    pass(1000);
    while ((request = to_phone(ELSEWHERE)) && !strstr(request, "To: <sip:anna@"))
        ;
    assert_non_null(request);
    assert_non_null(strstr(request, "REGISTER "));
}

static void test_before_its_address_is_known(void **state)
{
    const char *answer;

    (void)state;
    world.config.upstream[0].address = (struct address){0};
    world.config.upstream[0].host = (char *)"pbx.example.net";
    world_start();
    phone(HOME, "h", 1, CONTACT_HOME);
    answer = assert_answer(HOME, 503);
    assert_non_null(fake_field(answer, "Retry-After"));
    assert_int_equal(live_contacts(), 0);
    pass(60000);
    assert_upstream_quiet();
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        T(test_an_answer_of_the_old_place),
        T(test_leases_follow_and_phones_see_nothing),
        T(test_before_its_address_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * registrar: phones on connections: a closed one cannot be reached at once, and its
 * binding leaves after flow-grace unless the phone returns.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static int none(void **state)
{
    (void)state;
    world_open(AUTH_NONE);
    world.config.max_contacts = 2;
    world_start();
    world.connection = 1;
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

static void close_connection(const char *from, uint32_t connection)
{
    uint32_t now = world.connection;

    world.connection = connection;
    struct flow flow = phone_flow(from);
    world.connection = now;
    registrar_flow_closed(world.registrar, &flow);
}

static unsigned unreachable(void)
{
    unsigned n = 0;

    for (const struct binding *b = aor_first(anna()); b; b = aor_next(anna(), b))
        n += (b->flags & BINDING_UNREACHABLE) != 0;
    return n;
}

static void test_closed_is_unreachable_and_leaves_after_flow_grace(void **state)
{
    struct pbx pbx = {0};

    (void)state;
    register_home();
    close_connection(HOME, 1);
    assert_int_equal(unreachable(), 1);
    assert_int_equal(live_contacts(), 1);
    pass(29000);
    assert_int_equal(live_contacts(), 1);
    assert_upstream_quiet();
    pass(1100);
    upstream_answers(assert_register(0), 200, "");
    world.connection = 0;
    assert_all_gone(&pbx);
}

/* While the main registrar thinks; later nobody tells of that connection again. */
static void test_closed_while_on_its_way(void **state)
{
    struct pbx pbx = {0};

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    close_connection(HOME, 1);
    world.fake.streams_dead = true;
    upstream_accepts();
    assert_int_equal(unreachable(), 1);
    assert_int_equal(world.location.flows.connections.used, 0);
    pass(29000);
    assert_int_equal(live_contacts(), 1);
    pass(1100);
    upstream_answers(assert_register(0), 200, "");
    world.connection = 0;
    assert_all_gone(&pbx);
}

/* A second one waited behind it: it refreshes what is unreachable already. */
static void test_refresh_of_a_closed_connection(void **state)
{
    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    phone(HOME, "h1", 2, CONTACT_HOME);
    close_connection(HOME, 1);
    world.fake.streams_dead = true;
    upstream_accepts();
    assert_int_equal(aor_first(anna())->cseq, 2);
    assert_int_equal(unreachable(), 1);
    pass(30100);
    assert_int_equal(live_contacts(), 0);
}

static void test_another_connections_close_changes_nothing(void **state)
{
    (void)state;
    register_home();
    close_connection(HOME, 2);
    assert_int_equal(unreachable(), 0);
    pass(40000);
    assert_int_equal(live_contacts(), 1);
}

static void test_phone_that_returns_stays(void **state)
{
    (void)state;
    register_home();
    close_connection(HOME, 1);
    world.connection = 2;
    phone(HOME, "h1", 2, CONTACT_HOME);
    assert_answer(HOME, 200);
    assert_int_equal(unreachable(), 0);
    close_connection(HOME, 1); /* the old one again: nobody is there any more */
    assert_int_equal(unreachable(), 0);
    pass(60000);
    assert_int_equal(live_contacts(), 1);
    assert_upstream_quiet();
}

/* Design 3.5: at max-contacts the oldest unreachable one is replaced, else 403. */
static void test_unreachable_one_makes_room(void **state)
{
    (void)state;
    register_home();
    world.connection = 2;
    phone(DESK, "d1", 1, CONTACT_DESK);
    assert_answer(DESK, 200);
    world.connection = 3;
    phone(THIRD, "t1", 1, "Contact: <sip:anna@10.0.0.3:7000>\r\n");
    assert_answer(THIRD, 403);
    close_connection(HOME, 1);
    phone(THIRD, "t1", 2, "Contact: <sip:anna@10.0.0.3:7000>\r\n");
    const char *answer = assert_answer(THIRD, 200);
    assert_int_equal(count_of(answer, "Contact: <"), 2);
    assert_int_equal(count_of(answer, "10.0.0.1"), 0);
    assert_int_equal(live_contacts(), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_closed_is_unreachable_and_leaves_after_flow_grace,
                                        none, end),
        cmocka_unit_test_setup_teardown(test_closed_while_on_its_way, none, end),
        cmocka_unit_test_setup_teardown(test_refresh_of_a_closed_connection, none, end),
        cmocka_unit_test_setup_teardown(test_another_connections_close_changes_nothing, none, end),
        cmocka_unit_test_setup_teardown(test_phone_that_returns_stays, none, end),
        cmocka_unit_test_setup_teardown(test_unreachable_one_makes_room, none, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

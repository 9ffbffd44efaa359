/*
 * registrar: REGISTERs of more than 1300 bytes go up over a connection, where the
 * main registrar takes one (RFC 3261 18.1.1); else by datagram.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static char large[2000];

static int begin(void **state)
{
    (void)state;
    world_open(AUTH_UPSTREAM);
    world_start();
    snprintf(large, sizeof large,
             CONTACT_HOME
             "Authorization: Digest username=\"anna\", nonce=\"n\", opaque=\"%01400d\"\r\n",
             0);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_close();
    return 0;
}

/* The next request to the main registrar has this method and goes by that. */
static const char *goes(const char *method, enum transport by)
{
    const char *text = to_upstream();

    assert_non_null(text);
    for (size_t i = 0; i < world.fake.sent_count; i++)
        if (world.fake.sent[i].text == text) {
            assert_int_equal(world.fake.sent[i].to.transport, by);
            assert_memory_equal(text, method, strlen(method));
            assert_non_null(strstr(text, by == TRANSPORT_TCP ? "\r\nVia: SIP/2.0/TCP "
                                                             : "\r\nVia: SIP/2.0/UDP "));
            return text;
        }
    fail();
    return NULL;
}

/* The first large one begins the connection, and nobody waits for it. */
static void connect_first(void)
{
    phone(HOME, "h1", 1, large);
    upstream_answers(goes("OPTIONS", TRANSPORT_TCP), 200, "");
    upstream_grants(goes("REGISTER", TRANSPORT_UDP), 3600);
    assert_answer(HOME, 200);
}

static void test_small_ones_begin_no_connection(void **state)
{
    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    upstream_grants(goes("REGISTER", TRANSPORT_UDP), 3600);
    assert_answer(HOME, 200);
    assert_int_equal(world.fake.opened, 0);
}

static void test_large_ones_go_over_the_connection(void **state)
{
    (void)state;
    connect_first();
    memcpy(strstr(large, "10.0.0.1"), "10.0.0.2", 8); /* another contact goes up, too */
    phone(DESK, "d1", 1, large);
    upstream_grants(goes("REGISTER", TRANSPORT_TCP), 3600);
    assert_answer(DESK, 200);
    assert_int_equal(live_contacts(), 2);
    phone(THIRD, "t1", 1, "Contact: <sip:anna@10.0.0.3:7000>\r\n" CREDENTIALS);
    upstream_grants(goes("REGISTER", TRANSPORT_UDP), 3600); /* a small one */
    assert_answer(THIRD, 200);
}

static void test_refused_connections(void **state)
{
    (void)state;
    world.fake.streams_refused = true;
    phone(HOME, "h1", 1, large);
    upstream_grants(goes("REGISTER", TRANSPORT_UDP), 3600);
    assert_answer(HOME, 200);
    assert_upstream_quiet();
}

/* It closes while a REGISTER is on its way over it. */
static void test_a_connection_that_closes(void **state)
{
    struct flow flow;

    (void)state;
    connect_first();
    memcpy(strstr(large, "10.0.0.1"), "10.0.0.2", 8);
    phone(DESK, "d1", 1, large);
    goes("REGISTER", TRANSPORT_TCP);
    flow = world.upstreams.list[0].stream.flow;
    world.fake.streams_dead = true;
    upstreams_flow_closed(&world.upstreams, &flow);
    client_flow_closed(&world.transactions, &flow);
    pass(20);
    upstream_grants(goes("REGISTER", TRANSPORT_UDP), 3600);
    assert_answer(DESK, 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_small_ones_begin_no_connection, begin, end),
        cmocka_unit_test_setup_teardown(test_large_ones_go_over_the_connection, begin, end),
        cmocka_unit_test_setup_teardown(test_refused_connections, begin, end),
        cmocka_unit_test_setup_teardown(test_a_connection_that_closes, begin, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

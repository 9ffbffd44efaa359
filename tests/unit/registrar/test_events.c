/*
 * registrar/events: the main registrar is told to drop what midreg may not de-register, and
 * tells what it has dropped.
 */
#include "registrar/events.h"

#include "registrar/driver.h"
#include "registrar/lease.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define EVENTS   "10.9.9.9:8021"
#define ACCEPTED "Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
#define UUID     "11111111-2222-3333-4444-555555555555"

static struct event_sockets sockets;

static void says(const char *text)
{
    struct flow from = sockets.list[0].flow;

    event_sockets_receive(&sockets, &from, span_of(text));
}

static void answers(const char *text)
{
    char message[256];

    snprintf(message, sizeof message, "Content-Type: api/response\nContent-Length: %zu\n\n%s",
             strlen(text), text);
    says(message);
}

/* The next command that it was sent, but who it is; NULL: none. */
static const char *command(void)
{
    const char *said;

    do
        said = to_phone(EVENTS);
    while (said && strstr(said, "core_uuid"));
    return said;
}

static void comes_up(void)
{
    while (sockets.list[0].state == EVENT_SOCKET_OFF)
        pass(100);
    says("Content-Type: auth/request\n\n");
    says(ACCEPTED);
    says(ACCEPTED);
    answers(UUID);
    assert_true(event_socket_is_up(&sockets, &world.upstreams.list[0]));
    while (command())
        ;
}

static void is_cut(void)
{
    struct flow flow = sockets.list[0].flow;

    event_sockets_flow_closed(&sockets, &flow);
}

/* As FreeSWITCH keeps contacts. */
static void tells_that_it_dropped(const char *uri)
{
    char fields[1024];
    char message[1536];

    snprintf(fields, sizeof fields,
             "Event-Name: CUSTOM\nEvent-Subclass: sofia%%3A%%3Aexpire\ncontact: %%22%%22 <%s>\n\n",
             uri);
    snprintf(message, sizeof message, "Content-Type: text/event-plain\nContent-Length: %zu\n\n%s",
             strlen(fields), fields);
    says(message);
}

static int without_means(void **state)
{
    struct config_upstream *u = &world.config.upstream[0];
    struct event_socket_user user;

    (void)state;
    world_open(AUTH_NONE);
    u->means = CONFIG_MEANS_NONE;
    u->event_socket.password = (char *)"ClueCon";
    u->event_socket.profile = (char *)"internal";
    assert_true(address_parse(SPAN(EVENTS), 0, &u->event_socket.address));
    world_start();
    world.registrar->with.events = &sockets;
    user = registrar_events(world.registrar);
    event_sockets_init(&sockets, &world.fake.rt, &world.upstreams, &user);
    event_sockets_start(&sockets);
    return 0;
}

static int end(void **state)
{
    (void)state;
    event_sockets_fini(&sockets);
    world_close();
    return 0;
}

static char call_id[128], contact[256];

/* Anna is registered, also upstream. */
static void registered(unsigned cseq)
{
    const char *up;

    phone(HOME, "h1", cseq, CONTACT_HOME);
    up = upstream_accepts();
    snprintf(call_id, sizeof call_id, "%s", fake_field(up, "Call-ID"));
    snprintf(contact, sizeof contact, "%s", fake_field(up, "Contact"));
    *strchr(contact, '>') = '\0';
    memmove(contact, strchr(contact, '<') + 1, strlen(strchr(contact, '<')));
    assert_answer(HOME, 200);
}

static void leaves(unsigned cseq)
{
    phone(HOME, "h1", cseq, GONE_HOME);
    assert_answer(HOME, 200);
    assert_upstream_quiet();
}

static void assert_flush(void)
{
    char expected[256];
    const char *said = command();

    snprintf(expected, sizeof expected, "api sofia profile internal flush_inbound_reg %s\n\n",
             call_id);
    assert_non_null(said);
    assert_string_equal(said, expected);
}

static void test_flushed_when_the_last_one_leaves(void **state)
{
    (void)state;
    comes_up();
    registered(1);
    leaves(2);
    assert_flush();
    assert_true(lease_possible(&anna()->lease, world.fake.rt.now_ms)); /* it has not said so yet */
    lease_settle(world.registrar, anna()->hash);
    assert_int_equal(sockets.list[0].count, 0); /* it is asked once */
    answers("+OK flushing");
    assert_int_equal(counted(COUNTER_LEASE_REMOVED), 1);
    assert_int_equal(counted(COUNTER_LEASE_LAPSED), 0);
    tells_that_it_dropped(contact); /* which is known */
    pass(60000);
    assert_null(anna());
    assert_null(command());
    assert_upstream_quiet();
}

static void test_refused_it_lapses(void **state)
{
    (void)state;
    comes_up();
    registered(1);
    leaves(2);
    assert_flush();
    answers("-ERR no such profile");
    assert_int_equal(counted(COUNTER_LEASE_LAPSED), 1);
    pass(60000);
    assert_null(command());
}

static void test_nobody_to_be_asked_it_lapses(void **state)
{
    (void)state;
    registered(1);
    leaves(2);
    assert_null(command());
    assert_int_equal(counted(COUNTER_LEASE_LAPSED), 1);
}

static void test_a_flush_that_was_lost_is_asked_for_again(void **state)
{
    (void)state;
    comes_up();
    registered(1);
    leaves(2);
    assert_flush();
    is_cut();
    comes_up();
    pass(9000);
    assert_flush();
    answers("+OK");
    assert_int_equal(counted(COUNTER_LEASE_REMOVED), 1);
    pass(60000);
    assert_null(anna());
}

static void test_lost_for_good_it_lapses(void **state)
{
    (void)state;
    comes_up();
    registered(1);
    leaves(2);
    assert_flush();
    is_cut();
    pass(11000);
    assert_int_equal(counted(COUNTER_LEASE_LAPSED), 1);
}

/* One after the other: what is not needed any more when its turn comes is not sent. */
static void test_needless_when_a_phone_is_back(void **state)
{
    (void)state;
    comes_up();
    phone_of("bob", DESK, "b1", 1, "Contact: <sip:bob@10.0.0.2:5060>\r\n");
    upstream_accepts();
    assert_answer(DESK, 200);
    registered(1);
    phone_of("bob", DESK, "b1", 2, "Contact: <sip:bob@10.0.0.2:5060>;expires=0\r\n");
    assert_answer(DESK, 200);
    assert_non_null(command()); /* bob's */
    leaves(2);
    assert_null(command());
    phone(HOME, "h1", 3, CONTACT_HOME); /* on its way up */
    answers("+OK");
    assert_null(command());
    upstream_accepts();
    assert_answer(HOME, 200);
    assert_null(command());
    assert_true(lease_held(&anna()->lease, world.fake.rt.now_ms));
    assert_int_equal(counted(COUNTER_LEASE_REMOVED), 1);
}

/* Too late: it has dropped what is needed again, and says so; the next REGISTER goes up. */
static void test_a_phone_that_is_back_while_it_is_flushed(void **state)
{
    (void)state;
    comes_up();
    registered(1);
    leaves(2);
    assert_flush();
    registered(3);
    answers("+OK");
    assert_int_equal(counted(COUNTER_LEASE_REMOVED), 0);
    tells_that_it_dropped(contact);
    assert_false(lease_held(&anna()->lease, world.fake.rt.now_ms));
    pass(60000);
    registered(4);
    assert_true(lease_held(&anna()->lease, world.fake.rt.now_ms));
}

static void test_somebody_elses_contacts(void **state)
{
    static const char *const rows[] = {"sip:anna@10.0.0.1:5060", "", "<", "%3Csip:%3E",
                                       "sip:anna@10.0.0.1;mr=aaaaaaaaaaaaa"};
    char other[512];

    (void)state;
    comes_up();
    registered(1);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        tells_that_it_dropped(rows[i]);
    /* Our token, but not her name. */
    snprintf(other, sizeof other, "sip:eve%s", strchr(contact, '@'));
    tells_that_it_dropped(other);
    assert_true(lease_held(&anna()->lease, world.fake.rt.now_ms));
    tells_that_it_dropped(contact);
    assert_false(lease_held(&anna()->lease, world.fake.rt.now_ms));
}

#define IN(test) cmocka_unit_test_setup_teardown(test, without_means, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(test_flushed_when_the_last_one_leaves),
        IN(test_refused_it_lapses),
        IN(test_nobody_to_be_asked_it_lapses),
        IN(test_a_flush_that_was_lost_is_asked_for_again),
        IN(test_lost_for_good_it_lapses),
        IN(test_needless_when_a_phone_is_back),
        IN(test_a_phone_that_is_back_while_it_is_flushed),
        IN(test_somebody_elses_contacts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

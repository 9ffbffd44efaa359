/*
 * upstream/stream: when a connection to the main registrar is tried, used and given up.
 */
#include "upstream/upstream.h"

#include "fake_ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LARGE 1301

static struct fake fake;
static struct config config;
static struct transactions transactions;
static struct upstreams upstreams;
static struct upstream *pbx;

static int setup(void **state)
{
    (void)state;
    fake_init(&fake);
    config = (struct config){.auth = AUTH_NONE, .upstream_count = 1, .listen_count = 1};
    assert_true(address_parse(SPAN("127.0.0.1:5060"), 0, &config.listen[0].address));
    assert_true(address_parse(SPAN("10.9.9.9:5080"), 0, &config.upstream[0].address));
    assert_true(transactions_init(&transactions, &fake.rt));
    upstreams_init(&upstreams, &fake.rt, &config, &transactions);
    upstreams_start(&upstreams);
    pbx = &upstreams.list[0];
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    fake_advance(&fake, 60000);
    assert_int_equal(transactions.clients.used, 0);
    assert_int_equal(fake.rt.wheel.armed, 0);
    transactions_fini(&transactions);
    fake_fini(&fake);
    return 0;
}

/* The connection that a request of this size takes; 0: a datagram. */
static uint32_t route(size_t size)
{
    struct flow flow;

    upstream_route(pbx, size, &flow);
    assert_true(address_equal(&flow.peer, &pbx->config->address));
    assert_int_equal(flow.transport, flow.connection ? TRANSPORT_TCP : TRANSPORT_UDP);
    return flow.connection;
}

/* The upstream answers the OPTIONS that was sent last. */
static void answer(int status)
{
    const struct fake_datagram *d = fake_last(&fake);
    struct sip_message *m = calloc(1, sizeof *m);
    struct sip_fault fault = {0};
    char text[2048];

    assert_non_null(m);
    snprintf(text, sizeof text, "SIP/2.0 %d X\r\nVia: %s\r\n", status, fake_field(d->text, "Via"));
    for (const char *const *name = (const char *const[]){"From", "To", "Call-ID", "CSeq", NULL};
         *name; name++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s: %s\r\n", *name,
                 fake_field(d->text, *name));
    snprintf(text + strlen(text), sizeof text - strlen(text), "\r\n");
    assert_int_equal(sip_parse(span_of(text), m, &fault), SIP_PARSED);
    assert_true(client_receive(&transactions, m, &d->to));
    free(m);
}

static void close_it(uint32_t connection)
{
    struct flow flow = pbx->stream.flow;

    assert_int_equal(flow.connection, connection);
    fake_kill(&fake, connection);
    upstreams_flow_closed(&upstreams, &flow);
    client_flow_closed(&transactions, &flow);
    fake_advance(&fake, 1);
}

static void small_requests_are_datagrams_and_open_nothing(void **state)
{
    (void)state;
    assert_int_equal(route(UPSTREAM_DATAGRAM_MAX), 0);
    assert_int_equal(fake.opened, 0);
    assert_int_equal(fake.sent_count, 0);
}

static void the_first_large_one_begins_a_connection_and_is_a_datagram(void **state)
{
    const char *options;

    (void)state;
    assert_int_equal(route(LARGE), 0);
    assert_int_equal(fake.opened, 1);
    options = fake_last(&fake)->text;
    assert_int_equal(fake_last(&fake)->to.connection, FAKE_STREAM + 1);
    assert_memory_equal(options, "OPTIONS sip:10.9.9.9:5080;transport=tcp SIP/2.0\r\n", 48);
    assert_memory_equal(fake_field(options, "Via"), "SIP/2.0/TCP 127.0.0.1:5060;branch=", 34);
    assert_string_equal(fake_field(options, "To"), "<sip:10.9.9.9:5080>");
    assert_string_equal(fake_field(options, "CSeq"), "1 OPTIONS");
    assert_string_equal(fake_field(options, "Content-Length"), "0");
    assert_int_equal(route(LARGE), 0); /* until it is answered */
    assert_int_equal(fake.opened, 1);
}

static void once_answered_large_requests_use_it(void **state)
{
    static const int statuses[] = {200, 404, 503};

    (void)state;
    for (uint32_t i = 0; i < 3; i++) { /* whatever it answers: it speaks SIP there */
        assert_int_equal(route(LARGE), 0);
        answer(100);
        assert_int_equal(route(LARGE), 0);
        answer(statuses[i]);
        assert_int_equal(route(LARGE), FAKE_STREAM + 1 + i);
        assert_int_equal(route(500), 0);
        close_it(FAKE_STREAM + 1 + i);
        fake_advance(&fake, 60000);
    }
}

static void a_closed_one_is_tried_again_after_a_minute(void **state)
{
    (void)state;
    route(LARGE);
    answer(200);
    close_it(FAKE_STREAM + 1);
    assert_int_equal(route(LARGE), 0);
    fake_advance(&fake, 59000);
    assert_int_equal(route(LARGE), 0);
    assert_int_equal(fake.opened, 1);
    fake_advance(&fake, 1000);
    assert_int_equal(route(LARGE), 0);
    assert_int_equal(fake.opened, 2);
}

/* It has closed, and the news is on its way. */
static void a_dead_one_is_not_used(void **state)
{
    (void)state;
    route(LARGE);
    answer(200);
    fake_kill(&fake, FAKE_STREAM + 1);
    assert_int_equal(route(LARGE), 0);
}

static void a_refused_one_is_tried_again_after_a_minute(void **state)
{
    (void)state;
    route(LARGE);
    close_it(FAKE_STREAM + 1);
    assert_int_equal(route(LARGE), 0);
    assert_int_equal(fake.opened, 1);
    fake_advance(&fake, 60000);
    fake.streams_refused = true; /* and where the world gives none */
    assert_int_equal(route(LARGE), 0);
    fake.streams_refused = false;
    assert_int_equal(route(LARGE), 0);
    assert_int_equal(fake.opened, 1);
    fake_advance(&fake, 60000);
    assert_int_equal(route(LARGE), 0);
    assert_int_equal(fake.opened, 2);
}

static void one_that_answers_nothing_is_closed(void **state)
{
    (void)state;
    route(LARGE);
    fake_advance(&fake, 31000);
    assert_int_equal(fake.dead_count, 0);
    fake_advance(&fake, 1001);
    assert_int_equal(fake.dead_count, 1);
    assert_int_equal(route(LARGE), 0);
    assert_int_equal(fake.opened, 1);
}

/* ---- who is an upstream ----------------------------------------------------------- */

static void what_comes_over_it_is_the_upstreams_word(void **state)
{
    struct flow flow;

    (void)state;
    assert_ptr_equal(upstreams_sender(&upstreams, &pbx->flow), pbx);
    route(LARGE);
    flow = pbx->stream.flow;
    assert_ptr_equal(upstreams_sender(&upstreams, &flow), pbx);
    flow.connection++; /* somebody at the same address who connected to us */
    assert_null(upstreams_sender(&upstreams, &flow));
    flow.connection--;
    close_it(FAKE_STREAM + 1);
    assert_null(upstreams_sender(&upstreams, &flow));
}

static void another_connection_that_closes_is_nothing_to_it(void **state)
{
    struct flow other;

    (void)state;
    route(LARGE);
    answer(200);
    other = pbx->stream.flow;
    other.connection = 7;
    upstreams_flow_closed(&upstreams, &other);
    assert_int_equal(route(LARGE), FAKE_STREAM + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(small_requests_are_datagrams_and_open_nothing, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_first_large_one_begins_a_connection_and_is_a_datagram,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(once_answered_large_requests_use_it, setup, teardown),
        cmocka_unit_test_setup_teardown(a_closed_one_is_tried_again_after_a_minute, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_dead_one_is_not_used, setup, teardown),
        cmocka_unit_test_setup_teardown(a_refused_one_is_tried_again_after_a_minute, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(one_that_answers_nothing_is_closed, setup, teardown),
        cmocka_unit_test_setup_teardown(what_comes_over_it_is_the_upstreams_word, setup, teardown),
        cmocka_unit_test_setup_teardown(another_connection_that_closes_is_nothing_to_it, setup,
                                        teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * upstream/upstream: who is one, where it is, and the probe of what it proves.
 */
#include "upstream/upstream.h"

#include "fake_ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define PBX "10.9.9.9:5080"

static struct fake fake;
static struct config config;
static struct transactions transactions;
static struct upstreams upstreams;
static struct sip_message message;

static void listen_on(unsigned i, const char *address)
{
    assert_true(address_parse(span_of(address), 5060, &config.listen[i].address));
    config.listen_count = i + 1;
}

static int setup(void **state)
{
    (void)state;
    fake_init(&fake);
    config = (struct config){.auth = AUTH_UPSTREAM, .upstream_count = 1};
    listen_on(0, "127.0.0.1:5060");
    config.upstream[0].name = (char *)"pbx";
    assert_true(address_parse(SPAN(PBX), 0, &config.upstream[0].address));
    assert_true(transactions_init(&transactions, &fake.rt));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    transactions_fini(&transactions);
    fake_fini(&fake);
    return 0;
}

static void start(void)
{
    upstreams_init(&upstreams, &fake.rt, &config, &transactions);
    upstreams_start(&upstreams);
}

static void answer(const char *probe, int status)
{
    struct sip_fault fault = {0};
    struct flow from = fake_flow(PBX);
    char text[2048];

    snprintf(text, sizeof text, "SIP/2.0 %d X\r\nVia: %s\r\n", status, fake_field(probe, "Via"));
    for (const char *const *name = (const char *const[]){"From", "To", "Call-ID", "CSeq", NULL};
         *name; name++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s: %s\r\n", *name,
                 fake_field(probe, *name));
    snprintf(text + strlen(text), sizeof text - strlen(text), "\r\n");
    assert_int_equal(sip_parse(span_of(text), &message, &fault), SIP_PARSED);
    assert_true(client_receive(&transactions, &message, &from));
}

static const char *probe_after(uint64_t least_ms, uint64_t most_ms)
{
    uint64_t from_ms = fake.rt.now_ms;

    fake_clear(&fake);
    while (fake.sent_count == 0 && fake.rt.now_ms <= from_ms + most_ms)
        fake_advance(&fake, 1000);
    assert_in_range(fake.rt.now_ms - from_ms, least_ms, most_ms);
    return fake_sent(&fake, 0)->text;
}

static enum upstream_openness openness(void)
{
    return upstreams.list[0].openness;
}

/* ---- the probe ------------------------------------------------------------------ */

static void test_probe(void **state)
{
    const char *probe;

    (void)state;
    config.domains[0] = (char *)"example.com";
    config.domain_count = 1;
    start();
    assert_int_equal(fake.sent_count, 1);
    assert_true(address_equal(&fake.sent[0].to.peer, &config.upstream[0].address));
    probe = fake.sent[0].text;
    assert_memory_equal(probe, "REGISTER sip:example.com SIP/2.0\r\n", 34);
    assert_non_null(strstr(fake_field(probe, "To"), "<sip:midreg-probe-"));
    assert_non_null(strstr(fake_field(probe, "From"), "@example.com>;tag="));
    assert_non_null(strstr(fake_field(probe, "Contact"), "@127.0.0.1:5060;mr="));
    assert_non_null(strstr(fake_field(probe, "Contact"), ">;expires=0"));
    assert_string_equal(fake_field(probe, "Expires"), "0");
    assert_null(fake_field(probe, "Authorization"));
    assert_null(fake_field(probe, "Require"));
    assert_int_equal(openness(), UPSTREAM_UNKNOWN);
}

/* Nobody's domain: then by the upstream's address. */
static void test_probe_without_domains(void **state)
{
    (void)state;
    start();
    assert_memory_equal(fake_sent(&fake, 0)->text, "REGISTER sip:10.9.9.9 SIP/2.0\r\n", 31);
}

static void test_it_challenges(void **state)
{
    static const int statuses[] = {401, 407};
    char first[128];

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        start();
        snprintf(first, sizeof first, "%s", fake_field(fake_last(&fake)->text, "To"));
        answer(fake_last(&fake)->text, statuses[i]);
        assert_int_equal(openness(), UPSTREAM_CLOSED);
        assert_int_equal(fake.log_count, 0);
        /* Hourly, each time as another user. */
        assert_string_not_equal(fake_field(probe_after(3599000, 3601000), "To"), first);
        teardown(state);
        setup(state);
    }
}

static void test_it_is_open(void **state)
{
    (void)state;
    start();
    answer(fake_sent(&fake, 0)->text, 200);
    assert_int_equal(openness(), UPSTREAM_OPEN);
    assert_true(fake_logged(&fake, "event=upstream_open"));
    /* Asked again soon: who mends it need not wait; the alarm is given once. */
    answer(probe_after(29000, 31000), 200);
    assert_int_equal(fake.log_count, 0);
    answer(probe_after(29000, 31000), 401);
    assert_int_equal(openness(), UPSTREAM_CLOSED);
    assert_true(fake_logged(&fake, "event=upstream_challenges"));
}

/* What it says of a user that does not exist says nothing of real ones. */
static void test_it_says_nothing(void **state)
{
    static const int statuses[] = {403, 404, 500, 503, 302};

    (void)state;
    for (unsigned i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        start();
        answer(fake_last(&fake)->text, 100);
        answer(fake_last(&fake)->text, statuses[i]);
        assert_int_equal(openness(), UPSTREAM_UNKNOWN);
        answer(probe_after(29000, 31000), 401);
        assert_int_equal(openness(), UPSTREAM_CLOSED);
        /* Trouble later does not change what is known. */
        answer(probe_after(3599000, 3601000), statuses[i]);
        assert_int_equal(openness(), UPSTREAM_CLOSED);
        teardown(state);
        setup(state);
    }
}

static void test_silence(void **state)
{
    char first[128];

    (void)state;
    start();
    snprintf(first, sizeof first, "%s", fake_field(fake_sent(&fake, 0)->text, "To"));
    fake_advance(&fake, 32000);
    assert_string_not_equal(fake_field(probe_after(29000, 31000), "To"), first);
    assert_int_equal(openness(), UPSTREAM_UNKNOWN);
}

static void test_nobody_asks(void **state)
{
    (void)state;
    config.auth = AUTH_NONE;
    start();
    config.auth = AUTH_UPSTREAM;
    config.allow_open_upstream = true;
    start();
    assert_int_equal(fake.sent_count, 0);
    assert_int_equal(fake.rt.wheel.armed, 0);
}

/* It accepted somebody without credentials: it is asked, and not believed
 * meanwhile, but not each time. */
static void test_doubt(void **state)
{
    struct upstream *u = &upstreams.list[0];

    (void)state;
    start();
    answer(fake_sent(&fake, 0)->text, 401);
    fake_clear(&fake);
    upstream_doubt(u);
    upstream_doubt(u);
    assert_int_equal(fake.sent_count, 1);
    assert_int_equal(openness(), UPSTREAM_DOUBTED);
    assert_true(upstream_may_be_open(u));
    answer(fake_last(&fake)->text, 401);
    assert_int_equal(openness(), UPSTREAM_CLOSED);
    upstream_doubt(u);
    assert_int_equal(openness(), UPSTREAM_CLOSED);
    assert_int_equal(fake.sent_count, 1);

    fake_advance(&fake, 30000);
    upstream_doubt(u);
    answer(fake_last(&fake)->text, 403); /* says nothing: as before */
    assert_int_equal(openness(), UPSTREAM_CLOSED);
    assert_int_equal(fake.log_count, 0);
    fake_advance(&fake, 30000);
    upstream_doubt(u);
    answer(fake_last(&fake)->text, 200);
    assert_int_equal(openness(), UPSTREAM_OPEN);
    assert_true(fake_logged(&fake, "event=upstream_open"));
}

static void test_doubt_and_silence(void **state)
{
    (void)state;
    start();
    answer(fake_sent(&fake, 0)->text, 401);
    upstream_doubt(&upstreams.list[0]);
    fake_advance(&fake, 31000);
    assert_int_equal(openness(), UPSTREAM_DOUBTED);
    fake_advance(&fake, 2000);
    assert_int_equal(openness(), UPSTREAM_CLOSED);
}

/* No transaction to be had: it is tried again. */
static void test_no_room_for_the_probe(void **state)
{
    (void)state;
    transactions.clients.max = 0;
    start();
    assert_int_equal(fake.sent_count, 0);
    transactions.clients.max = CLIENT_TX_MAX;
    probe_after(29000, 31000);
}

/* ---- who and where ------------------------------------------------------------------- */

static void test_contact_address(void **state)
{
    (void)state;
    config.auth = AUTH_NONE;
    start();
    assert_int_equal(upstreams.list[0].contact.port, 5060); /* by the route */
    assert_true(address_parse(SPAN("192.0.2.7:5999"), 0, &config.upstream[0].contact));
    start();
    assert_true(address_equal(&upstreams.list[0].contact, &config.upstream[0].contact));
}

/* An upstream is an address and port: phones may live on its host. */
static void test_sender(void **state)
{
    struct flow flow = fake_flow(PBX);

    (void)state;
    start();
    assert_ptr_equal(upstreams_sender(&upstreams, &flow), &upstreams.list[0]);
    flow = fake_flow("10.9.9.9:5081");
    assert_null(upstreams_sender(&upstreams, &flow));
    flow = fake_flow("10.9.9.8:5080");
    assert_null(upstreams_sender(&upstreams, &flow));
    assert_ptr_equal(upstreams_of(&upstreams, SPAN_NONE, 12345), &upstreams.list[0]);
}

/* From one of its sources, on a listener of its own, with any port. */
static void test_sources(void **state)
{
    struct flow flow = fake_flow("10.8.0.7:1234");

    (void)state;
    listen_on(0, "10.0.0.1:5060");
    listen_on(1, "10.0.0.1:5090");
    listen_on(2, "10.0.0.1:5090");
    config.listen[2].transport = TRANSPORT_TCP;
    config.upstream[0].listeners = 1 << 1 | 1 << 2;
    config.upstream[0].source_count = 1;
    config.upstream[0].sources[0].bits = 24;
    assert_true(address_parse_ip(SPAN("10.8.0.0"), &config.upstream[0].sources[0].address));
    start();
    assert_int_equal(upstreams.list[0].flow.listener, 1);
    assert_null(upstreams_sender(&upstreams, &flow));
    flow.listener = 1;
    assert_ptr_equal(upstreams_sender(&upstreams, &flow), &upstreams.list[0]);
    flow.transport = TRANSPORT_TCP; /* we opened it: to a phone of that host */
    flow.connection = 7;
    assert_null(upstreams_sender(&upstreams, &flow));
    flow.listener = 2;
    assert_ptr_equal(upstreams_sender(&upstreams, &flow), &upstreams.list[0]);
    flow.peer = fake_flow("10.8.1.7:1234").peer;
    assert_null(upstreams_sender(&upstreams, &flow));
}

static void test_listener(void **state)
{
    static const struct {
        const char *listen[3];
        const char *upstream;
        unsigned chosen;
    } cases[] = {
        {{"127.0.0.1", "10.0.0.1", "[::1]"}, "10.9.9.9:5080", 1},
        {{"127.0.0.1", "10.0.0.1", "[::1]"}, "127.0.0.1:5080", 0},
        {{"10.0.0.1", "127.0.0.1", "[::1]"}, "127.0.0.1:5080", 1},
        {{"0.0.0.0", "127.0.0.1", "[::]"}, "10.9.9.9:5080", 0},
        {{"10.0.0.1", "0.0.0.0", "[::]"}, "127.0.0.1:5080", 1},
        {{"10.0.0.1", "0.0.0.0", "[::]"}, "[2001:db8::1]:5080", 2},
        {{"[::]", "127.0.0.1", "0.0.0.0"}, "10.9.9.9:5080", 2},
    };

    (void)state;
    config.auth = AUTH_NONE;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (unsigned j = 0; j < 3; j++)
            listen_on(j, cases[i].listen[j]);
        assert_true(address_parse(span_of(cases[i].upstream), 0, &config.upstream[0].address));
        start();
        if (upstreams.list[0].flow.listener != cases[i].chosen)
            fail_msg("case %u: %u", i, upstreams.list[0].flow.listener);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_probe),
        TEST(test_probe_without_domains),
        TEST(test_it_challenges),
        TEST(test_it_is_open),
        TEST(test_it_says_nothing),
        TEST(test_silence),
        TEST(test_nobody_asks),
        TEST(test_doubt),
        TEST(test_doubt_and_silence),
        TEST(test_no_room_for_the_probe),
        TEST(test_contact_address),
        TEST(test_sender),
        TEST(test_listener),
        TEST(test_sources),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

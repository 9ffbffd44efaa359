/*
 * upstream/health: pings, and what is noticed by them.
 */
#include "upstream/upstream.h"

#include "fake_ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define PBX         "10.9.9.9:5080"
#define INTERVAL_MS 6000u
#define LOST_MS     (INTERVAL_MS / 3)

static struct fake fake;
static struct config config;
static struct transactions transactions;
static struct upstreams upstreams;
static struct sip_message message;
static unsigned downs, returns;
static size_t looked;

static void on_down(void *self, struct upstream *u)
{
    assert_ptr_equal(self, &downs);
    assert_ptr_equal(u, &upstreams.list[0]);
    downs++;
}

static void on_returned(void *self, struct upstream *u)
{
    assert_ptr_equal(self, &downs);
    assert_ptr_equal(u, &upstreams.list[0]);
    returns++;
}

static const struct upstream_user user = {.down = on_down, .returned = on_returned};

static int setup(void **state)
{
    (void)state;
    fake_init(&fake);
    config = (struct config){.auth = AUTH_NONE, .upstream_count = 1, .listen_count = 1};
    assert_true(address_parse(SPAN("127.0.0.1:5060"), 5060, &config.listen[0].address));
    config.upstream[0].name = (char *)"pbx";
    config.upstream[0].ping_interval_ms = INTERVAL_MS;
    assert_true(address_parse(SPAN(PBX), 0, &config.upstream[0].address));
    assert_true(transactions_init(&transactions, &fake.rt));
    downs = returns = 0;
    looked = 0;
    upstreams_init(&upstreams, &fake.rt, &config, &transactions);
    upstreams_tell(&upstreams, &user, &downs);
    upstreams_start(&upstreams);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    transactions_fini(&transactions);
    fake_fini(&fake);
    return 0;
}

static void answer(const char *request, int status)
{
    struct sip_fault fault = {0};
    struct flow from = fake_flow(PBX);
    char text[2048];

    snprintf(text, sizeof text, "SIP/2.0 %d X\r\nVia: %s\r\n", status, fake_field(request, "Via"));
    for (const char *const *name = (const char *const[]){"From", "To", "Call-ID", "CSeq", NULL};
         *name; name++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s: %s\r\n", *name,
                 fake_field(request, *name));
    snprintf(text + strlen(text), sizeof text - strlen(text), "\r\n");
    assert_int_equal(sip_parse(span_of(text), &message, &fault), SIP_PARSED);
    client_receive(&transactions, &message, &from);
}

/* The next request that is no copy of one that was looked at; NULL: none. */
static const char *next_request(void)
{
    static char last[256];
    const char *via;

    if (looked == 0)
        last[0] = '\0';
    while (looked < fake.sent_count) {
        const char *text = fake_sent(&fake, looked++)->text;

        via = fake_field(text, "Via");
        if (strcmp(via, last) == 0)
            continue;
        snprintf(last, sizeof last, "%s", via);
        return text;
    }
    return NULL;
}

static const char *expect(const char *method)
{
    const char *text = next_request();

    assert_non_null(text);
    assert_memory_equal(text, method, strlen(method));
    return text;
}

static bool is_up(void)
{
    return upstream_is_up(&upstreams.list[0]);
}

/* It answers pings for so long. */
static void live(uint64_t ms, int options_status, int register_status)
{
    for (uint64_t at = 0; at < ms; at += 100) {
        const char *text;

        while ((text = next_request()))
            answer(text, text[0] == 'O' ? options_status : register_status);
        fake_advance(&fake, 100);
    }
}

static void test_ping(void **state)
{
    const char *ping = expect("OPTIONS sip:10.9.9.9:5080 SIP/2.0\r\n");

    (void)state;
    assert_true(is_up());
    fake_advance(&fake, 30);
    answer(ping, 200);
    assert_int_equal(upstreams.list[0].health.rtt_ms, 30);
    fake_advance(&fake, INTERVAL_MS - 31);
    assert_null(next_request());
    fake_advance(&fake, 1);
    expect("OPTIONS ");
    assert_int_equal(upstreams_pinged(&upstreams), 1);
}

/* Any answer tells that it is there; one lost ping does not tell that it is gone. */
static void test_stays_up(void **state)
{
    static const int statuses[] = {200, 404, 405, 503};
    const char *lost;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        live(3 * INTERVAL_MS, statuses[i], 500);
        while (!(lost = next_request()))
            fake_advance(&fake, 100);
        fake_advance(&fake, LOST_MS); /* the next one leaves, and is answered */
    }
    live(INTERVAL_MS, 200, 200);
    assert_true(is_up());
    assert_int_equal(downs, 0);
}

/* Within two intervals, whenever it goes. */
static void test_goes_down(void **state)
{
    uint64_t gone_ms;

    (void)state;
    live(2 * INTERVAL_MS, 200, 200);
    gone_ms = fake.rt.now_ms;
    while (is_up() && fake.rt.now_ms < gone_ms + 60000)
        fake_advance(&fake, 100);
    assert_in_range(fake.rt.now_ms - gone_ms, LOST_MS, 2 * INTERVAL_MS);
    assert_int_equal(downs, 1);
    assert_true(fake_logged(&fake, "event=upstream_down upstream=pbx"));
    fake_advance(&fake, 10 * INTERVAL_MS);
    assert_int_equal(downs, 1);
    assert_false(is_up());
}

/* An answered OPTIONS proves nothing, a REGISTER that is refused with 503 neither. */
static void test_returns(void **state)
{
    static const int good[] = {200, 401, 403, 404};

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        live(2 * INTERVAL_MS, 200, 200);
        fake_advance(&fake, 3 * INTERVAL_MS);
        assert_false(is_up());
        live(20000, 200, i % 2 ? 503 : 410);
        assert_false(is_up());
        assert_int_equal(returns, i);
        live(1500, 200, good[i]); /* it is asked each second */
        assert_true(is_up());
        assert_int_equal(returns, i + 1);
    }
    assert_true(fake_logged(&fake, "event=upstream_up upstream=pbx gone_s="));
    live(60000, 200, 200);
    assert_int_equal(downs, 4);
}

/* It drops pings, and answers REGISTERs: it is busy. One that is refused for trouble of its
 * own proves nothing. */
static void test_busy(void **state)
{
    uint64_t gone_ms;

    (void)state;
    live(INTERVAL_MS, 200, 200);
    for (unsigned i = 0; i < 100; i++) {
        fake_advance(&fake, 400);
        health_answered(&upstreams.list[0], 401);
    }
    assert_true(is_up());
    assert_int_equal(downs, 0);
    gone_ms = fake.rt.now_ms;
    while (is_up() && fake.rt.now_ms < gone_ms + 60000) {
        fake_advance(&fake, 100);
        health_answered(&upstreams.list[0], 503);
    }
    assert_in_range(fake.rt.now_ms - gone_ms, LOST_MS, 2 * INTERVAL_MS);
}

/* It was started after midreg: asked by REGISTERs until it was there, by OPTIONS from then on. */
static void test_started_later(void **state)
{
    (void)state;
    fake_advance(&fake, 3 * INTERVAL_MS);
    assert_false(is_up());
    while (next_request())
        ;
    live(1500, 200, 401);
    assert_true(is_up());
    live(3 * INTERVAL_MS, 200, 500);
    while (next_request())
        ;
    fake_advance(&fake, INTERVAL_MS);
    expect("OPTIONS ");
    assert_int_equal(downs, 1);
}

/* Some take no OPTIONS at all. */
static void test_without_options(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 600; i++) {
        const char *text;

        while ((text = next_request()))
            if (text[0] == 'R')
                answer(text, 401);
        fake_advance(&fake, 100);
    }
    assert_true(is_up());
    assert_int_equal(downs, 0);
    fake_advance(&fake, 3 * INTERVAL_MS);
    assert_false(is_up());
}

/* Nobody there, says the system. One such word may be forged. */
static void test_refused(void **state)
{
    struct flow flow = fake_flow(PBX);

    (void)state;
    live(2 * INTERVAL_MS, 200, 200);
    fake_advance(&fake, 100);
    upstreams_refused(&upstreams, &flow.peer);
    answer(expect("OPTIONS "), 200); /* it is asked at once */
    fake_advance(&fake, 100);
    assert_true(is_up());
    for (unsigned i = 0; i < 3; i++)
        upstreams_refused(&upstreams, &flow.peer);
    assert_false(is_up());
    flow = fake_flow("10.9.9.9:5081");
    upstreams_refused(&upstreams, &flow.peer);
}

/* Any REGISTER that it takes will do. */
static void test_an_accepted_register(void **state)
{
    (void)state;
    live(INTERVAL_MS, 200, 200);
    fake_advance(&fake, 3 * INTERVAL_MS);
    assert_false(is_up());
    health_answered(&upstreams.list[0], 503);
    assert_false(is_up());
    health_answered(&upstreams.list[0], 200);
    assert_true(is_up());
    assert_int_equal(returns, 1);
}

static void test_off(void **state)
{
    teardown(state);
    setup(state);
    config.upstream[0].ping_interval_ms = 0;
    teardown(state);
    fake_init(&fake);
    assert_true(transactions_init(&transactions, &fake.rt));
    upstreams_init(&upstreams, &fake.rt, &config, &transactions);
    upstreams_start(&upstreams);
    fake_advance(&fake, 100000);
    assert_int_equal(fake.sent_count, 0);
    health_refused(&upstreams.list[0]);
    assert_true(is_up());
    assert_int_equal(fake.sent_count, 0);
}

#define IN(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(test_ping),
        IN(test_stays_up),
        IN(test_goes_down),
        IN(test_returns),
        IN(test_busy),
        IN(test_started_later),
        IN(test_without_options),
        IN(test_refused),
        IN(test_an_accepted_register),
        IN(test_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

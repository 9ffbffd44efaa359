/*
 * upstream/name: a main registrar with a name is where the name leads, moves with it,
 * and stays where it is when nobody can say where that is.
 */
#include "upstream/upstream.h"

#include "fake_ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define A       "10.0.0.1:5080"
#define B       "10.0.0.2:5080"
#define C       "10.0.0.3:5080"
#define TTL_S   30
#define PING_MS 6000
#define HOUR_MS 3600000
#define OWN     "10.0.0.9:5060"

static struct fake fake;
static struct config config;
static struct transactions transactions;
static struct upstreams upstreams;
static struct upstream *const pbx = &upstreams.list[0];
static struct sip_message message;
static unsigned downs, returns;

static void on_down(void *self, struct upstream *u)
{
    (void)self;
    assert_ptr_equal(u, pbx);
    downs++;
}

static void on_returned(void *self, struct upstream *u)
{
    (void)self;
    assert_ptr_equal(u, pbx);
    returns++;
}

static const struct upstream_user user = {.down = on_down, .returned = on_returned};

static int setup(void **state)
{
    (void)state;
    fake_init(&fake);
    config = (struct config){.auth = AUTH_NONE, .upstream_count = 1, .listen_count = 1};
    assert_true(address_parse(SPAN(OWN), 5060, &config.listen[0].address));
    config.upstream[0].name = (char *)"pbx";
    config.upstream[0].host = (char *)"pbx.example.net";
    config.upstream[0].host_port = 5080;
    config.upstream[0].ping_interval_ms = PING_MS;
    assert_true(transactions_init(&transactions, &fake.rt));
    downs = returns = 0;
    upstreams_init(&upstreams, &fake.rt, &config, &transactions);
    upstreams_tell(&upstreams, &user, NULL);
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

/* The world's answer; `list`: addresses with spaces between. */
static void resolve(const char *list, bool whole)
{
    struct resolved answer = {RESOLVED_FOUND, whole, 0, TTL_S, {{{0}, 0, 0, 0}}};
    char room[256];
    char *rest = NULL;

    snprintf(room, sizeof room, "%s", list);
    for (char *one = strtok_r(room, " ", &rest); one; one = strtok_r(NULL, " ", &rest))
        assert_true(address_parse(span_of(one), 0, &answer.list[answer.count++]));
    name_resolved(pbx, &answer);
}

static void fail_to_resolve(enum resolved_end end)
{
    const struct resolved answer = {.end = end};

    name_resolved(pbx, &answer);
}

static void assert_at(const char *place)
{
    struct address a;

    assert_true(address_parse(span_of(place), 0, &a));
    assert_true(address_equal(&pbx->flow.peer, &a));
}

static bool is_sender(const char *place)
{
    struct flow from = fake_flow(place);

    return upstreams_sender(&upstreams, &from) == pbx;
}

/* Answers the last request as it came from where that went. */
static void answer_last(int status)
{
    const struct fake_datagram *last = fake_last(&fake);
    struct sip_fault fault = {0};
    char text[2048];

    snprintf(text, sizeof text, "SIP/2.0 %d X\r\nVia: %s\r\n", status,
             fake_field(last->text, "Via"));
    for (const char *const *name = (const char *const[]){"From", "To", "Call-ID", "CSeq", NULL};
         *name; name++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s: %s\r\n", *name,
                 fake_field(last->text, *name));
    snprintf(text + strlen(text), sizeof text - strlen(text), "\r\n");
    assert_int_equal(sip_parse(span_of(text), &message, &fault), SIP_PARSED);
    client_receive(&transactions, &message, &last->to);
}

static void assert_asked_at(const char *place, const char *method)
{
    struct flow to = fake_flow(place);

    assert_true(address_equal(&fake_last(&fake)->to.peer, &to.peer));
    assert_memory_equal(fake_last(&fake)->text, method, strlen(method));
}

/* Up at A, which is the first address of `list`. */
static void begin_at_a(const char *list)
{
    resolve(list, true);
    assert_at(A);
    answer_last(200);
    assert_true(upstream_is_up(pbx));
    assert_int_equal(returns, 1);
    returns = 0;
    fake_clear(&fake);
}

/* Pings are answered for so long. */
static void live(uint64_t ms)
{
    for (uint64_t end_ms = fake.rt.now_ms + ms; fake.rt.now_ms < end_ms;) {
        size_t sent = fake.sent_count;

        fake_advance(&fake, 100);
        if (fake.sent_count > sent)
            answer_last(200);
    }
}

/* ---- at start ------------------------------------------------------------------------------ */

static void test_nothing_is_sent_before_its_address_is_known(void **state)
{
    (void)state;
    assert_int_equal(fake.names_asked, 1);
    assert_string_equal(fake.name_asked, "pbx.example.net");
    assert_int_equal(fake.name_port, 5080);
    assert_true(fake_logged(&fake, "event=name_awaited upstream=pbx host=pbx.example.net"));
    assert_false(upstream_is_placed(pbx));
    assert_false(upstream_is_up(pbx));
    fake_advance(&fake, 60000);
    assert_int_equal(fake.sent_count, 0);
}

static void test_the_first_answer(void **state)
{
    (void)state;
    resolve(A " " B, true);
    assert_at(A);
    assert_false(upstream_is_up(pbx));
    assert_asked_at(A, "REGISTER ");
    assert_true(fake_logged(&fake, "event=upstream_moved upstream=pbx host=pbx.example.net "
                                   "from=nowhere to=10.0.0.1:5080"));
    answer_last(403);
    assert_true(upstream_is_up(pbx));
    assert_int_equal(returns, 1);
    live(20000);
    assert_true(upstream_is_up(pbx));
}

/* ---- later ---------------------------------------------------------------------------------- */

static void test_asked_again_when_the_ttl_ends(void **state)
{
    (void)state;
    begin_at_a(A);
    live(TTL_S * 1000 - 200);
    assert_int_equal(fake.names_asked, 1);
    live(400);
    assert_int_equal(fake.names_asked, 2);
    resolve(A, true);
    live(TTL_S * 1000 + 200);
    assert_int_equal(fake.names_asked, 3);
}

static void test_while_its_address_is_among_them_nothing_changes(void **state)
{
    (void)state;
    begin_at_a(A);
    resolve(B " " A, true);
    assert_at(A);
    assert_true(upstream_is_up(pbx));
    assert_int_equal(fake.sent_count, 0);
    assert_int_equal(fake.log_count, 0);
    assert_true(is_sender(B));
    assert_false(is_sender(C));
}

static void test_it_moves(void **state)
{
    (void)state;
    begin_at_a(A);
    resolve(B " " C, true);
    assert_at(B);
    assert_int_equal(downs, 1);
    assert_false(upstream_is_up(pbx));
    assert_asked_at(B, "REGISTER ");
    assert_true(fake_logged(&fake, "from=10.0.0.1:5080 to=10.0.0.2:5080"));
    answer_last(200);
    assert_true(upstream_is_up(pbx));
    assert_int_equal(returns, 1);
}

static void test_where_it_was_counts_for_an_hour(void **state)
{
    (void)state;
    begin_at_a(A);
    resolve(B, true);
    answer_last(200);
    assert_true(is_sender(A) && is_sender(B));
    live(HOUR_MS - 1000);
    assert_true(is_sender(A));
    live(2000);
    assert_false(is_sender(A));
}

static void test_a_list_that_is_not_whole_moves_nothing(void **state)
{
    (void)state;
    begin_at_a(A);
    resolve(B, false);
    assert_at(A);
    assert_true(upstream_is_up(pbx));
    assert_true(is_sender(A) && is_sender(B));
}

/* A pong of the old place is not taken for one of the new. */
static void test_late_answers(void **state)
{
    struct sip_fault fault = {0};
    struct flow old;
    char text[2048];

    (void)state;
    begin_at_a(A);
    while (fake.sent_count == 0)
        fake_advance(&fake, 100);
    old = fake_last(&fake)->to;
    snprintf(text, sizeof text,
             "SIP/2.0 200 OK\r\nVia: %s\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n"
             "Call-ID: x\r\nCSeq: 1 OPTIONS\r\n\r\n",
             fake_field(fake_last(&fake)->text, "Via"));
    resolve(B, true);
    assert_int_equal(sip_parse(span_of(text), &message, &fault), SIP_PARSED);
    client_receive(&transactions, &message, &old);
    assert_false(upstream_is_up(pbx));
}

static void test_its_connection_ends_with_the_move(void **state)
{
    struct flow flow;

    (void)state;
    begin_at_a(A);
    upstream_route(pbx, 4000, &flow);
    assert_int_equal(pbx->stream.state, STREAM_TRYING);
    resolve(B, true);
    assert_int_equal(pbx->stream.state, STREAM_NONE);
    assert_int_equal(fake.dead_count, 1);
}

/* Whether it challenges is asked where it is now; what the old place says counts no more. */
static void test_openness(void **state)
{
    struct fake_datagram probe;
    struct sip_fault fault = {0};
    char text[2048];

    (void)state;
    config.auth = AUTH_UPSTREAM;
    resolve(A, true);
    probe = *fake_sent(&fake, 0);
    snprintf(text, sizeof text,
             "SIP/2.0 401 X\r\nVia: %s\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\n"
             "Call-ID: x\r\nCSeq: 1 REGISTER\r\n\r\n",
             fake_field(probe.text, "Via"));
    assert_int_equal(sip_parse(span_of(text), &message, &fault), SIP_PARSED);
    resolve(B, true);
    client_receive(&transactions, &message, &probe.to);
    assert_int_equal(pbx->openness, UPSTREAM_UNKNOWN);
    answer_last(200);
    assert_true(upstream_is_up(pbx));
    live(40000);
    assert_int_equal(pbx->openness, UPSTREAM_OPEN);
}

static void test_the_listener_that_can_send_there(void **state)
{
    (void)state;
    assert_true(address_parse(SPAN("127.0.0.1:5060"), 5060, &config.listen[1].address));
    config.listen_count = 2;
    resolve("127.0.0.1:5080", true);
    assert_int_equal(pbx->flow.listener, 1);
    resolve(A, true);
    assert_int_equal(pbx->flow.listener, 0);
}

static void test_it_is_believed_to_be_where_it_was(void **state)
{
    struct address was;

    (void)state;
    upstreams_init(&upstreams, &fake.rt, &config, &transactions);
    upstreams_tell(&upstreams, &user, NULL);
    assert_true(address_parse(SPAN(OWN), 0, &was));
    name_was(pbx, &was);
    assert_false(upstream_is_placed(pbx)); /* that cannot be */
    assert_true(address_parse(SPAN(A), 0, &was));
    name_was(pbx, &was);
    upstreams_start(&upstreams);
    assert_true(upstream_is_up(pbx));
    assert_int_equal(fake.names_asked, 2); /* with the one of setup */
    fake_clear(&fake);
    resolve(A " " B, true);
    assert_int_equal(fake.sent_count, 0);
    assert_int_equal(downs + returns, 0);
    resolve(B, true);
    assert_at(B);
    assert_int_equal(downs, 1);
}

/* ---- nobody knows --------------------------------------------------------------------------- */

static void test_without_an_answer_it_stays(void **state)
{
    static const unsigned pauses_s[] = {5, 10, 20, 40, 60, 60};
    unsigned warned;

    (void)state;
    begin_at_a(A);
    warned = fake.warned;
    for (unsigned i = 0; i < 6; i++) {
        unsigned asked = fake.names_asked;

        fail_to_resolve(RESOLVED_FAILED);
        live(pauses_s[i] * 1000 - 200);
        assert_int_equal(fake.names_asked, asked);
        live(400);
        assert_int_equal(fake.names_asked, asked + 1);
    }
    assert_int_equal(fake.warned, warned + 1);
    assert_at(A);
    assert_true(upstream_is_up(pbx));
    assert_true(fake_logged(&fake, "goes_on_with=10.0.0.1:5080"));
    fake_clear(&fake);
    resolve(A, true);
    assert_true(fake_logged(&fake, "event=name_known"));
    fail_to_resolve(RESOLVED_NONE);
    assert_true(fake_logged(&fake, "the name has no addresses"));
    assert_at(A);
}

static void test_addresses_of_no_use(void **state)
{
    (void)state;
    resolve(OWN, true);
    assert_false(upstream_is_placed(pbx));
    assert_true(fake_logged(&fake, "none of its addresses can be used"));
    resolve("[2001:db8::1]:5080", true);
    assert_false(upstream_is_placed(pbx));
    resolve("[2001:db8::1]:5080 " OWN " " A, true);
    assert_at(A);
    assert_false(is_sender(OWN));
}

/* ---- silence -----------------------------------------------------------------------------------
 */

static void until_moved(const char *place)
{
    struct address a;

    assert_true(address_parse(span_of(place), 0, &a));
    for (unsigned i = 0; i < 300 && !address_equal(&pbx->flow.peer, &a); i++)
        fake_advance(&fake, 100);
    assert_at(place);
}

static void test_the_next_address_is_tried_when_one_is_silent(void **state)
{
    (void)state;
    begin_at_a(A " " B " " C);
    until_moved(B);
    assert_int_equal(downs, 1);
    assert_asked_at(B, "REGISTER ");
    until_moved(C);
    until_moved(A);
    until_moved(B);
    answer_last(200);
    assert_true(upstream_is_up(pbx));
    assert_int_equal(returns, 1);
    live(TTL_S * 1000);
    resolve(A " " B, true); /* kept until it fails */
    assert_at(B);
}

static void test_a_silent_one_is_asked_for_anew(void **state)
{
    unsigned asked;

    (void)state;
    begin_at_a(A);
    asked = fake.names_asked;
    while (upstream_is_up(pbx))
        fake_advance(&fake, 100);
    fake_advance(&fake, 2000);
    assert_int_equal(fake.names_asked, asked + 1); /* long before its TTL ends */
    assert_at(A);
    fake_advance(&fake, 5000);
    assert_int_equal(fake.names_asked, asked + 2); /* not with each ping */
    resolve(B, true);
    assert_at(B);
}

/* ---- calls -------------------------------------------------------------------------------------
 */

static void assert_target(const char *uri, const char *place)
{
    struct sip_uri parsed;
    struct sip_fault fault;
    struct address to, wanted;

    assert_true(sip_uri_parse(span_of(uri), &parsed, &fault));
    assert_true(address_parse(span_of(place), 0, &wanted));
    name_target(pbx, &parsed, &to);
    assert_true(address_equal(&to, &wanted));
}

static void test_what_belongs_to_a_call_goes_where_it_is(void **state)
{
    (void)state;
    begin_at_a(A " " B);
    assert_target("sip:x@10.0.0.2:5080", B);
    assert_target("sip:x@10.0.0.2", A);
    assert_target("sip:x@10.0.0.3:5080", A);
    assert_target("sip:x@example.net", A);
    resolve(C, true);
    answer_last(200);
    assert_target("sip:x@10.0.0.1:5080", A); /* one that began before it moved */
    assert_target("sip:x@10.0.0.2:5080", C);
    /* Its socket could not send to the other family. */
    assert_true(address_parse(SPAN("[2001:db8::9]:5060"), 5060, &config.listen[1].address));
    config.listen_count = 2;
    resolve(C " [2001:db8::1]:5080", true);
    assert_target("sip:x@[2001:db8::1]:5080", C);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_nothing_is_sent_before_its_address_is_known),
        T(test_the_first_answer),
        T(test_asked_again_when_the_ttl_ends),
        T(test_while_its_address_is_among_them_nothing_changes),
        T(test_it_moves),
        T(test_where_it_was_counts_for_an_hour),
        T(test_a_list_that_is_not_whole_moves_nothing),
        T(test_late_answers),
        T(test_its_connection_ends_with_the_move),
        T(test_openness),
        T(test_the_listener_that_can_send_there),
        T(test_it_is_believed_to_be_where_it_was),
        T(test_without_an_answer_it_stays),
        T(test_addresses_of_no_use),
        T(test_the_next_address_is_tried_when_one_is_silent),
        T(test_a_silent_one_is_asked_for_anew),
        T(test_what_belongs_to_a_call_goes_where_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

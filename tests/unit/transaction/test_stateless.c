/* Answers without a transaction: RFC 3261 8.2.7, 18.2.2. */
#include "talk.h"

#define VIA "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKone"
#define TO  "<sip:bob@example.com>"

static void test_same_answer_to_copies(void **state)
{
    struct talk *k = *state;
    char room[16];

    for (int i = 0; i < 2; i++)
        server_reject(&k->fake.rt, talk_request(k, "OPTIONS", VIA, TO, ""), &k->peer, 403,
                      "Not Here", SPAN("Retry-After: 5\r\n"));
    assert_true(talk_starts(fake_sent(&k->fake, 0), "SIP/2.0 403 Not Here\r\n"));
    assert_string_equal(fake_sent(&k->fake, 0)->text, fake_sent(&k->fake, 1)->text);
    assert_string_equal(fake_field(fake_sent(&k->fake, 0)->text, "Retry-After"), "5");
    assert_string_equal(fake_field(fake_sent(&k->fake, 0)->text, "Content-Length"), "0");
    assert_non_null(strstr(fake_field(fake_sent(&k->fake, 0)->text, "To"),
                           server_stateless_tag(&k->fake.rt, &k->m, room).p));
    assert_int_equal(k->t.servers.used, 0);
}

static void test_tag_depends_on_request(void **state)
{
    struct talk *k = *state;
    char a[16], b[16];
    struct span tag = server_stateless_tag(&k->fake.rt, talk_request(k, "INVITE", VIA, TO, ""), a);

    assert_int_equal(tag.n, 13);
    server_stateless_tag(&k->fake.rt, talk_request(k, "OPTIONS", VIA, TO, ""), b);
    assert_string_not_equal(a, b);
}

static void test_keeps_to_tag(void **state)
{
    struct talk *k = *state;

    server_reject(&k->fake.rt, talk_request(k, "BYE", VIA, TO ";tag=mine", ""), &k->peer, 481, NULL,
                  SPAN_NONE);
    assert_string_equal(fake_field(fake_last(&k->fake)->text, "To"), TO ";tag=mine");
}

static void test_ack_is_never_answered(void **state)
{
    struct talk *k = *state;

    server_reject(&k->fake.rt, talk_request(k, "ACK", VIA, TO, ""), &k->peer, 400, NULL, SPAN_NONE);
    assert_int_equal(k->fake.sent_count, 0);
}

static void test_too_long(void **state)
{
    static char fields[DATAGRAM_MAX];
    struct talk *k = *state;

    memset(fields, 'x', sizeof fields);
    server_reject(&k->fake.rt, talk_request(k, "BYE", VIA, TO, ""), &k->peer, 481, NULL,
                  span_make(fields, sizeof fields));
    assert_int_equal(k->fake.sent_count, 0);
}

static void test_reply_flow(void **state)
{
    struct talk *k = *state;
    struct flow to;
    struct flow source = fake_flow("10.0.0.1:40000");
    struct flow sent_by = fake_flow("10.0.0.1:5077");

    /* The same host, no rport: the sent-by port. */
    assert_true(server_reply_flow(
        talk_request(k, "BYE", "SIP/2.0/UDP 10.0.0.1:5077;branch=z9hG4bK1", TO, ""), &source, &to));
    assert_true(flow_equal(&to, &sent_by));
    /* A connection: back on it, whatever the Via says. */
    source.transport = TRANSPORT_TCP;
    assert_true(server_reply_flow(
        talk_request(k, "BYE", "SIP/2.0/TCP 10.9.9.9:5077;branch=z9hG4bK1", TO, ""), &source, &to));
    assert_true(flow_equal(&to, &source));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TALK(test_same_answer_to_copies),
        IN_TALK(test_tag_depends_on_request),
        IN_TALK(test_keeps_to_tag),
        IN_TALK(test_ack_is_never_answered),
        IN_TALK(test_too_long),
        IN_TALK(test_reply_flow),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

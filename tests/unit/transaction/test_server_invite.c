/* The INVITE server transaction: RFC 3261 17.2.1, RFC 6026 7.1, 9.2. */
#include "talk.h"

#define VIA "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKone"
#define TO  "<sip:bob@example.com>"

static struct server_tx *invite(struct talk *k)
{
    const struct sip_message *m = talk_request(k, "INVITE", VIA, TO, "");
    struct server_tx *tx;

    assert_false(server_receive(&k->t, m, &k->peer));
    tx = server_begin(&k->t, m, &k->peer, &talk_server_user, k);
    assert_non_null(tx);
    assert_int_equal(tx->state, SERVER_PROCEEDING);
    memset(k->text, '#', sizeof k->text); /* the datagram is gone: the copy must live */
    return tx;
}

static bool again(struct talk *k, const char *method)
{
    return server_receive(&k->t, talk_request(k, method, VIA, TO, ""), &k->peer);
}

static void test_retransmission_gets_last_answer(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = invite(k);

    assert_true(again(k, "INVITE")); /* nothing answered yet: nothing sent */
    assert_int_equal(k->fake.sent_count, 0);
    server_reply(tx, 100, NULL, SPAN_NONE);
    assert_true(talk_starts(fake_sent(&k->fake, 0), "SIP/2.0 100 "));
    assert_null(strstr(fake_field(fake_sent(&k->fake, 0)->text, "To"), "tag="));
    server_reply(tx, 180, NULL, SPAN("X-Test: yes\r\n"));
    assert_true(again(k, "INVITE"));
    assert_int_equal(k->fake.sent_count, 3);
    assert_true(talk_starts(fake_sent(&k->fake, 2), "SIP/2.0 180 "));
    assert_string_equal(fake_sent(&k->fake, 1)->text, fake_sent(&k->fake, 2)->text);
    assert_string_equal(fake_field(fake_sent(&k->fake, 2)->text, "X-Test"), "yes");
    assert_non_null(strstr(fake_field(fake_sent(&k->fake, 2)->text, "To"), "tag="));
    assert_int_equal(k->fake.rt.counters.value[COUNTER_RETRANSMIT_IN], 2);
    assert_int_equal(k->fake.rt.counters.value[COUNTER_RETRANSMIT_OUT], 1);
    server_reply(tx, 480, NULL, SPAN_NONE);
}

/* Timer G: T1, doubling to T2; H after 64 T1. */
static void test_final_is_repeated_until_h(void **state)
{
    static const uint64_t when[] = {0,     500,   1500,  3500,  7500, 11500,
                                    15500, 19500, 23500, 27500, 31500};
    struct talk *k = *state;
    struct server_tx *tx = invite(k);
    struct handle h = tx->handle;
    uint64_t start = k->fake.rt.now_ms;

    server_reply(tx, 486, NULL, SPAN_NONE);
    assert_int_equal(tx->state, SERVER_COMPLETED);
    fake_advance(&k->fake, 31999);
    assert_int_equal(k->fake.sent_count, 11);
    for (size_t i = 0; i < 11; i++)
        assert_int_equal(fake_sent(&k->fake, i)->at_ms - start, when[i]);
    assert_int_equal(k->ended, 0);
    fake_advance(&k->fake, 1);
    assert_int_equal(k->ended, 1);
    assert_null(server_get(&k->t, h));
    assert_false(again(k, "INVITE")); /* now it is a new one */
}

static void test_ack_is_absorbed(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = invite(k);

    server_reply(tx, 486, NULL, SPAN_NONE);
    fake_advance(&k->fake, 600);
    assert_int_equal(k->fake.sent_count, 2);
    assert_true(again(k, "ACK"));
    assert_int_equal(tx->state, SERVER_CONFIRMED);
    assert_null(tx->answer.p);
    fake_advance(&k->fake, 4999);
    assert_true(again(k, "ACK"));
    assert_true(again(k, "INVITE")); /* a late copy: absorbed in silence */
    assert_int_equal(k->fake.sent_count, 2);
    assert_int_equal(k->ended, 0);
    fake_advance(&k->fake, 1); /* timer I */
    assert_int_equal(k->ended, 1);
    assert_false(again(k, "ACK"));
}

static void test_accepted_passes_further_2xx(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = invite(k);

    server_respond(tx, 200, SPAN("SIP/2.0 200 OK\r\n\r\n"));
    assert_int_equal(tx->state, SERVER_ACCEPTED);
    assert_true(again(k, "INVITE")); /* RFC 6026: absorbed, not answered */
    assert_int_equal(k->fake.sent_count, 1);
    assert_false(again(k, "ACK")); /* the ACK of a 2xx is for the proxy */
    fake_advance(&k->fake, 10000); /* no timer G */
    assert_int_equal(k->fake.sent_count, 1);
    server_respond(tx, 200, SPAN("SIP/2.0 200 OK\r\nX: again\r\n\r\n"));
    assert_int_equal(k->fake.sent_count, 2);
    server_reply(tx, 486, NULL, SPAN_NONE); /* too late */
    server_reply(tx, 180, NULL, SPAN_NONE);
    assert_int_equal(k->fake.sent_count, 2);
    assert_int_equal(tx->status, 200);
    fake_advance(&k->fake, 21999); /* timer L from the first 2xx */
    assert_int_equal(k->ended, 0);
    fake_advance(&k->fake, 1);
    assert_int_equal(k->ended, 1);
}

static void test_one_final_answer(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = invite(k);

    server_reply(tx, 486, NULL, SPAN_NONE);
    server_reply(tx, 487, NULL, SPAN_NONE);
    server_reply(tx, 180, NULL, SPAN_NONE);
    server_respond(tx, 200, SPAN("SIP/2.0 200 OK\r\n\r\n"));
    assert_int_equal(k->fake.sent_count, 1);
    assert_int_equal(tx->status, 486);
}

static void test_cancel(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = invite(k);

    server_reply(tx, 180, NULL, SPAN_NONE);
    assert_true(again(k, "CANCEL"));
    assert_int_equal(k->cancelled, 1);
    assert_true(talk_starts(fake_sent(&k->fake, 1), "SIP/2.0 200 "));
    assert_string_equal(fake_field(fake_sent(&k->fake, 1)->text, "CSeq"), "1 CANCEL");
    assert_non_null(strstr(fake_field(fake_sent(&k->fake, 1)->text, "To"), tx->to_tag));
    assert_true(again(k, "CANCEL")); /* its copy: the same 200, told but once */
    assert_string_equal(fake_sent(&k->fake, 1)->text, fake_sent(&k->fake, 2)->text);
    assert_int_equal(k->cancelled, 1);
    server_reply(tx, 487, NULL, SPAN_NONE);
    assert_true(talk_starts(fake_sent(&k->fake, 3), "SIP/2.0 487 "));
}

/* It repeats what everybody has seen who was called, but comes from elsewhere. */
static void test_cancel_of_somebody_else(void **state)
{
    struct talk *k = *state;
    struct flow other = fake_flow("10.0.0.2:5060");
    struct flow moved = fake_flow("10.0.0.1:5070"); /* another port is no other host */
    struct server_tx *tx = invite(k);

    server_reply(tx, 180, NULL, SPAN_NONE);
    assert_false(server_receive(&k->t, talk_request(k, "CANCEL", VIA, TO, ""), &other));
    assert_int_equal(k->cancelled, 0);
    assert_true(server_receive(&k->t, talk_request(k, "CANCEL", VIA, TO, ""), &moved));
    assert_int_equal(k->cancelled, 1);
    server_reply(tx, 487, NULL, SPAN_NONE);
}

static void test_cancel_after_final(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = invite(k);

    server_respond(tx, 200, SPAN("SIP/2.0 200 OK\r\n\r\n"));
    assert_true(again(k, "CANCEL"));
    assert_int_equal(k->cancelled, 0);
    assert_true(talk_starts(fake_last(&k->fake), "SIP/2.0 200 "));
}

static void test_cancel_without_match(void **state)
{
    struct talk *k = *state;
    const struct sip_message *m = talk_request(k, "CANCEL", VIA, TO, "");

    assert_false(server_receive(&k->t, m, &k->peer));
    /* It must not take the key of an INVITE that is still on its way. */
    assert_null(server_begin(&k->t, m, &k->peer, &talk_server_user, k));
    server_reply(invite(k), 486, NULL, SPAN_NONE);
}

static void test_reliable(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx;

    k->peer.transport = TRANSPORT_TCP;
    tx = invite(k);
    server_reply(tx, 486, NULL, SPAN_NONE);
    fake_advance(&k->fake, 20000); /* no timer G */
    assert_int_equal(k->fake.sent_count, 1);
    assert_true(again(k, "ACK"));
    assert_int_equal(k->ended, 0);
    fake_advance(&k->fake, 1); /* timer I is zero */
    assert_int_equal(k->ended, 1);
}

static void test_forgotten_goes_on(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = invite(k);

    server_forget(tx);
    assert_true(again(k, "CANCEL"));
    assert_int_equal(k->cancelled, 0);
    server_reply(tx, 487, NULL, SPAN_NONE);
    fake_advance(&k->fake, 32000);
    assert_int_equal(k->ended, 0);
    assert_int_equal(k->t.servers.used, 0);
}

/* An answer that outgrows a datagram is not sent, but the transaction ends. */
static void test_too_long_answer(void **state)
{
    static char fields[DATAGRAM_MAX];
    struct talk *k = *state;
    struct server_tx *tx = invite(k);

    memset(fields, 'x', sizeof fields);
    server_reply(tx, 500, NULL, span_make(fields, sizeof fields));
    assert_int_equal(k->fake.sent_count, 0);
    assert_int_equal(tx->state, SERVER_COMPLETED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TALK(test_retransmission_gets_last_answer),
        IN_TALK(test_final_is_repeated_until_h),
        IN_TALK(test_ack_is_absorbed),
        IN_TALK(test_accepted_passes_further_2xx),
        IN_TALK(test_one_final_answer),
        IN_TALK(test_cancel),
        IN_TALK(test_cancel_of_somebody_else),
        IN_TALK(test_cancel_after_final),
        IN_TALK(test_cancel_without_match),
        IN_TALK(test_reliable),
        IN_TALK(test_forgotten_goes_on),
        IN_TALK(test_too_long_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

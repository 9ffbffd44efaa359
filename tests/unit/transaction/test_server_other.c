/* The non-INVITE server transaction: RFC 3261 17.2.2, RFC 4320. */
#include "talk.h"

#include <stdio.h>

#define VIA "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKtwo"
#define TO  "<sip:alice@example.com>"

static struct server_tx *begin(struct talk *k)
{
    const struct sip_message *m = talk_request(k, "REGISTER", VIA, TO, "");
    struct server_tx *tx = server_begin(&k->t, m, &k->peer, &talk_server_user, k);

    assert_non_null(tx);
    assert_int_equal(tx->state, SERVER_TRYING);
    return tx;
}

static bool again(struct talk *k)
{
    return server_receive(&k->t, talk_request(k, "REGISTER", VIA, TO, ""), &k->peer);
}

static void test_life(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = begin(k);
    struct handle h = tx->handle;

    assert_true(again(k)); /* Trying: absorbed */
    assert_int_equal(k->fake.sent_count, 0);
    server_reply(tx, 100, NULL, SPAN_NONE);
    assert_int_equal(tx->state, SERVER_PROCEEDING);
    assert_true(again(k));
    assert_int_equal(k->fake.sent_count, 2);
    server_reply(tx, 200, NULL, SPAN_NONE);
    assert_int_equal(tx->state, SERVER_COMPLETED);
    fake_advance(&k->fake, 31999); /* not sent again by itself */
    assert_int_equal(k->fake.sent_count, 3);
    assert_true(again(k));
    assert_true(talk_starts(fake_last(&k->fake), "SIP/2.0 200 "));
    server_reply(tx, 500, NULL, SPAN_NONE); /* one final answer */
    assert_int_equal(k->fake.sent_count, 4);
    fake_advance(&k->fake, 1); /* timer J */
    assert_int_equal(k->ended, 1);
    assert_null(server_get(&k->t, h));
    assert_false(again(k));
}

static void test_reliable_ends_at_once(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx;

    k->peer.transport = TRANSPORT_TLS;
    tx = begin(k);
    server_reply(tx, 200, NULL, SPAN_NONE);
    assert_int_equal(tx->status, 200); /* but not within the call */
    fake_advance(&k->fake, 1);
    assert_int_equal(k->ended, 1);
}

static void test_rfc_4320(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = begin(k);

    server_reply(tx, 183, NULL, SPAN_NONE); /* no provisional but 100 */
    assert_int_equal(k->fake.sent_count, 0);
    assert_int_equal(tx->state, SERVER_TRYING);
    server_reply(tx, 408, NULL, SPAN_NONE); /* never sent: silence */
    assert_int_equal(k->fake.sent_count, 0);
    assert_int_equal(tx->state, SERVER_COMPLETED);
    assert_true(again(k));
    assert_int_equal(k->fake.sent_count, 0);
    fake_advance(&k->fake, 32000);
    assert_int_equal(k->ended, 1);
}

static void test_cancel_does_not_match(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = begin(k);

    assert_false(server_receive(&k->t, talk_request(k, "CANCEL", VIA, TO, ""), &k->peer));
    assert_false(server_receive(&k->t, talk_request(k, "ACK", VIA, TO, ""), &k->peer));
    server_reply(tx, 200, NULL, SPAN_NONE);
}

/* RFC 3581: to where it came from if it asked, and says so in the Via. */
static void test_answer_goes_back(void **state)
{
    struct talk *k = *state;
    const struct sip_message *m;
    struct server_tx *tx;

    k->peer = fake_flow("192.0.2.9:40000");
    m = talk_request(k, "REGISTER", "SIP/2.0/UDP 10.0.0.1:5060;rport;branch=z9hG4bKx", TO, "");
    tx = server_begin(&k->t, m, &k->peer, NULL, NULL);
    assert_non_null(tx);
    server_reply(tx, 200, NULL, SPAN_NONE);
    assert_true(flow_equal(&fake_sent(&k->fake, 0)->to, &k->peer));
    assert_non_null(strstr(fake_field(fake_sent(&k->fake, 0)->text, "Via"), "rport=40000"));
    assert_non_null(strstr(fake_field(fake_sent(&k->fake, 0)->text, "Via"), "received=192.0.2.9"));
}

/* RFC 3261 18.2.2: the connection has closed. To the Via's port over a new one,
 * and over the old one, whose peer may have closed its side alone. */
static void test_connection_has_closed(void **state)
{
    struct talk *k = *state;
    const struct sip_message *m;
    struct server_tx *tx;

    k->peer = fake_flow("10.0.0.1:40000");
    k->peer.transport = TRANSPORT_TCP;
    k->peer.connection = 7;
    m = talk_request(k, "REGISTER", "SIP/2.0/TCP 10.0.0.1:5070;branch=z9hG4bKx", TO, "");
    tx = server_begin(&k->t, m, &k->peer, NULL, NULL);
    assert_non_null(tx);
    fake_kill(&k->fake, 7);
    server_reply(tx, 200, NULL, SPAN_NONE);
    assert_int_equal(k->fake.sent_count, 2);
    assert_int_equal(fake_sent(&k->fake, 0)->to.peer.port, 5070);
    assert_int_not_equal(fake_sent(&k->fake, 0)->to.connection, 7);
    assert_true(flow_equal(&fake_sent(&k->fake, 1)->to, &k->peer));
}

static void test_bounds(void **state)
{
    struct talk *k = *state;
    const struct sip_message *m = talk_request(k, "REGISTER", VIA, TO, "");
    struct server_tx *tx = server_begin(&k->t, m, &k->peer, NULL, NULL);

    assert_non_null(tx);
    assert_null(server_begin(&k->t, m, &k->peer, NULL, NULL)); /* one per key */
    k->t.servers.max = 1;
    m = talk_request(k, "REGISTER", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK3", TO, "");
    assert_null(server_begin(&k->t, m, &k->peer, NULL, NULL));
    assert_int_equal(k->t.server_keys.used, 1);
    server_reply(tx, 200, NULL, SPAN_NONE);
}

/* With the final answer, and a user who needs it no more, the request goes; its
 * copies still get the answer. */
static void test_request_goes(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = begin(k);

    server_forget(tx); /* before the answer */
    server_reply(tx, 100, NULL, SPAN_NONE);
    assert_non_null(tx->request);
    server_reply(tx, 200, NULL, SPAN_NONE);
    assert_null(tx->request);
    assert_null(tx->request_room.p);
    server_reply(tx, 500, NULL, SPAN_NONE); /* too late */
    assert_int_equal(k->fake.sent_count, 2);
    assert_true(server_receive(&k->t, &k->m, &k->peer));
    assert_int_equal(k->fake.sent_count, 3);
    assert_true(talk_starts(fake_sent(&k->fake, 2), "SIP/2.0 200"));
}

static void test_request_goes_later(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = begin(k);

    server_reply(tx, 200, NULL, SPAN_NONE);
    assert_non_null(tx->request);
    server_forget(tx); /* after it */
    assert_null(tx->request);
}

/* RFC 2543: it is told by its tags, so it stays. */
static void test_old_request_stays(void **state)
{
    struct talk *k = *state;
    const struct sip_message *m = talk_request(k, "REGISTER", "SIP/2.0/UDP 10.0.0.1", TO, "");
    struct server_tx *tx = server_begin(&k->t, m, &k->peer, NULL, NULL);

    assert_non_null(tx);
    server_forget(tx);
    server_reply(tx, 200, NULL, SPAN_NONE);
    assert_non_null(tx->request);
    assert_true(server_receive(&k->t, &k->m, &k->peer));
    assert_int_equal(k->fake.sent_count, 2);
}

/* Answers of any size come back whole. */
static void test_answers_are_kept(void **state)
{
    static const size_t sizes[] = {1, 200, 300, 900, 3000, 60000};
    static char fields[61000];
    struct talk *k = *state;

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char via[64];
        const struct sip_message *m;
        struct server_tx *tx;

        snprintf(via, sizeof via, "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKs%zu", i);
        m = talk_request(k, "REGISTER", via, TO, "");
        tx = server_begin(&k->t, m, &k->peer, NULL, NULL);
        assert_non_null(tx);
        memset(fields, 'x', sizes[i]);
        memcpy(fields, "X:", 2);
        memcpy(fields + sizes[i] + 2, "\r\n", 2);
        server_reply(tx, 200, NULL, span_make(fields, sizes[i] + 4));
        fake_clear(&k->fake);
        server_receive(&k->t, &k->m, &k->peer);
        assert_int_equal(k->fake.sent_count, 1);
        assert_true(fake_sent(&k->fake, 0)->n > sizes[i]);
        assert_int_equal(tx->answer.n, fake_sent(&k->fake, 0)->n);
        assert_memory_equal(tx->answer.p, fake_sent(&k->fake, 0)->text, tx->answer.n);
    }
}

/* Freed with transactions alive: ASan looks for what is left. */
static void test_shutdown(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = begin(k);

    server_reply(tx, 100, NULL, SPAN_NONE);
    transactions_fini(&k->t);
    assert_true(transactions_init(&k->t, &k->fake.rt));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TALK(test_life),
        IN_TALK(test_reliable_ends_at_once),
        IN_TALK(test_rfc_4320),
        IN_TALK(test_cancel_does_not_match),
        IN_TALK(test_answer_goes_back),
        IN_TALK(test_connection_has_closed),
        IN_TALK(test_bounds),
        IN_TALK(test_request_goes),
        IN_TALK(test_request_goes_later),
        IN_TALK(test_old_request_stays),
        IN_TALK(test_answers_are_kept),
        IN_TALK(test_shutdown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

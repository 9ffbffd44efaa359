/* The non-INVITE server transaction: RFC 3261 17.2.2, RFC 4320. */
#include "talk.h"

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

/* Freed with transactions alive: ASan looks for what is left. */
static void test_shutdown(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = begin(k);

    server_reply(tx, 100, NULL, SPAN_NONE);
    assert_non_null(arena_alloc(&tx->arena, 100));
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
        IN_TALK(test_shutdown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

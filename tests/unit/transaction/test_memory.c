/*
 * Transactions when each single allocation fails once, then all from there on:
 * nothing leaks, nothing is used after its end, everything still ends.
 */
#include "no_memory.h"
#include "talk.h"

#define VIA "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKone"
#define TO  "<sip:bob@example.com>"

static bool receive(struct talk *k, const char *method)
{
    return server_receive(&k->t, talk_request(k, method, VIA, TO, ""), &k->peer);
}

/* False: the transaction could not be begun. */
static bool serve_invite(struct talk *k)
{
    struct server_tx *tx =
        server_begin(&k->t, talk_request(k, "INVITE", VIA, TO, ""), &k->peer, &talk_server_user, k);

    if (!tx)
        return false;
    server_reply(tx, 180, NULL, SPAN_NONE);
    assert_true(receive(k, "INVITE"));
    assert_true(receive(k, "CANCEL"));
    assert_int_equal(k->cancelled, 1);
    server_reply(tx, 487, NULL, SPAN_NONE);
    assert_true(talk_starts(fake_last(&k->fake), "SIP/2.0 487 ")); /* sent, if not kept */
    fake_advance(&k->fake, 1000);
    assert_true(receive(k, "ACK"));
    assert_int_equal(tx->state, SERVER_CONFIRMED);
    return true;
}

static bool answer(struct talk *k, int status)
{
    return client_receive(&k->t, talk_response(k, fake_sent(&k->fake, 0), status), &k->peer);
}

static bool call(struct talk *k)
{
    struct client_tx *tx = client_begin(&k->t, SIP_INVITE, &k->peer, 0, &talk_client_user, k, 0);
    char via[256];
    struct buf out = buf_make(via, sizeof via - 1);

    if (!tx)
        return false;
    client_put_via(&out, tx);
    via[out.n] = 0;
    talk_request(k, "INVITE", via, TO, "");
    if (!client_send(tx, k->m.raw))
        return false;
    assert_true(answer(k, 180));
    client_cancel(tx, SPAN("SIP;cause=200"));
    assert_true(talk_starts(fake_last(&k->fake), "CANCEL "));
    assert_true(answer(k, 487));
    assert_true(talk_starts(fake_last(&k->fake), "ACK "));
    assert_true(answer(k, 487));
    assert_int_equal(k->last_status, 487);
    return true;
}

/* Over a connection that closes; where its list could not be had, timer B ends it. */
static bool lose(struct talk *k)
{
    bool sent;

    k->peer.transport = TRANSPORT_TCP;
    k->peer.connection = 7;
    struct client_tx *tx = client_begin(&k->t, SIP_INVITE, &k->peer, 0, &talk_client_user, k, 0);
    char via[256];
    struct buf out = buf_make(via, sizeof via - 1);
    if (!tx)
        return false;
    client_put_via(&out, tx);
    via[out.n] = 0;
    talk_request(k, "INVITE", via, TO, "");
    sent = client_send(tx, k->m.raw);
    client_flow_closed(&k->t, &k->peer);
    fake_advance(&k->fake, 32001);
    assert_int_equal(k->timeouts, sent);
    return sent;
}

/* Each run in a room of its own, until a run needs no allocation that fails. */
static void each_allocation(bool (*story)(struct talk *), bool on)
{
    bool failed = true;

    for (unsigned at = 1; failed; at++) {
        void *state;
        bool told;

        assert_int_equal(talk_setup(&state), 0);
        struct talk *k = state;

        no_memory_from(&k->fake, at, on);
        told = story(k);
        failed = no_memory_end(&k->fake);
        assert_true(told || failed);
        assert_true(at < 100);
        talk_teardown(&state);
    }
}

static void test_server(void **state)
{
    (void)state;
    each_allocation(serve_invite, false);
    each_allocation(serve_invite, true);
}

static void test_client(void **state)
{
    (void)state;
    each_allocation(call, false);
    each_allocation(call, true);
    each_allocation(lose, false);
    each_allocation(lose, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_server),
        cmocka_unit_test(test_client),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

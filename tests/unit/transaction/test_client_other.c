/* The non-INVITE client transaction: RFC 3261 17.1.2. */
#include "talk.h"

static struct client_tx *send_register(struct talk *k)
{
    struct client_tx *tx = client_begin(&k->t, SIP_REGISTER, &k->peer, 0, &talk_client_user, k, 0);
    char via[256];
    struct buf out = buf_make(via, sizeof via - 1);

    assert_non_null(tx);
    client_put_via(&out, tx);
    via[out.n] = 0;
    talk_request(k, "REGISTER", via, "<sip:alice@example.com>", "");
    assert_true(client_send(tx, k->m.raw));
    memset(k->text, '#', sizeof k->text);
    return tx;
}

static bool answer(struct talk *k, int status)
{
    return client_receive(&k->t, talk_response(k, fake_sent(&k->fake, 0), status), &k->peer);
}

/* Timer E: T1, doubling to T2; F after 64 T1. */
static void test_unanswered(void **state)
{
    static const uint64_t when[] = {0,     500,   1500,  3500,  7500, 11500,
                                    15500, 19500, 23500, 27500, 31500};
    struct talk *k = *state;
    uint64_t start = k->fake.rt.now_ms;

    send_register(k);
    fake_advance(&k->fake, 31999);
    assert_int_equal(k->fake.sent_count, 11);
    for (size_t i = 0; i < 11; i++)
        assert_int_equal(fake_sent(&k->fake, i)->at_ms - start, when[i]);
    assert_int_equal(k->fake.rt.counters.value[COUNTER_RETRANSMIT_OUT], 10);
    fake_advance(&k->fake, 1);
    assert_int_equal(k->timeouts, 1);
    assert_int_equal(k->ended, 1);
}

static void test_answered(void **state)
{
    struct talk *k = *state;
    struct client_tx *tx = send_register(k);

    fake_advance(&k->fake, 100);
    assert_true(answer(k, 200));
    assert_int_equal(tx->state, CLIENT_COMPLETED);
    assert_null(tx->sent.p);
    assert_true(answer(k, 200)); /* a copy is absorbed */
    assert_true(answer(k, 500));
    assert_int_equal(k->responses, 1);
    assert_int_equal(k->last_status, 200);
    fake_advance(&k->fake, 4999);
    assert_int_equal(k->ended, 0);
    fake_advance(&k->fake, 1); /* timer K */
    assert_int_equal(k->ended, 1);
    assert_int_equal(k->fake.sent_count, 1);
    assert_int_equal(k->timeouts, 0);
    assert_false(answer(k, 200));
}

/* RFC 3261 18.1.2: another sent-by than ours, host or port. */
static void test_anothers_via(void **state)
{
    static const char *const others[] = {"127.0.0.9:5060", "127.0.0.1:5069", "example.o:5060"};
    struct talk *k = *state;

    send_register(k);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct sip_fault fault;
        char *via;

        talk_response(k, fake_sent(&k->fake, 0), 200);
        via = strstr(k->text, "127.0.0.1:5060;branch");
        assert_non_null(via);
        memcpy(via, others[i], strlen(others[i]));
        assert_int_equal(sip_parse(span_of(k->text), &k->m, &fault), SIP_PARSED);
        assert_false(client_receive(&k->t, &k->m, &k->peer));
    }
    assert_true(answer(k, 200));
    fake_advance(&k->fake, 5000);
}

static void moved_address(void *world, const struct flow *to, struct address *out)
{
    (void)world;
    (void)to;
    address_parse(SPAN("127.0.0.2:5060"), 0, out);
}

/* The route to the peer changes while it thinks: what was written is what counts. */
static void test_the_route_changes(void **state)
{
    struct talk *k = *state;

    send_register(k);
    k->fake.ports.local_address = moved_address;
    assert_true(answer(k, 200));
    assert_int_equal(k->responses, 1);
    fake_advance(&k->fake, 5000);
}

/* After a provisional it is sent again every T2, and F still ends it. */
static void test_proceeding(void **state)
{
    struct talk *k = *state;
    uint64_t start = k->fake.rt.now_ms;

    send_register(k);
    fake_advance(&k->fake, 100);
    assert_true(answer(k, 100));
    assert_int_equal(k->responses, 1);
    fake_advance(&k->fake, 31899);
    assert_int_equal(fake_sent(&k->fake, 1)->at_ms - start, 500);
    assert_int_equal(fake_sent(&k->fake, 2)->at_ms - start, 4500);
    assert_int_equal(fake_sent(&k->fake, 3)->at_ms - start, 8500);
    assert_int_equal(k->timeouts, 0);
    fake_advance(&k->fake, 1);
    assert_int_equal(k->timeouts, 1);
}

static void test_reliable(void **state)
{
    struct talk *k = *state;

    k->peer.transport = TRANSPORT_WSS;
    send_register(k);
    fake_advance(&k->fake, 20000);
    assert_int_equal(k->fake.sent_count, 1);
    assert_true(answer(k, 200));
    fake_advance(&k->fake, 1); /* timer K is zero */
    assert_int_equal(k->ended, 1);
}

static void test_cancel_means_nothing(void **state)
{
    struct talk *k = *state;
    struct client_tx *tx = send_register(k);

    answer(k, 100);
    client_cancel(tx, SPAN_NONE);
    assert_int_equal(k->fake.sent_count, 1);
    assert_true(answer(k, 200));
}

static void test_forgotten(void **state)
{
    struct talk *k = *state;

    client_forget(send_register(k));
    answer(k, 100);
    fake_advance(&k->fake, 32000);
    assert_int_equal(k->timeouts + k->ended + k->responses, 0);
    assert_int_equal(k->t.clients.used, 0);
}

static void test_no_two_branches(void **state)
{
    struct talk *k = *state;
    struct client_tx *tx = client_begin(&k->t, SIP_OPTIONS, &k->peer, 7, NULL, NULL, 0);
    char first[CLIENT_BRANCH_SIZE];
    uint32_t loop;

    memcpy(first, tx->branch, sizeof first);
    assert_true(client_branch_loop(span_of(first), &loop));
    assert_int_equal(loop, 7);
    client_abandon(tx);
    tx = client_begin(&k->t, SIP_OPTIONS, &k->peer, 7, NULL, NULL, 0);
    assert_string_not_equal(first, tx->branch);
    client_abandon(tx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TALK(test_unanswered),           IN_TALK(test_answered),
        IN_TALK(test_proceeding),           IN_TALK(test_reliable),
        IN_TALK(test_cancel_means_nothing), IN_TALK(test_forgotten),
        IN_TALK(test_no_two_branches),      IN_TALK(test_anothers_via),
        IN_TALK(test_the_route_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

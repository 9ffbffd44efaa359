/* Client transactions find the connection that they were sent over, and it them; a
 * connection knows whether one of its requests waits for its answer. */
#include "talk.h"
#include "transaction/machine.h"

#include <stdio.h>

#define MANY 6

static struct client_tx *begin(struct talk *k, uint32_t connection)
{
    struct flow to = k->peer;
    char via[256];
    struct buf out = buf_make(via, sizeof via - 1);

    to.transport = connection ? TRANSPORT_TCP : TRANSPORT_UDP;
    to.connection = connection;
    struct client_tx *tx = client_begin(&k->t, SIP_OPTIONS, &to, 0, &talk_client_user, k, 0);
    assert_non_null(tx);
    client_put_via(&out, tx);
    via[out.n] = 0;
    talk_request(k, "OPTIONS", via, "<sip:alice@example.com>", "");
    return tx;
}

static struct client_tx *start(struct talk *k, uint32_t connection)
{
    struct client_tx *tx = begin(k, connection);

    assert_true(client_send(tx, k->m.raw));
    return tx;
}

static struct flow flow_of(const struct talk *k, uint32_t connection)
{
    struct flow flow = k->peer;

    flow.transport = TRANSPORT_TCP;
    flow.connection = connection;
    return flow;
}

/* How many it knows; checks that both directions agree. */
static unsigned count(const struct talk *k, uint32_t connection)
{
    struct flow flow = flow_of(k, connection);
    const struct client_tx *first = connection_first(&k->t, &flow);
    const struct client_tx *last = first;
    unsigned n = 0;

    for (const struct client_tx *tx = first; tx; tx = tx->next) {
        assert_ptr_equal(tx == first ? first->prev->next : tx->prev->next, tx == first ? NULL : tx);
        last = tx;
        n++;
    }
    if (first)
        assert_ptr_equal(first->prev, last);
    return n;
}

/* Ends it by its answer: over a stream timer K is zero. */
static void answer(struct talk *k, size_t sent)
{
    assert_true(client_receive(&k->t, talk_response(k, fake_sent(&k->fake, sent), 200), &k->peer));
    fake_advance(&k->fake, 1);
}

static void test_only_its_own(void **state)
{
    struct talk *k = *state;
    struct flow closed = flow_of(k, 7);

    for (uint32_t i = 0; i < MANY; i++)
        start(k, 7 + i % 2);
    start(k, 0);
    assert_int_equal(count(k, 7), MANY / 2);
    assert_int_equal(count(k, 8), MANY / 2);
    assert_int_equal(k->t.connections.used, 2); /* datagrams are in no list */
    client_flow_closed(&k->t, &closed);
    assert_int_equal(k->timeouts, 0); /* never within the call */
    fake_advance(&k->fake, 1);
    assert_int_equal(k->timeouts, MANY / 2);
    assert_int_equal(count(k, 7), 0);
    assert_int_equal(count(k, 8), MANY / 2);
    client_flow_closed(&k->t, &closed); /* nobody is left */
    fake_advance(&k->fake, 1);
    assert_int_equal(k->timeouts, MANY / 2);
}

/* The first, the last, one between, in turn until none is left. */
static void test_leaving(void **state)
{
    static const size_t order[MANY] = {0, 5, 2, 1, 4, 3};
    struct talk *k = *state;

    for (unsigned i = 0; i < MANY; i++)
        start(k, 7);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(count(k, 7), MANY - i);
        answer(k, order[i]);
        assert_int_equal(k->ended, (int)i + 1);
    }
    assert_int_equal(k->t.connections.used, 0);
    start(k, 7);
    assert_int_equal(count(k, 7), 1);
}

static void test_first_leaves_then_closed(void **state)
{
    struct talk *k = *state;
    struct flow closed = flow_of(k, 7);

    start(k, 7);
    start(k, 7);
    start(k, 7);
    answer(k, 0);
    client_flow_closed(&k->t, &closed);
    fake_advance(&k->fake, 1);
    assert_int_equal(k->timeouts, 2);
    assert_int_equal(k->t.connections.used, 0);
}

/* A datagram's "connection" is 0: no stream's closing is its business. */
static void test_datagrams(void **state)
{
    struct talk *k = *state;

    start(k, 0);
    client_flow_closed(&k->t, &k->peer);
    fake_advance(&k->fake, 400);
    assert_int_equal(k->timeouts, 0);
    assert_int_equal(k->t.connections.used, 0);
}

static void test_never_sent(void **state)
{
    struct talk *k = *state;

    start(k, 7);
    client_abandon(begin(k, 7));
    assert_int_equal(count(k, 7), 1);
}

/* ---- what is owed -------------------------------------------------------------------- */

/* A request over connection 7. */
static struct server_tx *owe(struct talk *k, const char *method, const char *branch)
{
    struct flow from = flow_of(k, 7);
    char via[128];

    snprintf(via, sizeof via, "SIP/2.0/TCP 10.0.0.1:5060;branch=z9hG4bK%s", branch);
    talk_request(k, method, via, "<sip:alice@example.com>", "");
    struct server_tx *tx = server_begin(&k->t, &k->m, &from, &talk_server_user, k);
    assert_non_null(tx);
    return tx;
}

static bool closed(const struct talk *k)
{
    for (unsigned i = 0; i < k->fake.dead_count; i++)
        if (k->fake.dead[i] == 7)
            return true;
    return false;
}

static void test_owed_until_the_final_answer(void **state)
{
    struct talk *k = *state;
    struct flow flow = flow_of(k, 7), other = flow_of(k, 8);

    assert_false(server_owes(&k->t, &flow));
    struct server_tx *one = owe(k, "INVITE", "one");
    struct server_tx *two = owe(k, "OPTIONS", "two");
    assert_true(server_owes(&k->t, &flow));
    assert_false(server_owes(&k->t, &other));
    server_reply(two, 200, NULL, SPAN_NONE);
    server_reply(one, 180, NULL, SPAN_NONE);
    assert_true(server_owes(&k->t, &flow));
    server_reply(one, 200, NULL, SPAN_NONE);
    assert_false(server_owes(&k->t, &flow));
    server_reply(one, 200, NULL, SPAN_NONE); /* RFC 6026: one more */
    assert_false(server_owes(&k->t, &flow));
    assert_false(closed(k)); /* its peer may go on */
    fake_advance(&k->fake, 40000);
}

/* The peer has ended its side: closed with the last answer, not before. */
static void test_closed_with_the_last_answer(void **state)
{
    struct talk *k = *state;
    struct server_tx *one = owe(k, "OPTIONS", "one");
    struct server_tx *two = owe(k, "OPTIONS", "two");

    k->fake.streams_dead = true;
    server_reply(one, 200, NULL, SPAN_NONE);
    assert_false(closed(k));
    server_reply(two, 486, NULL, SPAN_NONE);
    assert_true(closed(k));
    fake_advance(&k->fake, 40000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TALK(test_only_its_own),
        IN_TALK(test_leaving),
        IN_TALK(test_first_leaves_then_closed),
        IN_TALK(test_datagrams),
        IN_TALK(test_never_sent),
        IN_TALK(test_owed_until_the_final_answer),
        IN_TALK(test_closed_with_the_last_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The INVITE client transaction: RFC 3261 17.1.1, 9.1, RFC 6026 7.2. */
#include "talk.h"

#include <stdio.h>
#include <stdlib.h>

#include <stdio.h>
#include <stdlib.h>

static struct client_tx *invite_with(struct talk *k, const char *lines)
{
    struct client_tx *tx = client_begin(&k->t, SIP_INVITE, &k->peer, 0, &talk_client_user, k, 42);
    char via[256];
    struct buf out = buf_make(via, sizeof via - 1);

    assert_non_null(tx);
    assert_int_equal(tx->state, CLIENT_UNSENT);
    client_put_via(&out, tx);
    via[out.n] = 0;
    talk_request(k, "INVITE", via, "<sip:bob@example.com>", lines);
    assert_true(client_send(tx, k->m.raw));
    return tx;
}

static struct client_tx *invite(struct talk *k)
{
    return invite_with(k, "");
}

static bool answer(struct talk *k, int status)
{
    struct flow elsewhere = fake_flow("10.66.66.66:6666"); /* the branch proves it */

    return client_receive(&k->t, talk_response(k, fake_sent(&k->fake, 0), status), &elsewhere);
}

/* The fields of the datagram, one by one, as the INVITE's. */
static void assert_same_field(const struct talk *k, const struct fake_datagram *d, const char *name)
{
    char value[512];

    snprintf(value, sizeof value, "%s", fake_field(fake_sent(&k->fake, 0)->text, name));
    assert_string_equal(fake_field(d->text, name), value);
}

static void test_via(void **state)
{
    struct talk *k = *state;
    struct client_tx *tx = invite(k);
    char via[256];

    snprintf(via, sizeof via, "SIP/2.0/UDP 127.0.0.1:5060;branch=%s", tx->branch);
    assert_string_equal(fake_field(fake_sent(&k->fake, 0)->text, "Via"), via);
    assert_true(flow_equal(&fake_sent(&k->fake, 0)->to, &k->peer));
    assert_int_equal(tx->owner, 42);
}

/* Timer A doubles without bound, B ends it. */
static void test_unanswered(void **state)
{
    static const uint64_t when[] = {0, 500, 1500, 3500, 7500, 15500, 31500};
    struct talk *k = *state;
    struct handle h = invite(k)->handle;
    uint64_t start = k->fake.rt.now_ms;

    fake_advance(&k->fake, 31999);
    assert_int_equal(k->fake.sent_count, 7);
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(fake_sent(&k->fake, i)->at_ms - start, when[i]);
        assert_string_equal(fake_sent(&k->fake, i)->text, fake_sent(&k->fake, 0)->text);
    }
    assert_int_equal(k->timeouts, 0);
    fake_advance(&k->fake, 1);
    assert_int_equal(k->timeouts, 1);
    assert_int_equal(k->ended, 1);
    assert_null(client_get(&k->t, h));
    assert_false(answer(k, 200)); /* stray now */
}

/* Ringing is bounded by the user's timer C, not here. */
static void test_rings(void **state)
{
    struct talk *k = *state;
    struct client_tx *tx = invite(k);

    assert_true(answer(k, 180));
    assert_int_equal(tx->state, CLIENT_PROCEEDING);
    fake_advance(&k->fake, 600000);
    assert_int_equal(k->fake.sent_count, 1);
    assert_int_equal(k->timeouts, 0);
    assert_true(answer(k, 183));
    assert_int_equal(k->responses, 2);
    assert_true(answer(k, 486));
    assert_int_equal(k->last_status, 486);
}

static void test_failure_is_acknowledged(void **state)
{
    struct talk *k = *state;
    struct client_tx *tx = invite_with(k, "Route: <sip:10.0.0.9;lr>\n");
    const struct fake_datagram *ack;

    assert_true(answer(k, 486));
    assert_int_equal(tx->state, CLIENT_COMPLETED);
    assert_null(tx->sent.p);
    assert_int_equal(k->fake.sent_count, 2);
    ack = fake_last(&k->fake);
    assert_true(talk_starts(ack, "ACK sip:bob@example.com SIP/2.0\r\n"));
    assert_string_equal(fake_field(ack->text, "CSeq"), "1 ACK");
    assert_string_equal(fake_field(ack->text, "To"), "<sip:bob@example.com>;tag=t");
    assert_same_field(k, ack, "Via");
    assert_same_field(k, ack, "From");
    assert_same_field(k, ack, "Call-ID");
    assert_same_field(k, ack, "Route");
    assert_true(answer(k, 486)); /* its copy: ACK again, not passed up */
    assert_int_equal(k->fake.sent_count, 3);
    assert_string_equal(fake_sent(&k->fake, 1)->text, fake_sent(&k->fake, 2)->text);
    assert_true(answer(k, 200)); /* nonsense after a final answer */
    assert_true(answer(k, 180));
    assert_int_equal(k->responses, 1);
    assert_int_equal(k->fake.sent_count, 3);
    fake_advance(&k->fake, 31999);
    assert_int_equal(k->ended, 0);
    fake_advance(&k->fake, 1); /* timer D */
    assert_int_equal(k->ended, 1);
    assert_int_equal(k->timeouts, 0);
}

static void test_every_2xx_passes(void **state)
{
    struct talk *k = *state;
    struct client_tx *tx = invite(k);

    assert_true(answer(k, 200));
    assert_int_equal(tx->state, CLIENT_ACCEPTED);
    fake_advance(&k->fake, 20000);
    assert_true(answer(k, 200));
    assert_int_equal(k->responses, 2);
    assert_true(answer(k, 486)); /* too late */
    assert_true(answer(k, 180));
    assert_int_equal(k->responses, 2);
    assert_int_equal(k->fake.sent_count, 1); /* no ACK of ours */
    fake_advance(&k->fake, 11999);
    assert_int_equal(k->ended, 0);
    fake_advance(&k->fake, 1); /* timer M, from the first */
    assert_int_equal(k->ended, 1);
    assert_int_equal(k->timeouts, 0);
}

static void test_reliable(void **state)
{
    struct talk *k = *state;

    k->peer.transport = TRANSPORT_TCP;
    invite(k);
    assert_non_null(strstr(fake_field(fake_sent(&k->fake, 0)->text, "Via"), "SIP/2.0/TCP "));
    fake_advance(&k->fake, 20000); /* no timer A */
    assert_int_equal(k->fake.sent_count, 1);
    assert_true(answer(k, 486));
    assert_int_equal(k->ended, 0);
    fake_advance(&k->fake, 1); /* timer D is zero */
    assert_int_equal(k->ended, 1);
}

static void test_reliable_times_out(void **state)
{
    struct talk *k = *state;

    k->peer.transport = TRANSPORT_TCP;
    invite(k);
    fake_advance(&k->fake, 32000);
    assert_int_equal(k->timeouts, 1);
}

/* RFC 3261 17.1.4: over a connection that is gone nothing will ever come. */
static void test_connection_closes(void **state)
{
    struct talk *k = *state;
    struct flow other;

    k->peer.transport = TRANSPORT_TCP;
    k->peer.connection = 7;
    other = k->peer;
    other.connection = 8;
    invite(k);
    assert_true(answer(k, 180));
    client_flow_closed(&k->t, &other);
    fake_advance(&k->fake, 1000);
    assert_int_equal(k->timeouts, 0);
    client_flow_closed(&k->t, &k->peer);
    assert_int_equal(k->timeouts, 0); /* never within the call */
    fake_advance(&k->fake, 1);
    assert_int_equal(k->timeouts, 1);
    assert_int_equal(k->ended, 1);
}

static void test_final_before_connection_closes(void **state)
{
    struct talk *k = *state;

    k->peer.transport = TRANSPORT_TCP;
    invite(k);
    assert_true(answer(k, 200));
    client_flow_closed(&k->t, &k->peer);
    fake_advance(&k->fake, 31999); /* Accepted stays: timer M is its own */
    assert_int_equal(k->ended, 0);
    fake_advance(&k->fake, 1);
    assert_int_equal(k->timeouts, 0);
}

static void test_dead_connection(void **state)
{
    struct talk *k = *state;

    k->peer.transport = TRANSPORT_TCP;
    k->fake.streams_dead = true;
    invite(k);
    fake_advance(&k->fake, 1);
    assert_int_equal(k->timeouts, 1);
}

static void test_foreign_branches(void **state)
{
    struct talk *k = *state;
    struct client_tx *tx = invite(k);
    struct fake_datagram forged = *fake_sent(&k->fake, 0);
    char *text = strdup(forged.text);

    assert_non_null(text);
    forged.text = text;
    /* The handle is right, one unpredictable bit is not. */
    strstr(text, tx->branch)[25] ^= 1;
    assert_false(client_receive(&k->t, talk_response(k, &forged, 200), &k->peer));
    memcpy(strstr(text, "branch="), "branch=z9hG4bKabcdef;x=", 23);
    assert_false(client_receive(&k->t, talk_response(k, &forged, 200), &k->peer));
    assert_int_equal(k->responses, 0);
    free(text);
}

static void test_method_is_part_of_the_match(void **state)
{
    struct talk *k = *state;
    struct sip_message m;

    invite(k);
    m = *talk_response(k, fake_sent(&k->fake, 0), 200);
    m.method = SIP_OPTIONS;
    assert_false(client_receive(&k->t, &m, &k->peer));
    m.method = SIP_CANCEL; /* none was sent */
    assert_false(client_receive(&k->t, &m, &k->peer));
    assert_int_equal(k->responses, 0);
}

/* ---- CANCEL ---------------------------------------------------------------- */

static void test_cancel_waits_for_provisional(void **state)
{
    struct talk *k = *state;
    struct client_tx *tx = invite(k);
    const struct fake_datagram *cancel;

    client_cancel(tx, SPAN("SIP;cause=200;text=\"Call completed elsewhere\""));
    assert_int_equal(k->fake.sent_count, 1);
    assert_true(answer(k, 100));
    assert_int_equal(k->fake.sent_count, 2);
    cancel = fake_last(&k->fake);
    assert_true(talk_starts(cancel, "CANCEL sip:bob@example.com SIP/2.0\r\n"));
    assert_same_field(k, cancel, "Via");
    assert_same_field(k, cancel, "From");
    assert_same_field(k, cancel, "To");
    assert_string_equal(fake_field(cancel->text, "CSeq"), "1 CANCEL");
    assert_string_equal(fake_field(cancel->text, "Reason"),
                        "SIP;cause=200;text=\"Call completed elsewhere\"");
    assert_true(flow_equal(&cancel->to, &k->peer));
    assert_true(answer(k, 180));
    client_cancel(tx, SPAN_NONE); /* once is enough */
    assert_int_equal(k->fake.sent_count, 2);
}

static void test_cancel_is_its_own_transaction(void **state)
{
    struct talk *k = *state;
    struct client_tx *tx = invite(k);
    struct fake_datagram cancel;

    answer(k, 180);
    client_cancel(tx, SPAN_NONE);
    assert_null(fake_field(fake_last(&k->fake)->text, "Reason"));
    fake_advance(&k->fake, 600); /* timer E */
    assert_int_equal(k->fake.sent_count, 3);
    assert_string_equal(fake_sent(&k->fake, 1)->text, fake_sent(&k->fake, 2)->text);
    cancel = *fake_sent(&k->fake, 1);
    assert_int_equal(k->t.clients.used, 2);
    /* Its 200 ends the CANCEL alone and is nobody's answer. */
    assert_true(client_receive(&k->t, talk_response(k, &cancel, 200), &k->peer));
    assert_int_equal(k->responses, 1);
    assert_int_equal(tx->state, CLIENT_PROCEEDING);
    fake_advance(&k->fake, 10000);
    assert_int_equal(k->fake.sent_count, 3);
    assert_int_equal(k->t.clients.used, 1);
    assert_true(answer(k, 487));
    assert_int_equal(k->last_status, 487);
    assert_true(talk_starts(fake_last(&k->fake), "ACK "));
}

static void test_cancel_without_final(void **state)
{
    struct talk *k = *state;

    answer(k, (invite(k), 180));
    fake_advance(&k->fake, 100000);
    client_cancel(client_get(&k->t, (struct handle){0, 1}), SPAN_NONE);
    fake_advance(&k->fake, 31999);
    assert_int_equal(k->timeouts, 0);
    fake_advance(&k->fake, 1);
    assert_int_equal(k->timeouts, 1);
    assert_int_equal(k->ended, 1);
    assert_int_equal(k->t.clients.used, 0);
}

static void test_cancel_crosses_2xx(void **state)
{
    struct talk *k = *state;
    struct client_tx *tx = invite(k);

    client_cancel(tx, SPAN_NONE);
    assert_true(answer(k, 200)); /* nothing left to cancel */
    assert_int_equal(k->fake.sent_count, 1);
    assert_int_equal(k->last_status, 200);
    client_cancel(tx, SPAN_NONE);
    assert_int_equal(k->fake.sent_count, 1);
}

static void test_cancel_sent_then_2xx(void **state)
{
    struct talk *k = *state;
    struct client_tx *tx = invite(k);

    answer(k, 180);
    client_cancel(tx, SPAN_NONE);
    assert_true(answer(k, 200)); /* the proxy sees it: it must be ended or passed */
    assert_int_equal(k->last_status, 200);
    fake_advance(&k->fake, 32000);
    assert_int_equal(k->timeouts, 0);
    assert_int_equal(k->ended, 1);
}

/* Without room for its transaction the CANCEL still leaves, once. */
static void test_cancel_without_room(void **state)
{
    struct talk *k = *state;
    struct client_tx *tx = invite(k);

    answer(k, 180);
    k->t.clients.max = 1;
    client_cancel(tx, SPAN_NONE);
    assert_true(talk_starts(fake_last(&k->fake), "CANCEL "));
    assert_int_equal(k->fake.rt.counters.value[COUNTER_OUT_OF_MEMORY], 1);
    fake_advance(&k->fake, 32000);
    assert_int_equal(k->timeouts, 1);
}

/* ---- users that leave ------------------------------------------------------- */

static void test_forgotten(void **state)
{
    struct talk *k = *state;
    struct client_tx *tx = invite(k);

    answer(k, 180);
    client_cancel(tx, SPAN_NONE);
    client_forget(tx);
    assert_true(answer(k, 487));
    assert_true(talk_starts(fake_last(&k->fake), "ACK "));
    fake_advance(&k->fake, 32000);
    assert_int_equal(k->responses, 1);
    assert_int_equal(k->ended, 0);
    assert_int_equal(k->t.clients.used, 0);
}

static void test_forgotten_rings_not_forever(void **state)
{
    struct talk *k = *state;
    struct client_tx *tx = invite(k);

    answer(k, 180);
    client_forget(tx);
    fake_advance(&k->fake, 180999);
    assert_true(answer(k, 180));
    assert_int_equal(k->t.clients.used, 1);
    fake_advance(&k->fake, 1);
    assert_int_equal(k->t.clients.used, 0);
    assert_int_equal(k->timeouts + k->ended, 0);
}

static void test_forgotten_before_it_rings(void **state)
{
    struct talk *k = *state;

    client_forget(invite(k));
    answer(k, 180);
    fake_advance(&k->fake, 181000);
    assert_int_equal(k->t.clients.used, 0);
}

/* ---- bounds ----------------------------------------------------------------- */

static void test_abandon(void **state)
{
    struct talk *k = *state;
    struct client_tx *tx = client_begin(&k->t, SIP_INVITE, &k->peer, 0, &talk_client_user, k, 0);

    client_abandon(tx);
    assert_int_equal(k->t.clients.used, 0);
    assert_int_equal(k->ended, 0);
}

static void test_refused_requests(void **state)
{
    static char huge[DATAGRAM_MAX + 1];
    struct talk *k = *state;

    assert_false(client_send(client_begin(&k->t, SIP_INVITE, &k->peer, 0, NULL, NULL, 0),
                             SPAN("INVITE nonsense")));
    assert_false(client_send(client_begin(&k->t, SIP_OPTIONS, &k->peer, 0, NULL, NULL, 0),
                             span_make(huge, sizeof huge)));
    assert_int_equal(k->t.clients.used, 0);
    assert_int_equal(k->fake.sent_count, 0);
    k->t.clients.max = 0;
    assert_null(client_begin(&k->t, SIP_INVITE, &k->peer, 0, NULL, NULL, 0));
}

static void test_shutdown(void **state)
{
    struct talk *k = *state;
    struct client_tx *tx = invite(k);

    answer(k, 180);
    client_cancel(tx, SPAN("SIP;cause=200"));
    transactions_fini(&k->t);
    assert_int_equal(k->fake.rt.wheel.armed, 0);
    assert_true(transactions_init(&k->t, &k->fake.rt));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TALK(test_via),
        IN_TALK(test_unanswered),
        IN_TALK(test_rings),
        IN_TALK(test_failure_is_acknowledged),
        IN_TALK(test_every_2xx_passes),
        IN_TALK(test_reliable),
        IN_TALK(test_reliable_times_out),
        IN_TALK(test_connection_closes),
        IN_TALK(test_final_before_connection_closes),
        IN_TALK(test_dead_connection),
        IN_TALK(test_foreign_branches),
        IN_TALK(test_method_is_part_of_the_match),
        IN_TALK(test_cancel_waits_for_provisional),
        IN_TALK(test_cancel_is_its_own_transaction),
        IN_TALK(test_cancel_without_final),
        IN_TALK(test_cancel_crosses_2xx),
        IN_TALK(test_cancel_sent_then_2xx),
        IN_TALK(test_cancel_without_room),
        IN_TALK(test_forgotten),
        IN_TALK(test_forgotten_rings_not_forever),
        IN_TALK(test_forgotten_before_it_rings),
        IN_TALK(test_abandon),
        IN_TALK(test_refused_requests),
        IN_TALK(test_shutdown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Which server transaction a request belongs to: RFC 3261 17.2.3, both ways. */
#include "talk.h"

#include <stdio.h>

#include <stdio.h>
#include <stdlib.h>

#define NEW "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKone"
#define OLD "SIP/2.0/UDP 10.0.0.1:5060;branch=7"
#define TO  "<sip:bob@example.com>"

static struct server_tx *begin(struct talk *k, const char *via, const char *to)
{
    const struct sip_message *m = talk_request(k, "INVITE", via, to, "");
    struct server_tx *tx = server_begin(&k->t, m, &k->peer, &talk_server_user, k);

    assert_non_null(tx);
    return tx;
}

static bool hits(struct talk *k, const char *method, const char *via, const char *to)
{
    return server_receive(&k->t, talk_request(k, method, via, to, ""), &k->peer);
}

static void test_cookie(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = begin(k, NEW, TO);

    assert_true(hits(k, "INVITE", NEW, TO));
    /* Branch, sent-by and method decide, nothing else does. */
    assert_true(hits(k, "INVITE", NEW, "<sip:else@example.com>"));
    assert_true(hits(k, "INVITE", "SIP/2.0/UDP 10.0.0.1:5060;x=y;branch=z9hG4bKone", TO));
    assert_false(hits(k, "INVITE", "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKtwo", TO));
    assert_false(hits(k, "INVITE", "SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKone", TO));
    assert_false(hits(k, "INVITE", "SIP/2.0/UDP 10.0.0.1:5061;branch=z9hG4bKone", TO));
    assert_false(hits(k, "INVITE", "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKONE", TO));
    assert_false(hits(k, "OPTIONS", NEW, TO));
    assert_false(hits(k, "FANCY", NEW, TO));
    assert_true(hits(k, "CANCEL", NEW, TO));
    assert_int_equal(k->cancelled, 1);
    server_reply(tx, 486, NULL, SPAN_NONE);
    assert_true(hits(k, "ACK", NEW, TO));
}

/* Phones that use one branch for all their requests: Call-ID and the CSeq number
 * tell them apart. */
static void test_one_branch_for_all(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = begin(k, NEW, TO);
    char *at;

    talk_request(k, "INVITE", NEW, TO, "");
    at = strstr(k->text, "CSeq: 1 ");
    at[6] = '2';
    assert_false(server_receive(&k->t, &k->m, &k->peer));
    at[6] = '1';
    assert_true(server_receive(&k->t, &k->m, &k->peer));
    at = strstr(k->text, "Call-ID: call");
    at[9] = 'b';
    assert_false(server_receive(&k->t, &k->m, &k->peer));
    server_reply(tx, 486, NULL, SPAN_NONE);
}

/* A phone behind NAT whose port has changed meanwhile. */
static void test_source_does_not_matter(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = begin(k, NEW, TO);
    struct flow other = fake_flow("10.0.0.1:6666");
    const struct sip_message *m = talk_request(k, "INVITE", NEW, TO, "");

    assert_true(server_receive(&k->t, m, &other));
    server_reply(tx, 486, NULL, SPAN_NONE);
}

static void test_2543(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = begin(k, OLD, TO);

    assert_true(hits(k, "INVITE", OLD, TO));
    assert_false(hits(k, "INVITE", "SIP/2.0/UDP 10.0.0.1:5060;branch=8", TO));
    assert_false(hits(k, "INVITE", "SIP/2.0/UDP 10.0.0.1:5060", TO));
    assert_false(hits(k, "INVITE", OLD, TO ";tag=other"));
    assert_false(hits(k, "OPTIONS", OLD, TO));
    assert_true(hits(k, "CANCEL", OLD, TO));
    assert_int_equal(k->cancelled, 1);
    server_reply(tx, 486, NULL, SPAN_NONE);
}

/* The ACK bears the tag of the answer, not of the INVITE. */
static void test_2543_ack(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = begin(k, OLD, TO);
    char to[128];

    server_reply(tx, 486, NULL, SPAN_NONE);
    assert_false(hits(k, "ACK", OLD, TO ";tag=other"));
    assert_int_equal(tx->state, SERVER_COMPLETED);
    snprintf(to, sizeof to, "%s", fake_field(fake_last(&k->fake)->text, "To"));
    assert_true(hits(k, "ACK", OLD, to));
    assert_int_equal(tx->state, SERVER_CONFIRMED);
}

/* Without a branch at all: Call-ID, CSeq and the rest tell them apart. */
static void test_2543_no_branch(void **state)
{
    struct talk *k = *state;
    struct server_tx *tx = begin(k, "SIP/2.0/UDP 10.0.0.1", TO);
    struct sip_message m;

    assert_true(hits(k, "INVITE", "SIP/2.0/UDP 10.0.0.1", TO));
    m = *talk_request(k, "INVITE", "SIP/2.0/UDP 10.0.0.1", TO, "");
    m.ruri = SPAN("sip:carol@example.com");
    assert_false(server_receive(&k->t, &m, &k->peer));
    server_reply(tx, 486, NULL, SPAN_NONE);
}

static void test_bad_via(void **state)
{
    struct talk *k = *state;
    const struct sip_message *m;

    server_reply(begin(k, NEW, TO), 486, NULL, SPAN_NONE);
    m = talk_request(k, "INVITE", "what is this", TO, "");
    assert_false(server_receive(&k->t, m, &k->peer));
    assert_null(server_begin(&k->t, m, &k->peer, NULL, NULL));
    fake_clear(&k->fake);
    server_reject(&k->fake.rt, m, &k->peer, 400, NULL, SPAN_NONE);
    assert_int_equal(k->fake.sent_count, 0); /* nobody knows where to */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_TALK(test_cookie),
        IN_TALK(test_one_branch_for_all),
        IN_TALK(test_source_does_not_matter),
        IN_TALK(test_2543),
        IN_TALK(test_2543_ack),
        IN_TALK(test_2543_no_branch),
        IN_TALK(test_bad_via),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

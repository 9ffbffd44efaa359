/*
 * proxy: phones over connections: who can be called, what leaves by which
 * transport, and what a connection that closes means.
 */
#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TO_TAG    "To: <sip:callee@example.com>;tag=other\n"
#define PHONE_URI "sip:line@10.1.0.1:5060;ob"
#define TARGET    "sip:mod@10.0.0.5:5080"

/* AL_1 over a connection, as AL with this q; the binding. */
static uint32_t tcp_phone(struct stage *s, unsigned q)
{
    stage_connect(s, AL_1, 7);
    return stage_phone(s, AL, AL_1, q);
}

/* ---- who can be called ------------------------------------------------------ */

static void an_unreachable_phone_is_not_called(void **state)
{
    struct stage *s = *state;
    uint32_t id = tcp_phone(s, 1000);

    stage_phone(s, AL, AL_2, 1000);
    stage_binding(s, AL, id)->flags |= BINDING_UNREACHABLE;
    stage_call(s);
    stage_none(s, AL_1, "INVITE");
    stage_answer(s, stage_take(s, AL_2, "INVITE"), 486, "");
    stage_take(s, PBX, "SIP/2.0 486");
    assert_int_equal(stage_count(s, COUNTER_BRANCHES), 1);
}

/* The connection is dead, the registrar has not heard yet. */
static void a_phone_without_connection_is_not_called(void **state)
{
    struct stage *s = *state;

    tcp_phone(s, 1000);
    stage_phone(s, AL, AL_2, 500);
    fake_kill(&s->fake, 7);
    stage_call(s);
    stage_none(s, AL_1, "INVITE");
    stage_take(s, AL_2, "INVITE"); /* at once, whatever its q */
    assert_int_equal(s->fake.rt.now_ms, 1000000);
}

static void if_none_can_be_reached_it_is_480(void **state)
{
    struct stage *s = *state;
    uint32_t id = tcp_phone(s, 1000);

    stage_binding(s, AL, id)->flags |= BINDING_UNREACHABLE;
    stage_call(s);
    stage_take(s, PBX, "SIP/2.0 100");
    stage_take(s, PBX, "SIP/2.0 480");
    /* It still counts as registered: flow-grace. */
    stage_request(s, PBX, "OPTIONS", stage_contact(s, AL), "");
    stage_take(s, PBX, "SIP/2.0 200");
}

/* ---- a connection that closes ------------------------------------------------ */

static void a_close_while_it_rings_starts_the_next_group(void **state)
{
    struct stage *s = *state;

    tcp_phone(s, 1000);
    stage_phone(s, AL, AL_2, 500);
    stage_call(s);
    stage_answer(s, stage_take(s, AL_1, "INVITE"), 180, "");
    stage_none(s, AL_2, "INVITE");
    stage_close(s, AL_1);
    stage_answer(s, stage_take(s, AL_2, "INVITE"), 200, "");
    stage_take(s, PBX, "SIP/2.0 180");
    stage_take(s, PBX, "SIP/2.0 200");
    stage_none(s, PBX, "SIP/2.0 4");
}

static void a_close_leaves_the_others_ringing(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *other;

    tcp_phone(s, 1000);
    stage_phone(s, AL, AL_2, 1000);
    stage_call(s);
    other = stage_take(s, AL_2, "INVITE");
    stage_answer(s, other, 180, "");
    stage_close(s, AL_1);
    stage_none(s, PBX, "SIP/2.0 4");
    stage_answer(s, other, 486, "");
    stage_take(s, PBX, "SIP/2.0 486");
}

/* RFC 5626 7: 430 is between us and the phone's side. */
static void a_close_of_the_only_phone_is_480_at_once(void **state)
{
    static const char *const methods[] = {"INVITE", "MESSAGE", "NOTIFY"};
    struct stage *s = *state;

    for (unsigned i = 0; i < 3; i++) {
        stage_connect(s, AL_1, 7 + i);
        uint32_t id = stage_phone(s, AL, AL_1, 1000);

        stage_request(s, PBX, methods[i], stage_contact(s, AL), "");
        stage_take(s, AL_1, methods[i]);
        stage_close(s, AL_1);
        stage_take(s, PBX, "SIP/2.0 480");
        stage_leave(s, AL, id);
    }
    assert_true(s->fake.rt.now_ms < 1000010);
}

static void a_cancelled_call_whose_phone_closes_is_487(void **state)
{
    struct stage *s = *state;

    tcp_phone(s, 1000);
    stage_call(s);
    stage_answer(s, stage_take(s, AL_1, "INVITE"), 180, "");
    stage_cancel(s, PBX, stage_contact(s, AL), "");
    stage_take(s, AL_1, "CANCEL");
    stage_close(s, AL_1);
    stage_take(s, PBX, "SIP/2.0 487");
}

/* ---- transports mixed ---------------------------------------------------------- */

/* A call that AL_1 has answered over its connection; To-tag and Route. */
static char *dialog(struct stage *s)
{
    const struct fake_datagram *invite;
    char *fields;

    stage_call(s);
    invite = stage_take(s, AL_1, "INVITE");
    stage_answer(s, invite, 200, "Contact: <" PHONE_URI ">\n");
    stage_take(s, PBX, "SIP/2.0 100");
    stage_take(s, PBX, "SIP/2.0 200");
    assert_true(asprintf(&fields, "%s%s", TO_TAG, stage_routes(invite)) > 0);
    return fields;
}

static void a_call_over_both_transports(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *d;
    char *fields;

    tcp_phone(s, 1000);
    fields = dialog(s);
    /* The phone's side first, each with its transport: RFC 5658. */
    assert_non_null(strstr(fields, "@127.0.0.1:5060;transport=tcp;lr>, <sip:"));
    assert_non_null(strstr(fields, "@127.0.0.1:5060;lr>\n"));
    stage_request(s, PBX, "ACK", PHONE_URI, fields);
    d = stage_take(s, AL_1, "ACK");
    assert_int_equal(d->to.connection, 7);
    assert_non_null(strstr(d->text, "\r\nVia: SIP/2.0/TCP 127.0.0.1:5060;branch="));
    stage_request(s, AL_1, "INFO", TARGET, fields);
    d = stage_take(s, PBX, "INFO");
    assert_non_null(strstr(d->text, "\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch="));
    assert_false(stage_has(d, "Route"));
    stage_answer(s, d, 200, "");
    assert_int_equal(stage_take(s, AL_1, "SIP/2.0 200")->to.connection, 7);
    stage_request(s, PBX, "BYE", PHONE_URI, fields);
    d = stage_take(s, AL_1, "BYE");
    assert_int_equal(d->to.connection, 7);
    assert_false(stage_has(d, "Route"));
    stage_answer(s, d, 200, "");
    stage_take(s, PBX, "SIP/2.0 200");
    free(fields);
}

/* The caller's connection closes before the answer: RFC 3261 18.2.2. */
static void the_answer_takes_a_new_connection_where_the_old_one_is_gone(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *invite, *answer;

    tcp_phone(s, 1000);
    stage_request(s, AL_1, "INVITE", "sip:4711@example.com", "");
    assert_int_equal(stage_take(s, AL_1, "SIP/2.0 100")->to.connection, 7);
    invite = stage_take(s, PBX, "INVITE");
    stage_close(s, AL_1);
    stage_answer(s, invite, 200, "");
    answer = stage_take(s, AL_1, "SIP/2.0 200"); /* to sent-by's port */
    assert_int_equal(answer->to.connection, FAKE_STREAM + 1);
    assert_int_equal(answer->to.transport, TRANSPORT_TCP);
    fake_kill(&s->fake, FAKE_STREAM + 1); /* it was refused: no second attempt */
    stage_answer(s, invite, 200, "");
    assert_int_equal(s->fake.opened, 1);
}

/* To where it listens, not to where it happened to connect from. */
static void the_new_connection_goes_to_the_port_of_sent_by(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *invite;

    tcp_phone(s, 1000);
    stage_receive(s, AL_1,
                  "INVITE sip:4711@example.com SIP/2.0\n"
                  "Via: SIP/2.0/TCP 192.168.1.2:5077;branch=z9hG4bKone\n"
                  "Via: SIP/2.0/TCP 192.168.1.3:5088;branch=z9hG4bKtwo\n"
                  "From: <" AL ">;tag=1\nTo: <sip:4711@example.com>\nCall-ID: call\n"
                  "CSeq: 1 INVITE\nContent-Length: 0\n\n");
    invite = stage_take(s, PBX, "INVITE");
    stage_close(s, AL_1);
    stage_answer(s, invite, 486, "");
    stage_take(s, "10.1.0.1:5077", "SIP/2.0 486");
}

static void an_answer_that_cannot_be_delivered_is_lost(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *invite;

    tcp_phone(s, 1000);
    stage_request(s, AL_1, "INVITE", "sip:4711@example.com", "");
    invite = stage_take(s, PBX, "INVITE");
    s->fake.streams_refused = true;
    stage_close(s, AL_1);
    stage_answer(s, invite, 486, "");
    stage_take(s, PBX, "ACK");
}

/* ---- a dialog whose phone moves -------------------------------------------------- */

/* Where an INFO of the PBX goes; NULL: nowhere, it is 430. */
static void info_goes(struct stage *s, const char *fields, const char *peer)
{
    stage_request(s, PBX, "INFO", PHONE_URI, fields);
    if (peer) {
        stage_answer(s, stage_take(s, peer, "INFO"), 200, "");
        stage_take(s, PBX, "SIP/2.0 200");
    } else {
        stage_take(s, PBX, "SIP/2.0 430 Flow Failed");
    }
}

static void a_phone_that_lost_its_connection_is_430(void **state)
{
    struct stage *s = *state;
    uint32_t id = tcp_phone(s, 1000);
    char *fields = dialog(s);

    stage_close(s, AL_1);
    info_goes(s, fields, NULL);
    stage_binding(s, AL, id)->flags |= BINDING_UNREACHABLE;
    info_goes(s, fields, NULL);
    free(fields);
}

static void a_phone_that_reconnects_is_reached_again(void **state)
{
    struct stage *s = *state;
    uint32_t id = tcp_phone(s, 1000);
    char *fields = dialog(s);

    stage_close(s, AL_1);
    stage_connect(s, AL_1, 8);
    stage_move(s, AL, id, AL_1);
    info_goes(s, fields, AL_1);
    assert_int_equal(fake_last(&s->fake)->to.peer.port, 5080);
    free(fields);
}

/* WiFi to LTE: it registers with another contact, but with its own Call-ID. */
static void a_phone_that_registers_from_elsewhere_is_followed(void **state)
{
    struct stage *s = *state;
    char *fields;
    uint32_t id = tcp_phone(s, 1000);

    fields = dialog(s);
    stage_close(s, AL_1);
    stage_binding(s, AL, id)->flags |= BINDING_UNREACHABLE;
    stage_phone(s, AL, AL_2, 1000);
    info_goes(s, fields, AL_2);
    free(fields);
}

/* It came back as a new binding after the old one had left. */
static void the_same_contact_is_the_same_phone(void **state)
{
    struct stage *s = *state;
    uint32_t id = tcp_phone(s, 1000);
    char *fields = dialog(s);

    stage_phone(s, AL, AL_3, 1000); /* another one keeps the AOR alive */
    stage_leave(s, AL, id);
    stage_close(s, AL_1);
    info_goes(s, fields, NULL); /* a phone that left, but not AL_3 */
    stage_connect(s, AL_1, 8);
    stage_phone(s, AL, AL_1, 1000);
    info_goes(s, fields, AL_1);
    free(fields);
}

/* It had come by datagram, then connected: where it was first it is no more. */
static void a_phone_that_lost_its_new_connection_is_430(void **state)
{
    struct stage *s = *state;
    uint32_t id = stage_phone(s, AL, AL_1, 1000);
    char *fields = dialog(s);

    stage_connect(s, AL_2, 8);
    stage_move(s, AL, id, AL_2);
    info_goes(s, fields, AL_2);
    stage_close(s, AL_2);
    info_goes(s, fields, NULL);
    stage_none(s, AL_1, "INFO");
    free(fields);
}

/* What it is told of the way names the new place. */
static void after_a_move_the_route_leads_to_the_new_binding(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *invite;
    uint32_t id = tcp_phone(s, 1000);
    char *fields = dialog(s);

    stage_phone(s, AL, AL_2, 1000);
    stage_close(s, AL_1);
    stage_request(s, PBX, "INVITE", PHONE_URI, fields);
    invite = stage_take(s, AL_2, "INVITE");
    stage_answer(s, invite, 200, "");
    free(fields);
    assert_true(asprintf(&fields, "%s%s", TO_TAG, stage_routes(invite)) > 0);
    stage_leave(s, AL, id);
    s->fake.rt.boot_id++; /* so that the binding alone can tell */
    info_goes(s, fields, AL_2);
    free(fields);
}

static void another_phone_of_the_aor_is_never_taken(void **state)
{
    struct stage *s = *state;
    uint32_t id = tcp_phone(s, 1000);
    char *fields = dialog(s);
    struct aor *a = location_find(&s->location, location_hash(&s->location, SPAN(AL)));
    struct binding_spec other = {
        .uri = SPAN("sip:other@10.1.0.2:5060"),
        .call_id = SPAN("another registration"),
        .flow = fake_flow(AL_2),
        .expires_ms = s->fake.rt.now_ms + 3600000,
        .q = 1000,
        .flags = BINDING_FLOW_PROVED,
    };

    assert_non_null(location_bind(&s->location, &a, &other));
    stage_close(s, AL_1);
    stage_binding(s, AL, id)->flags |= BINDING_UNREACHABLE;
    info_goes(s, fields, NULL);
    stage_none(s, AL_2, "INFO");
    free(fields);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STAGE(an_unreachable_phone_is_not_called),
        IN_STAGE(a_phone_without_connection_is_not_called),
        IN_STAGE(if_none_can_be_reached_it_is_480),
        IN_STAGE(a_close_while_it_rings_starts_the_next_group),
        IN_STAGE(a_close_leaves_the_others_ringing),
        IN_STAGE(a_close_of_the_only_phone_is_480_at_once),
        IN_STAGE(a_cancelled_call_whose_phone_closes_is_487),
        IN_STAGE(a_call_over_both_transports),
        IN_STAGE(the_answer_takes_a_new_connection_where_the_old_one_is_gone),
        IN_STAGE(the_new_connection_goes_to_the_port_of_sent_by),
        IN_STAGE(an_answer_that_cannot_be_delivered_is_lost),
        IN_STAGE(a_phone_that_lost_its_connection_is_430),
        IN_STAGE(a_phone_that_reconnects_is_reached_again),
        IN_STAGE(a_phone_that_registers_from_elsewhere_is_followed),
        IN_STAGE(the_same_contact_is_the_same_phone),
        IN_STAGE(a_phone_that_lost_its_new_connection_is_430),
        IN_STAGE(after_a_move_the_route_leads_to_the_new_binding),
        IN_STAGE(another_phone_of_the_aor_is_never_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

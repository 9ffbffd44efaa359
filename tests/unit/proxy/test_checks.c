/*
 * proxy/proxy: what is judged before anything is sent on, RFC 3261 16.3.
 */
#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BO "sip:bo@example.com"

/* The request from the PBX and from a phone gets this answer and goes nowhere. */
static void is_refused(struct stage *s, const char *method, const char *ruri, const char *fields,
                       const char *answer)
{
    static const char *const peers[] = {PBX, AL_1};

    for (size_t i = 0; i < 2; i++) {
        print_message("%s %s %s", method, ruri, fields);
        stage_request(s, peers[i], method, ruri, fields);
        stage_take(s, peers[i], answer);
        stage_none(s, peers[i], "SIP/2.0");
        stage_none(s, peers[1 - i], method);
    }
    assert_int_equal(proxy_pending(s->proxy), 0);
}

static void malformed_requests_are_told_what_is_wrong(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    is_refused(s, "INVITE", "nosuchscheme:opaque", "", "SIP/2.0 416 ");
    is_refused(s, "INVITE", BO, "From: \"x <" AL ">;tag=1\n", "SIP/2.0 400 ");
    is_refused(s, "INVITE", BO, "To: <" BO ";tag=1\n", "SIP/2.0 400 ");
    is_refused(s, "FROBNICATE", BO, "From: <>\n", "SIP/2.0 400 ");
    assert_int_equal(stage_count(s, COUNTER_BAD_MESSAGE), 6); /* a 416 is well-formed */
}

static void max_forwards(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *d;

    stage_phone(s, AL, AL_1, 1000);
    is_refused(s, "INVITE", BO, "Max-Forwards: 0\n", "SIP/2.0 483 ");
    is_refused(s, "INVITE", stage_contact(s, AL), "Max-Forwards: 0\n", "SIP/2.0 483 ");
    stage_request(s, AL_1, "INVITE", BO, "Max-Forwards: 1\n");
    d = stage_take(s, PBX, "INVITE");
    assert_string_equal(stage_field(d, "Max-Forwards"), "0");
    stage_answer(s, d, 486, "");
    stage_receive(s, AL_1,
                  "INVITE " BO " SIP/2.0\n"
                  "Via: SIP/2.0/UDP " AL_1 ";branch=z9hG4bKnone\nFrom: <" AL ">;tag=f\n"
                  "To: <" BO ">\nCall-ID: none\nCSeq: 1 INVITE\n\n");
    d = stage_take(s, PBX, "INVITE");
    assert_string_equal(stage_field(d, "Max-Forwards"), "70");
    stage_answer(s, d, 486, "");
}

static void options_to_ourselves_are_answered(void **state)
{
    static const char *const us[] = {"sip:127.0.0.1:5060", "sip:127.0.0.1", "sip:example.com",
                                     "sip:EXAMPLE.com;transport=udp"};
    struct stage *s = *state;
    const struct fake_datagram *d;

    for (size_t i = 0; i < sizeof us / sizeof *us; i++) {
        stage_request(s, "10.7.7.7:5060", "OPTIONS", us[i], "Max-Forwards: 0\n");
        d = stage_take(s, "10.7.7.7:5060", "SIP/2.0 200 ");
        assert_non_null(strstr(stage_field(d, "Allow"), "REGISTER"));
        stage_field(d, "Accept");
        stage_field(d, "Supported");
    }
    stage_request(s, "10.7.7.7:5060", "OPTIONS", "sip:127.0.0.1:5061", "");
    stage_take(s, "10.7.7.7:5060", "SIP/2.0 403 ");
    stage_request(s, PBX, "OPTIONS", "sip:elsewhere.example", "");
    stage_take(s, PBX, "SIP/2.0 404 ");
}

/* RFC 3261 8.2.2.3: whoever answers must understand what is required. */
static void options_that_require_something_are_420(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    stage_request(s, "10.7.7.7:5060", "OPTIONS", "sip:127.0.0.1", "Require: one, two\n");
    assert_string_equal(stage_field(stage_take(s, "10.7.7.7:5060", "SIP/2.0 420 "), "Unsupported"),
                        "one, two");
    stage_request(s, PBX, "OPTIONS", stage_contact(s, AL), "Require: one\n");
    assert_string_equal(stage_field(stage_take(s, PBX, "SIP/2.0 420 "), "Unsupported"), "one");
}

static void proxy_require_is_420(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    stage_request(s, PBX, "INVITE", stage_contact(s, AL),
                  "Proxy-Require: one, two\nRequire: three\nProxy-Require: four\n");
    assert_string_equal(stage_field(stage_take(s, PBX, "SIP/2.0 420 "), "Unsupported"),
                        "one, two, four");
    stage_none(s, AL_1, "INVITE");
    stage_request(s, PBX, "MESSAGE", stage_contact(s, AL), "Require: three\n");
    stage_answer(s, stage_take(s, AL_1, "MESSAGE"), 420, "Unsupported: three\n");
    stage_take(s, PBX, "SIP/2.0 420 ");
}

/* What went to a phone comes back from the PBX, which added its Via. */
static void comes_back(struct stage *s, const struct fake_datagram *d, const char *ruri)
{
    char *text = calloc(1, d->n + 1);
    size_t n = 0;

    assert_non_null(text);
    for (const char *from = strstr(d->text, "\r\n") + 2; *from; from++)
        if (*from != '\r')
            text[n++] = *from;
    stage_receive_format(s, PBX,
                         "INVITE %s SIP/2.0\nVia: SIP/2.0/UDP " PBX ";branch=z9hG4bKback%u\n%s",
                         ruri, ++s->serial, text);
    free(text);
}

static void a_loop_is_482_a_spiral_is_not(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *d;

    stage_phone(s, AL, AL_1, 1000);
    stage_phone(s, BO, AL_2, 1000);
    stage_call(s);
    stage_take(s, PBX, "SIP/2.0 100 ");
    d = stage_take(s, AL_1, "INVITE");
    comes_back(s, d, stage_contact(s, AL));
    stage_take(s, PBX, "SIP/2.0 482 ");
    stage_none(s, AL_1, "INVITE");
    comes_back(s, d, stage_contact(s, BO)); /* RFC 5393 4.2: another Request-URI */
    stage_take(s, AL_2, "INVITE");
}

static void an_ack_is_never_answered(void **state)
{
    static const char *const fields[] = {"", "To: <" BO ">;tag=t\n", "Max-Forwards: 0\n",
                                         "Proxy-Require: x\n",
                                         "To: <" BO ">;tag=t\nRoute: <sip:aa@127.0.0.1;lr>\n"};
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        stage_request(s, PBX, "ACK", stage_contact(s, AL), fields[i]);
        stage_request(s, AL_1, "ACK", BO, fields[i]);
        stage_request(s, AL_1, "ACK", "foo:bar", fields[i]);
    }
    assert_int_equal(s->fake.sent_count, 0);
    assert_int_equal(stage_count(s, COUNTER_OUT_OF_MEMORY), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STAGE(malformed_requests_are_told_what_is_wrong),
        IN_STAGE(max_forwards),
        IN_STAGE(options_to_ourselves_are_answered),
        IN_STAGE(options_that_require_something_are_420),
        IN_STAGE(proxy_require_is_420),
        IN_STAGE(a_loop_is_482_a_spiral_is_not),
        IN_STAGE(an_ack_is_never_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

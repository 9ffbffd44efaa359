/*
 * proxy: requests that are too large for a datagram, RFC 3261 18.1.1.
 */
#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NUMBER "sip:4711@example.com"
#define TO_TAG "To: <sip:callee@example.com>;tag=other\n"

/* A field that makes any request a large one. */
static const char *bulk(void)
{
    static char room[2000];

    if (!room[0])
        snprintf(room, sizeof room, "X-Bulk: %01500d\n", 0);
    return room;
}

/* Bulk and more fields; valid until the next call. */
static const char *bulk_and(const char *fields)
{
    static char room[4096];

    snprintf(room, sizeof room, "%s%s", bulk(), fields);
    return room;
}

/* The phone AL_1, and a connection to the main registrar that is ready. */
static void connected(struct stage *s)
{
    stage_phone(s, AL, AL_1, 1000);
    stage_request(s, AL_1, "MESSAGE", NUMBER, bulk());
    stage_answer(s, stage_take(s, PBX, "OPTIONS"), 200, "");
    stage_answer(s, stage_take(s, PBX, "MESSAGE"), 200, "");
    stage_take(s, AL_1, "SIP/2.0 200");
}

/* The next request of this method to the main registrar: over what? */
static const struct fake_datagram *goes_by(struct stage *s, const char *method, const char *via)
{
    const struct fake_datagram *d = stage_take(s, PBX, method);
    char line[64];

    snprintf(line, sizeof line, "\r\nVia: %s 127.0.0.1:5060;branch=z9hG4bK", via);
    if (!strstr(d->text, line))
        fail_msg("not by %s:\n%s", via, d->text);
    assert_int_equal(d->to.transport, via[8] == 'T' ? TRANSPORT_TCP : TRANSPORT_UDP);
    return d;
}

#define BY_TCP "SIP/2.0/TCP"
#define BY_UDP "SIP/2.0/UDP"

static void the_first_large_call_does_not_wait(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    stage_request(s, AL_1, "INVITE", NUMBER, bulk());
    stage_answer(s, goes_by(s, "INVITE", BY_UDP), 486, "");
    goes_by(s, "OPTIONS", BY_TCP);
    stage_take(s, AL_1, "SIP/2.0 486");
}

static void a_large_call_leaves_by_the_connection(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *invite;
    char *fields;

    connected(s);
    stage_request(s, AL_1, "INVITE", NUMBER, bulk());
    invite = goes_by(s, "INVITE", BY_TCP);
    stage_none(s, PBX, "INVITE");
    stage_answer(s, invite, 180, "");
    stage_answer(s, invite, 200, "");
    stage_take(s, AL_1, "SIP/2.0 180");
    stage_take(s, AL_1, "SIP/2.0 200");
    /* What follows is measured by itself. */
    assert_true(asprintf(&fields, TO_TAG "%s", stage_routes(invite)) > 0);
    stage_request(s, AL_1, "ACK", "sip:mod@10.0.0.5:5080", fields);
    goes_by(s, "ACK", BY_UDP);
    stage_request(s, AL_1, "ACK", "sip:mod@10.0.0.5:5080", bulk_and(fields));
    goes_by(s, "ACK", BY_TCP);
    stage_request(s, AL_1, "INFO", "sip:mod@10.0.0.5:5080", bulk_and(fields));
    stage_answer(s, goes_by(s, "INFO", BY_TCP), 200, "");
    stage_take(s, AL_1, "SIP/2.0 200");
    free(fields);
}

static void a_large_call_is_cancelled_where_it_went(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *invite;

    connected(s);
    stage_request(s, AL_1, "INVITE", NUMBER, bulk());
    invite = goes_by(s, "INVITE", BY_TCP);
    stage_answer(s, invite, 180, "");
    stage_cancel(s, AL_1, NUMBER, "");
    goes_by(s, "CANCEL", BY_TCP);
    stage_answer(s, invite, 487, "");
    goes_by(s, "ACK", BY_TCP);
    stage_take(s, AL_1, "SIP/2.0 487");
}

static void the_main_registrar_may_speak_over_it(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *invite;
    char *fields;

    connected(s);
    stage_request(s, AL_1, "INVITE", NUMBER, bulk());
    invite = goes_by(s, "INVITE", BY_TCP);
    stage_answer(s, invite, 200, "");
    assert_true(asprintf(&fields, TO_TAG "%s", stage_routes(invite)) > 0);
    stage_connect(s, PBX, invite->to.connection);
    stage_request(s, PBX, "BYE", "sip:line@10.1.0.1:5060;ob", fields);
    stage_answer(s, stage_take(s, AL_1, "BYE"), 200, "");
    assert_int_equal(stage_take(s, PBX, "SIP/2.0 200")->to.connection, invite->to.connection);
    /* But a connection that somebody at its address opened to us is nobody's. */
    stage_connect(s, PBX, 9);
    stage_request(s, PBX, "INVITE", stage_contact(s, AL), "");
    stage_take(s, PBX, "SIP/2.0 403");
    stage_none(s, AL_1, "INVITE");
    free(fields);
}

/* The main registrar's host went away without a word: nothing came back. */
static void a_connection_that_breaks_under_the_request_sends_it_by_datagram(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *invite;

    connected(s);
    stage_request(s, AL_1, "INVITE", NUMBER, bulk());
    invite = goes_by(s, "INVITE", BY_TCP);
    stage_close_flow(s, &invite->to);
    invite = goes_by(s, "INVITE", BY_UDP);
    stage_answer(s, invite, 180, "");
    stage_answer(s, invite, 486, "");
    stage_take(s, AL_1, "SIP/2.0 180");
    stage_take(s, AL_1, "SIP/2.0 486");
    stage_none(s, AL_1, "SIP/2.0 4");
    stage_none(s, PBX, "INVITE");
}

/* It has rung: a copy would ring again, elsewhere perhaps. RFC 3261 16.9. */
static void a_connection_that_breaks_while_it_rings_is_500(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *invite;

    connected(s);
    stage_request(s, AL_1, "INVITE", NUMBER, bulk());
    invite = goes_by(s, "INVITE", BY_TCP);
    stage_answer(s, invite, 180, "");
    stage_close_flow(s, &invite->to);
    stage_take(s, AL_1, "SIP/2.0 500");
    stage_none(s, PBX, "INVITE");
}

static void a_cancelled_call_does_not_go_again(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *invite;

    connected(s);
    stage_request(s, AL_1, "INVITE", NUMBER, bulk());
    invite = goes_by(s, "INVITE", BY_TCP);
    stage_cancel(s, AL_1, NUMBER, "");
    stage_close_flow(s, &invite->to);
    stage_take(s, AL_1, "SIP/2.0 487");
    stage_none(s, PBX, "INVITE");
}

/* A phone takes everything over its flow. */
static void a_large_call_to_a_phone_stays_a_datagram(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *invite;

    stage_phone(s, AL, AL_1, 1000);
    stage_request(s, PBX, "INVITE", stage_contact(s, AL), bulk());
    invite = stage_take(s, AL_1, "INVITE");
    assert_int_equal(invite->to.transport, TRANSPORT_UDP);
    assert_true(invite->n > 1500);
    stage_answer(s, invite, 486, "");
    stage_take(s, PBX, "SIP/2.0 486");
    assert_int_equal(s->fake.opened, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STAGE(the_first_large_call_does_not_wait),
        IN_STAGE(a_large_call_leaves_by_the_connection),
        IN_STAGE(a_large_call_is_cancelled_where_it_went),
        IN_STAGE(the_main_registrar_may_speak_over_it),
        IN_STAGE(a_connection_that_breaks_under_the_request_sends_it_by_datagram),
        IN_STAGE(a_connection_that_breaks_while_it_rings_is_500),
        IN_STAGE(a_cancelled_call_does_not_go_again),
        IN_STAGE(a_large_call_to_a_phone_stays_a_datagram),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * proxy/dialog: requests within a dialog follow their flow token, and nothing else.
 */
#include "stage.h"

#include "proxy/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TO_TAG     "To: <sip:callee@example.com>;tag=other\n"
#define PHONE_URI  "sip:line@10.1.0.1:5060;ob"
#define TARGET     "sip:mod@10.0.0.5:5080"
#define NEW_PLACE  "10.9.9.9:40000"
#define STRANGER   "10.6.6.6:5060"
#define OTHER_CALL "Call-ID: another\n"

static uint32_t al_1; /* the binding */

/* A call of the PBX that AL_1 has answered; To-tag and Route for what follows. */
static char *dialog(struct stage *s)
{
    const struct fake_datagram *invite;
    char *fields;

    al_1 = stage_phone(s, AL, AL_1, 1000);
    stage_call(s);
    invite = stage_take(s, AL_1, "INVITE");
    stage_answer(s, invite, 200, "Contact: <" PHONE_URI ">\n");
    stage_take(s, PBX, "SIP/2.0 100");
    stage_take(s, PBX, "SIP/2.0 200");
    assert_true(asprintf(&fields, "%s%s", TO_TAG, stage_routes(invite)) > 0);
    return fields;
}

/* It is answered with this, or (NULL) not at all, and goes nowhere. */
static void ends_with(struct stage *s, const char *peer, const char *method, const char *fields,
                      const char *answer)
{
    stage_request(s, peer, method, strcmp(peer, PBX) ? TARGET : PHONE_URI, fields);
    if (answer)
        stage_take(s, peer, answer);
    stage_none(s, peer, "SIP/2.0");
    stage_none(s, PBX, method);
    stage_none(s, AL_1, method);
    stage_none(s, NEW_PLACE, method);
}

/* It arrives at the other side and is answered. */
static const struct fake_datagram *arrives(struct stage *s, const char *from, const char *method,
                                           const char *fields, const char *to)
{
    const char *ruri = strcmp(from, PBX) ? TARGET : PHONE_URI;
    const struct fake_datagram *d;
    char start[256];

    stage_request(s, from, method, ruri, fields);
    snprintf(start, sizeof start, "%s %s SIP/2.0\r\n", method, ruri);
    d = stage_take(s, to, start);
    if (strcmp(method, "INVITE") == 0)
        stage_take(s, from, "SIP/2.0 100 ");
    stage_answer(s, d, 200, "");
    if (strcmp(method, "ACK") != 0)
        stage_take(s, from, "SIP/2.0 200 ");
    return d;
}

static void requests_pass_both_ways(void **state)
{
    static const char *const methods[] = {"INVITE", "UPDATE", "INFO", "PRACK", "REFER", "BYE"};
    struct stage *s = *state;
    char *fields = dialog(s);

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        const struct fake_datagram *d = arrives(s, PBX, methods[i], fields, AL_1);

        assert_false(stage_has(d, "Route"));
        assert_string_equal(stage_field(d, "Max-Forwards"), "69");
        d = arrives(s, AL_1, methods[i], fields, PBX);
        assert_false(stage_has(d, "Route"));
    }
    assert_int_equal(stage_count(s, COUNTER_CALLS), 1);
    assert_int_equal(stage_count(s, COUNTER_BRANCHES), 1);
    assert_int_equal(stage_count(s, COUNTER_ANSWERED), 1);
    free(fields);
}

/* Also where the peer's contact is a domain that we serve: what it says of its
 * dialog is awaited, not what we say of ourselves. */
static void options_within_it_pass_too(void **state)
{
    struct stage *s = *state;
    char *fields = dialog(s);

    stage_request(s, PBX, "OPTIONS", "sip:example.com;line=x", fields);
    stage_answer(s, stage_take(s, AL_1, "OPTIONS sip:example.com;line=x "), 481, "");
    stage_take(s, PBX, "SIP/2.0 481 ");
    free(fields);
}

static void the_ack_of_a_2xx_passes_without_a_transaction(void **state)
{
    struct stage *s = *state;
    char *fields = dialog(s);
    const struct fake_datagram *one, *two;
    uint32_t before = s->transactions.clients.used;

    stage_request(s, PBX, "ACK", PHONE_URI, fields);
    s->serial--; /* again, with the same branch */
    stage_request(s, PBX, "ACK", PHONE_URI, fields);
    one = stage_take(s, AL_1, "ACK " PHONE_URI " SIP/2.0");
    two = stage_take(s, AL_1, "ACK " PHONE_URI " SIP/2.0");
    assert_string_equal(one->text, two->text); /* RFC 3261 16.11 */
    assert_false(stage_has(one, "Route"));
    assert_string_equal(stage_field(one, "Max-Forwards"), "69");
    assert_int_equal(s->transactions.clients.used, before);
    stage_request(s, AL_1, "ACK", TARGET, fields);
    stage_take(s, PBX, "ACK " TARGET " SIP/2.0");
    free(fields);
}

static void a_cancelled_re_invite_is_cancelled_at_the_other_side(void **state)
{
    struct stage *s = *state;
    char *fields = dialog(s);
    const struct fake_datagram *d;

    stage_request(s, AL_1, "INVITE", TARGET, fields);
    d = stage_take(s, PBX, "INVITE");
    stage_answer(s, d, 180, "");
    stage_cancel(s, AL_1, TARGET, fields);
    stage_take(s, PBX, "CANCEL");
    stage_answer(s, d, 487, "");
    stage_take(s, AL_1, "SIP/2.0 487");
    free(fields);
}

static void a_changed_token_is_403(void **state)
{
    struct stage *s = *state;
    char *fields = dialog(s);
    char *at = strstr(fields, "Route: <sip:");

    assert_non_null(at);
    at += sizeof "Route: <sip:" + 8; /* the first character is the kind's */
    *at = *at == 'b' ? 'c' : 'b';
    ends_with(s, PBX, "BYE", fields, "SIP/2.0 403 ");
    ends_with(s, AL_1, "BYE", fields, "SIP/2.0 403 ");
    ends_with(s, STRANGER, "BYE", fields, "SIP/2.0 403 ");
    ends_with(s, PBX, "ACK", fields, NULL);
    assert_true(stage_count(s, COUNTER_REQUEST_REFUSED) >= 3);
    ends_with(s, PBX, "BYE", TO_TAG "Route: <sip:al@127.0.0.1:5060;lr>\n", "SIP/2.0 403 ");
    free(fields);
}

static void a_token_of_another_call_is_403(void **state)
{
    struct stage *s = *state;
    char *fields = dialog(s);
    char *foreign;

    assert_true(asprintf(&foreign, "%s%s", OTHER_CALL, fields) > 0);
    ends_with(s, PBX, "BYE", foreign, "SIP/2.0 403 ");
    ends_with(s, AL_1, "INFO", foreign, "SIP/2.0 403 ");
    free(foreign);
    free(fields);
}

static void without_our_route_it_is_481(void **state)
{
    static const char *const fields[] = {TO_TAG, TO_TAG "Route: <sip:127.0.0.1:5060;lr>\n",
                                         TO_TAG "Route: <sip:elsewhere.example;lr>\n"};
    struct stage *s = *state;

    free(dialog(s));
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        ends_with(s, PBX, "BYE", fields[i], "SIP/2.0 481 ");
        ends_with(s, AL_1, "BYE", fields[i], "SIP/2.0 481 ");
        ends_with(s, AL_1, "INVITE", fields[i], "SIP/2.0 481 ");
        ends_with(s, PBX, "ACK", fields[i], NULL);
        stage_request(s, PBX, "INVITE", stage_contact(s, AL), fields[i]);
        stage_take(s, PBX, "SIP/2.0 481 ");
        stage_request(s, PBX, "ACK", stage_contact(s, AL), fields[i]);
        stage_none(s, AL_1, "ACK");
    }
}

static void without_a_to_tag_a_token_gives_no_right(void **state)
{
    struct stage *s = *state;
    char *fields = dialog(s);
    const char *route = strstr(fields, "Route:");

    stage_request(s, STRANGER, "INVITE", TARGET, route);
    stage_take(s, STRANGER, "SIP/2.0 403 ");
    stage_request(s, PBX, "INVITE", "sip:nobody@example.com", route);
    stage_take(s, PBX, "SIP/2.0 404 ");
    stage_none(s, AL_1, "INVITE");
    free(fields);
}

static void a_malformed_route_is_400(void **state)
{
    struct stage *s = *state;
    char *fields = dialog(s);
    char *bad;

    assert_true(asprintf(&bad, "%sRoute: <sip:x\n", fields) > 0);
    ends_with(s, PBX, "BYE", bad, "SIP/2.0 400 ");
    free(bad);
    assert_true(asprintf(&bad, "%sRoute: <sip:b;lr>, <no uri>\n", fields) > 0);
    ends_with(s, PBX, "BYE", bad, "SIP/2.0 400 ");
    free(bad);
    free(fields);
}

/* WiFi to LTE keeps the call. */
static void a_moved_phone_is_followed(void **state)
{
    struct stage *s = *state;
    char *fields = dialog(s);

    stage_move(s, AL, al_1, NEW_PLACE);
    arrives(s, PBX, "INFO", fields, NEW_PLACE);
    arrives(s, NEW_PLACE, "INFO", fields, PBX);
    s->fake.rt.boot_id++; /* also after a restart */
    arrives(s, PBX, "INVITE", fields, NEW_PLACE);
    arrives(s, NEW_PLACE, "BYE", fields, PBX);
    free(fields);
}

static void after_a_restart_the_binding_says_where(void **state)
{
    struct stage *s = *state;
    char *fields = dialog(s);

    s->fake.rt.boot_id++;
    arrives(s, PBX, "INFO", fields, AL_1);
    stage_leave(s, AL, al_1);
    ends_with(s, PBX, "BYE", fields, "SIP/2.0 430 Flow Failed");
    ends_with(s, PBX, "ACK", fields, NULL);
    arrives(s, AL_1, "BYE", fields, PBX); /* the way up is open */
    free(fields);
}

static void a_phone_that_deregistered_still_gets_its_bye(void **state)
{
    struct stage *s = *state;
    char *fields = dialog(s);

    stage_leave(s, AL, al_1);
    arrives(s, PBX, "BYE", fields, AL_1);
    free(fields);
}

/* Under challenges-calls the caller need not be registered: the flow is all. */
static void the_dialog_of_an_unregistered_caller(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *up;
    char *fields;

    s->config.upstream[0].challenges_calls = true;
    stage_request(s, AL_1, "INVITE", "sip:bo@example.com", "");
    up = stage_take(s, PBX, "INVITE");
    stage_answer(s, up, 200, "");
    assert_true(asprintf(&fields, "%s%s", TO_TAG, stage_routes(up)) > 0);
    arrives(s, PBX, "INFO", fields, AL_1);
    s->fake.rt.boot_id++;
    arrives(s, PBX, "INFO", fields, AL_1);
    up = arrives(s, NEW_PLACE, "INVITE", fields, PBX); /* it has moved */
    free(fields);
    assert_true(asprintf(&fields, "%s%s", TO_TAG, stage_routes(up)) > 0);
    arrives(s, PBX, "BYE", fields, NEW_PLACE);
    free(fields);
}

static void routes_behind_ours_stay(void **state)
{
    struct stage *s = *state;
    char *fields = dialog(s);
    char *more;

    assert_true(asprintf(&more, "%sRoute: <sip:10.0.0.5:5080;lr;did=1>, <sip:b;lr>\n", fields) > 0);
    assert_string_equal(stage_field(arrives(s, AL_1, "INFO", more, PBX), "Route"),
                        "<sip:10.0.0.5:5080;lr;did=1>, <sip:b;lr>");
    free(more);
    free(fields);
}

static void our_plain_route_before_the_token_is_popped(void **state)
{
    struct stage *s = *state;
    char *fields = dialog(s);
    char *more;

    assert_true(asprintf(&more, "Route: <sip:127.0.0.1:5060;lr>\n%s", fields) > 0);
    assert_false(stage_has(arrives(s, AL_1, "INFO", more, PBX), "Route"));
    free(more);
    free(fields);
}

/* The same call passes twice through us (a main registrar that is a proxy): two
 * passes, two legs, one popped at a time. */
static void another_leg_stays(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *one, *two;
    char first[512], fields[1024];

    al_1 = stage_phone(s, AL, AL_1, 1000);
    stage_phone(s, "sip:bo@example.com", AL_2, 1000);
    stage_request(s, AL_2, "INVITE", AL, "From: <sip:bo@example.com>;tag=from\n");
    one = stage_take(s, PBX, "INVITE");
    stage_call(s);
    two = stage_take(s, AL_1, "INVITE");
    stage_answer(s, one, 200, "");
    stage_answer(s, two, 200, "");
    snprintf(first, sizeof first, "%s", stage_field(one, "Record-Route"));
    snprintf(fields, sizeof fields, "%sRoute: %s,%s\n", TO_TAG, stage_field(two, "Record-Route"),
             first);
    stage_request(s, AL_1, "BYE", TARGET, fields);
    two = stage_take(s, PBX, "BYE");
    assert_string_equal(stage_field(two, "Route"), first);
    snprintf(fields, sizeof fields, "%sRoute: %s\n", TO_TAG, first);
    stage_request(s, PBX, "BYE", "sip:line@" AL_2, fields);
    assert_false(stage_has(stage_take(s, AL_2, "BYE"), "Route"));
}

static void two_faces(void *world, const struct flow *to, struct address *out)
{
    struct flow pbx = fake_flow(PBX);

    (void)world;
    address_parse(flow_equal(to, &pbx) ? SPAN("10.0.0.9:5060") : SPAN("192.0.2.9:5060"), 0, out);
}

static void both_values_of_a_leg_are_popped(void **state)
{
    struct stage *s = *state;
    char *fields;

    s->fake.ports.local_address = two_faces;
    upstreams_start(&s->upstreams);
    fields = dialog(s);
    assert_non_null(strchr(fields, ','));
    assert_false(stage_has(arrives(s, AL_1, "INFO", fields, PBX), "Route"));
    assert_false(stage_has(arrives(s, PBX, "BYE", fields, AL_1), "Route"));
    free(fields);
}

/* RFC 3261 16.4: a strict router puts our URI into the Request-URI. */
static void what_a_strict_router_did_is_repaired(void **state)
{
    struct stage *s = *state;
    char *fields = dialog(s);
    const char *uri = strstr(fields, "Route: <") + sizeof "Route: <" - 1;
    char ours[512], rest[512];
    const struct fake_datagram *d;

    snprintf(ours, sizeof ours, "%.*s", (int)strcspn(uri, ">"), uri);
    snprintf(rest, sizeof rest, "%sRoute: <" PHONE_URI ">\n", TO_TAG);
    stage_request(s, PBX, "INFO", ours, rest);
    d = stage_take(s, AL_1, "INFO " PHONE_URI " SIP/2.0");
    assert_false(stage_has(d, "Route"));
    stage_answer(s, d, 200, "");
    snprintf(rest, sizeof rest, "%sRoute: <sip:b;lr>\nRoute: <" TARGET ">\n", TO_TAG);
    stage_request(s, AL_1, "BYE", ours, rest);
    d = stage_take(s, PBX, "BYE " TARGET " SIP/2.0");
    assert_string_equal(stage_field(d, "Route"), "<sip:b;lr>");
    free(fields);
}

/* RFC 3261 16.6 step 6: the next one is a strict router. */
static void a_strict_router_gets_what_it_wants(void **state)
{
    struct stage *s = *state;
    char *fields = dialog(s);
    char *more;
    const struct fake_datagram *d;

    assert_true(asprintf(&more, "%sRoute: <sip:strict@b>, <sip:c;lr>\n", fields) > 0);
    stage_request(s, AL_1, "INFO", TARGET, more);
    d = stage_take(s, PBX, "INFO sip:strict@b SIP/2.0");
    assert_non_null(strstr(d->text, "Route: <sip:c;lr>\r\nRoute: <" TARGET ">\r\n"));
    assert_null(strstr(d->text, "Route: <sip:strict"));
    free(more);
    free(fields);
}

static void a_dialog_over_a_connection(void **state)
{
    struct stage *s = *state;
    struct aor *a;
    const struct fake_datagram *invite;
    char *fields;

    al_1 = stage_phone(s, AL, AL_1, 1000);
    a = location_find(&s->location, location_hash(&s->location, SPAN(AL)));
    aor_first(a)->flow.transport = TRANSPORT_TCP;
    aor_first(a)->flow.connection = 7;
    stage_call(s);
    invite = stage_take(s, AL_1, "INVITE");
    stage_answer(s, invite, 200, "");
    stage_take(s, PBX, "SIP/2.0 100");
    stage_take(s, PBX, "SIP/2.0 200");
    assert_true(asprintf(&fields, "%s%s", TO_TAG, stage_routes(invite)) > 0);
    assert_non_null(strstr(fields, "@127.0.0.1:5060;transport=tcp;lr>, <sip:"));
    stage_leave(s, AL, al_1);
    stage_request(s, PBX, "INFO", PHONE_URI, fields);
    invite = stage_take(s, AL_1, "INFO");
    assert_int_equal(invite->to.connection, 7);
    stage_answer(s, invite, 200, "");
    stage_take(s, PBX, "SIP/2.0 200 ");
    s->fake.streams_dead = true;
    ends_with(s, PBX, "BYE", fields, "SIP/2.0 430 ");
    free(fields);
}

static void a_connection_does_not_outlive_a_restart(void **state)
{
    struct stage *s = *state;
    struct flow caller = fake_flow(AL_1);
    char room[TOKEN_SIZE_MAX + 1];
    struct buf route = buf_make(room, sizeof room - 1);
    char *fields;

    caller.transport = TRANSPORT_TCP;
    caller.connection = 7;
    token_put(&route, &s->fake.rt.hasher, SPAN("call"),
              &(struct flow_token){.boot_id = s->fake.rt.boot_id, .flow = caller});
    room[route.n] = 0;
    assert_true(asprintf(&fields, TO_TAG "Route: <sip:%s@127.0.0.1:5060;lr>\n", room) > 0);
    stage_request(s, PBX, "INFO", PHONE_URI, fields);
    stage_answer(s, stage_take(s, AL_1, "INFO"), 200, "");
    stage_take(s, PBX, "SIP/2.0 200 ");
    s->fake.rt.boot_id++;
    ends_with(s, PBX, "BYE", fields, "SIP/2.0 430 ");
    free(fields);
}

/* After a restart, say. */
static void a_main_registrar_whose_address_is_not_known(void **state)
{
    struct stage *s = *state;
    char *fields = dialog(s);

    s->upstreams.list[0].flow.peer = (struct address){0};
    ends_with(s, AL_1, "BYE", fields, "SIP/2.0 430 ");
    free(fields);
}

static void a_token_for_a_listener_that_is_no_more(void **state)
{
    struct stage *s = *state;
    char *fields = dialog(s);

    stage_leave(s, AL, al_1);
    s->config.listen_count = 0;
    ends_with(s, PBX, "BYE", fields, "SIP/2.0 430 ");
    free(fields);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STAGE(requests_pass_both_ways),
        IN_STAGE(options_within_it_pass_too),
        IN_STAGE(the_ack_of_a_2xx_passes_without_a_transaction),
        IN_STAGE(a_cancelled_re_invite_is_cancelled_at_the_other_side),
        IN_STAGE(a_changed_token_is_403),
        IN_STAGE(a_token_of_another_call_is_403),
        IN_STAGE(without_our_route_it_is_481),
        IN_STAGE(without_a_to_tag_a_token_gives_no_right),
        IN_STAGE(a_malformed_route_is_400),
        IN_STAGE(a_moved_phone_is_followed),
        IN_STAGE(after_a_restart_the_binding_says_where),
        IN_STAGE(a_phone_that_deregistered_still_gets_its_bye),
        IN_STAGE(the_dialog_of_an_unregistered_caller),
        IN_STAGE(routes_behind_ours_stay),
        IN_STAGE(our_plain_route_before_the_token_is_popped),
        IN_STAGE(another_leg_stays),
        IN_STAGE(both_values_of_a_leg_are_popped),
        IN_STAGE(what_a_strict_router_did_is_repaired),
        IN_STAGE(a_strict_router_gets_what_it_wants),
        IN_STAGE(a_dialog_over_a_connection),
        IN_STAGE(a_connection_does_not_outlive_a_restart),
        IN_STAGE(a_main_registrar_whose_address_is_not_known),
        IN_STAGE(a_token_for_a_listener_that_is_no_more),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

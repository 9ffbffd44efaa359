/*
 * proxy/inbound: whom a request of the main registrar is for.
 */
#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TOKEN_OF_NOBODY "aerukz4jvpg66"

static void who_is_called(void **state)
{
    struct stage *s = *state;
    char contact[256], other_host[256], wrong_user[256];
    const char *mr;

    stage_phone(s, AL, AL_1, 1000);
    stage_phone(s, "sip:al@elsewhere.example", AL_1, 1000); /* no longer served */
    snprintf(contact, sizeof contact, "%s", stage_contact(s, AL));
    mr = strstr(contact, ";mr=");
    assert_non_null(mr);
    snprintf(other_host, sizeof other_host, "sip:al@elsewhere:99;transport=udp%s;x=y", mr);
    snprintf(wrong_user, sizeof wrong_user, "sip:bo@127.0.0.1:5060%s", mr);
    const struct {
        const char *ruri, *answer;
    } row[] = {
        {contact, "SIP/2.0 100 "},
        {other_host, "SIP/2.0 100 "},
        {AL, "SIP/2.0 100 "}, /* an upstream that calls the AOR itself */
        {"sips:%61l@EXAMPLE.com:5061;x=y", "SIP/2.0 100 "},
        {wrong_user, "SIP/2.0 404 "},
        {"sip:al@127.0.0.1:5060", "SIP/2.0 404 "},
        {"sip:bo@example.com", "SIP/2.0 404 "},
        {"sip:al@elsewhere.example", "SIP/2.0 404 "},
        {"sip:bo@127.0.0.1:5060;mr=" TOKEN_OF_NOBODY, "SIP/2.0 480 "},
        {"sip:bo@127.0.0.1:5060;mr=nonsense", "SIP/2.0 404 "},
        {"sip:127.0.0.1:5060", "SIP/2.0 404 "},
        {"tel:+49301234", "SIP/2.0 404 "},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        print_message("%s\n", row[i].ruri);
        stage_request(s, PBX, "INVITE", row[i].ruri, "");
        stage_take(s, PBX, row[i].answer);
        if (strcmp(row[i].answer, "SIP/2.0 100 ") == 0) {
            stage_answer(s, stage_take(s, AL_1, "INVITE sip:line@"), 486, "");
            stage_take(s, PBX, "SIP/2.0 486 ");
        }
        stage_none(s, AL_1, "INVITE");
        stage_none(s, PBX, "SIP/2.0");
    }
}

static void nobody_at_home_is_480(void **state)
{
    struct stage *s = *state;
    uint32_t id = stage_phone(s, AL, AL_1, 1000);

    stage_leave(s, AL, id);
    stage_call(s);
    stage_take(s, PBX, "SIP/2.0 480 ");
    stage_request(s, PBX, "OPTIONS", stage_contact(s, AL), "");
    stage_take(s, PBX, "SIP/2.0 480 ");
    stage_phone(s, AL, AL_2, 1000);
    fake_advance(&s->fake, 3600000); /* expired, whether its timer ran or not */
    stage_call(s);
    stage_take(s, PBX, "SIP/2.0 480 ");
    stage_none(s, PBX, "SIP/2.0");
    assert_int_equal(stage_count(s, COUNTER_CALLS), 0);
}

static void pings_are_answered_here(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    stage_request(s, PBX, "OPTIONS", stage_contact(s, AL), "To: <" AL ">\n");
    stage_take(s, PBX, "SIP/2.0 200 ");
    stage_none(s, AL_1, "OPTIONS");
}

static void preloaded_routes_to_us_go_no_further(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    stage_request(s, PBX, "INVITE", stage_contact(s, AL),
                  "Route: <sip:127.0.0.1:5060;lr>, <sip:elsewhere.example;lr>\n");
    assert_false(stage_has(stage_take(s, AL_1, "INVITE"), "Route"));
}

static void record_route_on_requests_that_make_dialogs(void **state)
{
    static const struct {
        const char *method;
        bool recorded;
    } row[] = {{"INVITE", true}, {"SUBSCRIBE", true}, {"REFER", true}, {"NOTIFY", true},
               {"INFO", false},  {"MESSAGE", false},  {"FROB", false}, {"PUBLISH", false}};
    struct stage *s = *state;
    const struct fake_datagram *d;

    stage_phone(s, AL, AL_1, 1000);
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        stage_request(s, PBX, row[i].method, stage_contact(s, AL), "");
        d = stage_take(s, AL_1, row[i].method);
        assert_int_equal(stage_has(d, "Record-Route"), row[i].recorded);
        stage_answer(s, d, 404, "");
    }
}

/* Both sides know us by different addresses. */
static void two_faces(void *world, const struct flow *to, struct address *out)
{
    struct flow pbx = fake_flow(PBX);

    (void)world;
    address_parse(flow_equal(to, &pbx) ? SPAN("10.0.0.9:5060") : SPAN("192.0.2.9:5060"), 0, out);
}

static void two_record_routes_where_the_sides_differ(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *d;
    const char *first, *second;

    s->fake.ports.local_address = two_faces;
    upstreams_start(&s->upstreams);
    stage_phone(s, AL, AL_1, 1000);
    stage_call(s);
    d = stage_take(s, AL_1, "INVITE");
    first = strstr(d->text, "Record-Route: ");
    assert_non_null(first);
    second = strstr(first + 1, "Record-Route: ");
    assert_non_null(second);
    /* the side that it goes to on top: RFC 5658 */
    assert_non_null(strstr(first, "@192.0.2.9:5060;lr>"));
    assert_true(strstr(first, "@192.0.2.9:5060;lr>") < second);
    assert_non_null(strstr(second, "@10.0.0.9:5060;lr>"));
    stage_answer(s, d, 486, "");

    address_parse(SPAN("198.51.100.7:5070"), 0, &s->config.advertise);
    stage_call(s);
    d = stage_take(s, AL_1, "INVITE");
    assert_non_null(strstr(stage_field(d, "Record-Route"), "@198.51.100.7:5070;lr>"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STAGE(who_is_called),
        IN_STAGE(nobody_at_home_is_480),
        IN_STAGE(pings_are_answered_here),
        IN_STAGE(preloaded_routes_to_us_go_no_further),
        IN_STAGE(record_route_on_requests_that_make_dialogs),
        IN_STAGE(two_record_routes_where_the_sides_differ),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

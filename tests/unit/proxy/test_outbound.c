/*
 * proxy/outbound, proxy/policy: what phones may send up, and what strangers may not.
 */
#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define BO       "sip:bo@example.com"
#define STRANGER "10.6.6.6:5060"

/* The phone at `peer` is refused with this, and nothing goes up. */
static void refused(struct stage *s, const char *peer, const char *method, const char *ruri,
                    const char *fields, const char *answer)
{
    uint64_t before = stage_count(s, COUNTER_REQUEST_REFUSED);

    print_message("%s %s %s\n", method, ruri, fields);
    stage_request(s, peer, method, ruri, fields);
    stage_take(s, peer, answer);
    stage_none(s, peer, "SIP/2.0");
    stage_none(s, PBX, method);
    assert_int_equal(stage_count(s, COUNTER_REQUEST_REFUSED), before + 1);
}

/* It goes up unchanged; the PBX declines. */
static const struct fake_datagram *passes(struct stage *s, const char *peer, const char *method,
                                          const char *ruri, const char *fields)
{
    const struct fake_datagram *d;
    char start[256];

    print_message("%s %s %s\n", method, ruri, fields);
    stage_request(s, peer, method, ruri, fields);
    snprintf(start, sizeof start, "%s %s SIP/2.0\r\n", method, ruri);
    d = stage_take(s, PBX, start);
    stage_answer(s, d, 486, "");
    if (strcmp(method, "INVITE") == 0)
        stage_take(s, peer, "SIP/2.0 100 ");
    stage_take(s, peer, "SIP/2.0 486 ");
    return d;
}

static void a_call_of_a_phone_goes_up_with_its_challenge_down(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *up;

    stage_phone(s, AL, AL_1, 1000);
    stage_request(s, AL_1, "INVITE", BO, "Proxy-Authorization: Digest nonce=\"1\"\n");
    stage_take(s, AL_1, "SIP/2.0 100 ");
    up = stage_take(s, PBX, "INVITE " BO " SIP/2.0");
    assert_string_equal(stage_field(up, "Proxy-Authorization"), "Digest nonce=\"1\"");
    assert_string_equal(stage_field(up, "Max-Forwards"), "69");
    assert_true(stage_has(up, "Record-Route"));
    stage_answer(s, up, 407, "Proxy-Authenticate: Digest realm=\"r\", nonce=\"2\"\n");
    assert_string_equal(stage_field(stage_take(s, AL_1, "SIP/2.0 407 "), "Proxy-Authenticate"),
                        "Digest realm=\"r\", nonce=\"2\"");
    assert_int_equal(stage_count(s, COUNTER_CALLS_OUT), 1);
    assert_int_equal(stage_count(s, COUNTER_CALLS), 0);
    assert_int_equal(stage_count(s, COUNTER_BRANCHES), 0);
}

static void nothing_goes_up_before_it_is_known_where(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    s->upstreams.list[0].flow.peer = (struct address){0};
    refused(s, AL_1, "INVITE", BO, "", "SIP/2.0 480 ");
    assert_int_equal(s->fake.sent_count, 1);
}

static void all_methods_and_targets_of_a_proved_phone_pass(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    passes(s, AL_1, "MESSAGE", BO, "");
    passes(s, AL_1, "SUBSCRIBE", AL, "");
    passes(s, AL_1, "OPTIONS", BO, "");
    passes(s, AL_1, "INVITE", "sip:bo@elsewhere.example:99", "");
    passes(s, AL_1, "INVITE", "tel:+49301234", "");
    passes(s, AL_1, "INVITE", "sip:bo@example.com;maddr=127.0.0.1", "");
    passes(s, AL_1, "INVITE", BO, "From: \"Me\" <sips:%61l@EXAMPLE.com:77;x=y>;tag=1\n");
}

static void strangers_and_liars_are_refused(void **state)
{
    struct stage *s = *state;
    uint32_t id;

    stage_phone(s, AL, AL_1, 1000);
    stage_phone(s, BO, AL_2, 1000);
    id = stage_phone(s, AL, AL_3, 1000);
    stage_leave(s, AL, id);
    refused(s, STRANGER, "INVITE", BO, "", "SIP/2.0 403 ");
    refused(s, STRANGER, "MESSAGE", BO, "", "SIP/2.0 403 ");
    refused(s, STRANGER, "SUBSCRIBE", BO, "", "SIP/2.0 403 ");
    refused(s, "10.1.0.1:5061", "INVITE", BO, "", "SIP/2.0 403 "); /* another port */
    refused(s, AL_3, "INVITE", BO, "", "SIP/2.0 403 ");            /* has left */
    refused(s, AL_1, "INVITE", BO, "From: <" BO ">;tag=1\n", "SIP/2.0 403 ");
    refused(s, AL_1, "INVITE", BO, "From: <sip:al@elsewhere.example>;tag=1\n", "SIP/2.0 403 ");
    refused(s, AL_1, "INVITE", BO, "From: <tel:+49301234>;tag=1\n", "SIP/2.0 403 ");
    refused(s, AL_1, "INVITE", BO, "From: <sip:example.com>;tag=1\n", "SIP/2.0 403 ");
    refused(s, AL_1, "INVITE", stage_contact(s, BO), "", "SIP/2.0 403 ");
    refused(s, AL_1, "INVITE", "sip:bo@127.0.0.1:5060", "", "SIP/2.0 404 ");
    refused(s, AL_1, "INVITE", BO ";maddr=10.9.9.9", "", "SIP/2.0 403 ");
    refused(s, AL_1, "INVITE", BO ";maddr=elsewhere.example", "", "SIP/2.0 403 ");
    stage_none(s, AL_2, "INVITE");
}

static void an_unproved_flow_is_no_proof(void **state)
{
    struct stage *s = *state;
    struct aor *a = location_find(&s->location, location_hash(&s->location, SPAN(AL)));

    assert_null(a);
    stage_phone(s, AL, AL_1, 1000);
    a = location_find(&s->location, location_hash(&s->location, SPAN(AL)));
    assert_non_null(a);
    aor_first(a)->flags = 0;
    refused(s, AL_1, "INVITE", BO, "", "SIP/2.0 403 ");
    aor_first(a)->flags = BINDING_FLOW_PROVED;
    passes(s, AL_1, "MESSAGE", BO, "");
    fake_advance(&s->fake, 3600000);
    refused(s, AL_1, "INVITE", BO, "", "SIP/2.0 403 ");
}

/* A proxy speaks for many: its flow proves none of them. */
static void behind_a_proxy_the_flow_is_no_proof(void **state)
{
    static const char via[] = "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKinner\n";
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    passes(s, AL_1, "MESSAGE", BO, via); /* auth = "none": nobody is a stranger */
    s->config.auth = AUTH_UPSTREAM;
    refused(s, AL_1, "INVITE", BO, via, "SIP/2.0 403 ");
    refused(s, AL_1, "MESSAGE", BO, via, "SIP/2.0 403 ");
    passes(s, AL_1, "MESSAGE", BO, "");
    s->config.upstream[0].challenges_calls = true;
    passes(s, AL_1, "INVITE", BO, via);
}

static void who_challenges_calls_may_be_asked_by_anybody(void **state)
{
    struct stage *s = *state;

    s->config.upstream[0].challenges_calls = true;
    stage_phone(s, BO, AL_2, 1000);
    passes(s, STRANGER, "INVITE", BO, "Proxy-Authorization: Digest x=\"1\"\n");
    passes(s, STRANGER, "INVITE", "sip:bo@10.0.0.5", "");
    passes(s, STRANGER, "INVITE", "sip:bo@10.0.0.5:5080", "From: <tel:+1>;tag=1\n");
    refused(s, STRANGER, "INVITE", "sip:bo@elsewhere.example", "", "SIP/2.0 403 ");
    refused(s, STRANGER, "INVITE", "sip:bo@10.0.0.6", "", "SIP/2.0 403 ");
    refused(s, STRANGER, "INVITE", "tel:+49301234", "", "SIP/2.0 403 ");
    refused(s, STRANGER, "INVITE", stage_contact(s, BO), "", "SIP/2.0 403 ");
    refused(s, STRANGER, "INVITE", BO ";maddr=10.9.9.9", "", "SIP/2.0 403 ");
}

static void routes_of_phones_are_not_followed(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *d;

    stage_phone(s, AL, AL_1, 1000);
    d = passes(s, AL_1, "INVITE", BO,
               "Route: <sip:127.0.0.1:5060;lr>\nRoute: <sip:10.9.9.9;lr>, <sip:10.9.9.8>\n");
    assert_false(stage_has(d, "Route"));
    stage_none(s, "10.9.9.9:5060", "INVITE");
}

static void identities_of_phones_are_removed(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *d;

    stage_phone(s, AL, AL_1, 1000);
    d = passes(s, AL_1, "INVITE", BO,
               "P-Asserted-Identity: <sip:boss@example.com>\nX-AUTH-User: boss\n"
               "X-Fine: yes\nRemote-Party-ID: <sip:boss@example.com>\n");
    assert_false(stage_has(d, "P-Asserted-Identity"));
    assert_false(stage_has(d, "X-AUTH-User"));
    assert_false(stage_has(d, "Remote-Party-ID"));
    assert_string_equal(stage_field(d, "X-Fine"), "yes");
}

static void identities_of_the_upstream_pass(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *d;

    stage_phone(s, AL, AL_1, 1000);
    stage_request(s, PBX, "INVITE", stage_contact(s, AL),
                  "P-Asserted-Identity: <sip:boss@example.com>\n");
    assert_true(stage_has(stage_take(s, AL_1, "INVITE"), "P-Asserted-Identity"));
    stage_request(s, AL_1, "INVITE", BO, "");
    stage_answer(s, stage_take(s, PBX, "INVITE"), 200,
                 "P-Asserted-Identity: <sip:bo@example.com>\n");
    d = stage_take(s, AL_1, "SIP/2.0 200");
    assert_true(stage_has(d, "P-Asserted-Identity"));
}

/* RFC 3261 16.7 step 6: a 503 of the upstream must not be taken for ours. */
static void a_503_from_above_is_500(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    stage_request(s, AL_1, "INVITE", BO, "");
    stage_answer(s, stage_take(s, PBX, "INVITE"), 503, "Retry-After: 300\n");
    stage_take(s, AL_1, "SIP/2.0 500");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STAGE(a_call_of_a_phone_goes_up_with_its_challenge_down),
        IN_STAGE(nothing_goes_up_before_it_is_known_where),
        IN_STAGE(all_methods_and_targets_of_a_proved_phone_pass),
        IN_STAGE(strangers_and_liars_are_refused),
        IN_STAGE(an_unproved_flow_is_no_proof),
        IN_STAGE(behind_a_proxy_the_flow_is_no_proof),
        IN_STAGE(who_challenges_calls_may_be_asked_by_anybody),
        IN_STAGE(routes_of_phones_are_not_followed),
        IN_STAGE(identities_of_phones_are_removed),
        IN_STAGE(identities_of_the_upstream_pass),
        IN_STAGE(a_503_from_above_is_500),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * ruling: see the header. Fails the test where something it needs is missing.
 */
#include "ruling.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct fake fake;
struct location location;
struct config config;
struct aor *record;
static char text[65536];
static struct sip_message message;
struct register_request rq;
struct outcome out;

int ruling_setup(void **state)
{
    (void)state;
    fake_init(&fake);
    location_init(&location, &fake.rt);
    record = NULL;
    config = (struct config){
        .auth = AUTH_UPSTREAM,
        .phone_expires_s = 120,
        .min_expires_s = 60,
        .upstream_expires_s = 3600,
        .max_contacts = 10,
        .survive_max_ms = 3600000,
    };
    return 0;
}

int ruling_teardown(void **state)
{
    (void)state;
    location_fini(&location);
    fake_fini(&fake);
    return 0;
}

/* ---- the world before the REGISTER -------------------------------------------- */

void have_record(void)
{
    if (record)
        return;
    assert_int_equal(location_ensure(&location, SPAN("sip:anna@example.com"),
                                     SPAN("sip:anna@example.com"), &record),
                     LOCATION_OK);
    record->next_binding_id = 1; /* the cases below count from there */
    record->lease = (struct lease){.granted_s = 3600,
                                   .until_ms = fake.rt.now_ms + 3000000,
                                   .may_ms = fake.rt.now_ms + 3000000,
                                   .means = MEANS_ACL};
}

struct binding *have(const char *uri, const char *flow, const char *call_id, uint32_t cseq)
{
    struct binding_spec spec = {
        .uri = span_of(uri),
        .call_id = span_of(call_id),
        .flow = fake_flow(flow),
        .expires_ms = fake.rt.now_ms + 100000,
        .proved_ms = fake.rt.now_ms - 20000,
        .granted_s = 120,
        .cseq = cseq,
        .q = 1000,
        .flags = BINDING_FLOW_PROVED,
    };

    have_record();
    return location_bind(&location, &record, &spec);
}

struct binding *have_home(void)
{
    return have("sip:anna@10.0.0.1:5062", HOME, CALL, 5);
}

struct binding *have_desk(void)
{
    return have("sip:anna@10.0.0.2:5060", "10.0.0.2:5060", "desk", 10);
}

void bury(uint32_t id, uint32_t cseq)
{
    assert_true(location_bury(&location, record, id, cseq, fake.rt.now_ms + 32000));
}

/* ---- the REGISTER and what becomes of it ---------------------------------------- */

void ask(const char *flow, const char *call_id, uint32_t cseq, const char *lines)
{
    struct flow from = fake_flow(flow);
    struct sip_fault fault = {0};
    int n = snprintf(text, sizeof text,
                     "REGISTER sip:example.com SIP/2.0\r\n"
                     "Via: SIP/2.0/UDP %s;branch=z9hG4bK1\r\n"
                     "From: <sip:anna@example.com>;tag=f\r\n"
                     "To: <sip:anna@example.com>\r\n"
                     "Call-ID: %s\r\n"
                     "CSeq: %u REGISTER\r\n"
                     "%s"
                     "Content-Length: 0\r\n\r\n",
                     flow, call_id, cseq, lines);

    assert_int_equal(sip_parse(span_make(text, (size_t)n), &message, &fault), SIP_PARSED);
    if (!request_decode(&config, &message, &from, &rq, &fault))
        fail_msg("%s", fault.reason);
}

void decide_with(enum proof proof, uint32_t dice)
{
    struct rules_input in = {
        .record = record,
        .request = &rq,
        .proof = proof,
        .now_ms = fake.rt.now_ms,
        .dice = dice,
        .config = &config,
    };

    memset(&out, 0xff, sizeof out);
    rules_decide(&in, &out);
}

/* With the proof that it has by itself. */
void decide(void)
{
    decide_with(rules_proof(record, &rq, fake.rt.now_ms, &config), 0);
}

void assert_refused(int status)
{
    assert_int_equal(out.verdict, REG_REFUSED);
    assert_int_equal(out.status, status);
    assert_int_equal(out.changes, 0);
}

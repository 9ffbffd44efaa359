/*
 * registrar/request: what a REGISTER decodes to, and what is refused with what.
 */
#include "registrar/request.h"

#include "fake_ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static char text[65536];
static const struct config config; /* no alias, no forced domain */
static struct sip_message message;
static struct register_request rq;
static struct sip_fault fault;

/* A REGISTER with these lines behind the usual ones; `to` is a To value. */
static bool decode_to_and(const char *to, const char *lines)
{
    struct flow from = fake_flow("10.0.0.1:5062");
    int n = snprintf(text, sizeof text,
                     "REGISTER sip:example.com SIP/2.0\r\n"
                     "Via: SIP/2.0/UDP 10.0.0.1:5062;branch=z9hG4bK1\r\n"
                     "From: <sip:anna@example.com>;tag=f\r\n"
                     "To: %s\r\n"
                     "Call-ID: c1@phone\r\n"
                     "CSeq: 7 REGISTER\r\n"
                     "%s"
                     "Content-Length: 0\r\n\r\n",
                     to, lines);
    struct sip_fault unused = {0};

    fault = (struct sip_fault){0};
    assert_int_equal(sip_parse(span_make(text, (size_t)n), &message, &unused), SIP_PARSED);
    return request_decode(&config, &message, &from, &rq, &fault);
}

static bool decode(const char *lines)
{
    return decode_to_and("<sip:anna@example.com>", lines);
}

static void assert_span(struct span got, const char *want)
{
    if (!span_eq(got, span_of(want)))
        fail_msg("'%.*s' is not '%s'", (int)got.n, got.p, want);
}

static void test_whole(void **state)
{
    (void)state;
    assert_true(
        decode("Contact: \"A\" <sip:anna@10.0.0.1:5062;ob>;q=0.7;expires=90;+x=\"a,b\";flag\r\n"
               "Expires: 300\r\n"));
    assert_span(rq.aor, "sip:anna@example.com");
    assert_span(rq.to_uri, "sip:anna@example.com");
    assert_span(rq.call_id, "c1@phone");
    assert_int_equal(rq.cseq, 7);
    assert_false(rq.star);
    assert_false(rq.credentials);
    assert_true(rq.direct);
    assert_false(request_is_query(&rq));
    assert_int_equal(rq.contacts, 1);
    assert_span(rq.contact[0].uri_text, "sip:anna@10.0.0.1:5062;ob");
    assert_span(rq.contact[0].params, ";+x=\"a,b\";flag");
    assert_int_equal(rq.contact[0].expires_s, 90);
    assert_int_equal(rq.contact[0].q, 700);
    assert_true(rq.contact[0].q_given);
}

static void test_query(void **state)
{
    (void)state;
    assert_true(decode(""));
    assert_true(request_is_query(&rq));
    assert_true(decode("Expires: 0\r\n"));
    assert_true(request_is_query(&rq));
}

/* RFC 3261 10.3 step 5: the key of the location service. */
static void test_aor_is_canonical(void **state)
{
    static const struct {
        const char *to, *aor;
    } cases[] = {
        {"<sip:anna@EXAMPLE.com>", "sip:anna@example.com"},
        {"sip:anna@example.com", "sip:anna@example.com"},
        {"\"A\" <sips:anna@example.com:5061;user=phone>", "sip:anna@example.com"},
        {"<sip:%61nna@example.com>", "sip:anna@example.com"},
        {"<sip:Anna@example.com>", "sip:Anna@example.com"}, /* users are case-sensitive */
        {"<sip:anna:secret@example.com>", "sip:anna@example.com"},
        {"<sip:a%40b@example.com>", "sip:a%40b@example.com"},
        {"<sip:anna@[2001:DB8::1]>", "sip:anna@[2001:db8::1]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(decode_to_and(cases[i].to, ""));
        assert_span(rq.aor, cases[i].aor);
    }
}

static void test_expires(void **state)
{
    static const struct {
        const char *lines;
        uint32_t expires_s;
    } cases[] = {
        {"Contact: <sip:a@10.0.0.1>\r\n", 3600},
        {"Contact: <sip:a@10.0.0.1>\r\nExpires: 90\r\n", 90},
        {"Contact: <sip:a@10.0.0.1>;expires=60\r\nExpires: 90\r\n", 60},
        {"Contact: <sip:a@10.0.0.1>;EXPIRES=0\r\nExpires: 90\r\n", 0},
        {"Contact: <sip:a@10.0.0.1>;expires=soon\r\nExpires: 90\r\n", 3600},
        {"Contact: <sip:a@10.0.0.1>;expires=-1\r\n", 3600},
        {"Contact: <sip:a@10.0.0.1>\r\nExpires: whenever\r\n", 3600},
        {"Contact: <sip:a@10.0.0.1>;expires=99999999999\r\n", UINT32_MAX},
        {"Contact: <sip:a@10.0.0.1>\r\nExpires: 4294967296\r\n", UINT32_MAX},
        {"m: sip:a@10.0.0.1;expires=77\r\n", 77}, /* without brackets: the header's */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(decode(cases[i].lines));
        assert_int_equal(rq.contacts, 1);
        assert_int_equal(rq.contact[0].expires_s, cases[i].expires_s);
    }
}

static void test_several_contacts(void **state)
{
    (void)state;
    assert_true(decode("Contact: <sip:a@10.0.0.1>;expires=60, <sip:a@10.0.0.2>\r\n"
                       "Expires: 120\r\n"
                       "m: <sip:a@10.0.0.3>;q=0\r\n"));
    assert_int_equal(rq.contacts, 3);
    assert_span(rq.contact[1].uri_text, "sip:a@10.0.0.2");
    assert_int_equal(rq.contact[0].expires_s, 60);
    assert_int_equal(rq.contact[1].expires_s, 120);
    assert_int_equal(rq.contact[2].q, 0);
    assert_true(rq.contact[2].q_given);
    assert_int_equal(rq.contact[1].q, 1000);
    assert_false(rq.contact[1].q_given);
}

/* One form of a contact goes, another of the same comes. */
static void test_contact_written_anew(void **state)
{
    static const char *const orders[] = {
        "Contact: <sip:a@10.0.0.1>;expires=0, <sip:a@10.0.0.1;ob>;q=0.3\r\n",
        "Contact: <sip:a@10.0.0.1;ob>;q=0.3\r\nContact: <sip:a@10.0.0.1>;expires=0\r\n"};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_true(decode(orders[i]));
        assert_int_equal(rq.contacts, 1);
        assert_span(rq.contact[0].uri_text, "sip:a@10.0.0.1;ob");
        assert_int_equal(rq.contact[0].expires_s, REQUEST_EXPIRES_DEFAULT_S);
        assert_int_equal(rq.contact[0].q, 300);
    }
}

static void test_star(void **state)
{
    (void)state;
    assert_true(decode("Contact: *\r\nExpires: 0\r\n"));
    assert_true(rq.star);
    assert_int_equal(rq.contacts, 0);
    assert_false(request_is_query(&rq));
}

static void test_credentials(void **state)
{
    (void)state;
    assert_true(decode("Authorization: Digest username=\"a\"\r\n"));
    assert_true(rq.credentials);
    assert_true(decode("Proxy-Authorization: Digest username=\"a\"\r\n"));
    assert_true(rq.credentials);
}

/* Behind an edge proxy many phones share a flow. */
static void test_direct(void **state)
{
    (void)state;
    assert_true(decode("Path: <sip:edge.example.com;lr>\r\n"));
    assert_false(rq.direct);
    assert_true(decode("Via: SIP/2.0/UDP 192.168.0.7:5060;branch=z9hG4bK2\r\n"));
    assert_false(rq.direct);
    assert_true(decode("User-Agent: x\r\n"));
    assert_true(rq.direct);
}

/* The first URI of what is kept is found behind its first '<'. */
static void test_path_with_display_name(void **state)
{
    (void)state;
    assert_true(decode("Path: \"a<b>\" <sip:edge@10.1.1.1;lr>;x=1, Edge <sip:10.1.1.2;lr>\r\n"));
    assert_span(rq.path, "<sip:edge@10.1.1.1;lr>;x=1, <sip:10.1.1.2;lr>");
}

static void test_bad_input(void **state)
{
    static const struct {
        const char *to, *lines;
        int status;
    } cases[] = {
        {"<tel:+4912345>", "", 404},
        {"<sip:example.com>", "", 404},
        {"<sip:@example.com>", "", 400},
        {"<sip:an%4na@example.com>", "", 400},
        {"<sip:anna@example.com", "", 400},
        {NULL, "Contact: <tel:+4912345>\r\n", 400},
        {NULL, "Contact: <http://10.0.0.1/>\r\n", 400},
        {NULL, "Contact: <sip:a@10.0.0.1\r\n", 400},
        {NULL, "Contact: <sip:a@10.0.0.1>;q=1.5\r\n", 400},
        {NULL, "Contact: <sip:a@10.0.0.1>;q=\r\n", 400},
        {NULL, "Contact: <sip:a@10.0.0.1>;;x\r\n", 400},
        {NULL, "Contact: <sip:a@10.0.0.1>,\r\n", 400},
        {NULL, "Contact: \"open <sip:a@10.0.0.1>\r\n", 400},
        {NULL, "Contact: *\r\n", 400},
        {NULL, "Contact: *\r\nExpires: 1\r\n", 400},
        {NULL, "Contact: *\r\nExpires: none\r\n", 400},
        {NULL, "Contact: *;expires=0\r\n", 400},
        {NULL, "Contact: *\r\nContact: *\r\nExpires: 0\r\n", 400},
        {NULL, "Contact: *, <sip:a@10.0.0.1>\r\nExpires: 0\r\n", 400},
        {NULL, "Contact: <sip:a@10.0.0.1>\r\nContact: *\r\nExpires: 0\r\n", 400},
        /* which of the two? RFC 3261 7.3.1 */
        {NULL, "Contact: <sip:a@10.0.0.1>;expires=50;expires=0\r\n", 400},
        {NULL, "Contact: <sip:a@10.0.0.1>;q=0.1;q=0.2\r\n", 400},
        {NULL, "Contact: <sip:a@10.0.0.1>\r\nExpires: 60\r\nExpires: 0\r\n", 400},
        /* the same contact twice: equal by RFC 3261 19.1.4 */
        {NULL, "Contact: <sip:a@10.0.0.1>, <sip:%61@10.0.0.1>\r\n", 400},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *to = cases[i].to ? cases[i].to : "<sip:anna@example.com>";

        if (decode_to_and(to, cases[i].lines))
            fail_msg("case %zu was accepted", i);
        if (fault.status != cases[i].status || !fault.reason)
            fail_msg("case %zu: %d", i, fault.status);
    }
}

static size_t put_contacts(char *room, size_t cap, unsigned n, size_t padding)
{
    size_t at = 0;

    for (unsigned i = 0; i < n; i++)
        at += (size_t)snprintf(room + at, cap - at, "Contact: <sip:a@10.0.0.%u>;p=%0*u\r\n", i + 1,
                               (int)padding, i);
    return at;
}

static void test_bounds(void **state)
{
    static char lines[40000];

    (void)state;
    put_contacts(lines, sizeof lines, REQUEST_CONTACTS_MAX, 1);
    assert_true(decode(lines));
    assert_int_equal(rq.contacts, REQUEST_CONTACTS_MAX);

    put_contacts(lines, sizeof lines, REQUEST_CONTACTS_MAX + 1, 1);
    assert_false(decode(lines));
    assert_int_equal(fault.status, 403);

    put_contacts(lines, sizeof lines, 2, REQUEST_ROOM / 2);
    assert_false(decode(lines));
    assert_int_equal(fault.status, 400);
}

/* The answer lists all contacts in one datagram: none may be endless. */
static void test_contact_uri_is_bounded(void **state)
{
    static char lines[40000];

    (void)state;
    snprintf(lines, sizeof lines, "Contact: <sip:a@10.0.0.1;p=%0*u>\r\n", REQUEST_URI_MAX - 17, 0);
    assert_true(decode(lines));
    assert_int_equal(rq.contact[0].uri_text.n, REQUEST_URI_MAX);
    snprintf(lines, sizeof lines, "Contact: <sip:a@10.0.0.1;p=%0*u>\r\n", REQUEST_URI_MAX - 16, 0);
    assert_false(decode(lines));
    assert_int_equal(fault.status, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_aor_is_canonical),
        cmocka_unit_test(test_expires),
        cmocka_unit_test(test_several_contacts),
        cmocka_unit_test(test_contact_written_anew),
        cmocka_unit_test(test_star),
        cmocka_unit_test(test_credentials),
        cmocka_unit_test(test_direct),
        cmocka_unit_test(test_path_with_display_name),
        cmocka_unit_test(test_bad_input),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_contact_uri_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * sip/message: what is indexed, what is refused and with which words.
 */
#include "parsing.h"

#include <stdlib.h>

static void indexes_request(void **state)
{
    const struct sip_message *m =
        parse("REGISTER sip:example.com SIP/2.0\r\n"
              "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKa, SIP/2.0/TCP b\r\n"
              "v :SIP/2.0/UDP c\r\n"
              "f: <sip:alice@example.com>;tag=f\r\n"
              "TO\t: <sip:alice@example.com>\r\n"
              "i:c1@10.0.0.1\r\n"
              "cSeQ: 7\r\n REGISTER\r\n"
              "X-Thing: one\r\n  two\t\r\n\tthree  \r\n"
              "Contact:\r\n <sip:a@b>\r\n"
              "m: <sip:c@d>\r\n"
              "Empty:\r\n"
              "L: 4\r\n"
              "\r\n"
              "bodyrest");

    (void)state;
    assert_true(m->is_request);
    assert_int_equal(m->method, SIP_REGISTER);
    assert_span(m->method_name, "REGISTER");
    assert_span(m->ruri, "sip:example.com");
    assert_span(m->body, "body");
    assert_true(m->raw.p + m->raw.n == m->body.p + m->body.n);
    assert_int_equal(m->header_count, 11);
    assert_span(sip_value(m, SIP_H_TO), "<sip:alice@example.com>");
    assert_span(sip_value(m, SIP_H_CALL_ID), "c1@10.0.0.1");
    assert_span(sip_value(m, SIP_H_CSEQ), "7\r\n REGISTER");
    assert_span(sip_value(m, SIP_H_EXPIRES), "");

    const struct sip_header *via = sip_first(m, SIP_H_VIA);
    const struct sip_header *contact = sip_first(m, SIP_H_CONTACT);
    const struct sip_header *thing = sip_find(m, SPAN("x-thing"));

    assert_span(sip_next(m, via)->value, "SIP/2.0/UDP c");
    assert_span(sip_next(m, via)->line, "v :SIP/2.0/UDP c\r\n");
    assert_null(sip_next(m, sip_next(m, via)));
    assert_span(contact->value, "<sip:a@b>");
    assert_span(sip_next(m, contact)->value, "<sip:c@d>");
    assert_span(thing->value, "one\r\n  two\t\r\n\tthree");
    assert_span(thing->line, "X-Thing: one\r\n  two\t\r\n\tthree  \r\n");
    assert_span(sip_find(m, SPAN("empty"))->value, "");
    assert_null(sip_find(m, SPAN("X-Thin")));
    assert_true(sip_answerable(m));
}

static void indexes_response(void **state)
{
    static const char rest[] = "Via: SIP/2.0/UDP h;branch=z9hG4bKa\r\nFrom: <sip:a@b>;tag=f\r\n"
                               "To: <sip:a@b>;tag=t\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\n\r\n";
    static const struct {
        const char *line, *reason;
        int status;
    } row[] = {
        {"SIP/2.0 200 OK", "OK", 200},
        {"SIP/2.0 180  Two  spaces", " Two  spaces", 180},
        {"SIP/2.0 100 ", "", 100},
        {"SIP/2.0 699", "", 699},
        {"sip/2.0 404 Not Found", "Not Found", 404},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[512];

        snprintf(text, sizeof text, "%s\r\n%s", row[i].line, rest);

        const struct sip_message *m = parse(text);

        assert_false(m->is_request);
        assert_int_equal(m->status, row[i].status);
        assert_span(m->reason, row[i].reason);
        assert_int_equal(m->method, SIP_INVITE); /* of CSeq */
        assert_span(m->method_name, "INVITE");
        assert_false(sip_answerable(m));
    }
}

static void drops_bad_responses(void **state)
{
    static const char *const row[] = {
        "SIP/2.0 99 x",  "SIP/2.0 700 x",   "SIP/2.0 4294967301 x", "SIP/2.0 2000 x",
        "SIP/2.0",       "SIP/2.0  200 OK", "SIP/3.0 200 OK",       "SIP/2.0 2x0 OK",
        "SIP/2.0\t200 ", "SIP/2.0 200OK",   "SIP/2.0 -12 x",        "SIP/2.0 +20 x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[512];
        enum sip_parsed parsed;
        struct sip_fault fault;

        snprintf(text, sizeof text,
                 "%s\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@b>;tag=f\r\nTo: <sip:a@b>\r\n"
                 "Call-ID: c\r\nCSeq: 7 INVITE\r\n\r\n",
                 row[i]);

        const struct sip_message *m = parse_any(span_of(text), &parsed, &fault);

        if (parsed != SIP_BAD || fault.status != 0 || sip_answerable(m))
            fail_msg("%s: %d", row[i], fault.status);
    }
}

static void ignores_noise(void **state)
{
    static const struct span row[] = {
        SPAN(""),
        SPAN("\r\n"),
        SPAN("\r\n\r\n"),
        SPAN("\0"),
        SPAN("\0\0\0\0"),
        SPAN("\0\1\0\0\x21\x12\xa4\x42"
             "0123456789ab"), /* STUN */
        SPAN("hello"),
        SPAN("hello world\r\n\r\n"),
        SPAN("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
        SPAN("REGISTER sip:a@b\r\n\r\n"),
        SPAN(" REGISTER sip:a@b SIP/2.0\r\n\r\n"),
        SPAN("\xff\xfe\xfd"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        enum sip_parsed parsed;
        const struct sip_message *m = parse_any(row[i], &parsed, NULL);

        if (parsed != SIP_NOT_SIP || sip_answerable(m))
            fail_msg("row %zu: %d", i, parsed);
    }
}

static void skips_leading_empty_lines(void **state)
{
    const struct sip_message *m = parse("\r\n\r\n" REQUEST("OPTIONS", ""));

    (void)state;
    assert_true(memcmp(m->raw.p, "OPTIONS", 7) == 0);
    assert_span(m->body, "");
}

struct bad_row {
    const char *text, *reason;
    int status;
    bool answerable;
};

#define VIA  "Via: SIP/2.0/UDP h;branch=z9hG4bKa\r\n"
#define FROM "From: <sip:a@b>;tag=f\r\n"
#define TO   "To: <sip:a@b>\r\n"
#define ID   "Call-ID: c\r\n"
#define CSEQ "CSeq: 7 OPTIONS\r\n"
#define LINE "OPTIONS sip:a@b SIP/2.0\r\n"
#define FIVE VIA FROM TO ID CSEQ

static void check_bad(const struct bad_row *row, size_t rows)
{
    for (size_t i = 0; i < rows; i++) {
        enum sip_parsed parsed;
        struct sip_fault fault;
        const struct sip_message *m = parse_any(span_of(row[i].text), &parsed, &fault);

        if (parsed != SIP_BAD || fault.status != row[i].status ||
            strcmp(fault.reason, row[i].reason) != 0 || sip_answerable(m) != row[i].answerable)
            fail_msg("%d %d \"%s\" %d for:\n%s", parsed, fault.status,
                     fault.reason ? fault.reason : "", sip_answerable(m), row[i].text);
        assert_true(fault.offset <= strlen(row[i].text));
    }
}

static void refuses_start_lines(void **state)
{
    static const struct bad_row row[] = {
        {"OPTIONS  sip:a@b SIP/2.0\r\n" FIVE "\r\n", "Bad Request Line", 400, true},
        {"OPTIONS sip:a@b  SIP/2.0\r\n" FIVE "\r\n", "Bad Request Line", 400, true},
        {"OPTIONS sip:a@b SIP/2.0 \r\n" FIVE "\r\n", "Bad Request Line", 400, true},
        {"OPTIONS sip:a@b; lr SIP/2.0\r\n" FIVE "\r\n", "Bad Request Line", 400, true},
        {"OPTIONS sip:a@b SIP/2.0x\r\n" FIVE "\r\n", "Bad Request Line", 400, true},
        {"OPTIONS sip:a@b\tSIP/2.0\r\n" FIVE "\r\n", "Bad Request Line", 400, true},
        {"OPTIONS <sip:a@b> SIP/2.0\r\n" FIVE "\r\n", "Bad Request-URI", 400, true},
        {"OPTIONS sip:a@b\t SIP/2.0\r\n" FIVE "\r\n", "Bad Request-URI", 400, true},
        {"OPTIONS a@b SIP/2.0\r\n" FIVE "\r\n", "Bad Request-URI", 400, true},
        {"OPTIONS sip: SIP/2.0\r\n" FIVE "\r\n", "Bad Request-URI", 400, true},
        {"OPTIONS \"sip:a@b\" SIP/2.0\r\n" FIVE "\r\n", "Bad Request-URI", 400, true},
        {"OPTIONS sip:a@b?Route=%3Cx%3E SIP/2.0\r\n" FIVE "\r\n", "Headers in Request-URI", 400,
         true},
        {"OPTIONS sip:a@b SIP/7.0\r\n" FIVE "\r\n", "Version Not Supported", 505, true},
        {"OPTIONS sip:a@b SIP/2.00\r\n" FIVE "\r\n", "Version Not Supported", 505, true},
        {"options sip:a@b SIP/2.0\r\n" FIVE "\r\n", "CSeq Method Mismatch", 400, true},
        {"ACK sip:a@b SIP/2.0\r\n" FIVE "\r\n", "CSeq Method Mismatch", 400, false},
    };

    (void)state;
    check_bad(row, sizeof row / sizeof *row);
}

static void refuses_header_lines(void **state)
{
    static const struct bad_row row[] = {
        {LINE FIVE "no colon\r\n\r\n", "Bad Header Field", 400, true},
        {LINE "no colon\r\n fold\r\n" FIVE "\r\n", "Bad Header Field", 400, true},
        {LINE FIVE ": no name\r\n\r\n", "Bad Header Field", 400, true},
        {LINE FIVE "two words: x\r\n\r\n", "Bad Header Field", 400, true},
        {LINE " fold of nothing\r\n" FIVE "\r\n", "Bad Header Field", 400, true},
        {LINE FIVE, "Missing Empty Line", 400, true},
        {LINE FIVE "X: y", "Truncated Header", 400, true},
        {LINE VIA FROM TO CSEQ "Call-ID: c", "Truncated Header", 400, false},
        {LINE FIVE "X: y\r", "Bare CR in Header", 400, true},
        {LINE FIVE "\r", "Bad Header Field", 400, true},
        /* what another parser would take for a line of its own */
        {LINE FIVE "X: y\nP-Asserted-Identity: <sip:boss@b>\r\n\r\n", "Bare LF in Header", 400,
         true},
        {LINE FIVE "X: y\rP-Asserted-Identity: <sip:boss@b>\r\n\r\n", "Bare CR in Header", 400,
         true},
        {LINE VIA FROM TO CSEQ "Call-ID: c\rX: y\r\n\r\n", "Bare CR in Header", 400, false},
        {LINE VIA FROM TO CSEQ "Call-ID: c\n x\r\n\r\n", "Bare LF in Header", 400, false},
        {"OPTIONS sip:a@b SIP/2.0\nVia: SIP/2.0/UDP h\nFrom: <sip:a@b>\nTo: <sip:a@b>\n"
         "Call-ID: c\nCSeq: 1 OPTIONS\n\n",
         "Bare LF in Header", 400, true},
        {LINE FIVE "\n", "Bare LF in Header", 400, true},
    };

    (void)state;
    check_bad(row, sizeof row / sizeof *row);
}

static void refuses_what_is_missing_or_twice(void **state)
{
    static const struct bad_row row[] = {
        {LINE FROM TO ID CSEQ "\r\n", "Missing Via", 400, false},
        {LINE VIA TO ID CSEQ "\r\n", "Missing From", 400, false},
        {LINE VIA FROM ID CSEQ "\r\n", "Missing To", 400, false},
        {LINE VIA FROM TO CSEQ "\r\n", "Missing Call-ID", 400, false},
        {LINE VIA FROM TO ID "\r\n", "Missing CSeq", 400, false},
        {LINE "v:\r\n" FROM TO ID CSEQ "\r\n", "Empty Via", 400, false},
        {LINE VIA "From: \r\n" TO ID CSEQ "\r\n", "Empty From", 400, false},
        {LINE VIA FROM TO "Call-ID:\r\n \r\n" CSEQ "\r\n", "Empty Call-ID", 400, false},
        {LINE FIVE "From: <sip:x@y>;tag=x\r\n\r\n", "Repeated From", 400, true},
        {LINE FIVE "t: <sip:x@y>\r\n\r\n", "Repeated To", 400, true},
        {LINE FIVE "i: c\r\n\r\n", "Repeated Call-ID", 400, true},
        {LINE FIVE CSEQ "\r\n", "Repeated CSeq", 400, true},
        {LINE FIVE "Max-Forwards: 70\r\nMax-Forwards: 5\r\n\r\n", "Repeated Max-Forwards", 400,
         true},
        {LINE FIVE "Max-Forwards: 256\r\n\r\n", "Bad Max-Forwards", 400, true},
        {LINE FIVE "Max-Forwards: -1\r\n\r\n", "Bad Max-Forwards", 400, true},
        {LINE FIVE "Max-Forwards:\r\n\r\n", "Bad Max-Forwards", 400, true},
        {LINE VIA FROM TO ID "CSeq: 4294967296 OPTIONS\r\n\r\n", "Bad CSeq", 400, true},
        {LINE VIA FROM TO ID "CSeq: -1 OPTIONS\r\n\r\n", "Bad CSeq", 400, true},
        {LINE VIA FROM TO ID "CSeq: 7\r\n\r\n", "Bad CSeq", 400, true},
        {LINE VIA FROM TO ID "CSeq: 7OPTIONS\r\n\r\n", "Bad CSeq", 400, true},
        {LINE VIA FROM TO ID "CSeq: 7 OPTIONS x\r\n\r\n", "Bad CSeq", 400, true},
        {LINE VIA FROM TO ID "CSeq: 7 INVITE\r\n\r\n", "CSeq Method Mismatch", 400, true},
        {LINE VIA FROM TO CSEQ "Call-ID: c d\r\n\r\n", "Bad Call-ID", 400, true},
        {LINE FIVE "Content-Length: 5\r\n\r\nbody", "Content-Length Beyond Message", 400, true},
        {LINE FIVE "Content-Length: 4294967297\r\n\r\nb", "Bad Content-Length", 400, true},
        {LINE FIVE "Content-Length: -1\r\n\r\n", "Bad Content-Length", 400, true},
        {LINE FIVE "Content-Length: 1, 1\r\n\r\nb", "Bad Content-Length", 400, true},
        {LINE FIVE "Content-Length: 1\r\nl: 2\r\n\r\nbody", "Contradicting Content-Length", 400,
         true},
        {LINE "Via: ;;\r\n" FROM TO ID CSEQ "\r\nx\r\n", NULL, 0, false},
    };

    (void)state;
    check_bad(row, sizeof row / sizeof *row - 1);
    /* A Via that cannot be read at all has no way back. */
    assert_false(sip_answerable(parse(row[sizeof row / sizeof *row - 1].text)));
}

/* An equal repetition frames the message without doubt. */
static void accepts_equal_content_lengths(void **state)
{
    const struct sip_message *m =
        parse(REQUEST("OPTIONS", "Content-Length: 2\r\nl: 02\r\n") "body");

    (void)state;
    assert_span(m->body, "bo");
}

static void handles_nul(void **state)
{
    static const char quoted[] = REQUEST("OPTIONS", "X: \"a\\\0b\"\r\n");
    static const char bare[] = REQUEST("OPTIONS", "X: a\0b\r\n");
    static const char name[] = REQUEST("OPTIONS", "X\0: a\r\n");
    static const char key[] = LINE VIA FROM TO CSEQ "Call-ID: \0c\r\n\r\n";
    enum sip_parsed parsed;
    struct sip_fault fault;
    const struct sip_message *m = parse_any(SPAN(quoted), &parsed, &fault);

    (void)state;
    assert_int_equal(parsed, SIP_PARSED);
    assert_true(span_eq(sip_find(m, SPAN("X"))->value, SPAN("\"a\\\0b\"")));
    m = parse_any(SPAN(bare), &parsed, &fault);
    assert_int_equal(parsed, SIP_BAD);
    assert_string_equal(fault.reason, "NUL in Header");
    assert_null(sip_find(m, SPAN("X")));
    assert_true(sip_answerable(m));
    parse_any(SPAN(name), &parsed, &fault);
    assert_int_equal(parsed, SIP_BAD);
    m = parse_any(SPAN(key), &parsed, &fault);
    assert_int_equal(parsed, SIP_BAD);
    assert_false(sip_answerable(m));
}

static void bounds_fields(void **state)
{
    static char text[16384];
    enum sip_parsed parsed;
    struct sip_fault fault;

    (void)state;
    for (int extra = 122; extra <= 300; extra += 89) {
        struct buf b = buf_make(text, sizeof text);

        buf_lit(&b, LINE FIVE);
        for (int i = 0; i < extra; i++)
            buf_lit(&b, "X: y\r\n");
        buf_lit(&b, "Expires: 3\r\n\r\n");

        const struct sip_message *m = parse_any(buf_done(&b), &parsed, &fault);

        if (extra == 122) { /* 128 fields in all */
            assert_int_equal(parsed, SIP_PARSED);
            assert_span(sip_value(m, SIP_H_EXPIRES), "3");
        } else {
            assert_int_equal(parsed, SIP_BAD);
            assert_string_equal(fault.reason, "Too Many Header Fields");
            assert_true(sip_answerable(m));
        }
        assert_int_equal(m->header_count, 128);
    }
}

/* Each header by its name and in any case; every prefix of a message ends well. */
static void knows_names(void **state)
{
    static const struct {
        const char *name;
        enum sip_header_id id;
    } row[] = {
        {"Via", SIP_H_VIA},
        {"V", SIP_H_VIA},
        {"FROM", SIP_H_FROM},
        {"f", SIP_H_FROM},
        {"to", SIP_H_TO},
        {"t", SIP_H_TO},
        {"Call-ID", SIP_H_CALL_ID},
        {"i", SIP_H_CALL_ID},
        {"CSeq", SIP_H_CSEQ},
        {"Contact", SIP_H_CONTACT},
        {"m", SIP_H_CONTACT},
        {"Max-Forwards", SIP_H_MAX_FORWARDS},
        {"Expires", SIP_H_EXPIRES},
        {"Min-Expires", SIP_H_MIN_EXPIRES},
        {"Route", SIP_H_ROUTE},
        {"Record-Route", SIP_H_RECORD_ROUTE},
        {"Path", SIP_H_PATH},
        {"Service-Route", SIP_H_SERVICE_ROUTE},
        {"Supported", SIP_H_SUPPORTED},
        {"k", SIP_H_SUPPORTED},
        {"Require", SIP_H_REQUIRE},
        {"Proxy-Require", SIP_H_PROXY_REQUIRE},
        {"Unsupported", SIP_H_UNSUPPORTED},
        {"Authorization", SIP_H_AUTHORIZATION},
        {"Proxy-Authorization", SIP_H_PROXY_AUTHORIZATION},
        {"WWW-Authenticate", SIP_H_WWW_AUTHENTICATE},
        {"Proxy-Authenticate", SIP_H_PROXY_AUTHENTICATE},
        {"Content-Length", SIP_H_CONTENT_LENGTH},
        {"l", SIP_H_CONTENT_LENGTH},
        {"Content-Type", SIP_H_CONTENT_TYPE},
        {"c", SIP_H_CONTENT_TYPE},
        {"Date", SIP_H_DATE},
        {"Reason", SIP_H_REASON},
        {"Retry-After", SIP_H_RETRY_AFTER},
        {"Event", SIP_H_EVENT},
        {"o", SIP_H_EVENT},
        {"User-Agent", SIP_H_USER_AGENT},
        {"P-Asserted-Identity", SIP_H_P_ASSERTED_IDENTITY},
        {"P-Preferred-Identity", SIP_H_P_PREFERRED_IDENTITY},
        {"Remote-Party-ID", SIP_H_REMOTE_PARTY_ID},
        {"", SIP_H_OTHER},
        {"x", SIP_H_OTHER},
        {"Vib", SIP_H_OTHER},
        {"Contacts", SIP_H_OTHER},
        {"Subject", SIP_H_OTHER},
        {"Call\rID", SIP_H_OTHER},
        {"Proxy-Authentication", SIP_H_OTHER},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char upper[64] = "", lower[64] = "";

        for (size_t j = 0; row[i].name[j]; j++) {
            lower[j] = ascii_lower(row[i].name[j]);
            upper[j] = lower[j] >= 'a' && lower[j] <= 'z' ? (char)(lower[j] - 32) : lower[j];
        }
        assert_int_equal(sip_header_of(exact(row[i].name)), row[i].id);
        assert_int_equal(sip_header_of(exact(upper)), row[i].id);
        assert_int_equal(sip_header_of(exact(lower)), row[i].id);
    }
    for (int m = SIP_INVITE; m <= SIP_PUBLISH; m++)
        assert_int_equal(sip_method_of(sip_method_text((enum sip_method)m)), m);
    assert_int_equal(sip_method_of(SPAN("invite")), SIP_METHOD_OTHER);
    assert_int_equal(sip_method_of(SPAN_NONE), SIP_METHOD_OTHER);
    assert_string_equal(sip_reason(423), "Interval Too Brief");
    assert_string_equal(sip_reason(299), "Unknown");
}

static void finds_compact_names(void **state)
{
    const struct sip_message *m = parse(REQUEST("OPTIONS", "s: lunch\r\nRefer-To: <sip:x@y>\r\n"));

    (void)state;
    assert_span(sip_find(m, SPAN("Subject"))->value, "lunch");
    assert_span(sip_find(m, SPAN("S"))->value, "lunch");
    assert_span(sip_find(m, SPAN("r"))->value, "<sip:x@y>");
    assert_span(sip_find(m, SPAN("i"))->value, "c1@10.0.0.1");
}

static void every_prefix_ends_well(void **state)
{
    static const char whole[] =
        REQUEST("REGISTER", "Contact: \"a\\\"b\" <sip:a@[2001:db8::1]:5060;ob>;q=0.5\r\n"
                            " ;expires=60\r\nContent-Length: 4\r\n") "body";

    (void)state;
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        enum sip_parsed parsed;
        const struct sip_message *m = parse_any(span_make(whole, n), &parsed, NULL);

        assert_int_not_equal(parsed, SIP_PARSED);
        (void)sip_answerable(m);
    }
}

static void copies(void **state)
{
    struct sip_via via;
    struct sip_fault fault;
    struct sip_message *m = parse("\r\n" REQUEST("INVITE", "X: y\r\nX: z\r\nl: 2\r\n") "body");
    struct sip_message *copy;

    (void)state;
    copy = sip_message_copy(malloc(sip_message_copy_size(m)), m);
    memset((char *)(uintptr_t)m->raw.p, '?', m->raw.n);
    memset(m, 0, sizeof *m);
    assert_span(copy->method_name, "INVITE");
    assert_span(copy->ruri, "sip:example.com");
    assert_span(copy->body, "bo");
    assert_null(copy->reason.p);
    assert_span(sip_value(copy, SIP_H_CALL_ID), "c1@10.0.0.1");
    assert_span(sip_next(copy, sip_find(copy, SPAN("X")))->line, "X: z\r\n");
    assert_true(sip_via_top(copy, &via, &fault));
    for (const struct span *s = &via.text; s <= &via.host; s++)
        assert_true(s->p > copy->raw.p && s->p < copy->raw.p + copy->raw.n);
    assert_true(via.branch.p > copy->raw.p && via.branch.p < copy->raw.p + copy->raw.n);
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(indexes_request),
        cmocka_unit_test(indexes_response),
        cmocka_unit_test(drops_bad_responses),
        cmocka_unit_test(ignores_noise),
        cmocka_unit_test(skips_leading_empty_lines),
        cmocka_unit_test(refuses_start_lines),
        cmocka_unit_test(refuses_header_lines),
        cmocka_unit_test(refuses_what_is_missing_or_twice),
        cmocka_unit_test(accepts_equal_content_lengths),
        cmocka_unit_test(handles_nul),
        cmocka_unit_test(bounds_fields),
        cmocka_unit_test(knows_names),
        cmocka_unit_test(finds_compact_names),
        cmocka_unit_test(every_prefix_ends_well),
        cmocka_unit_test(copies),
    };

    return cmocka_run_group_tests(tests, NULL, parsing_teardown);
}

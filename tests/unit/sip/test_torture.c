/*
 * The messages of RFC 4475 and RFC 5118, as far as parser and decoders decide.
 *
 * Each is read as a registrar or proxy reads it: parsed, then the fields that
 * every request is judged by. The row says how far it comes, and with what.
 */
#include "parsing.h"

enum reached {
    REFUSED, /* sip_parse() says bad */
    DROPPED, /* a response that is thrown away */
    BAD_VIA, /* the fields that are read before it is routed */
    BAD_FROM,
    BAD_TO,
    BAD_CONTACT,
    FINE,
};

struct row {
    const char *file;
    enum reached reached;
    int status; /* of the fault */
    const char *reason;
    bool answerable;
};

static const struct row rows[] = {
    /* RFC 4475 3.1.1: valid */
    {"wsinv", FINE, 0, NULL, true},
    {"intmeth", FINE, 0, NULL, true},
    {"esc01", FINE, 0, NULL, true},
    {"escnull", FINE, 0, NULL, true},
    {"esc02", FINE, 0, NULL, true},
    {"lwsdisp", FINE, 0, NULL, true},
    {"longreq", FINE, 0, NULL, true},
    {"dblreq", FINE, 0, NULL, true},
    {"semiuri", FINE, 0, NULL, true},
    {"transports", FINE, 0, NULL, true},
    {"mpart01", FINE, 0, NULL, true},
    {"unreason", FINE, 0, NULL, false},
    {"noreason", FINE, 0, NULL, false},
    /* 3.1.2: invalid */
    {"badinv01", BAD_VIA, 400, "Bad Via Parameter", true},
    {"clerr", REFUSED, 400, "Content-Length Beyond Message", true},
    {"ncl", REFUSED, 400, "Bad Content-Length", true},
    {"scalar02", REFUSED, 400, "Bad CSeq", true},
    {"scalarlg", DROPPED, 0, "Bad CSeq", false},
    {"quotbal", BAD_TO, 400, "Unbalanced Quotes in Address", true},
    {"ltgtruri", REFUSED, 400, "Bad Request-URI", true},
    {"lwsruri", REFUSED, 400, "Bad Request Line", true},
    {"lwsstart", REFUSED, 400, "Bad Request Line", true},
    {"trws", REFUSED, 400, "Bad Request Line", true},
    {"escruri", REFUSED, 400, "Headers in Request-URI", true},
    {"baddate", FINE, 0, NULL, true}, /* Date is not ours to judge: passed on */
    {"regbadct", BAD_CONTACT, 400, "Missing <> or Quotes in Address", true},
    {"badaspec", BAD_TO, 400, "Bad URI Scheme", true},
    /* Its file lacks the empty line as well; the display name: test_header.c. */
    {"baddn", REFUSED, 400, "Missing Empty Line", true},
    {"badvers", REFUSED, 505, "Version Not Supported", true},
    {"mismatch01", REFUSED, 400, "CSeq Method Mismatch", true},
    {"mismatch02", REFUSED, 400, "CSeq Method Mismatch", true},
    {"bigcode", DROPPED, 0, "Bad Status Line", false},
    {"badbranch", BAD_VIA, 400, "Empty Via Branch", true},
    /* 3.3: what the application decides */
    {"insuf", REFUSED, 400, "Missing From", false},
    {"unkscm", FINE, 0, NULL, true},
    {"novelsc", FINE, 0, NULL, true},
    {"unksm2", FINE, 0, NULL, true},
    {"bext01", FINE, 0, NULL, true},
    {"invut", FINE, 0, NULL, true},
    {"regaut01", FINE, 0, NULL, true},
    {"multi01", REFUSED, 400, "Repeated From", true},
    {"mcl01", REFUSED, 400, "Contradicting Content-Length", true},
    {"bcast", FINE, 0, NULL, false},
    {"zeromf", FINE, 0, NULL, true},
    {"cparam01", FINE, 0, NULL, true},
    {"cparam02", FINE, 0, NULL, true},
    {"regescrt", FINE, 0, NULL, true},
    {"sdp01", FINE, 0, NULL, true},
    {"inv2543", FINE, 0, NULL, true},
    /* RFC 5118 */
    {"ipv6-good", FINE, 0, NULL, true},
    {"ipv6-bad", REFUSED, 400, "Bad Request-URI", true},
    {"port-ambiguous", FINE, 0, NULL, true},
    {"port-unambiguous", FINE, 0, NULL, true},
    {"via-received-param-with-delim", FINE, 0, NULL, true},
    {"via-received-param-no-delim", FINE, 0, NULL, true},
    {"ipv6-in-sdp", FINE, 0, NULL, true},
    {"mult-ip-in-header", FINE, 0, NULL, true},
    {"mult-ip-in-sdp", FINE, 0, NULL, true},
    {"ipv4-mapped-ipv6", FINE, 0, NULL, true},
    {"ipv6-bug-abnf-3-colons", FINE, 0, NULL, true},
    {"ipv6-correct-abnf-2-colons", FINE, 0, NULL, true},
};

static struct span load(const char *file)
{
    static char text[8192];
    char path[512];
    FILE *f;
    size_t n;

    snprintf(path, sizeof path, "%s/%s.dat", TORTURE_DIR, file);
    f = fopen(path, "rb");
    if (!f)
        fail_msg("no %s", path);
    n = fread(text, 1, sizeof text, f);
    fclose(f);
    assert_in_range(n, 1, sizeof text - 1);
    return span_make(text, n);
}

static bool all_nameaddrs(const struct sip_message *m, enum sip_header_id id,
                          struct sip_fault *fault)
{
    struct sip_list it;
    struct sip_nameaddr na;
    struct span value;

    sip_list_init(&it, m, id);
    while (sip_list_next(&it, &value))
        if (!sip_nameaddr_parse(value, &na, fault))
            return false;
    return !it.bad;
}

static bool all_vias(const struct sip_message *m, struct sip_fault *fault)
{
    struct sip_list it;
    struct sip_via via;
    struct span value;
    bool any = false;

    sip_list_init(&it, m, SIP_H_VIA);
    while (sip_list_next(&it, &value)) {
        if (!sip_via_parse(value, &via, fault))
            return false;
        any = true;
    }
    return any && !it.bad;
}

static enum reached judge(struct span text, struct sip_message **m, struct sip_fault *fault)
{
    struct sip_nameaddr na;
    enum sip_parsed parsed;

    *m = parse_any(text, &parsed, fault);
    assert_int_not_equal(parsed, SIP_NOT_SIP);
    if (parsed == SIP_BAD)
        return (*m)->is_request ? REFUSED : DROPPED;
    if (!all_vias(*m, fault))
        return BAD_VIA;
    if (!sip_nameaddr_parse(sip_value(*m, SIP_H_FROM), &na, fault))
        return BAD_FROM;
    if (!sip_nameaddr_parse(sip_value(*m, SIP_H_TO), &na, fault))
        return BAD_TO;
    if (!all_nameaddrs(*m, SIP_H_CONTACT, fault) || !all_nameaddrs(*m, SIP_H_ROUTE, fault) ||
        !all_nameaddrs(*m, SIP_H_RECORD_ROUTE, fault))
        return BAD_CONTACT;
    return FINE;
}

static void judges_each(void **state)
{
    (void)state;
    assert_int_equal(sizeof rows / sizeof *rows, 61);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sip_fault fault = {0};
        struct sip_message *m;
        enum reached reached = judge(load(rows[i].file), &m, &fault);
        const char *reason = fault.reason ? fault.reason : "";

        if (reached != rows[i].reached || fault.status != rows[i].status ||
            strcmp(reason, rows[i].reason ? rows[i].reason : "") != 0 ||
            sip_answerable(m) != rows[i].answerable)
            fail_msg("%s: reached %d with %d \"%s\", answerable %d", rows[i].file, reached,
                     fault.status, reason, sip_answerable(m));
    }
}

/* What can be answered gets an answer that finds its transaction. */
static void answers_each(void **state)
{
    struct address source;

    (void)state;
    assert_true(address_parse(SPAN("127.0.0.9:5060"), 0, &source));
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const struct sip_message *m = parse_any(load(rows[i].file), NULL, NULL);
        char room[8192];
        struct buf b = buf_make(room, sizeof room);
        enum sip_parsed parsed;
        struct sip_fault fault;

        if (!rows[i].answerable)
            continue;
        sip_reply_begin(&b, m, 400, "Bad", SPAN("t"), &source);
        sip_put_end(&b, SPAN_NONE);
        assert_false(b.overflow);

        const struct sip_message *reply = parse_any(buf_done(&b), &parsed, &fault);

        /* The CSeq that made it bad comes back as it was (RFC 3261 8.2.6.2). */
        if (parsed != SIP_PARSED && strcmp(fault.reason, "Bad CSeq") != 0)
            fail_msg("%s: %s\n%.*s", rows[i].file, fault.reason, (int)b.n, room);
        assert_true(span_eq(sip_value(reply, SIP_H_CALL_ID), sip_value(m, SIP_H_CALL_ID)));
        assert_true(span_eq(sip_value(reply, SIP_H_CSEQ), sip_value(m, SIP_H_CSEQ)));
        assert_true(span_eq(sip_value(reply, SIP_H_FROM), sip_value(m, SIP_H_FROM)));
    }
}

static struct sip_message *load_message(const char *file)
{
    enum sip_parsed parsed;
    struct sip_message *m = parse_any(load(file), &parsed, NULL);

    assert_int_equal(parsed, SIP_PARSED);
    return m;
}

static struct sip_nameaddr nameaddr(struct span value)
{
    struct sip_nameaddr na;
    struct sip_fault fault;

    assert_true(sip_nameaddr_parse(value, &na, &fault));
    return na;
}

static struct sip_uri ruri_of(const struct sip_message *m)
{
    struct sip_uri uri;
    struct sip_fault fault;

    assert_true(sip_uri_parse(m->ruri, &uri, &fault));
    return uri;
}

static void reads_wsinv(void **state)
{
    const struct sip_message *m = load_message("wsinv");
    struct sip_list it;
    struct span value;
    struct sip_via via;
    struct sip_fault fault;
    static const char *const branches[] = {"390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"};
    uint16_t q;

    (void)state;
    assert_span(sip_tag(&(struct sip_nameaddr){.params = nameaddr(sip_value(m, SIP_H_TO)).params}),
                "1918181833n");
    assert_span(nameaddr(sip_value(m, SIP_H_FROM)).display, "\"J Rosenberg \\\\\\\"\"");
    assert_span(sip_value(m, SIP_H_MAX_FORWARDS), "0068");
    sip_list_init(&it, m, SIP_H_VIA);
    for (size_t i = 0; i < 3; i++) {
        assert_true(sip_list_next(&it, &value));
        assert_true(sip_via_parse(value, &via, &fault));
        assert_span(via.branch, branches[i]);
    }
    assert_false(sip_list_next(&it, &value));
    assert_span(sip_find(m, SPAN("newfangledheader"))->value,
                "newfangled value\r\n continued newfangled value");

    struct sip_nameaddr contact = nameaddr(sip_value(m, SIP_H_CONTACT));

    assert_span(contact.display, "\"Quoted string \\\"\\\"\"");
    assert_true(sip_param(contact.params, SPAN("newparam"), &value));
    assert_span(value, "newvalue");
    assert_true(sip_param(contact.params, SPAN("q"), &value));
    assert_true(sip_qvalue(value, &q));
    assert_int_equal(q, 330);
}

static void reads_uris(void **state)
{
    struct sip_uri uri = ruri_of(load_message("intmeth"));
    struct span value;
    struct sip_list it;
    struct sip_nameaddr na, other;
    const struct sip_message *m;
    char room[64];
    struct buf b = buf_make(room, sizeof room);

    (void)state;
    assert_span(uri.user, "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*");
    assert_span(uri.password, "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)");
    uri = ruri_of(load_message("esc01"));
    assert_span(uri.user, "sips%3Auser%40example.com");
    assert_span(uri.host, "example.net");
    uri = ruri_of(load_message("semiuri"));
    assert_span(uri.params, "");
    assert_true(sip_unescape(&b, uri.user));
    assert_built(&b, "user;par=u@example.net");

    na = nameaddr(sip_value(load_message("esc01"), SIP_H_CONTACT));
    assert_true(sip_uri_param(&na.uri, SPAN("lr"), &value));
    assert_true(sip_uri_param(&na.uri, SPAN("name"), &value));
    assert_span(value, "v%61lue%25%34%31");

    /* %00 neither truncates nor makes two contacts one */
    m = load_message("escnull");
    sip_list_init(&it, m, SIP_H_CONTACT);
    assert_true(sip_list_next(&it, &value));
    na = nameaddr(value);
    assert_true(sip_list_next(&it, &value));
    other = nameaddr(value);
    assert_false(sip_uri_equal(&na.uri, &other.uri));

    na = nameaddr(sip_value(load_message("cparam01"), SIP_H_CONTACT));
    assert_false(sip_uri_param(&na.uri, SPAN("unknownparam"), &value));
    assert_true(sip_param(na.params, SPAN("unknownparam"), &value));
    na = nameaddr(sip_value(load_message("cparam02"), SIP_H_CONTACT));
    assert_true(sip_uri_param(&na.uri, SPAN("unknownparam"), &value));
    assert_span(na.params, "");
    na = nameaddr(sip_value(load_message("regescrt"), SIP_H_CONTACT));
    assert_span(na.uri.headers, "Route=%3Csip:sip.example.com%3E");
    assert_int_equal(ruri_of(load_message("unkscm")).scheme, SIP_SCHEME_OTHER);
    assert_int_equal(load_message("esc02")->method, SIP_METHOD_OTHER);
    assert_span(load_message("esc02")->method_name, "RE%47IST%45R");
}

static void reads_the_rest(void **state)
{
    struct sip_via via;
    struct sip_fault fault;
    const struct sip_message *m = load_message("dblreq");

    (void)state;
    assert_span(m->body, "");
    assert_true(m->raw.n < load("dblreq").n);
    m = load_message("mpart01");
    assert_non_null(memchr(m->body.p, 0, m->body.n));
    assert_span(load_message("noreason")->reason, "");
    assert_int_equal(load_message("unreason")->status, 200);
    assert_true(sip_via_second(load_message("bcast"), &via));
    assert_span(via.host, "255.255.255.255");

    assert_span(ruri_of(load_message("ipv6-good")).host, "[2001:db8::10]");
    assert_span(ruri_of(load_message("port-ambiguous")).host, "[2001:db8::10:5070]");
    assert_int_equal(ruri_of(load_message("port-ambiguous")).port, 0);
    assert_span(ruri_of(load_message("port-unambiguous")).host, "[2001:db8::10]");
    assert_int_equal(ruri_of(load_message("port-unambiguous")).port, 5070);
    assert_true(sip_via_top(load_message("via-received-param-with-delim"), &via, &fault));
    assert_span(via.received, "[2001:db8::9:255]");
    assert_true(sip_via_top(load_message("via-received-param-no-delim"), &via, &fault));
    assert_span(via.received, "2001:db8::9:255");

    struct sip_uri three = ruri_of(load_message("ipv6-bug-abnf-3-colons"));
    struct sip_uri two = ruri_of(load_message("ipv6-correct-abnf-2-colons"));

    assert_true(sip_uri_equal(&three, &two));
}

/* What is forwarded parses again, and loses nothing (3.1.1.1, 3.1.1.11). */
static void forwards_each(void **state)
{
    struct sip_forward how = {.via = SPAN("SIP/2.0/UDP us;branch=z9hG4bKu"), .max_forwards = 69};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        static char room[8192];
        struct buf b = buf_make(room, sizeof room);
        enum sip_parsed parsed;
        const struct sip_message *m = parse_any(load(rows[i].file), &parsed, NULL);

        if (parsed != SIP_PARSED || !m->is_request)
            continue;
        sip_forward_request(&b, m, &how);
        assert_false(b.overflow);

        const struct sip_message *sent = parse_any(buf_done(&b), &parsed, NULL);

        assert_int_equal(parsed, SIP_PARSED);
        assert_true(span_eq(sent->body, m->body));
        assert_true(span_eq(sent->ruri, m->ruri));

        const struct sip_header *a = sip_first(m, SIP_H_OTHER);
        const struct sip_header *c = sip_first(sent, SIP_H_OTHER);

        for (; a && c; a = sip_next(m, a), c = sip_next(sent, c))
            assert_true(span_eq(a->line, c->line));
        assert_true(!a && !c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_each),    cmocka_unit_test(answers_each),
        cmocka_unit_test(reads_wsinv),    cmocka_unit_test(reads_uris),
        cmocka_unit_test(reads_the_rest), cmocka_unit_test(forwards_each),
    };

    return cmocka_run_group_tests(tests, NULL, parsing_teardown);
}

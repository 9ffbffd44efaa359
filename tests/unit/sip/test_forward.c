/*
 * sip/forward: what changes on the way and what does not.
 */
#include "parsing.h"

static char room[8192];

static struct buf fresh(void)
{
    return buf_make(room, sizeof room);
}

#define RECEIVED                                                                                   \
    "INVITE sip:c@d;mr=x SIP/2.0\r\n"                                                              \
    "v : SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKa , SIP/2.0/TCP b\r\n"                            \
    "X-Odd:   ;;,,;;,;\r\n"                                                                        \
    "Max-Forwards:070\r\n"                                                                         \
    "VIA: SIP/2.0/UDP z\r\n"                                                                       \
    "Route: <sip:one;lr>, <sip:two;lr>,\r\n <sip:three;lr>\r\n"                                    \
    "f: <sip:a@b>;tag=f\r\n"                                                                       \
    "t: <sip:c@d>\r\n"                                                                             \
    "ROUTE:<sip:four;lr>\r\n"                                                                      \
    "i: c1\r\n"                                                                                    \
    "P-Asserted-Identity: <sip:boss@b>\r\n"                                                        \
    "X-FS-Support: update_display\r\n"                                                             \
    "x-fs-Other : 1\r\n"                                                                           \
    "s: lunch\r\n"                                                                                 \
    "Folded : a\r\n  b\t\r\n"                                                                      \
    "CSeq: 1 INVITE\r\n"                                                                           \
    "l : 4\r\n"                                                                                    \
    "\r\nbodyrest"

static struct address source(void)
{
    struct address a;

    assert_true(address_parse(SPAN("10.0.0.9:40000"), 0, &a));
    return a;
}

static void forwards_unchanged(void **state)
{
    struct sip_forward how = {.via = SPAN("SIP/2.0/UDP us;branch=z9hG4bKu"), .max_forwards = 69};
    struct buf b = fresh();

    (void)state;
    sip_forward_request(&b, parse(RECEIVED), &how);
    assert_built(&b, "INVITE sip:c@d;mr=x SIP/2.0\r\n"
                     "Via: SIP/2.0/UDP us;branch=z9hG4bKu\r\n"
                     "v : SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKa , SIP/2.0/TCP b\r\n"
                     "X-Odd:   ;;,,;;,;\r\n"
                     "Max-Forwards: 69\r\n"
                     "VIA: SIP/2.0/UDP z\r\n"
                     "Route: <sip:one;lr>, <sip:two;lr>,\r\n <sip:three;lr>\r\n"
                     "f: <sip:a@b>;tag=f\r\n"
                     "t: <sip:c@d>\r\n"
                     "ROUTE:<sip:four;lr>\r\n"
                     "i: c1\r\n"
                     "P-Asserted-Identity: <sip:boss@b>\r\n"
                     "X-FS-Support: update_display\r\n"
                     "x-fs-Other : 1\r\n"
                     "s: lunch\r\n"
                     "Folded : a\r\n  b\t\r\n"
                     "CSeq: 1 INVITE\r\n"
                     "l : 4\r\n"
                     "\r\nbody");
}

static void forwards_changed(void **state)
{
    static const struct span names[] = {SPAN("x-fs-*"), SPAN("Subject"), SPAN("Folde")};
    struct address from = source();
    struct sip_forward how = {
        .ruri = SPAN("sip:c@10.0.0.7"),
        .via = SPAN("SIP/2.0/UDP us;branch=z9hG4bKu"),
        .record_routes = SPAN("Record-Route: <sip:us;lr>\r\n"),
        .routes = SPAN("Route: <sip:path;lr>\r\n"),
        .pop_routes = 2,
        .max_forwards = 0,
        .remove = SIP_SET(SIP_H_P_ASSERTED_IDENTITY) | SIP_SET(SIP_H_OTHER),
        .remove_names = names,
        .remove_name_count = sizeof names / sizeof *names,
        .extra = SPAN("Extra: 1\r\n"),
        .source = &from,
    };
    struct buf b = fresh();

    (void)state;
    sip_forward_request(&b, parse(RECEIVED), &how);
    assert_built(&b, "INVITE sip:c@10.0.0.7 SIP/2.0\r\n"
                     "Via: SIP/2.0/UDP us;branch=z9hG4bKu\r\n"
                     "Record-Route: <sip:us;lr>\r\n"
                     "Route: <sip:path;lr>\r\n"
                     "Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKa;received=10.0.0.9, "
                     "SIP/2.0/TCP b\r\n"
                     "X-Odd:   ;;,,;;,;\r\n"
                     "Max-Forwards: 0\r\n"
                     "VIA: SIP/2.0/UDP z\r\n"
                     "Route: <sip:three;lr>\r\n"
                     "f: <sip:a@b>;tag=f\r\n"
                     "t: <sip:c@d>\r\n"
                     "ROUTE:<sip:four;lr>\r\n"
                     "i: c1\r\n"
                     "Folded : a\r\n  b\t\r\n"
                     "CSeq: 1 INVITE\r\n"
                     "l : 4\r\n"
                     "Extra: 1\r\n"
                     "\r\nbody");
}

/* How many Routes are left, by how many are popped. */
static void pops_routes(void **state)
{
    static const char *const left[] = {
        "<sip:one;lr>, <sip:two;lr>,\r\n <sip:three;lr>",
        "<sip:two;lr>,\r\n <sip:three;lr>",
        "<sip:three;lr>",
        "<sip:four;lr>",
        "",
        "",
    };

    (void)state;
    for (int pop = 0; pop < 6; pop++) {
        struct sip_forward how = {.via = SPAN("SIP/2.0/UDP us"), .pop_routes = pop};
        struct buf b = fresh();

        sip_forward_request(&b, parse(RECEIVED), &how);

        const struct sip_message *m = parse_any(buf_done(&b), NULL, NULL);

        assert_span(sip_value(m, SIP_H_ROUTE), left[pop]);
    }

    struct sip_forward how = {.via = SPAN("SIP/2.0/UDP us"), .drop_routes = true};
    struct buf b = fresh();

    sip_forward_request(&b, parse(RECEIVED), &how);
    assert_false(sip_has(parse_any(buf_done(&b), NULL, NULL), SIP_H_ROUTE));
}

static void adds_what_is_missing(void **state)
{
    struct sip_forward how = {.via = SPAN("SIP/2.0/UDP us"), .max_forwards = 70};
    struct buf b = fresh();

    (void)state;
    sip_forward_request(&b, parse(REQUEST("MESSAGE", "X: y\r\n") "hello"), &how);
    assert_built(&b, "MESSAGE sip:example.com SIP/2.0\r\n"
                     "Via: SIP/2.0/UDP us\r\n"
                     "Max-Forwards: 70\r\n"
                     "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKa\r\n"
                     "From: <sip:alice@example.com>;tag=f\r\n"
                     "To: <sip:alice@example.com>\r\n"
                     "Call-ID: c1@10.0.0.1\r\n"
                     "CSeq: 7 MESSAGE\r\n"
                     "X: y\r\n"
                     "Content-Length: 5\r\n\r\nhello");
}

static void passes_responses_back(void **state)
{
    static const struct {
        const char *vias, *passed;
    } row[] = {
        {"Via: SIP/2.0/UDP us\r\nX: y\r\nv: SIP/2.0/UDP a\r\n", "X: y\r\nv: SIP/2.0/UDP a\r\n"},
        {"v:SIP/2.0/UDP us;x=\",\" ,SIP/2.0/UDP a ,\r\n SIP/2.0/UDP b\r\nVia: SIP/2.0/UDP c\r\n",
         "v: SIP/2.0/UDP a ,\r\n SIP/2.0/UDP b\r\nVia: SIP/2.0/UDP c\r\n"},
        {"Via: SIP/2.0/UDP us\r\n", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        static const char rest[] = "From: <sip:a@b>;tag=f\r\nTo : <sip:c@d>;tag=t\r\n"
                                   "Call-ID: c\r\nCSeq: 1 INVITE\r\n";
        char text[1024], expected[1024];
        struct buf b = fresh();

        snprintf(text, sizeof text, "sip/2.0 183 Se\xc3\x9fion\r\n%s%sl: 1\r\n\r\nxyz", row[i].vias,
                 rest);
        snprintf(expected, sizeof expected, "SIP/2.0 183 Se\xc3\x9fion\r\n%s%sl: 1\r\n\r\nx",
                 row[i].passed, rest);
        sip_forward_response(&b, parse(text));
        assert_built(&b, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forwards_unchanged),    cmocka_unit_test(forwards_changed),
        cmocka_unit_test(pops_routes),           cmocka_unit_test(adds_what_is_missing),
        cmocka_unit_test(passes_responses_back),
    };

    return cmocka_run_group_tests(tests, NULL, parsing_teardown);
}

/*
 * sip/build: answers, CANCEL, ACK, dates.
 */
#include "parsing.h"

static char room[4096];

static struct buf fresh(void)
{
    return buf_make(room, sizeof room);
}

static struct address at(const char *text)
{
    struct address a;

    assert_true(address_parse(span_of(text), 0, &a));
    return a;
}

static void answers(void **state)
{
    const struct sip_message *m = parse("INVITE sip:a@b SIP/2.0\r\n"
                                        "v: SIP/2.0/UDP 192.168.0.2:5062;branch=z9hG4bKa\r\n"
                                        "X: y\r\n"
                                        "Via: SIP/2.0/TCP b;branch=z9hG4bKb\r\n"
                                        "f: <sip:a@b>;tag=f\r\n"
                                        "t: <sip:c@d>\r\n"
                                        "i: c1\r\n"
                                        "CSeq: 007 INVITE\r\n"
                                        "Timestamp: 54\r\n"
                                        "l: 0\r\n\r\n");
    struct address source = at("10.0.0.1:40000");
    struct buf b = fresh();

    (void)state;
    sip_reply_begin(&b, m, 486, NULL, SPAN("t1"), &source);
    sip_put_field(&b, "Retry-After", SPAN("5"));
    sip_put_end(&b, SPAN("body"));
    assert_built(&b, "SIP/2.0 486 Busy Here\r\n"
                     "Via: SIP/2.0/UDP "
                     "192.168.0.2:5062;branch=z9hG4bKa;received=10.0.0.1;rport=40000\r\n"
                     "Via: SIP/2.0/TCP b;branch=z9hG4bKb\r\n"
                     "From: <sip:a@b>;tag=f\r\n"
                     "To: <sip:c@d>;tag=t1\r\n"
                     "Call-ID: c1\r\n"
                     "CSeq: 007 INVITE\r\n"
                     "Retry-After: 5\r\n"
                     "Content-Length: 4\r\n\r\nbody");
    b = fresh();
    sip_reply_begin(&b, m, 100, "Hold On", SPAN_NONE, NULL);
    sip_put_end(&b, SPAN_NONE);
    assert_built(&b, "SIP/2.0 100 Hold On\r\n"
                     "Via: SIP/2.0/UDP 192.168.0.2:5062;branch=z9hG4bKa\r\n"
                     "Via: SIP/2.0/TCP b;branch=z9hG4bKb\r\n"
                     "From: <sip:a@b>;tag=f\r\n"
                     "To: <sip:c@d>\r\n"
                     "Call-ID: c1\r\n"
                     "CSeq: 007 INVITE\r\n"
                     "Timestamp: 54\r\n"
                     "Content-Length: 0\r\n\r\n");
}

static void marks_via(void **state)
{
    static const struct {
        const char *via, *source, *marked;
    } row[] = {
        {"SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKa", "10.0.0.1:9",
         "SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKa;received=10.0.0.1"},
        {"SIP/2.0/UDP 10.0.0.1;rport;branch=z9hG4bKa", "10.0.0.1:9",
         "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bKa;received=10.0.0.1;rport=9"},
        {"SIP/2.0/UDP h;RPORT=7;x=\"a;received=b\" ; Received = 9.9.9.9 ; y", "10.0.0.1:9",
         "SIP/2.0/UDP h;x=\"a;received=b\"; y;received=10.0.0.1;rport=9"},
        {"SIP/2.0/UDP h;received=9.9.9.9", "10.0.0.1:9", "SIP/2.0/UDP h;received=10.0.0.1"},
        {"SIP / 2.0\r\n / UDP h : 5\r\n ;branch=x, SIP/2.0/TCP i;received=1.2.3.4, SIP/2.0/TCP j",
         "[2001:db8::1]:9",
         "SIP / 2.0\r\n / UDP h : 5;branch=x;received=2001:db8::1, "
         "SIP/2.0/TCP i;received=1.2.3.4, SIP/2.0/TCP j"},
        {"SIP/2.0/UDP h;;,;", "10.0.0.1:9", "SIP/2.0/UDP h;;,;"}, /* nothing to mend */
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[1024];
        struct address source = at(row[i].source);
        struct buf b = fresh();

        snprintf(text, sizeof text,
                 "OPTIONS sip:h SIP/2.0\r\nVia: %s\r\nFrom: <sip:a@b>\r\nTo: <sip:a@b>\r\n"
                 "Call-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n",
                 row[i].via);
        sip_reply_begin(&b, parse_any(span_of(text), NULL, NULL), 200, NULL, SPAN("t"), &source);
        sip_put_end(&b, SPAN_NONE);
        assert_false(b.overflow);

        const struct sip_message *reply = parse_any(buf_done(&b), NULL, NULL);

        assert_span(sip_value(reply, SIP_H_VIA), row[i].marked);
    }
}

static void keeps_to_tag(void **state)
{
    static const struct {
        const char *to, *answered;
    } row[] = {
        {"<sip:a@b>", "<sip:a@b>;tag=new"},
        {"<sip:a@b;tag=uri>;x=y", "<sip:a@b;tag=uri>;x=y;tag=new"},
        {"<sip:a@b>;TAG=old", "<sip:a@b>;TAG=old"},
        {"sip:a@b ; tag = old", "sip:a@b ; tag = old"},
        {"\"x;tag=1\" <sip:a@b>", "\"x;tag=1\" <sip:a@b>;tag=new"},
        {"\"x <sip:a@b>", "\"x <sip:a@b>;tag=new"}, /* a bad one is answered too */
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[1024];
        struct buf b = fresh();

        snprintf(text, sizeof text,
                 "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@b>\r\nTo: %s\r\n"
                 "Call-ID: c\r\nCSeq: 1 OPTIONS\r\n\r\n",
                 row[i].to);
        sip_reply_begin(&b, parse(text), 400, "Bad To", SPAN("new"), NULL);
        sip_put_end(&b, SPAN_NONE);
        assert_span(sip_value(parse_any(buf_done(&b), NULL, NULL), SIP_H_TO), row[i].answered);
    }
}

#define INVITE_SENT                                                                                \
    "INVITE sip:c@10.0.0.7:5070;ob SIP/2.0\r\n"                                                    \
    "Via: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKours, SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKtheirs\r\n"  \
    "Record-Route: <sip:10.0.0.5;lr>\r\n"                                                          \
    "Route: <sip:p1;lr>, <sip:p2;lr>\r\n"                                                          \
    "Max-Forwards: 68\r\n"                                                                         \
    "From: \"A\" <sip:a@b>;tag=f\r\n"                                                              \
    "To: <sip:c@d>\r\n"                                                                            \
    "Call-ID: c1\r\n"                                                                              \
    "CSeq: 0042 INVITE\r\n"                                                                        \
    "Route: <sip:p3;lr>\r\n"                                                                       \
    "Contact: <sip:a@10.0.0.9>\r\n"                                                                \
    "Content-Length: 2\r\n\r\nhi"

static void cancels(void **state)
{
    struct buf b = fresh();

    (void)state;
    sip_build_cancel(&b, parse(INVITE_SENT),
                     SPAN("SIP;cause=200;text=\"Call completed elsewhere\""));
    assert_built(&b, "CANCEL sip:c@10.0.0.7:5070;ob SIP/2.0\r\n"
                     "Via: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKours\r\n"
                     "Route: <sip:p1;lr>, <sip:p2;lr>\r\n"
                     "Route: <sip:p3;lr>\r\n"
                     "Max-Forwards: 70\r\n"
                     "From: \"A\" <sip:a@b>;tag=f\r\n"
                     "To: <sip:c@d>\r\n"
                     "Call-ID: c1\r\n"
                     "CSeq: 42 CANCEL\r\n"
                     "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n"
                     "Content-Length: 0\r\n\r\n");
}

static void acknowledges(void **state)
{
    struct buf b = fresh();

    (void)state;
    sip_build_ack(&b, parse(INVITE_SENT),
                  parse("SIP/2.0 486 Busy Here\r\n"
                        "Via: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKours\r\n"
                        "From: \"A\" <sip:a@b>;tag=f\r\nTo: <sip:c@d>;tag=busy\r\n"
                        "Call-ID: c1\r\nCSeq: 42 INVITE\r\n\r\n"));
    assert_built(&b, "ACK sip:c@10.0.0.7:5070;ob SIP/2.0\r\n"
                     "Via: SIP/2.0/UDP 10.0.0.5;branch=z9hG4bKours\r\n"
                     "Route: <sip:p1;lr>, <sip:p2;lr>\r\n"
                     "Route: <sip:p3;lr>\r\n"
                     "Max-Forwards: 70\r\n"
                     "From: \"A\" <sip:a@b>;tag=f\r\n"
                     "To: <sip:c@d>;tag=busy\r\n"
                     "Call-ID: c1\r\n"
                     "CSeq: 42 ACK\r\n"
                     "Content-Length: 0\r\n\r\n");
}

static void writes_dates(void **state)
{
    static const struct {
        uint64_t wall_s;
        const char *text;
    } row[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
        {951868799, "Tue, 29 Feb 2000 23:59:59 GMT"},
        {1709251199, "Thu, 29 Feb 2024 23:59:59 GMT"},
        {1795382269, "Sun, 22 Nov 2026 21:17:49 GMT"},
        {1798761599, "Thu, 31 Dec 2026 23:59:59 GMT"},
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct buf b = fresh();

        sip_put_date(&b, row[i].wall_s);
        assert_built(&b, row[i].text);
    }
}

static void stops_at_the_end_of_the_buffer(void **state)
{
    const struct sip_message *m = parse(INVITE_SENT);
    struct address source = at("10.0.0.1:40000");

    (void)state;
    for (size_t cap = 0; cap < 200; cap++) {
        char *small = malloc(cap + 1);
        struct buf b = buf_make(small, cap);

        sip_reply_begin(&b, m, 486, NULL, SPAN("t1"), &source);
        sip_put_end(&b, SPAN_NONE);
        assert_true(b.overflow);
        assert_true(b.n <= cap);
        free(small);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers),
        cmocka_unit_test(marks_via),
        cmocka_unit_test(keeps_to_tag),
        cmocka_unit_test(cancels),
        cmocka_unit_test(acknowledges),
        cmocka_unit_test(writes_dates),
        cmocka_unit_test(stops_at_the_end_of_the_buffer),
    };

    return cmocka_run_group_tests(tests, NULL, parsing_teardown);
}

/*
 * sip/via: decoding, and where a response goes.
 */
#include "parsing.h"

static void decodes(void **state)
{
    static const struct {
        const char *value, *transport, *host;
        uint32_t port;
        const char *branch, *received, *maddr;
        bool has_rport;
        uint32_t rport;
    } row[] = {
        {"SIP/2.0/UDP 10.0.0.1", "UDP", "10.0.0.1", 0, "", "", "", false, 0},
        {"SIP/2.0/UDP h:5060;branch=z9hG4bKx;rport", "UDP", "h", 5060, "z9hG4bKx", "", "", true, 0},
        {"SIP  /   2.0\r\n /UDP\r\n    192.0.2.2;branch=390skdjuw", "UDP", "192.0.2.2", 0,
         "390skdjuw", "", "", false, 0},
        {"SIP  / 2.0  / TCP     spindle.example.com   ;\r\n  branch  =   z9hG4bK9ikj8", "TCP",
         "spindle.example.com", 0, "z9hG4bK9ikj8", "", "", false, 0},
        {"SIP/2.0/UDP h : 5070 ; RPORT = 99 ; received=10.0.0.9;maddr=224.0.0.1;ttl=1", "UDP", "h",
         5070, "", "10.0.0.9", "224.0.0.1", true, 99},
        {"SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKa", "UDP",
         "[2001:db8::9:1]", 0, "z9hG4bKa", "[2001:db8::9:255]", "", false, 0},
        {"SIP/2.0/TLS [2001:db8::1]:5061;received=2001:db8::9:255", "TLS", "[2001:db8::1]", 5061,
         "", "2001:db8::9:255", "", false, 0},
        {"SIP/2.0/UNKNOWN my_host.invalid;x=\"a;b\"", "UNKNOWN", "my_host.invalid", 0, "", "", "",
         false, 0},
        {"SIP/2.0/UDP h;rport=", "UDP", "h", 0, "", "", "", true, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct sip_via via;
        struct sip_fault fault;

        if (!sip_via_parse(exact(row[i].value), &via, &fault))
            fail_msg("refused (%s): %s", fault.reason, row[i].value);
        assert_span(via.text, row[i].value);
        assert_span(via.transport, row[i].transport);
        assert_span(via.host, row[i].host);
        assert_int_equal(via.port, row[i].port);
        assert_span(via.branch, row[i].branch);
        assert_span(via.received, row[i].received);
        assert_span(via.maddr, row[i].maddr);
        assert_int_equal(via.has_rport, row[i].has_rport);
        assert_int_equal(via.rport, row[i].rport);
    }
}

static void refuses(void **state)
{
    static const char *const row[] = {
        "",
        "SIP/2.0",
        "SIP/2.0/UDP",
        "SIP/2.0/UDP ",
        "SIP/2.0 UDP h",
        "SIP//UDP h",
        "/2.0/UDP h",
        "SIP/2.0/ h",
        "SIP/2.0/UDPh;branch=x",
        "SIP/2.0/UDP ;branch=x",
        "SIP/2.0/UDP h:;branch=x",
        "SIP/2.0/UDP h:0",
        "SIP/2.0/UDP h:70000",
        "SIP/2.0/UDP h x",
        "SIP/2.0/UDP [::1",
        "SIP/2.0/UDP 2001:db8::1",
        "SIP/2.0/UDP h;;",
        "SIP/2.0/UDP h;branch=a b",
        "SIP/2.0/UDP h;rport=x",
        "SIP/2.0/UDP h;rport=65536",
        "SIP/2.0/UDP h;branch=z9hG4bK",
        "SIP/2.0/UDP <h>",
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct sip_via via;
        struct sip_fault fault = {0};

        if (sip_via_parse(exact(row[i]), &via, &fault))
            fail_msg("accepted: %s", row[i]);
        assert_int_equal(fault.status, 400);
        /* what could be read is fit to answer by */
        assert_in_range(via.port, 0, 65535);
    }
}

static void finds_top_and_second(void **state)
{
    struct sip_via via;
    struct sip_fault fault;
    const char *two = "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP a , SIP/2.0/TCP b\r\n"
                      "From: <sip:a@b>\r\nTo: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n"
                      "v: SIP/2.0/UDP c\r\n\r\n";
    const char *fields = "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nFrom: <sip:a@b>\r\n"
                         "To: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n"
                         "v: SIP/2.0/UDP c\r\n\r\n";

    (void)state;
    assert_true(sip_via_top(parse(two), &via, &fault));
    assert_span(via.text, "SIP/2.0/UDP a");
    assert_true(sip_via_second(parse(two), &via));
    assert_span(via.host, "b");
    assert_true(sip_via_second(parse(fields), &via));
    assert_span(via.host, "c");
    assert_false(sip_via_second(parse(REQUEST("OPTIONS", "")), &via));
}

static void answers_by_via(void **state)
{
    static const struct {
        const char *via, *source, *to;
    } row[] = {
        /* RFC 3261 18.2.2: the sent-by port */
        {"SIP/2.0/UDP 10.0.0.1:5062", "10.0.0.1:40000", "10.0.0.1:5062"},
        {"SIP/2.0/UDP 10.0.0.1", "10.0.0.1:40000", "10.0.0.1:5060"},
        /* RFC 3581 */
        {"SIP/2.0/UDP 10.0.0.1:5062;rport", "10.0.0.1:40000", "10.0.0.1:40000"},
        /* behind NAT and does not ask */
        {"SIP/2.0/UDP 192.168.0.2:5062", "10.0.0.1:40000", "10.0.0.1:40000"},
        /* a name tells nothing */
        {"SIP/2.0/UDP phone.example.com:5062", "10.0.0.1:40000", "10.0.0.1:5062"},
        {"SIP/2.0/UDP phone.invalid;rport", "10.0.0.1:40000", "10.0.0.1:40000"},
        /* what the sender claims is not believed */
        {"SIP/2.0/UDP 10.0.0.1;maddr=10.9.9.9", "10.0.0.1:40000", "10.0.0.1:5060"},
        {"SIP/2.0/UDP 10.0.0.1;received=10.9.9.9;rport=7", "10.0.0.1:40000", "10.0.0.1:40000"},
        {"SIP/2.0/UDP [2001:DB8:0::1]:5062", "[2001:db8::1]:40000", "[2001:db8::1]:5062"},
        {"SIP/2.0/UDP [2001:db8::2]:5062", "[2001:db8::1]:40000", "[2001:db8::1]:40000"},
        {"SIP/2.0/UDP [::ffff:10.0.0.1]:5062", "10.0.0.1:40000", "10.0.0.1:5062"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct sip_via via;
        struct sip_fault fault;
        struct address source, to;
        char room[64];
        struct buf b = buf_make(room, sizeof room);

        assert_true(sip_via_parse(exact(row[i].via), &via, &fault));
        assert_true(address_parse(span_of(row[i].source), 0, &source));
        sip_via_reply_address(&via, &source, &to);
        address_put(&b, &to);
        assert_built(&b, row[i].to);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes),
        cmocka_unit_test(refuses),
        cmocka_unit_test(finds_top_and_second),
        cmocka_unit_test(answers_by_via),
    };

    return cmocka_run_group_tests(tests, NULL, parsing_teardown);
}

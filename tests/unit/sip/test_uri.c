/*
 * sip/uri: decoding, parameters, canonical forms.
 */
#include "parsing.h"

static struct sip_uri uri_of(const char *text)
{
    struct sip_uri uri;
    struct sip_fault fault = {0};

    if (!sip_uri_parse(exact(text), &uri, &fault))
        fail_msg("refused: %s", text);
    return uri;
}

static void decodes(void **state)
{
    static const struct {
        const char *text, *user, *password, *host;
        uint32_t port;
        const char *params, *headers;
    } row[] = {
        {"sip:h", "", NULL, "h", 0, "", ""},
        {"SIP:a@h", "a", NULL, "h", 0, "", ""},
        {"sips:a:b@h:5061", "a", "b", "h", 5061, "", ""},
        {"sip:a:@h", "a", "", "h", 0, "", ""},
        {"sip:a@10.0.0.1:05060;transport=udp;lr", "a", NULL, "10.0.0.1", 5060, ";transport=udp;lr",
         ""},
        {"sip:a@[2001:db8::1]:5070?a=b&c=", "a", NULL, "[2001:db8::1]", 5070, "", "a=b&c="},
        {"sip:[::ffff:192.0.2.2];x", "", NULL, "[::ffff:192.0.2.2]", 0, ";x", ""},
        {"sip:u@[2001:db8:::192.0.2.1]", "u", NULL, "[2001:db8:::192.0.2.1]", 0, "", ""},
        {"sip:a;b?c/d=1,2&+$@h", "a;b?c/d=1,2&+$", NULL, "h", 0, "", ""},
        {"sip:%00@h", "%00", NULL, "h", 0, "", ""},
        {"sip:*72#@my_pbx.local.", "*72#", NULL, "my_pbx.local.", 0, "", ""},
        {"sip:a@h;pn-prid=x:remote&y:voip;k=aGk==;e=", "a", NULL, "h", 0,
         ";pn-prid=x:remote&y:voip;k=aGk==;e=", ""},
        {"sip:a@h;p=[1]/:%20?x=[2]?", "a", NULL, "h", 0, ";p=[1]/:%20", "x=[2]?"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct sip_uri uri = uri_of(row[i].text);

        assert_span(uri.text, row[i].text);
        assert_int_equal(uri.scheme,
                         ascii_lower(row[i].text[3]) == 's' ? SIP_SCHEME_SIPS : SIP_SCHEME_SIP);
        assert_span(uri.user, row[i].user);
        assert_int_equal(uri.has_user, row[i].user[0] != 0);
        assert_int_equal(uri.password.p != NULL, row[i].password != NULL);
        assert_span(uri.password, row[i].password ? row[i].password : "");
        assert_span(uri.host, row[i].host);
        assert_int_equal(uri.port, row[i].port);
        assert_span(uri.params, row[i].params);
        assert_span(uri.headers, row[i].headers);
    }
}

static void decodes_other_schemes(void **state)
{
    (void)state;
    assert_int_equal(uri_of("tel:+49170").scheme, SIP_SCHEME_TEL);
    assert_int_equal(uri_of("TEL:+49170;phone-context=x").scheme, SIP_SCHEME_TEL);
    assert_int_equal(uri_of("http://a:b@c/?d").scheme, SIP_SCHEME_OTHER);
    assert_int_equal(uri_of("soap.beep://192.0.2.103:3002").scheme, SIP_SCHEME_OTHER);
    assert_int_equal(uri_of("isbn:2983792873").scheme, SIP_SCHEME_OTHER);
}

static void refuses(void **state)
{
    static const char *const row[] = {
        "",
        "sip",
        "sip:",
        ":a@b",
        "1sip:a@b",
        "s p:a@b",
        "sip:@h",
        "sip:a@",
        "sip::p@h",
        "sip:a@b@c",
        "sip:a@h:",
        "sip:a@h:0",
        "sip:a@h:65536",
        "sip:a@h:99999999999999999999",
        "sip:a@h:5x",
        "sip:2001:db8::10",
        "sip:a@[2001:db8::10",
        "sip:a@[]",
        "sip:a@[10]",
        "sip:a@[fe80::1%25eth0]",
        "sip:a@2001:db8::10]",
        "sip:a%4@h",
        "sip:a%4g@h",
        "sip:a%@h",
        "sip:a:%x1@h",
        "sip:a b@h",
        "sip: a@h",
        "sip:a@h ",
        "sip:a@h;",
        "sip:a@h;;x",
        "sip:a@h;=x",
        "sip:a@h;x=%g1",
        "sip:a@h;x=\"y\"",
        "sip:a@h;x=<y>",
        "sip:a@h;x=a@b",
        "sip:a@h?",
        "sip:a@h?x",
        "sip:a@h?=x",
        "sip:a@h?x=y&",
        "sip:a@h?x=y;z",
        "sip:a@h>",
        "<sip:a@h>",
        "sip:\"a\"@h",
        "sip:a@h\r\nX: y",
        "sip:a@h\x7f",
        "sip:a@\xc3\xa4",
        "sip:a@%68",
        "tel:",
        "tel:a b",
        "http://<x>",
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct sip_uri uri;
        struct sip_fault fault = {0};

        if (sip_uri_parse(exact(row[i]), &uri, &fault))
            fail_msg("accepted: %s", row[i]);
        assert_int_equal(fault.status, 400);
        assert_non_null(fault.reason);
    }
}

static void bounds_parameters(void **state)
{
    static char text[512];
    struct sip_uri uri;
    struct sip_fault fault;

    (void)state;
    for (int count = 32; count <= 33; count++) {
        struct buf b = buf_make(text, sizeof text);

        buf_lit(&b, "sip:h");
        for (int i = 0; i < count; i++)
            buf_lit(&b, ";x");
        assert_int_equal(sip_uri_parse(buf_done(&b), &uri, &fault), count == 32);
    }
    for (int count = 32; count <= 33; count++) {
        struct buf b = buf_make(text, sizeof text);

        buf_lit(&b, "sip:h");
        for (int i = 0; i < count; i++)
            buf_str(&b, i ? "&x=" : "?x=");
        assert_int_equal(sip_uri_parse(buf_done(&b), &uri, &fault), count == 32);
    }
}

static void finds_parameters(void **state)
{
    struct sip_uri uri = uri_of("sip:h;a=1;LR;%62=%41;c=d=e;a=2;f=");
    struct span value;

    (void)state;
    assert_true(sip_uri_param(&uri, SPAN("A"), &value));
    assert_span(value, "1");
    assert_true(sip_uri_param(&uri, SPAN("lr"), &value));
    assert_null(value.p);
    assert_true(sip_uri_param(&uri, SPAN("b"), &value));
    assert_span(value, "%41");
    assert_true(sip_uri_param(&uri, SPAN("c"), &value));
    assert_span(value, "d=e");
    assert_true(sip_uri_param(&uri, SPAN("f"), &value));
    assert_span(value, "");
    assert_false(sip_uri_param(&uri, SPAN("d"), &value));
    assert_false(sip_uri_param(&uri, SPAN(""), &value));
}

static void reads_host_addresses(void **state)
{
    static const struct {
        const char *host, *ip;
    } row[] = {
        {"192.0.2.1", "192.0.2.1"},
        {"[2001:DB8:0:0::1]", "2001:db8::1"},
        {"[::ffff:192.0.2.2]", "192.0.2.2"},
        {"[2001:db8:::192.0.2.1]", "2001:db8::c000:201"},
        {"2001:db8::9", "2001:db8::9"},
        {"example.com", NULL},
        {"[2001:db8::::1]", NULL},
        {"[:::::::::::::::::::::::::::::::::::::::::::::::::::::::::::::::]", NULL},
        {"", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct address a;
        char room[64];
        struct buf b = buf_make(room, sizeof room);
        bool is_ip = sip_host_address(exact(row[i].host), &a);

        assert_int_equal(is_ip, row[i].ip != NULL);
        if (is_ip) {
            address_put_ip(&b, &a);
            assert_built(&b, row[i].ip);
        }
    }
}

static void makes_canonical(void **state)
{
    static const struct {
        const char *uri, *aor;
    } row[] = {
        {"sip:alice@Example.COM", "sip:alice@example.com"},
        {"sips:Alice@example.com:5061;x=y?a=b", "sip:Alice@example.com"},
        {"sip:%61lice:secret@example.com", "sip:alice@example.com"},
        {"sip:a%3bb%3B%20@h", "sip:a;b;%20@h"},
        {"sip:a;b@h", "sip:a;b@h"},
        {"sip:%00%40%3a@h", "sip:%00%40%3A@h"},
        {"sip:a#%23@h", "sip:a%23%23@h"},
        {"sip:%25%3c@h", "sip:%25%3C@h"},
        {"sip:a@[2001:DB8:0::1]", "sip:a@[2001:db8::1]"},
        {"sip:a@[2001:DB8:::1]", "sip:a@[2001:db8::1]"},
        {"sip:example.com", NULL},
        {"tel:+49", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct sip_uri uri = uri_of(row[i].uri);
        char room[64];
        struct buf b = buf_make(room, sizeof room);

        assert_int_equal(sip_canonical_aor(&b, &uri), row[i].aor != NULL);
        if (row[i].aor)
            assert_built(&b, row[i].aor);
    }
}

static void fits_a_request(void **state)
{
    static const struct {
        const char *uri, *request;
    } row[] = {
        {"sip:a@h:5070;transport=tcp;lr", "sip:a@h:5070;transport=tcp;lr"},
        {"sip:a@h?Subject=x", "sip:a@h"},
        {"sip:a@h;x=y?Subject=x&Route=z", "sip:a@h;x=y"},
        {"sip:a@h;Method=MESSAGE;x", "sip:a@h;x"},
        {"sip:a@h;m%65thod=MESSAGE", "sip:a@h"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct sip_uri uri = uri_of(row[i].uri);
        char room[64];
        struct buf b = buf_make(room, sizeof room);

        sip_put_request_uri(&b, &uri);
        assert_built(&b, row[i].request);
    }
}

static void unescapes(void **state)
{
    char room[16];
    struct buf b = buf_make(room, sizeof room);

    (void)state;
    assert_true(sip_unescape(&b, exact("%41b%63%25")));
    assert_built(&b, "Abc%");
    assert_false(sip_unescape(&b, exact("%4")));
    assert_false(sip_unescape(&b, exact("%zz")));
    assert_false(sip_canonical_user(&b, exact("a%")));
    b = buf_make(room, 2);
    assert_true(sip_unescape(&b, exact("abc")));
    assert_true(b.overflow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decodes),          cmocka_unit_test(decodes_other_schemes),
        cmocka_unit_test(refuses),          cmocka_unit_test(bounds_parameters),
        cmocka_unit_test(finds_parameters), cmocka_unit_test(reads_host_addresses),
        cmocka_unit_test(makes_canonical),  cmocka_unit_test(unescapes),
        cmocka_unit_test(fits_a_request),
    };

    return cmocka_run_group_tests(tests, NULL, parsing_teardown);
}

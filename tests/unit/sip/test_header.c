/*
 * sip/header: lists, parameters, name-addr, CSeq, numbers.
 */
#include "parsing.h"

/* Joins the values of a list with '|'; "!" at the end: it was bad. */
static void list_of(const struct sip_message *m, enum sip_header_id id, struct buf *out)
{
    struct sip_list it;
    struct span value;

    sip_list_init(&it, m, id);
    while (sip_list_next(&it, &value)) {
        buf_span(out, value);
        buf_char(out, '|');
    }
    if (it.bad)
        buf_char(out, '!');
}

static void splits_lists(void **state)
{
    static const struct {
        const char *fields, *values;
        enum sip_header_id id;
    } row[] = {
        {"", "", SIP_H_CONTACT},
        {"Contact: a\r\n", "a|", SIP_H_CONTACT},
        {"Contact: a , b\r\n ,\tc\r\nm: d\r\n", "a|b|c|d|", SIP_H_CONTACT},
        {"Contact: \"a,\\\",b\" <sip:a,b@c>;x=\"1,2\", <sip:d,e>\r\n",
         "\"a,\\\",b\" <sip:a,b@c>;x=\"1,2\"|<sip:d,e>|", SIP_H_CONTACT},
        {"Contact: <sip:(a@b>, (one (two, \")\" \\) )), c\r\n",
         "<sip:(a@b>|(one (two, \")\" \\) ))|c|", SIP_H_CONTACT},
        {"Contact: *\r\n", "*|", SIP_H_CONTACT},
        {"Contact: \r\n", "!", SIP_H_CONTACT},
        {"Contact: a\r\nContact:\r\n", "a|!", SIP_H_CONTACT},
        {"Contact: a,,b\r\n", "a|!", SIP_H_CONTACT},
        {"Contact: ,a\r\n", "!", SIP_H_CONTACT},
        {"Contact: a, b,\r\n", "a|!", SIP_H_CONTACT},
        {"Contact: a, \"b\r\n", "a|!", SIP_H_CONTACT},
        {"Contact: a, \"b\\\"\r\n", "a|!", SIP_H_CONTACT},
        {"Contact: a, <b\r\n", "a|!", SIP_H_CONTACT},
        {"Contact: a, b>\r\n", "a|!", SIP_H_CONTACT},
        {"Contact: a, (b\r\n", "a|!", SIP_H_CONTACT},
        {"Supported:\r\nk: path , gruu\r\n", "path|gruu|", SIP_H_SUPPORTED},
        {"Supported:\r\n", "", SIP_H_SUPPORTED},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        char text[1024], room[1024];
        struct buf b = buf_make(room, sizeof room);

        snprintf(text, sizeof text,
                 "OPTIONS sip:h SIP/2.0\r\nVia: SIP/2.0/UDP h\r\nFrom: <sip:a@b>\r\n"
                 "To: <sip:a@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n%s\r\n",
                 row[i].fields);
        list_of(parse(text), row[i].id, &b);
        assert_built(&b, row[i].values);
    }
}

static void finds_option_tags(void **state)
{
    const struct sip_message *m =
        parse(REQUEST("REGISTER", "Supported: path,\r\n Outbound\r\nk: gruu\r\n"));

    (void)state;
    assert_true(sip_list_has(m, SIP_H_SUPPORTED, SPAN("PATH")));
    assert_true(sip_list_has(m, SIP_H_SUPPORTED, SPAN("outbound")));
    assert_true(sip_list_has(m, SIP_H_SUPPORTED, SPAN("gruu")));
    assert_false(sip_list_has(m, SIP_H_SUPPORTED, SPAN("out")));
    assert_false(sip_list_has(m, SIP_H_REQUIRE, SPAN("path")));
}

static void iterates_parameters(void **state)
{
    static const struct {
        const char *params, *seen;
    } row[] = {
        {"", ""},
        {"  \r\n ", ""},
        {";a", "a|"},
        {" ; a = 1\r\n ;\tb;c=\"x;\\\"=\" ; d=", "a=1|b|c=\"x;\\\"=\"|d=|"},
        {";received=2001:db8::9:255;x=[::1]", "received=2001:db8::9:255|x=[::1]|"},
        {";a;;b", "a|!"},
        {";", "!"},
        {";a;", "a|!"},
        {"a", "!"},
        {";a b", "!"},
        {";a=1 2", "!"},
        {";a=\"1", "!"},
        {";a=\"1\\\"", "!"},
        {";a=1\"2\"", "!"},
        {";a=<x>", "!"},
        {";a=1,b", "!"},
        {";=1", "!"},
        {";a@b=1", "!"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct span params = exact(row[i].params);
        struct span name, value;
        char room[256];
        struct buf b = buf_make(room, sizeof room);
        bool bad = false;

        while (sip_param_next(&params, &name, &value, &bad)) {
            buf_span(&b, name);
            if (value.p) {
                buf_char(&b, '=');
                buf_span(&b, value);
            }
            buf_char(&b, '|');
        }
        if (bad)
            buf_char(&b, '!');
        assert_built(&b, row[i].seen);
    }

    struct span value;

    assert_true(sip_param(exact(";a;TAG=x;tag=y"), SPAN("tag"), &value));
    assert_span(value, "x");
    assert_false(sip_param(exact(";a;bad bad;tag=y"), SPAN("tag"), &value));
    assert_false(sip_param(SPAN_NONE, SPAN("tag"), &value));
}

static void decodes_nameaddr(void **state)
{
    static const struct {
        const char *value, *display, *uri, *params, *tag;
        bool bracketed;
    } row[] = {
        {"<sip:a@b>", "", "sip:a@b", "", "", true},
        {"sip:a@b", "", "sip:a@b", "", "", false},
        {"sip:a@b;tag=1", "", "sip:a@b", ";tag=1", "1", false},
        {"sip:a@b ;   tag    = 19", "", "sip:a@b", ";   tag    = 19", "19", false},
        {"<sip:a@b;x>;tag=1;y", "", "sip:a@b;x", ";tag=1;y", "1", true},
        {"caller<sip:a@b>", "caller", "sip:a@b", "", "", true},
        {"Two  Words\r\n <sip:a@b>\r\n ;\r\n tag = 1", "Two  Words", "sip:a@b", ";\r\n tag = 1",
         "1", true},
        {"\"Q \\\" > < , \\\\\"<sip:a@b>;tag=1", "\"Q \\\" > < , \\\\\"", "sip:a@b", ";tag=1", "1",
         true},
        {"\"\" <sip:a@b?x=y>", "\"\"", "sip:a@b?x=y", "", "", true},
        {"M\xc3\xbcller (home) <sip:a@b>", "M\xc3\xbcller (home)", "sip:a@b", "", "", true},
        {"<sip:cal%3Eer@b>", "", "sip:cal%3Eer@b", "", "", true},
        {"sip:a@b;+sip.instance=\"<urn:uuid:1>\";tag=2", "", "sip:a@b",
         ";+sip.instance=\"<urn:uuid:1>\";tag=2", "2", false},
        {"<http://www.example.com>;tag=3", "", "http://www.example.com", ";tag=3", "3", true},
        {"tel:+49;tag=4", "", "tel:+49", ";tag=4", "4", false},
        {"  <sip:a@b>  ", "", "sip:a@b", "", "", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct sip_nameaddr na;
        struct sip_fault fault;

        if (!sip_nameaddr_parse(exact(row[i].value), &na, &fault))
            fail_msg("refused (%s): %s", fault.reason, row[i].value);
        assert_span(na.display, row[i].display);
        assert_span(na.uri_text, row[i].uri);
        assert_span(na.uri.text, row[i].uri);
        assert_span(na.params, row[i].params);
        assert_span(sip_tag(&na), row[i].tag);
        assert_span(sip_value_tag(exact(row[i].value)), row[i].tag);
        assert_int_equal(na.bracketed, row[i].bracketed);
    }
}

static void refuses_nameaddr(void **state)
{
    static const char *const row[] = {
        "",
        "*",
        "alice",
        "\"Mr. J. User <sip:a@b>",
        "\"Mr. J. User\\\" <sip:a@b>",
        "\"Mr. J. User\" sip:a@b",
        "\"Mr. J. User\"",
        "\"A\" B <sip:a@b>",
        "A \"B\" <sip:a@b>",
        "Bell, Alexander <sip:a@b>;tag=43",
        "A;B <sip:a@b>",
        "< sip:a@b >",
        "<sip:a@b",
        "<<sip:a@b>>",
        "<sip:a@b>x",
        "<sip:a@b>;;;;",
        "<sip:a@b>;a=\"",
        "<sip:a@b>,<sip:c@d>",
        "<>",
        "sip:a@b?Route=%3Csip:c%3E",
        "sip:a@b,sip:c@d",
        "sip:a@b c",
        "sip:a@b>",
        "sip:a@b;tag=<x>",
        "<sip:a\r\n b@c>",
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct sip_nameaddr na;
        struct sip_fault fault = {0};

        if (sip_nameaddr_parse(exact(row[i]), &na, &fault))
            fail_msg("accepted: %s", row[i]);
        assert_int_equal(fault.status, 400);
    }
}

static void decodes_cseq(void **state)
{
    struct sip_cseq cseq;
    struct sip_fault fault;

    (void)state;
    assert_true(sip_cseq_parse(exact("0009\r\n  INVITE"), &cseq, &fault));
    assert_int_equal(cseq.number, 9);
    assert_span(cseq.method, "INVITE");
    assert_true(sip_cseq_parse(exact("4294967295 x!y"), &cseq, &fault));
    assert_int_equal(cseq.number, UINT32_MAX);
    assert_false(sip_cseq_parse(exact("4294967296 INVITE"), &cseq, &fault));
    assert_false(sip_cseq_parse(exact("INVITE 1"), &cseq, &fault));
    assert_false(sip_cseq_parse(exact("1 IN VITE"), &cseq, &fault));
    assert_false(sip_cseq_parse(exact("1INVITE"), &cseq, &fault));
    assert_false(sip_cseq_parse(exact("1 "), &cseq, &fault));
    assert_false(sip_cseq_parse(SPAN_NONE, &cseq, &fault));
    assert_string_equal(fault.reason, "Empty CSeq");
}

static void reads_numbers(void **state)
{
    static const struct {
        const char *text;
        int q;
    } row[] = {
        {"0", 0},        {"1", 1000},   {"0.", 0},   {"0.5", 500},   {"0.25", 250}, {"0.001", 1},
        {"1.000", 1000}, {"1.001", -1}, {"1.1", -1}, {"0.1234", -1}, {"2", -1},     {".5", -1},
        {"", -1},        {"0,5", -1},   {"-1", -1},  {"0.5x", -1},   {"00.5", -1},
    };
    uint32_t seconds;
    uint16_t q;

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        bool fine = sip_qvalue(exact(row[i].text), &q);

        if (fine != (row[i].q >= 0) || (fine && q != row[i].q))
            fail_msg("q=%s", row[i].text);
    }
    assert_true(sip_delta_seconds(exact("03600"), &seconds));
    assert_int_equal(seconds, 3600);
    assert_true(sip_delta_seconds(exact("4294967296"), &seconds));
    assert_int_equal(seconds, UINT32_MAX);
    assert_true(sip_delta_seconds(exact("1000000000000000000000000000000000000000"), &seconds));
    assert_int_equal(seconds, UINT32_MAX);
    assert_false(sip_delta_seconds(exact(""), &seconds));
    assert_false(sip_delta_seconds(exact("-1"), &seconds));
    assert_false(sip_delta_seconds(exact("99999999999x"), &seconds));
    assert_true(sip_is_token(exact("a-.!%*_+`'~Z9")));
    assert_false(sip_is_token(exact("")));
    assert_false(sip_is_token(exact("a b")));
    assert_false(sip_is_token(exact("a/b")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(splits_lists),        cmocka_unit_test(finds_option_tags),
        cmocka_unit_test(iterates_parameters), cmocka_unit_test(decodes_nameaddr),
        cmocka_unit_test(refuses_nameaddr),    cmocka_unit_test(decodes_cseq),
        cmocka_unit_test(reads_numbers),
    };

    return cmocka_run_group_tests(tests, NULL, parsing_teardown);
}

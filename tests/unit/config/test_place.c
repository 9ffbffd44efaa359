/*
 * Where a main registrar is: an address or a name, with or without a port; what is
 * neither is told; and where it may be, however that address was found.
 */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define LISTEN      "listen = [ \"udp:127.0.0.1\" ]\n"
#define AT(address) LISTEN "upstream = { a = { address = \"" address "\" } }\n"

static struct config *parse(const char *text)
{
    struct config *c = config_parse(text, "t.conf", stderr);

    assert_non_null(c);
    return c;
}

static void test_names(void **state)
{
    static const struct {
        const char *address, *host;
        uint16_t port;
    } rows[] = {
        {"pbx.example.com:5080", "pbx.example.com", 5080},
        {"PBX.Example.Com", "pbx.example.com", 0},
        {"freeswitch", "freeswitch", 0},
        {"my_pbx-1:65535", "my_pbx-1", 65535},
        {"1.2.3.4a", "1.2.3.4a", 0},
        {"10.0.0.5", NULL, 0},
        {"127.0.0.1:5080", NULL, 0},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        struct config *c;

        snprintf(text, sizeof text,
                 "domains = [ \"a.b\" ]\nupstream = { pbx = { address = \"%s\" } }\n",
                 rows[i].address);
        c = parse(text);
        assert_int_equal(c->upstream[0].host != NULL, rows[i].host != NULL);
        if (rows[i].host) {
            assert_string_equal(c->upstream[0].host, rows[i].host);
            assert_int_equal(c->upstream[0].host_port, rows[i].port);
            assert_int_equal(c->upstream[0].address.family, ADDRESS_NONE);
        }
        config_free(c);
    }
}

static void test_resolver(void **state)
{
    struct config *c = parse(AT("127.0.0.1:5080"));

    (void)state;
    assert_int_equal(c->resolver.family, ADDRESS_NONE);
    config_free(c);
    c = parse(AT("127.0.0.1:5080") "resolver = \"[::1]\"\n");
    assert_int_equal(c->resolver.family, ADDRESS_IP6);
    assert_int_equal(c->resolver.port, 53);
    config_free(c);
}

/* The same is asked of an address in the file and of one that a name leads to. */
static void test_where_it_may_be(void **state)
{
    static const struct {
        const char *address;
        enum config_place place;
    } rows[] = {
        {"10.0.0.5:5080", PLACE_GOOD},  {"10.0.0.9:5060", PLACE_OWN},
        {"10.0.0.9:5080", PLACE_GOOD},  {"[2001:db8::1]:5080", PLACE_BEYOND},
        {"127.0.0.1:5080", PLACE_GOOD}, {"127.0.0.1:5070", PLACE_OWN},
    };
    struct config *c = parse("listen = [ \"udp:10.0.0.9:5060\", \"udp:127.0.0.1:5070\" ]\n"
                             "domains = [ \"a.b\" ]\n"
                             "upstream = { pbx = { address = \"pbx.example.com\" } }\n");
    struct address a;

    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_true(address_parse(span_of(rows[i].address), 0, &a));
        assert_int_equal(config_place_of(c, &c->upstream[0], &a), rows[i].place);
    }
    c->upstream[0].listeners = 1 << 1; /* its own: the one on loopback */
    assert_true(address_parse(SPAN("10.0.0.5:5080"), 0, &a));
    assert_int_equal(config_place_of(c, &c->upstream[0], &a), PLACE_BEYOND_LISTEN);
    config_free(c);
}

/* ---- mistakes -------------------------------------------------------------------------- */

static void check_mistake(const char *text, const char *message)
{
    char told[2048] = "";
    FILE *errors = fmemopen(told, sizeof told - 1, "w");
    const char *end;

    assert_non_null(errors);
    assert_null(config_parse(text, "t.conf", errors));
    assert_int_equal(fclose(errors), 0);
    end = strchr(told, '\n');
    if (strncmp(told, message, strlen(message)) != 0 || !end || end[1])
        fail_msg("wanted: %s\ngot: %s", message, told);
}

static void test_neither(void **state)
{
#define LABEL "aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeee"
    static const char *const rows[] = {
        "pbx.example.com:0",
        "pbx.example.com:70000",
        "pbx.example.com:",
        "pbx.example.com:sip",
        "pbx.example.com:5060:5061",
        "10.0.0.300:5080",
        "10.0.0",
        "5080",
        "",
        "pbx..example.com",
        "-pbx",
        "sip:pbx.example.com",
        "pbx example",
        "[pbx]",
        LABEL "aaaaaaaaaabbbb.com",
        LABEL "." LABEL "." LABEL "." LABEL ".aaaaaaaaaabbbbbbbbbbccccccccccdddddddd.de", /* 245 */
    };

    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512], message[512];

        snprintf(text, sizeof text, LISTEN "upstream = { a = { address = \"%s\" } }\n", rows[i]);
        snprintf(message, sizeof message,
                 "t.conf:2: address = \"%s\" is no IP address or host name with an optional port",
                 rows[i]);
        check_mistake(text, message);
    }
}

static void test_other_mistakes(void **state)
{
    (void)state;
    check_mistake(LISTEN "upstream = { a = { address = 5080 } }\n",
                  "t.conf:2: address must be a string");
    check_mistake("listen = [ \"tcp:127.0.0.1\" ]\n"
                  "upstream = { a = { address = \"pbx.example.com\" } }\n",
                  "t.conf:2: no udp: listener can send to upstream a");
    check_mistake(LISTEN "upstream = { a = { address = \"pbx.example.com\"\n"
                         "sources = [ \"127.0.0.1\" ]; "
                         "listen = [ \"tcp:127.0.0.1:5090\" ] } }\n",
                  "t.conf:3: listen of upstream a has no udp: address");
    check_mistake(LISTEN "upstream = { a = { address = \"pbx.example.com\"; "
                         "contact = \"pbx\" } }\n",
                  "t.conf:2: contact = \"pbx\" is no IP address with an optional port");
    check_mistake(AT("127.0.0.1:5080") "resolver = \"dns.example.com\"\n",
                  "t.conf:3: resolver = \"dns.example.com\" is no IP address with an optional");
    check_mistake(AT("127.0.0.1:5080") "resolver = 53\n", "t.conf:3: resolver must be a string");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),           cmocka_unit_test(test_resolver),
        cmocka_unit_test(test_where_it_may_be), cmocka_unit_test(test_neither),
        cmocka_unit_test(test_other_mistakes),
    };

    return cmocka_run_group_tests_name("config-place", tests, NULL, NULL);
}

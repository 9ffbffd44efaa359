/* base/address: what is read, what is refused, how it is written. */
#include "base/address.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>

static const char *written(const struct address *a)
{
    static char room[64];
    struct buf out = buf_make(room, sizeof room - 1);

    address_put(&out, a);
    room[out.n] = 0;
    return room;
}

static void test_reads_and_writes(void **state)
{
    static const struct {
        const char *text;
        const char *written;
    } good[] = {
        {"10.0.0.5:5080", "10.0.0.5:5080"},
        {"10.0.0.5", "10.0.0.5:5060"},
        {"[::1]:5061", "[::1]:5061"},
        {"[::1]", "[::1]:5060"},
        {"[2001:DB8::0:1]", "[2001:db8::1]:5060"},
        {"[::ffff:10.0.0.5]:1", "10.0.0.5:1"},
        {"1.2.3.4:65535", "1.2.3.4:65535"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct address a;

        assert_true(address_parse(span_of(good[i].text), 5060, &a));
        assert_string_equal(written(&a), good[i].written);
    }
}

static void test_refuses(void **state)
{
    static const char *const bad[] = {
        "",
        "a.b",
        "10.0.0.5:",
        "10.0.0.5:0",
        "10.0.0.5:65536",
        "10.0.0.5:5x",
        "10.0.0",
        "::1",
        "[::1",
        "[::1]x",
        "[::1]5060",
        "[10.0.0.5]:1",
        "[]",
        ":5060",
        "10.0.0.5:-1",
        " 10.0.0.5",
        "[::1]:",
        "[[::1]]",
        "1.2.3.4.5",
        "300.1.1.1",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:0000:11111",
    };
    struct address a;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (address_parse(span_of(bad[i]), 5060, &a))
            fail_msg("%s was read", bad[i]);
    assert_false(address_parse(span_make("10.0.0.5\0", 9), 5060, &a));
    assert_false(address_parse(SPAN_NONE, 5060, &a));
}

static void test_equal_bytes(void **state)
{
    struct address a, b;
    char room[64];
    struct buf out = buf_make(room, sizeof room);

    (void)state;
    assert_true(address_parse(SPAN("[::ffff:10.0.0.5]:7"), 0, &a));
    assert_true(address_parse(SPAN("10.0.0.5:7"), 0, &b));
    assert_true(address_equal(&a, &b));
    b.port = 8;
    assert_false(address_equal(&a, &b));
    assert_true(address_same_host(&a, &b));
    assert_true(address_parse_ip(SPAN("[fe80::1]"), &a));
    assert_false(address_same_host(&a, &b));
    address_put_host(&out, &a);
    address_put_ip(&out, &a);
    assert_true(span_eq(buf_done(&out), SPAN("[fe80::1]fe80::1")));
}

static void test_kernel_form(void **state)
{
    static const char *const some[] = {"10.0.0.5:5080", "[2001:db8::7]:9"};
    struct sockaddr_storage kernel;
    struct sockaddr_in6 mapped = {.sin6_family = AF_INET6, .sin6_port = htons(5)};
    struct address a, b;

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        assert_true(address_parse(span_of(some[i]), 0, &a));
        assert_true(address_to_sockaddr(&a, &kernel) > 0);
        memset(&b, 0xff, sizeof b);
        address_from_sockaddr(&b, (struct sockaddr *)&kernel);
        assert_true(address_equal(&a, &b));
    }
    assert_int_equal(inet_pton(AF_INET6, "::ffff:1.2.3.4", &mapped.sin6_addr), 1);
    address_from_sockaddr(&a, (struct sockaddr *)&mapped);
    assert_string_equal(written(&a), "1.2.3.4:5");
}

static void test_kinds(void **state)
{
    static const struct {
        const char *text;
        bool loopback;
        bool any;
    } kinds[] = {
        {"127.0.0.1", true, false}, {"127.9.9.9", true, false}, {"[::1]", true, false},
        {"0.0.0.0", false, true},   {"[::]", false, true},      {"10.0.0.1", false, false},
        {"[::2]", false, false},
    };
    struct address none = {.family = ADDRESS_NONE};

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct address a;

        assert_true(address_parse_ip(span_of(kinds[i].text), &a));
        assert_int_equal(address_is_loopback(&a), kinds[i].loopback);
        assert_int_equal(address_is_any(&a), kinds[i].any);
    }
    assert_false(address_is_any(&none));
    assert_string_equal(transport_name(TRANSPORT_UDP), "udp");
    assert_string_equal(transport_via_name(TRANSPORT_WSS), "WSS");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads_and_writes),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_equal_bytes),
        cmocka_unit_test(test_kernel_form),
        cmocka_unit_test(test_kinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

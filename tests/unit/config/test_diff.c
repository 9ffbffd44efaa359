/*
 * config/diff: what differs is told, and taken over if it may be.
 */
#include "config/diff.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define NAMED(address) "upstream = { pbx = { address = \"" address "\" } }\n"
#define UP(text)       "upstream = { pbx = { address = \"127.0.0.1:5080\"; " text " } }\n"
#define BASE           "listen = [ \"udp:127.0.0.1:5060\" ]\n"

static struct config_change told[64];
static unsigned count;

static void tell(void *self, const struct config_change *change)
{
    assert_ptr_equal(self, told);
    told[count++] = *change;
}

static struct config *parsed(const char *text)
{
    struct config *c = config_parse(text, "t.conf", stderr);

    assert_non_null(c);
    return c;
}

/* The changes from one text to the other; the first has become as it is told. */
static struct config *apply(const char *from, const char *to)
{
    struct config *running = parsed(from), *read = parsed(to);
    unsigned changes;

    count = 0;
    changes = config_apply(running, read, tell, told);
    assert_int_equal(changes, count);
    config_free(read);
    return running;
}

static void test_nothing(void **state)
{
    (void)state;
    config_free(apply(BASE UP(""), BASE "\n# the same\nphone-expires = \"2m\"\n" UP("")));
    assert_int_equal(count, 0);
}

static void test_taken_over(void **state)
{
    struct config *c =
        apply(BASE UP(""), BASE "phone-expires = 90\nfork-timeout = \"5s\"\n" UP(""));

    (void)state;
    assert_int_equal(count, 2);
    assert_string_equal(told[0].option, "phone-expires");
    assert_string_equal(told[0].before, "2m");
    assert_string_equal(told[0].now, "90s");
    assert_true(told[0].applied && told[1].applied);
    assert_int_equal(c->phone_expires_s, 90);
    assert_int_equal(c->fork_timeout_ms, 5000);
    config_free(c);
}

/* Each kind of option, alone. */
static void test_needs_a_restart(void **state)
{
    static const struct {
        const char *before, *now, *option;
    } rows[] = {
        {BASE UP(""), "listen = [ \"udp:127.0.0.1:5062\" ]\n" UP(""), "listen"},
        {BASE UP(""), BASE "domains = [ \"a.example\" ]\n" UP(""), "domains"},
        {BASE "domain-alias = [ \"a=b\" ]\n" UP(""), BASE "domain-alias = [ \"a=c\" ]\n" UP(""),
         "domain-alias"},
        {BASE "domain-policy = [ \"a=all\" ]\n" UP(""),
         BASE "domain-policy = [ \"a=hash\" ]\n" UP(""), "domain-policy"},
        {BASE UP(""), BASE "auth = \"none\"\n" UP(""), "auth"},
        {BASE UP(""), BASE "allow-open-upstream = true\n" UP(""), "allow-open-upstream"},
        {BASE UP(""), BASE "upstream-expires = 7200\n" UP(""), "upstream-expires"},
        {BASE UP(""), BASE "advertise = \"192.0.2.1\"\n" UP(""), "advertise"},
        {BASE UP(""), BASE "strip-headers = [ \"X-A\" ]\n" UP(""), "strip-headers"},
        {BASE UP(""), BASE "state-dir = \"/tmp/x\"\n" UP(""), "state-dir"},
        {BASE UP(""), BASE "store = \"memory\"\n" UP(""), "store"},
        {BASE UP(""), BASE "store = \"sqlite:/tmp/x\"\n" UP(""), "store"},
        {BASE UP(""), BASE "admin = [ ]\n" UP(""), "admin"},
        {BASE UP(""), BASE UP("rate = 7"), "rate"},
        {BASE NAMED("pbx.example.com:5080"), BASE NAMED("fs.example.com:5080"), "address"},
        {BASE NAMED("pbx.example.com:5080"), BASE NAMED("pbx.example.com"), "address"},
        {BASE NAMED("pbx.example.com"), BASE UP(""), "address"},
        {BASE UP(""), BASE "resolver = \"127.0.0.1\"\n" UP(""), "resolver"},
        {BASE UP(""), BASE UP("contact = \"192.0.2.1\""), "contact"},
        {BASE UP("event-socket = { address = \"10.0.0.5\"; password = \"secret\"; }"),
         BASE UP("event-socket = { address = \"10.0.0.5\"; password = \"other\"; }"),
         "event-socket"},
        {BASE UP(""), BASE "upstream = { other = { address = \"127.0.0.1:5080\" } }\n", "upstream"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct config *c = apply(rows[i].before, rows[i].now);

        if (count != 1 || strcmp(told[0].option, rows[i].option) != 0)
            fail_msg("%s: %u changes, the first %s", rows[i].option, count,
                     count ? told[0].option : "-");
        assert_false(told[0].applied);
        assert_null(strstr(told[0].before, "secret"));
        config_free(c);
        config_free(apply(rows[i].before, rows[i].before));
        assert_int_equal(count, 0);
    }
}

static void test_whose_it_is(void **state)
{
    struct config *c = apply(BASE UP(""), BASE UP("ping-interval = 9"));

    (void)state;
    assert_int_equal(count, 1);
    assert_string_equal(told[0].upstream, "pbx");
    assert_string_equal(told[0].now, "9s");
    config_free(c);
    config_free(apply(BASE UP(""), BASE "retry-max = 9\n" UP("")));
    assert_null(told[0].upstream);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_taken_over),
        cmocka_unit_test(test_needs_a_restart),
        cmocka_unit_test(test_whose_it_is),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * A right configuration becomes the right struct config: defaults, units of
 * durations, lists, upstreams; and `midreg defaults` is itself such a file.
 */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define UPSTREAM "upstream = { pbx = { address = \"127.0.0.1:5080\" } }\n"
#define LOOPBACK "listen = [ \"udp:127.0.0.1:5060\" ]\n" UPSTREAM

static struct config *parse(const char *text)
{
    struct config *c = config_parse(text, "test.conf", stderr);

    assert_non_null(c);
    return c;
}

static void assert_address(const struct address *a, const char *expected)
{
    char text[64] = "";
    struct buf b = buf_make(text, sizeof text - 1);

    address_put(&b, a);
    assert_string_equal(text, expected);
}

static void test_defaults(void **state)
{
    struct config *c = parse("domains = [ \"example.com\" ]\n" UPSTREAM);

    (void)state;
    assert_int_equal(c->listen_count, 2);
    assert_int_equal(c->listen[0].transport, TRANSPORT_UDP);
    assert_address(&c->listen[0].address, "0.0.0.0:5060");
    assert_int_equal(c->listen[1].transport, TRANSPORT_TCP);
    assert_address(&c->listen[1].address, "0.0.0.0:5060");
    assert_int_equal(c->advertise.family, ADDRESS_NONE);
    assert_int_equal(c->mode, MODE_AOR);
    assert_int_equal(c->auth, AUTH_UPSTREAM);
    assert_false(c->allow_open_upstream);
    assert_int_equal(c->phone_expires_s, 120);
    assert_int_equal(c->min_expires_s, 60);
    assert_int_equal(c->upstream_expires_s, 3600);
    assert_int_equal(c->expires_jitter, 10);
    assert_int_equal(c->max_contacts, 10);
    assert_int_equal(c->fork_timeout_ms, 20000);
    assert_int_equal(c->timer_c_ms, 181000);
    assert_int_equal(c->forward_timeout_ms, 3000);
    assert_int_equal(c->forward_timeout_new_ms, 16000);
    assert_int_equal(c->survive_max_ms, 3600000);
    assert_int_equal(c->retry_max_ms, 30000);
    assert_int_equal(c->flow_grace_ms, 30000);
    assert_int_equal(c->strip_count, 0);
    assert_string_equal(c->state_dir, "/var/lib/midreg");
    assert_int_equal(c->log_level, LOG_LEVEL_INFO);
    assert_int_equal(c->upstream_count, 1);
    assert_string_equal(c->upstream[0].name, "pbx");
    assert_address(&c->upstream[0].address, "127.0.0.1:5080");
    assert_int_equal(c->upstream[0].contact.family, ADDRESS_NONE);
    assert_int_equal(c->upstream[0].rate, 100);
    assert_int_equal(c->upstream[0].rate_max, 900);
    assert_int_equal(c->upstream[0].means, CONFIG_MEANS_AUTO);
    assert_false(c->upstream[0].challenges_calls);
    config_free(c);
}

static void test_everything_set(void **state)
{
    struct config *c = parse("listen = [ \"udp:10.0.0.9\", \"UDP:[2001:db8::1]:5070\",\n"
                             "  \"tcp:10.0.0.9\", \"Tcp:[::]:5070\" ]\n"
                             "advertise = \"203.0.113.7\"\n"
                             "domains = [ \"Example.COM\", \"10.0.0.9\", \"[2001:db8::1]\" ]\n"
                             "mode = \"aor\"\n auth = \"none\"\n allow-open-upstream = true\n"
                             "phone-expires = 4\n min-expires = 1\n upstream-expires = 12\n"
                             "expires-jitter = 0\n max-contacts = 3\n fork-timeout = 4\n"
                             "timer-c = 20\n forward-timeout = 0.5\n"
                             "forward-timeout-new = \"1500ms\"\n survive-max = \"2m\"\n"
                             "retry-max = \"1.5s\"\n strip-headers = [ \"X-Foo\", \"X-Int-*\" ]\n"
                             "state-dir = \"./state\"\n store = \"memory\"\n"
                             "log-level = \"debug\"\n"
                             "upstream = { fs-1 = { address = \"10.0.0.5\",\n"
                             "  contact = \"10.0.0.9:5062\", rate = 0, means = \"acl\",\n"
                             "  challenges-calls = true } }\n");

    (void)state;
    assert_int_equal(c->listen_count, 4);
    assert_address(&c->listen[0].address, "10.0.0.9:5060");
    assert_address(&c->listen[1].address, "[2001:db8::1]:5070");
    assert_int_equal(c->listen[2].transport, TRANSPORT_TCP);
    assert_address(&c->listen[2].address, "10.0.0.9:5060"); /* the same as UDP's */
    assert_int_equal(c->listen[3].transport, TRANSPORT_TCP);
    assert_address(&c->listen[3].address, "[::]:5070");
    assert_int_equal(c->advertise.family, ADDRESS_IP4);
    assert_int_equal(c->advertise.port, 0);
    assert_int_equal(c->domain_count, 3);
    assert_string_equal(c->domains[0], "example.com");
    assert_int_equal(c->auth, AUTH_NONE);
    assert_true(c->allow_open_upstream);
    assert_int_equal(c->phone_expires_s, 4);
    assert_int_equal(c->min_expires_s, 1);
    assert_int_equal(c->upstream_expires_s, 12);
    assert_int_equal(c->expires_jitter, 0);
    assert_int_equal(c->max_contacts, 3);
    assert_int_equal(c->fork_timeout_ms, 4000);
    assert_int_equal(c->timer_c_ms, 20000);
    assert_int_equal(c->forward_timeout_ms, 500);
    assert_int_equal(c->forward_timeout_new_ms, 1500);
    assert_int_equal(c->survive_max_ms, 120000);
    assert_int_equal(c->retry_max_ms, 1500);
    assert_int_equal(c->strip_count, 2);
    assert_string_equal(c->strip_headers[1], "X-Int-*");
    assert_string_equal(c->state_dir, "./state");
    assert_int_equal(c->log_level, LOG_LEVEL_DEBUG);
    assert_string_equal(c->upstream[0].name, "fs-1");
    assert_address(&c->upstream[0].address, "10.0.0.5:5060");
    assert_address(&c->upstream[0].contact, "10.0.0.9:5062");
    assert_int_equal(c->upstream[0].rate, 0);
    assert_int_equal(c->upstream[0].means, CONFIG_MEANS_ACL);
    assert_true(c->upstream[0].challenges_calls);
    config_free(c);
}

static void test_durations(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } rows[] = {{"1", 1000},
                {"1.5", 1500},
                {"\"90\"", 90000},
                {"\"500ms\"", 500},
                {"\"2s\"", 2000},
                {"\"2m\"", 120000},
                {"\"1h\"", 3600000},
                {"\"1d\"", 86400000},
                {"\"1w\"", 604800000},
                {"\"0.5h\"", 1800000},
                {"0", 0},
                {"100000L", 100000000}};

    (void)state;
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[256];
        struct config *c;

        snprintf(text, sizeof text, LOOPBACK "survive-max = %s\n", rows[i].text);
        c = parse(text);
        assert_int_equal(c->survive_max_ms, rows[i].ms);
        config_free(c);
    }
}

static void test_domain_policies(void **state)
{
    struct config *c =
        parse(LOOPBACK "policy = \"failover\"\ndomain-policy = [ \"A.example=hash\",\n"
                       "  \"b.example = all\" ]\n");
    struct config *one = parse(LOOPBACK);

    (void)state;
    assert_int_equal(config_policy_of(c, SPAN("a.example")), POLICY_HASH);
    assert_int_equal(config_policy_of(c, SPAN("b.example")), POLICY_ALL);
    assert_int_equal(config_policy_of(c, SPAN("c.example")), POLICY_FAILOVER);
    assert_true(config_may_policy(c, POLICY_ALL));
    assert_true(config_may_policy(c, POLICY_FAILOVER));
    assert_int_equal(config_policy_of(one, SPAN("a.example")), POLICY_HASH);
    assert_false(config_may_policy(one, POLICY_ALL));
    config_free(c);
    config_free(one);
}

static void test_aliases(void **state)
{
    struct config *c = parse(LOOPBACK "domains = [ \"example.com\", \"b.example\" ]\n"
                                      "domain-alias = [ \"PBX.example.com = Example.com\",\n"
                                      "  \"10.0.0.1=b.example\" ]\n");
    struct config *forced = parse(LOOPBACK "force-domain = \"Example.com\"\n");

    (void)state;
    assert_int_equal(c->alias_count, 2);
    assert_true(span_eq(config_domain(c, SPAN("pbx.EXAMPLE.com")), SPAN("example.com")));
    assert_true(span_eq(config_domain(c, SPAN("10.0.0.1")), SPAN("b.example")));
    assert_true(span_eq(config_domain(c, SPAN("c.example")), SPAN("c.example")));
    assert_true(config_serves(c, SPAN("pbx.example.com")));
    assert_false(config_serves(c, SPAN("c.example")));
    assert_true(span_eq(config_domain(forced, SPAN("c.example")), SPAN("example.com")));
    config_free(c);
    config_free(forced);
}

static void test_serves(void **state)
{
    struct config *named = parse(LOOPBACK "domains = [ \"Example.com\" ]\n");
    struct config *any = parse(LOOPBACK);

    (void)state;
    assert_true(config_serves(named, SPAN("EXAMPLE.com")));
    assert_false(config_serves(named, SPAN("example.org")));
    assert_false(config_serves(named, SPAN("example.com.")));
    assert_false(config_serves(named, SPAN("")));
    assert_true(config_serves(any, SPAN("anything.invalid")));
    config_free(named);
    config_free(any);
}

/* What `defaults` prints reads back as the defaults, once it has an upstream. */
static void test_defaults_are_a_configuration(void **state)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    struct config *c;

    (void)state;
    assert_non_null(out);
    config_print_defaults(out);
    fprintf(out, "domains = [ \"example.com\" ]\n" UPSTREAM);
    assert_int_equal(fclose(out), 0);
    c = parse(text);
    assert_int_equal(c->phone_expires_s, 120);
    assert_int_equal(c->survive_max_ms, 3600000);
    assert_non_null(strstr(text, "\nphone-expires = 120\n"));
    assert_non_null(strstr(text, "# From 1s to 1d.\n"));
    assert_non_null(strstr(text, "challenges-calls = false\n"));
    config_free(c);
    free(text);
}

/* An upstream's own listen address becomes a listener, wherever it stands in the
 * file; one that is among the listeners is that one. */
static void test_sources(void **state)
{
    struct config *c = parse("domains = [ \"a.b\" ]\n"
                             "upstream = { pbx = { address = \"10.0.0.5:5080\"\n"
                             "sources = [ \"10.0.0.5\", \"10.1.0.0/22\", \"[2001:db8::]/33\" ]\n"
                             "listen = [ \"udp:10.0.0.9:5090\", \"tcp:10.0.0.9\" ] } }\n"
                             "listen = [ \"udp:10.0.0.9\", \"tcp:10.0.0.9\" ]\n");
    static const struct {
        const char *ip;
        int in; /* which of them it is in */
    } rows[] = {{"10.0.0.5", 0},    {"10.0.0.4", -1},    {"10.0.0.13", -1},
                {"10.1.0.0", 1},    {"10.1.3.255", 1},   {"10.1.4.0", -1},
                {"2001:db8::1", 2}, {"2001:db9::1", -1}, {"2001:db8:8000::1", -1}};
    const struct config_upstream *up = &c->upstream[0];

    (void)state;
    assert_int_equal(c->listen_count, 3);
    assert_address(&c->listen[2].address, "10.0.0.9:5090");
    assert_int_equal(c->listen[2].transport, TRANSPORT_UDP);
    assert_int_equal(up->listeners, 1 << 1 | 1 << 2);
    assert_int_equal(c->own_listeners, 1 << 2);
    assert_int_equal(up->source_count, 3);
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct address a;

        assert_true(address_parse_ip(span_of(rows[i].ip), &a));
        a.port = 12345;
        for (int j = 0; j < 3; j++)
            if (config_network_holds(&up->sources[j], &a) != (rows[i].in == j))
                fail_msg("%s in %d", rows[i].ip, j);
    }
    config_free(c);
}

static void test_load(void **state)
{
    char path[] = "/tmp/midreg-config-XXXXXX";
    int fd = mkstemp(path);
    FILE *file = fdopen(fd, "w");
    struct config *c;

    (void)state;
    assert_non_null(file);
    fputs("# a comment\n" LOOPBACK, file);
    assert_int_equal(fclose(file), 0);
    c = config_load(path, stderr);
    assert_non_null(c);
    assert_address(&c->listen[0].address, "127.0.0.1:5060");
    config_free(c);
    unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_everything_set),
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_aliases),
        cmocka_unit_test(test_domain_policies),
        cmocka_unit_test(test_serves),
        cmocka_unit_test(test_defaults_are_a_configuration),
        cmocka_unit_test(test_load),
        cmocka_unit_test(test_sources),
    };

    return cmocka_run_group_tests_name("config-parse", tests, NULL, NULL);
}

/*
 * The resolver: which records count, in which order, how long; and that whatever a DNS
 * server says or does not say, each question ends in time, with an answer that is true.
 */
#include "net/resolver.h"

#include "dns_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#define NAME      "pbx.example.net"
#define TRY_MS    60
#define WITHIN_MS 600

struct bench {
    struct loop loop;
    struct dns_server dns;
    struct resolver resolver;
    struct resolver_settings settings;
    uint32_t chance;
    unsigned told; /* answers that came */
    struct resolved answer;
};

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void on_resolved(void *self, unsigned asker, const struct resolved *answer)
{
    struct bench *b = self;

    assert_int_equal(asker, 0);
    b->told++;
    b->answer = *answer;
}

static uint32_t on_chance(void *self, uint32_t below)
{
    const struct bench *b = self;

    return b->chance % below;
}

static void begin(struct bench *b)
{
    const struct resolver_handler handler = {b, on_resolved, on_chance};

    assert_true(resolver_init(&b->resolver, &b->loop, &b->settings, &handler));
}

static int setup(void **state)
{
    struct bench *b = calloc(1, sizeof *b);

    assert_non_null(b);
    assert_true(loop_init(&b->loop));
    dns_open(&b->dns, &b->loop);
    b->settings = (struct resolver_settings){
        .server = b->dns.address, .ip4 = true, .try_ms = TRY_MS, .within_ms = WITHIN_MS};
    begin(b);
    *state = b;
    return 0;
}

static int teardown(void **state)
{
    struct bench *b = *state;

    resolver_fini(&b->resolver);
    dns_close(&b->dns);
    loop_fini(&b->loop);
    free(b);
    return 0;
}

/* Turns until the answer is there; how long that took. */
static uint64_t ask(struct bench *b, const char *name, uint16_t port)
{
    uint64_t began_ms = now_ms();
    unsigned told = b->told;

    resolver_ask(&b->resolver, 0, name, port);
    assert_int_equal(b->told, told); /* never from within */
    while (b->told == told) {
        assert_true(now_ms() - began_ms < WITHIN_MS + 2000);
        loop_wait(&b->loop,
                  loop_timeout_ms(now_ms() * 1000, resolver_next_ms(&b->resolver, now_ms())));
        loop_dispatch(&b->loop);
        resolver_turn(&b->resolver, now_ms());
    }
    assert_true(resolver_next_ms(&b->resolver, now_ms()) == UINT64_MAX);
    return now_ms() - began_ms;
}

/* The addresses, "a b c". */
static void assert_answer(const struct bench *b, const char *text, uint32_t ttl_s)
{
    char room[1024];
    struct buf out = buf_make(room, sizeof room - 1);

    for (unsigned i = 0; i < b->answer.count; i++) {
        if (i)
            buf_char(&out, ' ');
        address_put(&out, &b->answer.list[i]);
    }
    room[out.n] = 0;
    assert_string_equal(room, text);
    assert_int_equal(b->answer.end, *text ? RESOLVED_FOUND : b->answer.end);
    assert_int_equal(b->answer.ttl_s, ttl_s);
}

/* ---- which records ------------------------------------------------------------------------ */

static void test_a_port_means_addresses_alone(void **state)
{
    struct bench *b = *state;

    dns_tell_srv(&b->dns, NAME, 60, 1, 1, 5090, "other.example.net");
    dns_tell_a(&b->dns, NAME, 77, "10.1.2.3");
    ask(b, NAME, 5080);
    assert_answer(b, "10.1.2.3:5080", 77);
    assert_true(b->answer.whole);
    assert_int_equal(b->dns.asked, 1);
}

static void test_srv_targets_by_priority(void **state)
{
    struct bench *b = *state;

    dns_tell_srv(&b->dns, NAME, 60, 20, 0, 5070, "b.example.net");
    dns_tell_srv(&b->dns, NAME, 60, 10, 0, 5080, "a.example.net");
    dns_tell_a(&b->dns, "a.example.net", 40, "10.0.0.1");
    dns_tell_a(&b->dns, "a.example.net", 50, "10.0.0.2");
    dns_tell_a(&b->dns, "b.example.net", 50, "10.0.0.3");
    ask(b, NAME, 0);
    assert_answer(b, "10.0.0.1:5080 10.0.0.2:5080 10.0.0.3:5070", 40);
    assert_true(b->answer.whole);
}

static void test_the_srv_records_own_ttl_counts(void **state)
{
    struct bench *b = *state;

    dns_tell_srv(&b->dns, NAME, 30, 10, 0, 5080, "a.example.net");
    dns_tell_a(&b->dns, "a.example.net", 300, "10.0.0.1");
    ask(b, NAME, 0);
    assert_answer(b, "10.0.0.1:5080", 30);
}

static void test_weights_by_chance(void **state)
{
    struct bench *b = *state;

    dns_tell_srv(&b->dns, NAME, 60, 1, 10, 5080, "a.example.net");
    dns_tell_srv(&b->dns, NAME, 60, 1, 90, 5080, "b.example.net");
    dns_tell_a(&b->dns, "a.example.net", 60, "10.0.0.1");
    dns_tell_a(&b->dns, "b.example.net", 60, "10.0.0.2");
    b->chance = 9;
    ask(b, NAME, 0);
    assert_answer(b, "10.0.0.1:5080 10.0.0.2:5080", 60);
    b->chance = 10;
    ask(b, NAME, 0);
    assert_answer(b, "10.0.0.2:5080 10.0.0.1:5080", 60);
}

static void test_without_srv_records_the_names_own_address(void **state)
{
    struct bench *b = *state;

    dns_tell_a(&b->dns, NAME, 60, "10.0.0.1");
    ask(b, NAME, 0);
    assert_answer(b, "10.0.0.1:5060", 60);
}

static void test_a_service_that_is_not_there(void **state)
{
    struct bench *b = *state;

    dns_tell_srv(&b->dns, NAME, 60, 0, 0, 0, "");
    dns_tell_a(&b->dns, NAME, 60, "10.0.0.1");
    ask(b, NAME, 0);
    assert_answer(b, "", 0);
    assert_int_equal(b->answer.end, RESOLVED_NONE);
}

/* ---- where NAPTR records lead -------------------------------------------------------------- */

#define SIP "sip.example.net"

/* The SRV records of NAME lead elsewhere: they do not count. */
static void tell_services(struct bench *b)
{
    dns_tell_srv(&b->dns, NAME, 60, 1, 1, 5099, "other.example.net");
    dns_tell_a(&b->dns, "other.example.net", 60, "10.0.0.99");
    dns_tell_srv(&b->dns, SIP, 60, 1, 1, 5080, "a.example.net");
    dns_tell_a(&b->dns, "a.example.net", 60, "10.0.0.1");
}

static void test_naptr_leads_to_srv(void **state)
{
    struct bench *b = *state;

    tell_services(b);
    dns_tell_naptr(&b->dns, NAME, 33, 10, 10, "SIPS+D2T", "_sips._tcp.example.net");
    dns_tell_naptr(&b->dns, NAME, 44, 20, 10, "sip+d2u", "_sip._udp." SIP);
    ask(b, NAME, 0);
    assert_answer(b, "10.0.0.1:5080", 33); /* that another one comes is known so long, too */
    assert_true(b->answer.whole);
}

/* The first has no SRV records; one of a greater order is not looked at. */
static void test_naptr_by_preference(void **state)
{
    struct bench *b = *state;

    tell_services(b);
    dns_tell_naptr(&b->dns, NAME, 60, 20, 1, "SIP+D2U", "_sip._udp." NAME);
    dns_tell_naptr(&b->dns, NAME, 60, 10, 7, "SIP+D2U", "_sip._udp." SIP);
    dns_tell_naptr(&b->dns, NAME, 60, 10, 5, "SIP+D2U", "_sip._udp.empty.example.net");
    ask(b, NAME, 0);
    assert_answer(b, "10.0.0.1:5080", 60);
    assert_int_equal(b->dns.asked, 4); /* NAPTR, two SRV, A */
}

static void test_naptr_for_others_alone(void **state)
{
    struct bench *b = *state;

    tell_services(b);
    dns_tell_naptr(&b->dns, NAME, 60, 10, 10, "SIP+D2T", "_sip._tcp." SIP);
    ask(b, NAME, 0);
    assert_answer(b, "10.0.0.99:5099", 60);
}

static void test_naptr_that_leads_nowhere(void **state)
{
    struct bench *b = *state;

    dns_tell_naptr(&b->dns, NAME, 60, 10, 10, "SIP+D2U", "_sip._udp." SIP);
    dns_tell_a(&b->dns, NAME, 60, "10.0.0.7");
    ask(b, NAME, 0);
    assert_answer(b, "10.0.0.7:5060", 60);
}

/* A network without NAPTR: the name is found all the same. But where there were some,
 * what is found without them is no reason to move. */
static void without_naptr(struct bench *b, enum dns_mood mood)
{
    tell_services(b);
    b->dns.mood = mood;
    ask(b, NAME, 0);
    assert_answer(b, "10.0.0.99:5099", 60);
    assert_true(b->answer.whole);
    b->dns.mood = DNS_WELL;
    dns_tell_naptr(&b->dns, NAME, 60, 10, 10, "SIP+D2U", "_sip._udp." SIP);
    ask(b, NAME, 0);
    assert_answer(b, "10.0.0.1:5080", 60);
    b->dns.mood = mood;
    ask(b, NAME, 0);
    assert_answer(b, "10.0.0.99:5099", 60);
    assert_false(b->answer.whole);
}

static void test_naptr_fails(void **state)
{
    without_naptr(*state, DNS_NAPTR_IS_SICK);
}

static void test_naptr_is_dropped(void **state)
{
    without_naptr(*state, DNS_NAPTR_IS_SILENT);
}

/* With several servers in resolv.conf c-ares alone would try each twice: longer than there is
 * time. */
static void test_naptr_is_dropped_for_long(void **state)
{
    struct bench *b = *state;

    b->resolver.settings.try_ms = WITHIN_MS;
    without_naptr(b, DNS_NAPTR_IS_SILENT);
}

static void test_families(void **state)
{
    struct bench *b = *state;

    dns_tell_a(&b->dns, NAME, 60, "10.0.0.1");
    dns_tell_aaaa(&b->dns, NAME, 60, "2001:db8::1");
    ask(b, NAME, 5080);
    assert_answer(b, "10.0.0.1:5080", 60);
    b->resolver.settings.ip4 = false;
    b->resolver.settings.ip6 = true;
    ask(b, NAME, 5080);
    assert_answer(b, "[2001:db8::1]:5080", 60);
    b->resolver.settings.ip4 = true;
    ask(b, NAME, 5080);
    assert_int_equal(b->answer.count, 2);
}

static void test_an_alias_counts_with_its_ttl(void **state)
{
    struct bench *b = *state;

    dns_tell_alias(&b->dns, NAME, 20, "real.example.net");
    dns_tell_a(&b->dns, "real.example.net", 900, "10.0.0.1");
    ask(b, NAME, 5080);
    assert_answer(b, "10.0.0.1:5080", 20);
}

static void test_ttl_has_bounds(void **state)
{
    struct bench *b = *state;

    dns_tell_a(&b->dns, "short.example.net", 0, "10.0.0.1");
    dns_tell_a(&b->dns, "long.example.net", 999999, "10.0.0.1");
    ask(b, "short.example.net", 5080);
    assert_int_equal(b->answer.ttl_s, RESOLVER_TTL_MIN_S);
    ask(b, "long.example.net", 5080);
    assert_int_equal(b->answer.ttl_s, RESOLVER_TTL_MAX_S);
}

static void test_the_hosts_file_counts(void **state)
{
    struct bench *b = *state;

    ask(b, "localhost", 5080);
    assert_answer(b, "127.0.0.1:5080", b->answer.ttl_s);
    assert_int_equal(b->dns.asked, 0);
}

static void test_many_answers(void **state)
{
    struct bench *b = *state;
    char ip[32];

    for (unsigned i = 0; i < 20; i++) {
        snprintf(ip, sizeof ip, "10.0.0.%u", i + 1);
        dns_tell_a(&b->dns, NAME, 60, ip);
        dns_tell_a(&b->dns, NAME, 60, ip); /* twice: no second place */
    }
    ask(b, NAME, 5080);
    assert_int_equal(b->answer.end, RESOLVED_FOUND);
    assert_int_equal(b->answer.count, RESOLVED_MAX);
    assert_false(b->answer.whole);
    assert_int_equal(b->dns.by_tcp, 1); /* too many for a datagram */
}

static void test_many_targets(void **state)
{
    struct bench *b = *state;
    static char names[40][32];
    char ip[32];

    for (unsigned i = 0; i < 20; i++) {
        snprintf(names[i], sizeof names[i], "t%u.example.net", i);
        snprintf(ip, sizeof ip, "10.0.0.%u", i + 1);
        dns_tell_srv(&b->dns, NAME, 60, (uint16_t)(100 - i), 0, 5080, names[i]);
        dns_tell_a(&b->dns, names[i], 60, ip);
    }
    ask(b, NAME, 0);
    assert_int_equal(b->answer.count, RESOLVED_MAX);
    assert_false(b->answer.whole);
    assert_answer(b,
                  "10.0.0.20:5080 10.0.0.19:5080 10.0.0.18:5080 10.0.0.17:5080 10.0.0.16:5080 "
                  "10.0.0.15:5080 10.0.0.14:5080 10.0.0.13:5080",
                  60);
}

/* ---- trouble ------------------------------------------------------------------------------- */

static void assert_fails(struct bench *b, const char *name, uint16_t port)
{
    assert_true(ask(b, name, port) < WITHIN_MS + 500);
    assert_int_equal(b->answer.end, RESOLVED_FAILED);
    assert_int_equal(b->answer.count, 0);
}

static void test_no_such_name(void **state)
{
    struct bench *b = *state;

    ask(b, NAME, 0);
    assert_int_equal(b->answer.end, RESOLVED_NONE);
    ask(b, NAME, 5080);
    assert_int_equal(b->answer.end, RESOLVED_NONE);
}

static void test_trouble(void **state)
{
    static const enum dns_mood moods[] = {DNS_SILENT, DNS_GARBAGE, DNS_CUT, DNS_FAILS, DNS_HALF};
    struct bench *b = *state;

    dns_tell_srv(&b->dns, NAME, 60, 10, 0, 5080, "a.example.net");
    dns_tell_a(&b->dns, NAME, 60, "10.0.0.1");
    dns_tell_a(&b->dns, "a.example.net", 60, "10.0.0.1");
    for (unsigned i = 0; i < sizeof moods / sizeof moods[0]; i++) {
        b->dns.mood = moods[i];
        assert_fails(b, NAME, 5080);
        assert_fails(b, NAME, 0); /* not the address of the name: it has SRV records */
    }
    b->dns.mood = DNS_WELL;
    ask(b, NAME, 0);
    assert_answer(b, "10.0.0.1:5080", 60);
}

/* Where it is at another port, perhaps; the name's own address is no answer. */
static void test_srv_alone_fails(void **state)
{
    struct bench *b = *state;

    b->dns.mood = DNS_SRV_IS_SICK;
    dns_tell_a(&b->dns, NAME, 60, "10.0.0.1");
    assert_fails(b, NAME, 0);
    ask(b, NAME, 5080);
    assert_answer(b, "10.0.0.1:5080", 60);
}

static void test_the_same_address_twice(void **state)
{
    struct bench *b = *state;

    dns_tell_srv(&b->dns, NAME, 60, 10, 0, 5080, "a.example.net");
    dns_tell_srv(&b->dns, NAME, 60, 20, 0, 5080, "b.example.net");
    dns_tell_srv(&b->dns, NAME, 60, 30, 0, 5090, "b.example.net");
    dns_tell_a(&b->dns, "a.example.net", 60, "10.0.0.1");
    dns_tell_a(&b->dns, "b.example.net", 60, "10.0.0.1");
    ask(b, NAME, 0);
    assert_answer(b, "10.0.0.1:5080 10.0.0.1:5090", 60);
}

/* However patient c-ares is. */
static void test_in_time(void **state)
{
    struct bench *b = *state;

    b->resolver.settings.try_ms = 60000;
    b->dns.mood = DNS_SILENT;
    assert_fails(b, NAME, 0);
}

static void test_nobody_there(void **state)
{
    struct bench *b = *state;

    dns_close(&b->dns);
    assert_fails(b, NAME, 5080);
    assert_fails(b, NAME, 0);
}

/* What one target's address is is not known now: the rest is no whole answer. */
static void test_one_target_fails(void **state)
{
    struct bench *b = *state;

    b->dns.mood = DNS_A_IS_SICK;
    dns_tell_srv(&b->dns, NAME, 60, 10, 0, 5080, "sick.example.net");
    dns_tell_srv(&b->dns, NAME, 60, 20, 0, 5080, "b.example.net");
    dns_tell_a(&b->dns, "b.example.net", 60, "10.0.0.2");
    ask(b, NAME, 0);
    assert_answer(b, "10.0.0.2:5080", 60);
    assert_false(b->answer.whole);
}

/* One that is not there is none that might be. */
static void test_one_target_is_missing(void **state)
{
    struct bench *b = *state;

    dns_tell_srv(&b->dns, NAME, 60, 10, 0, 5080, "none.example.net");
    dns_tell_srv(&b->dns, NAME, 60, 20, 0, 5080, "b.example.net");
    dns_tell_a(&b->dns, "b.example.net", 60, "10.0.0.2");
    ask(b, NAME, 0);
    assert_answer(b, "10.0.0.2:5080", 60);
    assert_true(b->answer.whole);
}

static void test_an_end_in_the_middle(void **state)
{
    struct bench *b = *state;

    b->dns.mood = DNS_SILENT;
    resolver_ask(&b->resolver, 0, NAME, 0);
    resolver_turn(&b->resolver, now_ms());
    resolver_fini(&b->resolver);
    assert_int_equal(b->told, 0);
}

static void test_asked_twice_is_told_once(void **state)
{
    struct bench *b = *state;

    dns_tell_a(&b->dns, NAME, 60, "10.0.0.1");
    resolver_ask(&b->resolver, 0, NAME, 5080);
    ask(b, NAME, 5080);
    assert_int_equal(b->told, 1);
    assert_true(resolver_told(&b->resolver, 0, &b->answer.list[0]));
    b->answer.list[0].port++;
    assert_false(resolver_told(&b->resolver, 0, &b->answer.list[0]));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_a_port_means_addresses_alone),
        T(test_srv_targets_by_priority),
        T(test_the_srv_records_own_ttl_counts),
        T(test_weights_by_chance),
        T(test_without_srv_records_the_names_own_address),
        T(test_a_service_that_is_not_there),
        T(test_naptr_leads_to_srv),
        T(test_naptr_by_preference),
        T(test_naptr_for_others_alone),
        T(test_naptr_that_leads_nowhere),
        T(test_naptr_fails),
        T(test_naptr_is_dropped),
        T(test_naptr_is_dropped_for_long),
        T(test_families),
        T(test_an_alias_counts_with_its_ttl),
        T(test_ttl_has_bounds),
        T(test_the_hosts_file_counts),
        T(test_many_answers),
        T(test_many_targets),
        T(test_no_such_name),
        T(test_trouble),
        T(test_srv_alone_fails),
        T(test_the_same_address_twice),
        T(test_in_time),
        T(test_nobody_there),
        T(test_one_target_fails),
        T(test_one_target_is_missing),
        T(test_an_end_in_the_middle),
        T(test_asked_twice_is_told_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

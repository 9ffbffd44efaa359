/*
 * NAPTR records: those that lead to SIP over UDP are read, in their order, and what is not
 * whole is refused.
 */
#include "net/naptr.h"

#include "dns_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct naptr_list list;

struct packet {
    uint8_t bytes[4096];
    size_t n;
};

static void put(struct packet *p, uint32_t value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p->bytes[p->n++] = (uint8_t)(value >> 8 * (n - 1 - i));
}

static void put_text(struct packet *p, const char *text)
{
    put(p, (uint32_t)strlen(text), 1);
    memcpy(p->bytes + p->n, text, strlen(text));
    p->n += strlen(text);
}

static void begin(struct packet *p, unsigned answers)
{
    memset(p, 0, sizeof *p);
    put(p, 0x12348180, 4);
    put(p, 1 << 16 | answers, 4);
    put(p, 0, 4);
    p->n += dns_pack_name(p->bytes + p->n, "example.net");
    put(p, DNS_NAPTR << 16 | 1, 4);
}

static void add(struct packet *p, uint16_t order, uint16_t preference, const char *flags,
                const char *service, const char *regexp, const char *replacement)
{
    size_t length;

    put(p, 0xc00c, 2);
    put(p, DNS_NAPTR, 2);
    put(p, 1, 2);
    put(p, 100U + order, 4);
    length = p->n;
    put(p, 0, 2);
    put(p, order, 2);
    put(p, preference, 2);
    put_text(p, flags);
    put_text(p, service);
    put_text(p, regexp);
    p->n += dns_pack_name(p->bytes + p->n, replacement);
    p->bytes[length] = (uint8_t)((p->n - length - 2) >> 8);
    p->bytes[length + 1] = (uint8_t)(p->n - length - 2);
}

static bool read_all(const struct packet *p, size_t n)
{
    uint8_t *exact = malloc(n ? n : 1); /* so that one byte too many is seen */
    bool ok;

    assert_non_null(exact);
    memcpy(exact, p->bytes, n);
    ok = naptr_read(&list, exact, n);
    free(exact);
    return ok;
}

static void some(struct packet *p)
{
    begin(p, 4);
    add(p, 20, 5, "s", "SIP+D2U", "", "c");
    add(p, 10, 9, "S", "sip+d2u", "", "b.example.net");
    add(p, 7, 1, "s", "SIP+D2T", "", "t.example.net");
    add(p, 10, 2, "s", "SIP+D2U", "", "a.example.net");
}

static void test_in_their_order(void **state)
{
    struct packet p;

    (void)state;
    some(&p);
    assert_true(read_all(&p, p.n));
    assert_int_equal(list.count, 2); /* of the least order */
    assert_string_equal(list.record[0].replacement, "a.example.net");
    assert_string_equal(list.record[1].replacement, "b.example.net");
    assert_int_equal(list.ttl_s, 107);
}

static void test_what_is_not_meant(void **state)
{
    struct packet p;

    (void)state;
    begin(&p, 5);
    add(&p, 1, 1, "u", "SIP+D2U", "", "a.example.net");
    add(&p, 1, 1, "", "SIP+D2U", "", "a.example.net");
    add(&p, 1, 1, "s", "SIP+D2U", "!^.*$!sip:x@y!", "a.example.net");
    add(&p, 1, 1, "s", "SIP+D2U", "", "");
    add(&p, 1, 1, "s", "E2U+sip", "", "a.example.net");
    assert_true(read_all(&p, p.n));
    assert_int_equal(list.count, 0);
}

static void test_more_than_fit(void **state)
{
    struct packet p;

    (void)state;
    begin(&p, 20);
    for (uint16_t i = 0; i < 20; i++)
        add(&p, 1, (uint16_t)(19 - i), "s", "SIP+D2U", "", i == 19 ? "best" : "other");
    assert_true(read_all(&p, p.n));
    assert_int_equal(list.count, NAPTR_RECORDS_MAX);
    assert_string_equal(list.record[0].replacement, "best");
    assert_int_equal(list.record[NAPTR_RECORDS_MAX - 1].preference, NAPTR_RECORDS_MAX - 1);
}

static void test_no_part_of_a_reply_is_one(void **state)
{
    struct packet p;

    (void)state;
    some(&p);
    for (size_t n = 0; n < p.n; n++)
        assert_false(read_all(&p, n));
}

/* Each text is within its record. */
static void test_texts_beyond_their_record(void **state)
{
    struct packet p;
    size_t flags;

    (void)state;
    for (size_t at = 0; at < 3; at++) {
        begin(&p, 1);
        flags = p.n + 12 + 4;
        add(&p, 1, 1, "s", "SIP+D2U", "", "a");
        p.bytes[flags + (at == 0 ? 0 : at == 1 ? 2 : 10)] = 200;
        assert_false(read_all(&p, p.n));
    }
}

static void test_damaged(void **state)
{
    struct packet p;
    uint32_t chance = 1;

    (void)state;
    for (unsigned round = 0; round < 20000; round++) {
        some(&p);
        for (unsigned i = 0; i < 4; i++) {
            chance = chance * 1664525 + 1013904223;
            p.bytes[4 + (chance >> 16) % (p.n - 4)] = (uint8_t)(chance >> 8);
        }
        if (!read_all(&p, p.n))
            continue;
        assert_true(list.count <= NAPTR_RECORDS_MAX);
        for (unsigned i = 0; i < list.count; i++)
            assert_true(strlen(list.record[i].replacement) < DNS_NAME_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_their_order),
        cmocka_unit_test(test_what_is_not_meant),
        cmocka_unit_test(test_more_than_fit),
        cmocka_unit_test(test_no_part_of_a_reply_is_one),
        cmocka_unit_test(test_texts_beyond_their_record),
        cmocka_unit_test(test_damaged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * NAPTR records: those that lead to SIP over UDP are read, in their order, and what is not
 * whole is refused.
 */
#include "net/naptr.h"

#include "dns_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct naptr_list list;

static void put_text(struct dns_packet *p, const char *text)
{
    dns_packet_put(p, (uint32_t)strlen(text), 1);
    memcpy(p->bytes + p->n, text, strlen(text));
    p->n += strlen(text);
}

static void begin(struct dns_packet *p, unsigned answers)
{
    dns_packet_begin(p, "example.net", DNS_NAPTR, answers);
}

static void add(struct dns_packet *p, uint16_t order, uint16_t preference, const char *flags,
                const char *service, const char *regexp, const char *replacement)
{
    size_t length;

    dns_packet_add(p, DNS_NAPTR, 1, 100U + order);
    length = p->n;
    dns_packet_put(p, 0, 2);
    dns_packet_put(p, order, 2);
    dns_packet_put(p, preference, 2);
    put_text(p, flags);
    put_text(p, service);
    put_text(p, regexp);
    dns_packet_put_name(p, replacement);
    p->bytes[length] = (uint8_t)((p->n - length - 2) >> 8);
    p->bytes[length + 1] = (uint8_t)(p->n - length - 2);
}

static bool read_list(const uint8_t *reply, size_t n)
{
    return naptr_read(&list, reply, n);
}

static bool read_all(const struct dns_packet *p)
{
    return dns_packet_read(p, p->n, read_list);
}

static void some(struct dns_packet *p)
{
    begin(p, 4);
    add(p, 20, 5, "s", "SIP+D2U", "", "c");
    add(p, 10, 9, "S", "sip+d2u", "", "b.example.net");
    add(p, 7, 1, "s", "SIP+D2T", "", "t.example.net");
    add(p, 10, 2, "s", "SIP+D2U", "", "a.example.net");
}

static void test_in_their_order(void **state)
{
    struct dns_packet p;

    (void)state;
    some(&p);
    assert_true(read_all(&p));
    assert_int_equal(list.count, 2); /* of the least order */
    assert_string_equal(list.record[0].replacement, "a.example.net");
    assert_string_equal(list.record[1].replacement, "b.example.net");
    assert_int_equal(list.ttl_s, 107);
}

static void test_what_is_not_meant(void **state)
{
    struct dns_packet p;

    (void)state;
    begin(&p, 5);
    add(&p, 1, 1, "u", "SIP+D2U", "", "a.example.net");
    add(&p, 1, 1, "", "SIP+D2U", "", "a.example.net");
    add(&p, 1, 1, "s", "SIP+D2U", "!^.*$!sip:x@y!", "a.example.net");
    add(&p, 1, 1, "s", "SIP+D2U", "", "");
    add(&p, 1, 1, "s", "E2U+sip", "", "a.example.net");
    assert_true(read_all(&p));
    assert_int_equal(list.count, 0);
}

static void test_more_than_fit(void **state)
{
    struct dns_packet p;

    (void)state;
    begin(&p, 20);
    for (uint16_t i = 0; i < 20; i++)
        add(&p, 1, (uint16_t)(19 - i), "s", "SIP+D2U", "", i == 19 ? "best" : "other");
    assert_true(read_all(&p));
    assert_int_equal(list.count, NAPTR_RECORDS_MAX);
    assert_string_equal(list.record[0].replacement, "best");
    assert_int_equal(list.record[NAPTR_RECORDS_MAX - 1].preference, NAPTR_RECORDS_MAX - 1);
}

static void test_no_part_of_a_reply_is_one(void **state)
{
    (void)state;
    dns_packet_is_read_whole(some, read_list);
}

/* Each text is within its record. */
static void test_texts_beyond_their_record(void **state)
{
    struct dns_packet p;
    size_t flags;

    (void)state;
    for (size_t at = 0; at < 3; at++) {
        begin(&p, 1);
        flags = p.n + 12 + 4;
        add(&p, 1, 1, "s", "SIP+D2U", "", "a");
        p.bytes[flags + (at == 0 ? 0 : at == 1 ? 2 : 10)] = 200;
        assert_false(read_all(&p));
    }
}

static void check_list(void)
{
    assert_true(list.count <= NAPTR_RECORDS_MAX);
    for (unsigned i = 0; i < list.count; i++)
        assert_true(strlen(list.record[i].replacement) < DNS_NAME_MAX);
}

static void test_damaged(void **state)
{
    (void)state;
    dns_packet_is_damaged(some, read_list, check_list);
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

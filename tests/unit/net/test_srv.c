/*
 * SRV records: read as they are written, refused where they are not whole, and put in
 * the order of RFC 2782.
 */
#include "net/srv.h"

#include "dns_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct srv_list list;

static void begin(struct dns_packet *p, unsigned answers)
{
    dns_packet_begin(p, "_sip._udp.example.net", DNS_SRV, answers);
}

static void add_srv(struct dns_packet *p, uint16_t priority, uint16_t weight, const char *target,
                    uint32_t ttl_s)
{
    uint8_t name[300];
    size_t n = dns_pack_name(name, target);

    dns_packet_add(p, DNS_SRV, 1, ttl_s);
    dns_packet_put(p, (uint32_t)n + 6, 2);
    dns_packet_put(p, priority, 2);
    dns_packet_put(p, weight, 2);
    dns_packet_put(p, 5080, 2);
    memcpy(p->bytes + p->n, name, n);
    p->n += n;
}

static bool read_list(const uint8_t *reply, size_t n)
{
    return srv_read(&list, reply, n);
}

static bool read_all(const struct dns_packet *p)
{
    return dns_packet_read(p, p->n, read_list);
}

static void two_records(struct dns_packet *p)
{
    begin(p, 3);
    add_srv(p, 10, 5, "a.example.net", 300);
    dns_packet_add(p, DNS_A, 1, 7); /* something else among them: skipped, and its TTL, too */
    dns_packet_put(p, 4, 2);
    dns_packet_put(p, 0x0a000001, 4);
    add_srv(p, 20, 0, "b.example.net", 60);
}

static void test_read(void **state)
{
    struct dns_packet p;

    (void)state;
    two_records(&p);
    assert_true(read_all(&p));
    assert_int_equal(list.count, 2);
    assert_true(list.whole);
    assert_int_equal(list.ttl_s, 60);
    assert_int_equal(list.record[0].priority, 10);
    assert_int_equal(list.record[0].weight, 5);
    assert_int_equal(list.record[0].port, 5080);
    assert_string_equal(list.record[0].target, "a.example.net");
    assert_string_equal(list.record[1].target, "b.example.net");
}

static void test_no_part_of_a_reply_is_one(void **state)
{
    (void)state;
    dns_packet_is_read_whole(two_records, read_list);
}

static void check_list(void)
{
    assert_true(list.count <= SRV_RECORDS_MAX);
    for (unsigned i = 0; i < list.count; i++)
        assert_true(strlen(list.record[i].target) < DNS_NAME_MAX);
}

static void test_damaged(void **state)
{
    (void)state;
    dns_packet_is_damaged(two_records, read_list, check_list);
}

static void test_a_name_that_goes_round(void **state)
{
    struct dns_packet p;

    (void)state;
    begin(&p, 1);
    dns_packet_add(&p, DNS_SRV, 1, 60);
    dns_packet_put(&p, 8, 2);
    dns_packet_put(&p, 0, 4);
    dns_packet_put(&p, 5080, 2);
    dns_packet_put(&p, 0xc000 | (uint32_t)p.n, 2); /* itself */
    assert_false(read_all(&p));
}

static void test_a_target_beyond_its_record(void **state)
{
    struct dns_packet p;

    (void)state;
    begin(&p, 1);
    add_srv(&p, 1, 1, "a.example.net", 60);
    p.bytes[p.n - 15 - 7]--; /* the length of its data */
    assert_false(read_all(&p));
}

static void test_another_class_is_not_meant(void **state)
{
    struct dns_packet p;

    (void)state;
    begin(&p, 1);
    add_srv(&p, 1, 1, "a.example.net", 60);
    p.bytes[12 + 23 + 4 + 5] = 3; /* CHAOS */
    assert_true(read_all(&p));
    assert_int_equal(list.count, 0);
}

static void test_more_than_fit(void **state)
{
    struct dns_packet p;

    (void)state;
    begin(&p, SRV_RECORDS_MAX + 3);
    for (unsigned i = 0; i < SRV_RECORDS_MAX + 3; i++)
        add_srv(&p, 1, 1, "a.example.net", 60);
    assert_true(read_all(&p));
    assert_int_equal(list.count, SRV_RECORDS_MAX);
    assert_false(list.whole);
}

/* ---- order ------------------------------------------------------------------------------- */

static uint32_t below(void *self, uint32_t n)
{
    uint32_t *state = self;

    *state = *state * 1664525 + 1013904223;
    return (uint32_t)((uint64_t)(*state >> 8) * n >> 24);
}

static void record(uint16_t priority, uint16_t weight, uint16_t port)
{
    list.record[list.count++] = (struct srv){priority, weight, port, "x"};
}

static void test_order(void **state)
{
    unsigned first[4] = {0};
    uint32_t chance = 1;

    (void)state;
    for (unsigned i = 0; i < 10000; i++) {
        list.count = 0;
        record(20, 1000, 3);
        record(10, 10, 0);
        record(10, 30, 1);
        record(10, 0, 2);
        srv_order(&list, below, &chance);
        first[list.record[0].port]++;
        assert_int_equal(list.record[3].port, 3);
        assert_int_equal(list.record[0].port + list.record[1].port + list.record[2].port, 3);
    }
    assert_in_range(first[0], 2300, 2700);
    assert_in_range(first[1], 7300, 7700);
    assert_int_equal(first[3], 0);
}

static void test_equal_without_weights(void **state)
{
    unsigned first[2] = {0};
    uint32_t chance = 1;

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        list.count = 0;
        record(1, 0, 0);
        record(1, 0, 1);
        srv_order(&list, below, &chance);
        first[list.record[0].port]++;
    }
    assert_in_range(first[0], 400, 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_no_part_of_a_reply_is_one),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_a_name_that_goes_round),
        cmocka_unit_test(test_a_target_beyond_its_record),
        cmocka_unit_test(test_another_class_is_not_meant),
        cmocka_unit_test(test_more_than_fit),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_equal_without_weights),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

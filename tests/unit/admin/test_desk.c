/* admin/desk: what takes long is done in slices, and a kick is told when it is durable. */
#include "admin/desk.h"

#include "fake_ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define RECORDS 5000

/* A core without phones, whose clock moves when it is looked at. */
static struct fake fake;
static struct config config;
static struct location location;
static struct journal journal;
static struct transactions transactions;
static struct upstreams upstreams;
static struct registrar *registrar;
static struct asks *asks;
static struct desk desk;
static uint64_t clock_now_us;
static uint64_t look_takes_us;

static uint64_t ticking_us(void *self)
{
    (void)self;
    clock_now_us += look_takes_us;
    return clock_now_us;
}

static void configure(void)
{
    config = (struct config){.listen_count = 1, .upstream_count = 1, .domain_count = 1};
    config.domains[0] = (char *)"example.com";
    config.upstream[0].name = (char *)"pbx";
    assert_true(address_parse(SPAN("127.0.0.1:5060"), 0, &config.listen[0].address));
    assert_true(address_parse(SPAN("10.9.9.9:5080"), 0, &config.upstream[0].address));
}

static int begin(void **state)
{
    (void)state;
    fake_init(&fake);
    configure();
    location_init(&location, &fake.rt);
    journal_init(&journal, &fake.rt, &location, true);
    fake.journal_held = true;
    assert_true(transactions_init(&transactions, &fake.rt));
    upstreams_init(&upstreams, &fake.rt, &config, &transactions);
    registrar = registrar_new(&(struct registrar_parts){
        .rt = &fake.rt,
        .config = &config,
        .location = &location,
        .journal = &journal,
        .transactions = &transactions,
        .upstreams = &upstreams,
    });
    asks = asks_new();
    assert_non_null(registrar);
    assert_non_null(asks);
    fake.ports.now_us = ticking_us;
    clock_now_us = fake.rt.now_ms * 1000;
    look_takes_us = 50;
    desk_init(&desk, &(struct desk_parts){.asks = asks, .registrar = registrar});
    return 0;
}

static int end(void **state)
{
    (void)state;
    desk_fini(&desk);
    asks_free(asks);
    registrar_free(registrar);
    transactions_fini(&transactions);
    journal_fini(&journal);
    location_fini(&location);
    fake_fini(&fake);
    return 0;
}

static struct aor *record(const char *text)
{
    struct aor *a;

    assert_int_equal(location_ensure(&location, span_of(text), span_of(text), &a), LOCATION_OK);
    return a;
}

static void register_anna(void)
{
    struct aor *a = record("sip:anna@example.com");
    struct binding_spec spec = {
        .uri = SPAN("sip:anna@10.0.0.1:5062"),
        .call_id = SPAN("c"),
        .flow = fake_flow("10.0.0.1:5062"),
        .expires_ms = fake.rt.now_ms + 60000,
        .granted_s = 60,
    };

    assert_non_null(location_bind(&location, &a, &spec));
}

static struct ask *put(enum ask_kind kind, const char *text)
{
    struct ask *a = ask_new(kind);

    assert_non_null(a);
    a->text = arena_copy(&a->arena, span_of(text));
    a->limit = 100;
    assert_true(asks_put(asks, a));
    return a;
}

static void fill(void)
{
    char text[32];

    for (unsigned i = 0; i < RECORDS; i++) {
        snprintf(text, sizeof text, "sip:u%u@example.com", i);
        record(text);
    }
}

/* At the clock in a whole search: one in 16 places of the table. */
static unsigned looks(void)
{
    return (unsigned)((location.aors.mask + 1) / 16);
}

/* How many turns until this one is answered. */
static unsigned turns_until(const struct ask *a)
{
    unsigned turns = 0;

    do {
        uint64_t before_us = clock_now_us;

        desk_work(&desk);
        turns++;
        assert_true(turns <= RECORDS);
        /* A search looks once in 16 records, and ends at the first look that is too late. */
        assert_true(clock_now_us - before_us <= DESK_SLICE_US + 4 * look_takes_us);
    } while (asks_next_answered(asks) != a);
    return turns;
}

static void test_a_search_is_done_in_slices(void **state)
{
    struct ask *slow, *quick;

    (void)state;
    fill();
    slow = put(ASK_LIST, "nobody");
    quick = put(ASK_FACTS, "");
    assert_in_range(turns_until(quick), 1, 2);
    assert_int_equal(quick->facts->aors, RECORDS);
    assert_in_range(turns_until(slow), looks() / 8, looks() / 3);
    assert_int_equal(slow->result, ASK_DONE);
    assert_int_equal(slow->page->count, 0);
    assert_false(slow->page->more);
    ask_free(slow);
    ask_free(quick);
}

/* What takes two seconds is given as far as it is, and the next page goes on there. */
static void test_a_page_ends_in_time(void **state)
{
    unsigned pages = 0;
    uint64_t after = 0;
    bool more;

    (void)state;
    fill();
    look_takes_us = DESK_PAGE_US / 100;
    do {
        struct ask *a = put(ASK_LIST, "nobody");

        a->after = after;
        (void)turns_until(a);
        assert_true(a->page->after > after || !a->page->more);
        after = a->page->after;
        more = a->page->more;
        pages++;
        ask_free(a);
    } while (more);
    assert_in_range(pages, looks() / 100, looks() / 10);
}

/* The answer to a kick waits for the disk, as a phone's would. */
static void test_a_kick_is_told_when_it_is_durable(void **state)
{
    struct ask *a;

    (void)state;
    register_anna();
    a = put(ASK_KICK, "anna");
    desk_work(&desk);
    journal_flush(&journal);
    desk_end_turn(&desk);
    assert_null(asks_next_answered(asks));
    assert_true(journal_written(&journal, true));
    desk_end_turn(&desk);
    assert_ptr_equal(asks_next_answered(asks), a);
    assert_int_equal(a->result, ASK_DONE);
    assert_int_equal(a->kicked, 1);
    ask_free(a);
}

/* midreg ends before that: nothing is left, and nobody is told. */
static void test_it_ends_before_that(void **state)
{
    (void)state;
    register_anna();
    (void)put(ASK_KICK, "anna");
    desk_work(&desk);
    desk_end_turn(&desk);
    assert_non_null(desk.stored);
    assert_null(asks_next_answered(asks));
}

#define IN(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(test_a_search_is_done_in_slices),
        IN(test_a_page_ends_in_time),
        IN(test_a_kick_is_told_when_it_is_durable),
        IN(test_it_ends_before_that),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

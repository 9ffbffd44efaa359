/*
 * location/news: a queue in order, bounded.
 */
#include "location/location.h"
#include "location/news.h"

#include "fake_ports.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void it_is_taken_in_order(void **state)
{
    struct news n;
    uint32_t next = 1;

    (void)state;
    news_init(&n);
    assert_null(news_first(&n));
    news_drop(&n); /* of nothing */
    for (uint32_t i = 1; i <= 1000; i++) {
        news_add(&n, i, i);
        if (i % 3) /* the queue grows, and its ring turns */
            continue;
        assert_int_equal(news_first(&n)->binding_id, next++);
        news_drop(&n);
    }
    for (; next <= 1000; next++) {
        assert_int_equal(news_first(&n)->hash, next);
        news_drop(&n);
    }
    assert_null(news_first(&n));
    news_fini(&n);
}

static void it_is_bounded(void **state)
{
    struct news n;

    (void)state;
    news_init(&n);
    for (uint32_t i = 0; i < NEWS_MAX + 10; i++)
        news_add(&n, i, 1);
    assert_int_equal(n.count, NEWS_MAX);
    assert_int_equal(news_first(&n)->hash, 0);
    news_fini(&n);
}

static void a_record_that_goes_is_news(void **state)
{
    struct fake fake;
    struct location l;
    struct aor *a;

    (void)state;
    fake_init(&fake);
    location_init(&l, &fake.rt);
    assert_int_equal(location_ensure(&l, SPAN("sip:al@x"), SPAN("sip:al@x"), &a), LOCATION_OK);
    assert_null(news_first(&l.news));
    uint64_t hash = a->hash;

    location_delete(&l, a);
    assert_int_equal(news_first(&l.news)->hash, hash);
    assert_int_equal(news_first(&l.news)->binding_id, 0);
    location_fini(&l);
    fake_fini(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_taken_in_order),
        cmocka_unit_test(it_is_bounded),
        cmocka_unit_test(a_record_that_goes_is_news),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

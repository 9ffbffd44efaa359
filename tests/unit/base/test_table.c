/* base/table: against a plain model, with keys that all want one place. */
#include "base/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static void test_empty(void **state)
{
    struct table t;
    size_t at = 0;

    (void)state;
    table_init(&t);
    assert_null(table_find(&t, 0));
    assert_null(table_remove(&t, 0));
    assert_null(table_next(&t, &at));
    table_fini(&t);
}

static void test_key_zero_and_replace(void **state)
{
    struct table t;
    int a, b;

    (void)state;
    table_init(&t);
    assert_true(table_put(&t, 0, &a));
    assert_ptr_equal(table_find(&t, 0), &a);
    assert_true(table_put(&t, 0, &b));
    assert_int_equal(t.used, 1);
    assert_ptr_equal(table_remove(&t, 0), &b);
    assert_null(table_find(&t, 0));
    table_fini(&t);
}

/* 20,000 steps over 500 keys; `spread` sets how many low bits differ. */
static void against_model(uint64_t spread)
{
    static char model[500];
    static char values[500];
    struct table t;
    uint64_t x = 88172645463325252;
    size_t used = 0;

    memset(model, 0, sizeof model);
    table_init(&t);
    for (int step = 0; step < 20000; step++) {
        size_t i = next_random(&x) % 500;
        uint64_t key = i << 32 | (i & spread);

        if (next_random(&x) % 2) {
            assert_true(table_put(&t, key, &values[i]));
            used += !model[i];
            model[i] = 1;
        } else {
            assert_ptr_equal(table_remove(&t, key), model[i] ? &values[i] : NULL);
            used -= (size_t)model[i];
            model[i] = 0;
        }
        assert_int_equal(t.used, used);
        if (step % 50 == 0)
            for (i = 0; i < 500; i++)
                assert_ptr_equal(table_find(&t, i << 32 | (i & spread)),
                                 model[i] ? &values[i] : NULL);
    }
    used = 0;
    for (size_t at = 0; table_next(&t, &at);)
        used++;
    assert_int_equal(used, t.used);
    table_fini(&t);
}

static void test_model(void **state)
{
    (void)state;
    against_model(0);    /* every key collides */
    against_model(7);    /* long runs that touch */
    against_model(4095); /* as it should be */
}

/* What a burst took comes back, and what stays is found. */
static void test_shrinks(void **state)
{
    static char values[1000];
    struct table t;

    (void)state;
    table_init(&t);
    for (uint64_t i = 0; i < 1000; i++)
        assert_true(table_put(&t, i << 5, &values[i]));
    assert_true(t.mask + 1 >= 1024);
    for (uint64_t i = 3; i < 1000; i++) {
        assert_ptr_equal(table_remove(&t, i << 5), &values[i]);
        for (uint64_t k = 0; k < 3; k++)
            assert_ptr_equal(table_find(&t, k << 5), &values[k]);
    }
    assert_int_equal(t.used, 3);
    assert_int_equal(t.mask + 1, 64);
    table_fini(&t);
}

/* What is there all the time is seen once, though the table grows meanwhile. */
static void test_walk_survives_growth(void **state)
{
    static unsigned seen[2000];
    uint64_t at = 0;
    void *value;
    struct table t;

    (void)state;
    table_init(&t);
    for (uint64_t i = 0; i < 500; i++)
        assert_true(table_put(&t, i * 0x9e3779b97f4a7c15, &seen[i]));
    for (uint64_t i = 500; table_walk(&t, &at, &value);) {
        if (value)
            ++*(unsigned *)value;
        if (i < 2000) {
            assert_true(table_put(&t, i * 0x9e3779b97f4a7c15, &seen[i]));
            i++;
        }
    }
    for (unsigned i = 0; i < 500; i++)
        assert_int_equal(seen[i], 1);
    table_fini(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_key_zero_and_replace),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_shrinks),
        cmocka_unit_test(test_walk_survives_growth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

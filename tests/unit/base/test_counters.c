/* base/counters: names that are whole, values behind them. */
#include "base/counters.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_put(void **state)
{
    struct counters c = {{0}};
    char room[4096];
    struct buf out = buf_make(room, sizeof room);

    (void)state;
    counter_add(&c, COUNTER_REGISTER_RECEIVED);
    counter_add(&c, COUNTER_HASH_COLLISION);
    counter_add(&c, COUNTER_HASH_COLLISION);
    counters_put(&out, &c);
    room[out.n] = 0;
    assert_false(out.overflow);
    assert_ptr_equal(strstr(room, "register_received=1 register_absorbed=0 "), room);
    assert_non_null(strstr(room, " hash_collision=2"));
    assert_int_not_equal(room[out.n - 1], ' ');
}

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < COUNTERS; i++) {
        assert_non_null(counter_name((enum counter)i));
        assert_true(strlen(counter_help((enum counter)i)) > 0);
        for (int j = 0; j < i; j++)
            assert_string_not_equal(counter_name((enum counter)i), counter_name((enum counter)j));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_put),
        cmocka_unit_test(test_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* base/arena: alignment, copies, sizes, bounded waste. */
#include "base/arena.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_aligned_and_apart(void **state)
{
    struct arena a;
    char *last = NULL;

    (void)state;
    arena_init(&a);
    for (size_t n = 0; n < 300; n++) {
        char *p = arena_alloc(&a, n);

        assert_non_null(p);
        assert_int_equal((uintptr_t)p % 8, 0);
        memset(p, (int)n, n); /* ASan sees it if the room is too small */
        if (n > 1)
            assert_int_equal((unsigned char)last[n - 2], (n - 1) & 0xff);
        last = p;
    }
    arena_fini(&a);
}

static void test_large(void **state)
{
    struct arena a;
    char *p;

    (void)state;
    arena_init(&a);
    p = arena_alloc(&a, 65507);
    assert_non_null(p);
    memset(p, 1, 65507);
    assert_true(arena_size(&a) < 65507 + 1024);
    assert_null(arena_alloc(&a, SIZE_MAX));
    arena_fini(&a);
    assert_int_equal(arena_size(&a), 0);
}

static void test_copies(void **state)
{
    struct arena a;
    char text[] = "hello";
    struct span copy;
    struct span empty;

    (void)state;
    arena_init(&a);
    copy = arena_copy(&a, span_of(text));
    text[0] = 'j';
    assert_true(span_eq(copy, SPAN("hello")));
    empty = arena_copy(&a, SPAN_NONE);
    assert_non_null(empty.p);
    assert_int_equal(empty.n, 0);
    arena_fini(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_aligned_and_apart),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_copies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

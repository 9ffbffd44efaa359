/* base/slab: handles that know when they are stale, bounds, order. */
#include "base/slab.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct thing {
    uint64_t a;
    char b[13];
};

static void test_handles(void **state)
{
    struct slab s;
    struct handle h1, h2, h3;
    struct thing *t1, *t3;

    (void)state;
    slab_init(&s, sizeof(struct thing), 1000);
    assert_null(slab_get(&s, HANDLE_NONE));
    t1 = slab_new(&s, &h1);
    assert_non_null(t1);
    assert_true(h1.generation != 0);
    t1->a = 7;
    assert_non_null(slab_new(&s, &h2));
    assert_ptr_equal(slab_get(&s, h1), t1);
    slab_free(&s, h1);
    assert_null(slab_get(&s, h1));
    assert_int_equal(s.used, 1);
    t3 = slab_new(&s, &h3);
    assert_int_equal(h3.slot, h1.slot); /* the memory serves again */
    assert_int_equal(t3->a, 0);         /* and is clear */
    assert_null(slab_get(&s, h1));
    slab_free(&s, h1); /* stale: ignored */
    assert_ptr_equal(slab_get(&s, h3), t3);
    assert_null(slab_get(&s, (struct handle){h3.slot, h3.generation + 1}));
    assert_null(slab_get(&s, (struct handle){4000000000u, 1}));
    assert_true(handle_pack(h3) == handle_pack(handle_unpack(handle_pack(h3))));
    slab_fini(&s);
}

static void test_bound(void **state)
{
    struct slab s;
    struct handle h[200];

    (void)state;
    slab_init(&s, 1, 130);
    for (int i = 0; i < 130; i++)
        assert_non_null(slab_new(&s, &h[i]));
    assert_null(slab_new(&s, &h[130]));
    assert_int_equal(h[130].generation, 0);
    slab_free(&s, h[77]);
    assert_non_null(slab_new(&s, &h[130]));
    slab_fini(&s);
}

static void test_never_moves(void **state)
{
    struct slab s;
    struct handle h[1000];
    struct thing *first[1000];

    (void)state;
    slab_init(&s, sizeof(struct thing), 1000);
    for (uint32_t i = 0; i < 1000; i++) {
        first[i] = slab_new(&s, &h[i]);
        first[i]->a = i;
        memset(first[i]->b, 'x', sizeof first[i]->b);
    }
    for (uint32_t i = 0; i < 1000; i++) {
        assert_ptr_equal(slab_get(&s, h[i]), first[i]);
        assert_int_equal(first[i]->a, i);
    }
    slab_fini(&s);
}

static void test_order(void **state)
{
    struct slab s;
    struct handle h[100], at;
    uint32_t seen = 0;

    (void)state;
    slab_init(&s, sizeof(struct thing), 100);
    assert_null(slab_next(&s, 0, &at));
    for (int i = 0; i < 100; i++)
        slab_new(&s, &h[i]);
    for (int i = 0; i < 100; i += 3)
        slab_free(&s, h[i]);
    for (uint32_t from = 0; slab_next(&s, from, &at); from = at.slot + 1) {
        assert_true(at.slot >= from && at.slot % 3 != 0);
        seen++;
    }
    assert_int_equal(seen, s.used);
    slab_fini(&s);
}

/* Empty pages go back but one, and a handle of a page that was given back stays stale. */
static void test_gives_back(void **state)
{
    enum { COUNT = 20000 };
    static struct handle h[COUNT];
    struct slab s;
    struct handle again;

    (void)state;
    slab_init(&s, 100, COUNT);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < COUNT; i++) {
            struct handle before = h[i];

            assert_non_null(slab_new(&s, &h[i]));
            assert_null(slab_get(&s, before));
        }
        assert_int_equal(s.backed, s.page_count);
        assert_true(s.page_count > 5);
        for (int i = 0; i < COUNT; i++)
            slab_free(&s, h[(i * 7919) % COUNT]);
        assert_int_equal(s.used, 0);
        assert_int_equal(s.backed, 1);
        for (int i = 0; i < COUNT; i++)
            assert_null(slab_get(&s, h[i]));
        assert_null(slab_next(&s, 0, &again));
    }
    slab_fini(&s);
}

/* At the edge of a page nothing is given back and taken again. */
static void test_edge(void **state)
{
    struct slab s;
    struct handle h;
    uint32_t objects = 0;

    (void)state;
    slab_init(&s, 1000, 10000);
    while (s.backed < 2) {
        assert_non_null(slab_new(&s, &h));
        objects++;
    }
    for (int i = 0; i < 100; i++) {
        slab_free(&s, h);
        assert_int_equal(s.backed, 2);
        assert_non_null(slab_new(&s, &h));
    }
    assert_int_equal(s.used, objects);
    slab_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handles),     cmocka_unit_test(test_bound),
        cmocka_unit_test(test_never_moves), cmocka_unit_test(test_order),
        cmocka_unit_test(test_gives_back),  cmocka_unit_test(test_edge),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The location table when each single allocation fails once, then all from there
 * on: what could not be done has changed nothing, and removing always works.
 */
#include "location/location.h"
#include "no_memory.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct binding_spec spec = {
    .uri = {"sip:a@10.0.0.1", 14},
    .call_id = {"call", 4},
    .expires_ms = 2000000,
};

/* As many bindings as could be made; each step leaves the record readable. */
static void story(struct location *l)
{
    struct aor *a;
    unsigned expected = 0;

    if (location_ensure(l, SPAN("sip:alice@example.com"), SPAN("sip:Alice@x"), &a) != LOCATION_OK) {
        assert_null(a);
        assert_int_equal(l->bytes, 0);
        return;
    }
    for (int i = 0; i < 4; i++)
        expected += location_bind(l, &a, &spec) != NULL;
    assert_int_equal(a->bindings, expected);
    assert_int_equal(aor_live_count(a, 0), expected);
    if (expected > 0) {
        struct binding_spec other = spec;
        uint32_t id = aor_first(a)->id;
        bool done;

        other.call_id = SPAN("a-longer-call-id");
        done = location_rebind(l, &a, id, &other) != NULL;
        assert_int_equal(location_binding(a, id)->call_id_n, done ? 16 : 4);
        location_unbind(l, &a, id);
        assert_null(location_binding(a, id));
        expected--;
    }
    assert_int_equal(a->bindings, expected);
    assert_int_equal(l->bindings, expected);
    assert_int_equal(l->bytes, a->size);
    assert_ptr_equal(location_find(l, a->hash), a);
    location_delete(l, a);
    assert_int_equal(l->bytes + l->bindings, 0);
}

static void each_allocation(bool on)
{
    bool failed = true;

    for (unsigned at = 1; failed; at++) {
        struct fake f;
        struct location l;

        fake_init(&f);
        location_init(&l, &f.rt);
        no_memory_from(&f, at, on);
        story(&l);
        failed = no_memory_end(&f);
        assert_true(at < 100);
        location_fini(&l);
        fake_fini(&f);
    }
}

static void test_each(void **state)
{
    (void)state;
    each_allocation(false);
    each_allocation(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

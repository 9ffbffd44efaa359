/* location/journal: numbers rise, what is durable never falls. */
#include "fake_ports.h"
#include "location/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_at_once(void **state)
{
    struct fake f;
    struct journal j;
    struct aor a = {.sequence = 0};

    (void)state;
    fake_init(&f);
    journal_init(&j, &f.rt);
    assert_true(journal_is_durable(&j, 0)); /* never changed */
    assert_true(journal_change(&j, &a));
    assert_int_equal(a.sequence, 1);
    assert_int_equal(f.journal_submitted, 1);
    assert_true(journal_is_durable(&j, a.sequence));
    fake_fini(&f);
}

static void test_later(void **state)
{
    struct fake f;
    struct journal j;
    struct aor a = {.sequence = 0}, b = {.sequence = 0};

    (void)state;
    fake_init(&f);
    journal_init(&j, &f.rt);
    f.journal_held = true;
    assert_false(journal_change(&j, &a));
    assert_false(journal_change(&j, &b));
    journal_reached(&j, 1);
    assert_true(journal_is_durable(&j, a.sequence));
    assert_false(journal_is_durable(&j, b.sequence));
    journal_reached(&j, 0); /* late news change nothing */
    assert_true(journal_is_durable(&j, a.sequence));
    journal_reached(&j, 1000); /* what was not given out cannot be durable */
    assert_true(journal_is_durable(&j, b.sequence));
    assert_false(journal_change(&j, &a));
    assert_int_equal(a.sequence, 3);
    fake_fini(&f);
}

/* A change that is durable at once makes the earlier ones durable too. */
static void test_covers_earlier(void **state)
{
    struct fake f;
    struct journal j;
    struct aor a = {.sequence = 0}, b = {.sequence = 0};

    (void)state;
    fake_init(&f);
    journal_init(&j, &f.rt);
    f.journal_held = true;
    assert_false(journal_change(&j, &a));
    f.journal_held = false;
    assert_true(journal_change(&j, &b));
    assert_true(journal_is_durable(&j, a.sequence));
    fake_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_at_once),
        cmocka_unit_test(test_later),
        cmocka_unit_test(test_covers_earlier),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * proxy/best: the order of final answers, RFC 3261 16.7 step 6.
 */
#include "proxy/best.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void the_better_of_two(void **state)
{
    static const struct {
        int better, worse;
    } row[] = {
        {603, 486}, {603, 302}, {600, 401}, {603, 503}, /* 6xx before all */
        {302, 404}, {302, 503}, {404, 500}, {486, 503}, /* then the lowest class */
        {401, 404}, {407, 486}, {407, 484}, {415, 486}, /* what the caller can mend */
        {420, 404}, {484, 480}, {486, 408}, {486, 480}, /* an answer before silence */
        {404, 487}, {500, 503}, {504, 503},             /* 503 says least */
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        assert_true(best_prefers(row[i].better, row[i].worse));
        assert_false(best_prefers(row[i].worse, row[i].better));
    }
}

static void the_first_of_equals_stays(void **state)
{
    (void)state;
    assert_true(best_prefers(503, 0));
    assert_false(best_prefers(486, 486));
    assert_false(best_prefers(404, 486));
    assert_false(best_prefers(486, 404));
    assert_false(best_prefers(603, 600));
    assert_false(best_prefers(401, 407));
    assert_false(best_prefers(407, 401));
}

static void a_503_is_sent_as_500(void **state)
{
    (void)state;
    assert_int_equal(best_sent(503, true), 500);
    assert_int_equal(best_sent(503, false), 500);
    assert_int_equal(best_sent(486, true), 486);
    assert_true(best_is_challenge(401) && best_is_challenge(407));
    assert_false(best_is_challenge(403));
}

/* RFC 5626 7: to a caller of the AOR it says nothing; within a dialog it does. */
static void a_430_to_a_caller_is_sent_as_480(void **state)
{
    (void)state;
    assert_int_equal(best_sent(430, true), 480);
    assert_int_equal(best_sent(430, false), 430);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_better_of_two),
        cmocka_unit_test(the_first_of_equals_stays),
        cmocka_unit_test(a_503_is_sent_as_500),
        cmocka_unit_test(a_430_to_a_caller_is_sent_as_480),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

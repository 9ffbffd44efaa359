/* admin/cli_print, cli_clean: what people read. */
#include "admin/cli.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_durations(void **state)
{
    static const struct {
        json_int_t seconds;
        const char *text;
    } row[] = {
        {0, "0s"},        {59, "59s"},       {60, "1m"},     {61, "1m 1s"},
        {3600, "1h"},     {3599, "59m 59s"}, {3601, "1h"},   {86400, "1d"},
        {90061, "1d 1h"}, {172800, "2d"},    {604800, "7d"},
    };
    struct cli_duration room;

    (void)state;
    for (unsigned i = 0; i < sizeof row / sizeof *row; i++)
        assert_string_equal(cli_duration(&room, row[i].seconds), row[i].text);
}

static void test_clean(void **state)
{
    json_t *value = json_pack("{s:s, s:[s, i, {s:s}], s:n}", "a", "good \"one\" \xc3\xa4", "b",
                              "\x1b[2J\x7f\n", 5, "c", "x\xc2\x9by\xc2\xa0", "d");
    const json_t *list;

    (void)state;
    assert_non_null(value);
    cli_clean(value);
    list = json_object_get(value, "b");
    assert_string_equal(json_string_value(json_object_get(value, "a")), "good \"one\" \xc3\xa4");
    assert_string_equal(json_string_value(json_array_get(list, 0)), "\\x1b[2J\\x7f\\x0a");
    assert_string_equal(json_string_value(json_object_get(json_array_get(list, 2), "c")),
                        "x\\x9by\xc2\xa0");
    json_decref(value);
    cli_clean(NULL);
}

/* An answer of another version, or nonsense, is shown as far as it goes. */
static void test_what_is_missing_is_shown_as_nothing(void **state)
{
    static const char *const answers[] = {
        "{}",
        "[]",
        "{\"aors\": 5, \"upstreams\": {}, \"bindings\": \"x\"}",
        "{\"aors\": [{}], \"upstreams\": [{}], \"bindings\": [{}], \"other_leases\": [{}]}",
        "{\"upstreams\": [{\"reload\": {\"number\": 1, \"total\": -5, \"done\": 99}}]}",
    };
    char *text = NULL;
    size_t n;

    (void)state;
    for (unsigned i = 0; i < sizeof answers / sizeof *answers; i++) {
        json_t *answer = json_loads(answers[i], 0, NULL);
        FILE *out = open_memstream(&text, &n);

        assert_non_null(answer);
        cli_print_status(out, answer);
        cli_print_list(out, answer, true);
        cli_print_aor(out, answer);
        cli_print_reload(out, json_array_get(json_object_get(answer, "upstreams"), 0), 1);
        fclose(out);
        assert_true(n > 0);
        free(text);
        json_decref(answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_durations),
        cmocka_unit_test(test_clean),
        cmocka_unit_test(test_what_is_missing_is_shown_as_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

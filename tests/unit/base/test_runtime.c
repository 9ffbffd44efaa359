/* base/runtime: log lines that nobody can forge, chance within bounds. */
#include "fake_ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void test_log(void **state)
{
    struct fake f;
    char *big;

    (void)state;
    fake_init(&f);
    runtime_log(&f.rt, LOG_INFO, "start", "port=%d", 5060);
    assert_string_equal(f.logs[0], "event=start port=5060");
    runtime_log(&f.rt, LOG_INFO, "stop", "%s", "");
    assert_string_equal(f.logs[1], "event=stop");
    runtime_log(&f.rt, LOG_INFO, "x", "a=%s", "1\r\nevent=forged\x7f\x1b[0m");
    assert_string_equal(f.logs[2], "event=x a=1??event=forged??[0m");
    big = test_malloc(5000);
    memset(big, 'y', 4999);
    big[4999] = 0;
    runtime_log(&f.rt, LOG_INFO, "x", "a=%s", big);
    assert_int_equal(strlen(f.logs[3]), 1023);
    test_free(big);
    fake_fini(&f);
}

static void test_log_value(void **state)
{
    static const struct {
        const char *in;
        const char *out;
    } values[] = {
        {"sip:alice@example.com", "sip:alice@example.com"},
        {"", "\"\""},
        {"a b", "\"a b\""},
        {"a\r\nevent=x", "\"a\\x0d\\x0aevent=x\""},
        {"say \"hi\"", "\"say \\\"hi\\\"\""},
        {"a\\", "\"a\\\\\""},
        {"x level=error", "\"x level=error\""},
        {"a=b", "\"a=b\""},
        {"\xc3\xa4", "\"\\xc3\\xa4\""},
    };
    struct log_text room;

    (void)state;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++)
        assert_string_equal(log_value(&room, span_of(values[i].in)), values[i].out);
}

static void test_log_value_bounds(void **state)
{
    struct log_text room;
    char in[400];

    (void)state;
    memset(in, 'a', sizeof in);
    for (size_t n = 0; n < sizeof in; n++)
        assert_true(strlen(log_value(&room, span_make(in, n))) <= 128);
    assert_int_equal(strlen(log_value(&room, span_make(in, 128))), 128);
    assert_non_null(strstr(log_value(&room, span_make(in, 129)), "a...\""));
    for (int c = 0; c < 256; c++) {
        memset(in, c, sizeof in);
        for (size_t n = 110; n < 140; n++) {
            const char *text = log_value(&room, span_make(in, n));

            assert_true(strlen(text) <= 128);
            for (const char *p = text; *p; p++)
                assert_true(*p >= ' ' && *p < 0x7f);
        }
    }
}

static void test_random(void **state)
{
    struct fake f;
    bool seen[5] = {false};

    (void)state;
    fake_init(&f);
    for (int i = 0; i < 100; i++) {
        uint32_t r = runtime_random(&f.rt, 5);

        assert_true(r < 5);
        seen[r] = true;
    }
    for (int i = 0; i < 5; i++)
        assert_true(seen[i]);
    assert_int_equal(runtime_random(&f.rt, 1), 0);
    fake_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_log_value),
        cmocka_unit_test(test_log_value_bounds),
        cmocka_unit_test(test_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

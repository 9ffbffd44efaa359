/* transaction/branch: what we write we read, what we did not write we refuse. */
#include "talk.h"
#include "transaction/machine.h"

static void test_round_trip(void **state)
{
    struct branch in = {{123456, 0xfffffffd}, 0x0123456789abcdef, 0xdeadbeef};
    struct branch out;
    char text[CLIENT_BRANCH_SIZE];
    uint32_t loop = 0;

    (void)state;
    branch_write(&in, text);
    assert_ptr_equal(strstr(text, "z9hG4bK"), text);
    assert_int_equal(strlen(text), 39);
    assert_true(branch_read(span_of(text), &out));
    assert_memory_equal(&in.handle, &out.handle, sizeof in.handle);
    assert_true(in.secret == out.secret);
    assert_true(client_branch_loop(span_of(text), &loop));
    assert_int_equal(loop, 0xdeadbeef);
}

static void test_refuses(void **state)
{
    static const char *const foreign[] = {
        "",
        "z9hG4bK",
        "z9hG4bKnashds8",
        "z9hG4bKaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",   /* one short */
        "z9hG4bKaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", /* one long */
        "z9hG4bKaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!",
        "z9hG4bXaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    uint32_t loop;

    (void)state;
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++)
        assert_false(client_branch_loop(span_of(foreign[i]), &loop));
    assert_false(client_branch_loop(SPAN_NONE, &loop));
    assert_true(client_branch_loop(SPAN("z9hG4bKaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), &loop));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

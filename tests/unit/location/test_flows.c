/* Which AORs have a binding on a connection: noted once, taken at its close. */
#include "location/flows.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static struct flow stream(uint32_t connection)
{
    return (struct flow){.transport = TRANSPORT_TCP, .connection = connection};
}

static void datagrams_are_not_noted(void **state)
{
    struct flow udp = {.transport = TRANSPORT_UDP};
    struct flows f;
    size_t n;

    (void)state;
    flows_init(&f);
    assert_true(flows_note(&f, &udp, 1));
    assert_null(flows_take(&f, &udp, &n));
    assert_int_equal(n, 0);
    flows_fini(&f);
}

static void a_close_gives_each_aor_once(void **state)
{
    struct flow a = stream(7), b = stream(8);
    struct flows f;
    size_t n;

    (void)state;
    flows_init(&f);
    for (int round = 0; round < 1000; round++)
        for (uint64_t aor = 1; aor <= 5; aor++)
            assert_true(flows_note(&f, &a, aor));
    assert_true(flows_note(&f, &b, 9));
    uint64_t *hashes = flows_take(&f, &a, &n);
    assert_int_equal(n, 5);
    for (uint64_t i = 0; i < 5; i++)
        assert_int_equal(hashes[i], i + 1);
    free(hashes);
    assert_null(flows_take(&f, &a, &n));
    hashes = flows_take(&f, &b, &n);
    assert_int_equal(n, 1);
    assert_int_equal(hashes[0], 9);
    free(hashes);
    flows_fini(&f);
}

static void many_aors_share_a_connection(void **state)
{
    struct flow edge = stream(1);
    struct flows f;
    size_t n;

    (void)state;
    flows_init(&f);
    for (uint64_t aor = 0; aor < 10000; aor++)
        assert_true(flows_note(&f, &edge, aor));
    free(flows_take(&f, &edge, &n));
    assert_int_equal(n, 10000);
    for (uint64_t aor = 0; aor < 100; aor++)
        assert_true(flows_note(&f, &edge, aor));
    flows_fini(&f); /* frees what nobody took */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(datagrams_are_not_noted),
        cmocka_unit_test(a_close_gives_each_aor_once),
        cmocka_unit_test(many_aors_share_a_connection),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

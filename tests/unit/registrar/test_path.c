/*
 * registrar: Path (RFC 3327): stored in order on proof, returned, part of what a
 * flow proves behind an edge proxy.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define EDGE  "Path: <sip:edge@10.1.1.1;lr>, <sip:10.1.1.2;lr>\r\n"
#define OTHER "Path: <sip:other@10.1.1.3;lr>\r\n"
#define PATH  "Path: <sip:edge@10.1.1.1;lr>\r\nPath: <sip:10.1.1.2;lr>\r\n"

static int none(void **state)
{
    (void)state;
    world_open(AUTH_NONE);
    world_start();
    return 0;
}

static int upstream(void **state)
{
    (void)state;
    world_open(AUTH_UPSTREAM);
    world_start();
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_close();
    return 0;
}

static void assert_path(const char *wanted)
{
    struct span path = binding_path(aor_first(anna()));

    if (!span_eq(path, span_of(wanted)))
        fail_msg("%.*s", (int)path.n, path.p);
}

static void test_stored_in_order_and_returned(void **state)
{
    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME EDGE "Require: path\r\n");
    assert_int_equal(count_of(upstream_accepts(), "Path"), 0);
    const char *answer = assert_answer(HOME, 200);
    assert_int_equal(count_of(answer, EDGE), 1);
    assert_int_equal(count_of(answer, "Supported: path"), 1);
    assert_path("<sip:edge@10.1.1.1;lr>, <sip:10.1.1.2;lr>");
    phone(HOME, "h1", 2, CONTACT_HOME OTHER);
    assert_answer(HOME, 200);
    assert_path("<sip:other@10.1.1.3;lr>");
    phone(HOME, "h1", 3, CONTACT_HOME);
    assert_int_equal(count_of(assert_answer(HOME, 200), "path"), 0);
    assert_path("");
}

/* Design 3.2: behind an edge proxy an identical Path is proof, no Path is none. */
static void test_proof_needs_the_same_path(void **state)
{
    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS EDGE);
    upstream_accepts();
    assert_answer(HOME, 200);
    phone(HOME, "h1", 2, CONTACT_HOME PATH); /* two fields, the same vector */
    assert_answer(HOME, 200);
    assert_upstream_quiet();
    phone(HOME, "h1", 3, CONTACT_HOME OTHER);
    upstream_answers(assert_register(3600), 401, "WWW-Authenticate: Digest realm=\"x\"\r\n");
    assert_answer(HOME, 401);
    phone(HOME, "h1", 4, CONTACT_HOME);
    upstream_answers(assert_register(3600), 401, "WWW-Authenticate: Digest realm=\"x\"\r\n");
    assert_answer(HOME, 401);
    assert_path("<sip:edge@10.1.1.1;lr>, <sip:10.1.1.2;lr>");
}

static void test_bad_ones_are_refused(void **state)
{
    static const char *const bad[] = {
        "Path: sip:edge;lr\r\n",
        "Path: <http://edge>\r\n",
        "Path: <sip:edge;lr\r\n",
        "Path: ,\r\n",
        ("Path: <sip:1;lr>,<sip:2;lr>,<sip:3;lr>,<sip:4;lr>,<sip:5;lr>,<sip:6;lr>,<sip:7;lr>,"
         "<sip:8;lr>,<sip:9;lr>\r\n"),
    };
    char lines[512];

    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof *bad; i++) {
        snprintf(lines, sizeof lines, CONTACT_HOME "%s", bad[i]);
        phone(HOME, "h1", i + 1, lines);
        assert_answer(HOME, 400);
    }
    assert_upstream_quiet();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stored_in_order_and_returned, none, end),
        cmocka_unit_test_setup_teardown(test_proof_needs_the_same_path, upstream, end),
        cmocka_unit_test_setup_teardown(test_bad_ones_are_refused, none, end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

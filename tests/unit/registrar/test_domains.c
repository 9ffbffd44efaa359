/*
 * registrar: domain-alias and force-domain (design 3.2): one identity, one record,
 * one lease; To and Request-URI go up as the phone wrote them.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ALIAS "pbx.example.com"

static char *domains[] = {(char *)"example.com"};

static int begin(void **state)
{
    (void)state;
    world_open(AUTH_UPSTREAM);
    world.config.domain_count = 1;
    world.config.domains[0] = domains[0];
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_close();
    return 0;
}

static void with_alias(void)
{
    world.config.alias[0] = (struct config_alias){(char *)ALIAS, domains[0]};
    world.config.alias_count = 1;
    world_start();
}

static void test_alias_shares_record_and_lease(void **state)
{
    const char *first, *second;
    char first_contact[256];

    (void)state;
    with_alias();
    phone(HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    first = upstream_accepts();
    snprintf(first_contact, sizeof first_contact, "%s", fake_field(first, "Contact"));
    assert_answer(HOME, 200);

    phone_at(ALIAS, DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
    second = upstream_accepts();
    assert_non_null(strstr(second, "REGISTER sip:" ALIAS " SIP/2.0\r\n"));
    assert_non_null(strstr(second, "\r\nTo: <sip:anna@" ALIAS ">\r\n"));
    assert_non_null(strstr(second, "\r\nFrom: <sip:anna@" ALIAS ">;tag="));
    assert_string_equal(fake_field(second, "Contact"), first_contact);
    assert_int_equal(count_of(assert_answer(DESK, 200), "Contact:"), 2);
    assert_int_equal(world.location.aors.used, 1);

    /* Under the other name it is the same phone. */
    phone_at(ALIAS, HOME, "h1", 2, CONTACT_HOME);
    assert_answer(HOME, 200);
    assert_upstream_quiet();
}

static void test_who_is_first_names_the_lease(void **state)
{
    const char *up;

    (void)state;
    world.config.upstream[0].means = CONFIG_MEANS_ACL;
    with_alias();
    phone_at(ALIAS, HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    upstream_accepts();
    assert_answer(HOME, 200);
    assert_non_null(anna());
    pass(121000); /* midreg's own removal speaks of what was registered */
    up = assert_register(0);
    assert_non_null(strstr(up, "\r\nTo: <sip:anna@" ALIAS ">\r\n"));
}

static void test_other_domains_stay_out(void **state)
{
    (void)state;
    with_alias();
    phone_at("example.org", HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    assert_answer(HOME, 404);
    assert_upstream_quiet();
}

static void test_forced_domain(void **state)
{
    (void)state;
    world.config.force_domain = domains[0];
    world_start();
    phone_at("anything.invalid", HOME, "h1", 1, CONTACT_HOME CREDENTIALS);
    assert_non_null(strstr(upstream_accepts(), "\r\nTo: <sip:anna@anything.invalid>\r\n"));
    assert_answer(HOME, 200);
    phone_at("10.0.0.9", DESK, "d1", 1, CONTACT_DESK CREDENTIALS);
    upstream_accepts();
    assert_int_equal(count_of(assert_answer(DESK, 200), "Contact:"), 2);
    assert_non_null(anna());
    assert_int_equal(world.location.aors.used, 1);
}

#define IN(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(test_alias_shares_record_and_lease),
        IN(test_who_is_first_names_the_lease),
        IN(test_other_domains_stay_out),
        IN(test_forced_domain),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

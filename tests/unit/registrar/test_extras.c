/*
 * registrar: what a 200 holds beside the contacts: Service-Route and
 * P-Associated-URI of the lease, nobody else's push token; bulk contacts are
 * refused.
 */
#include "registrar/driver.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define OURS "<sip:127.0.0.1:5060;lr>, "

static int begin(void **state)
{
    (void)state;
    world_open(AUTH_NONE);
    world_start();
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_close();
    return 0;
}

/* The main registrar accepts and says this too. */
static void accept_with(const char *lines)
{
    const char *up = to_upstream();
    char text[8192];
    const char *contact;

    assert_non_null(up);
    contact = fake_field(up, "Contact");
    snprintf(text, sizeof text, "Contact: %.*s;expires=3600\r\n%s",
             (int)(strchr(contact, '>') + 1 - contact), contact, lines);
    upstream_answers(up, 200, text);
}

static void assert_field(const char *answer, const char *name, const char *value)
{
    const char *found = fake_field(answer, name);

    if (!value && found)
        fail_msg("%s", answer);
    if (value && (!found || strcmp(found, value) != 0))
        fail_msg("not %s: %s", value, answer);
}

#define ROUTES  "Service-Route: <sip:orig@pbx;lr>\r\nService-Route: <sip:b;lr>, <sip:c;lr>\r\n"
#define RELATED "P-Associated-URI: <sip:a@x>, <tel:+1>\r\np-associated-uri: <sip:b@x>\r\n"

static void test_repeated_when_absorbed(void **state)
{
    struct pbx pbx = {0};
    const char *answer;

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    accept_with(ROUTES RELATED);
    for (unsigned cseq = 2; cseq < 4; cseq++) {
        answer = assert_answer(HOME, 200);
        assert_field(answer, "Service-Route", OURS "<sip:orig@pbx;lr>, <sip:b;lr>, <sip:c;lr>");
        assert_field(answer, "P-Associated-URI", "<sip:a@x>, <tel:+1>, <sip:b@x>");
        phone(HOME, "h1", cseq, CONTACT_HOME);
        assert_upstream_quiet();
    }
    assert_answer(HOME, 200);
    /* Another's are another's. */
    phone_of("bert", DESK, "b1", 1, "Contact: <sip:bert@10.0.0.2:7000>\r\n");
    accept_with("");
    answer = assert_answer(DESK, 200);
    assert_field(answer, "Service-Route", NULL);
    assert_field(answer, "P-Associated-URI", NULL);
    assert_int_equal(world.registrar->extras.used, 1);
    assert_all_gone(&pbx);
    assert_int_equal(world.registrar->extras.used, 0);
}

/* The next REGISTER goes up. */
static void make_due(void)
{
    anna()->lease.means = MEANS_NONE;
    anna()->lease.until_ms = world.fake.rt.now_ms + 1000;
}

/* The last 2xx counts, also where it says nothing. */
static void test_the_last_answer_counts(void **state)
{
    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    accept_with(ROUTES RELATED);
    assert_answer(HOME, 200);
    make_due();
    phone(HOME, "h1", 2, CONTACT_HOME);
    accept_with("Service-Route: <sip:new;lr>\r\n");
    assert_field(assert_answer(HOME, 200), "Service-Route", OURS "<sip:new;lr>");
    make_due();
    phone(HOME, "h1", 3, CONTACT_HOME);
    accept_with("");
    assert_field(assert_answer(HOME, 200), "Service-Route", NULL);
}

/* What is malformed or has no end is not kept. */
static void test_bounds(void **state)
{
    char lines[4096] = "P-Associated-URI: <sip:fine@x>\r\nService-Route: <sip:";
    const char *answer;

    (void)state;
    memset(lines + strlen(lines), 'a', 1100);
    strcat(lines, ";lr>\r\n");
    phone(HOME, "h1", 1, CONTACT_HOME);
    accept_with(lines);
    answer = assert_answer(HOME, 200);
    assert_field(answer, "Service-Route", NULL);
    assert_field(answer, "P-Associated-URI", "<sip:fine@x>");
    phone_of("bert", DESK, "b1", 1, "Contact: <sip:bert@10.0.0.2:7000>\r\n");
    accept_with("Service-Route: sip:no-brackets\r\nService-Route: <sip:x\r\n");
    assert_field(assert_answer(DESK, 200), "Service-Route", NULL);
}

static void test_over_a_connection(void **state)
{
    (void)state;
    world.connection = 7;
    phone(HOME, "h1", 1, CONTACT_HOME);
    accept_with("Service-Route: <sip:b;lr>\r\n");
    assert_field(assert_answer(HOME, 200), "Service-Route",
                 "<sip:127.0.0.1:5060;transport=tcp;lr>, <sip:b;lr>");
}

static void test_advertised(void **state)
{
    (void)state;
    assert_true(address_parse(SPAN("203.0.113.7:5070"), 0, &world.config.advertise));
    phone(HOME, "h1", 1, CONTACT_HOME);
    accept_with("Service-Route: <sip:b;lr>\r\n");
    assert_field(assert_answer(HOME, 200), "Service-Route",
                 "<sip:203.0.113.7:5070;lr>, <sip:b;lr>");
}

/* RFC 8599: a token wakes the device; it is shown to its own phone only. */
static void test_push_tokens_stay_private(void **state)
{
    const char *answer;

    (void)state;
    phone(HOME, "h1", 1,
          "Contact: <sip:anna@10.0.0.1:5062;x=1;pn-provider=apns;PN-PRID=secret;y;pn-param=z>\r\n");
    upstream_accepts();
    assert_non_null(strstr(assert_answer(HOME, 200),
                           "<sip:anna@10.0.0.1:5062;x=1;pn-provider=apns;PN-PRID=secret;y;pn-param"
                           "=z>"));
    phone(DESK, "d1", 1, "Contact: <sip:anna@10.0.0.2;pn-prid=mine>\r\n");
    answer = assert_answer(DESK, 200);
    assert_non_null(strstr(answer, "<sip:anna@10.0.0.1:5062;x=1;y>;expires="));
    assert_non_null(strstr(answer, "<sip:anna@10.0.0.2;pn-prid=mine>;expires="));
}

static void test_bulk_contacts(void **state)
{
    (void)state;
    phone(HOME, "h1", 1, "Contact: <sip:10.0.0.1:5062;bnc>\r\n");
    assert_field(assert_answer(HOME, 420), "Unsupported", "gin");
    phone(HOME, "h1", 2, "Contact: <sip:10.0.0.1:5062;bnc>\r\nRequire: gin\r\n");
    assert_field(assert_answer(HOME, 420), "Unsupported", "gin");
    assert_upstream_quiet();
}

/* A lease that lapses takes them along, though no answer says so. */
static void test_gone_with_the_record(void **state)
{
    struct pbx pbx = {0};

    (void)state;
    phone(HOME, "h1", 1, CONTACT_HOME);
    accept_with(ROUTES RELATED);
    anna()->lease.means = MEANS_NONE;
    assert_int_equal(world.registrar->extras.used, 1);
    assert_all_gone(&pbx);
    assert_int_equal(pbx.registers, 0);
    assert_int_equal(world.registrar->extras.used, 0);
}

#define IN(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(test_repeated_when_absorbed),   IN(test_the_last_answer_counts), IN(test_bounds),
        IN(test_gone_with_the_record),     IN(test_over_a_connection),      IN(test_advertised),
        IN(test_push_tokens_stay_private), IN(test_bulk_contacts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* registrar/home: what happens at the seams when homes move. */
#include "world.h"

#include "registrar/driver.h"
#include "registrar/lease.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define OTHER "10.9.9.8:5080"

static int begin(void **state)
{
    (void)state;
    world_open(AUTH_NONE);
    world.config.policy = POLICY_FAILOVER;
    world.config.upstream_count = 2;
    world.config.upstream[1] = world.config.upstream[0];
    world.config.upstream[1].name = (char *)"other";
    assert_true(address_parse(SPAN(OTHER), 0, &world.config.upstream[1].address));
    for (unsigned i = 0; i < 2; i++) {
        world.config.upstream[i].weight = 1;
        world.config.upstream[i].rate = world.config.upstream[i].rate_max = 1;
        world.config.upstream[i].means = CONFIG_MEANS_ACL;
    }
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_close();
    return 0;
}

/* As the pings would tell; both are told of it. */
static void goes(unsigned i)
{
    struct upstream *u = &world.upstreams.list[i];

    u->health.state = HEALTH_DOWN;
    upstream_tell_down(u);
}

static void comes(unsigned i)
{
    struct upstream *u = &world.upstreams.list[i];

    u->health.state = HEALTH_UP;
    upstream_tell_returned(u);
}

/* The last REGISTER of anna that went there; NULL: none. */
static const char *last_at(const char *place)
{
    struct flow flow = fake_flow(place);

    for (size_t i = world.fake.sent_count; i-- > 0;)
        if (address_equal(&world.fake.sent[i].to.peer, &flow.peer) &&
            strstr(world.fake.sent[i].text, "To: <sip:anna@"))
            return world.fake.sent[i].text;
    return NULL;
}

static void answers(const char *place, const char *request, unsigned expires)
{
    char text[4096], contact[512];
    const char *value = fake_field(request, "Contact");
    struct flow flow = fake_flow(place);
    struct sip_fault fault;

    snprintf(contact, sizeof contact, "Contact: %.*s;expires=%u\r\n",
             (int)(strchr(value, '>') + 1 - value), value, expires);
    snprintf(text, sizeof text, "SIP/2.0 200 OK\r\n");
    for (const char *const *name =
             (const char *const[]){"Via", "From", "To", "Call-ID", "CSeq", NULL};
         *name; name++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s: %s\r\n", *name,
                 fake_field(request, *name));
    snprintf(text + strlen(text), sizeof text - strlen(text), "%sContent-Length: 0\r\n\r\n",
             expires ? contact : "");
    assert_int_equal(sip_parse(span_of(text), &world.message, &fault), SIP_PARSED);
    assert_true(client_receive(&world.transactions, &world.message, &flow));
}

/* So many others are ahead in the line to whoever is home. */
static void others_first(unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        char user[16], lines[64];

        snprintf(user, sizeof user, "f%u", i);
        snprintf(lines, sizeof lines, "Contact: <sip:%s@10.0.0.3:7000>\r\n", user);
        phone_of(user, THIRD, user, 1, lines);
    }
}

/* Its first REGISTER stands in the line to what was its home: the lease that it is about
 * stays, though the home is another one when the second comes. */
static void test_a_blank_lease_whose_register_waits(void **state)
{
    (void)state;
    world_start();
    goes(0);
    others_first(3);
    phone(HOME, "h1", 1, CONTACT_HOME);
    world.upstreams.list[0].health.state = HEALTH_UP;
    phone(DESK, "d1", 1, CONTACT_DESK);
    pass(6000);
    assert_non_null(last_at(OTHER));
    answers(OTHER, last_at(OTHER), 3600);
    pass(1000);
    assert_non_null(last_at(UPSTREAM));
    answers(UPSTREAM, last_at(UPSTREAM), 3600);
    assert_int_equal(anna()->lease.upstream, 0);
    assert_true(lease_held(&anna()->lease, world.fake.rt.now_ms));
}

/* Registered at the first, which is down for longer than survive-max; the other holds it. */
static void away_for_hours(void)
{
    world.config.policy = POLICY_ALL;
    world_start();
    phone(HOME, "h1", 1, CONTACT_HOME);
    while (!last_at(UPSTREAM) && !last_at(OTHER))
        pass(100);
    unsigned home = anna()->lease.upstream;

    answers(home ? OTHER : UPSTREAM, last_at(home ? OTHER : UPSTREAM), 3600);
    pass(2000);
    answers(home ? UPSTREAM : OTHER, last_at(home ? UPSTREAM : OTHER), 3600);
    goes(home);
    lease_settle(world.registrar, anna()->hash);
    assert_int_equal(anna()->lease.upstream, !home);
    struct lease *l = aor_lease_at(anna(), home);

    l->until_ms -= 3 * 3600000 > l->until_ms ? l->until_ms - 1 : 3 * 3600000;
    world.upstreams.list[home].health.state = HEALTH_UP;
}

static void test_a_known_phone_is_known_when_its_home_is_back_after_hours(void **state)
{
    (void)state;
    world.config.survive_max_ms = 1000;
    away_for_hours();
    lease_settle(world.registrar, anna()->hash);
    while (to_phone(HOME))
        continue;
    phone(HOME, "h1", 2, CONTACT_HOME);
    pass(world.config.forward_timeout_ms + 100); /* whatever the main registrar does */
    assert_answer(HOME, 200);
}

/* A removal that waits for its turn is dropped when the lease is wanted again. */
static void test_a_removal_that_is_not_wanted_any_more(void **state)
{
    const char *before;

    (void)state;
    world_start();
    goes(0);
    phone(HOME, "h1", 1, CONTACT_HOME);
    pass(1500);
    answers(OTHER, last_at(OTHER), 3600);
    others_first(6);
    before = last_at(OTHER);
    comes(0);
    while (!last_at(UPSTREAM))
        pass(100);
    answers(UPSTREAM, last_at(UPSTREAM), 3600); /* and so the removal stands in the line */
    assert_ptr_equal(last_at(OTHER), before);
    goes(0);
    pass(12000);
    assert_null(strstr(last_at(OTHER), "Expires: 0\r\n"));
    assert_int_equal(anna()->lease.upstream, 1);
}

/* Who is unknown at one of them is asked for every ten minutes there, and ends nowhere. */
static void test_refused_elsewhere(void **state)
{
    unsigned asked = 0;
    const char *last = NULL;

    (void)state;
    world.config.policy = POLICY_ALL;
    for (unsigned i = 0; i < 2; i++)
        world.config.upstream[i].rate = 0;
    world_start();
    phone(HOME, "h1", 1, CONTACT_HOME);
    unsigned home = anna()->lease.upstream;

    answers(home ? OTHER : UPSTREAM, last_at(home ? OTHER : UPSTREAM), 3600);
    for (unsigned i = 0; i < 1250; i++) {
        const char *place = home ? UPSTREAM : OTHER;
        const char *now = last_at(place);

        if (now && (!last || strcmp(now, last) != 0)) {
            struct flow flow = fake_flow(place);
            struct sip_fault fault;
            char text[2048];

            asked++;
            last = now;
            snprintf(text, sizeof text, "SIP/2.0 404 No\r\n");
            for (const char *const *name =
                     (const char *const[]){"Via", "From", "To", "Call-ID", "CSeq", NULL};
                 *name; name++)
                snprintf(text + strlen(text), sizeof text - strlen(text), "%s: %s\r\n", *name,
                         fake_field(now, *name));
            strcat(text, "Content-Length: 0\r\n\r\n");
            assert_int_equal(sip_parse(span_of(text), &world.message, &fault), SIP_PARSED);
            (void)client_receive(&world.transactions, &world.message, &flow);
        }
        pass(1000);
        if (i % 50 == 49)
            phone(HOME, "h1", 2 + i, CONTACT_HOME);
    }
    assert_in_range(asked, 2, 3); /* in twenty minutes */
    assert_int_equal(live_contacts(), 1);
    assert_true(lease_held(&anna()->lease, world.fake.rt.now_ms));
}

/* Both were down; what waited for the second goes to the first, which is back. */
static void test_all_were_down_and_one_is_back(void **state)
{
    (void)state;
    world.config.upstream[0].rate = world.config.upstream[1].rate = 0;
    world_start();
    goes(0);
    phone(HOME, "h1", 1, CONTACT_HOME);
    assert_non_null(last_at(OTHER)); /* and no answer */
    goes(1);
    assert_null(last_at(UPSTREAM));
    comes(0);
    assert_non_null(last_at(UPSTREAM));
    answers(UPSTREAM, last_at(UPSTREAM), 3600);
    assert_answer(HOME, 200);
}

#define IN(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(test_a_blank_lease_whose_register_waits),
        IN(test_a_known_phone_is_known_when_its_home_is_back_after_hours),
        IN(test_a_removal_that_is_not_wanted_any_more),
        IN(test_refused_elsewhere),
        IN(test_all_were_down_and_one_is_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

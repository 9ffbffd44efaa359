/*
 * registrar: three main registrars that come and go while phones do, by chance.
 *
 * Whatever happened: a known phone gets nothing but 200, and once all is quiet each
 * identity is registered where it belongs, and nowhere else.
 */
#include "world.h"

#include "registrar/driver.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define PBXS       3
#define USERS      24
#define STEP_MS    50
#define SEEDS      40
#define STORY_MS   900000u
#define QUIET_MS   150000u
#define PATIENT_MS 4500u
#define PING_MS    5000u
/* Two pings, the lost ones, and a REGISTER that is lost once or twice. */
#define NOWHERE_MS 20000u

static const char *const places[PBXS] = {"10.9.9.1:5080", "10.9.9.2:5080", "10.9.9.3:5080"};
static const char *const pbx_names[PBXS] = {"one", "two", "three"};

struct exchange {
    bool up;
    uint64_t since_ms;
    uint64_t held_until_ms[USERS];
    uint32_t cseq[USERS];
};

struct user {
    bool wants;          /* to be registered */
    bool known;          /* it was answered 200, and has not been away for longer since */
    uint32_t cseq;       /* of its last REGISTER */
    uint64_t asked_ms;   /* when that left; 0: it was answered */
    uint64_t next_ms;    /* its next one */
    uint64_t since_ms;   /* it is known since */
    uint64_t nowhere_ms; /* nobody who is up holds it since; 0: somebody does */
};

static struct exchange exchange[PBXS];
static struct user user[USERS];
static uint64_t chance;
static enum config_policy policy;
static bool mixed; /* each domain has its own */
static bool quiet; /* nothing is lost any more */
static unsigned rate;

static unsigned draw(unsigned n)
{
    chance = chance * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (unsigned)(chance >> 33) % n;
}

static uint64_t now(void)
{
    return world.fake.rt.now_ms;
}

static void hear(const char *from, const char *text)
{
    struct flow flow = fake_flow(from);
    struct sip_fault fault = {0};

    if (sip_parse(span_of(text), &world.message, &fault) != SIP_PARSED)
        fail_msg("%s\n%s", fault.reason, text);
    if (!world.message.is_request)
        (void)client_receive(&world.transactions, &world.message, &flow); /* it may be late */
    else if (!server_receive(&world.transactions, &world.message, &flow))
        registrar_receive(world.registrar, &world.message, &flow);
}

/* ---- the main registrars ------------------------------------------------------------- */

static int user_of(const char *request)
{
    const char *at = strstr(fake_field(request, "To"), "sip:u");

    return at ? atoi(at + 5) : -1;
}

static void answer(unsigned i, const char *request, unsigned expires)
{
    char text[2048], contact[512];
    const char *value = fake_field(request, "Contact");

    snprintf(contact, sizeof contact, "Contact: %.*s;expires=%u\r\n",
             value ? (int)(strchr(value, '>') + 1 - value) : 0, value ? value : "", expires);
    snprintf(text, sizeof text, "SIP/2.0 200 OK\r\n");
    for (const char *const *name =
             (const char *const[]){"Via", "From", "To", "Call-ID", "CSeq", NULL};
         *name; name++)
        snprintf(text + strlen(text), sizeof text - strlen(text), "%s: %s\r\n", *name,
                 fake_field(request, *name));
    snprintf(text + strlen(text), sizeof text - strlen(text), "%sContent-Length: 0\r\n\r\n",
             value && expires ? contact : "");
    if (quiet || draw(20) != 0)
        hear(places[i], text);
}

static void exchange_hears(unsigned i, const char *request)
{
    struct exchange *x = &exchange[i];
    int who = user_of(request);

    if (!x->up || (!quiet && draw(20) == 0))
        return;
    if (strncmp(request, "OPTIONS ", 8) == 0 || who < 0 || who >= USERS) {
        answer(i, request, 0);
        return;
    }
    unsigned expires = (unsigned)strtoul(fake_field(request, "Expires"), NULL, 10);
    uint32_t cseq = (uint32_t)strtoul(fake_field(request, "CSeq"), NULL, 10);

    if (cseq >= x->cseq[who]) { /* a copy, or a new one */
        x->held_until_ms[who] = expires ? now() + (uint64_t)expires * 1000 : 0;
        x->cseq[who] = cseq;
    }
    answer(i, request, expires);
}

static const char *domain_of(unsigned i)
{
    static const char *const domains[] = {"example.com", "b.example", "c.example"};

    return mixed ? domains[i % 3] : domains[0];
}

static enum config_policy policy_of(unsigned i)
{
    static const enum config_policy policies[] = {POLICY_HASH, POLICY_FAILOVER, POLICY_ALL};

    return mixed ? policies[i % 3] : policy;
}

/* ---- the phones ----------------------------------------------------------------------- */

static void place_of(unsigned i, char out[32])
{
    snprintf(out, 32, "10.0.1.%u:5060", i + 1);
}

static void say_register_of(unsigned i, bool again)
{
    struct user *u = &user[i];
    char text[1024], place[32];

    place_of(i, place);
    if (!again) {
        u->cseq++;
        u->asked_ms = now();
    }
    snprintf(text, sizeof text,
             "REGISTER sip:%s SIP/2.0\r\nVia: SIP/2.0/UDP %s;rport;branch=z9hG4bK%u.%u\r\n"
             "Max-Forwards: 70\r\nFrom: <sip:u%u@%s>;tag=%u\r\n"
             "To: <sip:u%u@%s>\r\nCall-ID: c%u\r\nCSeq: %u REGISTER\r\n"
             "Contact: <sip:u%u@%s>;expires=%u\r\nContent-Length: 0\r\n\r\n",
             domain_of(i), place, i, u->cseq, i, domain_of(i), i, i, domain_of(i), i, u->cseq, i,
             place, u->wants ? 3600u : 0u);
    hear(place, text);
}

static void phone_hears(unsigned i, const char *text)
{
    struct user *u = &user[i];
    int status = status_of(text);

    if (status < 200 || !u->asked_ms || strtoul(fake_field(text, "CSeq"), NULL, 10) != u->cseq)
        return;
    if (u->known && status != 200)
        fail_msg("a known phone was told\n%s", text);
    u->asked_ms = 0;
    if (status == 200) {
        u->since_ms = u->known ? u->since_ms : now();
        u->known = u->wants;
    }
    u->next_ms = now() + (status == 200 ? 50000 : 3000) + draw(5000);
    if (!u->wants && status == 200)
        u->next_ms = UINT64_MAX; /* until it comes back */
}

static void phones_live(void)
{
    for (unsigned i = 0; i < USERS; i++) {
        struct user *u = &user[i];

        if (u->known && u->asked_ms && now() - u->asked_ms > PATIENT_MS)
            fail_msg("a known phone got no answer");
        if (!quiet && !u->asked_ms && draw(8000) == 0) { /* it comes, or goes */
            u->wants = !u->wants;
            u->next_ms = now();
            if (!u->wants)
                u->known = false; /* removing may take longer than a refresh */
        }
        if (!u->asked_ms && u->next_ms <= now())
            say_register_of(i, false);
        else if (u->asked_ms && now() - u->asked_ms > 20000)
            say_register_of(i, false);
        else if (u->asked_ms && (now() - u->asked_ms) % 1000 < STEP_MS)
            say_register_of(i, true);
    }
}

/* ---- time ------------------------------------------------------------------------------ */

static void deliver(void)
{
    struct flow flow[PBXS];

    for (unsigned i = 0; i < PBXS; i++)
        flow[i] = fake_flow(places[i]);
    for (size_t k = 0; k < world.fake.sent_count; k++) {
        const struct flow to = world.fake.sent[k].to;
        char *text = strdup(world.fake.sent[k].text); /* what is sent now may move it */
        char place[32];

        for (unsigned i = 0; i < PBXS; i++)
            if (address_equal(&to.peer, &flow[i].peer))
                exchange_hears(i, text);
        for (unsigned i = 0; i < USERS; i++) {
            place_of(i, place);
            struct flow phone = fake_flow(place);

            if (address_equal(&to.peer, &phone.peer))
                phone_hears(i, text);
        }
        free(text);
    }
    fake_clear(&world.fake);
}

static void exchanges_live(void)
{
    for (unsigned i = 0; i < PBXS; i++) {
        struct exchange *x = &exchange[i];

        if (x->up ? draw(4000) != 0 : draw(800) != 0)
            continue;
        x->up = !x->up;
        /* It was restarted, and has lost all. (If that took less than two pings, only its
         * event socket could tell.) */
        if (x->up && now() - x->since_ms > 2 * PING_MS && draw(2))
            for (unsigned k = 0; k < USERS; k++)
                x->held_until_ms[k] = x->cseq[k] = 0;
        x->since_ms = now();
    }
}

static void check_calls(void);

static void live(uint64_t ms)
{
    uint64_t until_ms = now() + ms;

    while (now() < until_ms) {
        if (!quiet)
            exchanges_live();
        phones_live();
        deliver();
        fake_advance(&world.fake, STEP_MS);
        deliver();
        check_calls();
    }
}

/* ---- what must be so ------------------------------------------------------------------- */

/* A known identity can be called again soon after its main registrar went, as long as
 * there is another. */
static void check_calls(void)
{
    bool any_up = false;

    for (unsigned i = 0; i < PBXS; i++)
        any_up |= exchange[i].up && now() - exchange[i].since_ms > NOWHERE_MS;
    for (unsigned k = 0; k < USERS; k++) {
        struct user *u = &user[k];
        bool somewhere = !any_up || !u->known || now() - u->since_ms < NOWHERE_MS;

        for (unsigned i = 0; i < PBXS; i++)
            somewhere |= exchange[i].up && exchange[i].held_until_ms[k] > now();
        if (somewhere)
            u->nowhere_ms = 0;
        else if (u->nowhere_ms == 0)
            u->nowhere_ms = now();
        else if (now() - u->nowhere_ms > NOWHERE_MS + USERS * UINT64_C(2000) / rate)
            fail_msg("u%u cannot be called", k);
    }
}

static void check_all(uint64_t seed)
{
    for (unsigned k = 0; k < USERS; k++) {
        char aor[64];
        uint64_t hash;
        bool live_there;

        snprintf(aor, sizeof aor, "sip:u%u@%s", k, domain_of(k));
        hash = location_hash(&world.location, span_of(aor));
        const struct aor *a = location_find(&world.location, hash);

        live_there = a && aor_live_count(a, now()) > 0;
        assert_int_equal(live_there, user[k].wants);
        for (unsigned i = 0; i < PBXS; i++) {
            bool wanted = user[k].wants && (policy_of(k) == POLICY_ALL ||
                                            upstreams_of(&world.upstreams, span_of(aor), hash) ==
                                                &world.upstreams.list[i]);

            if ((exchange[i].held_until_ms[k] > now()) != wanted)
                fail_msg("seed %llu: %s is %sregistered at %s", (unsigned long long)seed, aor,
                         wanted ? "not " : "", pbx_names[i]);
        }
        if (user[k].wants)
            assert_int_equal(a->further, policy_of(k) == POLICY_ALL ? PBXS - 1 : 0);
        else
            assert_null(a);
        if (user[k].wants && policy_of(k) == POLICY_FAILOVER)
            assert_int_equal(a->lease.upstream, 0);
    }
}

/* Another policy for two of the three domains. */
static void mix(void)
{
    for (unsigned i = 1; i < 3; i++) {
        world.config.domain_policy[i - 1].domain = (char *)(uintptr_t)domain_of(i);
        world.config.domain_policy[i - 1].policy = policy_of(i);
    }
    world.config.domain_policy_count = 2;
}

static void story(uint64_t seed)
{
    static const unsigned rates[] = {2, 10, 100};

    chance = seed * UINT64_C(0x9e3779b97f4a7c15) + 1;
    rate = rates[seed % 3];
    quiet = false;
    memset(user, 0, sizeof user);
    memset(exchange, 0, sizeof exchange);
    world_open(AUTH_NONE);
    world.fake.random = seed;
    world.config.policy = policy;
    if (mixed)
        mix();
    world.config.upstream_count = PBXS;
    for (unsigned i = 0; i < PBXS; i++) {
        struct config_upstream *up = &world.config.upstream[i];

        up->name = (char *)(uintptr_t)pbx_names[i];
        up->weight = 1 + i;
        up->rate = up->rate_max = rate;
        up->ping_interval_ms = PING_MS;
        up->means = CONFIG_MEANS_ACL;
        assert_true(address_parse(span_of(places[i]), 0, &up->address));
        exchange[i].up = true;
    }
    for (unsigned i = 0; i < USERS; i++) {
        user[i].wants = draw(4) > 0;
        user[i].next_ms = user[i].wants ? 1000000 + draw(20000) : UINT64_MAX;
    }
    world_start_unprobed();
    live(STORY_MS);
    quiet = true;
    for (unsigned i = 0; i < PBXS; i++)
        exchange[i].up = true;
    live(QUIET_MS);
    check_all(seed);
    world_close();
}

static void test_hash(void **state)
{
    (void)state;
    policy = POLICY_HASH;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        story(seed);
}

static void test_failover(void **state)
{
    (void)state;
    policy = POLICY_FAILOVER;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        story(seed);
}

static void test_all(void **state)
{
    (void)state;
    policy = POLICY_ALL;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        story(seed);
}

static void test_each_domain_its_own(void **state)
{
    (void)state;
    policy = POLICY_HASH;
    mixed = true;
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        story(seed);
    mixed = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash),
        cmocka_unit_test(test_failover),
        cmocka_unit_test(test_all),
        cmocka_unit_test(test_each_domain_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

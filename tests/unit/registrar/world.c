/*
 * world: see the header. Fails the test where something it needs is missing.
 */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TAKEN_MAX 65536

struct world world;

static bool taken[TAKEN_MAX];
static size_t first_untaken;

void world_open(enum config_auth auth)
{
    memset(&world, 0, sizeof world);
    memset(taken, 0, sizeof taken);
    first_untaken = 0;
    fake_init(&world.fake);
    world.config = (struct config){
        .listen_count = 1,
        .auth = auth,
        .phone_expires_s = 120,
        .min_expires_s = 60,
        .upstream_expires_s = 3600,
        .max_contacts = 10,
        .forward_timeout_ms = 3000,
        .forward_timeout_new_ms = 16000,
        .survive_max_ms = 3600000,
        .retry_max_ms = 30000,
        .flow_grace_ms = 30000,
        .upstream_count = 1,
    };
    assert_true(address_parse(SPAN("127.0.0.1:5060"), 0, &world.config.listen[0].address));
    world.config.upstream[0].name = (char *)"pbx";
    assert_true(address_parse(SPAN(UPSTREAM), 0, &world.config.upstream[0].address));
}

void world_start_unprobed(void)
{
    struct runtime *rt = &world.fake.rt;

    location_init(&world.location, rt);
    journal_init(&world.journal, rt, &world.location, false);
    assert_true(transactions_init(&world.transactions, rt));
    upstreams_init(&world.upstreams, rt, &world.config, &world.transactions);
    world.registrar = registrar_new(&(struct registrar_parts){
        .rt = rt,
        .config = &world.config,
        .location = &world.location,
        .journal = &world.journal,
        .transactions = &world.transactions,
        .upstreams = &world.upstreams,
    });
    assert_non_null(world.registrar);
    upstreams_start(&world.upstreams);
}

void world_start(void)
{
    const char *probe;

    world_start_unprobed();
    probe = to_upstream();
    if (probe) {
        upstream_answers(probe, 401, "");
        pass(6000); /* timer K */
    }
}

static void on_journal_timer(void *self, struct timer *timer)
{
    (void)self;
    (void)timer;
    if (journal_look(&world.journal))
        registrar_durable(world.registrar);
}

void store_opens(void)
{
    wheel_handler(&world.fake.rt.wheel, TIMER_JOURNAL, on_journal_timer, NULL);
    world.journal.kept = true;
    world.fake.journal_held = true;
}

void store_takes(void)
{
    if (journal_flush(&world.journal))
        registrar_durable(world.registrar);
}

void store_writes(void)
{
    store_takes();
    if (journal_written(&world.journal, true))
        registrar_durable(world.registrar);
    store_takes();
}

/* In the order of core_free(). */
void world_close(void)
{
    registrar_free(world.registrar);
    transactions_fini(&world.transactions);
    journal_fini(&world.journal);
    location_fini(&world.location);
    fake_fini(&world.fake);
}

struct flow phone_flow(const char *from)
{
    struct flow flow = fake_flow(from);

    if (world.connection && strcmp(from, UPSTREAM) != 0) {
        flow.transport = TRANSPORT_TCP;
        flow.connection = world.connection;
    }
    return flow;
}

void receive(const char *from, const char *text)
{
    struct flow flow = phone_flow(from);
    struct sip_fault fault = {0};
    struct sip_message *m = &world.message;

    if (sip_parse(span_of(text), m, &fault) != SIP_PARSED)
        fail_msg("%s\n%s", fault.reason, text);
    if (!m->is_request)
        assert_true(client_receive(&world.transactions, m, &flow));
    else if (!server_receive(&world.transactions, m, &flow))
        registrar_receive(world.registrar, m, &flow);
}

static void say_register(const char *user, const char *domain, const char *flow,
                         const char *call_id, unsigned cseq, const char *lines)
{
    world.last_from = flow;
    snprintf(world.last_text, sizeof world.last_text,
             "REGISTER sip:%s SIP/2.0\r\n"
             "Via: SIP/2.0/UDP %s;rport;branch=z9hG4bKphone%u\r\n"
             "Max-Forwards: 70\r\n"
             "From: <sip:%s@%s>;tag=%s\r\n"
             "To: <sip:%s@%s>\r\n"
             "Call-ID: %s\r\n"
             "CSeq: %u REGISTER\r\n"
             "%s"
             "Content-Length: 0\r\n\r\n",
             domain, flow, ++world.branches, user, domain, call_id, user, domain, call_id, cseq,
             lines);
    phone_again();
}

void phone_of(const char *user, const char *flow, const char *call_id, unsigned cseq,
              const char *lines)
{
    say_register(user, "example.com", flow, call_id, cseq, lines);
}

void phone_at(const char *domain, const char *flow, const char *call_id, unsigned cseq,
              const char *lines)
{
    say_register("anna", domain, flow, call_id, cseq, lines);
}

void phone(const char *flow, const char *call_id, unsigned cseq, const char *lines)
{
    phone_of("anna", flow, call_id, cseq, lines);
}

void phone_again(void)
{
    receive(world.last_from, world.last_text);
}

static bool went_to(size_t i, const struct flow *flow)
{
    return address_equal(&world.fake.sent[i].to.peer, &flow->peer);
}

/* A copy of a request that was sent before. */
static bool is_copy(size_t i, const struct flow *flow)
{
    const struct fake_datagram *sent = world.fake.sent;

    for (size_t j = i; j-- > 0 && i - j < 500;)
        if (taken[j] && went_to(j, flow) && sent[j].n == sent[i].n &&
            memcmp(sent[j].text, sent[i].text, sent[i].n) == 0)
            return true;
    return false;
}

/* The next datagram to there, or NULL. */
static const char *take(const char *to, bool *copy)
{
    struct flow flow = fake_flow(to);
    size_t i;

    assert_true(world.fake.sent_count <= TAKEN_MAX);
    while (first_untaken < world.fake.sent_count && taken[first_untaken])
        first_untaken++;
    for (i = first_untaken; i < world.fake.sent_count; i++) {
        if (taken[i] || !went_to(i, &flow))
            continue;
        *copy = is_copy(i, &flow);
        taken[i] = true;
        return world.fake.sent[i].text;
    }
    return NULL;
}

const char *to_upstream(void)
{
    const char *text;
    bool copy;

    do
        text = take(UPSTREAM, &copy);
    while (text && copy);
    return text;
}

const char *to_phone(const char *flow)
{
    bool copy;

    return take(flow, &copy);
}

static void put_field(char *out, size_t cap, const char *request, const char *name)
{
    const char *value = fake_field(request, name);

    assert_non_null(value);
    snprintf(out + strlen(out), cap - strlen(out), "%s: %s\r\n", name, value);
}

void upstream_answers(const char *request, int status, const char *lines)
{
    char text[65536];

    snprintf(text, sizeof text, "SIP/2.0 %d Said So\r\n", status);
    put_field(text, sizeof text, request, "Via");
    put_field(text, sizeof text, request, "From");
    put_field(text, sizeof text, request, "To");
    put_field(text, sizeof text, request, "Call-ID");
    put_field(text, sizeof text, request, "CSeq");
    snprintf(text + strlen(text), sizeof text - strlen(text), "%sContent-Length: 0\r\n\r\n", lines);
    receive(UPSTREAM, text);
}

void upstream_grants(const char *request, unsigned expires)
{
    char line[1024];
    const char *contact = fake_field(request, "Contact");

    assert_non_null(contact);
    snprintf(line, sizeof line, "Contact: %.*s;expires=%u\r\n",
             (int)(strchr(contact, '>') + 1 - contact), contact, expires);
    upstream_answers(request, 200, expires ? line : "");
}

static unsigned asked(const char *request)
{
    const char *expires = fake_field(request, "Expires");

    assert_non_null(expires);
    return (unsigned)strtoul(expires, NULL, 10);
}

const char *upstream_accepts(void)
{
    const char *request = to_upstream();

    assert_non_null(request);
    upstream_grants(request, asked(request));
    return request;
}

void pass(uint64_t ms)
{
    fake_advance(&world.fake, ms);
    store_takes();
}

int status_of(const char *answer)
{
    int status = 0;

    assert_int_equal(sscanf(answer, "SIP/2.0 %d ", &status), 1);
    return status;
}

const char *assert_answer(const char *flow, int status)
{
    const char *answer = to_phone(flow);

    if (!answer)
        fail_msg("no answer to %s", flow);
    if (status_of(answer) != status)
        fail_msg("%s", answer);
    return answer;
}

void assert_no_answer(const char *flow)
{
    const char *answer = to_phone(flow);

    if (answer)
        fail_msg("%s", answer);
}

void assert_upstream_quiet(void)
{
    const char *request = to_upstream();

    if (request)
        fail_msg("%s", request);
}

unsigned count_of(const char *text, const char *needle)
{
    unsigned n = 0;

    while ((text = strstr(text, needle))) {
        n++;
        text += strlen(needle);
    }
    return n;
}

const char *assert_register(unsigned expires)
{
    const char *request = to_upstream();

    if (!request)
        fail_msg("nothing went upstream");
    if (asked(request) != expires)
        fail_msg("not %u:\n%s", expires, request);
    return request;
}

struct aor *anna(void)
{
    return location_find(&world.location,
                         location_hash(&world.location, SPAN("sip:anna@example.com")));
}

unsigned live_contacts(void)
{
    return anna() ? aor_live_count(anna(), world.fake.rt.now_ms) : 0;
}

uint64_t counted(enum counter which)
{
    return world.fake.rt.counters.value[which];
}

/* ---- a main registrar that answers by itself ---- */

static void pbx_answer(struct pbx *pbx, const char *request, bool copy)
{
    unsigned expires = asked(request);

    pbx->registers += !copy;
    pbx->removals += !copy && expires == 0;
    if (pbx->silent)
        return;
    if (pbx->challenges && !fake_field(request, "Authorization")) {
        upstream_answers(request, 401, "WWW-Authenticate: Digest realm=\"example.com\"\r\n");
        return;
    }
    if (pbx->status) {
        upstream_answers(request, pbx->status, pbx->lines ? pbx->lines : "");
        return;
    }
    if (pbx->grant_s && expires > pbx->grant_s)
        expires = pbx->grant_s;
    if (strstr(request, "To: <sip:anna@"))
        pbx->held_until_ms = world.fake.rt.now_ms + (uint64_t)expires * 1000;
    upstream_grants(request, expires);
}

void run(struct pbx *pbx, uint64_t ms)
{
    uint64_t until = world.fake.rt.now_ms + ms;
    const char *request;
    bool copy;

    for (;;) {
        while ((request = take(UPSTREAM, &copy)))
            pbx_answer(pbx, request, copy);
        if (world.fake.rt.now_ms >= until)
            return;
        uint64_t left = until - world.fake.rt.now_ms;
        pass(left < 10 ? left : 10);
    }
}

void assert_all_gone(struct pbx *pbx)
{
    run(pbx, 200000);
    assert_int_equal(world.location.aors.used, 0);
    assert_int_equal(world.location.bindings, 0);
    assert_int_equal(world.location.bytes, 0);
    assert_int_equal(registrar_pending(world.registrar), 0);
    assert_int_equal(world.transactions.servers.used, 0);
    assert_int_equal(world.transactions.clients.used, 0);
    assert_int_equal(world.fake.rt.wheel.armed, timer_armed(&world.upstreams.list[0].timer));
}

/* ---- a phone that lives on ---- */

void say(struct caller *c)
{
    phone(HOME, "h1", ++c->cseq, c->lines);
}

/* `ms` pass, and the phone refreshes every 60 s. False: it was refused. */
bool live_on(struct caller *c, struct pbx *pbx, uint64_t ms)
{
    const char *answer;
    bool fine = true;

    for (uint64_t at = 0; at < ms; at += 60000) {
        run(pbx, 60000);
        say(c);
        run(pbx, 20);
        while ((answer = to_phone(HOME)))
            fine &= status_of(answer) == 200;
    }
    return fine;
}

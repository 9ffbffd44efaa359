/*
 * stage: see the header. Fails the test where anything is missing.
 */
#include "stage.h"

#include "sip/build.h"
#include "transaction/client.h"
#include "transaction/server.h"
#include "upstream/contact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static char *domain = (char[]){"example.com"};

static void stage_begin(struct stage *s)
{
    s->proxy = proxy_new(&(struct proxy_parts){
        .rt = &s->fake.rt,
        .config = &s->config,
        .location = &s->location,
        .transactions = &s->transactions,
        .upstreams = &s->upstreams,
    });
    assert_non_null(s->proxy);
}

void stage_restart_proxy(struct stage *s)
{
    proxy_free(s->proxy);
    s->upstreams.user_count = 0;
    stage_begin(s);
}

void stage_second_upstream(struct stage *s, const char *place)
{
    s->config.policy = POLICY_FAILOVER;
    s->config.upstream_count = 2;
    address_parse(span_of(place), 0, &s->config.upstream[1].address);
    upstreams_init(&s->upstreams, &s->fake.rt, &s->config, &s->transactions);
    upstreams_start(&s->upstreams);
    stage_restart_proxy(s);
}

int stage_init(void **state)
{
    struct stage *s = calloc(1, sizeof *s);

    assert_non_null(s);
    fake_init(&s->fake);
    s->config.listen_count = 1;
    address_parse(SPAN("127.0.0.1:5060"), 0, &s->config.listen[0].address);
    s->config.domains[0] = domain;
    s->config.domain_count = 1;
    s->config.auth = AUTH_NONE;
    s->config.fork_timeout_ms = 20000;
    s->config.timer_c_ms = 181000;
    s->config.upstream_count = 1;
    address_parse(SPAN(PBX), 0, &s->config.upstream[0].address);
    location_init(&s->location, &s->fake.rt);
    assert_true(transactions_init(&s->transactions, &s->fake.rt));
    upstreams_init(&s->upstreams, &s->fake.rt, &s->config, &s->transactions);
    upstreams_start(&s->upstreams);
    stage_begin(s);
    *state = s;
    return 0;
}

int stage_fini(void **state)
{
    struct stage *s = *state;

    fake_advance(&s->fake, 600000);
    assert_int_equal(proxy_pending(s->proxy), 0);
    assert_int_equal(s->transactions.servers.used, 0);
    assert_int_equal(s->transactions.clients.used, 0);
    assert_int_equal(s->fake.rt.wheel.armed, 0);
    proxy_free(s->proxy);
    transactions_fini(&s->transactions);
    location_fini(&s->location);
    fake_fini(&s->fake);
    free(s);
    return 0;
}

/* ---- connections ----------------------------------------------------------- */

void stage_connect(struct stage *s, const char *peer, uint32_t connection)
{
    struct flow flow = fake_flow(peer);

    flow.transport = TRANSPORT_TCP;
    flow.connection = connection;
    for (unsigned i = 0; i < s->stream_count; i++)
        if (address_equal(&s->streams[i].peer, &flow.peer)) {
            s->streams[i] = flow;
            return;
        }
    assert_true(s->stream_count < MAX_STREAMS);
    s->streams[s->stream_count++] = flow;
}

/* How this peer is reached, and where its messages come from. */
static struct flow stage_flow(const struct stage *s, const char *peer)
{
    struct flow flow = fake_flow(peer);

    for (unsigned i = 0; i < s->stream_count; i++)
        if (address_equal(&s->streams[i].peer, &flow.peer))
            return s->streams[i];
    return flow;
}

void stage_close_flow(struct stage *s, const struct flow *flow)
{
    fake_kill(&s->fake, flow->connection);
    upstreams_flow_closed(&s->upstreams, flow);
    client_flow_closed(&s->transactions, flow);
    fake_advance(&s->fake, 1);
}

void stage_close(struct stage *s, const char *peer)
{
    struct flow flow = stage_flow(s, peer);

    stage_close_flow(s, &flow);
}

/* ---- phones ---------------------------------------------------------------- */

static struct aor *stage_aor(struct stage *s, const char *aor)
{
    struct aor *a;

    assert_int_equal(location_ensure(&s->location, span_of(aor), span_of(aor), &a), LOCATION_OK);
    return a;
}

static struct binding_spec stage_spec(struct stage *s, const char *peer, unsigned q, char *room,
                                      size_t size)
{
    snprintf(room, size, "sip:line@%s;ob", peer);
    return (struct binding_spec){
        .uri = span_of(room),
        .params = SPAN(""),
        .call_id = SPAN("registration"),
        .flow = stage_flow(s, peer),
        .expires_ms = s->fake.rt.now_ms + 3600000,
        .proved_ms = s->fake.rt.now_ms,
        .granted_s = 3600,
        .cseq = 1,
        .q = (uint16_t)q,
        .flags = BINDING_FLOW_PROVED,
    };
}

uint32_t stage_phone(struct stage *s, const char *aor, const char *peer, unsigned q)
{
    struct aor *a = stage_aor(s, aor);
    char uri[128];
    struct binding_spec spec = stage_spec(s, peer, q, uri, sizeof uri);
    struct binding *b = location_bind(&s->location, &a, &spec);

    assert_non_null(b);
    return b->id;
}

void stage_leave(struct stage *s, const char *aor, uint32_t id)
{
    struct aor *a = stage_aor(s, aor);

    location_unbind(&s->location, &a, id);
}

void stage_move(struct stage *s, const char *aor, uint32_t id, const char *peer)
{
    struct aor *a = stage_aor(s, aor);
    char uri[128];
    struct binding_spec spec = stage_spec(s, peer, 1000, uri, sizeof uri);

    assert_non_null(location_rebind(&s->location, &a, id, &spec));
}

struct binding *stage_binding(struct stage *s, const char *aor, uint32_t id)
{
    struct binding *b = location_binding(stage_aor(s, aor), id);

    assert_non_null(b);
    return b;
}

const char *stage_contact(struct stage *s, const char *aor)
{
    static char room[256];
    struct buf out = buf_make(room, sizeof room - 1);

    contact_put_uri(&out, &s->upstreams.list[0].contact, span_of(aor),
                    location_hash(&s->location, span_of(aor)));
    room[out.n] = 0;
    return room;
}

/* ---- messages in ----------------------------------------------------------- */

static void stage_deliver(struct stage *s, const struct flow *from, struct span datagram)
{
    char *copy =
        malloc(datagram.n ? datagram.n : 1); /* the sanitizer sees who reads beyond, or later */
    struct sip_message *m = calloc(1, sizeof *m);
    struct sip_fault fault = {0};

    assert_non_null(copy);
    assert_non_null(m);
    memcpy(copy, datagram.p, datagram.n);
    if (sip_parse(span_make(copy, datagram.n), m, &fault) != SIP_PARSED)
        fail_msg("not a message (%s):\n%.*s", fault.reason, (int)datagram.n, datagram.p);
    if (!m->is_request)
        client_receive(&s->transactions, m, from);
    else if (!server_receive(&s->transactions, m, from))
        proxy_receive(s->proxy, m, from);
    free(m);
    free(copy);
}

void stage_receive(struct stage *s, const char *peer, const char *text)
{
    struct flow from = stage_flow(s, peer);
    char *room = malloc(2 * strlen(text) + 1);
    size_t n = 0;

    assert_non_null(room);
    for (; *text; text++) {
        if (*text == '\n')
            room[n++] = '\r';
        room[n++] = *text;
    }
    stage_deliver(s, &from, span_make(room, n));
    free(room);
}

void stage_receive_format(struct stage *s, const char *peer, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    assert_true(vasprintf(&text, format, args) > 0);
    va_end(args);
    stage_receive(s, peer, text);
    free(text);
}

void stage_request(struct stage *s, const char *peer, const char *method, const char *ruri,
                   const char *fields)
{
    struct flow flow = stage_flow(s, peer);
    bool pbx = strcmp(peer, PBX) == 0;
    bool own_to = strstr(fields, "To:") != NULL;
    bool own_from = strstr(fields, "From:") != NULL;
    bool own_call = strstr(fields, "Call-ID:") != NULL;
    bool own_hops = strstr(fields, "Max-Forwards:") != NULL;

    stage_receive_format(s, peer,
                         "%s %s SIP/2.0\n"
                         "Via: SIP/2.0/%s %s;branch=z9hG4bK-test-%u;rport\n"
                         "%s%s%s%s%s"
                         "CSeq: 7 %s\n"
                         "Content-Length: 4\n\nbody",
                         method, ruri, transport_via_name(flow.transport), peer, ++s->serial,
                         own_hops ? "" : "Max-Forwards: 70\n",
                         own_from ? ""
                         : pbx    ? "From: <sip:pbx@example.com>;tag=from\n"
                                  : "From: \"Al\" <" AL ">;tag=from\n",
                         own_to ? "" : "To: <sip:callee@example.com>\n",
                         own_call ? "" : "Call-ID: call\n", fields, method);
}

void stage_cancel(struct stage *s, const char *peer, const char *ruri, const char *fields)
{
    s->serial--; /* the INVITE's branch */
    stage_request(s, peer, "CANCEL", ruri, fields);
}

void stage_call(struct stage *s)
{
    stage_request(s, PBX, "INVITE", stage_contact(s, AL), "Contact: <sip:mod@10.0.0.5:5080>\n");
}

/* ---- datagrams out --------------------------------------------------------- */

static size_t stage_find(const struct stage *s, const char *peer, const char *start)
{
    struct flow to = fake_flow(peer);

    assert_true(s->fake.sent_count < MAX_D);
    for (size_t i = 0; i < s->fake.sent_count; i++)
        if (!s->taken[i] && address_equal(&s->fake.sent[i].to.peer, &to.peer) &&
            strncmp(s->fake.sent[i].text, start, strlen(start)) == 0)
            return i;
    return MAX_D;
}

const struct fake_datagram *stage_take(struct stage *s, const char *peer, const char *start)
{
    size_t i = stage_find(s, peer, start);

    if (i == MAX_D) {
        for (size_t k = 0; k < s->fake.sent_count; k++)
            print_message("%c %.60s\n", s->taken[k] ? '-' : '+', s->fake.sent[k].text);
        fail_msg("no \"%s\" was sent to %s", start, peer);
    }
    s->taken[i] = true;
    s->kept[i] = s->fake.sent[i];
    return &s->kept[i];
}

void stage_none(struct stage *s, const char *peer, const char *start)
{
    size_t i = stage_find(s, peer, start);

    if (i != MAX_D)
        fail_msg("this was sent to %s:\n%s", peer, s->fake.sent[i].text);
}

void stage_answer(struct stage *s, const struct fake_datagram *request, int status,
                  const char *fields)
{
    static char room[8192];
    struct buf out = buf_make(room, sizeof room);
    struct sip_message *m = calloc(1, sizeof *m);
    struct sip_fault fault;
    char tag[32];

    assert_non_null(m);
    snprintf(tag, sizeof tag, "tag-%u", request->to.peer.ip[3]);
    assert_int_equal(sip_parse(span_make(request->text, request->n), m, &fault), SIP_PARSED);
    sip_reply_begin(&out, m, status, NULL, status == 100 ? SPAN_NONE : span_of(tag), NULL);
    for (const struct sip_header *h = sip_first(m, SIP_H_RECORD_ROUTE); h; h = sip_next(m, h))
        sip_put_field(&out, "Record-Route", h->value);
    for (; *fields; fields++) {
        if (*fields == '\n')
            buf_char(&out, '\r');
        buf_char(&out, *fields);
    }
    sip_put_end(&out, SPAN("answer"));
    assert_false(out.overflow);
    stage_deliver(s, &request->to, buf_done(&out));
    free(m);
}

uint64_t stage_count(const struct stage *s, enum counter which)
{
    return s->fake.rt.counters.value[which];
}

const char *stage_field(const struct fake_datagram *d, const char *name)
{
    const char *value = fake_field(d->text, name);

    if (!value)
        fail_msg("no %s in\n%s", name, d->text);
    return value;
}

bool stage_has(const struct fake_datagram *d, const char *name)
{
    return fake_field(d->text, name) != NULL;
}

const char *stage_routes(const struct fake_datagram *d)
{
    static char room[4096];
    size_t n = 0;

    room[0] = 0;
    for (const char *at = d->text; (at = strstr(at, "\r\nRecord-Route: ")); at++) {
        const char *value = at + sizeof "\r\nRecord-Route: " - 1;

        n += (size_t)snprintf(room + n, sizeof room - n, "%s%.*s",
                              n ? ", " : "Route: ", (int)strcspn(value, "\r"), value);
    }
    assert_true(n > 0);
    snprintf(room + n, sizeof room - n, "\n");
    return room;
}

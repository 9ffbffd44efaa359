/*
 * event_stage: see the header.
 */
#include "event_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct event_stage stage;

static void on_restarted(void *self, struct upstream *u)
{
    assert_ptr_equal(self, &stage.sockets);
    assert_ptr_equal(u, &stage.upstreams.list[0]);
    stage.restarts++;
}

static void on_identified(void *self, struct upstream *u, struct span uuid)
{
    assert_ptr_equal(self, &stage.sockets);
    assert_ptr_equal(u, &stage.upstreams.list[0]);
    stage.restarts_then = stage.restarts;
    snprintf(stage.uuid, sizeof stage.uuid, "%.*s", (int)uuid.n, uuid.p);
}

static void on_dropped(void *self, struct upstream *u, struct span contact)
{
    (void)self;
    (void)u;
    stage.drops++;
    snprintf(stage.dropped, sizeof stage.dropped, "%.*s", (int)contact.n, contact.p);
}

static bool on_call_id(void *self, struct upstream *u, uint64_t tag, struct buf *out)
{
    (void)self;
    (void)u;
    buf_lit(out, "call-");
    buf_u64(out, tag);
    stage.needless += stage.is_needless;
    return !stage.is_needless;
}

static void on_flushed(void *self, struct upstream *u, uint64_t tag, bool done)
{
    (void)self;
    stage.flushes += done;
    stage.flushes_refused += !done;
    stage.flushed_tag = tag;
    if (stage.flush_from_within) {
        stage.flush_from_within--;
        assert_true(event_socket_flush(&stage.sockets, u, tag + 100));
    }
}

static const struct event_socket_user user = {
    .self = &stage.sockets,
    .restarted = on_restarted,
    .identified = on_identified,
    .dropped = on_dropped,
    .flush_call_id = on_call_id,
    .flushed = on_flushed,
};

int stage_setup(void **state)
{
    (void)state;
    stage = (struct event_stage){0};
    fake_init(&stage.fake);
    stage.config = (struct config){.auth = AUTH_NONE, .upstream_count = 1, .listen_count = 1};
    assert_true(address_parse(SPAN("127.0.0.1:5060"), 5060, &stage.config.listen[0].address));
    stage.config.upstream[0].name = (char *)"pbx";
    assert_true(address_parse(SPAN("10.9.9.9:5080"), 0, &stage.config.upstream[0].address));
    stage.config.upstream[0].event_socket.password = (char *)"ClueCon";
    stage.config.upstream[0].event_socket.profile = (char *)"internal";
    assert_true(
        address_parse(SPAN("10.9.9.9:8021"), 0, &stage.config.upstream[0].event_socket.address));
    assert_true(transactions_init(&stage.transactions, &stage.fake.rt));
    upstreams_init(&stage.upstreams, &stage.fake.rt, &stage.config, &stage.transactions);
    event_sockets_init(&stage.sockets, &stage.fake.rt, &stage.upstreams, &user);
    return 0;
}

int stage_teardown(void **state)
{
    (void)state;
    event_sockets_fini(&stage.sockets);
    transactions_fini(&stage.transactions);
    fake_fini(&stage.fake);
    return 0;
}

const struct event_socket *it(void)
{
    return &stage.sockets.list[0];
}

void assert_state(enum event_socket_state state)
{
    assert_int_equal(it()->state, state);
    assert_true(event_socket_is_up(&stage.sockets, &stage.upstreams.list[0]) ==
                (state == EVENT_SOCKET_UP));
}

void says(const char *text)
{
    struct flow from = it()->flow;

    event_sockets_receive(&stage.sockets, &from, span_of(text));
}

/* An api/response. */
void answers(const char *text)
{
    char message[256];

    snprintf(message, sizeof message, "Content-Type: api/response\nContent-Length: %zu\n\n%s",
             strlen(text), text);
    says(message);
}

void tells(const char *fields)
{
    char message[1024];

    snprintf(message, sizeof message, "Content-Type: text/event-plain\nContent-Length: %zu\n\n%s",
             strlen(fields), fields);
    says(message);
}

void heartbeat(const char *uuid, unsigned uptime_s)
{
    char fields[256];

    snprintf(fields, sizeof fields, "Event-Name: HEARTBEAT\nCore-UUID: %s\nUptime-msec: %u000\n\n",
             uuid, uptime_s);
    tells(fields);
}

void cut(void)
{
    struct flow flow = it()->flow;

    event_sockets_flow_closed(&stage.sockets, &flow);
}

/* Was the connection that it had closed by us? */
bool is_closed(uint32_t connection)
{
    for (unsigned i = 0; i < stage.fake.dead_count; i++)
        if (stage.fake.dead[i] == connection)
            return true;
    return false;
}

/* How long it takes until it connects again. */
uint64_t pause_ms(void)
{
    uint32_t before = stage.fake.opened;
    uint64_t begun = stage.fake.rt.now_ms;

    assert_state(EVENT_SOCKET_OFF);
    while (stage.fake.opened == before) {
        assert_true(stage.fake.rt.now_ms - begun <= MAX_MS);
        fake_advance(&stage.fake, 10);
    }
    return stage.fake.rt.now_ms - begun;
}

/* On to this state, from OFF or CONNECTING. */
void climb(enum event_socket_state state)
{
    if (stage.fake.opened == 0)
        event_sockets_start(&stage.sockets);
    if (it()->state == EVENT_SOCKET_OFF)
        (void)pause_ms();
    assert_state(EVENT_SOCKET_CONNECTING);
    if (state >= EVENT_SOCKET_PASSWORD)
        says(AUTH_REQUEST);
    if (state >= EVENT_SOCKET_SUBSCRIBING)
        says(ACCEPTED);
    if (state >= EVENT_SOCKET_UP)
        says(ACCEPTED);
    assert_state(state);
}

/* UP, its first question answered. */
void climb_up(void)
{
    climb(EVENT_SOCKET_UP);
    answers(UUID_1);
    assert_int_equal(it()->command, EVENT_NOTHING);
    fake_clear(&stage.fake);
}

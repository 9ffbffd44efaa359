/*
 * upstream/event_socket: the way up and down, in every state; its commands; what is told.
 */
#include "upstream/event_socket.h"

#include "fake_ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define UUID_1 "11111111-2222-3333-4444-555555555555"
#define UUID_2 "99999999-2222-3333-4444-555555555555"

#define AUTH_REQUEST "Content-Type: auth/request\n\n"
#define ACCEPTED     "Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
#define REFUSED      "Content-Type: command/reply\nReply-Text: -ERR invalid\n\n"
#define BYE          "Content-Type: text/disconnect-notice\nContent-Length: 4\n\nBye\n"
#define DENIED       "Content-Type: text/rude-rejection\nContent-Length: 4\n\nNo!\n"

#define STEP_MS   10000u /* as event_socket.h promises */
#define ASK_MS    30000u
#define SILENT_MS 60000u
#define MAX_MS    30000u

static struct fake fake;
static struct config config;
static struct transactions transactions;
static struct upstreams upstreams;
static struct event_sockets sockets;

/* What the user was told. */
static unsigned restarts, drops, flushes, flushes_refused, needless;
static uint64_t flushed_tag;
static char dropped[128];
static bool is_needless;           /* flush_call_id() says no */
static unsigned flush_from_within; /* flushed() asks for so many more */

static void on_restarted(void *self, struct upstream *u)
{
    assert_ptr_equal(self, &sockets);
    assert_ptr_equal(u, &upstreams.list[0]);
    restarts++;
}

static void on_dropped(void *self, struct upstream *u, struct span contact)
{
    (void)self;
    (void)u;
    drops++;
    snprintf(dropped, sizeof dropped, "%.*s", (int)contact.n, contact.p);
}

static bool on_call_id(void *self, struct upstream *u, uint64_t tag, struct buf *out)
{
    (void)self;
    (void)u;
    buf_lit(out, "call-");
    buf_u64(out, tag);
    needless += is_needless;
    return !is_needless;
}

static void on_flushed(void *self, struct upstream *u, uint64_t tag, bool done)
{
    (void)self;
    flushes += done;
    flushes_refused += !done;
    flushed_tag = tag;
    if (flush_from_within) {
        flush_from_within--;
        assert_true(event_socket_flush(&sockets, u, tag + 100));
    }
}

static const struct event_socket_user user = {
    .self = &sockets,
    .restarted = on_restarted,
    .dropped = on_dropped,
    .flush_call_id = on_call_id,
    .flushed = on_flushed,
};

static int setup(void **state)
{
    (void)state;
    fake_init(&fake);
    config = (struct config){.auth = AUTH_NONE, .upstream_count = 1, .listen_count = 1};
    assert_true(address_parse(SPAN("127.0.0.1:5060"), 5060, &config.listen[0].address));
    config.upstream[0].name = (char *)"pbx";
    assert_true(address_parse(SPAN("10.9.9.9:5080"), 0, &config.upstream[0].address));
    config.upstream[0].event_socket.password = (char *)"ClueCon";
    config.upstream[0].event_socket.profile = (char *)"internal";
    assert_true(address_parse(SPAN("10.9.9.9:8021"), 0, &config.upstream[0].event_socket.address));
    assert_true(transactions_init(&transactions, &fake.rt));
    upstreams_init(&upstreams, &fake.rt, &config, &transactions);
    restarts = drops = flushes = flushes_refused = needless = flush_from_within = 0;
    flushed_tag = 0;
    is_needless = false;
    dropped[0] = '\0';
    event_sockets_init(&sockets, &fake.rt, &upstreams, &user);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    event_sockets_fini(&sockets);
    transactions_fini(&transactions);
    fake_fini(&fake);
    return 0;
}

static const struct event_socket *it(void)
{
    return &sockets.list[0];
}

static void assert_state(enum event_socket_state state)
{
    assert_int_equal(it()->state, state);
    assert_true(event_socket_is_up(&sockets, &upstreams.list[0]) == (state == EVENT_SOCKET_UP));
}

static void says(const char *text)
{
    struct flow from = it()->flow;

    event_sockets_receive(&sockets, &from, span_of(text));
}

/* An api/response. */
static void answers(const char *text)
{
    char message[256];

    snprintf(message, sizeof message, "Content-Type: api/response\nContent-Length: %zu\n\n%s",
             strlen(text), text);
    says(message);
}

static void tells(const char *fields)
{
    char message[1024];

    snprintf(message, sizeof message, "Content-Type: text/event-plain\nContent-Length: %zu\n\n%s",
             strlen(fields), fields);
    says(message);
}

static void heartbeat(const char *uuid, unsigned uptime_s)
{
    char fields[256];

    snprintf(fields, sizeof fields, "Event-Name: HEARTBEAT\nCore-UUID: %s\nUptime-msec: %u000\n\n",
             uuid, uptime_s);
    tells(fields);
}

static void cut(void)
{
    struct flow flow = it()->flow;

    event_sockets_flow_closed(&sockets, &flow);
}

/* Was the connection that it had closed by us? */
static bool is_closed(uint32_t connection)
{
    for (unsigned i = 0; i < fake.dead_count; i++)
        if (fake.dead[i] == connection)
            return true;
    return false;
}

/* How long it takes until it connects again. */
static uint64_t pause_ms(void)
{
    uint32_t before = fake.opened;
    uint64_t begun = fake.rt.now_ms;

    assert_state(EVENT_SOCKET_OFF);
    while (fake.opened == before) {
        assert_true(fake.rt.now_ms - begun <= MAX_MS);
        fake_advance(&fake, 10);
    }
    return fake.rt.now_ms - begun;
}

/* On to this state, from OFF or CONNECTING. */
static void climb(enum event_socket_state state)
{
    if (fake.opened == 0)
        event_sockets_start(&sockets);
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
static void climb_up(void)
{
    climb(EVENT_SOCKET_UP);
    answers(UUID_1);
    assert_int_equal(it()->command, EVENT_NOTHING);
    fake_clear(&fake);
}

static void assert_about(uint64_t pause, uint64_t most)
{
    if (pause < most / 2 || pause > most + 10)
        fail_msg("a pause of %u ms, not of %u to %u", (unsigned)pause, (unsigned)most / 2,
                 (unsigned)most);
}

/* ---- the way up --------------------------------------------------------------------- */

static void test_the_way_up(void **state)
{
    (void)state;
    event_sockets_start(&sockets);
    assert_state(EVENT_SOCKET_CONNECTING);
    assert_int_equal(it()->flow.transport, TRANSPORT_BYTES);
    assert_int_equal(fake.sent_count, 0);
    says(AUTH_REQUEST);
    assert_string_equal(fake_last(&fake)->text, "auth ClueCon\n\n");
    says(ACCEPTED);
    assert_string_equal(fake_last(&fake)->text,
                        "event plain HEARTBEAT CUSTOM sofia::expire sofia::unregister\n\n");
    says(ACCEPTED);
    assert_string_equal(fake_last(&fake)->text, "api global_getvar core_uuid\n\n");
    assert_state(EVENT_SOCKET_UP);
    assert_true(fake_logged(&fake, "event_socket_up"));
    assert_false(fake_logged(&fake, "ClueCon"));
}

static void test_byte_by_byte(void **state)
{
    static const char all[] = AUTH_REQUEST "\n\n" ACCEPTED ACCEPTED;

    (void)state;
    event_sockets_start(&sockets);
    for (size_t i = 0; i + 1 < sizeof all; i++)
        says((const char[]){all[i], '\0'});
    assert_state(EVENT_SOCKET_UP);
}

static void test_a_step_has_ten_seconds(void **state)
{
    static const char *const reasons[] = {
        [EVENT_SOCKET_CONNECTING] = "cannot be reached",
        [EVENT_SOCKET_PASSWORD] = "does not answer",
        [EVENT_SOCKET_SUBSCRIBING] = "does not answer",
    };

    (void)state;
    for (int s = EVENT_SOCKET_CONNECTING; s <= EVENT_SOCKET_SUBSCRIBING; s++) {
        uint32_t connection;

        climb((enum event_socket_state)s);
        connection = it()->flow.connection;
        fake_clear(&fake);
        fake_advance(&fake, STEP_MS - 1);
        assert_state((enum event_socket_state)s);
        says("\n\nContent-Type: auth/re"); /* half a message is none */
        fake_advance(&fake, 1);
        assert_state(EVENT_SOCKET_OFF);
        assert_true(is_closed(connection));
        assert_true(fake_logged(&fake, reasons[s]));
    }
}

static void test_refusals(void **state)
{
    static const struct {
        enum event_socket_state in;
        const char *text;
        const char *reason;
    } rows[] = {
        {EVENT_SOCKET_CONNECTING, DENIED, "denied"},
        {EVENT_SOCKET_PASSWORD, REFUSED, "wrong password"},
        {EVENT_SOCKET_PASSWORD, "Content-Type: command/reply\n\n", "wrong password"},
        {EVENT_SOCKET_SUBSCRIBING, REFUSED, "refuses to tell its events"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t connection;

        climb(rows[i].in);
        connection = it()->flow.connection;
        fake_clear(&fake);
        says(rows[i].text);
        assert_state(EVENT_SOCKET_OFF);
        assert_true(is_closed(connection));
        assert_true(fake_logged(&fake, rows[i].reason));
        assert_int_equal(fake.sent_count, 0);
        assert_about(pause_ms(), MAX_MS); /* it will not be well in a second */
        cut();
    }
}

static void test_what_comes_too_early_or_twice(void **state)
{
    (void)state;
    event_sockets_start(&sockets);
    says(ACCEPTED); /* to nothing */
    answers("+OK");
    heartbeat(UUID_1, 10);
    assert_state(EVENT_SOCKET_CONNECTING);
    assert_int_equal(fake.sent_count, 0);
    says(AUTH_REQUEST);
    says(AUTH_REQUEST);
    answers("+OK");
    assert_state(EVENT_SOCKET_PASSWORD);
    assert_int_equal(fake.sent_count, 1);
    says(ACCEPTED);
    heartbeat(UUID_1, 10);
    assert_state(EVENT_SOCKET_SUBSCRIBING);
    assert_int_equal(it()->uuid_n, 0);
    says(ACCEPTED);
    says(AUTH_REQUEST);
    assert_state(EVENT_SOCKET_UP);
    assert_int_equal(fake.sent_count, 3);
}

/* ---- the way down ------------------------------------------------------------------- */

static void test_the_pause_doubles_to_its_ceiling(void **state)
{
    uint64_t most = 1000;

    (void)state;
    event_sockets_start(&sockets);
    for (unsigned i = 0; i < 40; i++) {
        cut();
        assert_about(pause_ms(), most);
        most = most * 2 < MAX_MS ? most * 2 : MAX_MS;
    }
    assert_int_equal(fake.opened, 41);
}

static void test_no_connection_to_be_had(void **state)
{
    (void)state;
    fake.streams_refused = true;
    event_sockets_start(&sockets);
    assert_state(EVENT_SOCKET_OFF);
    assert_true(fake_logged(&fake, "cannot be reached"));
    fake_advance(&fake, 3 * MAX_MS);
    assert_state(EVENT_SOCKET_OFF);
    fake.streams_refused = false;
    (void)pause_ms();
    assert_state(EVENT_SOCKET_CONNECTING);
}

static void test_cut_in_every_state(void **state)
{
    (void)state;
    for (int s = EVENT_SOCKET_CONNECTING; s <= EVENT_SOCKET_UP; s++) {
        struct flow old;

        climb((enum event_socket_state)s);
        old = it()->flow;
        fake_clear(&fake);
        cut();
        assert_state(EVENT_SOCKET_OFF);
        assert_true(
            fake_logged(&fake, s == EVENT_SOCKET_CONNECTING ? "cannot be reached" : "closed"));
        /* What the old one still says means nothing, now and when there is a new one. */
        event_sockets_receive(&sockets, &old, span_of(AUTH_REQUEST));
        (void)pause_ms();
        assert_state(EVENT_SOCKET_CONNECTING);
        event_sockets_receive(&sockets, &old, span_of(AUTH_REQUEST));
        event_sockets_flow_closed(&sockets, &old);
        assert_state(EVENT_SOCKET_CONNECTING);
        assert_int_equal(fake.sent_count, 0);
    }
}

static void test_half_a_message_ends_with_its_connection(void **state)
{
    (void)state;
    climb(EVENT_SOCKET_PASSWORD);
    says("Content-Type: command/reply\nReply-Text: -ERR");
    cut();
    climb(EVENT_SOCKET_UP);
}

static void test_it_says_goodbye(void **state)
{
    uint32_t connection;

    (void)state;
    climb_up();
    connection = it()->flow.connection;
    says(BYE ACCEPTED); /* nothing after it is read */
    assert_state(EVENT_SOCKET_OFF);
    assert_true(is_closed(connection));
    assert_true(fake_logged(&fake, "closed"));
}

static void test_up_for_long_it_is_well(void **state)
{
    (void)state;
    event_sockets_start(&sockets);
    for (unsigned i = 0; i < 8; i++) {
        cut();
        (void)pause_ms();
    }
    climb_up();
    fake_advance(&fake, 29999);
    cut();
    assert_about(pause_ms(), MAX_MS);
    climb_up();
    fake_advance(&fake, 30000);
    cut();
    assert_about(pause_ms(), 1000);
}

static unsigned warnings;

static void count_warnings(void *world, enum log_level level, struct span line)
{
    (void)world;
    (void)line;
    warnings += level == LOG_WARN;
}

static void test_the_log_hears_of_a_trouble_once(void **state)
{
    (void)state;
    fake.ports.log = count_warnings;
    event_sockets_start(&sockets);
    for (unsigned i = 0; i < 5; i++) {
        cut();
        (void)pause_ms();
    }
    assert_int_equal(warnings, 1);
    says(DENIED); /* another one */
    assert_int_equal(warnings, 2);
    for (unsigned i = 0; i < 3; i++) {
        climb(EVENT_SOCKET_UP);
        cut();
        assert_int_equal(warnings, 3 + i); /* it has been well between */
    }
}

static void test_garbage_in_every_state(void **state)
{
    static char endless[EVENT_MESSAGE_MAX + 2];
    const char *const rows[] = {
        "HTTP/1.1 400 Bad Request\r\n\r\n",
        "\x01\x02\xff\xfe\n\n",
        "Content-Type: command/reply\nContent-Length: -1\n\n",
        "Content-Type: command/reply\nContent-Length: 4294967295\n\n",
        "Content-Type: text/event-plain\nContent-Length: 65536\n\n",
        ": \n\n",
        endless,
    };

    (void)state;
    memset(endless, 'x', sizeof endless - 1);
    for (int s = EVENT_SOCKET_CONNECTING; s <= EVENT_SOCKET_UP; s++) {
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
            uint32_t connection;

            climb((enum event_socket_state)s);
            connection = it()->flow.connection;
            fake_clear(&fake);
            fake.dead_count = 0;
            says(rows[i]);
            assert_state(EVENT_SOCKET_OFF);
            assert_true(is_closed(connection));
            assert_true(fake_logged(&fake, "does not speak the event socket's language"));
            assert_true(pause_ms() >= MAX_MS / 2);
        }
    }
    assert_int_equal(restarts + drops + flushes, 0);
}

/* ---- silence ------------------------------------------------------------------------ */

static void test_asked_when_silent_then_given_up(void **state)
{
    uint32_t connection;

    (void)state;
    climb_up();
    connection = it()->flow.connection;
    fake_advance(&fake, ASK_MS - 1);
    assert_int_equal(fake.sent_count, 0);
    fake_advance(&fake, 1);
    assert_string_equal(fake_last(&fake)->text, "api global_getvar core_uuid\n\n");
    fake_advance(&fake, SILENT_MS - ASK_MS - 1);
    assert_state(EVENT_SOCKET_UP);
    fake_advance(&fake, 1);
    assert_state(EVENT_SOCKET_OFF);
    assert_true(is_closed(connection));
    assert_true(fake_logged(&fake, "silent"));
    assert_int_equal(fake.sent_count, 1);
}

static void test_silent_and_answering_it_stays(void **state)
{
    (void)state;
    climb_up();
    for (unsigned i = 0; i < 100; i++) {
        fake_advance(&fake, ASK_MS);
        assert_int_equal(fake.sent_count, i + 1);
        answers(UUID_1);
    }
    assert_state(EVENT_SOCKET_UP);
    assert_int_equal(restarts, 0);
}

static void test_events_alone_are_no_silence(void **state)
{
    (void)state;
    climb_up();
    for (unsigned i = 1; i < 100; i++) {
        fake_advance(&fake, 20000);
        heartbeat(UUID_1, 20 * i);
    }
    assert_state(EVENT_SOCKET_UP);
    assert_int_equal(fake.sent_count, 0);
}

/* It goes on telling things, but owes us an answer. */
static void test_a_reply_that_never_comes(void **state)
{
    (void)state;
    climb_up();
    assert_true(event_socket_flush(&sockets, &upstreams.list[0], 1));
    assert_true(event_socket_flush(&sockets, &upstreams.list[0], 2));
    for (unsigned i = 1; i <= 5; i++) {
        fake_advance(&fake, 10000);
        heartbeat(UUID_1, 10 * i);
        assert_state(EVENT_SOCKET_UP);
    }
    fake_advance(&fake, 10000);
    assert_state(EVENT_SOCKET_OFF);
    assert_true(fake_logged(&fake, "silent"));
    assert_int_equal(flushes + flushes_refused, 0);
    assert_int_equal(fake.sent_count, 1); /* the second still waited */
    assert_int_equal(it()->count, 0);
    climb_up(); /* nothing is left of them */
    answers("+OK");
    assert_int_equal(flushes + flushes_refused, 0);
}

/* ---- flushes ------------------------------------------------------------------------ */

static bool flush(uint64_t tag)
{
    return event_socket_flush(&sockets, &upstreams.list[0], tag);
}

static void test_flushes_go_one_by_one(void **state)
{
    (void)state;
    climb_up();
    assert_true(flush(1) && flush(2) && flush(3));
    assert_int_equal(fake.sent_count, 1);
    assert_string_equal(fake_last(&fake)->text,
                        "api sofia profile internal flush_inbound_reg call-1\n\n");
    answers("+OK flushing");
    assert_int_equal(flushed_tag, 1);
    assert_string_equal(fake_last(&fake)->text,
                        "api sofia profile internal flush_inbound_reg call-2\n\n");
    answers("-ERR Invalid Profile");
    assert_int_equal(flushes_refused, 1);
    assert_true(fake_logged(&fake, "flush_refused"));
    says("Content-Type: command/reply\nReply-Text: -ERR command not found\n\n");
    assert_int_equal(flushed_tag, 3);
    assert_int_equal(flushes_refused, 2);
    assert_int_equal(it()->command, EVENT_NOTHING);
    answers("+OK"); /* to nothing */
    assert_int_equal(flushes, 1);
}

static void test_a_flush_waits_for_the_first_question(void **state)
{
    (void)state;
    climb(EVENT_SOCKET_UP);
    fake_clear(&fake);
    assert_true(flush(1));
    assert_int_equal(fake.sent_count, 0);
    answers(UUID_1);
    assert_int_equal(fake.sent_count, 1);
    assert_int_equal(flushes, 0);
}

static void test_none_is_taken_unless_it_is_up(void **state)
{
    struct upstream other = {0};

    (void)state;
    for (int s = EVENT_SOCKET_CONNECTING; s < EVENT_SOCKET_UP; s++) {
        climb((enum event_socket_state)s);
        assert_false(flush(1));
        cut();
        assert_false(flush(1));
    }
    climb_up();
    assert_false(event_socket_flush(&sockets, &other, 1));
    assert_false(event_socket_is_up(&sockets, &other));
}

static void test_a_full_line_refuses(void **state)
{
    unsigned taken = 0;

    (void)state;
    climb_up();
    while (flush(++taken))
        assert_true(taken <= EVENT_FLUSHES_MAX + 1);
    assert_int_equal(taken, EVENT_FLUSHES_MAX + 2); /* one is on its way */
    answers("+OK");
    assert_true(flush(taken)); /* there is a place again */
    assert_false(flush(taken + 1));
    for (unsigned i = 0; i <= EVENT_FLUSHES_MAX; i++) {
        assert_int_equal(flushed_tag, i + 1); /* in their order, also round the end */
        answers("+OK");
    }
    assert_int_equal(flushes, EVENT_FLUSHES_MAX + 2);
    assert_int_equal(flushed_tag, taken);
    assert_int_equal(it()->command, EVENT_NOTHING);
}

static void test_needless_ones_are_left_out(void **state)
{
    (void)state;
    climb_up();
    assert_true(flush(1) && flush(2) && flush(3));
    is_needless = true;
    answers("+OK");
    assert_int_equal(needless, 2);
    assert_int_equal(fake.sent_count, 1);
    assert_int_equal(flushes, 1);
    assert_int_equal(it()->command, EVENT_NOTHING);
}

static void test_a_flush_out_of_the_answer_to_one(void **state)
{
    (void)state;
    climb_up();
    flush_from_within = 2;
    assert_true(flush(1));
    answers("+OK");
    assert_int_equal(fake.sent_count, 2);
    assert_string_equal(fake_last(&fake)->text,
                        "api sofia profile internal flush_inbound_reg call-101\n\n");
    answers("+OK");
    answers("+OK");
    assert_int_equal(flushes, 3);
    assert_int_equal(flushed_tag, 201);
}

static void test_no_flush_outlives_its_connection(void **state)
{
    (void)state;
    climb_up();
    assert_true(flush(1) && flush(2));
    cut();
    climb(EVENT_SOCKET_CONNECTING);
    answers("+OK"); /* to nobody */
    climb_up();
    assert_int_equal(it()->count, 0);
    assert_int_equal(flushes + flushes_refused, 0);
    assert_true(flush(3));
    answers("+OK");
    assert_int_equal(flushed_tag, 3);
}

/* ---- restarts ----------------------------------------------------------------------- */

static void test_another_uuid_is_another_start(void **state)
{
    (void)state;
    climb_up();
    heartbeat(UUID_1, 1000);
    assert_int_equal(restarts, 0);
    cut();
    climb(EVENT_SOCKET_UP);
    answers(UUID_2);
    assert_int_equal(restarts, 1);
    heartbeat(UUID_2, 5); /* lower, of course: told once */
    heartbeat(UUID_2, 25);
    assert_int_equal(restarts, 1);
    assert_true(fake_logged(&fake, "sign=Core-UUID"));
}

static void test_any_event_tells_the_uuid(void **state)
{
    (void)state;
    climb_up();
    tells("Event-Name: CUSTOM\nCore-UUID: " UUID_2 "\nEvent-Subclass: sofia%3A%3Aother\n\n");
    assert_int_equal(restarts, 1);
    assert_int_equal(drops, 0);
}

static void test_what_is_no_uuid_is_none(void **state)
{
    static const char *const rows[] = {"",
                                       "-ERR no such variable",
                                       "11111111-2222-3333-4444-55555555555",
                                       "11111111-2222-3333-4444-5555555555555",
                                       "1111111112222-3333-4444-555555555555",
                                       "11111111-2222-3333-4444-55555555555g"};

    (void)state;
    climb_up();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fake_advance(&fake, ASK_MS);
        answers(rows[i]);
        heartbeat(rows[i], 100 + 30 * (unsigned)i);
    }
    assert_int_equal(restarts, 0);
    assert_memory_equal(it()->uuid, UUID_1, EVENT_UUID_SIZE);
}

static void test_an_uptime_that_begins_anew_is_another_start(void **state)
{
    (void)state;
    climb_up();
    heartbeat("", 1000);
    fake_advance(&fake, 20000);
    heartbeat("", 1020);
    fake_advance(&fake, 20000);
    heartbeat("", 15);
    assert_int_equal(restarts, 1);
    assert_true(fake_logged(&fake, "sign=Up-Time"));
    fake_advance(&fake, 20000);
    heartbeat("", 35);
    assert_int_equal(restarts, 1);
}

/* What has been up for longer than we have not heard of it was not started meanwhile:
 * its clock was set back. */
static void test_a_clock_set_back_there_is_no_start(void **state)
{
    (void)state;
    climb_up();
    heartbeat(UUID_1, 100000);
    fake_advance(&fake, 20000);
    heartbeat(UUID_1, 100020 - 3600);
    assert_int_equal(restarts, 0);
    fake_advance(&fake, 20000);
    heartbeat(UUID_1, 10); /* but now */
    assert_int_equal(restarts, 1);
}

/* ---- what it has dropped ------------------------------------------------------------- */

static void test_dropped_contacts(void **state)
{
    (void)state;
    climb_up();
    tells("Event-Name: CUSTOM\nEvent-Subclass: sofia%3A%3Aexpire\n"
          "contact: %3Csip%3Aal%4010.0.0.1%3Bmr%3Dx%3E\n\n");
    assert_int_equal(drops, 1);
    assert_string_equal(dropped, "<sip:al@10.0.0.1;mr=x>");
    tells("Event-Name: CUSTOM\nEvent-Subclass: sofia::unregister\ncontact: bo\n\n");
    assert_int_equal(drops, 2);
    tells("Event-Name: CUSTOM\nEvent-Subclass: sofia::register\ncontact: cy\n\n");
    tells("Event-Name: CUSTOM\nEvent-Subclass: sofia%3A%3Aexpire\n\n");
    tells("Event-Name: CUSTOM\nEvent-Subclass: sofia%3A%3Aexpire\ncontact: %zz\n\n");
    tells("Event-Name: CHANNEL_CREATE\nEvent-Subclass: sofia::expire\ncontact: cy\n\n");
    tells("");
    assert_int_equal(drops, 2);
    assert_state(EVENT_SOCKET_UP);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_way_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_byte_by_byte, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_step_has_ten_seconds, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_comes_too_early_or_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_pause_doubles_to_its_ceiling, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_connection_to_be_had, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cut_in_every_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_half_a_message_ends_with_its_connection, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_it_says_goodbye, setup, teardown),
        cmocka_unit_test_setup_teardown(test_up_for_long_it_is_well, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_log_hears_of_a_trouble_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_garbage_in_every_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_asked_when_silent_then_given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_silent_and_answering_it_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events_alone_are_no_silence, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_reply_that_never_comes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flushes_go_one_by_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_flush_waits_for_the_first_question, setup, teardown),
        cmocka_unit_test_setup_teardown(test_none_is_taken_unless_it_is_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_full_line_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_needless_ones_are_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_flush_out_of_the_answer_to_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_flush_outlives_its_connection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_uuid_is_another_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_any_event_tells_the_uuid, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_uuid_is_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_uptime_that_begins_anew_is_another_start, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_a_clock_set_back_there_is_no_start, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dropped_contacts, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

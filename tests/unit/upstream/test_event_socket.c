/*
 * upstream/event_socket: the way up and down, in every state.
 */
#include "event_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

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
    event_sockets_start(&stage.sockets);
    assert_state(EVENT_SOCKET_CONNECTING);
    assert_int_equal(it()->flow.transport, TRANSPORT_BYTES);
    assert_int_equal(stage.fake.sent_count, 0);
    says(AUTH_REQUEST);
    assert_string_equal(fake_last(&stage.fake)->text, "auth ClueCon\n\n");
    says(ACCEPTED);
    assert_string_equal(fake_last(&stage.fake)->text,
                        "event plain HEARTBEAT CUSTOM sofia::expire sofia::unregister\n\n");
    says(ACCEPTED);
    assert_string_equal(fake_last(&stage.fake)->text, "api global_getvar core_uuid\n\n");
    assert_state(EVENT_SOCKET_UP);
    assert_true(fake_logged(&stage.fake, "event_socket_up"));
    assert_false(fake_logged(&stage.fake, "ClueCon"));
}

static void test_byte_by_byte(void **state)
{
    static const char all[] = AUTH_REQUEST "\n\n" ACCEPTED ACCEPTED;

    (void)state;
    event_sockets_start(&stage.sockets);
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
        fake_clear(&stage.fake);
        fake_advance(&stage.fake, STEP_MS - 1);
        assert_state((enum event_socket_state)s);
        says("\n\nContent-Type: auth/re"); /* half a message is none */
        fake_advance(&stage.fake, 1);
        assert_state(EVENT_SOCKET_OFF);
        assert_true(is_closed(connection));
        assert_true(fake_logged(&stage.fake, reasons[s]));
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
        fake_clear(&stage.fake);
        says(rows[i].text);
        assert_state(EVENT_SOCKET_OFF);
        assert_true(is_closed(connection));
        assert_true(fake_logged(&stage.fake, rows[i].reason));
        assert_int_equal(stage.fake.sent_count, 0);
        assert_about(pause_ms(), MAX_MS); /* it will not be well in a second */
        cut();
    }
}

static void test_what_comes_too_early_or_twice(void **state)
{
    (void)state;
    event_sockets_start(&stage.sockets);
    says(ACCEPTED); /* to nothing */
    answers("+OK");
    heartbeat(UUID_1, 10);
    assert_state(EVENT_SOCKET_CONNECTING);
    assert_int_equal(stage.fake.sent_count, 0);
    says(AUTH_REQUEST);
    says(AUTH_REQUEST);
    answers("+OK");
    assert_state(EVENT_SOCKET_PASSWORD);
    assert_int_equal(stage.fake.sent_count, 1);
    says(ACCEPTED);
    heartbeat(UUID_1, 10);
    assert_state(EVENT_SOCKET_SUBSCRIBING);
    assert_int_equal(it()->uuid_n, 0);
    says(ACCEPTED);
    says(AUTH_REQUEST);
    assert_state(EVENT_SOCKET_UP);
    assert_int_equal(stage.fake.sent_count, 3);
}

/* ---- the way down ------------------------------------------------------------------- */

static void test_the_pause_doubles_to_its_ceiling(void **state)
{
    uint64_t most = 1000;

    (void)state;
    event_sockets_start(&stage.sockets);
    for (unsigned i = 0; i < 40; i++) {
        cut();
        assert_about(pause_ms(), most);
        most = most * 2 < MAX_MS ? most * 2 : MAX_MS;
    }
    assert_int_equal(stage.fake.opened, 41);
}

static void test_no_connection_to_be_had(void **state)
{
    (void)state;
    stage.fake.streams_refused = true;
    event_sockets_start(&stage.sockets);
    assert_state(EVENT_SOCKET_OFF);
    assert_true(fake_logged(&stage.fake, "cannot be reached"));
    fake_advance(&stage.fake, 3 * MAX_MS);
    assert_state(EVENT_SOCKET_OFF);
    stage.fake.streams_refused = false;
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
        fake_clear(&stage.fake);
        cut();
        assert_state(EVENT_SOCKET_OFF);
        assert_true(fake_logged(&stage.fake,
                                s == EVENT_SOCKET_CONNECTING ? "cannot be reached" : "closed"));
        /* What the old one still says means nothing, now and when there is a new one. */
        event_sockets_receive(&stage.sockets, &old, span_of(AUTH_REQUEST));
        (void)pause_ms();
        assert_state(EVENT_SOCKET_CONNECTING);
        event_sockets_receive(&stage.sockets, &old, span_of(AUTH_REQUEST));
        event_sockets_flow_closed(&stage.sockets, &old);
        assert_state(EVENT_SOCKET_CONNECTING);
        assert_int_equal(stage.fake.sent_count, 0);
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
    assert_true(fake_logged(&stage.fake, "closed"));
}

static void test_up_for_long_it_is_well(void **state)
{
    (void)state;
    event_sockets_start(&stage.sockets);
    for (unsigned i = 0; i < 8; i++) {
        cut();
        (void)pause_ms();
    }
    climb_up();
    fake_advance(&stage.fake, 29999);
    cut();
    assert_about(pause_ms(), MAX_MS);
    climb_up();
    fake_advance(&stage.fake, 30000);
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
    stage.fake.ports.log = count_warnings;
    event_sockets_start(&stage.sockets);
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
            fake_clear(&stage.fake);
            stage.fake.dead_count = 0;
            says(rows[i]);
            assert_state(EVENT_SOCKET_OFF);
            assert_true(is_closed(connection));
            assert_true(fake_logged(&stage.fake, "does not speak the event socket's language"));
            assert_true(pause_ms() >= MAX_MS / 2);
        }
    }
    assert_int_equal(stage.restarts + stage.drops + stage.flushes, 0);
}

/* ---- silence ------------------------------------------------------------------------ */

static void test_asked_when_silent_then_given_up(void **state)
{
    uint32_t connection;

    (void)state;
    climb_up();
    connection = it()->flow.connection;
    fake_advance(&stage.fake, ASK_MS - 1);
    assert_int_equal(stage.fake.sent_count, 0);
    fake_advance(&stage.fake, 1);
    assert_string_equal(fake_last(&stage.fake)->text, "api global_getvar core_uuid\n\n");
    fake_advance(&stage.fake, SILENT_MS - ASK_MS - 1);
    assert_state(EVENT_SOCKET_UP);
    fake_advance(&stage.fake, 1);
    assert_state(EVENT_SOCKET_OFF);
    assert_true(is_closed(connection));
    assert_true(fake_logged(&stage.fake, "silent"));
    assert_int_equal(stage.fake.sent_count, 1);
}

static void test_silent_and_answering_it_stays(void **state)
{
    (void)state;
    climb_up();
    for (unsigned i = 0; i < 100; i++) {
        fake_advance(&stage.fake, ASK_MS);
        assert_int_equal(stage.fake.sent_count, i + 1);
        answers(UUID_1);
    }
    assert_state(EVENT_SOCKET_UP);
    assert_int_equal(stage.restarts, 0);
}

static void test_events_alone_are_no_silence(void **state)
{
    (void)state;
    climb_up();
    for (unsigned i = 1; i < 100; i++) {
        fake_advance(&stage.fake, 20000);
        heartbeat(UUID_1, 20 * i);
    }
    assert_state(EVENT_SOCKET_UP);
    assert_int_equal(stage.fake.sent_count, 0);
}

/* It goes on telling things, but owes us an answer. */
static void test_a_reply_that_never_comes(void **state)
{
    (void)state;
    climb_up();
    assert_true(event_socket_flush(&stage.sockets, &stage.upstreams.list[0], 1));
    assert_true(event_socket_flush(&stage.sockets, &stage.upstreams.list[0], 2));
    for (unsigned i = 1; i <= 5; i++) {
        fake_advance(&stage.fake, 10000);
        heartbeat(UUID_1, 10 * i);
        assert_state(EVENT_SOCKET_UP);
    }
    fake_advance(&stage.fake, 10000);
    assert_state(EVENT_SOCKET_OFF);
    assert_true(fake_logged(&stage.fake, "silent"));
    assert_int_equal(stage.flushes + stage.flushes_refused, 0);
    assert_int_equal(stage.fake.sent_count, 1); /* the second still waited */
    assert_int_equal(it()->count, 0);
    climb_up(); /* nothing is left of them */
    answers("+OK");
    assert_int_equal(stage.flushes + stage.flushes_refused, 0);
}

#define IN(test) cmocka_unit_test_setup_teardown(test, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(test_the_way_up),
        IN(test_byte_by_byte),
        IN(test_a_step_has_ten_seconds),
        IN(test_refusals),
        IN(test_what_comes_too_early_or_twice),
        IN(test_the_pause_doubles_to_its_ceiling),
        IN(test_no_connection_to_be_had),
        IN(test_cut_in_every_state),
        IN(test_half_a_message_ends_with_its_connection),
        IN(test_it_says_goodbye),
        IN(test_up_for_long_it_is_well),
        IN(test_the_log_hears_of_a_trouble_once),
        IN(test_garbage_in_every_state),
        IN(test_asked_when_silent_then_given_up),
        IN(test_silent_and_answering_it_stays),
        IN(test_events_alone_are_no_silence),
        IN(test_a_reply_that_never_comes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

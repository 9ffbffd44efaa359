/*
 * upstream/event_text: what stands in the messages of an event socket.
 */
#include "upstream/event_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct event_reader reader;
static struct event_message message;

static int begin(void **state)
{
    (void)state;
    event_reader_init(&reader);
    return 0;
}

static int end(void **state)
{
    (void)state;
    event_reader_fini(&reader);
    return 0;
}

static enum event_read put(const char *text)
{
    event_reader_put(&reader, span_of(text));
    return event_reader_next(&reader, &message);
}

static enum event_read next(void)
{
    return event_reader_next(&reader, &message);
}

static void assert_text(const char *text)
{
    assert_true(span_eq(message.text, span_of(text)));
}

static void test_kinds(void **state)
{
    (void)state;
    assert_int_equal(put("Content-Type: auth/request\n\n"), EVENT_MESSAGE);
    assert_int_equal(message.kind, EVENT_AUTH);
    assert_int_equal(put("Content-Type: command/reply\nReply-Text: +OK accepted\n\n"),
                     EVENT_MESSAGE);
    assert_int_equal(message.kind, EVENT_REPLY);
    assert_text("+OK accepted");
    assert_int_equal(put("Content-Type: api/response\nContent-Length: 3\n\na\nb"), EVENT_MESSAGE);
    assert_int_equal(message.kind, EVENT_ANSWER);
    assert_text("a\nb");
    assert_int_equal(put("Content-Type: text/disconnect-notice\nContent-Length: 0\n\n"),
                     EVENT_MESSAGE);
    assert_int_equal(message.kind, EVENT_BYE);
    assert_int_equal(put("Content-Type: text/rude-rejection\n\n"), EVENT_MESSAGE);
    assert_int_equal(message.kind, EVENT_DENIED);
    assert_int_equal(put("Content-Type: log/data\n\n"), EVENT_MESSAGE);
    assert_int_equal(message.kind, EVENT_OTHER);
    assert_int_equal(next(), EVENT_MORE);
}

static void test_an_event(void **state)
{
    char room[64];
    struct buf out = buf_make(room, sizeof room);

    (void)state;
    assert_int_equal(put("Content-Length: 91\nContent-Type: text/event-plain\n\n"
                         "Event-Name: CUSTOM\nEvent-Subclass: sofia%3A%3Aexpire\n"),
                     EVENT_MORE);
    assert_int_equal(put("contact: a%20b\nContent-Length: 4\n\nbodyContent-Type: x\n\n"),
                     EVENT_MESSAGE);
    assert_int_equal(message.kind, EVENT_PLAIN);
    assert_true(span_eq(event_field(message.fields, "event-name"), SPAN("CUSTOM")));
    assert_true(event_field_decoded(message.fields, "Event-Subclass", &out));
    assert_true(span_eq(buf_done(&out), SPAN("sofia::expire")));
    assert_null(event_field(message.fields, "nobody").p);
    assert_false(event_field_decoded(message.fields, "nobody", &out));
    assert_text("body");
    assert_int_equal(next(), EVENT_MESSAGE);
}

static void test_escapes(void **state)
{
    char room[8];
    struct buf out = buf_make(room, sizeof room);
    struct span fields = SPAN("a: %4\nb: %zz\nc: 123456789\nd: %41%2b\n");

    (void)state;
    assert_false(event_field_decoded(fields, "a", &out));
    assert_false(event_field_decoded(fields, "b", &out));
    assert_false(event_field_decoded(fields, "c", &out)); /* no room */
    assert_int_equal(out.n, 0);
    assert_true(event_field_decoded(fields, "d", &out));
    assert_true(span_eq(buf_done(&out), SPAN("A+")));
}

static void test_nonsense(void **state)
{
    static const char *const texts[] = {
        "HTTP/1.1 200 OK\r\n\r\n",
        "Content-Type: api/response\nContent-Length: -1\n\n",
        "Content-Type: api/response\nContent-Length: 65537\n\n",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(put(texts[i]), EVENT_BROKEN);
        assert_int_equal(put("Content-Type: auth/request\n\n"), EVENT_BROKEN); /* for ever */
        end(state);
        begin(state);
    }
}

/* A head without end is not kept for ever. */
static void test_bounded(void **state)
{
    char line[1001];

    (void)state;
    memset(line, 'x', sizeof line - 1);
    line[sizeof line - 1] = '\0';
    for (unsigned i = 0; i < EVENT_MESSAGE_MAX / 1000; i++)
        assert_int_equal(put(line), EVENT_MORE);
    assert_int_equal(put(line), EVENT_BROKEN);
}

static void test_uptime(void **state)
{
    static const struct {
        const char *fields;
        bool known;
        uint64_t ms;
    } rows[] = {
        {"Uptime-msec: 93784005\n", true, 93784005},
        {"Uptime-msec: 12x\n", false, 0},
        {"Up-Time: 0%20years,%201%20day,%202%20hours,%203%20minutes,%204%20seconds,"
         "%205%20milliseconds,%206%20microseconds\n",
         true, 93784005},
        {"Up-Time: 1%20year,%200%20days\n", true, UINT64_C(31536000000)},
        {"Up-Time: soon\n", false, 0},
        {"Up-Time: 5%20fortnights\n", false, 0},
        {"Up-Time: \n", false, 0},
        {"Other: 1\n", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t ms = 0;

        assert_int_equal(event_uptime_ms(span_of(rows[i].fields), &ms), rows[i].known);
        if (rows[i].known)
            assert_int_equal(ms, rows[i].ms);
    }
}

#define IN(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(test_kinds),    IN(test_an_event), IN(test_escapes),
        IN(test_nonsense), IN(test_bounded),  IN(test_uptime),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

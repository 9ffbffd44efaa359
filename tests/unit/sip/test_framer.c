/*
 * sip/framer: messages out of a stream, wherever the reads are cut.
 *
 * What a stream gives is written down as text: "M 12" a message of 12 bytes, "P"
 * a ping, "B 40" broken with a head of 40 bytes to answer, "W" the beginning of
 * a message waits.
 */
#include "sip/framer.h"

#include "parsing.h"

#define OPTIONS_LINE "OPTIONS sip:example.com SIP/2.0\r\n"

struct story {
    char text[4096];
    struct buf out;
    struct framer framer;
    bool over; /* broken */
};

static void story_begin(struct story *s)
{
    s->out = buf_make(s->text, sizeof s->text - 1);
    framer_init(&s->framer);
    s->over = false;
}

static void tell(struct story *s, const char *what, size_t n)
{
    char line[32];

    snprintf(line, sizeof line, what, n);
    buf_str(&s->out, line);
}

/* One read. The bytes are gone when it returns, as in a world. */
static void story_read(struct story *s, struct span bytes)
{
    char *copy = malloc(bytes.n + 1);
    struct span got;

    assert_non_null(copy);
    memcpy(copy, bytes.p, bytes.n);
    framer_read(&s->framer, span_make(copy, bytes.n));
    while (!s->over) {
        enum framed what = framer_next(&s->framer, &got);

        if (what == FRAMED_MORE)
            break;
        if (what == FRAMED_PING)
            tell(s, "P ", 0);
        if (what == FRAMED_MESSAGE)
            tell(s, "M %zu ", got.n);
        if (what == FRAMED_BROKEN)
            tell(s, "B %zu ", got.n);
        for (size_t i = 0; i < got.n; i++) /* all of it can be read */
            assert_true(got.p[i] || !got.p[i]);
        s->over = what == FRAMED_BROKEN;
    }
    free(copy);
}

static const char *story_end(struct story *s)
{
    if (!s->over && framer_waits(&s->framer))
        tell(s, "W ", 0);
    framer_fini(&s->framer);
    assert_false(s->out.overflow);
    s->text[s->out.n ? s->out.n - 1 : 0] = 0;
    return s->text;
}

/* The stream in reads of `step` bytes; the first is of `first` bytes. */
static const char *told(struct story *s, struct span stream, size_t first, size_t step)
{
    size_t n = first;

    story_begin(s);
    for (size_t at = 0; at < stream.n && !s->over; at += n, n = step) {
        if (n > stream.n - at)
            n = stream.n - at;
        story_read(s, span_make(stream.p + at, n));
    }
    return story_end(s);
}

/* The same however it is cut: whole, in two at each byte, in small pieces. */
static void assert_story(struct span stream, const char *expected)
{
    struct story s;

    assert_string_equal(told(&s, stream, stream.n, stream.n), expected);
    for (size_t at = 1; at < stream.n && at < 2000; at++)
        assert_string_equal(told(&s, stream, at, stream.n), expected);
    for (size_t step = 1; step <= 7; step++)
        assert_string_equal(told(&s, stream, step, step), expected);
}

static void assert_text_story(const char *stream, const char *expected)
{
    assert_story(span_of(stream), expected);
}

/* ---- messages ---- */

static void messages(void **state)
{
    static const struct {
        const char *stream, *expected;
    } row[] = {
        {"", ""},
        {OPTIONS_LINE "Content-Length: 0\r\n\r\n", "M 54"},
        {OPTIONS_LINE "l:4\r\n\r\nbody", "M 44"},
        {OPTIONS_LINE "CONTENT-length \t: \r\n\t4\r\n\r\nbody", "M 63"},
        {OPTIONS_LINE "L: 0004\r\n\r\nbody", "M 48"},
        {OPTIONS_LINE "l: 2\r\nContent-Length: 2\r\n\r\n\r\n", "M 62"},
        {"SIP/2.0 200 OK\r\nl:0\r\n\r\nSIP/2.0 100 \r\nl:0\r\n\r\n", "M 23 M 21"},
        /* glued, with a body that looks like the next one */
        {OPTIONS_LINE "l:12\r\n\r\nBYE a SIP/2\r" OPTIONS_LINE "l:0\r\n\r\n", "M 53 M 40"},
        {OPTIONS_LINE "l:1\r\n\r\n\n" OPTIONS_LINE "l:0\r\n\r\n", "M 41 M 40"},
        /* a long method, no good URI, another version: the core's to answer */
        {"!interesting-Method0123456789_*+`.%indeed'~ sip:a SIP/2.0\r\nl:0\r\n\r\n", "M 66"},
        {"OPTIONS  a b  sIp/7.0 \r\nl:0\r\n\r\n", "M 31"},
        /* no field of that name */
        {OPTIONS_LINE "X-l: 7\r\nSubject: l: 7\r\n l: 7\r\nl: 0\r\n\r\n", "M 71"},
        {OPTIONS_LINE "l: 0\r\n", "W"},
        {OPTIONS_LINE "l: 1\r\n\r\n", "W"},
        {"O", "W"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        assert_text_story(row[i].stream, row[i].expected);
}

static void pings(void **state)
{
    static const struct {
        const char *stream, *expected;
    } row[] = {
        {"\r\n", ""},
        {"\r\n\r\n", "P"},
        {"\r\n\r\n\r\n", "P"},
        {"\r\n\r\n\r\n\r\n", "P P"},
        {"\r\r\n\r\n", "P"},
        {"\r\n\n\r\n", ""},
        {"\n\n\n\n", ""},
        /* RFC 3261 7.5 */
        {"\r\n" OPTIONS_LINE "l:0\r\n\r\n", "M 40"},
        {"\n\r" OPTIONS_LINE "l:0\r\n\r\n", "M 40"},
        {"\r\n\r\n" OPTIONS_LINE "l:0\r\n\r\n\r\n\r\n", "P M 40 P"},
        /* the CRLF of each side of a message do not make one */
        {"\r\n" OPTIONS_LINE "l:0\r\n\r\n\r\n", "M 40"},
        {OPTIONS_LINE "l:4\r\n\r\n\r\n\r\n" OPTIONS_LINE "l:0\r\n\r\n", "M 44 M 40"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        assert_text_story(row[i].stream, row[i].expected);
}

/* ---- what cannot be cut ---- */

static void broken_heads_can_be_answered(void **state)
{
    static const struct {
        const char *stream, *expected;
    } row[] = {
        {OPTIONS_LINE "To: a\r\n\r\nrest", "B 42"},
        {OPTIONS_LINE "l: 1\r\nl: 2\r\n\r\nab", "B 47"},
        {OPTIONS_LINE "l: -1\r\n\r\n", "B 42"},
        {OPTIONS_LINE "l: 1 2\r\n\r\n", "B 43"},
        {OPTIONS_LINE "l:\r\n\r\n", "B 39"},
        {OPTIONS_LINE "l: 99999999999\r\n\r\n", "B 51"},
        {OPTIONS_LINE "l: 65500\r\n\r\n", "B 45"},
        {OPTIONS_LINE "l: 0\n\r\n", "B 40"},
        {OPTIONS_LINE "l: 0\r\n\n", "B 40"},
        {"OPTIONS sip:example.com SIP/2.0\nl: 0\n\n", "B 38"},
        {"SIP/2.0 200 OK\r\n\r\n", "B 18"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        assert_text_story(row[i].stream, row[i].expected);
}

/* Told by the first bytes, not when the bound is reached. */
static void no_sip_is_told_at_once(void **state)
{
    static const char *const row[] = {
        "\x16\x03\x01",
        "GET / HTTP/1.1\r\n",
        "OPTIONS * HTTP/1.1\r\n",
        "REGISTER\r\n",
        " OPTIONS",
        "HTTP/",
        "SIP;",
        "sip:",
        ": ",
        "OPTIONS\tsip:a",
        "OPTIONS a\rb",
        "OPTIONS a\x7f",
        "SIP/2.0 200 OK\r\r",
        "METHODMETHODMETHODMETHODMETHODMETHODMETHODMETHODMETHODMETHODMETHO",
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof *row; i++)
        assert_text_story(row[i], "B 0");
    assert_story(SPAN("\0\0\0\0"), "B 0");
    assert_story(SPAN("OPTIONS a\0"), "B 0");
    assert_text_story(OPTIONS_LINE "l:0\r\n\r\n\x16", "M 40 B 0");
    /* ... and not too early */
    assert_text_story("METHODMETHODMETHODMETHODMETHODMETHODMETHODMETHODMETHODMETHODMETH", "W");
    assert_text_story("SIP/", "W");
    assert_text_story("SIP/2.0 200 G\xc3\xbct\tso\r", "W");
}

/* ---- bounds ---- */

static char *padded(const char *start, size_t head_n, size_t body_n, struct span *out)
{
    size_t n = strlen(start);
    char *text = malloc(head_n + body_n);

    assert_non_null(text);
    memset(text, 'x', head_n + body_n);
    memcpy(text, start, n);
    memcpy(text + n, "X: ", 3);
    memcpy(text + head_n - 4, "\r\n\r\n", 4);
    *out = span_make(text, head_n + body_n);
    return text;
}

static void bounds(void **state)
{
    struct span stream;
    char *text;

    (void)state;
    text = padded(OPTIONS_LINE "l: 49152\r\n", FRAMER_HEAD_MAX, 49152, &stream);
    assert_story(stream, "M 65536");
    assert_story(span_make(stream.p, stream.n - 1), "W");
    free(text);
    text = padded(OPTIONS_LINE "l: 49153\r\n", FRAMER_HEAD_MAX, 0, &stream);
    assert_story(stream, "B 16384");
    free(text);
    text = padded(OPTIONS_LINE "l: 0\r\n", FRAMER_HEAD_MAX + 1, 0, &stream);
    assert_story(stream, "B 0");
    free(text);
}

/* What waits takes no more than twice its size; what was given takes nothing. */
static void memory_is_that_of_the_rest(void **state)
{
    const char *head = OPTIONS_LINE "l: 60000\r\n\r\n";
    struct framer f;
    struct span got;

    (void)state;
    framer_init(&f);
    framer_read(&f, span_of(head));
    assert_int_equal(framer_next(&f, &got), FRAMED_MORE);
    assert_true(framer_waits(&f));
    assert_true(f.kept_size <= 512);
    framer_fini(&f);

    framer_init(&f);
    framer_read(&f, SPAN("\r\n" OPTIONS_LINE "l:0\r\n\r\n" OPTIONS_LINE));
    assert_int_equal(framer_next(&f, &got), FRAMED_MESSAGE);
    assert_false(framer_waits(&f)); /* it lay in the read */
    assert_int_equal(framer_next(&f, &got), FRAMED_MORE);
    framer_read(&f, SPAN("l:0\r\n\r\n\r\n"));
    assert_int_equal(framer_next(&f, &got), FRAMED_MESSAGE);
    assert_span(got, OPTIONS_LINE "l:0\r\n\r\n");
    assert_int_equal(framer_next(&f, &got), FRAMED_MORE);
    assert_false(framer_waits(&f));
    framer_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages),
        cmocka_unit_test(pings),
        cmocka_unit_test(broken_heads_can_be_answered),
        cmocka_unit_test(no_sip_is_told_at_once),
        cmocka_unit_test(bounds),
        cmocka_unit_test(memory_is_that_of_the_rest),
    };

    return cmocka_run_group_tests_name("sip-framer", tests, NULL, parsing_teardown);
}

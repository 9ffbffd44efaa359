/*
 * upstream/event_text: see event_text.h.
 *
 * Bytes are kept until they are a whole message; memory grows with what comes, up to one
 * message and one read, and is freed when nothing waits. Called by event_socket.c and the
 * fuzzer. Pure: knows no connection and no time.
 */
#include "upstream/event_text.h"

#include <stdlib.h>

void event_reader_init(struct event_reader *r)
{
    *r = (struct event_reader){0};
}

void event_reader_fini(struct event_reader *r)
{
    free(r->kept);
    r->kept = NULL;
}

/* ---- what is kept ------------------------------------------------------------------ */

/* Lets go of the message that was given last. */
static void drop_given(struct event_reader *r)
{
    if (r->given == 0)
        return;
    r->n -= r->given;
    memmove(r->kept, r->kept + r->given, r->n);
    r->given = 0;
    r->seen = 0;
    if (r->n == 0) {
        event_reader_fini(r);
        r->size = 0;
    }
}

void event_reader_put(struct event_reader *r, struct span bytes)
{
    size_t need;

    drop_given(r);
    need = r->n + bytes.n;
    if (r->broken || bytes.n == 0)
        return;
    if (need > r->size) {
        size_t size = need < 2 * r->size ? 2 * r->size : need;
        char *grown = realloc(r->kept, size);

        if (!grown) {
            r->broken = true;
            return;
        }
        r->kept = grown;
        r->size = size;
    }
    memcpy(r->kept + r->n, bytes.p, bytes.n);
    r->n = need;
}

/* ---- heads ------------------------------------------------------------------------- */

/* The next line without its end, cut off *text. False: there is none. */
static bool next_line(struct span *text, struct span *line)
{
    const char *end;

    if (text->n == 0)
        return false;
    end = memchr(text->p, '\n', text->n);
    *line = span_make(text->p, end ? (size_t)(end - text->p) : text->n);
    *text = end ? span_between(end + 1, text->p + text->n) : span_make(text->p + text->n, 0);
    if (line->n && line->p[line->n - 1] == '\r')
        line->n--;
    return true;
}

struct span event_field(struct span fields, const char *name)
{
    struct span line;

    while (next_line(&fields, &line)) {
        const char *colon = line.n ? memchr(line.p, ':', line.n) : NULL;

        if (colon && span_ieq(span_between(line.p, colon), span_of(name)))
            return span_trim(span_between(colon + 1, line.p + line.n));
    }
    return SPAN_NONE;
}

/* The bytes up to and with the first empty line; 0: there is none. Looks at nothing
 * before `from`, but for the end of the line before it. */
static size_t head_size(struct span text, size_t from)
{
    for (size_t at = from; at < text.n; at++) {
        size_t line = at;

        if (text.p[at] != '\n')
            continue;
        if (line > 0 && text.p[line - 1] == '\r')
            line--;
        if (line == 0 || text.p[line - 1] == '\n')
            return at + 1;
    }
    return 0;
}

/* False: the field is there and is no length. */
static bool content_length(struct span fields, uint32_t *out)
{
    struct span value = event_field(fields, "Content-Length");

    *out = 0;
    return value.p == NULL || span_u32(value, out);
}

/* ---- messages ---------------------------------------------------------------------- */

static enum event_kind kind_of(struct span type)
{
    static const struct {
        const char *type;
        enum event_kind kind;
    } kinds[] = {
        {"auth/request", EVENT_AUTH},          {"command/reply", EVENT_REPLY},
        {"api/response", EVENT_ANSWER},        {"text/event-plain", EVENT_PLAIN},
        {"text/disconnect-notice", EVENT_BYE}, {"text/rude-rejection", EVENT_DENIED},
    };

    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (span_ieq(type, span_of(kinds[i].type)))
            return kinds[i].kind;
    return EVENT_OTHER;
}

/* An event's body: its fields, and as much after the empty line as they say. */
static void split_event(struct span body, struct event_message *out)
{
    size_t head = head_size(body, 0);
    uint32_t length;

    out->fields = span_make(body.p, head ? head : body.n);
    out->text = SPAN_NONE;
    if (head && content_length(out->fields, &length) && length <= body.n - head)
        out->text = span_make(body.p + head, length);
}

static enum event_read break_off(struct event_reader *r)
{
    r->broken = true;
    return EVENT_BROKEN;
}

/* Not whole yet; or never, as it would be too large. */
static enum event_read wait_for(struct event_reader *r, size_t whole)
{
    return whole > EVENT_MESSAGE_MAX ? break_off(r) : EVENT_MORE;
}

/* Empty lines between messages mean nothing. */
static void skip_empty_lines(struct event_reader *r)
{
    size_t n = 0;

    while (n < r->n && (r->kept[n] == '\n' || r->kept[n] == '\r'))
        n++;
    if (n) {
        r->given = n;
        drop_given(r);
    }
}

enum event_read event_reader_next(struct event_reader *r, struct event_message *out)
{
    struct span all, head, type;
    uint32_t length;
    size_t n;

    drop_given(r);
    if (r->broken)
        return EVENT_BROKEN;
    if (r->seen == 0)
        skip_empty_lines(r);
    all = span_make(r->kept, r->n);
    n = head_size(all, r->seen);
    if (n == 0) {
        r->seen = r->n;
        return wait_for(r, r->n);
    }
    head = span_make(all.p, n);
    type = event_field(head, "Content-Type");
    if (type.n == 0 || !content_length(head, &length) || length > EVENT_MESSAGE_MAX)
        return break_off(r);
    if (n + length > r->n || n + length > EVENT_MESSAGE_MAX)
        return wait_for(r, n + length);
    r->given = n + length;
    *out = (struct event_message){kind_of(type), head, span_make(all.p + n, length)};
    if (out->kind == EVENT_PLAIN)
        split_event(out->text, out);
    else if (out->kind == EVENT_REPLY)
        out->text = event_field(head, "Reply-Text");
    return EVENT_MESSAGE;
}

/* ---- values ------------------------------------------------------------------------ */

bool event_field_decoded(struct span fields, const char *name, struct buf *out)
{
    struct span raw = event_field(fields, name);
    struct buf before = *out;

    if (!raw.p)
        return false;
    for (size_t i = 0; i < raw.n; i++) {
        char c = raw.p[i];

        if (c == '%') {
            int high = raw.n - i > 2 ? ascii_hex(raw.p[i + 1]) : -1;
            int low = raw.n - i > 2 ? ascii_hex(raw.p[i + 2]) : -1;

            if (high < 0 || low < 0) {
                *out = before;
                return false;
            }
            c = (char)(high << 4 | low);
            i += 2;
        }
        buf_char(out, c);
    }
    if (out->overflow)
        *out = before;
    return out->n != before.n || raw.n == 0;
}

/* The number that *text begins with, cut off. */
static bool take_number(struct span *text, uint32_t *out)
{
    size_t n = 0;

    while (n < text->n && ascii_digit(text->p[n]))
        n++;
    if (!span_u32(span_make(text->p, n), out))
        return false;
    *text = span_make(text->p + n, text->n - n);
    return true;
}

static bool begins_with(struct span text, const char *word)
{
    size_t n = strlen(word);

    return text.n >= n && span_ieq(span_make(text.p, n), span_make(word, n));
}

/* "2 hours" and what follows it up to the next number, cut off; milliseconds. */
static bool take_part(struct span *text, uint64_t *ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"year", 31536000000}, {"day", 86400000},  {"hour", 3600000}, {"minute", 60000},
                 {"second", 1000},      {"millisecond", 1}, {"microsecond", 0}};
    uint32_t number;

    if (!take_number(text, &number))
        return false;
    *text = span_trim(*text);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (!begins_with(*text, units[i].unit))
            continue;
        while (text->n && !ascii_digit(text->p[0]))
            text->p++, text->n--;
        *ms += number * units[i].ms;
        return true;
    }
    return false;
}

bool event_uptime_ms(struct span fields, uint64_t *out)
{
    char room[256];
    struct buf decoded = buf_make(room, sizeof room);
    struct span msec = event_field(fields, "Uptime-msec");
    struct span text;

    *out = 0;
    if (msec.n && msec.n < 16) {
        for (size_t i = 0; i < msec.n; i++) {
            if (!ascii_digit(msec.p[i]))
                return false;
            *out = *out * 10 + (uint64_t)(msec.p[i] - '0');
        }
        return true;
    }
    if (!event_field_decoded(fields, "Up-Time", &decoded) || decoded.n == 0)
        return false;
    text = buf_done(&decoded);
    while (text.n)
        if (!take_part(&text, out))
            return false;
    return true;
}

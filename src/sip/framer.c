/*
 * sip/framer: see framer.h.
 *
 * Called by net/stream.c for each read, on the core thread. Two ways lead to a
 * message: it lies whole in the read, or it is put together in `kept`. Both look
 * for the end of the head line by line, never at a line twice but the last.
 * What is no SIP is told by its first bytes; never waits for what cannot come.
 */
#include "sip/framer.h"

#include "sip/scan.h"

#include <assert.h>
#include <stdlib.h>

/* RFC 3261 sets no limit, but nobody's method is as long as this. */
#define METHOD_MAX 64
/* The smallest piece of memory for the beginning of a message. */
#define KEPT_MIN 512

void framer_init(struct framer *f)
{
    memset(f, 0, sizeof *f);
}

void framer_fini(struct framer *f)
{
    free(f->kept);
    f->kept = NULL;
}

void framer_read(struct framer *f, struct span bytes)
{
    f->unread = bytes;
}

/* ---- between messages ---- */

/*
 * Takes CRs and LFs off the front of what was read; true: they made up a ping
 * (RFC 5626 3.5.1). Others are ignored (RFC 3261 7.5).
 */
static bool take_ping(struct framer *f)
{
    static const char ping[4] = "\r\n\r\n";

    while (f->unread.n && (*f->unread.p == '\r' || *f->unread.p == '\n')) {
        char c = *f->unread.p;

        f->unread = span_make(f->unread.p + 1, f->unread.n - 1);
        if (c == ping[f->crlf])
            f->crlf++;
        else
            f->crlf = c == '\r' ? 1 : 0;
        if (f->crlf == sizeof ping) {
            f->crlf = 0;
            return true;
        }
    }
    if (f->unread.n)
        f->crlf = 0;
    return false;
}

/* ---- the start line ---- */

/* Is it the beginning of a start line? A method and a space, or "SIP/", and no
 * control characters. */
static bool begins_well(struct span s)
{
    const char *end = s.p + s.n;
    const char *p = skip_class(s.p, end, CHAR_TOKEN);
    struct span word = span_between(s.p, p);

    if (p == s.p || word.n > METHOD_MAX)
        return false;
    if (p < end && *p != ' ' && !(*p == '/' && span_ieq(word, SPAN("SIP"))))
        return false;
    while (p < end && ((uint8_t)*p >= ' ' || *p == '\t') && *p != 0x7f)
        p++;
    return p == end;
}

/* Can what was read of the first line become one? A last CR may be its end. */
static bool may_start(struct span s)
{
    return begins_well(s.p[s.n - 1] == '\r' ? span_make(s.p, s.n - 1) : s);
}

/* Is it the start line of SIP, be it good or bad? All have a version in them. */
static bool is_start(struct span line)
{
    if (!begins_well(line))
        return false;
    for (size_t i = 0; i + 4 <= line.n; i++)
        if (span_ieq(span_make(line.p + i, 4), SPAN("SIP/")))
            return true;
    return false;
}

/* ---- the head ---- */

/* Takes the line that ends with the LF at `at`. False: this is no SIP. */
static bool take_line(struct framer *f, const char *p, size_t at, bool *empty)
{
    size_t stop = at;

    if (stop > f->line && p[stop - 1] == '\r')
        stop--;
    else
        f->bare_lf = true;
    *empty = stop == f->line;
    if (f->line == 0 && !is_start(span_make(p, stop)))
        return false;
    f->line = f->seen = at + 1;
    return true;
}

/* Looks for the empty line. FRAMED_MESSAGE: f->line is the size of the head. */
static enum framed find_head(struct framer *f, struct span window)
{
    size_t n = window.n < FRAMER_HEAD_MAX ? window.n : FRAMER_HEAD_MAX;
    const char *lf;

    while ((lf = memchr(window.p + f->seen, '\n', n - f->seen))) {
        bool empty;

        if (!take_line(f, window.p, (size_t)(lf - window.p), &empty))
            return FRAMED_BROKEN;
        if (empty)
            return FRAMED_MESSAGE;
    }
    f->seen = n;
    if (n == FRAMER_HEAD_MAX || (f->line == 0 && !may_start(span_make(window.p, n))))
        return FRAMED_BROKEN;
    return FRAMED_MORE;
}

/* Takes one field, folds included, off the front of the head's rest. */
static struct span take_field(struct span *rest)
{
    const char *end = rest->p + rest->n;
    const char *p = rest->p;
    struct span field;

    do {
        const char *lf = memchr(p, '\n', (size_t)(end - p));

        p = lf ? lf + 1 : end;
    } while (p < end && (*p == ' ' || *p == '\t'));
    field = span_between(rest->p, p);
    *rest = span_between(p, end);
    return field;
}

/* Is it Content-Length, or its compact form? Then its value. */
static bool is_length(struct span field, struct span *value)
{
    const char *end = field.p + field.n;
    const char *name_end = skip_class(field.p, end, CHAR_TOKEN);
    struct span name = span_between(field.p, name_end);

    if (!span_ieq(name, SPAN("Content-Length")) && !span_ieq(name, SPAN("l")))
        return false;
    while (name_end < end && (*name_end == ' ' || *name_end == '\t'))
        name_end++;
    if (name_end == end || *name_end != ':')
        return false;
    *value = span_trim(span_between(name_end + 1, end));
    return true;
}

/* The length of the body. False: none is given, or no number, or several that
 * differ. Equal ones are one (as in sip/message.c). */
static bool find_length(struct span head, uint32_t *length)
{
    bool found = false;
    struct span value;
    uint32_t n;

    take_field(&head);
    while (head.n) {
        if (!is_length(take_field(&head), &value))
            continue;
        if (!span_u32(value, &n) || (found && n != *length))
            return false;
        *length = n;
        found = true;
    }
    return found;
}

/*
 * How large is the message at the start of the window, and is it whole? With
 * FRAMED_BROKEN f->whole is the size of what can be answered.
 */
static enum framed measure(struct framer *f, struct span window)
{
    uint32_t length = 0;

    if (f->whole == 0) {
        enum framed found = find_head(f, window);

        if (found != FRAMED_MESSAGE)
            return found;
        f->whole = f->line;
        if (f->bare_lf || !find_length(span_make(window.p, f->line), &length) ||
            length > FRAMER_MESSAGE_MAX - f->line)
            return FRAMED_BROKEN;
        f->whole += length;
    }
    return window.n < f->whole ? FRAMED_MORE : FRAMED_MESSAGE;
}

/* ---- messages ---- */

/* The next message begins. */
static void begin(struct framer *f)
{
    free(f->kept);
    f->kept = NULL;
    f->kept_n = f->kept_size = 0;
    f->line = f->seen = f->whole = 0;
    f->bare_lf = f->given = false;
}

static bool make_room(struct framer *f, size_t n)
{
    size_t size = f->kept_size ? f->kept_size : KEPT_MIN;
    char *larger;

    if (n <= f->kept_size)
        return true;
    while (size < n)
        size *= 2;
    if (f->whole && size > f->whole) /* no more than this will come */
        size = f->whole;
    larger = realloc(f->kept, size);
    if (!larger)
        return false;
    f->kept = larger;
    f->kept_size = size;
    return true;
}

/* Keeps more of what was read, as much as the message can need. */
static bool keep(struct framer *f)
{
    size_t want = f->whole ? f->whole : FRAMER_HEAD_MAX;
    size_t n = f->unread.n < want - f->kept_n ? f->unread.n : want - f->kept_n;

    if (!make_room(f, f->kept_n + n))
        return false;
    assert(n == 0 || f->kept);
    if (n)
        memcpy(f->kept + f->kept_n, f->unread.p, n);
    f->kept_n += n;
    f->unread = span_make(f->unread.p + n, f->unread.n - n);
    return true;
}

/* The message lies in the read, or its beginning does. */
static enum framed next_in_place(struct framer *f, struct span *out)
{
    enum framed found = measure(f, f->unread);

    if (found == FRAMED_MORE)
        return keep(f) ? FRAMED_MORE : FRAMED_BROKEN;
    *out = span_make(f->unread.p, f->whole);
    if (found == FRAMED_MESSAGE) {
        f->unread = span_make(f->unread.p + f->whole, f->unread.n - f->whole);
        begin(f);
    }
    return found;
}

/* The beginning of the message was kept from earlier reads. */
static enum framed next_from_kept(struct framer *f, struct span *out)
{
    while (f->unread.n) {
        enum framed found;

        if (!keep(f))
            return FRAMED_BROKEN;
        found = measure(f, span_make(f->kept, f->kept_n));
        if (found == FRAMED_MORE)
            continue;
        *out = span_make(f->kept, f->whole);
        if (found == FRAMED_MESSAGE) {
            /* What lies behind it came with this read and is taken from there. */
            size_t behind = f->kept_n - f->whole;

            f->unread = span_make(f->unread.p - behind, f->unread.n + behind);
            f->given = true;
        }
        return found;
    }
    return FRAMED_MORE;
}

enum framed framer_next(struct framer *f, struct span *out)
{
    *out = SPAN_NONE;
    if (f->given)
        begin(f);
    if (f->kept)
        return next_from_kept(f, out);
    if (take_ping(f))
        return FRAMED_PING;
    return f->unread.n ? next_in_place(f, out) : FRAMED_MORE;
}

/*
 * trace: prints and keeps lines, and hashes all that was sent.
 *
 * Called by everything in the simulation; changes nothing that others look at.
 */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

bool trace_wants(const struct sim *s, int aor)
{
    const struct trace_options *o = &s->options->trace;

    return (o->say || o->history) && (aor == NO_AOR || o->aor == NO_AOR || o->aor == aor);
}

void trace_line(struct sim *s, int aor, const char *format, ...)
{
    char *line = s->trace.line[s->trace.lines % TRACE_LINES];
    uint64_t ms = s->now_us / 1000;
    va_list args;
    int n =
        snprintf(line, TRACE_LINE_MAX, "%02u:%02u:%02u.%03u ", (unsigned)(ms / 3600000),
                 (unsigned)(ms / 60000 % 60), (unsigned)(ms / 1000 % 60), (unsigned)(ms % 1000));

    if (aor != NO_AOR)
        n += snprintf(line + n, TRACE_LINE_MAX - (size_t)n, "[%d] ", aor);
    va_start(args, format);
    vsnprintf(line + n, TRACE_LINE_MAX - (size_t)n, format, args);
    va_end(args);
    if (s->options->trace.say)
        puts(line);
    s->trace.lines++;
}

/* A field's value by the start of its line, as it stands in the text. */
static struct span field(struct span text, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 0; i + n < text.n; i++) {
        const char *value = text.p + i + n;
        const char *end;

        if (text.p[i] != '\n' || memcmp(text.p + i + 1, name, n) != 0)
            continue;
        value++;
        end = memchr(value, '\r', (size_t)(text.p + text.n - value));
        return end ? span_between(value, end) : SPAN_NONE;
    }
    return SPAN_NONE;
}

void trace_message(struct sim *s, int aor, const char *who, struct span message)
{
    static const char *const names[] = {
        "CSeq: ", "Call-ID: ", "Contact: ", "Expires: ", "Reason: ", "To: ", "Via: "};
    char room[TRACE_LINE_MAX];
    struct buf out = buf_make(room, sizeof room - 1);
    const char *end;

    if (!trace_wants(s, aor))
        return;
    end = memchr(message.p, '\r', message.n);
    buf_put(&out, message.p, end ? (size_t)(end - message.p) : message.n);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct span value = field(message, names[i]);

        if (!value.p || out.n + value.n + 4 > out.cap)
            continue;
        buf_lit(&out, " | ");
        if (names[i][0] == 'T' || names[i][0] == 'V' || names[i][0] == 'E')
            buf_put(&out, names[i], 1);
        buf_span(&out, value);
    }
    room[out.n] = '\0';
    trace_line(s, aor, "%s: %s", who, room);
}

void trace_hash(struct sim *s, struct span datagram)
{
    s->trace.hash = XXH3_64bits_withSeed(datagram.p, datagram.n, s->trace.hash + s->now_us);
    s->trace.datagrams++;
}

void trace_print_history(const struct sim *s)
{
    unsigned first = s->trace.lines > TRACE_LINES ? s->trace.lines - TRACE_LINES : 0;

    for (unsigned i = first; i < s->trace.lines; i++)
        printf("    %s\n", s->trace.line[i % TRACE_LINES]);
}

/*
 * base/runtime: chance and log lines for the rooms of the core.
 *
 * A log line is one line, whatever the network sent: nothing below 0x20 leaves
 * runtime_log(), and log_value() quotes what could pass for another key. Core
 * thread only; never allocates.
 */
#include "base/runtime.h"

#include <stdarg.h>
#include <stdio.h>

#define LOG_LINE_MAX  1024
#define LOG_VALUE_MAX 128

uint32_t runtime_random(struct runtime *rt, uint32_t below)
{
    uint64_t value;

    rt->ports->random(rt->ports->world, &value, sizeof value);
    return (uint32_t)(value % below);
}

void runtime_log(struct runtime *rt, enum log_level level, const char *event, const char *format,
                 ...)
{
    char line[LOG_LINE_MAX];
    size_t cap = sizeof line;
    va_list args;
    int n = snprintf(line, cap, "event=%s ", event);
    int more;

    if (n < 0 || (size_t)n >= cap)
        return;
    va_start(args, format);
    more = vsnprintf(line + n, cap - (size_t)n, format, args);
    va_end(args);
    if (more > 0)
        n += more;
    if ((size_t)n >= cap)
        n = (int)cap - 1;
    while (n && line[n - 1] == ' ')
        n--;
    for (int i = 0; i < n; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    rt->ports->log(rt->ports->world, level, span_make(line, (size_t)n));
}

static bool is_plain(char c)
{
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '=';
}

/* One byte of the value as it stands within quotes: at most four characters. */
static void put_escaped(struct buf *out, char c)
{
    static const char hex[] = "0123456789abcdef";

    if (c == '"' || c == '\\') {
        buf_char(out, '\\');
        buf_char(out, c);
    } else if (c >= ' ' && c < 0x7f) {
        buf_char(out, c);
    } else {
        buf_lit(out, "\\x");
        buf_char(out, hex[(unsigned char)c >> 4]);
        buf_char(out, hex[c & 15]);
    }
}

const char *log_value(struct log_text *room, struct span value)
{
    struct buf out = buf_make(room->text, LOG_VALUE_MAX);
    bool plain = value.n > 0 && value.n <= LOG_VALUE_MAX;
    size_t i;

    for (i = 0; plain && i < value.n; i++)
        plain = is_plain(value.p[i]);
    if (plain) {
        buf_span(&out, value);
    } else {
        buf_char(&out, '"');
        /* Room for one escape, the dots and the closing quote. */
        for (i = 0; i < value.n && out.n <= LOG_VALUE_MAX - 8; i++)
            put_escaped(&out, value.p[i]);
        if (i < value.n)
            buf_lit(&out, "...");
        buf_char(&out, '"');
    }
    room->text[out.n] = 0;
    return room->text;
}

/*
 * base/span: a stretch of bytes that somebody else owns.
 *
 * Spans are passed by value, are not terminated and may hold any byte. A span
 * into a receive buffer dies with the handler that was given it; keeping one
 * is an explicit copy into an arena (base/arena.h). Any thread.
 */
#ifndef MIDREG_BASE_SPAN_H
#define MIDREG_BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct span {
    const char *p;
    size_t n;
};

#define SPAN(literal) ((struct span){(literal), sizeof(literal) - 1})
#define SPAN_NONE     ((struct span){NULL, 0})

static inline struct span span_make(const char *p, size_t n)
{
    return (struct span){p, n};
}

static inline struct span span_of(const char *text)
{
    return (struct span){text, strlen(text)};
}

/* From `from` up to, but without, `end`. */
static inline struct span span_between(const char *from, const char *end)
{
    return (struct span){from, (size_t)(end - from)};
}

static inline bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static inline char ascii_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

static inline bool ascii_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The value of a hex digit, or -1. */
static inline int ascii_hex(char c)
{
    if (ascii_digit(c))
        return c - '0';
    c = ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Equal without regard to ASCII case, as SIP's tokens and host names are. */
static inline bool span_ieq(struct span a, struct span b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (a.p[i] != b.p[i] && ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
            return false;
    return true;
}

/* Without white space (SP, HT, CR, LF) at both ends. */
static inline struct span span_trim(struct span s)
{
    while (s.n && (s.p[0] == ' ' || s.p[0] == '\t' || s.p[0] == '\r' || s.p[0] == '\n'))
        s.p++, s.n--;
    while (s.n && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t' || s.p[s.n - 1] == '\r' ||
                   s.p[s.n - 1] == '\n'))
        s.n--;
    return s;
}

/*
 * Reads a decimal number of digits alone. False on anything else, and where it
 * exceeds 2^32 - 1: nothing ever wraps.
 */
static inline bool span_u32(struct span s, uint32_t *out)
{
    uint64_t value = 0;

    if (s.n == 0)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (!ascii_digit(s.p[i]))
            return false;
        value = value * 10 + (uint64_t)(s.p[i] - '0');
        if (value > UINT32_MAX)
            return false;
    }
    *out = (uint32_t)value;
    return true;
}

#endif

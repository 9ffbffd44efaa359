/*
 * base/buf: a bounded output buffer over bytes that the caller owns.
 *
 * Writing past the end sets `overflow` and writes nothing more: check once, at
 * the end. Never allocates. Any thread.
 */
#ifndef MIDREG_BASE_BUF_H
#define MIDREG_BASE_BUF_H

#include "base/span.h"

struct buf {
    char *p;
    size_t n;
    size_t cap;
    bool overflow;
};

static inline struct buf buf_make(char *p, size_t cap)
{
    return (struct buf){p, 0, cap, false};
}

/* The next n bytes, to be written by the caller; NULL: no room. */
static inline char *buf_room(struct buf *b, size_t n)
{
    if (n > b->cap - b->n || b->overflow) {
        b->overflow = true;
        return NULL;
    }
    b->n += n;
    return b->p + b->n - n;
}

static inline void buf_put(struct buf *b, const char *p, size_t n)
{
    char *to = n ? buf_room(b, n) : NULL;

    if (to)
        memcpy(to, p, n);
}

static inline void buf_span(struct buf *b, struct span s)
{
    buf_put(b, s.p, s.n);
}

#define buf_lit(b, literal) buf_put((b), (literal), sizeof(literal) - 1)

static inline void buf_str(struct buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

static inline void buf_char(struct buf *b, char c)
{
    buf_put(b, &c, 1);
}

static inline void buf_u64(struct buf *b, uint64_t value)
{
    char digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    buf_put(b, digits + at, sizeof digits - at);
}

static inline struct span buf_done(const struct buf *b)
{
    return span_make(b->p, b->n);
}

#endif

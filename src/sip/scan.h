/*
 * sip/scan: what the decoders of this room share: characters, lines, lists.
 *
 * Internal to sip/. Character classes follow RFC 3261 25.1; where we tolerate
 * more than the grammar it says so. Pure.
 */
#ifndef MIDREG_SIP_SCAN_H
#define MIDREG_SIP_SCAN_H

#include "sip/message.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum {
    CHAR_TOKEN = 1 << 0,
    CHAR_USER = 1 << 1,     /* user, without "%"; '#' is tolerated: phones dial it */
    CHAR_PASSWORD = 1 << 2, /* without "%" */
    CHAR_PARAM = 1 << 3,    /* paramchar of a URI, without "%" */
    CHAR_HEADER = 1 << 4,   /* hname and hvalue of a URI, without "%" */
    CHAR_HOST = 1 << 5,     /* host name; '_' is tolerated: private names hold it */
    CHAR_IP6 = 1 << 6,      /* inside the brackets of an IPv6 reference */
    CHAR_RESERVED = 1 << 7, /* RFC 2396 2.2: an escape of it is not the same as it */
    CHAR_VALUE = 1 << 8,    /* value of a header parameter: all that is no separator */
};

extern const uint16_t sip_chars[256];

static inline bool char_is(char c, unsigned classes)
{
    return (sip_chars[(uint8_t)c] & classes) != 0;
}

static inline bool char_is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The first CR, LF or NUL at or after p, or `end`. */
static inline const char *scan_line(const char *p, const char *end)
{
#ifdef __SSE2__
    const __m128i cr = _mm_set1_epi8('\r');
    const __m128i lf = _mm_set1_epi8('\n');
    const __m128i zero = _mm_setzero_si128();

    while (end - p >= 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(block, cr), _mm_cmpeq_epi8(block, lf));
        int mask = _mm_movemask_epi8(_mm_or_si128(hit, _mm_cmpeq_epi8(block, zero)));

        if (mask)
            return p + __builtin_ctz((unsigned)mask);
        p += 16;
    }
#endif
    while (p < end && *p != '\r' && *p != '\n' && *p != 0)
        p++;
    return p;
}

/* The first byte that matters to a list, one of , " < > ( at or after p, or `end`. */
static inline const char *scan_list(const char *p, const char *end)
{
#ifdef __SSE2__
    while (end - p >= 16) {
        __m128i block = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(block, _mm_set1_epi8(',')),
                                   _mm_cmpeq_epi8(block, _mm_set1_epi8('"')));

        hit = _mm_or_si128(hit, _mm_cmpeq_epi8(block, _mm_set1_epi8('(')));
        hit = _mm_or_si128(hit, _mm_cmpeq_epi8(block, _mm_set1_epi8('<')));
        hit = _mm_or_si128(hit, _mm_cmpeq_epi8(block, _mm_set1_epi8('>')));

        int mask = _mm_movemask_epi8(hit);

        if (mask)
            return p + __builtin_ctz((unsigned)mask);
        p += 16;
    }
#endif
    while (p < end && *p != ',' && *p != '"' && *p != '(' && *p != '<' && *p != '>')
        p++;
    return p;
}

/* Skips white space, folds included. */
static inline const char *skip_space(const char *p, const char *end)
{
    while (p < end && char_is_space(*p))
        p++;
    return p;
}

/* Skips all characters of this one class. Four at a time: most of a message's
 * bytes pass here. */
static inline const char *skip_class(const char *p, const char *end, unsigned class)
{
    const uint16_t *chars = sip_chars;

    while (end - p >= 4 && (chars[(uint8_t)p[0]] & chars[(uint8_t)p[1]] & chars[(uint8_t)p[2]] &
                            chars[(uint8_t)p[3]] & class) != 0)
        p += 4;
    while (p < end && char_is(*p, class))
        p++;
    return p;
}

/* p stands on the opening quote: one behind the closing one, or NULL if there
 * is none. A backslash takes the next byte with it (quoted-pair). */
const char *skip_quoted(const char *p, const char *end);

/*
 * Takes the first value of a comma-separated list off *rest, trimmed. 1: taken,
 * 0: nothing left, -1: unbalanced quote or bracket, or an empty value; a comma
 * with nothing behind it counts as an empty value too.
 */
int list_split(struct span *rest, struct span *value);

/* Takes one ";name=value" off the front of a URI's parameters, which are known
 * to be well-formed. value.p NULL: no '='. */
bool uri_param_next(struct span *params, struct span *name, struct span *value);

/* Equal as RFC 3261 19.1.4 says of escapes: %61 is a, but %3B is not ;. Names
 * and values alike; `fold`: letters without regard to case. */
bool escaped_equal(struct span a, struct span b, bool fold);

/* Are all header parameters well-formed? */
bool params_check(struct span params);

/* Is the sent-by of this Via an IP address, and another than the source's? Then
 * the sender is behind a NAT, and is answered where it sent from (sip_via_reply_address()). */
struct sip_via;
struct address;
bool via_differs(const struct sip_via *via, const struct address *source);

/* Decodes the topmost Via into m->via, m->via_fault and m->via_rest. */
void via_read_top(struct sip_message *m);

/* Writes the first Via field of a request; its topmost value gets received and
 * rport of `source` (NULL: it stays as it is). */
struct buf;
void put_received_via(struct buf *out, const struct sip_message *m, const struct address *source);

/* A decoder's fault: it knows its field alone, so the offset is left at 0. */
static inline bool fault_400(struct sip_fault *fault, const char *reason)
{
    *fault = (struct sip_fault){400, reason, 0};
    return false;
}

/* The long form of a header name (RFC 3261 7.3.3 and extensions); others as they are. */
struct span header_long_name(struct span name);

#endif

/*
 * sip/uri_equal: are two URIs the same? RFC 3261 19.1.4.
 *
 * Called by the registrar to match contacts. Compares decoded URIs in place,
 * on any thread; the decoder bounds the number of parameters and headers, so
 * that the nested loops stay short. Never allocates.
 */
#include "sip/scan.h"
#include "sip/uri.h"

#include <assert.h>

/* Longer URIs are equal only if their bytes are: nobody has such, and comparing
 * the parameters of two of them would cost milliseconds. */
#define URI_COMPARED_MAX 2048

/*
 * The next character of text with escapes undone, but those of reserved
 * characters marked: they are not equivalent to the character itself.
 */
static int next_unit(struct span *text, bool fold)
{
    const char *p = text->p;
    int high = text->n >= 3 && *p == '%' ? ascii_hex(p[1]) : -1;
    int low = high >= 0 ? ascii_hex(p[2]) : -1;
    size_t take = 1;
    int unit = (uint8_t)*p;

    if (low >= 0) {
        unit = high << 4 | low;
        take = 3;
        if (char_is((char)unit, CHAR_RESERVED) || unit == '%')
            unit |= 0x100;
    }
    *text = span_make(p + take, text->n - take);
    if (fold && unit < 0x80)
        unit = ascii_lower((char)unit);
    return unit;
}

bool escaped_equal(struct span a, struct span b, bool fold)
{
    if (a.n == 0 || b.n == 0)
        return a.n == b.n;
    assert(a.p && b.p);
    if (a.n == b.n && memcmp(a.p, b.p, a.n) == 0)
        return true;
    if (a.n == b.n && !memchr(a.p, '%', a.n) && !memchr(b.p, '%', b.n))
        return fold && span_ieq(a, b);
    while (a.n && b.n)
        if (next_unit(&a, fold) != next_unit(&b, fold))
            return false;
    return a.n == 0 && b.n == 0;
}

static bool hosts_equal(struct span a, struct span b)
{
    struct address ip_a, ip_b;

    if (span_ieq(a, b))
        return true;
    return a.p[0] == '[' && b.p[0] == '[' && sip_host_address(a, &ip_a) &&
           sip_host_address(b, &ip_b) && address_same_host(&ip_a, &ip_b);
}

/* Parameters that never match when they stand in one URI alone. */
static bool is_significant(struct span name)
{
    static const struct span names[] = {SPAN("transport"), SPAN("user"), SPAN("method"),
                                        SPAN("ttl"), SPAN("maddr")};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (escaped_equal(name, names[i], true))
            return true;
    return false;
}

/* Does each of a's parameters agree with b's? */
static bool params_agree(const struct sip_uri *a, const struct sip_uri *b)
{
    struct span params = a->params;
    struct span name, value, other;

    while (uri_param_next(&params, &name, &value)) {
        if (!sip_uri_param(b, name, &other)) {
            if (is_significant(name))
                return false;
        } else if (!escaped_equal(value, other, true)) {
            return false;
        }
    }
    return true;
}

static bool header_next(struct span *headers, struct span *name, struct span *value)
{
    if (headers->n == 0)
        return false;

    const char *end = headers->p + headers->n;
    const char *stop = memchr(headers->p, '&', headers->n);

    if (!stop)
        stop = end;

    const char *equals = memchr(headers->p, '=', (size_t)(stop - headers->p));

    *name = span_between(headers->p, equals ? equals : stop);
    *value = equals ? span_between(equals + 1, stop) : SPAN_NONE;
    *headers = stop == end ? SPAN_NONE : span_between(stop + 1, end);
    return true;
}

/* How often does this header stand in the URI, and how many has it in all? */
static unsigned header_count(struct span headers, struct span name, struct span value,
                             unsigned *total)
{
    struct span other_name, other_value;
    unsigned count = 0;

    *total = 0;
    while (header_next(&headers, &other_name, &other_value)) {
        ++*total;
        count += escaped_equal(name, other_name, true) && escaped_equal(value, other_value, false);
    }
    return count;
}

/* Headers are never ignored: the same ones as often on both sides, in any order.
 * Values are compared with regard to case: section 20's rules differ by field,
 * and to take two for different costs a second binding at worst. */
static bool headers_equal(struct span a, struct span b)
{
    struct span rest = a;
    struct span name, value;
    unsigned total_a = 0, total_b = 0;

    if (a.n == 0 || b.n == 0)
        return a.n == b.n;
    while (header_next(&rest, &name, &value))
        if (header_count(a, name, value, &total_a) != header_count(b, name, value, &total_b))
            return false;
    return total_a == total_b;
}

bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b)
{
    if (a->scheme != b->scheme)
        return false;
    if (a->scheme != SIP_SCHEME_SIP && a->scheme != SIP_SCHEME_SIPS)
        return span_eq(a->text, b->text);
    if (span_eq(a->text, b->text))
        return true;
    if (a->text.n > URI_COMPARED_MAX || b->text.n > URI_COMPARED_MAX)
        return false;
    return a->port == b->port && a->has_user == b->has_user &&
           (a->password.p != NULL) == (b->password.p != NULL) &&
           escaped_equal(a->user, b->user, false) &&
           escaped_equal(a->password, b->password, false) && hosts_equal(a->host, b->host) &&
           params_agree(a, b) && params_agree(b, a) && headers_equal(a->headers, b->headers);
}

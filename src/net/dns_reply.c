/*
 * net/dns_reply: see dns_reply.h.
 *
 * Called by srv.c and naptr.c. Names are expanded by c-ares, which follows compression
 * pointers without going round in circles. Keeps nothing.
 */
#include "net/dns_reply.h"

#include <ares.h>
#include <string.h>

#define HEADER_SIZE 12

static uint16_t u16_at(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t u32_at(const uint8_t *p)
{
    return (uint32_t)u16_at(p) << 16 | u16_at(p + 2);
}

static bool skip(struct dns_reply *r, size_t n)
{
    if (n > r->n - r->at)
        return false;
    r->at += n;
    return true;
}

/* Reads the name at *at into out[DNS_NAME_MAX], or only goes past it (NULL). */
static bool read_name(const struct dns_reply *r, size_t *at, char *out)
{
    char *text = NULL;
    long size = 0;
    bool ok;

    if (*at >= r->n ||
        ares_expand_name(r->bytes + *at, r->bytes, (int)r->n, &text, &size) != ARES_SUCCESS)
        return false;
    ok = size > 0 && (size_t)size <= r->n - *at;
    if (ok)
        *at += (size_t)size;
    if (out) {
        ok = ok && strlen(text) < DNS_NAME_MAX;
        if (ok)
            memcpy(out, text, strlen(text) + 1);
    }
    ares_free_string(text);
    return ok;
}

bool dns_reply_begin(struct dns_reply *r, const uint8_t *bytes, size_t n)
{
    unsigned questions;

    *r = (struct dns_reply){bytes, n, HEADER_SIZE, 0};
    if (n < HEADER_SIZE || n > UINT16_MAX)
        return false;
    questions = u16_at(bytes + 4);
    r->answers = u16_at(bytes + 6);
    for (unsigned i = 0; i < questions; i++)
        if (!read_name(r, &r->at, NULL) || !skip(r, 4))
            return false;
    return true;
}

enum dns_next dns_reply_next(struct dns_reply *r, struct dns_record *out)
{
    const uint8_t *fixed;

    if (r->answers == 0)
        return DNS_END;
    r->answers--;
    if (!read_name(r, &r->at, NULL))
        return DNS_MALFORMED;
    fixed = r->bytes + r->at;
    if (!skip(r, 10))
        return DNS_MALFORMED;
    out->type = u16_at(fixed);
    out->class = u16_at(fixed + 2);
    out->ttl_s = u32_at(fixed + 4) & INT32_MAX; /* RFC 2181 8 */
    out->at = r->at;
    if (!skip(r, u16_at(fixed + 8)))
        return DNS_MALFORMED;
    out->end = r->at;
    return DNS_RECORD;
}

bool dns_take_u16(const struct dns_reply *r, struct dns_record *data, uint16_t *out)
{
    if (data->end - data->at < 2)
        return false;
    *out = u16_at(r->bytes + data->at);
    data->at += 2;
    return true;
}

bool dns_take_text(const struct dns_reply *r, struct dns_record *data, const char **text, size_t *n)
{
    if (data->at == data->end || r->bytes[data->at] > data->end - data->at - 1)
        return false;
    *n = r->bytes[data->at];
    *text = (const char *)r->bytes + data->at + 1;
    data->at += *n + 1;
    return true;
}

bool dns_take_name(const struct dns_reply *r, struct dns_record *data, char out[DNS_NAME_MAX])
{
    return data->at < data->end && read_name(r, &data->at, out) && data->at <= data->end;
}

void dns_note_ttl(const struct dns_record *record, enum dns_type type, uint32_t *ttl_s)
{
    if (record->class == DNS_CLASS_IN && (record->type == type || record->type == DNS_TYPE_CNAME) &&
        record->ttl_s < *ttl_s)
        *ttl_s = record->ttl_s;
}

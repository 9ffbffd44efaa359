/*
 * net/srv: see srv.h.
 *
 * Called by resolver.c on the core thread with bytes from the network: trusts no
 * length and no offset. Names are expanded by c-ares, which follows compression
 * pointers without going round in circles. Keeps nothing.
 */
#include "net/srv.h"

#include <ares.h>
#include <string.h>

#define HEADER_SIZE 12
#define TYPE_CNAME  5
#define TYPE_SRV    33
#define CLASS_IN    1

/* What is left to read of a reply. */
struct cursor {
    const uint8_t *reply;
    size_t n;
    size_t at;
};

static uint16_t u16_at(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t u32_at(const uint8_t *p)
{
    return (uint32_t)u16_at(p) << 16 | u16_at(p + 2);
}

static bool skip(struct cursor *c, size_t n)
{
    if (n > c->n - c->at)
        return false;
    c->at += n;
    return true;
}

/* Reads a name into out[SRV_NAME_MAX], or only goes past it (NULL). */
static bool read_name(struct cursor *c, char *out)
{
    char *text = NULL;
    long size = 0;
    bool ok;

    if (c->at >= c->n || ares_expand_name(c->reply + c->at, c->reply, (int)c->n, &text, &size) != 0)
        return false;
    ok = size > 0 && skip(c, (size_t)size);
    if (out) {
        ok = ok && strlen(text) < SRV_NAME_MAX;
        if (ok)
            memcpy(out, text, strlen(text) + 1);
    }
    ares_free_string(text);
    return ok;
}

/* The data of one SRV record: 6 bytes, and the target. */
static bool read_srv(const struct cursor *c, size_t length, struct srv *out)
{
    struct cursor data = *c;
    const uint8_t *p = c->reply + c->at;

    if (length < 7)
        return false;
    out->priority = u16_at(p);
    out->weight = u16_at(p + 2);
    out->port = u16_at(p + 4);
    data.at += 6;
    return read_name(&data, out->target) && data.at == c->at + length;
}

static bool read_record(struct cursor *c, struct srv_list *out)
{
    struct srv srv;
    uint16_t type, class, length;
    uint32_t ttl_s;
    const uint8_t *fixed;

    if (!read_name(c, NULL))
        return false;
    fixed = c->reply + c->at;
    if (!skip(c, 10))
        return false;
    type = u16_at(fixed);
    class = u16_at(fixed + 2);
    ttl_s = u32_at(fixed + 4) & INT32_MAX; /* RFC 2181 8 */
    length = u16_at(fixed + 8);
    if (length > c->n - c->at)
        return false;
    if (class == CLASS_IN && (type == TYPE_SRV || type == TYPE_CNAME) && ttl_s < out->ttl_s)
        out->ttl_s = ttl_s;
    if (class == CLASS_IN && type == TYPE_SRV) {
        if (!read_srv(c, length, &srv))
            return false;
        if (out->count == SRV_RECORDS_MAX)
            out->whole = false;
        else
            out->record[out->count++] = srv;
    }
    return skip(c, length);
}

bool srv_read(struct srv_list *out, const uint8_t *reply, size_t n)
{
    struct cursor c = {reply, n, HEADER_SIZE};
    unsigned questions, answers;

    out->count = 0;
    out->whole = true;
    out->ttl_s = UINT32_MAX;
    if (n < HEADER_SIZE || n > UINT16_MAX)
        return false;
    questions = u16_at(reply + 4);
    answers = u16_at(reply + 6);
    for (unsigned i = 0; i < questions; i++)
        if (!read_name(&c, NULL) || !skip(&c, 4))
            return false;
    for (unsigned i = 0; i < answers; i++)
        if (!read_record(&c, out))
            return false;
    return true;
}

static void swap(struct srv *a, struct srv *b)
{
    struct srv kept = *a;

    *a = *b;
    *b = kept;
}

/* Which of `count` records of one priority comes first: those of weight 0 rarely. */
static unsigned choose(const struct srv *record, unsigned count,
                       uint32_t (*below)(void *self, uint32_t n), void *self)
{
    uint32_t total = 0, at;

    for (unsigned i = 0; i < count; i++)
        total += record[i].weight;
    if (total == 0)
        return below(self, count);
    at = below(self, total) + 1;
    for (unsigned i = 0; i < count; i++) {
        if (at <= record[i].weight)
            return i;
        at -= record[i].weight;
    }
    return 0;
}

void srv_order(struct srv_list *list, uint32_t (*below)(void *self, uint32_t n), void *self)
{
    struct srv *r = list->record;

    for (unsigned i = 1; i < list->count; i++)
        for (unsigned j = i; j && r[j].priority < r[j - 1].priority; j--)
            swap(&r[j], &r[j - 1]);
    for (unsigned i = 0; i < list->count; i++) {
        unsigned same = 1;

        while (i + same < list->count && r[i + same].priority == r[i].priority)
            same++;
        swap(&r[i], &r[i + choose(r + i, same, below, self)]);
    }
}

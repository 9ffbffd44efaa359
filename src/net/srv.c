/*
 * net/srv: see srv.h.
 *
 * Called by resolver.c on the core thread with bytes from the network. Keeps nothing.
 */
#include "net/srv.h"

/* The data of one SRV record (RFC 2782). */
static bool read_srv(const struct dns_reply *r, struct dns_record *data, struct srv *out)
{
    return dns_take_u16(r, data, &out->priority) && dns_take_u16(r, data, &out->weight) &&
           dns_take_u16(r, data, &out->port) && dns_take_name(r, data, out->target) &&
           data->at == data->end;
}

bool srv_read(struct srv_list *out, const uint8_t *reply, size_t n)
{
    struct dns_record record;
    struct dns_reply r;
    enum dns_next next;
    struct srv srv;

    out->count = 0;
    out->whole = true;
    out->ttl_s = UINT32_MAX;
    if (!dns_reply_begin(&r, reply, n))
        return false;
    while ((next = dns_reply_next(&r, &record)) == DNS_RECORD) {
        dns_note_ttl(&record, DNS_TYPE_SRV, &out->ttl_s);
        if (record.class != DNS_CLASS_IN || record.type != DNS_TYPE_SRV)
            continue;
        if (!read_srv(&r, &record, &srv))
            return false;
        if (out->count == SRV_RECORDS_MAX)
            out->whole = false;
        else
            out->record[out->count++] = srv;
    }
    return next == DNS_END;
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

/*
 * net/naptr: see naptr.h.
 *
 * Called by resolver.c on the core thread with bytes from the network. Keeps nothing.
 */
#include "net/naptr.h"

#include "base/span.h"

/* RFC 3263 4.1: "s": the next question is for SRV records; there is nothing to rewrite. */
static bool leads_to_udp(struct span flags, struct span service, struct span regexp)
{
    return span_ieq(flags, SPAN("s")) && span_ieq(service, SPAN("SIP+D2U")) && regexp.n == 0;
}

static bool take_span(const struct dns_reply *r, struct dns_record *data, struct span *out)
{
    const char *text;
    size_t n;

    if (!dns_take_text(r, data, &text, &n))
        return false;
    *out = span_make(text, n);
    return true;
}

/* Its place among the others, by order and preference; without room the last goes. */
static void add(struct naptr_list *out, const struct naptr *one)
{
    unsigned at = out->count;

    while (at && (one->order < out->record[at - 1].order ||
                  (one->order == out->record[at - 1].order &&
                   one->preference < out->record[at - 1].preference)))
        at--;
    if (at == NAPTR_RECORDS_MAX)
        return;
    if (out->count < NAPTR_RECORDS_MAX)
        out->count++;
    for (unsigned i = out->count - 1; i > at; i--)
        out->record[i] = out->record[i - 1];
    out->record[at] = *one;
}

static bool read_record(const struct dns_reply *r, struct dns_record *data, struct naptr_list *out)
{
    struct span flags, service, regexp;
    struct naptr one;

    if (!dns_take_u16(r, data, &one.order) || !dns_take_u16(r, data, &one.preference) ||
        !take_span(r, data, &flags) || !take_span(r, data, &service) ||
        !take_span(r, data, &regexp) || !dns_take_name(r, data, one.replacement) ||
        data->at != data->end)
        return false;
    if (leads_to_udp(flags, service, regexp) && one.replacement[0])
        add(out, &one);
    return true;
}

/* RFC 3403 4.1: what has a greater order than one that fits is not looked at. */
static void keep_least_order(struct naptr_list *out)
{
    unsigned kept = 0;

    while (kept < out->count && out->record[kept].order == out->record[0].order)
        kept++;
    out->count = kept;
}

bool naptr_read(struct naptr_list *out, const uint8_t *reply, size_t n)
{
    struct dns_record record;
    struct dns_reply r;
    enum dns_next next;

    out->count = 0;
    out->ttl_s = UINT32_MAX;
    if (!dns_reply_begin(&r, reply, n))
        return false;
    while ((next = dns_reply_next(&r, &record)) == DNS_RECORD) {
        dns_note_ttl(&record, DNS_TYPE_NAPTR, &out->ttl_s);
        if (record.class == DNS_CLASS_IN && record.type == DNS_TYPE_NAPTR &&
            !read_record(&r, &record, out))
            return false;
    }
    keep_least_order(out);
    return next == DNS_END;
}

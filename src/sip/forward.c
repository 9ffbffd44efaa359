/*
 * sip/forward: requests sent on and responses passed back. RFC 3261 16.6, 16.7.
 *
 * Called by the proxy and the registrar on the core thread. Fields that nobody
 * asked to change are copied as whole lines, byte for byte and in their order.
 * Never allocates, never edits what was received.
 */
#include "sip/build.h"
#include "sip/scan.h"

static bool is_removed(const struct sip_header *h, const struct sip_forward *how)
{
    if (how->remove & SIP_SET(h->id) && h->id != SIP_H_OTHER)
        return true;
    for (size_t i = 0; i < how->remove_name_count; i++)
        if (sip_name_matches(h->name, how->remove_names[i]))
            return true;
    return false;
}

/* A field without its first `*pop` values; *pop counts down. Nothing is written
 * where none is left. */
static void put_field_without(struct buf *out, const struct sip_header *h, int *pop)
{
    struct span rest = h->value;
    struct span value;
    bool popped = false;

    while (*pop > 0 && list_split(&rest, &value) > 0) {
        --*pop;
        popped = true;
    }
    if (!popped) {
        buf_span(out, h->line);
        return;
    }
    rest = span_trim(rest);
    if (rest.n == 0)
        return;
    buf_span(out, h->name);
    buf_lit(out, ": ");
    buf_span(out, rest);
    buf_lit(out, "\r\n");
}

static void put_max_forwards(struct buf *out, uint32_t hops)
{
    buf_lit(out, "Max-Forwards: ");
    buf_u64(out, hops);
    buf_lit(out, "\r\n");
}

/* A message without Content-Length gets one: the next hop may be a stream. */
static void put_body(struct buf *out, bool has_length, struct span extra, struct span body)
{
    buf_span(out, extra);
    if (!has_length) {
        sip_put_end(out, body);
        return;
    }
    buf_lit(out, "\r\n");
    buf_span(out, body);
}

static void put_request_field(struct buf *out, const struct sip_message *request,
                              const struct sip_header *h, const struct sip_forward *how, int *pop)
{
    switch (h->id) {
    case SIP_H_VIA:
        if (how->source && h == sip_first(request, SIP_H_VIA))
            put_received_via(out, request, how->source);
        else
            buf_span(out, h->line);
        break;
    case SIP_H_MAX_FORWARDS:
        put_max_forwards(out, how->max_forwards);
        break;
    case SIP_H_ROUTE:
        if (!how->drop_routes)
            put_field_without(out, h, pop);
        break;
    default:
        buf_span(out, h->line);
    }
}

void sip_forward_request(struct buf *out, const struct sip_message *request,
                         const struct sip_forward *how)
{
    bool has_length = false;
    int pop = how->pop_routes;

    buf_span(out, request->method_name);
    buf_char(out, ' ');
    buf_span(out, how->ruri.n ? how->ruri : request->ruri);
    buf_lit(out, " SIP/2.0\r\n");
    sip_put_field(out, "Via", how->via);
    buf_span(out, how->record_routes);
    buf_span(out, how->routes);
    if (!sip_has(request, SIP_H_MAX_FORWARDS)) /* RFC 3261 16.6 step 3 */
        put_max_forwards(out, how->max_forwards);
    for (size_t i = 0; i < request->header_count; i++) {
        const struct sip_header *h = &request->header[i];

        if (is_removed(h, how))
            continue;
        has_length |= h->id == SIP_H_CONTENT_LENGTH;
        put_request_field(out, request, h, how, &pop);
    }
    put_body(out, has_length, how->extra, request->body);
}

void sip_forward_response(struct buf *out, const struct sip_message *response)
{
    int pop = 1;

    buf_lit(out, "SIP/2.0 ");
    buf_u64(out, (uint64_t)response->status);
    buf_char(out, ' ');
    buf_span(out, response->reason);
    buf_lit(out, "\r\n");
    for (size_t i = 0; i < response->header_count; i++) {
        const struct sip_header *h = &response->header[i];

        if (h->id == SIP_H_VIA)
            put_field_without(out, h, &pop);
        else
            buf_span(out, h->line);
    }
    put_body(out, sip_has(response, SIP_H_CONTENT_LENGTH), SPAN_NONE, response->body);
}

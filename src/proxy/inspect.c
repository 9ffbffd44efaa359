/*
 * proxy/inspect: see inspect.h.
 *
 * Called by proxy.c for each request, before anything is decided. Pure: answers
 * nothing itself, keeps nothing.
 */
#include "proxy/inspect.h"

#define MAX_FORWARDS_DEFAULT 70 /* RFC 3261 16.6 step 3 */

static bool bad(struct sip_fault *fault, int status, const char *reason)
{
    *fault = (struct sip_fault){status, reason, 0};
    return false;
}

bool inspect_request(const struct sip_message *m, struct inspected *out, struct sip_fault *fault)
{
    memset(out, 0, sizeof *out);
    out->m = m;
    if (!sip_uri_parse(m->ruri, &out->ruri, fault))
        return false;
    /* RFC 3261 16.3 step 2. tel: URIs are for the upstream to understand. */
    if (out->ruri.scheme == SIP_SCHEME_OTHER)
        return bad(fault, 416, NULL);
    if (!sip_nameaddr_parse(sip_value(m, SIP_H_FROM), &out->from, fault) ||
        !sip_nameaddr_parse(sip_value(m, SIP_H_TO), &out->to, fault) ||
        !sip_cseq_parse(sip_value(m, SIP_H_CSEQ), &out->cseq, fault))
        return false;
    out->from_tag = sip_tag(&out->from);
    out->to_tag = sip_tag(&out->to);
    out->max_forwards = MAX_FORWARDS_DEFAULT + 1;
    if (sip_has(m, SIP_H_MAX_FORWARDS) &&
        !span_u32(sip_value(m, SIP_H_MAX_FORWARDS), &out->max_forwards))
        return bad(fault, 400, "Bad Max-Forwards");
    return true;
}

bool inspect_put_unsupported(struct buf *out, const struct sip_message *m, enum sip_header_id id)
{
    const char *before = "Unsupported: ";
    struct sip_list list;
    struct span value;

    sip_list_init(&list, m, id);
    while (sip_list_next(&list, &value)) {
        buf_str(out, before);
        buf_span(out, value);
        before = ", ";
    }
    if (before[0] == 'U')
        return false;
    buf_lit(out, "\r\n");
    return true;
}

/*
 * proxy/loop: see loop.h.
 *
 * Called by proxy.c once per request, on the core thread. Keeps nothing: the
 * state is in the request's own Vias.
 */
#include "proxy/loop.h"

#include "transaction/client.h"

static uint64_t mix(const struct hasher *h, uint64_t so_far, struct span more)
{
    return hash64_pair(h, span_make((const char *)&so_far, sizeof so_far), more);
}

uint32_t loop_hash(const struct hasher *h, const struct inspected *r, bool from_upstream)
{
    /* RFC 5393 4.2.2; the topmost Via is not among them, it differs each time. */
    uint64_t sum = mix(h, from_upstream, r->m->ruri);
    const struct sip_header *route = sip_first(r->m, SIP_H_ROUTE);

    sum = mix(h, sum, sip_value(r->m, SIP_H_CALL_ID));
    sum = mix(h, sum, sip_value(r->m, SIP_H_CSEQ));
    sum = mix(h, sum, r->from_tag);
    sum = mix(h, sum, r->to_tag);
    for (; route; route = sip_next(r->m, route))
        sum = mix(h, sum, route->value);
    sum = mix(h, sum, sip_value(r->m, SIP_H_PROXY_REQUIRE));
    sum = mix(h, sum, sip_value(r->m, SIP_H_PROXY_AUTHORIZATION));
    return (uint32_t)sum ? (uint32_t)sum : 1;
}

bool loop_detected(const struct sip_message *m, uint32_t hash)
{
    struct sip_list list;
    struct span value;

    sip_list_init(&list, m, SIP_H_VIA);
    while (sip_list_next(&list, &value)) {
        struct sip_fault fault;
        struct sip_via via;
        uint32_t seen;

        if (sip_via_parse(value, &via, &fault) && client_branch_loop(via.branch, &seen) &&
            seen == hash)
            return true;
    }
    return false;
}

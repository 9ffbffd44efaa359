/*
 * transaction/stateless: answers without a transaction, and where answers go.
 *
 * Called by the core, the registrar and the proxy, and by server.c, on the core
 * thread. Keeps nothing: a retransmission of the request gets the same answer
 * because all that is in it comes from the request (RFC 3261 8.2.7).
 */
#include "sip/build.h"
#include "transaction/server.h"

bool server_reply_flow(const struct sip_message *request, const struct flow *from, struct flow *out)
{
    struct sip_via via;
    struct sip_fault fault;

    *out = *from;
    /* A Via that is bad behind its sent-by still tells where the 400 goes. */
    if (!sip_via_top(request, &via, &fault) && via.host.n == 0)
        return false;
    if (from->transport == TRANSPORT_UDP)
        sip_via_reply_address(&via, &from->peer, &out->peer);
    return true;
}

struct span server_stateless_tag(struct runtime *rt, const struct sip_message *request,
                                 char room[16])
{
    const struct span pieces[] = {sip_value(request, SIP_H_CALL_ID), sip_value(request, SIP_H_FROM),
                                  sip_value(request, SIP_H_CSEQ)};
    uint64_t hash = hash64_join(&rt->hasher, pieces, 3);
    struct buf out = buf_make(room, 15);

    base32_put(&out, &hash, sizeof hash);
    room[out.n] = 0;
    return buf_done(&out);
}

void server_reject(struct runtime *rt, const struct sip_message *request, const struct flow *from,
                   int status, const char *reason, struct span fields)
{
    char room[16];
    struct flow to;
    struct buf out;
    char *datagram;
    size_t cap;

    /* RFC 3261 17: an ACK is never answered. */
    if (request->method == SIP_ACK || !sip_answerable(request) ||
        !server_reply_flow(request, from, &to))
        return;
    datagram = rt->ports->datagram_reserve(rt->ports->world, &cap);
    out = buf_make(datagram, cap);
    sip_reply_begin(&out, request, status, reason,
                    status == 100 ? SPAN_NONE : server_stateless_tag(rt, request, room),
                    &from->peer);
    buf_span(&out, fields);
    sip_put_end(&out, SPAN_NONE);
    if (!out.overflow)
        rt->ports->datagram_commit(rt->ports->world, &to, out.n);
}

/*
 * proxy/relay: see relay.h.
 *
 * Called by dialog.c on the core thread. Keeps nothing, answers nothing.
 */
#include "proxy/relay.h"

#include "sip/build.h"

#define RELAY_VIA_MAX 256

/*
 * Our Via without a transaction. The branch is a hash of the received one, so
 * that a copy of the same ACK carries the same branch (RFC 3261 16.11).
 */
static void put_via(struct buf *out, const struct proxy *p, const struct sip_message *ack,
                    const struct flow *to)
{
    uint64_t hash =
        hash64_pair(&p->rt->hasher, sip_value(ack, SIP_H_VIA), sip_value(ack, SIP_H_CALL_ID));
    struct address us;

    p->rt->ports->local_address(p->rt->ports->world, to, &us);
    buf_lit(out, "SIP/2.0/");
    buf_str(out, transport_via_name((enum transport)to->transport));
    buf_char(out, ' ');
    address_put(out, &us);
    buf_lit(out, ";branch=z9hG4bKa");
    base32_put(out, &hash, sizeof hash);
}

/* False: it does not fit. */
static bool build(struct proxy *p, const struct sip_message *ack, const struct flow *from,
                  const struct fork_order *order, const struct flow *to, struct buf *out)
{
    struct buf fields = buf_make(p->fields, DATAGRAM_MAX);
    char room[RELAY_VIA_MAX];
    struct buf via = buf_make(room, sizeof room);
    struct routes_leaving leaving;
    struct sip_forward how = {.max_forwards = order->max_forwards, .source = &from->peer};

    *out = buf_make(p->message, DATAGRAM_MAX);
    put_via(&via, p, ack, to);
    if (!routes_leave(&order->routes, ack, &fields, &leaving))
        return false;
    how.via = buf_done(&via);
    how.ruri = leaving.ruri;
    how.routes = leaving.lines;
    how.drop_routes = leaving.drop;
    how.pop_routes = leaving.pop;
    sip_forward_request(out, ack, &how);
    return !via.overflow && !out->overflow;
}

void relay_ack(struct proxy *p, const struct sip_message *ack, const struct flow *from,
               const struct fork_order *order, const struct flow *to)
{
    struct flow flow = *to;
    struct buf out;

    if (!build(p, ack, from, order, &flow, &out))
        return;
    if (!order->to_phones) { /* RFC 3261 18.1.1, as in branch.c */
        upstream_route(&p->upstreams->list[order->token.upstream], out.n, &flow);
        if (!flow_equal(&flow, to) && !build(p, ack, from, order, &flow, &out))
            return;
    }
    ports_send(p->rt->ports, &flow, buf_done(&out));
}

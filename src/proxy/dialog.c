/*
 * proxy/dialog: requests within a dialog, which go where their flow token says.
 *
 * Called by proxy.c on the core thread. Knows no dialogs: all that is needed is
 * in the token, which only we can have made, for this Call-ID alone. The
 * direction is given by the sender. Design section 4.
 */
#include "proxy/dispatch.h"
#include "proxy/fork.h"
#include "proxy/reach.h"
#include "proxy/relay.h"

/*
 * Where the phone is now: where its binding is, which may have moved (WiFi to
 * LTE keeps the call). A binding that left takes nothing from a dialog whose
 * flow this midreg has seen itself; from before a restart nothing is left.
 * Without a binding (a caller that never registered) the flow is all there is,
 * and an address outlives a restart, a connection does not.
 */
static bool find_phone(const struct proxy *p, const struct sip_uri *contact,
                       struct flow_token *token)
{
    const struct aor *a = token->binding_id ? location_find(p->location, token->aor_hash) : NULL;
    const struct binding *known = a ? location_binding(a, token->binding_id) : NULL;
    const struct binding *b =
        a ? reach_again(p, a, token->binding_id, contact, &token->flow) : NULL;

    if (b) {
        token->binding_id = b->id;
        return true;
    }
    if (known && binding_live(known, p->rt->now_ms))
        return false; /* it has lost its connection and has not come back yet */
    if (token->boot_id != p->rt->boot_id &&
        (token->binding_id || transport_is_stream(token->flow.transport)))
        return false;
    return token->flow.listener < p->config->listen_count && flow_alive(p->rt->ports, &token->flow);
}

/* The main registrar that the call is with; if that one is not in the configuration any
 * more, who serves the AOR now. */
static struct upstream *upstream_of(const struct proxy *p, const struct flow_token *token)
{
    const struct aor *a;

    if (token->upstream < p->upstreams->count)
        return &p->upstreams->list[token->upstream];
    a = location_find(p->location, token->aor_hash);
    return upstreams_of(p->upstreams, a ? aor_text(a) : SPAN_NONE, token->aor_hash);
}

/* The next hop, and the token as it is from here on. */
static bool find_next_hop(const struct proxy *p, const struct arrival *a, struct fork_order *order,
                          struct flow *to)
{
    struct flow_token *token = &order->token;

    order->to_phones = a->sender != NULL;
    if (order->to_phones) {
        token->upstream = (uint8_t)(a->sender - p->upstreams->list);
        if (!find_phone(p, &a->request.ruri, token))
            return false;
        *to = token->flow;
    } else {
        struct upstream *u = upstream_of(p, token);

        if (!u || !upstream_is_placed(u))
            return false;
        token->upstream = (uint8_t)(u - p->upstreams->list);
        token->flow = *a->from;
        *to = u->flow;
        name_target(u, &a->request.ruri, &to->peer);
    }
    return true;
}

void dialog_receive(struct proxy *p, const struct arrival *a)
{
    const struct inspected *r = &a->request;
    struct fork_order order = {.loop_hash = a->loop_hash, .max_forwards = r->max_forwards - 1};
    struct sip_fault fault;
    struct flow to;

    if (!routes_read(p, r, a->from, &order.routes, &fault)) {
        dispatch_refuse(p, a, fault.status, fault.reason);
        return;
    }
    if (order.routes.found == ROUTES_FORGED) {
        runtime_count(p->rt, COUNTER_REQUEST_REFUSED);
        dispatch_refuse(p, a, 403, "Flow token is not good here");
        return;
    }
    if (order.routes.found != ROUTES_TOKEN) { /* no dialog that went through us */
        dispatch_refuse(p, a, 481, NULL);
        return;
    }
    order.token = order.routes.token;
    if (!find_next_hop(p, a, &order, &to))
        dispatch_refuse(p, a, 430, "Flow Failed"); /* RFC 5626 11.5 */
    else if (r->m->method == SIP_ACK)
        relay_ack(p, r->m, a->from, &order, &to);
    else
        fork_to_flow(p, r->m, a->from, &order, &to);
}

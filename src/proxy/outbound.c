/*
 * proxy/outbound: calls and other requests of phones: up, or refused.
 *
 * Called by proxy.c on the core thread. The next hop is always the upstream of
 * the caller's AOR, whatever Route and Request-URI say. Design section 4.
 */
#include "proxy/dispatch.h"
#include "proxy/fork.h"
#include "proxy/policy.h"

void outbound_receive(struct proxy *p, const struct arrival *a)
{
    const struct inspected *r = &a->request;
    struct policy_pass pass;
    int refused = policy_phone_request(p, r, a->from, &pass);
    struct fork_order order = {
        .drop_routes = true,
        .movable = true,
        .loop_hash = a->loop_hash,
        .max_forwards = r->max_forwards - 1,
    };

    if (refused) {
        runtime_count(p->rt, COUNTER_REQUEST_REFUSED);
        dispatch_refuse(p, a, refused, NULL);
        return;
    }
    if (r->m->method == SIP_INVITE)
        runtime_count(p->rt, COUNTER_CALLS_OUT);
    order.token.aor_hash = pass.aor_hash;
    order.token.binding_id = pass.binding_id;
    order.token.flow = *a->from;
    order.token.upstream = (uint8_t)(pass.upstream - p->upstreams->list);
    fork_to_flow(p, r->m, a->from, &order, &pass.upstream->flow);
}

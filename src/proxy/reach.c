/*
 * proxy/reach: see reach.h.
 *
 * Called by branch.c and dialog.c each time something is to be sent, on the core
 * thread. Reads the location table; keeps nothing, opens nothing.
 */
#include "proxy/reach.h"

bool reach_binding(const struct proxy *p, const struct binding *b, struct flow *out)
{
    if (!binding_live(b, p->rt->now_ms))
        return false;
    *out = b->flow;
    return !(b->flags & BINDING_UNREACHABLE) && out->listener < p->config->listen_count &&
           flow_alive(p->rt->ports, out);
}

static bool same_contact(const struct binding *b, const struct sip_uri *contact)
{
    struct sip_fault fault;
    struct sip_uri uri;

    return sip_uri_parse(binding_uri(b), &uri, &fault) && sip_uri_equal(&uri, contact);
}

const struct binding *reach_again(const struct proxy *p, const struct aor *a, uint32_t id,
                                  const struct sip_uri *contact, struct flow *out)
{
    const struct binding *old = location_binding(a, id);
    const struct binding *best = NULL;
    struct flow flow;

    if (old && reach_binding(p, old, out))
        return old;
    for (const struct binding *b = aor_first(a); b; b = aor_next(a, b)) {
        bool same =
            (old && span_eq(binding_call_id(old), binding_call_id(b))) || same_contact(b, contact);

        /* The place that it proved last is where it is now. */
        if (!same || !reach_binding(p, b, &flow) || (best && best->proved_ms > b->proved_ms))
            continue;
        best = b;
        *out = flow;
    }
    return best;
}

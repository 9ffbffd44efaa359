/*
 * proxy/reach: see reach.h.
 *
 * Called by branch.c and dialog.c each time something is to be sent, on the core
 * thread. Reads the location table; keeps nothing, opens nothing.
 */
#include "proxy/reach.h"

#include "upstream/own.h"

/* ---- Path ------------------------------------------------------------------------ */

/* The first URI of a Path "<uri>, <uri>"; *rest is all behind its value. */
static bool path_first(const struct binding *b, struct sip_uri *uri, struct span *rest)
{
    struct span path = binding_path(b);
    const char *end = path.n ? memchr(path.p, '>', path.n) : NULL;
    const char *comma = end ? memchr(end, ',', (size_t)(path.p + path.n - end)) : NULL;
    struct sip_fault fault;

    *rest = comma ? span_trim(span_between(comma + 1, path.p + path.n)) : SPAN_NONE;
    return end && sip_uri_parse(span_between(path.p + 1, end), uri, &fault);
}

/* The edge proxy's address, where the URI says one that a datagram reaches. A name
 * is not resolved: who registered through it left us its flow. */
static bool path_address(const struct sip_uri *uri, struct address *out)
{
    struct span value;

    if (uri->scheme != SIP_SCHEME_SIP || sip_uri_param(uri, SPAN("maddr"), &value) ||
        (sip_uri_param(uri, SPAN("transport"), &value) && !span_ieq(value, SPAN("udp"))))
        return false;
    if (!sip_host_address(uri->host, out))
        return false;
    out->port = uri->port ? (uint16_t)uri->port : SIP_PORT;
    return true;
}

/* Would it lead to a main registrar? Its host is an edge proxy's as well only if
 * REGISTERs come from there. */
static bool is_upstreams(const struct proxy *p, const struct binding *b, const struct address *a)
{
    for (unsigned i = 0; i < p->upstreams->count; i++) {
        const struct upstream *u = &p->upstreams->list[i];

        if (address_equal(&u->flow.peer, a) || name_holds(u, a) ||
            (name_hosts(u, a) && !address_same_host(&b->flow.peer, a)))
            return true;
    }
    return false;
}

/* The socket for datagrams to that address: the REGISTER's, if it can. */
static bool find_listener(const struct proxy *p, const struct binding *b, struct flow *out)
{
    const struct config_listener *listen = p->config->listen;
    bool same = b->flow.transport == TRANSPORT_UDP && b->flow.peer.family == out->peer.family;

    out->listener = b->flow.listener;
    if (same && out->listener < p->config->listen_count)
        return true;
    for (unsigned i = 0; i < p->config->listen_count; i++)
        if (listen[i].transport == TRANSPORT_UDP && listen[i].address.family == out->peer.family) {
            out->listener = (uint8_t)i;
            return true;
        }
    return false;
}

static bool path_flow(const struct proxy *p, const struct binding *b, struct flow *out)
{
    struct sip_uri uri;
    struct span rest;

    *out = (struct flow){.transport = TRANSPORT_UDP};
    return path_first(b, &uri, &rest) && path_address(&uri, &out->peer) &&
           !own_address(p->upstreams, &b->flow, &uri) && !is_upstreams(p, b, &out->peer) &&
           find_listener(p, b, out);
}

/* The binding's URI as it stands in a Request-URI: most as they are registered. */
static struct span target_of(const struct binding *b, struct buf *room)
{
    size_t start = room->n;
    struct sip_uri uri;
    struct sip_fault fault;
    struct span value;

    if (!sip_uri_parse(binding_uri(b), &uri, &fault) ||
        (uri.headers.n == 0 && !sip_uri_param(&uri, SPAN("method"), &value)))
        return binding_uri(b);
    sip_put_request_uri(room, &uri);
    return span_make(room->p + start, room->n - start);
}

bool reach_address(const struct binding *b, struct buf *fields, struct span *ruri,
                   struct span *lines)
{
    struct span target = target_of(b, fields);
    size_t start = fields->n;
    struct sip_uri first;
    struct span value;
    struct span rest;

    *ruri = target;
    *lines = SPAN_NONE;
    if (fields->overflow)
        return false;
    if (!path_first(b, &first, &rest))
        return true;
    if (sip_uri_param(&first, SPAN("lr"), &value)) {
        rest = binding_path(b);
    } else { /* RFC 3261 16.6 step 6: as a strict router wants it */
        *ruri = first.text;
    }
    if (rest.n) {
        buf_lit(fields, "Route: ");
        buf_span(fields, rest);
        buf_lit(fields, "\r\n");
    }
    if (!span_eq(*ruri, target)) {
        buf_lit(fields, "Route: <");
        buf_span(fields, target);
        buf_lit(fields, ">\r\n");
    }
    *lines = span_make(fields->p + start, fields->n - start);
    return !fields->overflow;
}

/* ---- the binding ------------------------------------------------------------------ */

bool reach_binding(const struct proxy *p, const struct binding *b, struct flow *out)
{
    if (!binding_live(b, p->rt->now_ms))
        return false;
    if (path_flow(p, b, out))
        return true;
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

    if (old && reach_binding(p, old, &flow)) {
        *out = flow;
        return old;
    }
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

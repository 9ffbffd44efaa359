/*
 * proxy/routes: see routes.h.
 *
 * Called by inbound.c, dialog.c and branch.c on the core thread. Keeps nothing,
 * looks no name up.
 */
#include "proxy/routes.h"

#include "upstream/own.h"

/* ---- reading --------------------------------------------------------------- */

static enum token_verdict read_token(const struct proxy *p, const struct sip_message *m,
                                     const struct sip_uri *uri, struct flow_token *out)
{
    if (!uri->has_user)
        return TOKEN_NONE;
    return token_read(&p->rt->hasher, sip_value(m, SIP_H_CALL_ID), uri->user, out);
}

/* One Route value: is it ours, and with what right? */
static enum routes_found judge(const struct proxy *p, const struct sip_message *m,
                               const struct flow *from, const struct sip_uri *uri,
                               struct flow_token *token)
{
    bool ours = own_address(p->upstreams, from, uri) ||
                (!uri->has_user && p->config->domain_count && config_serves(p->config, uri->host));

    switch (read_token(p, m, uri, token)) {
    case TOKEN_GOOD: /* whatever host and port stand around it */
        return ROUTES_TOKEN;
    case TOKEN_FORGED:
        return ROUTES_FORGED;
    case TOKEN_NONE:
        break;
    }
    if (!ours)
        return ROUTES_NOT_OURS;
    return uri->has_user ? ROUTES_FORGED : ROUTES_PLAIN;
}

/*
 * Takes one value into account. True: look at the next one as well. Behind a
 * token only a second one of the same leg is ours to pop: another leg is another
 * pass of the same dialog through us.
 */
static bool take(const struct proxy *p, const struct sip_message *m, const struct flow *from,
                 const struct sip_uri *uri, struct routes *out)
{
    struct flow_token token;
    enum routes_found found = judge(p, m, from, uri, &token);

    if (out->found == ROUTES_TOKEN) {
        if (found == ROUTES_TOKEN && token.leg_id == out->token.leg_id)
            out->pop++;
        return false;
    }
    if (found == ROUTES_NOT_OURS)
        return false;
    out->found = found;
    if (found == ROUTES_FORGED)
        return false;
    if (found == ROUTES_TOKEN)
        out->token = token;
    out->pop++;
    return true;
}

bool routes_read(const struct proxy *p, const struct inspected *r, const struct flow *from,
                 struct routes *out, struct sip_fault *fault)
{
    struct sip_nameaddr route;
    struct sip_list list;
    struct span value;

    memset(out, 0, sizeof *out);
    /* RFC 3261 16.4: our own value as the Request-URI is a strict router's doing. */
    if (sip_has(r->m, SIP_H_ROUTE) && read_token(p, r->m, &r->ruri, &out->token) == TOKEN_GOOD) {
        out->strict = true;
        out->found = ROUTES_TOKEN;
    }
    sip_list_init(&list, r->m, SIP_H_ROUTE);
    for (bool more = true; sip_list_next(&list, &value);) {
        if (!sip_nameaddr_parse(value, &route, fault))
            return false;
        more = more && take(p, r->m, from, &route.uri, out);
    }
    if (list.bad)
        *fault = (struct sip_fault){400, "Bad Route", 0};
    return !list.bad;
}

/* ---- sending on ------------------------------------------------------------ */

/* All Route values that are left. */
struct remaining {
    int count;            /* of all values, popped ones included */
    struct sip_uri first; /* of those left */
    struct sip_uri last;  /* of all */
    bool first_is_strict; /* it has no lr */
};

static bool survey(const struct routes *routes, const struct sip_message *m, struct remaining *out)
{
    struct sip_fault fault;
    struct sip_list list;
    struct span value;
    struct span lr;

    memset(out, 0, sizeof *out);
    sip_list_init(&list, m, SIP_H_ROUTE);
    for (; sip_list_next(&list, &value); out->count++) {
        struct sip_nameaddr route;

        if (!sip_nameaddr_parse(value, &route, &fault))
            return false;
        if (out->count == routes->pop) {
            out->first = route.uri;
            out->first_is_strict = !sip_uri_param(&route.uri, SPAN("lr"), &lr);
        }
        out->last = route.uri;
    }
    return !list.bad;
}

/* Writes Route values `from` up to `end`, and `final` if it is not empty. */
static struct span put_routes(struct buf *out, const struct sip_message *m, int from, int end,
                              struct span final)
{
    size_t start = out->n;
    struct sip_list list;
    struct span value;

    sip_list_init(&list, m, SIP_H_ROUTE);
    for (int i = 0; i < end && sip_list_next(&list, &value); i++) {
        if (i < from)
            continue;
        buf_lit(out, "Route: ");
        buf_span(out, value);
        buf_lit(out, "\r\n");
    }
    if (final.n) {
        buf_lit(out, "Route: <");
        buf_span(out, final);
        buf_lit(out, ">\r\n");
    }
    return span_make(out->p + start, out->n - start);
}

bool routes_leave(const struct routes *routes, const struct sip_message *m, struct buf *fields,
                  struct routes_leaving *out)
{
    struct remaining rest;
    struct span target = m->ruri;
    int from = routes->pop;
    int end;

    *out = (struct routes_leaving){.pop = routes->pop};
    if (!survey(routes, m, &rest))
        return false;
    end = rest.count;
    if (routes->strict) { /* 16.4: the last value is the Request-URI */
        target = rest.last.text;
        end--;
    }
    if (from < end && rest.first_is_strict) { /* 16.6 step 6: as strict routers want it */
        out->ruri = rest.first.text;
        out->lines = put_routes(fields, m, from + 1, end, target);
    } else if (routes->strict) {
        out->ruri = target;
        out->lines = put_routes(fields, m, from, end, SPAN_NONE);
    } else {
        return true;
    }
    out->drop = true;
    return !fields->overflow;
}

/* ---- Record-Route ---------------------------------------------------------- */

static void put_record(struct buf *out, const struct proxy *p, struct span call_id,
                       const struct flow_token *token, const struct address *us, uint8_t transport)
{
    buf_lit(out, "Record-Route: <sip:");
    token_put(out, &p->rt->hasher, call_id, token);
    buf_char(out, '@');
    address_put(out, us);
    if (transport != TRANSPORT_UDP) {
        buf_lit(out, ";transport=");
        buf_str(out, transport_name((enum transport)transport));
    }
    buf_lit(out, ";lr>\r\n");
}

void routes_put_record(struct buf *out, const struct proxy *p, struct span call_id,
                       const struct flow_token *token, bool to_phone)
{
    const struct upstream *u = &p->upstreams->list[token->upstream];
    const struct flow *phone = &token->flow;
    struct address for_phone;
    struct address for_upstream;

    own_address_for_phone(p->upstreams, phone, &for_phone);
    own_address_for_upstream(u, &for_upstream);
    if (address_equal(&for_phone, &for_upstream) && phone->transport == u->flow.transport) {
        put_record(out, p, call_id, token, &for_phone, phone->transport);
    } else if (to_phone) { /* the side that the request goes to comes first: RFC 5658 */
        put_record(out, p, call_id, token, &for_phone, phone->transport);
        put_record(out, p, call_id, token, &for_upstream, u->flow.transport);
    } else {
        put_record(out, p, call_id, token, &for_upstream, u->flow.transport);
        put_record(out, p, call_id, token, &for_phone, phone->transport);
    }
}

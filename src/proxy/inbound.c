/*
 * proxy/inbound: calls and other requests from an upstream to an AOR of ours.
 *
 * Called by proxy.c on the core thread. Finds the AOR behind our contact and
 * hands over to fork.c; keeps nothing. Design section 4, RFC 3261 16.5.
 */
#include "proxy/dispatch.h"
#include "proxy/fork.h"
#include "upstream/contact.h"

/* Longer AORs are registered by nobody. */
#define INBOUND_AOR_MAX 2048

/* By user and domain, for upstreams that call the AOR itself. */
static const struct aor *find_by_name(const struct proxy *p, const struct sip_uri *uri)
{
    char room[INBOUND_AOR_MAX];
    struct buf text = buf_make(room, sizeof room);
    struct sip_uri named = *uri;
    const struct aor *a;

    named.host = config_domain(p->config, uri->host);
    if (!uri->has_user || !config_serves(p->config, uri->host) ||
        !sip_canonical_aor(&text, &named) || text.overflow)
        return NULL;
    a = location_find(p->location, location_hash(p->location, buf_done(&text)));
    return a && span_eq(aor_text(a), buf_done(&text)) ? a : NULL;
}

/* The AOR that a Request-URI is for. NULL: *status says why there is none. */
static const struct aor *find_called(const struct proxy *p, const struct sip_uri *uri, int *status)
{
    const struct aor *a = NULL;
    uint64_t hash;

    *status = 404;
    if (uri->scheme != SIP_SCHEME_SIP && uri->scheme != SIP_SCHEME_SIPS)
        return NULL;
    if (contact_token(uri, &hash)) {
        a = location_find(p->location, hash);
        if (a && contact_fits(uri, aor_text(a), hash))
            return a;
        if (!a) /* was one of ours: the upstream has not heard yet */
            *status = 480;
    }
    return find_by_name(p, uri);
}

void inbound_receive(struct proxy *p, const struct arrival *a)
{
    const struct inspected *r = &a->request;
    int status;
    const struct aor *called = find_called(p, &r->ruri, &status);
    struct fork_order order = {
        .to_phones = true,
        .call = true,
        .drop_routes = true,
        .loop_hash = a->loop_hash,
        .max_forwards = r->max_forwards - 1,
    };

    if (!called) {
        dispatch_refuse(p, a, status, NULL);
        return;
    }
    if (aor_live_count(called, p->rt->now_ms) == 0) {
        dispatch_refuse(p, a, 480, NULL);
        return;
    }
    if (r->m->method == SIP_OPTIONS) { /* the upstream's ping: midreg stands for the AOR */
        options_answer(p, a);
        return;
    }
    if (r->m->method == SIP_INVITE)
        runtime_count(p->rt, COUNTER_CALLS);
    if (mwi_is(r->m)) {
        order.at_once = true;
        mwi_keep(p, called->hash, r->m);
    }
    order.token.aor_hash = called->hash;
    order.token.upstream = (uint8_t)(a->sender - p->upstreams->list);
    fork_to_bindings(p, r->m, a->from, &order);
}

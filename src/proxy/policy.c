/*
 * proxy/policy: see policy.h.
 *
 * Called by outbound.c on the core thread. Reads the location table and the
 * configuration; answers nothing itself.
 */
#include "proxy/policy.h"

#include "upstream/contact.h"
#include "upstream/own.h"

/* Longer AORs are registered by nobody. */
#define POLICY_AOR_MAX 2048

static bool is_sip(const struct sip_uri *uri)
{
    return uri->scheme == SIP_SCHEME_SIP || uri->scheme == SIP_SCHEME_SIPS;
}

/*
 * Does the flow say who it is? Behind another proxy many phones share one flow
 * (design 3.2); where everybody is trusted that does not matter.
 */
static bool flow_is_one_phones(const struct proxy *p, const struct sip_message *m)
{
    struct sip_via second;

    return p->config->auth == AUTH_NONE || !sip_via_second(m, &second);
}

/* The live binding of this AOR whose proved flow is `from`, or NULL. */
static const struct binding *binding_on_flow(const struct proxy *p, const struct aor *a,
                                             const struct flow *from)
{
    for (const struct binding *b = aor_first(a); b; b = aor_next(a, b))
        if (binding_live(b, p->rt->now_ms) && (b->flags & BINDING_FLOW_PROVED) &&
            flow_equal(&b->flow, from))
            return b;
    return NULL;
}

/* Fills in the From AOR and who serves it, and the binding that proves it, if any. */
static void find_caller(const struct proxy *p, const struct inspected *r, const struct flow *from,
                        struct policy_pass *out)
{
    char room[POLICY_AOR_MAX];
    struct buf aor = buf_make(room, sizeof room);
    const struct binding *b = NULL;
    struct sip_uri named = r->from.uri;
    const struct aor *a;

    named.host = config_domain(p->config, named.host);
    if (!is_sip(&named) || !sip_canonical_aor(&aor, &named) || aor.overflow)
        return;
    out->aor_hash = location_hash(p->location, buf_done(&aor));
    out->upstream = upstreams_of(p->upstreams, buf_done(&aor), out->aor_hash);
    a = location_find(p->location, out->aor_hash);
    if (a && span_eq(aor_text(a), buf_done(&aor)) && flow_is_one_phones(p, r->m))
        b = binding_on_flow(p, a, from);
    if (b)
        out->binding_id = b->id;
}

/* Does the Request-URI lead anywhere but up? 0 or the refusal. */
static int check_target(const struct proxy *p, const struct inspected *r, const struct flow *from)
{
    const struct sip_uri *uri = &r->ruri;
    struct sip_uri maddr = *uri;
    uint64_t hash;

    if (!is_sip(uri))
        return 0;
    if (contact_token(uri, &hash)) /* our contact is the upstream's to call */
        return 403;
    if (sip_uri_param(uri, SPAN("maddr"), &maddr.host) && !own_address(p->upstreams, from, &maddr))
        return 403;
    if (own_address(p->upstreams, from, uri) && !config_serves(p->config, uri->host))
        return 404; /* it would come back to us */
    return 0;
}

/* An upstream that challenges calls is asked by anybody, about our domains and
 * its own address or name. */
static bool stranger_may(const struct proxy *p, const struct inspected *r, const struct upstream *u)
{
    struct address host;

    if (!u->config->challenges_calls || !is_sip(&r->ruri))
        return false;
    memset(&host, 0, sizeof host);
    if (u->config->host && span_ieq(r->ruri.host, span_of(u->config->host)))
        return true;
    return config_serves(p->config, r->ruri.host) ||
           (sip_host_address(r->ruri.host, &host) && name_hosts(u, &host));
}

int policy_phone_request(const struct proxy *p, const struct inspected *r, const struct flow *from,
                         struct policy_pass *out)
{
    int refused = check_target(p, r, from);

    if (refused)
        return refused;
    *out = (struct policy_pass){0, 0, upstreams_of(p->upstreams, SPAN_NONE, 0)};
    find_caller(p, r, from, out);
    if (!out->upstream || !upstream_is_placed(out->upstream))
        return 480;
    return out->binding_id || stranger_may(p, r, out->upstream) ? 0 : 403;
}

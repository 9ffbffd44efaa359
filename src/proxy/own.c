/*
 * proxy/own: see own.h.
 *
 * Called by proxy.c, policy.c and routes.c on the core thread. Asks the world for
 * local addresses; never resolves names.
 */
#include "proxy/own.h"

#define SIP_PORT  5060 /* RFC 3261 19.1.2 */
#define SIPS_PORT 5061

static bool same(const struct address *ours, const struct address *asked)
{
    return ours->family != ADDRESS_NONE && address_equal(ours, asked);
}

bool own_address(const struct proxy *p, const struct flow *from, const struct sip_uri *uri)
{
    struct address asked;
    struct address local;

    memset(&asked, 0, sizeof asked);
    if (!sip_host_address(uri->host, &asked))
        return false;
    asked.port = uri->scheme == SIP_SCHEME_SIPS ? SIPS_PORT : SIP_PORT;
    if (uri->port)
        asked.port = (uint16_t)uri->port;
    p->rt->ports->local_address(p->rt->ports->world, from, &local);
    if (same(&local, &asked))
        return true;
    own_address_for_phone(p, from, &local);
    if (same(&local, &asked))
        return true;
    for (unsigned i = 0; i < p->config->listen_count; i++)
        if (same(&p->config->listen[i].address, &asked))
            return true;
    for (unsigned i = 0; i < p->upstreams->count; i++)
        if (same(&p->upstreams->list[i].contact, &asked))
            return true;
    return false;
}

bool own_target(const struct proxy *p, const struct flow *from, const struct sip_uri *uri)
{
    if (uri->has_user || (uri->scheme != SIP_SCHEME_SIP && uri->scheme != SIP_SCHEME_SIPS))
        return false;
    return own_address(p, from, uri) || config_serves(p->config, uri->host);
}

void own_address_for_phone(const struct proxy *p, const struct flow *phone, struct address *out)
{
    p->rt->ports->local_address(p->rt->ports->world, phone, out);
    config_advertised(p->config, out);
}

void own_address_for_upstream(const struct proxy *p, const struct upstream *u, struct address *out)
{
    if (u->contact.family != ADDRESS_NONE)
        *out = u->contact;
    else
        p->rt->ports->local_address(p->rt->ports->world, &u->flow, out);
}

/*
 * upstream/own: see own.h.
 *
 * Called by the registrar and the proxy on the core thread. Asks the world for
 * local addresses; never resolves names.
 */
#include "upstream/own.h"

typedef bool same_fn(const struct address *ours, const struct address *asked);

static bool same_port_too(const struct address *ours, const struct address *asked)
{
    return address_equal(ours, asked);
}

static bool any_is(const struct upstreams *u, const struct flow *from, same_fn *same,
                   const struct address *asked)
{
    struct address local;

    u->rt->ports->local_address(u->rt->ports->world, from, &local);
    if (same(&local, asked))
        return true;
    config_advertised(u->config, &local);
    if (same(&local, asked))
        return true;
    for (unsigned i = 0; i < u->config->listen_count; i++)
        if (same(&u->config->listen[i].address, asked))
            return true;
    for (unsigned i = 0; i < u->count; i++)
        if (same(&u->list[i].contact, asked))
            return true;
    return false;
}

bool own_address(const struct upstreams *u, const struct flow *from, const struct sip_uri *uri)
{
    struct address asked;

    memset(&asked, 0, sizeof asked);
    if (!sip_host_address(uri->host, &asked))
        return false;
    asked.port = uri->scheme == SIP_SCHEME_SIPS ? SIPS_PORT : SIP_PORT;
    if (uri->port)
        asked.port = (uint16_t)uri->port;
    return any_is(u, from, same_port_too, &asked);
}

bool own_host(const struct upstreams *u, const struct flow *from, struct span host)
{
    struct address asked;

    return sip_host_address(host, &asked) && any_is(u, from, address_same_host, &asked);
}

bool own_target(const struct upstreams *u, const struct flow *from, const struct sip_uri *uri)
{
    if (uri->has_user || (uri->scheme != SIP_SCHEME_SIP && uri->scheme != SIP_SCHEME_SIPS))
        return false;
    return own_address(u, from, uri) || config_serves(u->config, uri->host);
}

void own_address_for_phone(const struct upstreams *u, const struct flow *phone, struct address *out)
{
    u->rt->ports->local_address(u->rt->ports->world, phone, out);
    config_advertised(u->config, out);
}

void own_address_for_upstream(const struct upstream *u, struct address *out)
{
    const struct ports *ports = u->all->rt->ports;

    if (u->contact.family != ADDRESS_NONE)
        *out = u->contact;
    else
        ports->local_address(ports->world, &u->flow, out);
}

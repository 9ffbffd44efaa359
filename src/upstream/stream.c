/*
 * upstream/stream: see stream.h.
 *
 * Called by the proxy when it sends something large, by the core when a
 * connection has closed and by its own OPTIONS, on the core thread. Arms no timer:
 * a new attempt waits for the next large request.
 */
#include "upstream/stream.h"

#include "upstream/probe.h"

#define STREAM_AGAIN_MS 60000u

static void stream_drop(struct upstream *u)
{
    u->stream.state = STREAM_NONE;
    u->stream.not_before_ms = u->all->rt->now_ms + STREAM_AGAIN_MS;
}

/* ---- is it of use? -------------------------------------------------------------- */

/* The upstream whose connection this transaction tries, or NULL: another one has
 * taken its place. */
static struct upstream *tried(void *self, const struct client_tx *tx)
{
    struct upstreams *all = self;
    struct upstream *u = &all->list[tx->owner];

    return u->stream.state == STREAM_TRYING && flow_equal(&u->stream.flow, &tx->flow) ? u : NULL;
}

/* Any answer will do: somebody there speaks SIP. */
static void on_response(void *self, struct client_tx *tx, const struct sip_message *response)
{
    struct upstream *u = tried(self, tx);

    if (u && response->status >= 200)
        u->stream.state = STREAM_READY;
}

static void on_timeout(void *self, struct client_tx *tx)
{
    struct upstream *u = tried(self, tx);

    if (!u)
        return;
    u->all->rt->ports->stream_close(u->all->rt->ports->world, &u->stream.flow);
    stream_drop(u);
}

static const struct client_user options_user = {.response = on_response, .timeout = on_timeout};

static void stream_try(struct upstream *u)
{
    const struct ports *ports = u->all->rt->ports;

    if (u->all->rt->now_ms < u->stream.not_before_ms)
        return;
    stream_drop(u); /* until it is known better */
    if (!ports->stream_open(ports->world, &u->flow.peer, TRANSPORT_TCP, &u->stream.flow))
        return;
    u->stream.state = STREAM_TRYING;
    if (probe_options(u, &u->stream.flow, &options_user))
        return;
    ports->stream_close(ports->world, &u->stream.flow);
    stream_drop(u);
}

/* ---- the room's side --------------------------------------------------------------- */

void upstream_route(struct upstream *u, size_t size, struct flow *out)
{
    *out = u->flow;
    if (size <= UPSTREAM_DATAGRAM_MAX)
        return;
    if (u->stream.state == STREAM_NONE)
        stream_try(u);
    else if (u->stream.state == STREAM_READY && flow_alive(u->all->rt->ports, &u->stream.flow))
        *out = u->stream.flow;
}

bool upstream_owns_stream(const struct upstream *u, const struct flow *flow)
{
    return u->stream.state != STREAM_NONE && flow_equal(&u->stream.flow, flow);
}

void upstream_drop_stream(struct upstream *u)
{
    const struct ports *ports = u->all->rt->ports;

    if (u->stream.state == STREAM_NONE)
        return;
    client_flow_closed(u->all->transactions, &u->stream.flow);
    ports->stream_close(ports->world, &u->stream.flow);
    u->stream = (struct upstream_stream){0};
}

void upstreams_flow_closed(struct upstreams *all, const struct flow *flow)
{
    for (unsigned i = 0; i < all->count; i++)
        if (upstream_owns_stream(&all->list[i], flow))
            stream_drop(&all->list[i]);
}

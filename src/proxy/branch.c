/*
 * proxy/branch: see branch.h.
 *
 * Called by fork.c alone, on the core thread. Reads the location table; never
 * answers the caller and never ends a fork.
 */
#include "proxy/branch.h"

#include "proxy/reach.h"
#include "sip/build.h"

/* Our Via value: an IPv6 address, a port, a branch. */
#define BRANCH_VIA_MAX 256

/*
 * Methods that create a dialog, or may (RFC 3261 16.6 step 4; 3265, 3515). Within
 * one they get it too: it tells a peer that lost its state where to go on.
 */
static bool method_is_recorded(enum sip_method method)
{
    return method == SIP_INVITE || method == SIP_SUBSCRIBE || method == SIP_REFER ||
           method == SIP_NOTIFY;
}

static struct span put_record(struct buf *fields, struct branch *b, const struct sip_message *m)
{
    struct fork *f = b->fork;
    struct proxy *p = f->proxy;
    struct flow_token token = f->order.token;
    size_t start = fields->n;

    token.boot_id = p->rt->boot_id;
    token.leg_id = runtime_random(p->rt, UINT32_MAX);
    if (b->binding_id) {
        token.binding_id = b->binding_id;
        token.flow = b->flow;
    }
    routes_put_record(fields, p, sip_value(m, SIP_H_CALL_ID), &token, f->order.to_phones);
    return span_make(fields->p + start, fields->n - start);
}

/* Request-URI and Route fields: the binding's (`target`), or as the Routes that
 * came say. */
static bool put_routes(const struct branch *b, const struct sip_message *m,
                       const struct binding *target, struct buf *fields, struct routes_leaving *out)
{
    const struct fork_order *order = &b->fork->order;

    *out = (struct routes_leaving){.drop = true};
    if (target)
        return reach_address(target, fields, &out->ruri, &out->lines);
    return order->drop_routes || routes_leave(&order->routes, m, fields, out);
}

/* Writes the request as this branch sends it: RFC 3261 16.6. */
static bool build(struct branch *b, const struct server_tx *server, const struct client_tx *tx,
                  const struct binding *target, struct buf *out)
{
    struct fork *f = b->fork;
    struct buf fields = buf_make(f->proxy->fields, DATAGRAM_MAX);
    char via_room[BRANCH_VIA_MAX];
    struct buf via = buf_make(via_room, sizeof via_room);
    struct routes_leaving leaving;
    struct sip_forward how = {.max_forwards = f->order.max_forwards,
                              .source = &server->source.peer};

    client_put_via(&via, tx);
    if (!put_routes(b, server->request, target, &fields, &leaving))
        return false;
    if (method_is_recorded(f->method))
        how.record_routes = put_record(&fields, b, server->request);
    how.via = buf_done(&via);
    how.ruri = leaving.ruri;
    how.routes = leaving.lines;
    how.drop_routes = leaving.drop;
    how.pop_routes = leaving.pop;
    sip_forward_request(out, server->request, &how);
    return !via.overflow && !fields.overflow && !out->overflow;
}

/* The branch's binding, and its flow at this moment. NULL: it has left, or cannot
 * be reached. */
static const struct binding *find_binding(struct branch *b)
{
    const struct proxy *p = b->fork->proxy;
    const struct aor *a = location_find(p->location, b->fork->order.token.aor_hash);
    const struct binding *binding = a ? location_binding(a, b->binding_id) : NULL;

    return binding && reach_binding(p, binding, &b->flow) ? binding : NULL;
}

/*
 * Up, a large request leaves over a connection where the upstream takes one (RFC
 * 3261 18.1.1). A phone gets it over its flow, whatever its size: most phones
 * behind NAT would take no connection of ours, and fragments do arrive.
 */
static bool find_better_flow(struct branch *b, size_t size)
{
    struct fork *f = b->fork;
    struct upstream *u = &f->proxy->upstreams->list[f->order.token.upstream];
    struct flow better;

    /* Of a name's other addresses none has a connection. */
    if (f->order.to_phones || !address_equal(&b->flow.peer, &u->flow.peer))
        return false;
    upstream_route(u, size, &better);
    if (flow_equal(&better, &b->flow))
        return false;
    b->flow = better;
    return true;
}

/* A transaction over the branch's flow, its request written into p->message. */
static enum branch_started prepare(struct branch *b, const struct server_tx *server,
                                   const struct binding *target, struct client_tx **tx,
                                   struct buf *out)
{
    struct fork *f = b->fork;
    struct proxy *p = f->proxy;

    *out = buf_make(p->message, DATAGRAM_MAX);
    *tx = client_begin(p->transactions, f->method, &b->flow, f->order.loop_hash, &fork_branch_user,
                       p, handle_pack(f->handle));
    if (!*tx)
        return BRANCH_NO_MEMORY;
    if (build(b, server, *tx, target, out))
        return BRANCH_SENT;
    client_abandon(*tx);
    return BRANCH_TOO_BIG;
}

enum branch_started branch_start(struct branch *b, const struct server_tx *server)
{
    struct fork *f = b->fork;
    struct proxy *p = f->proxy;
    const struct binding *target = b->binding_id ? find_binding(b) : NULL;
    enum branch_started started;
    struct client_tx *tx;
    struct buf out;

    b->state = BRANCH_GONE; /* until it is on its way */
    if (b->binding_id && !target)
        return BRANCH_NO_TARGET;
    started = prepare(b, server, target, &tx, &out);
    if (started == BRANCH_SENT && find_better_flow(b, out.n)) {
        client_abandon(tx);
        started = prepare(b, server, target, &tx, &out);
    }
    if (started != BRANCH_SENT)
        return started;
    b->client = tx->handle;
    b->state = BRANCH_RUNNING;
    if (!client_send(tx, buf_done(&out))) {
        b->state = BRANCH_GONE;
        return BRANCH_NO_MEMORY;
    }
    if (f->method == SIP_INVITE) {
        branch_extend(b);
        wheel_arm(&p->rt->wheel, &b->timer, TIMER_BRANCH, b->timer_c_ms);
    }
    return BRANCH_SENT;
}

bool branch_falls_back(struct branch *b, const struct client_tx *tx)
{
    struct fork *f = b->fork;
    struct proxy *p = f->proxy;

    if (b->state != BRANCH_RUNNING || f->order.to_phones || tx->status ||
        flow_alive(p->rt->ports, &tx->flow))
        return false;
    wheel_disarm(&p->rt->wheel, &b->timer);
    b->state = BRANCH_WAITING;
    b->flow = p->upstreams->list[f->order.token.upstream].flow;
    return true;
}

bool branch_divert(struct branch *b, const struct flow *to)
{
    struct fork *f = b->fork;
    struct client_tx *tx = client_get(f->proxy->transactions, b->client);

    if (b->state != BRANCH_RUNNING || f->order.to_phones || !tx || tx->status)
        return false;
    wheel_disarm(&f->proxy->rt->wheel, &b->timer);
    client_withdraw(tx);
    b->client = HANDLE_NONE;
    b->state = BRANCH_WAITING;
    b->flow = *to;
    return true;
}

void branch_cancel(struct branch *b, struct span reason)
{
    struct client_tx *tx = client_get(b->fork->proxy->transactions, b->client);

    if (b->state != BRANCH_RUNNING || !tx)
        return;
    client_cancel(tx, reason);
    branch_note_cancel(b, tx);
}

void branch_note_cancel(struct branch *b, const struct client_tx *tx)
{
    if (!tx->cancel_sent || b->cancel_counted || !b->fork->order.to_phones)
        return;
    b->cancel_counted = true;
    runtime_count(b->fork->proxy->rt, COUNTER_CANCELS);
}

void branch_extend(struct branch *b)
{
    b->timer_c_ms = b->fork->proxy->rt->now_ms + b->fork->proxy->config->timer_c_ms;
}

void branch_forget(struct branch *b)
{
    struct proxy *p = b->fork->proxy;
    struct client_tx *tx = client_get(p->transactions, b->client);

    wheel_disarm(&p->rt->wheel, &b->timer);
    if (b->state != BRANCH_WAITING && tx)
        client_forget(tx);
    b->state = BRANCH_GONE;
}

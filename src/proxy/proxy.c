/*
 * proxy/proxy: see proxy.h: the dispatch.
 *
 * Called by the core for every request that is no REGISTER and matches no
 * running server transaction. Core thread. Judges (RFC 3261 16.3), then sends the
 * request one of three ways: inbound.c, outbound.c, dialog.c. Decides nothing
 * about branches and answers; that is fork.c.
 */
#include "proxy/proxy.h"

#include "proxy/dispatch.h"
#include "proxy/fork.h"
#include "proxy/loop.h"
#include "proxy/reach.h"
#include "proxy/strip.h"
#include "transaction/server.h"
#include "upstream/own.h"

#include <stdlib.h>

static void on_upstream_down(void *self, struct upstream *u)
{
    forks_divert(self, u);
}

static const struct upstream_user upstream_user = {.down = on_upstream_down};

struct proxy *proxy_new(const struct proxy_parts *parts)
{
    struct proxy *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->rt = parts->rt;
    p->config = parts->config;
    p->location = parts->location;
    p->transactions = parts->transactions;
    p->upstreams = parts->upstreams;
    forks_init(p);
    upstreams_tell(p->upstreams, &upstream_user, p);
    mwi_init(&p->mwi);
    p->clean = malloc(DATAGRAM_MAX);
    p->message = malloc(DATAGRAM_MAX);
    p->fields = malloc(DATAGRAM_MAX);
    if (!p->clean || !p->message || !p->fields) {
        proxy_free(p);
        return NULL;
    }
    return p;
}

void proxy_free(struct proxy *p)
{
    if (!p)
        return;
    forks_fini(p);
    mwi_fini(&p->mwi);
    free(p->clean);
    free(p->message);
    free(p->fields);
    free(p);
}

bool proxy_reaches(const struct proxy *p, const struct binding *b)
{
    struct flow flow;

    return reach_binding(p, b, &flow);
}

unsigned proxy_pending(const struct proxy *p)
{
    return p->forks.used;
}

void proxy_binding_added(struct proxy *p, uint64_t aor_hash, uint32_t binding_id)
{
    const struct aor *a = location_find(p->location, aor_hash);
    const struct binding *b = a ? location_binding(a, binding_id) : NULL;

    if (b)
        mwi_give(p, aor_hash, b);
}

void proxy_aor_left(struct proxy *p, uint64_t aor_hash)
{
    mwi_forget(&p->mwi, aor_hash);
}

void dispatch_refuse(struct proxy *p, const struct arrival *a, int status, const char *reason)
{
    server_reject(p->rt, a->request.m, a->from, status, reason, SPAN_NONE);
}

/* May it be sent on at all? RFC 3261 16.3 steps 3 to 5; refuses if not. */
static bool may_go_on(struct proxy *p, struct arrival *a)
{
    struct buf unsupported = buf_make(p->fields, DATAGRAM_MAX);
    const struct sip_message *m = a->request.m;

    if (a->request.max_forwards == 0) {
        dispatch_refuse(p, a, 483, NULL);
        return false;
    }
    a->loop_hash = loop_hash(&p->rt->hasher, &a->request, a->sender != NULL);
    if (loop_detected(m, a->loop_hash)) {
        dispatch_refuse(p, a, 482, NULL);
        return false;
    }
    if (m->method != SIP_ACK && inspect_put_unsupported(&unsupported, m, SIP_H_PROXY_REQUIRE)) {
        server_reject(p->rt, m, a->from, 420, NULL, buf_done(&unsupported));
        return false;
    }
    return true;
}

/* OPTIONS to midreg itself. Not so within a dialog that goes through us: there the
 * Route leads on (RFC 3261 16.4), and what the peer says of its dialog is awaited. */
static bool is_for_us(const struct proxy *p, const struct arrival *a)
{
    const struct inspected *r = &a->request;

    return r->m->method == SIP_OPTIONS && own_target(p->upstreams, a->from, &r->ruri) &&
           !(r->to_tag.n && sip_has(r->m, SIP_H_ROUTE));
}

void proxy_receive(struct proxy *p, const struct sip_message *request, const struct flow *from)
{
    struct arrival a = {.from = from, .sender = upstreams_sender(p->upstreams, from)};
    struct sip_message clean;
    struct sip_fault fault;

    if (!a.sender)
        request = strip_phone_message(p->config, request, p->clean, &clean);
    if (!request)
        return;
    if (request->method == SIP_CANCEL) { /* of nothing we know: RFC 3261 9.2 */
        server_reject(p->rt, request, from, 481, NULL, SPAN_NONE);
        return;
    }
    if (!inspect_request(request, &a.request, &fault)) {
        if (fault.status == 400)
            runtime_count(p->rt, COUNTER_BAD_MESSAGE);
        server_reject(p->rt, request, from, fault.status, fault.reason, SPAN_NONE);
        return;
    }
    if (is_for_us(p, &a)) {
        options_answer(p, &a); /* also with Max-Forwards 0: RFC 3261 11 */
        return;
    }
    if (!may_go_on(p, &a))
        return;
    if (a.request.to_tag.n)
        dialog_receive(p, &a);
    else if (request->method == SIP_ACK)
        return; /* of a 2xx that we never saw; never answered */
    else if (a.sender)
        inbound_receive(p, &a);
    else
        outbound_receive(p, &a);
}

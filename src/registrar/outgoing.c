/*
 * registrar/outgoing: writes the REGISTER that goes to the main registrar.
 *
 * Called by errand.c on the core thread. Nothing of the phone goes up but its
 * Request-URI, To and credentials; no Require, no instance. Design 3.4.
 */
#include "registrar/outgoing.h"

#include "registrar/lease.h"
#include "sip/build.h"
#include "upstream/contact.h"

void outgoing_put_call_id(struct buf *out, const struct registrar *r, const struct aor *a,
                          unsigned upstream)
{
    /* The same after every restart: a keyed hash of what the lease is for. */
    uint64_t h =
        hash64_pair(&r->rt->hasher, span_of(r->with.config->upstream[upstream].name), aor_text(a));

    base32_put(out, &h, sizeof h);
    base32_put(out, &a->hash, sizeof a->hash);
}

static void put_credentials(struct buf *out, const struct sip_message *phone)
{
    static const enum sip_header_id ids[] = {SIP_H_AUTHORIZATION, SIP_H_PROXY_AUTHORIZATION};

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        for (const struct sip_header *h = sip_first(phone, ids[i]); h; h = sip_next(phone, h))
            buf_span(out, h->line);
}

/* Own refreshes have no phone's Request-URI: it is the To's host then. */
static void put_request_line(struct buf *out, const struct sip_message *phone, struct span to_uri)
{
    struct sip_fault fault;
    struct sip_uri uri;

    buf_lit(out, "REGISTER ");
    if (phone) {
        buf_span(out, phone->ruri);
    } else {
        buf_lit(out, "sip:");
        if (sip_uri_parse(to_uri, &uri, &fault))
            buf_span(out, uri.host);
    }
    buf_lit(out, " SIP/2.0\r\n");
}

/*
 * Design 3.4: midreg's own client registration with the phone's Request-URI, To
 * and credentials. Expires header and parameter both, and equal: main
 * registrars differ in which they believe.
 */
static void put_register(struct buf *out, const struct outgoing *o, const struct upstream *u,
                         const struct client_tx *tx)
{
    struct registrar *r = o->r;
    struct aor *a = o->aor;
    struct lease *l = aor_lease_at(a, o->upstream);
    const struct sip_message *phone = o->phone;
    struct sip_nameaddr to;
    struct sip_fault fault;
    struct span to_uri = aor_to_uri(a);
    uint64_t tag = hash64_pair(&r->rt->hasher, SPAN("from-tag"), aor_text(a));

    if (phone && sip_nameaddr_parse(sip_value(phone, SIP_H_TO), &to, &fault))
        to_uri = to.uri_text;
    put_request_line(out, phone, to_uri);
    buf_lit(out, "Via: ");
    client_put_via(out, tx);
    buf_lit(out, "\r\nMax-Forwards: 70\r\nFrom: <");
    buf_span(out, to_uri);
    buf_lit(out, ">;tag=");
    base32_put(out, &tag, sizeof tag);
    buf_lit(out, "\r\nTo: <");
    buf_span(out, to_uri);
    buf_lit(out, ">\r\nCall-ID: ");
    outgoing_put_call_id(out, r, a, o->upstream);
    buf_lit(out, "\r\nCSeq: ");
    buf_u64(out, lease_next_cseq(r, l));
    buf_lit(out, " REGISTER\r\nContact: <");
    contact_put_uri(out, o->expires_s == 0 && l->stale ? &u->contact_before : &u->contact,
                    aor_text(a), a->hash);
    buf_lit(out, ">;expires=");
    buf_u64(out, o->expires_s);
    buf_lit(out, "\r\nExpires: ");
    buf_u64(out, o->expires_s);
    buf_lit(out, "\r\n");
    if (phone)
        put_credentials(out, phone);
    buf_lit(out, "User-Agent: midreg\r\n");
    sip_put_end(out, SPAN_NONE);
}

/* NULL: no memory, or more than a datagram holds. */
static struct client_tx *prepare(const struct outgoing *o, const struct upstream *u,
                                 const struct flow *flow, struct buf *out)
{
    struct transactions *t = o->r->with.transactions;
    struct client_tx *tx = client_begin(t, SIP_REGISTER, flow, 0, o->user, o->r, o->owner);

    *out = buf_make(t->scratch, DATAGRAM_MAX);
    if (!tx)
        return NULL;
    put_register(out, o, u, tx);
    if (!out->overflow)
        return tx;
    client_abandon(tx);
    return NULL;
}

struct client_tx *outgoing_prepare(const struct outgoing *o, struct buf *out)
{
    struct upstream *u = &o->r->with.upstreams->list[o->upstream];
    struct client_tx *tx = aor_lease_at(o->aor, o->upstream) ? prepare(o, u, &u->flow, out) : NULL;
    struct flow flow;

    if (!tx || out->n <= UPSTREAM_DATAGRAM_MAX)
        return tx;
    /* RFC 3261 18.1.1. Written anew in any case: what begins a connection sends an
     * OPTIONS, which is built in the same room. */
    client_abandon(tx);
    upstream_route(u, out->n, &flow);
    return prepare(o, u, &flow, out);
}

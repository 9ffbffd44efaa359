/*
 * upstream/probe: see probe.h.
 *
 * Called by upstream.c (does it challenge?), health.c (is it ready?) and stream.c (is
 * somebody there?), on the core thread. Keeps nothing.
 */
#include "upstream/probe.h"

#include "sip/build.h"
#include "upstream/contact.h"

#include <assert.h>

static void put_domain(struct buf *out, const struct upstream *u)
{
    const struct config *c = u->all->config;

    if (c->domain_count)
        buf_str(out, c->domains[0]);
    else
        address_put_host(out, &u->flow.peer);
}

/* "sip:midreg-probe-RANDOM@DOMAIN": nobody's AOR. */
static void put_probe_aor(struct buf *out, struct upstream *u)
{
    uint8_t random[8];

    u->all->rt->ports->random(u->all->rt->ports->world, random, sizeof random);
    buf_lit(out, "sip:midreg-probe-");
    base32_put(out, random, sizeof random);
    buf_char(out, '@');
    put_domain(out, u);
}

static void build_probe(struct buf *out, struct upstream *u, const struct client_tx *tx)
{
    char room[512];
    struct buf aor_room = buf_make(room, sizeof room);

    put_probe_aor(&aor_room, u);
    struct span aor = buf_done(&aor_room);
    assert(aor.p); /* a domain has 255 bytes at most */
    uint64_t hash = hash64(&u->all->rt->hasher, aor);

    buf_lit(out, "REGISTER sip:");
    put_domain(out, u);
    buf_lit(out, " SIP/2.0\r\nVia: ");
    client_put_via(out, tx);
    buf_lit(out, "\r\nMax-Forwards: 70\r\nFrom: <");
    buf_span(out, aor);
    buf_lit(out, ">;tag=");
    base32_put(out, &hash, sizeof hash);
    buf_lit(out, "\r\nTo: <");
    buf_span(out, aor);
    buf_lit(out, ">\r\nCall-ID: ");
    base32_put(out, &hash, sizeof hash);
    buf_lit(out, "\r\nCSeq: ");
    buf_u64(out, ++u->probe_cseq);
    buf_lit(out, " REGISTER\r\nContact: <");
    contact_put_uri(out, &u->contact, aor, hash);
    buf_lit(out, ">;expires=0\r\nExpires: 0\r\nUser-Agent: midreg\r\n");
    sip_put_end(out, SPAN_NONE);
}

/* Builds by `build` what the transaction sends; ends it if that cannot be. */
static struct client_tx *send_built(struct upstream *u, struct client_tx *tx,
                                    void (*build)(struct buf *, struct upstream *,
                                                  const struct client_tx *))
{
    struct buf out = buf_make(u->all->transactions->scratch, DATAGRAM_MAX);

    if (!tx)
        return NULL;
    build(&out, u, tx);
    if (out.overflow) {
        client_abandon(tx);
        return NULL;
    }
    return client_send(tx, buf_done(&out)) ? tx : NULL;
}

struct client_tx *probe_send(struct upstream *u, const struct client_user *user)
{
    return send_built(u,
                      client_begin(u->all->transactions, SIP_REGISTER, &u->flow, 0, user, u->all,
                                   (uint64_t)(u - u->all->list)),
                      build_probe);
}

static void build_options(struct buf *out, struct upstream *u, const struct client_tx *tx)
{
    uint8_t random[16];

    u->all->rt->ports->random(u->all->rt->ports->world, random, sizeof random);
    buf_lit(out, "OPTIONS sip:");
    address_put(out, &u->flow.peer);
    if (transport_is_stream(tx->flow.transport))
        buf_lit(out, ";transport=tcp");
    buf_lit(out, " SIP/2.0\r\nVia: ");
    client_put_via(out, tx);
    buf_lit(out, "\r\nMax-Forwards: 70\r\nFrom: <sip:midreg@");
    address_put_host(out, &u->contact);
    buf_lit(out, ">;tag=");
    base32_put(out, random, 8);
    buf_lit(out, "\r\nTo: <sip:");
    address_put(out, &u->flow.peer);
    buf_lit(out, ">\r\nCall-ID: ");
    base32_put(out, random + 8, 8);
    buf_lit(out, "\r\nCSeq: 1 OPTIONS\r\nAccept: application/sdp\r\nUser-Agent: midreg\r\n");
    sip_put_end(out, SPAN_NONE);
}

struct client_tx *probe_options(struct upstream *u, const struct flow *flow,
                                const struct client_user *user)
{
    return send_built(u,
                      client_begin(u->all->transactions, SIP_OPTIONS, flow, 0, user, u->all,
                                   (uint64_t)(u - u->all->list)),
                      build_options);
}

/*
 * proxy/mwi: see mwi.h.
 *
 * Called by inbound.c for each NOTIFY of a main registrar and by proxy.c when
 * bindings come and AORs leave, on the core thread. Asks nobody for anything: what
 * the main registrar has not said since midreg started, nobody hears.
 */
#include "proxy/mwi.h"

#include "proxy/inside.h"
#include "proxy/reach.h"
#include "sip/build.h"
#include "transaction/client.h"

#include <stdlib.h>

struct mwi {
    uint64_t hash;
    struct mwi *older;
    struct mwi *newer;
    uint64_t at_ms;   /* when it came */
    uint32_t lines_n; /* whole fields with CRLF */
    uint32_t body_n;
    char text[]; /* fields, then the body */
};

void mwi_init(struct mwi_store *s)
{
    *s = (struct mwi_store){.bytes = 0};
    table_init(&s->kept);
}

void mwi_fini(struct mwi_store *s)
{
    while (s->oldest)
        mwi_forget(s, s->oldest->hash);
    table_fini(&s->kept);
}

static size_t size_of(const struct mwi *m)
{
    return sizeof *m + m->lines_n + m->body_n;
}

void mwi_forget(struct mwi_store *s, uint64_t aor_hash)
{
    struct mwi *m = table_remove(&s->kept, aor_hash);

    if (!m)
        return;
    *(m->older ? &m->older->newer : &s->oldest) = m->newer;
    *(m->newer ? &m->newer->older : &s->newest) = m->older;
    s->bytes -= size_of(m);
    free(m);
}

/* ---- keeping ------------------------------------------------------------------- */

bool mwi_is(const struct sip_message *m)
{
    struct span event = sip_value(m, SIP_H_EVENT);
    size_t n = 0;

    while (n < event.n && event.p[n] != ';')
        n++;
    return m->method == SIP_NOTIFY &&
           span_ieq(span_trim(span_make(event.p, n)), SPAN("message-summary"));
}

/* What a NOTIFY means; all else in it is of the dialog or the way it took. */
static bool means_something(const struct sip_header *h)
{
    switch (h->id) {
    case SIP_H_FROM:
    case SIP_H_TO:
    case SIP_H_CONTACT: /* RFC 6665 8.1.1 wants one */
    case SIP_H_EVENT:
    case SIP_H_CONTENT_TYPE:
        return true;
    case SIP_H_OTHER:
        return sip_name_matches(h->name, SPAN("Subscription-State")) ||
               sip_name_matches(h->name, SPAN("Content-*")) ||
               sip_name_matches(h->name, SPAN("MIME-Version"));
    default:
        return false;
    }
}

void mwi_keep(struct proxy *p, uint64_t aor_hash, const struct sip_message *notify)
{
    struct mwi_store *s = &p->mwi;
    char room[MWI_TEXT_MAX];
    struct buf text = buf_make(room, sizeof room);
    struct mwi *m;

    for (unsigned i = 0; i < notify->header_count; i++)
        if (means_something(&notify->header[i]))
            buf_span(&text, notify->header[i].line);
    size_t lines_n = text.n;

    buf_span(&text, notify->body);
    mwi_forget(s, aor_hash); /* whatever happens now, it is out of date */
    m = text.overflow ? NULL : malloc(sizeof *m + text.n);
    if (!m || !table_put(&s->kept, aor_hash, m)) {
        free(m);
        return;
    }
    *m = (struct mwi){
        .hash = aor_hash,
        .older = s->newest,
        .at_ms = p->rt->now_ms,
        .lines_n = (uint32_t)lines_n,
        .body_n = (uint32_t)(text.n - lines_n),
    };
    memcpy(m->text, room, text.n);
    *(s->newest ? &s->newest->newer : &s->oldest) = m;
    s->newest = m;
    s->bytes += size_of(m);
    while (s->bytes > MWI_BYTES_MAX)
        mwi_forget(s, s->oldest->hash);
}

/* ---- giving -------------------------------------------------------------------- */

/* A NOTIFY outside of any dialog, as the main registrar's was. */
static bool build(struct buf *out, const struct proxy *p, const struct mwi *m,
                  const struct binding *b, const struct client_tx *tx)
{
    struct buf fields = buf_make(p->fields, DATAGRAM_MAX);
    struct span ruri, routes;
    uint64_t call;

    if (!reach_address(b, &fields, &ruri, &routes))
        return false;
    p->rt->ports->random(p->rt->ports->world, &call, sizeof call);
    buf_lit(out, "NOTIFY ");
    buf_span(out, ruri);
    buf_lit(out, " SIP/2.0\r\nVia: ");
    client_put_via(out, tx);
    buf_lit(out, "\r\n");
    buf_span(out, routes);
    buf_lit(out, "Max-Forwards: 70\r\nCall-ID: ");
    base32_put(out, &call, sizeof call);
    buf_lit(out, "\r\nCSeq: 1 NOTIFY\r\n");
    buf_put(out, m->text, m->lines_n);
    sip_put_end(out, span_make(m->text + m->lines_n, m->body_n));
    return !out->overflow;
}

void mwi_give(struct proxy *p, uint64_t aor_hash, const struct binding *b)
{
    const struct mwi *m = table_find(&p->mwi.kept, aor_hash);
    struct buf out = buf_make(p->message, DATAGRAM_MAX);
    struct client_tx *tx;
    struct flow flow;

    /* What came after it has registered went to it as well. */
    if (!m || m->at_ms > b->proved_ms || !reach_binding(p, b, &flow))
        return;
    tx = client_begin(p->transactions, SIP_NOTIFY, &flow, 0, NULL, NULL, 0);
    if (!tx)
        return;
    if (build(&out, p, m, b, tx))
        client_send(tx, buf_done(&out));
    else
        client_abandon(tx);
}

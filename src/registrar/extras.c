/*
 * registrar/extras: see the header.
 *
 * Called by errand.c when the main registrar accepted, by answer.c for each 200,
 * by lease.c when a record goes. Without memory there are none.
 */
#include "registrar/extras.h"

#include "upstream/own.h"

#include <stdlib.h>

struct extras {
    uint16_t route_n;   /* Service-Route: "<uri>, <uri>" */
    uint16_t related_n; /* P-Associated-URI likewise */
    char text[];
};

/* Appends all values of the fields with this name, as one. False: malformed, or
 * too long. */
static bool collect(struct buf *out, const struct sip_message *m, struct span name)
{
    size_t start = out->n;

    for (unsigned i = 0; i < m->header_count; i++) {
        const struct sip_header *h = &m->header[i];

        if (!span_ieq(h->name, name) || h->value.n == 0)
            continue;
        if (out->n > start)
            buf_lit(out, ", ");
        for (size_t j = 0; j < h->value.n; j++) /* folds become blanks */
            buf_char(out, h->value.p[j] == '\r' || h->value.p[j] == '\n' ? ' ' : h->value.p[j]);
    }
    return !out->overflow && out->n - start <= EXTRAS_MAX;
}

/* Every value of Service-Route is <uri> (RFC 3608 5): phones build Routes of it. */
static bool is_route(const struct sip_message *m)
{
    struct sip_list it;
    struct span value;

    sip_list_init(&it, m, SIP_H_SERVICE_ROUTE);
    while (sip_list_next(&it, &value)) {
        struct sip_nameaddr na;
        struct sip_fault fault;

        if (!sip_nameaddr_parse(value, &na, &fault) || !na.bracketed)
            return false;
    }
    return !it.bad;
}

void extras_forget(struct registrar *r, uint64_t hash)
{
    if (r->extras.used)
        free(table_remove(&r->extras, hash));
}

void extras_learn(struct registrar *r, uint64_t hash, const struct sip_message *response)
{
    char room[2 * EXTRAS_MAX];
    struct buf route = buf_make(room, EXTRAS_MAX);
    struct buf related = buf_make(room + EXTRAS_MAX, EXTRAS_MAX);
    struct extras *x;

    if (!is_route(response) || !collect(&route, response, SPAN("Service-Route")))
        route.n = 0;
    if (!collect(&related, response, SPAN("P-Associated-URI")))
        related.n = 0;
    extras_forget(r, hash);
    if (route.n + related.n == 0)
        return;
    x = malloc(sizeof *x + route.n + related.n);
    if (x) {
        *x = (struct extras){(uint16_t)route.n, (uint16_t)related.n};
        memcpy(x->text, route.p, route.n);
        memcpy(x->text + route.n, related.p, related.n);
    }
    if (!x || !table_put(&r->extras, hash, x)) {
        runtime_count(r->rt, COUNTER_OUT_OF_MEMORY);
        free(x);
    }
}

/* Where the phone reaches us, as a Route value. */
static void put_own_route(struct registrar *r, struct buf *out, const struct flow *phone)
{
    struct address us;

    own_address_for_phone(r->with.upstreams, phone, &us);
    buf_lit(out, "<sip:");
    address_put(out, &us);
    if (phone->transport != TRANSPORT_UDP) {
        buf_lit(out, ";transport=");
        buf_str(out, transport_name((enum transport)phone->transport));
    }
    buf_lit(out, ";lr>");
}

void extras_put(struct registrar *r, struct buf *out, uint64_t hash, const struct flow *phone)
{
    const struct extras *x = r->extras.used ? table_find(&r->extras, hash) : NULL;

    if (x && x->route_n) { /* ours first: requests of the phone come through us */
        buf_lit(out, "Service-Route: ");
        put_own_route(r, out, phone);
        buf_lit(out, ", ");
        buf_span(out, span_make(x->text, x->route_n));
        buf_lit(out, "\r\n");
    }
    if (x && x->related_n) {
        buf_lit(out, "P-Associated-URI: ");
        buf_span(out, span_make(x->text + x->route_n, x->related_n));
        buf_lit(out, "\r\n");
    }
}

void extras_fini(struct registrar *r)
{
    size_t at = 0;
    void *x;

    while ((x = table_next(&r->extras, &at)))
        free(x);
    table_fini(&r->extras);
}

/*
 * pbx: the main registrar, as the load generator plays it.
 *
 * Grants each REGISTER what it asks for and keeps the contact that it was told,
 * for calls. Called by the engine.
 */
#include "load.h"

static void answer(struct load *l, const struct fields *f, const char *status_line,
                   struct span more)
{
    struct buf out = wire_reserve(&l->wire, WIRE_UPSTREAM);

    text_put_answer(&out, f, status_line, "pbx");
    buf_span(&out, more);
    text_put_end(&out);
    wire_commit(&l->wire, WIRE_UPSTREAM, &out);
}

static bool keep_target(struct load *l, const struct fields *f, struct span uri)
{
    uint32_t aor;

    if (!text_aor_of(f->to, &aor) || aor >= l->aors || uri.n >= TARGET_SIZE)
        return false;
    memcpy(l->target[aor], uri.p, uri.n);
    l->target[aor][uri.n] = 0;
    return true;
}

static void receive_register(struct load *l, const struct fields *f, struct span datagram)
{
    char room[256];
    struct buf more = buf_make(room, sizeof room);
    struct span uri = text_uri_of(f->contact);
    uint32_t expires_s = 0;

    if (!span_u32(f->expires, &expires_s) || f->contacts != 1 || !text_find(uri, ";mr=")) {
        engine_wrong(l, "bad REGISTER upstream", datagram);
        return;
    }
    if (expires_s) {
        if (!keep_target(l, f, uri)) {
            engine_wrong(l, "REGISTER upstream for nobody", datagram);
            return;
        }
        buf_lit(&more, "Contact: <");
        buf_span(&more, uri);
        buf_lit(&more, ">;expires=");
        buf_u64(&more, expires_s);
        buf_lit(&more, "\r\n");
        l->tally.upstream++;
    }
    answer(l, f, "200 OK", buf_done(&more));
}

void pbx_receive(struct load *l, const struct fields *f, struct span datagram)
{
    if (span_eq(f->method, SPAN("REGISTER")))
        receive_register(l, f, datagram);
    else if (span_eq(f->method, SPAN("OPTIONS")))
        answer(l, f, "200 OK", SPAN_NONE);
    else
        engine_wrong(l, "unexpected request upstream", datagram);
}

/*
 * registrar/answer: builds and sends what phones get for a REGISTER.
 *
 * Called by registrar.c and errand.c on the core thread. The absorbed path
 * builds straight into the send slot and allocates nothing.
 */
#include "registrar/answer.h"

#include "registrar/extras.h"
#include "sip/build.h"

#define NOBODY 0 /* no AOR has this number, but by a chance of 2^-64 */

/* Remaining time, rounded up: a phone must never think it is gone too early. Of one that is kept
 * for longer than was granted last (BINDING_RESTORED), what was granted. */
static uint64_t remaining_s(const struct binding *b, uint64_t now_ms)
{
    uint64_t left_s = (b->expires_ms - now_ms + 999) / 1000;

    return left_s < b->granted_s ? left_s : b->granted_s;
}

static void put_q(struct buf *out, uint16_t q)
{
    static const char digits[] = "0123456789";

    if (q >= 1000) {
        buf_lit(out, ";q=1.0");
        return;
    }
    buf_lit(out, ";q=0.");
    buf_char(out, digits[q / 100]);
    if (q % 100)
        buf_char(out, digits[q / 10 % 10]);
    if (q % 10)
        buf_char(out, digits[q % 10]);
}

/* The URI without its pn-* parameters (RFC 8599): a device's token is nobody
 * else's business (design 3.5). */
static void put_uri_of_another(struct buf *out, struct span text)
{
    struct sip_uri uri;
    struct sip_fault fault;
    struct span param;

    if (!sip_uri_parse(text, &uri, &fault) || uri.params.n == 0) {
        buf_span(out, text);
        return;
    }
    buf_span(out, span_between(text.p, uri.params.p));
    for (const char *at = uri.params.p, *end = at + uri.params.n; at < end;
         at = param.p + param.n) {
        const char *next = memchr(at + 1, ';', (size_t)(end - at - 1));

        param = span_between(at, next ? next : end);
        if (param.n < 4 || !span_ieq(span_make(param.p, 4), SPAN(";pn-")))
            buf_span(out, param);
    }
    buf_span(out, span_between(uri.params.p + uri.params.n, text.p + text.n));
}

static void put_contacts(struct buf *out, const struct aor *a, struct span call_id, uint64_t now_ms)
{
    for (const struct binding *b = a ? aor_first(a) : NULL; b; b = aor_next(a, b)) {
        if (!binding_live(b, now_ms))
            continue;
        buf_lit(out, "Contact: <");
        if (span_eq(binding_call_id(b), call_id))
            buf_span(out, binding_uri(b));
        else
            put_uri_of_another(out, binding_uri(b));
        buf_lit(out, ">;expires=");
        buf_u64(out, remaining_s(b, now_ms));
        if (b->q_given)
            put_q(out, b->q);
        buf_span(out, binding_params(b));
        buf_lit(out, "\r\n");
    }
}

/* Short and random: a long one makes phones give up for good. */
static void put_retry_after(struct registrar *r, struct buf *out)
{
    buf_lit(out, "Retry-After: ");
    buf_u64(out, 2 + runtime_random(r->rt, 7));
    buf_lit(out, "\r\n");
}

/*
 * Of a refusal all passes (challenges in their order, RFC 8760; Require of a 421)
 * but what the transaction sets itself, and what is about midreg's own contact or a
 * body that is not passed on. Retry-After is ours: a long one makes phones give up.
 */
static void put_passed_on(struct registrar *r, struct buf *out, const struct sip_message *m)
{
    const sip_header_set own =
        SIP_SET(SIP_H_VIA) | SIP_SET(SIP_H_FROM) | SIP_SET(SIP_H_TO) | SIP_SET(SIP_H_CALL_ID) |
        SIP_SET(SIP_H_CSEQ) | SIP_SET(SIP_H_CONTENT_LENGTH) | SIP_SET(SIP_H_CONTENT_TYPE) |
        SIP_SET(SIP_H_EXPIRES) | SIP_SET(SIP_H_MIN_EXPIRES) | SIP_SET(SIP_H_PATH) |
        SIP_SET(SIP_H_SERVICE_ROUTE) | SIP_SET(SIP_H_RECORD_ROUTE) | SIP_SET(SIP_H_CONTACT) |
        SIP_SET(SIP_H_RETRY_AFTER);

    for (unsigned i = 0; i < m->header_count; i++)
        if (!(own & SIP_SET(m->header[i].id)) &&
            !sip_name_matches(m->header[i].name, SPAN("Content-*")))
            buf_span(out, m->header[i].line);
    if (sip_has(m, SIP_H_RETRY_AFTER))
        put_retry_after(r, out);
}

static void put_fields_of(struct buf *out, const struct sip_message *m, enum sip_header_id id)
{
    for (const struct sip_header *h = sip_first(m, id); h; h = sip_next(m, h))
        buf_span(out, h->line);
}

/* Thousands of answers tell the same second. */
static void put_date(struct registrar *r, struct buf *out)
{
    uint64_t now_s = r->rt->ports->wall_s(r->rt->ports->world);

    if (now_s != r->date_s || r->date_n == 0) {
        struct buf date = buf_make(r->date_text, sizeof r->date_text);

        sip_put_date(&date, now_s);
        r->date_s = now_s;
        r->date_n = date.n;
    }
    buf_lit(out, "Date: ");
    buf_put(out, r->date_text, r->date_n);
    buf_lit(out, "\r\n");
}

/* The fields of a 200. No Expires header: weak phones would take it for their
 * own (peers.md row 7). */
static void put_ok_fields(struct registrar *r, struct buf *out, uint64_t hash,
                          const struct sip_message *m, const struct flow *from)
{
    put_contacts(out, location_find(r->with.location, hash), sip_value(m, SIP_H_CALL_ID),
                 r->rt->now_ms);
    put_date(r, out);
    if (sip_has(m, SIP_H_PATH)) { /* RFC 3327 5.3: what was registered with */
        buf_lit(out, "Supported: path\r\n");
        put_fields_of(out, m, SIP_H_PATH);
    }
    extras_put(r, out, hash, from);
}

static bool is_durable(struct registrar *r, uint64_t hash, uint64_t *sequence)
{
    const struct aor *a = location_find(r->with.location, hash);

    *sequence = a ? a->sequence : 0;
    return journal_is_durable(r->with.journal, *sequence);
}

static void park(struct registrar *r, struct handle server, uint64_t hash, uint64_t listed,
                 uint64_t sequence)
{
    struct handle handle;
    struct parked *p = slab_new(&r->parked, &handle);

    if (!p) {
        runtime_count(r->rt, COUNTER_OUT_OF_MEMORY);
        answer_unavailable_in(r, server, "Service Unavailable (store is behind)");
        return;
    }
    *p = (struct parked){handle, NULL, server, hash, listed, sequence};
    if (r->parked_last)
        r->parked_last->next = p;
    else
        r->parked_first = p;
    r->parked_last = p;
}

/* What came without a transaction gets one, until its answer may leave. */
static void park_request(struct registrar *r, const struct sip_message *m, const struct flow *from,
                         uint64_t hash, uint64_t listed, uint64_t sequence)
{
    struct server_tx *tx = server_begin(r->with.transactions, m, from, NULL, NULL);

    if (tx) {
        park(r, tx->handle, hash, listed, sequence);
        server_forget(tx);
    } else {
        answer_unavailable(r, m, from, NULL);
    }
}

void answer_ok(struct registrar *r, const struct sip_message *m, const struct flow *from,
               uint64_t hash)
{
    const struct ports *ports = r->rt->ports;
    uint64_t sequence;

    if (!is_durable(r, hash, &sequence)) {
        park_request(r, m, from, hash, hash, sequence);
        return;
    }
    struct flow to;
    char tag_room[16];
    size_t cap;
    struct buf out;

    if (!server_reply_flow(m, from, &to))
        return;
    out.p = ports->datagram_reserve(ports->world, &cap);
    out = buf_make(out.p, cap);
    sip_reply_begin(&out, m, 200, NULL, server_stateless_tag(r->rt, m, tag_room), &from->peer);
    put_ok_fields(r, &out, hash, m, from);
    sip_put_end(&out, SPAN_NONE);
    if (out.overflow)
        server_reject(r->rt, m, from, 500, "Answer Too Long", SPAN_NONE);
    else
        ports->datagram_commit(ports->world, &to, out.n);
}

/* The send slot serves as room for the fields: they are copied into the answer
 * before the slot is used for it. */
static void send_ok_in(struct registrar *r, struct handle server, uint64_t hash)
{
    const struct ports *ports = r->rt->ports;
    struct server_tx *tx = server_get(r->with.transactions, server);
    struct buf fields;
    size_t cap;

    if (!tx || !tx->request) /* without it, it has its answer */
        return;
    fields.p = ports->datagram_reserve(ports->world, &cap);
    fields = buf_make(fields.p, cap);
    put_ok_fields(r, &fields, hash, tx->request, &tx->source);
    if (fields.overflow)
        server_reply(tx, 500, "Answer Too Long", SPAN_NONE);
    else
        server_reply(tx, 200, NULL, buf_done(&fields));
}

/* Of an AOR, when its last change is durable; it lists the contacts of `listed`. */
static void send_when_durable(struct registrar *r, struct handle server, uint64_t hash,
                              uint64_t listed)
{
    uint64_t sequence;

    if (is_durable(r, hash, &sequence))
        send_ok_in(r, server, listed);
    else
        park(r, server, hash, listed, sequence);
}

void answer_ok_in(struct registrar *r, struct handle server, uint64_t hash)
{
    send_when_durable(r, server, hash, hash);
}

void answer_nobody_in(struct registrar *r, struct handle server, uint64_t hash)
{
    send_when_durable(r, server, hash, NOBODY);
}

void answer_nobody(struct registrar *r, const struct sip_message *m, const struct flow *from,
                   uint64_t hash)
{
    uint64_t sequence;

    if (is_durable(r, hash, &sequence))
        answer_ok(r, m, from, NOBODY);
    else
        park_request(r, m, from, hash, NOBODY, sequence);
}

void answer_durable(struct registrar *r)
{
    struct parked *p;

    while ((p = r->parked_first) && journal_is_durable(r->with.journal, p->sequence)) {
        struct parked done = *p;

        r->parked_first = p->next;
        if (!r->parked_first)
            r->parked_last = NULL;
        slab_free(&r->parked, done.handle);
        /* Newer changes of the record may still be on their way. */
        send_when_durable(r, done.server, done.hash, done.listed);
    }
}

struct span driver_retry_after(struct registrar *r, char room[32])
{
    struct buf out = buf_make(room, 32);

    put_retry_after(r, &out);
    return buf_done(&out);
}

void answer_refusal(struct registrar *r, const struct sip_message *m, const struct flow *from,
                    const struct outcome *outcome)
{
    char room[48];
    struct buf fields = buf_make(room, sizeof room);

    runtime_count(r->rt, COUNTER_REGISTER_REFUSED);
    if (outcome->too_brief) {
        buf_lit(&fields, "Min-Expires: ");
        buf_u64(&fields, r->with.config->min_expires_s);
        buf_lit(&fields, "\r\n");
    }
    server_reject(r->rt, m, from, outcome->status, outcome->reason, buf_done(&fields));
}

void answer_unavailable(struct registrar *r, const struct sip_message *m, const struct flow *from,
                        const char *reason)
{
    char room[32];

    runtime_count(r->rt, COUNTER_REGISTER_REFUSED);
    server_reject(r->rt, m, from, 503, reason, driver_retry_after(r, room));
}

void answer_unavailable_in(struct registrar *r, struct handle server, const char *reason)
{
    struct server_tx *tx = server_get(r->with.transactions, server);
    char room[32];

    if (!tx)
        return;
    runtime_count(r->rt, COUNTER_REGISTER_REFUSED);
    server_reply(tx, 503, reason, driver_retry_after(r, room));
}

/*
 * Does it tell of the way to the main registrar rather than of what the phone did?
 * 423 and 482 answer what midreg asked; a redirection would lead the phone past
 * midreg; 408 no proxy may pass on (RFC 4320 4.2); FreeSWITCH says 410 while a
 * profile restarts.
 */
static bool about_midreg(int status)
{
    return status < 400 || status == 408 || status == 410 || status == 423 || status == 482;
}

void answer_passed_on(struct registrar *r, struct handle server, const struct sip_message *response)
{
    struct server_tx *tx = server_get(r->with.transactions, server);
    char reason[96], room[4096];
    struct buf phrase = buf_make(reason, sizeof reason - 1);
    struct buf fields = buf_make(room, sizeof room);

    if (!tx)
        return;
    if (about_midreg(response->status)) {
        answer_unavailable_in(r, server, NULL);
        return;
    }
    runtime_count(r->rt, COUNTER_REGISTER_FORWARDED);
    buf_span(&phrase, response->reason);
    reason[phrase.n] = '\0';
    if (response->status == 503)
        put_retry_after(r, &fields);
    else
        put_passed_on(r, &fields, response);
    if (fields.overflow) {
        server_reply(tx, 502, "Bad Gateway (challenge too long)", SPAN_NONE);
        return;
    }
    server_reply(tx, response->status, phrase.n ? reason : NULL, buf_done(&fields));
}

/*
 * phone_register: a phone's REGISTERs, their retransmissions and their answers.
 *
 * Called by phone.c. Does what phones in the field do: registers again at half to
 * nine tenths of what it was granted, answers challenges, obeys Retry-After.
 */
#include "sim.h"

#include <stdio.h>

#define CHALLENGES_MAX 3
#define LEAVE_TRIES    4
#define VIA_WITHIN     200 /* the topmost */
/* A `*` removes what others registered; so long a copy of it may be on its way. */
#define ALL_REMOVED_GRACE (6 * SECOND)

static struct chance *dice(struct sim *s)
{
    return &s->phones.chance;
}

static bool removes(enum register_kind kind)
{
    return kind == REGISTER_REMOVE || kind == REGISTER_REMOVE_ALL;
}

/* ---- building -------------------------------------------------------------------- */

static void put_contact_value(struct buf *out, struct phone *p, uint32_t line)
{
    buf_lit(out, "Contact: <");
    phone_put_contact(out, p, line);
    buf_char(out, '>');
}

static void put_contacts(struct buf *out, struct phone *p, const struct register_tx *tx)
{
    const struct phone_habits *h = &p->habits;
    uint32_t expires_s = removes(tx->kind) ? 0 : tx->asked_s;

    if (tx->kind == REGISTER_REMOVE_ALL) {
        buf_lit(out, "Contact: *\r\nExpires: 0\r\n");
        return;
    }
    put_contact_value(out, p, p->line);
    if (!h->expires_header) {
        buf_lit(out, ";expires=");
        buf_u64(out, expires_s);
    }
    if (h->q < 1000) {
        buf_lit(out, ";q=0.");
        buf_u64(out, h->q / 100);
    }
    if (h->instance) {
        buf_lit(out, ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-");
        buf_u64(out, UINT64_C(100000000000) + p->index);
        buf_lit(out, ">\"");
    }
    buf_lit(out, "\r\n");
    if (tx->kind == REGISTER_SWAP) {
        put_contact_value(out, p, p->old_line);
        buf_lit(out, ";expires=0\r\n");
    }
    if (h->expires_header) {
        buf_lit(out, "Expires: ");
        buf_u64(out, expires_s);
        buf_lit(out, "\r\n");
    }
}

/* The cnonce says for which contact they are: so the main registrar, which sees
 * midreg's contact alone, knows what it has proved. */
static void put_credentials(struct sim *s, struct buf *out, struct phone *p, bool adding)
{
    const struct person *person = &s->people.list[p->aor];
    char response[DIGEST_HEX + 1], nc[9], cnonce[32];

    snprintf(nc, sizeof nc, "%08x", ++p->nc);
    snprintf(cnonce, sizeof cnonce, "%u-%u%c", p->index, p->line, adding ? 'a' : 'r');
    digest_response(response, person->ha1, SPAN("REGISTER"), SPAN("sip:" DOMAIN), span_of(p->nonce),
                    span_of(nc), span_of(cnonce));
    buf_lit(out, "Authorization: Digest username=\"");
    buf_str(out, person->user);
    buf_lit(out, "\", realm=\"" DOMAIN "\", nonce=\"");
    buf_str(out, p->nonce);
    buf_lit(out, "\", uri=\"sip:" DOMAIN "\", response=\"");
    buf_str(out, response);
    buf_lit(out, "\", algorithm=MD5, cnonce=\"");
    buf_str(out, cnonce);
    buf_lit(out, "\", qop=auth, nc=");
    buf_str(out, nc);
    if (p->habits.opaque) {
        buf_lit(out, ", opaque=\"");
        buf_put(out, s->padding, p->habits.opaque);
        buf_char(out, '"');
    }
    buf_lit(out, "\r\n");
}

static void build(struct sim *s, struct phone *p, struct register_tx *tx)
{
    const char *aor = s->people.list[p->aor].written[p->habits.written];
    struct buf out = buf_make(tx->text, sizeof tx->text);

    buf_lit(&out, "REGISTER sip:" DOMAIN " SIP/2.0\r\nVia: SIP/2.0/");
    buf_str(&out, phone_transport(p));
    buf_char(&out, ' ');
    address_put(&out, &p->local);
    buf_lit(&out, ";branch=z9hG4bKr");
    buf_u64(&out, p->index);
    buf_char(&out, 'x');
    buf_u64(&out, tx->number);
    if (p->habits.asks_rport)
        buf_lit(&out, ";rport");
    buf_lit(&out, "\r\nMax-Forwards: 70\r\nFrom: <");
    buf_str(&out, aor);
    buf_lit(&out, ">;tag=f");
    buf_u64(&out, p->index);
    buf_lit(&out, "\r\nTo: <");
    buf_str(&out, aor);
    buf_lit(&out, ">\r\nCall-ID: r");
    buf_u64(&out, p->index);
    buf_char(&out, '-');
    buf_u64(&out, p->call_id);
    buf_lit(&out, "\r\nCSeq: ");
    buf_u64(&out, ++p->cseq);
    buf_lit(&out, " REGISTER\r\n");
    put_contacts(&out, p, tx);
    if (p->nonce[0] && (p->habits.preemptive || tx->again))
        put_credentials(s, &out, p, !removes(tx->kind));
    buf_lit(&out, "User-Agent: phone\r\nContent-Length: 0\r\n\r\n");
    tx->n = out.n;
}

/* ---- sending ---------------------------------------------------------------------- */

static void transmit(struct sim *s, struct phone *p)
{
    struct register_tx *tx = &p->tx;

    if (tx->kind == REGISTER_REMOVE_ALL)
        s->people.list[p->aor].all_removed_us = tx->gives_up_us + ALL_REMOVED_GRACE;
    if (!removes(tx->kind))
        phone_contact(p, p->line)->added_us = s->now_us;
    phone_send(s, p, span_make(tx->text, tx->n));
}

static void begin(struct sim *s, struct phone *p)
{
    struct register_tx *tx = &p->tx;

    tx->busy = true;
    phone_connect(s, p);
    tx->wire = p->wire;
    tx->number = ++p->branches;
    tx->asked_s = p->habits.asks_s;
    tx->flow = p->public;
    /* Where its binding has expired before, nothing is left that it removes. */
    tx->alone = removes(tx->kind) && check_live(s, p->aor) == 1;
    tx->sent_us = s->now_us;
    tx->interval_us = T1_US;
    tx->gives_up_us = s->now_us + T64_US;
    tx->next_us = p->habits.by_stream ? tx->gives_up_us : s->now_us + T1_US;
    build(s, p, tx);
    transmit(s, p);
}

void phone_register(struct sim *s, struct phone *p, enum register_kind kind)
{
    p->tx.kind = kind;
    p->tx.challenges = 0;
    p->tx.again = false;
    p->act_us = NEVER;
    begin(s, p);
}

/* ---- what comes of it --------------------------------------------------------------- */

static void act_in(struct sim *s, struct phone *p, uint64_t low_s, uint64_t high_s)
{
    p->act_us = s->now_us + chance_between(dice(s), low_s * SECOND, high_s * SECOND);
}

static void failed(struct sim *s, struct phone *p, uint64_t low_s, uint64_t high_s)
{
    p->tx.busy = false;
    if (p->mind == PHONE_LEAVING && removes(p->tx.kind)) {
        if (++p->tries >= LEAVE_TRIES)
            phone_turn_off(s, p);
        else
            act_in(s, p, 1, 5);
        return;
    }
    if (p->mind == PHONE_LEAVING)
        p->act_us = s->now_us;
    else
        act_in(s, p, low_s, high_s);
}

void phone_register_lost(struct sim *s, struct phone *p)
{
    failed(s, p, 1, chance_percent(dice(s), 70) ? 5 : 80);
}

void phone_register_timer(struct sim *s, struct phone *p)
{
    struct register_tx *tx = &p->tx;

    if (s->now_us >= tx->gives_up_us) {
        TRACE(s, p->aor, "phone %u: no answer", p->index);
        /* It may have been granted less than it was told before. */
        p->view.valid = false;
        failed(s, p, 2, 20);
        phone_disconnect(s, p, WIRE_RESET);
        return;
    }
    tx->interval_us = tx->interval_us * 2 < T2_US ? tx->interval_us * 2 : T2_US;
    tx->next_us = s->now_us + tx->interval_us;
    if (tx->next_us > tx->gives_up_us)
        tx->next_us = tx->gives_up_us;
    transmit(s, p);
}

/* What the answer grants the contact that was sent; -1: it does not list it. */
static int64_t granted_s(struct phone *p, const struct sip_message *m)
{
    char room[128];
    struct buf own = buf_make(room, sizeof room);
    struct sip_nameaddr na;
    struct sip_fault fault;
    struct span expires;
    uint32_t seconds;

    buf_char(&own, '<');
    phone_put_contact(&own, p, p->line);
    buf_char(&own, '>');
    for (const struct sip_header *h = sip_first(m, SIP_H_CONTACT); h; h = sip_next(m, h)) {
        const char *at = memmem(h->value.p, h->value.n, own.p, own.n);

        if (at && sip_nameaddr_parse(span_between(at, h->value.p + h->value.n), &na, &fault) &&
            sip_param(na.params, SPAN("expires"), &expires) && span_u32(expires, &seconds))
            return seconds;
    }
    return -1;
}

static void added(struct sim *s, struct phone *p, int64_t seconds)
{
    struct register_tx *tx = &p->tx;

    if (seconds < 0 || seconds > tx->asked_s) {
        if (s->people.list[p->aor].all_removed_us < tx->sent_us &&
            s->people.list[p->aor].refused_us < tx->sent_us)
            check_fail(s, 9, p->aor,
                       "phone %u asked for %u s and its 200 grants %lld (-1: does "
                       "not list its contact)",
                       p->index, tx->asked_s, (long long)seconds);
        failed(s, p, 1, 5);
        return;
    }
    p->view = (struct phone_view){
        .valid = true,
        .line = p->line,
        .since_us = tx->sent_us,
        .until_us = tx->sent_us + (uint64_t)seconds * SECOND,
        .flow = tx->flow,
        .wire = tx->wire,
    };
    if (tx->kind == REGISTER_SWAP)
        phone_contact(p, p->old_line)->removed_us = s->now_us;
    p->act_us = s->now_us + (uint64_t)seconds * chance_between(dice(s), 500000, 900000);
}

static void removed(struct sim *s, struct phone *p)
{
    phone_contact(p, p->line)->removed_us = s->now_us;
    if (p->tx.kind == REGISTER_REMOVE_ALL)
        s->people.list[p->aor].all_removed_us = s->now_us + ALL_REMOVED_GRACE;
    check_left(s, p->aor, p->tx.alone);
    phone_turn_off(s, p);
}

/* `seconds`: what was granted to its contact, as granted_s() says. */
static void succeeded(struct sim *s, struct phone *p, int64_t seconds)
{
    if (!p->habits.preemptive)
        p->nonce[0] = '\0';
    p->tx.busy = false;
    if (removes(p->tx.kind)) {
        removed(s, p);
        return;
    }
    added(s, p, seconds);
    if (p->mind == PHONE_LEAVING) {
        p->view.valid = false;
        p->act_us = s->now_us;
    }
}

static void challenged(struct sim *s, struct phone *p, const struct sip_message *m)
{
    struct span value = sip_value(m, SIP_H_WWW_AUTHENTICATE);
    struct span nonce = digest_param(value, "nonce");

    if (!nonce.n || nonce.n >= sizeof p->nonce || ++p->tx.challenges > CHALLENGES_MAX) {
        p->nonce[0] = '\0';
        failed(s, p, 5, 30);
        return;
    }
    memcpy(p->nonce, nonce.p, nonce.n);
    p->nonce[nonce.n] = '\0';
    p->nc = 0;
    p->tx.again = true;
    begin(s, p);
}

static void refused(struct sim *s, struct phone *p, const struct sip_message *m)
{
    uint32_t after_s = 10;

    p->nonce[0] = '\0';
    switch (m->status) {
    case 403:
    case 404:
        if (check_is_full(s, p))
            s->people.list[p->aor].full_us = s->now_us;
        p->view.valid = false;
        failed(s, p, 30, 60);
        return;
    case 423:
        check_fail(s, 9, p->aor, "phone %u asked for %u s and got 423", p->index, p->tx.asked_s);
        return;
    case 500: /* its CSeq is behind: the next is higher */
        failed(s, p, 1, 3);
        return;
    default:
        sip_delta_seconds(sip_value(m, SIP_H_RETRY_AFTER), &after_s);
        if (after_s > 60)
            check_fail(s, 9, p->aor, "midreg passes Retry-After %u on to phone %u", after_s,
                       p->index);
        failed(s, p, after_s, after_s + 10);
    }
}

static void put_branch(struct buf *out, const struct phone *p)
{
    buf_lit(out, "branch=z9hG4bKr");
    buf_u64(out, p->index);
    buf_char(out, 'x');
    buf_u64(out, p->tx.number);
}

/* Most of what phones hear is a 200 to a REGISTER. Only every eighth is read as
 * SIP is read; of the others what matters is looked for in the text. */
bool phone_register_quick(struct sim *s, struct phone *p, struct span text)
{
    char room[160];
    struct buf want = buf_make(room, sizeof room);
    struct span rest, digits;
    const char *at;
    uint32_t seconds;

    if (!p->tx.busy || removes(p->tx.kind) || s->trace.datagrams % 8 == 0 || text.n < VIA_WITHIN ||
        memcmp(text.p, "SIP/2.0 200 ", 12) != 0)
        return false;
    put_branch(&want, p);
    at = memmem(text.p, VIA_WITHIN, want.p, want.n);
    if (!at || (at[want.n] != ';' && at[want.n] != '\r'))
        return false;
    want.n = 0;
    buf_char(&want, '<');
    phone_put_contact(&want, p, p->line);
    buf_lit(&want, ">;expires=");
    at = memmem(at, (size_t)(text.p + text.n - at), want.p, want.n);
    if (!at)
        return false;
    rest = span_between(at + want.n, text.p + text.n);
    digits = span_make(rest.p, 0);
    while (digits.n < rest.n && digits.p[digits.n] >= '0' && digits.p[digits.n] <= '9')
        digits.n++;
    if (!span_u32(digits, &seconds))
        return false;
    succeeded(s, p, seconds);
    return true;
}

/* Is it the answer to the REGISTER that is on its way? */
static bool belongs(const struct phone *p, const struct sip_message *m)
{
    char room[64];
    struct buf branch = buf_make(room, sizeof room);
    struct sip_via via;
    struct sip_fault fault;

    put_branch(&branch, p);
    return p->tx.busy && sip_via_top(m, &via, &fault) &&
           span_eq(via.branch, span_make(branch.p + 7, branch.n - 7));
}

void phone_register_answer(struct sim *s, struct phone *p, const struct sip_message *m)
{
    if (!belongs(p, m) || m->status < 200)
        return;
    if (m->status < 300)
        succeeded(s, p, removes(p->tx.kind) ? 0 : granted_s(p, m));
    else if (m->status == 401 || m->status == 407)
        challenged(s, p, m);
    else
        refused(s, p, m);
}

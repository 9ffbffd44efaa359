/*
 * pbx_incoming: calls from phones at the main registrar.
 *
 * It challenges them where it challenges REGISTERs, rings, answers, refuses,
 * talks and hangs up: the server side of RFC 3261 13.3 and 17.2.1.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#define RINGS_MOST   (60 * SECOND)
#define FORGET_AFTER (60 * SECOND)

/* "d7-3": the third call of phone 7. */
static bool read_call_id(struct span call_id, uint32_t *phone, uint32_t *number)
{
    const char *dash = call_id.n > 3 ? memchr(call_id.p, '-', call_id.n) : NULL;

    return dash && call_id.p[0] == 'd' && span_u32(span_between(call_id.p + 1, dash), phone) &&
           span_u32(span_between(dash + 1, call_id.p + call_id.n), number);
}

struct pbx_incoming *pbx_incoming_find(struct sim *s, struct span call_id)
{
    uint32_t phone, number;

    if (!read_call_id(call_id, &phone, &number))
        return NULL;
    for (unsigned i = 0; i < PBX_INCOMING; i++) {
        struct pbx_incoming *c = &s->pbx.incoming[i];

        if (c->state != INCOMING_NONE && c->phone == phone && c->number == number)
            return c;
    }
    return NULL;
}

static struct pbx_incoming *free_slot(struct sim *s)
{
    for (unsigned i = 0; i < PBX_INCOMING; i++)
        if (s->pbx.incoming[i].state == INCOMING_NONE)
            return &s->pbx.incoming[i];
    return NULL;
}

static void arm(struct sim *s, struct pbx_incoming *c)
{
    uint64_t due_us = c->due_us < c->resend_us ? c->due_us : c->resend_us;

    due_us = c->give_up_us < due_us ? c->give_up_us : due_us;
    alarm_set(&s->queue, &c->alarm, EVENT_INCOMING, (uint32_t)(c - s->pbx.incoming), due_us);
}

/* ---- answers ----------------------------------------------------------------------------- */

static void put_record_routes(struct buf *out, const struct sip_message *m)
{
    for (const struct sip_header *h = sip_first(m, SIP_H_RECORD_ROUTE); h; h = sip_next(m, h))
        buf_span(out, h->line);
}

static void send_answer(struct sim *s, const struct sip_message *m, int aor, int status,
                        struct span fields)
{
    struct buf out = buf_make(s->room, sizeof s->room);

    sip_reply_begin(&out, m, status, NULL, status > 100 ? SPAN("pbx") : SPAN_NONE, NULL);
    if (m->method == SIP_INVITE && status > 100 && status < 300) {
        put_record_routes(&out, m);
        buf_lit(&out, "Contact: <sip:mod_sofia@10.0.0.5:5080>\r\n");
    }
    buf_span(&out, fields);
    sip_put_end(&out, SPAN_NONE);
    pbx_send(s, aor, buf_done(&out));
}

static void answer_call(struct sim *s, struct pbx_incoming *c, int status)
{
    struct sip_fault fault;
    uint32_t via = s->pbx.via;

    c->status = status;
    if (sip_parse(span_make(c->invite, c->invite_n), &s->message, &fault) != SIP_PARSED)
        abort(); /* it was parsed when it came */
    s->pbx.via = c->wire;
    send_answer(s, &s->message, c->aor, status, SPAN_NONE);
    c->wire = s->pbx.via;
    s->pbx.via = via;
}

static void answer_finally(struct sim *s, struct pbx_incoming *c, int status)
{
    c->state = status < 300 ? INCOMING_ANSWERED : INCOMING_REFUSED;
    c->interval_us = T1_US;
    c->resend_us = s->now_us + T1_US;
    c->give_up_us = s->now_us + T64_US;
    c->due_us = NEVER;
    answer_call(s, c, status);
}

/* ---- INVITE ---------------------------------------------------------------------------------- */

/* What phones may not say to a main registrar that believes our address. */
static void check_identity(struct sim *s, const struct sip_message *m, int aor)
{
    if (sip_has(m, SIP_H_P_ASSERTED_IDENTITY) || sip_has(m, SIP_H_REMOTE_PARTY_ID))
        check_fail(s, 8, aor, "a phone's word for who it is reached the main registrar");
}

/* True: the call may go on. */
static bool admit(struct sim *s, const struct sip_message *m, int aor, uint64_t key)
{
    struct buf out = buf_make(s->room, sizeof s->room);
    struct pbx_nonce *nonce = NULL;
    char room[256];
    bool stale = false;
    int status = s->auth == AUTH_UPSTREAM
                     ? pbx_authenticate(s, m, SIP_H_PROXY_AUTHORIZATION, aor, &stale, &nonce)
                     : 0;

    if (status == 0)
        return true;
    sip_reply_begin(&out, m, status == 401 ? 407 : status, NULL, SPAN("pbx"), NULL);
    if (status == 401)
        buf_span(&out, pbx_put_challenge(s, "Proxy-Authenticate", room, sizeof room, stale));
    sip_put_end(&out, SPAN_NONE);
    pbx_answer(s, aor, key, 0, buf_done(&out));
    return false;
}

static void decide(struct sim *s, struct pbx_incoming *c)
{
    struct chance *dice = &s->pbx.chance;
    uint32_t what = chance_below(dice, 100);

    c->state = INCOMING_RINGING;
    c->decision = what < 60 ? 200 : what < 80 ? 486 : 0;
    c->due_us =
        s->now_us + (c->decision ? chance_between(dice, SECOND / 5, 8 * SECOND) : RINGS_MOST);
    answer_call(s, c, 100);
    answer_call(s, c, 180);
}

static uint32_t cseq_of(const struct sip_message *m)
{
    struct sip_cseq cseq = {0};
    struct sip_fault fault;

    (void)sip_cseq_parse(sip_value(m, SIP_H_CSEQ), &cseq, &fault);
    return cseq.number;
}

static void begin(struct sim *s, const struct sip_message *m, uint32_t phone, uint32_t number,
                  struct span branch, uint64_t key)
{
    struct pbx_incoming *c = free_slot(s);
    int aor = pbx_person(s, m, SIP_H_FROM);

    check_identity(s, m, aor);
    if (!admit(s, m, aor, key) || !c || m->raw.n > sizeof c->invite)
        return;
    struct alarm alarm = c->alarm;
    *c = (struct pbx_incoming){.alarm = alarm, .aor = aor, .phone = phone, .number = number};
    c->began_us = s->now_us;
    c->cseq = cseq_of(m);
    c->wire = s->pbx.via;
    c->resend_us = c->give_up_us = NEVER;
    snprintf(c->branch, sizeof c->branch, "%.*s", (int)branch.n, branch.p);
    memcpy(c->invite, m->raw.p, m->raw.n);
    c->invite_n = m->raw.n;
    decide(s, c);
    arm(s, c);
}

/* A lower CSeq is a late copy of one that it challenged, which it has forgotten since if it was
 * restarted. */
static void copy_of_invite(struct sim *s, struct pbx_incoming *c, const struct sip_message *m,
                           struct span branch)
{
    bool same = span_eq(span_of(c->branch), branch);

    if (!same && cseq_of(m) >= c->cseq && copy_is_known(s, c->began_us))
        check_fail(s, 4, c->aor, "phone %u's call %u comes a second time", c->phone, c->number);
    if (same && c->status && c->state < INCOMING_TALKING)
        answer_call(s, c, c->status);
}

/* ---- the rest of the call ----------------------------------------------------------------------
 */

static void over(struct sim *s, struct pbx_incoming *c)
{
    c->state = INCOMING_OVER;
    c->resend_us = c->give_up_us = NEVER;
    c->due_us = s->now_us + FORGET_AFTER;
}

static void ack(struct sim *s, struct pbx_incoming *c)
{
    if (c->state == INCOMING_REFUSED)
        over(s, c);
    if (c->state != INCOMING_ANSWERED)
        return;
    c->state = INCOMING_TALKING;
    c->resend_us = c->give_up_us = NEVER;
    c->due_us = s->now_us + chance_between(&s->pbx.chance, 2, 60) * SECOND;
}

static void cancel(struct sim *s, struct pbx_incoming *c, const struct sip_message *m)
{
    send_answer(s, m, c ? c->aor : NO_AOR, c ? 200 : 481, SPAN_NONE);
    if (c && c->state == INCOMING_RINGING)
        answer_finally(s, c, 487);
}

static void bye(struct sim *s, struct pbx_incoming *c, const struct sip_message *m, uint64_t key)
{
    struct buf out = buf_make(s->room, sizeof s->room);

    sip_reply_begin(&out, m, c ? 200 : 481, NULL, SPAN("pbx"), NULL);
    sip_put_end(&out, SPAN_NONE);
    pbx_answer(s, c ? c->aor : NO_AOR, key, 0, buf_done(&out));
    if (c && c->state >= INCOMING_ANSWERED)
        over(s, c);
}

bool pbx_incoming_request(struct sim *s, const struct sip_message *m, uint64_t key)
{
    struct span call_id = sip_value(m, SIP_H_CALL_ID);
    struct pbx_incoming *c = pbx_incoming_find(s, call_id);
    struct sip_fault fault;
    struct sip_via via;
    uint32_t phone, number;

    if (!read_call_id(call_id, &phone, &number) || !sip_via_top(m, &via, &fault))
        return false;
    if (m->method == SIP_INVITE && c)
        copy_of_invite(s, c, m, via.branch);
    else if (m->method == SIP_INVITE)
        begin(s, m, phone, number, via.branch, key);
    else if (m->method == SIP_CANCEL)
        cancel(s, c, m);
    else if (m->method == SIP_BYE)
        bye(s, c, m, key);
    else if (m->method == SIP_ACK && c)
        ack(s, c);
    if (c)
        arm(s, c);
    return true;
}

/* ---- hanging up
 * ----------------------------------------------------------------------------------- */

static void build_bye(struct sim *s, struct pbx_incoming *c)
{
    struct buf out = buf_make(c->bye, sizeof c->bye);
    const struct sip_message *m = &s->message;
    struct sip_nameaddr contact;
    struct sip_fault fault;
    struct sip_list list;
    struct span value;

    if (sip_parse(span_make(c->invite, c->invite_n), &s->message, &fault) != SIP_PARSED ||
        !sip_nameaddr_parse(sip_value(m, SIP_H_CONTACT), &contact, &fault)) {
        check_fail(s, 4, c->aor, "a call of phone %u came without a good Contact", c->phone);
        return;
    }
    buf_lit(&out, "BYE ");
    buf_span(&out, contact.uri_text);
    buf_lit(&out, " SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:5080;rport;branch=z9hG4bKe");
    buf_u64(&out, ++s->pbx.branches);
    buf_lit(&out, "\r\n");
    sip_list_init(&list, m, SIP_H_RECORD_ROUTE);
    while (sip_list_next(&list, &value)) {
        buf_lit(&out, "Route: ");
        buf_span(&out, value);
        buf_lit(&out, "\r\n");
    }
    buf_lit(&out, "Max-Forwards: 70\r\nFrom: ");
    buf_span(&out, sip_value(m, SIP_H_TO));
    buf_lit(&out, ";tag=pbx\r\nTo: ");
    buf_span(&out, sip_value(m, SIP_H_FROM));
    buf_lit(&out, "\r\nCall-ID: ");
    buf_span(&out, sip_value(m, SIP_H_CALL_ID));
    buf_lit(&out, "\r\nCSeq: 7 BYE\r\n");
    sip_put_end(&out, SPAN_NONE);
    c->bye_n = out.n;
}

static void hang_up(struct sim *s, struct pbx_incoming *c)
{
    c->state = INCOMING_ENDING;
    c->due_us = NEVER;
    c->interval_us = T1_US;
    c->resend_us = s->now_us + T1_US;
    c->give_up_us = s->now_us + T64_US;
    build_bye(s, c);
    pbx_send(s, c->aor, span_make(c->bye, c->bye_n));
}

bool pbx_incoming_answer(struct sim *s, const struct sip_message *m)
{
    struct pbx_incoming *c = pbx_incoming_find(s, sip_value(m, SIP_H_CALL_ID));

    if (!c)
        return false;
    if (m->method == SIP_BYE && m->status >= 200 && c->state == INCOMING_ENDING) {
        check_incoming_ends(s, c, m->status);
        over(s, c);
        arm(s, c);
    }
    return true;
}

static void give_up(struct sim *s, struct pbx_incoming *c)
{
    check_incoming_ends(s, c, 0);
    over(s, c);
}

static void due(struct sim *s, struct pbx_incoming *c)
{
    if (c->state == INCOMING_RINGING)
        answer_finally(s, c, c->decision ? c->decision : 480);
    else if (c->state == INCOMING_TALKING)
        hang_up(s, c);
    else
        c->state = INCOMING_NONE;
}

void pbx_incoming_event(struct sim *s, const struct event *e)
{
    struct pbx_incoming *c = &s->pbx.incoming[e->who];

    if (!alarm_rings(&s->queue, &c->alarm, e) || c->state == INCOMING_NONE)
        return;
    if (c->give_up_us <= s->now_us) {
        give_up(s, c);
    } else if (c->resend_us <= s->now_us) {
        c->interval_us = c->interval_us * 2 < T2_US ? c->interval_us * 2 : T2_US;
        c->resend_us = s->now_us + c->interval_us;
        if (c->state == INCOMING_ENDING)
            pbx_send(s, c->aor, span_make(c->bye, c->bye_n));
        else
            answer_call(s, c, c->status);
    }
    if (c->due_us <= s->now_us)
        due(s, c);
    if (c->state != INCOMING_NONE)
        arm(s, c);
}

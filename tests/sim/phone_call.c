/*
 * phone_call: a phone answers calls: it rings, picks up, is busy, sleeps, hangs up.
 *
 * The server side of RFC 3261 13.3 and 17.2.1 with a BYE of its own. A call is
 * remembered after its end, so that late copies do not ring again.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#define FORGET_AFTER (60 * SECOND)
#define RINGS_MOST   (120 * SECOND)

static struct chance *dice(struct sim *s)
{
    return &s->phones.chance;
}

static void forget(struct phone_call *c)
{
    free(c->invite);
    free(c->bye);
    *c = (struct phone_call){0};
}

void phone_call_forget_all(struct phone *p)
{
    for (unsigned i = 0; i < PHONE_CALLS; i++)
        forget(&p->calls[i]);
}

/* ---- answers ------------------------------------------------------------------------------- */

static void put_record_routes(struct buf *out, const struct sip_message *m)
{
    for (const struct sip_header *h = sip_first(m, SIP_H_RECORD_ROUTE); h; h = sip_next(m, h))
        buf_span(out, h->line);
}

/* An answer to any request; `tag` 0: none is added. */
static void answer(struct sim *s, struct phone *p, const struct sip_message *m, int status,
                   uint32_t tag)
{
    char tag_text[16];
    struct buf out = buf_make(s->room, sizeof s->room);

    snprintf(tag_text, sizeof tag_text, "%x", tag);
    sip_reply_begin(&out, m, status, NULL, tag ? span_of(tag_text) : SPAN_NONE, NULL);
    if (m->method == SIP_INVITE && status > 100 && status < 300) {
        put_record_routes(&out, m);
        buf_lit(&out, "Contact: <");
        phone_put_contact(&out, p, p->line);
        buf_lit(&out, ">\r\n");
    }
    sip_put_end(&out, SPAN_NONE);
    phone_send(s, p, buf_done(&out));
}

/* The kept INVITE, parsed into s->message, which its caller no longer needs. */
static const struct sip_message *invite_of(struct sim *s, const struct phone_call *c)
{
    struct sip_fault fault;

    if (sip_parse(span_make(c->invite, c->invite_n), &s->message, &fault) != SIP_PARSED)
        abort(); /* it was parsed when it came */
    return &s->message;
}

static void answer_call(struct sim *s, struct phone *p, struct phone_call *c, int status)
{
    c->status = status;
    answer(s, p, invite_of(s, c), status, status == 100 ? 0 : c->tag);
}

/* A final answer, repeated until its ACK comes. */
static void answer_finally(struct sim *s, struct phone *p, struct phone_call *c, int status)
{
    c->state = status < 300 ? PCALL_ANSWERED : PCALL_REFUSED;
    c->answered_us = s->now_us;
    c->interval_us = T1_US;
    /* By TCP only a 2xx, which must get through to the caller (RFC 3261 13.3.1.4). */
    c->resend_us = p->habits.by_stream && status >= 300 ? NEVER : s->now_us + T1_US;
    c->give_up_us = s->now_us + T64_US;
    c->due_us = NEVER;
    answer_call(s, p, c, status);
}

/* ---- INVITE -----------------------------------------------------------------------------------
 */

/* "c17@pbx" */
static uint32_t number_of(const struct sip_message *m)
{
    struct span call_id = sip_value(m, SIP_H_CALL_ID);
    uint32_t number = 0;

    if (call_id.n < 6 || !span_u32(span_make(call_id.p + 1, call_id.n - 5), &number))
        return 0;
    return number;
}

/* The contact that the Request-URI names; 0: none of this phone. */
static uint32_t line_called(const struct sim *s, const struct phone *p, const struct sip_message *m)
{
    struct sip_uri uri;
    struct sip_fault fault;
    struct span value;
    uint32_t phone, line;

    if (!sip_uri_parse(m->ruri, &uri, &fault) || !sip_uri_param(&uri, SPAN("line"), &value) ||
        !phone_of_line(s, value, &phone, &line) || phone != p->index)
        return 0;
    return line;
}

static struct phone_call *find_branch(struct phone *p, uint32_t number, struct span branch)
{
    for (unsigned i = 0; i < PHONE_CALLS; i++) {
        struct phone_call *c = &p->calls[i];

        if (c->state != PCALL_NONE && c->number == number && span_eq(span_of(c->branch), branch))
            return c;
    }
    return NULL;
}

static struct phone_call *find_number(struct phone *p, uint32_t number)
{
    for (unsigned i = 0; i < PHONE_CALLS; i++)
        if (p->calls[i].state != PCALL_NONE && p->calls[i].number == number)
            return &p->calls[i];
    return NULL;
}

static struct phone_call *free_slot(struct phone *p)
{
    for (unsigned i = 0; i < PHONE_CALLS; i++)
        if (p->calls[i].state == PCALL_NONE)
            return &p->calls[i];
    return NULL;
}

/* What the person does, and when. */
static void decide(struct sim *s, struct phone *p, struct phone_call *c)
{
    struct chance *d = dice(s);
    uint32_t what = chance_below(d, 100);

    c->state = PCALL_RINGING;
    c->decision = what < 45 ? 200 : what < 60 ? 486 : what < 63 ? 603 : 0;
    c->due_us = s->now_us + (c->decision ? chance_between(d, SECOND / 5, 15 * SECOND) : RINGS_MOST);
    if (what >= 95) {
        c->state = PCALL_SILENT;
    } else if (what >= 90) {
        c->decision = 200; /* answers at once, without ringing */
        answer_finally(s, p, c, 200);
    } else {
        if (chance_percent(d, 30))
            answer_call(s, p, c, 100);
        answer_call(s, p, c, chance_percent(d, 80) ? 180 : 183);
    }
}

static void ring(struct sim *s, struct phone *p, const struct sip_message *m, uint32_t number,
                 uint32_t line, struct span branch)
{
    struct phone_call *c = free_slot(p);

    check_rang(s, p, number);
    if (!c) {
        answer(s, p, m, 486, p->index + 1);
        return;
    }
    *c = (struct phone_call){.number = number, .line = line, .began_us = s->now_us};
    c->resend_us = c->give_up_us = NEVER;
    c->tag = chance_below(dice(s), UINT32_MAX) | 1;
    snprintf(c->branch, sizeof c->branch, "%.*s", (int)branch.n, branch.p);
    c->invite = malloc(m->raw.n);
    if (!c->invite)
        abort();
    memcpy(c->invite, m->raw.p, m->raw.n);
    c->invite_n = m->raw.n;
    decide(s, p, c);
}

static void invite(struct sim *s, struct phone *p, const struct sip_message *m, struct span branch)
{
    uint32_t number = number_of(m);
    uint32_t line = line_called(s, p, m);
    struct phone_call *c = find_branch(p, number, branch);

    if (c) { /* a copy */
        if (c->status && c->state != PCALL_TALKING && c->state != PCALL_OVER)
            answer_call(s, p, c, c->status);
        return;
    }
    if (line == 0 || line != p->line) {
        answer(s, p, m, 404, p->index + 1);
        return;
    }
    c = find_number(p, number);
    if (c) {
        if (c->line == line && copy_is_known(s, c->began_us))
            check_fail(s, 4, p->aor, "phone %u rings twice for call %u", p->index, number);
        answer(s, p, m, 482, p->index + 1);
        return;
    }
    ring(s, p, m, number, line, branch);
}

/* ---- other requests
 * ------------------------------------------------------------------------------ */

static void over(struct sim *s, struct phone_call *c)
{
    c->state = PCALL_OVER;
    c->resend_us = NEVER;
    c->give_up_us = NEVER;
    c->due_us = s->now_us + FORGET_AFTER;
}

static void ack(struct sim *s, struct phone *p, const struct sip_message *m)
{
    struct phone_call *c = find_number(p, number_of(m));

    if (!c)
        return;
    if (c->state == PCALL_REFUSED)
        over(s, c);
    if (c->state != PCALL_ANSWERED)
        return;
    c->state = PCALL_TALKING;
    c->resend_us = c->give_up_us = NEVER;
    c->due_us = s->now_us + chance_between(dice(s), 2, 90) * SECOND;
}

static void cancel(struct sim *s, struct phone *p, const struct sip_message *m, struct span branch)
{
    struct phone_call *c = find_branch(p, number_of(m), branch);

    answer(s, p, m, c ? 200 : 481, c ? c->tag : p->index + 1);
    if (c && (c->state == PCALL_RINGING || c->state == PCALL_SILENT))
        answer_finally(s, p, c, 487);
}

static void bye(struct sim *s, struct phone *p, const struct sip_message *m)
{
    struct phone_call *c = find_number(p, number_of(m));

    if (phone_dial_bye(s, p, m)) {
        answer(s, p, m, 200, p->index + 1);
        return;
    }
    answer(s, p, m, c ? 200 : 481, p->index + 1);
    if (c && (c->state == PCALL_ANSWERED || c->state == PCALL_TALKING || c->state == PCALL_ENDING))
        over(s, c);
}

void phone_call_request(struct sim *s, struct phone *p, const struct sip_message *m)
{
    struct sip_via via;
    struct sip_fault fault;

    if (!sip_via_top(m, &via, &fault)) {
        check_fail(s, 0, p->aor, "midreg's request has no good Via");
        return;
    }
    switch (m->method) {
    case SIP_INVITE:
        invite(s, p, m, via.branch);
        break;
    case SIP_ACK:
        ack(s, p, m);
        break;
    case SIP_CANCEL:
        cancel(s, p, m, via.branch);
        break;
    case SIP_BYE:
        bye(s, p, m);
        break;
    default:
        answer(s, p, m, 405, p->index + 1);
    }
}

/* ---- hanging up
 * ------------------------------------------------------------------------------------ */

/* The route set of who was called: the Record-Routes in their order. */
static void put_routes(struct buf *out, const struct sip_message *m)
{
    struct sip_list list;
    struct span value;

    sip_list_init(&list, m, SIP_H_RECORD_ROUTE);
    while (sip_list_next(&list, &value)) {
        buf_lit(out, "Route: ");
        buf_span(out, value);
        buf_lit(out, "\r\n");
    }
}

static void build_bye(struct sim *s, struct phone *p, struct phone_call *c)
{
    const struct sip_message *m = invite_of(s, c);
    struct buf out = buf_make(s->room, sizeof s->room);
    struct sip_nameaddr contact;
    struct sip_fault fault;
    char tag[16];

    if (!sip_nameaddr_parse(sip_value(m, SIP_H_CONTACT), &contact, &fault)) {
        check_fail(s, 4, p->aor, "the INVITE of call %u has lost its Contact", c->number);
        return;
    }
    snprintf(tag, sizeof tag, "%x", c->tag);
    buf_lit(&out, "BYE ");
    buf_span(&out, contact.uri_text);
    buf_lit(&out, " SIP/2.0\r\nVia: SIP/2.0/");
    buf_str(&out, phone_transport(p));
    buf_char(&out, ' ');
    address_put(&out, &p->local);
    buf_lit(&out, ";rport;branch=z9hG4bKb");
    buf_u64(&out, p->index);
    buf_char(&out, 'x');
    buf_u64(&out, ++p->branches);
    buf_lit(&out, "\r\n");
    put_routes(&out, m);
    buf_lit(&out, "Max-Forwards: 70\r\nFrom: ");
    buf_span(&out, sip_value(m, SIP_H_TO));
    buf_lit(&out, ";tag=");
    buf_str(&out, tag);
    buf_lit(&out, "\r\nTo: ");
    buf_span(&out, sip_value(m, SIP_H_FROM));
    buf_lit(&out, "\r\nCall-ID: ");
    buf_span(&out, sip_value(m, SIP_H_CALL_ID));
    buf_lit(&out, "\r\nCSeq: 1 BYE\r\n");
    sip_put_end(&out, SPAN_NONE);
    c->bye = malloc(out.n);
    if (!c->bye)
        abort();
    memcpy(c->bye, out.p, out.n);
    c->bye_n = out.n;
}

static void hang_up(struct sim *s, struct phone *p, struct phone_call *c)
{
    c->state = PCALL_ENDING;
    c->due_us = NEVER;
    c->answered_us = s->now_us;
    c->interval_us = T1_US;
    c->resend_us = p->habits.by_stream ? NEVER : s->now_us + T1_US;
    c->give_up_us = s->now_us + T64_US;
    build_bye(s, p, c);
    if (c->bye)
        phone_send(s, p, span_make(c->bye, c->bye_n));
}

void phone_call_answer(struct sim *s, struct phone *p, const struct sip_message *m)
{
    struct phone_call *c = find_number(p, number_of(m));

    if (m->method != SIP_BYE || m->status < 200 || !c || c->state != PCALL_ENDING)
        return;
    check_phone_bye_ends(s, p, c, m->status);
    over(s, c);
}

/* ---- timers
 * ------------------------------------------------------------------------------------------ */

static void resend(struct sim *s, struct phone *p, struct phone_call *c)
{
    c->interval_us = c->interval_us * 2 < T2_US ? c->interval_us * 2 : T2_US;
    c->resend_us = s->now_us + c->interval_us;
    if (c->state == PCALL_ENDING)
        phone_send(s, p, span_make(c->bye, c->bye_n));
    else
        answer_call(s, p, c, c->status);
}

static void give_up(struct sim *s, struct phone *p, struct phone_call *c)
{
    check_phone_call_stuck(s, p, c);
    if (c->state == PCALL_ANSWERED)
        hang_up(s, p, c); /* RFC 3261 13.3.1.4 */
    else
        over(s, c);
}

static void due(struct sim *s, struct phone *p, struct phone_call *c)
{
    switch (c->state) {
    case PCALL_RINGING:
        answer_finally(s, p, c, c->decision ? c->decision : 480);
        break;
    case PCALL_TALKING:
        hang_up(s, p, c);
        break;
    case PCALL_OVER:
    case PCALL_SILENT:
        forget(c);
        break;
    default:
        c->due_us = NEVER;
    }
}

void phone_call_timers(struct sim *s, struct phone *p)
{
    for (unsigned i = 0; i < PHONE_CALLS; i++) {
        struct phone_call *c = &p->calls[i];

        if (c->state == PCALL_NONE)
            continue;
        if (c->give_up_us <= s->now_us)
            give_up(s, p, c);
        else if (c->resend_us <= s->now_us)
            resend(s, p, c);
        if (c->due_us <= s->now_us)
            due(s, p, c);
    }
}

uint64_t phone_call_due_us(const struct phone *p)
{
    uint64_t due_us = NEVER;

    for (unsigned i = 0; i < PHONE_CALLS; i++) {
        const struct phone_call *c = &p->calls[i];

        if (c->state == PCALL_NONE)
            continue;
        due_us = c->due_us < due_us ? c->due_us : due_us;
        due_us = c->resend_us < due_us ? c->resend_us : due_us;
        due_us = c->give_up_us < due_us ? c->give_up_us : due_us;
    }
    return due_us;
}

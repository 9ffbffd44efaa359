/*
 * phone_dial: a phone calls somebody behind the main registrar.
 *
 * The client side of RFC 3261 13.2 and 17.1: challenge, CANCEL, ACK along the
 * Record-Route, BYE. One call at a time. It claims to be somebody else, as a phone
 * should not be able to.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#define DIAL_MEAN (100 * MINUTE)
#define CALLED    "sip:9196@" DOMAIN

static struct chance *dice(struct sim *s)
{
    return &s->phones.chance;
}

void phone_dial_plan(struct sim *s, struct phone *p)
{
    p->dial.state = DIAL_NONE;
    p->dial.resend_us = p->dial.give_up_us = p->dial.cancel_resend_us = NEVER;
    p->dial.due_us = s->now_us + 10 * SECOND + chance_around(dice(s), DIAL_MEAN);
}

/* ---- messages ------------------------------------------------------------------------------ */

static void put_head(struct buf *out, struct sim *s, struct phone *p, const char *method,
                     struct span target, char kind, uint32_t branch)
{
    const struct phone_dial *d = &p->dial;

    buf_str(out, method);
    buf_char(out, ' ');
    buf_span(out, target);
    buf_lit(out, " SIP/2.0\r\nVia: SIP/2.0/");
    buf_str(out, phone_transport(p));
    buf_char(out, ' ');
    address_put(out, &p->local);
    buf_lit(out, ";rport;branch=z9hG4bK");
    buf_char(out, kind);
    buf_u64(out, p->index);
    buf_char(out, 'x');
    buf_u64(out, branch);
    buf_lit(out, "\r\nMax-Forwards: 70\r\nFrom: <");
    buf_str(out, s->people.list[p->aor].written[p->habits.written]);
    buf_lit(out, ">;tag=d");
    buf_u64(out, d->number);
    buf_lit(out, "\r\nCall-ID: d");
    buf_u64(out, p->index);
    buf_char(out, '-');
    buf_u64(out, d->number);
    buf_lit(out, "\r\n");
}

static void put_tail(struct buf *out, struct span to, uint32_t cseq, const char *method)
{
    buf_lit(out, "To: ");
    buf_span(out, to);
    buf_lit(out, "\r\nCSeq: ");
    buf_u64(out, cseq);
    buf_char(out, ' ');
    buf_str(out, method);
    buf_lit(out, "\r\n");
}

static void put_credentials(struct sim *s, struct buf *out, struct phone *p)
{
    const struct person *person = &s->people.list[p->aor];
    char response[DIGEST_HEX + 1];

    digest_response(response, person->ha1, SPAN("INVITE"), SPAN(CALLED), span_of(p->dial.nonce),
                    SPAN("00000001"), SPAN("d"));
    buf_lit(out, "Proxy-Authorization: Digest username=\"");
    buf_str(out, person->user);
    buf_lit(out, "\", realm=\"" DOMAIN "\", nonce=\"");
    buf_str(out, p->dial.nonce);
    buf_lit(out, "\", uri=\"" CALLED "\", response=\"");
    buf_str(out, response);
    buf_lit(out, "\", algorithm=MD5, cnonce=\"d\", qop=auth, nc=00000001\r\n");
}

static void send_invite(struct sim *s, struct phone *p)
{
    struct buf out = buf_make(s->room, sizeof s->room);

    put_head(&out, s, p, "INVITE", SPAN(CALLED), 'd', p->dial.branch);
    put_tail(&out, SPAN("<" CALLED ">"), p->dial.cseq, "INVITE");
    buf_lit(&out, "Contact: <");
    phone_put_contact(&out, p, p->line);
    buf_lit(&out, ">\r\nP-Asserted-Identity: <sip:boss@" DOMAIN ">\r\n"
                  "Remote-Party-ID: <sip:boss@" DOMAIN ">\r\n");
    if (p->dial.nonce[0])
        put_credentials(s, &out, p);
    sip_put_end(&out, span_make(s->padding, p->dial.body));
    phone_send(s, p, buf_done(&out));
}

static void send_cancel(struct sim *s, struct phone *p)
{
    struct buf out = buf_make(s->room, sizeof s->room);

    put_head(&out, s, p, "CANCEL", SPAN(CALLED), 'd', p->dial.branch);
    put_tail(&out, SPAN("<" CALLED ">"), p->dial.cseq, "CANCEL");
    sip_put_end(&out, SPAN_NONE);
    phone_send(s, p, buf_done(&out));
}

/* ACK for a refusal: in the INVITE's transaction. */
static void ack_refusal(struct sim *s, struct phone *p, const struct sip_message *m)
{
    struct buf out = buf_make(s->room, sizeof s->room);

    put_head(&out, s, p, "ACK", SPAN(CALLED), 'd', p->dial.branch);
    put_tail(&out, sip_value(m, SIP_H_TO), p->dial.cseq, "ACK");
    sip_put_end(&out, SPAN_NONE);
    phone_send(s, p, buf_done(&out));
}

/* ACK or BYE within the dialog. */
static void send_in_dialog(struct sim *s, struct phone *p, const char *method, char kind,
                           uint32_t cseq)
{
    struct buf out = buf_make(s->room, sizeof s->room);

    put_head(&out, s, p, method, span_of(p->dial.target), kind, p->dial.branch);
    buf_str(&out, p->dial.routes);
    put_tail(&out, span_of(p->dial.to), cseq, method);
    sip_put_end(&out, SPAN_NONE);
    phone_send(s, p, buf_done(&out));
}

/* ---- calling -----------------------------------------------------------------------------------
 */

static void call(struct sim *s, struct phone *p)
{
    struct phone_dial *d = &p->dial;

    d->state = DIAL_CALLING;
    d->branch = ++p->branches;
    d->cseq++;
    d->cancelled_us = 0;
    d->interval_us = T1_US;
    d->resend_us = p->habits.by_stream ? NEVER : s->now_us + T1_US;
    d->give_up_us = s->now_us + T64_US;
    send_invite(s, p);
}

static void dial(struct sim *s, struct phone *p)
{
    struct phone_dial *d = &p->dial;

    phone_connect(s, p);
    d->number++;
    d->body = chance_percent(dice(s), 25) ? 800 + chance_below(dice(s), 2000) : 0;
    d->began_us = s->now_us;
    d->may = phone_reachable(s, p);
    d->nonce[0] = '\0';
    d->cseq = 0;
    d->challenges = 0;
    d->due_us = s->now_us + chance_between(dice(s), 1, 25) * SECOND; /* it gives up ringing */
    call(s, p);
}

static void cancel(struct sim *s, struct phone *p)
{
    struct phone_dial *d = &p->dial;

    d->cancelled_us = s->now_us;
    d->cancel_interval_us = T1_US;
    d->cancel_resend_us = p->habits.by_stream ? NEVER : s->now_us + T1_US;
    d->give_up_us = s->now_us + T64_US + 5 * SECOND;
    send_cancel(s, p);
}

static void hang_up(struct sim *s, struct phone *p)
{
    struct phone_dial *d = &p->dial;

    d->state = DIAL_ENDING;
    d->branch = ++p->branches;
    d->due_us = NEVER;
    d->interval_us = T1_US;
    d->resend_us = p->habits.by_stream ? NEVER : s->now_us + T1_US;
    d->give_up_us = s->now_us + T64_US;
    send_in_dialog(s, p, "BYE", 'h', d->cseq + 1);
}

static void resend(struct sim *s, struct phone *p)
{
    struct phone_dial *d = &p->dial;

    d->interval_us *= 2;
    if (d->state == DIAL_ENDING && d->interval_us > T2_US)
        d->interval_us = T2_US;
    d->resend_us = s->now_us + d->interval_us;
    if (d->state == DIAL_ENDING)
        send_in_dialog(s, p, "BYE", 'h', d->cseq + 1);
    else
        send_invite(s, p);
}

static void due(struct sim *s, struct phone *p)
{
    p->dial.due_us = NEVER;
    switch (p->dial.state) {
    case DIAL_NONE:
        if (sim_evening(s))
            break;
        if (p->mind == PHONE_ON)
            dial(s, p);
        else
            phone_dial_plan(s, p);
        break;
    case DIAL_PROCEEDING:
        cancel(s, p);
        break;
    case DIAL_TALKING:
        hang_up(s, p);
        break;
    default:
        break;
    }
}

void phone_dial_timers(struct sim *s, struct phone *p)
{
    struct phone_dial *d = &p->dial;

    if (d->give_up_us <= s->now_us) {
        check_dial_ends(s, p, 0);
        phone_dial_plan(s, p);
        return;
    }
    if (d->resend_us <= s->now_us)
        resend(s, p);
    if (d->cancel_resend_us <= s->now_us) {
        d->cancel_interval_us =
            d->cancel_interval_us * 2 < T2_US ? d->cancel_interval_us * 2 : T2_US;
        d->cancel_resend_us = s->now_us + d->cancel_interval_us;
        send_cancel(s, p);
    }
    if (d->due_us <= s->now_us)
        due(s, p);
}

uint64_t phone_dial_due_us(const struct phone *p)
{
    const struct phone_dial *d = &p->dial;
    uint64_t due_us = d->due_us < d->resend_us ? d->due_us : d->resend_us;

    due_us = d->give_up_us < due_us ? d->give_up_us : due_us;
    return d->cancel_resend_us < due_us ? d->cancel_resend_us : due_us;
}

/* ---- answers
 * ------------------------------------------------------------------------------------- */

static void provisional(struct sim *s, struct phone *p)
{
    struct phone_dial *d = &p->dial;

    if (d->state != DIAL_CALLING)
        return;
    d->state = DIAL_PROCEEDING;
    d->resend_us = NEVER;
    d->give_up_us = s->now_us + 100 * SECOND;
    if (d->due_us == NEVER) /* it wanted to give up before anybody spoke */
        d->due_us = s->now_us + SECOND;
}

/* The route set of the caller: the Record-Routes in reverse. */
static bool read_dialog(struct phone_dial *d, const struct sip_message *m)
{
    struct buf routes = buf_make(d->routes, sizeof d->routes - 1);
    struct span to = sip_value(m, SIP_H_TO), values[8];
    struct sip_nameaddr contact;
    struct sip_fault fault;
    struct sip_list list;
    unsigned count = 0;

    if (!sip_nameaddr_parse(sip_value(m, SIP_H_CONTACT), &contact, &fault))
        return false;
    sip_list_init(&list, m, SIP_H_RECORD_ROUTE);
    while (count < 8 && sip_list_next(&list, &values[count]))
        count++;
    for (unsigned i = count; i-- > 0;) {
        buf_lit(&routes, "Route: ");
        buf_span(&routes, values[i]);
        buf_lit(&routes, "\r\n");
    }
    d->routes[routes.n] = '\0';
    snprintf(d->to, sizeof d->to, "%.*s", (int)to.n, to.p);
    snprintf(d->target, sizeof d->target, "%.*s", (int)contact.uri_text.n, contact.uri_text.p);
    return count > 0 && !routes.overflow;
}

static void answered(struct sim *s, struct phone *p, const struct sip_message *m)
{
    struct phone_dial *d = &p->dial;

    if (d->state == DIAL_CALLING || d->state == DIAL_PROCEEDING) {
        if (!read_dialog(d, m))
            check_fail(s, 4, p->aor, "a 2xx to phone %u has no Contact or Record-Route", p->index);
        d->state = DIAL_TALKING;
        d->resend_us = d->give_up_us = d->cancel_resend_us = NEVER;
        d->due_us =
            s->now_us + (d->cancelled_us ? SECOND / 10 : chance_between(dice(s), 2, 60) * SECOND);
    }
    if (d->state == DIAL_TALKING)
        send_in_dialog(s, p, "ACK", 'k', d->cseq);
}

static void challenged(struct sim *s, struct phone *p, const struct sip_message *m)
{
    struct phone_dial *d = &p->dial;
    struct span nonce = digest_param(sip_value(m, SIP_H_PROXY_AUTHENTICATE), "nonce");

    if (!nonce.n || nonce.n >= sizeof d->nonce || ++d->challenges > 3) {
        check_dial_ends(s, p, m->status);
        phone_dial_plan(s, p);
        return;
    }
    memcpy(d->nonce, nonce.p, nonce.n);
    d->nonce[nonce.n] = '\0';
    if (d->cancelled_us)
        phone_dial_plan(s, p);
    else
        call(s, p);
}

static void refused(struct sim *s, struct phone *p, const struct sip_message *m)
{
    struct phone_dial *d = &p->dial;

    ack_refusal(s, p, m);
    if (d->state != DIAL_CALLING && d->state != DIAL_PROCEEDING)
        return;
    d->resend_us = d->cancel_resend_us = NEVER;
    if (m->status == 407) {
        challenged(s, p, m);
        return;
    }
    check_dial_ends(s, p, m->status);
    phone_dial_plan(s, p);
}

/* Is it about the request that was sent last? */
static bool is_current(const struct phone *p, const struct sip_message *m)
{
    char room[64];
    struct buf branch = buf_make(room, sizeof room);
    struct sip_fault fault;
    struct sip_via via;

    buf_lit(&branch, "z9hG4bK");
    buf_char(&branch, m->method == SIP_BYE ? 'h' : 'd');
    buf_u64(&branch, p->index);
    buf_char(&branch, 'x');
    buf_u64(&branch, p->dial.branch);
    return sip_via_top(m, &via, &fault) && span_eq(via.branch, buf_done(&branch));
}

bool phone_dial_answer(struct sim *s, struct phone *p, const struct sip_message *m)
{
    struct phone_dial *d = &p->dial;

    if (sip_value(m, SIP_H_CALL_ID).n == 0 || sip_value(m, SIP_H_CALL_ID).p[0] != 'd')
        return false;
    if (!is_current(p, m) || d->state == DIAL_NONE)
        return true;
    if (m->method == SIP_CANCEL && m->status >= 200) {
        d->cancel_resend_us = NEVER;
    } else if (m->method == SIP_BYE && m->status >= 200 && d->state == DIAL_ENDING) {
        check_dial_ends(s, p, m->status);
        phone_dial_plan(s, p);
    } else if (m->method == SIP_INVITE && m->status < 200) {
        provisional(s, p);
    } else if (m->method == SIP_INVITE && m->status < 300) {
        answered(s, p, m);
    } else if (m->method == SIP_INVITE) {
        refused(s, p, m);
    }
    return true;
}

bool phone_dial_bye(struct sim *s, struct phone *p, const struct sip_message *m)
{
    struct span call_id = sip_value(m, SIP_H_CALL_ID);
    char room[40];
    int n = snprintf(room, sizeof room, "d%u-%u", p->index, p->dial.number);

    if (!span_eq(call_id, span_make(room, (size_t)n)))
        return false;
    if (p->dial.state == DIAL_TALKING || p->dial.state == DIAL_ENDING)
        phone_dial_plan(s, p);
    return true;
}

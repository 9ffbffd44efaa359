/*
 * pbx_dialog: what follows a 2xx: ACK, talk, BYE, along the Record-Route.
 *
 * A forked call may be answered twice: the second is acknowledged and hung up.
 */
#include "sim.h"

#include <stdio.h>

static void put_head(struct buf *out, const struct pbx_call *c, const struct pbx_dialog *d,
                     const char *method, char kind, uint32_t cseq)
{
    buf_str(out, method);
    buf_char(out, ' ');
    buf_str(out, d->target);
    buf_lit(out, " SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:5080;rport;branch=z9hG4bK");
    buf_char(out, kind);
    buf_u64(out, c->number);
    buf_char(out, 'x');
    buf_u64(out, (uint64_t)(d - c->dialogs));
    buf_lit(out, "\r\n");
    buf_str(out, d->routes);
    buf_lit(out, "Max-Forwards: 70\r\nFrom: \"Caller\" <sip:0000000000@10.0.0.5>;tag=pbx");
    buf_u64(out, c->number);
    buf_lit(out, "\r\nTo: ");
    buf_str(out, d->to);
    buf_lit(out, "\r\nCall-ID: c");
    buf_u64(out, c->number);
    buf_lit(out, "@pbx\r\nCSeq: ");
    buf_u64(out, cseq);
    buf_char(out, ' ');
    buf_str(out, method);
    buf_lit(out, "\r\n");
    sip_put_end(out, SPAN_NONE);
}

static void send_ack(struct sim *s, const struct pbx_call *c, const struct pbx_dialog *d)
{
    struct buf out = buf_make(s->room, sizeof s->room);
    uint32_t via = s->pbx.via;

    put_head(&out, c, d, "ACK", 'a', 100);
    s->pbx.via = 0;
    pbx_send(s, c->aor, buf_done(&out));
    s->pbx.via = via;
}

static void send_bye(struct sim *s, const struct pbx_call *c, const struct pbx_dialog *d)
{
    struct buf out = buf_make(s->room, sizeof s->room);

    put_head(&out, c, d, "BYE", 'b', 101);
    pbx_send(s, c->aor, buf_done(&out));
}

/* ---- a 2xx ------------------------------------------------------------------------------- */

/* The route set of the caller: the Record-Routes in reverse (RFC 3261 12.1.2). */
static unsigned read_routes(struct pbx_dialog *d, const struct sip_message *m)
{
    struct buf out = buf_make(d->routes, sizeof d->routes - 1);
    struct span values[8];
    struct sip_list list;
    unsigned count = 0;

    sip_list_init(&list, m, SIP_H_RECORD_ROUTE);
    while (count < 8 && sip_list_next(&list, &values[count]))
        count++;
    for (unsigned i = count; i-- > 0;) {
        buf_lit(&out, "Route: ");
        buf_span(&out, values[i]);
        buf_lit(&out, "\r\n");
    }
    d->routes[out.n] = '\0';
    return out.overflow ? 0 : count;
}

static struct pbx_dialog *find(struct pbx_call *c, struct span to)
{
    for (unsigned i = 0; i < c->dialog_count; i++)
        if (span_eq(span_of(c->dialogs[i].to), to))
            return &c->dialogs[i];
    return NULL;
}

static struct pbx_dialog *new_dialog(struct sim *s, struct pbx_call *c, const struct sip_message *m)
{
    struct span to = sip_value(m, SIP_H_TO);
    struct pbx_dialog *d = &c->dialogs[c->dialog_count];
    struct sip_nameaddr contact;
    struct sip_fault fault;

    if (c->dialog_count == PBX_DIALOGS)
        return NULL;
    *d = (struct pbx_dialog){.resend_us = NEVER, .give_up_us = NEVER};
    snprintf(d->to, sizeof d->to, "%.*s", (int)to.n, to.p);
    if (!sip_nameaddr_parse(sip_value(m, SIP_H_CONTACT), &contact, &fault) || !read_routes(d, m)) {
        check_fail(s, 4, c->aor, "call %u: a 2xx without Contact or Record-Route", c->number);
        return NULL;
    }
    snprintf(d->target, sizeof d->target, "%.*s", (int)contact.uri_text.n, contact.uri_text.p);
    c->dialog_count++;
    return d;
}

void pbx_dialog_answered(struct sim *s, struct pbx_call *c, const struct sip_message *m)
{
    struct pbx_dialog *d = find(c, sip_value(m, SIP_H_TO));
    bool wanted = c->dialog_count == 0 && !c->cancelled_us &&
                  (c->state == CALL_CALLING || c->state == CALL_PROCEEDING);

    if (!d) {
        d = new_dialog(s, c, m);
        if (!d)
            return;
        d->hangup_us =
            s->now_us + (wanted ? chance_between(&s->pbx.chance, 2, 90) * SECOND : 50000);
    }
    send_ack(s, c, d);
}

/* ---- hanging up ---------------------------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

uint64_t pbx_dialog_due_us(const struct pbx_call *c)
{
    uint64_t due_us = NEVER;

    for (unsigned i = 0; i < c->dialog_count; i++) {
        const struct pbx_dialog *d = &c->dialogs[i];

        if (!d->over)
            due_us = earlier(due_us,
                             d->hanging_up ? earlier(d->resend_us, d->give_up_us) : d->hangup_us);
    }
    return due_us;
}

static void bye_timer(struct sim *s, struct pbx_call *c, struct pbx_dialog *d)
{
    if (!d->hanging_up) {
        d->hanging_up = true;
        d->bye_began_us = s->now_us;
        d->interval_us = T1_US;
        d->give_up_us = s->now_us + T64_US;
    } else if (d->give_up_us <= s->now_us) {
        d->over = true;
        check_bye_ends(s, c, d, 0);
        return;
    } else {
        d->interval_us = d->interval_us * 2 < T2_US ? d->interval_us * 2 : T2_US;
    }
    d->resend_us = s->now_us + d->interval_us;
    send_bye(s, c, d);
}

void pbx_dialog_timers(struct sim *s, struct pbx_call *c)
{
    for (unsigned i = 0; i < c->dialog_count; i++) {
        struct pbx_dialog *d = &c->dialogs[i];
        uint64_t due_us = d->hanging_up ? earlier(d->resend_us, d->give_up_us) : d->hangup_us;

        if (!d->over && due_us <= s->now_us)
            bye_timer(s, c, d);
    }
}

static struct pbx_call *call_of(struct sim *s, const struct sip_message *m)
{
    struct span call_id = sip_value(m, SIP_H_CALL_ID);
    uint32_t number;

    if (call_id.n < 6 || !span_u32(span_make(call_id.p + 1, call_id.n - 5), &number))
        return NULL;
    return pbx_call_find(s, number);
}

void pbx_dialog_bye_answer(struct sim *s, const struct sip_message *m)
{
    struct pbx_call *c = call_of(s, m);
    struct pbx_dialog *d = c ? find(c, sip_value(m, SIP_H_TO)) : NULL;

    if (!d || d->over)
        return;
    d->over = true;
    check_bye_ends(s, c, d, m->status);
}

void pbx_dialog_bye(struct sim *s, const struct sip_message *m, uint64_t key)
{
    struct pbx_call *c = call_of(s, m);
    struct pbx_dialog *d = c ? find(c, sip_value(m, SIP_H_FROM)) : NULL;
    struct buf out = buf_make(s->room, sizeof s->room);

    if (d)
        d->over = true;
    sip_reply_begin(&out, m, d ? 200 : 481, NULL, SPAN("pbx"), NULL);
    sip_put_end(&out, SPAN_NONE);
    pbx_answer(s, c ? c->aor : NO_AOR, key, 0, buf_done(&out));
}

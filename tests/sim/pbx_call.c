/*
 * pbx_call: the main registrar calls and pings the contacts that it holds.
 *
 * An INVITE client transaction of RFC 3261 17.1.1 with a CANCEL beside it. Each
 * call knows which phones it must reach, and is looked at until it is over.
 */
#include "sim.h"

#include <stdio.h>

#define DIAL_MEAN    (40 * SECOND)
#define RINGS_MOST   (60 * SECOND)
#define LOOK_FIRST   (3 * SECOND)
#define FINAL_AFTER  (45 * SECOND)
#define FORGET_AFTER (60 * SECOND)

static const char sdp[] = "v=0\r\no=pbx 1 1 IN IP4 10.0.0.5\r\ns=-\r\nc=IN IP4 10.0.0.5\r\n"
                          "t=0 0\r\nm=audio 20000 RTP/AVP 0\r\n";

struct pbx_call *pbx_call_find(struct sim *s, uint32_t number)
{
    struct pbx_call *c = &s->pbx.calls[number % PBX_CALLS];

    return c->state != CALL_NONE && c->number == number ? c : NULL;
}

/* ---- messages ---------------------------------------------------------------------------- */

static void put_request(struct buf *out, const struct pbx_call *c, const char *method)
{
    buf_str(out, method);
    buf_char(out, ' ');
    buf_str(out, c->contact);
    buf_str(out, c->wire ? " SIP/2.0\r\nVia: SIP/2.0/TCP " : " SIP/2.0\r\nVia: SIP/2.0/UDP ");
    buf_lit(out, "10.0.0.5:5080;rport;branch=z9hG4bKc");
    buf_u64(out, c->number);
    buf_lit(out, "\r\nMax-Forwards: 70\r\nFrom: \"Caller\" <sip:0000000000@10.0.0.5>;tag=pbx");
    buf_u64(out, c->number);
    buf_lit(out, "\r\nCall-ID: c");
    buf_u64(out, c->number);
    buf_lit(out, "@pbx\r\nCSeq: 100 ");
    buf_str(out, method);
    buf_lit(out, "\r\nTo: ");
}

/* Over its connection, as long as that is there. */
static void send_request(struct sim *s, const struct pbx_call *c, struct span bytes)
{
    s->pbx.via = c->wire;
    pbx_send(s, c->aor, bytes);
    s->pbx.via = 0;
}

static void choose_way(const struct sim *s, struct pbx_call *c)
{
    if (!pbx_has(s, c->wire))
        c->wire = 0;
}

static void send_invite(struct sim *s, struct pbx_call *c)
{
    struct buf out = buf_make(s->room, sizeof s->room);
    char body[sizeof sdp + PADDING];
    struct buf text = buf_make(body, sizeof body);

    choose_way(s, c);
    buf_lit(&text, sdp);
    buf_put(&text, s->padding, c->body);
    put_request(&out, c, "INVITE");
    buf_char(&out, '<');
    buf_str(&out, c->contact);
    buf_lit(&out, ">\r\nContact: <sip:mod_sofia@10.0.0.5:5080>\r\n"
                  "Content-Type: application/sdp\r\n");
    sip_put_end(&out, buf_done(&text));
    send_request(s, c, buf_done(&out));
}

static void send_cancel(struct sim *s, struct pbx_call *c)
{
    struct buf out = buf_make(s->room, sizeof s->room);

    choose_way(s, c);
    put_request(&out, c, "CANCEL");
    buf_char(&out, '<');
    buf_str(&out, c->contact);
    buf_lit(&out, ">\r\n");
    sip_put_end(&out, SPAN_NONE);
    send_request(s, c, buf_done(&out));
}

/* RFC 3261 17.1.1.3 */
static void send_ack(struct sim *s, struct pbx_call *c, const struct sip_message *m)
{
    struct buf out = buf_make(s->room, sizeof s->room);
    uint32_t via = s->pbx.via;

    choose_way(s, c);
    put_request(&out, c, "ACK");
    buf_span(&out, sip_value(m, SIP_H_TO));
    buf_lit(&out, "\r\n");
    sip_put_end(&out, SPAN_NONE);
    send_request(s, c, buf_done(&out));
    s->pbx.via = via;
}

/* ---- the call ------------------------------------------------------------------------------ */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void pbx_call_arm(struct sim *s, struct pbx_call *c)
{
    uint64_t due_us = earlier(pbx_dialog_due_us(c), c->looked_us);

    due_us = earlier(due_us, earlier(c->resend_us, c->give_up_us));
    due_us = earlier(due_us, earlier(c->cancel_at_us, c->cancel_resend_us));
    alarm_set(&s->queue, &c->alarm, EVENT_CALL, c->number % PBX_CALLS, due_us);
}

static void over(struct sim *s, struct pbx_call *c, enum pbx_call_state state)
{
    c->state = state;
    c->resend_us = c->give_up_us = c->cancel_at_us = NEVER;
    if (c->over_us == NEVER)
        c->over_us = s->now_us;
}

static void expect(struct sim *s, struct pbx_call *c)
{
    for (uint32_t i = 0; i < s->phones.count && c->expected_count < PBX_EXPECTED; i++) {
        const struct phone *p = &s->phones.list[i];

        if (p->aor == c->aor && phone_reachable(s, p) && p->changed_us + 5 * SECOND < s->now_us &&
            p->view.until_us > s->now_us + 5 * SECOND)
            c->expected[c->expected_count++] = (struct pbx_expected){i, p->habits.q, false};
    }
}

static void begin_call(struct sim *s, int aor, const char *contact)
{
    uint32_t number = ++s->pbx.call_last;
    struct pbx_call *c = &s->pbx.calls[number % PBX_CALLS];
    struct alarm alarm = c->alarm;
    struct chance *dice = &s->pbx.chance;

    if (c->state != CALL_NONE && c->began_us + 20 * MINUTE > s->now_us)
        return;
    *c = (struct pbx_call){.state = CALL_CALLING, .alarm = alarm, .number = number, .aor = aor};
    snprintf(c->contact, sizeof c->contact, "%s", contact);
    c->began_us = s->now_us;
    c->over_us = NEVER;
    c->body = chance_percent(dice, 20) ? 1000 + chance_below(dice, 2500) : 0;
    /* What is large goes over the connection, where there is one. */
    c->wire = c->body && chance_percent(dice, 80) ? s->pbx.wire : 0;
    c->interval_us = T1_US;
    c->resend_us = s->now_us + T1_US;
    c->give_up_us = s->now_us + T64_US;
    c->cancel_at_us =
        s->now_us +
        (chance_percent(dice, 35) ? chance_between(dice, SECOND / 10, 40 * SECOND) : RINGS_MOST);
    c->cancel_resend_us = NEVER;
    c->looked_us = s->now_us + LOOK_FIRST;
    if (faults_calm_for(s, MINUTE) && !sim_evening(s))
        expect(s, c);
    check_call_begins(s, c);
    send_invite(s, c);
    pbx_call_arm(s, c);
}

static void cancel(struct sim *s, struct pbx_call *c)
{
    if (c->over_us == NEVER)
        c->over_us = s->now_us;
    c->cancel_wanted = false;
    c->cancelled_us = s->now_us;
    c->cancel_interval_us = T1_US;
    c->cancel_resend_us = s->now_us + T1_US;
    c->give_up_us = s->now_us + FINAL_AFTER;
    send_cancel(s, c);
}

static void call_timers(struct sim *s, struct pbx_call *c)
{
    if (c->resend_us <= s->now_us && c->state == CALL_CALLING) {
        c->interval_us *= 2;
        c->resend_us = s->now_us + c->interval_us;
        if (!pbx_has(s, c->wire))
            send_invite(s, c);
    }
    if (c->cancel_at_us <= s->now_us) {
        c->cancel_at_us = NEVER;
        if (c->state == CALL_PROCEEDING)
            cancel(s, c);
        else
            c->cancel_wanted = c->state == CALL_CALLING;
    }
    if (c->cancel_resend_us <= s->now_us) {
        c->cancel_interval_us =
            c->cancel_interval_us * 2 < T2_US ? c->cancel_interval_us * 2 : T2_US;
        c->cancel_resend_us = s->now_us + c->cancel_interval_us;
        if (c->cancel_resend_us > c->cancelled_us + T64_US)
            c->cancel_resend_us = NEVER;
        if (!pbx_has(s, c->wire))
            send_cancel(s, c);
    }
    if (c->give_up_us <= s->now_us) {
        over(s, c, CALL_LOST);
        check_call_lost(s, c);
    }
}

void pbx_call_event(struct sim *s, const struct event *e)
{
    struct pbx_call *c = &s->pbx.calls[e->who];

    if (!alarm_rings(&s->queue, &c->alarm, e) || c->state == CALL_NONE)
        return;
    call_timers(s, c);
    pbx_dialog_timers(s, c);
    if (c->looked_us <= s->now_us) {
        c->looked_us = NEVER;
        check_call_rings(s, c);
    }
    pbx_call_arm(s, c);
}

/* ---- answers --------------------------------------------------------------------------------- */

static void provisional(struct sim *s, struct pbx_call *c)
{
    if (c->state != CALL_CALLING)
        return;
    c->state = CALL_PROCEEDING;
    c->resend_us = NEVER;
    c->give_up_us = s->now_us + RINGS_MOST + FINAL_AFTER;
    if (c->cancel_wanted)
        cancel(s, c);
}

static void refused(struct sim *s, struct pbx_call *c, const struct sip_message *m)
{
    send_ack(s, c, m);
    if (c->state == CALL_ANSWERED) {
        if (copy_is_known(s, c->began_us))
            check_fail(s, 4, c->aor, "call %u: %d after a 2xx", c->number, m->status);
        return;
    }
    if (c->state != CALL_CALLING && c->state != CALL_PROCEEDING)
        return;
    over(s, c, CALL_REFUSED);
    c->status = m->status;
    check_call_refused(s, c);
}

static void invite_answer(struct sim *s, struct pbx_call *c, const struct sip_message *m)
{
    if (m->status < 200) {
        provisional(s, c);
    } else if (m->status < 300) {
        pbx_dialog_answered(s, c, m);
        over(s, c, CALL_ANSWERED);
    } else {
        refused(s, c, m);
    }
    pbx_call_arm(s, c);
}

static void ping_answer(struct sim *s, const struct sip_message *m)
{
    struct pbx *pbx = &s->pbx;
    uint32_t number = pbx->ping_number;
    char room[32];

    snprintf(room, sizeof room, "o%u@pbx", number);
    if (number == 0 || !span_eq(sip_value(m, SIP_H_CALL_ID), span_of(room)))
        return;
    pbx->ping_number = 0;
    check_pinged(s, pbx->ping_aor, m->status);
    if (m->status != 480 && m->status != 404)
        return;
    for (unsigned i = 0; i < PBX_ROWS; i++)
        pbx->accounts[pbx->ping_aor].rows[i].used = false;
    /* Somebody may have registered meanwhile. */
    s->people.list[pbx->ping_aor].disturbed_us = s->now_us;
}

void pbx_call_response(struct sim *s, const struct sip_message *m)
{
    struct span call_id = sip_value(m, SIP_H_CALL_ID);
    struct pbx_call *c;
    uint32_t number;

    if (m->method == SIP_OPTIONS) {
        ping_answer(s, m);
        return;
    }
    if (pbx_incoming_answer(s, m))
        return;
    if (call_id.n < 6 || !span_u32(span_make(call_id.p + 1, call_id.n - 5), &number))
        return;
    c = pbx_call_find(s, number);
    if (!c)
        return;
    if (m->method == SIP_INVITE) {
        invite_answer(s, c, m);
    } else if (m->method == SIP_CANCEL && m->status >= 200) {
        c->cancel_resend_us = NEVER;
    } else if (m->method == SIP_BYE && m->status >= 200) {
        pbx_dialog_bye_answer(s, m);
    }
}

/* ---- who is called ------------------------------------------------------------------------------
 */

static void ping(struct sim *s, int aor, const char *contact)
{
    struct buf out = buf_make(s->room, sizeof s->room);
    struct pbx *pbx = &s->pbx;

    if (pbx->ping_number)
        check_ping_lost(s, pbx->ping_aor, pbx->ping_us);
    pbx->ping_number = ++pbx->branches;
    pbx->ping_aor = aor;
    pbx->ping_us = s->now_us;
    buf_lit(&out, "OPTIONS ");
    buf_str(&out, contact);
    buf_lit(&out, " SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.5:5080;rport;branch=z9hG4bKo");
    buf_u64(&out, pbx->ping_number);
    buf_lit(&out, "\r\nMax-Forwards: 70\r\nFrom: <sip:pbx@10.0.0.5>;tag=o\r\nTo: <");
    buf_str(&out, s->people.list[aor].written[0]);
    buf_lit(&out, ">\r\nCall-ID: o");
    buf_u64(&out, pbx->ping_number);
    buf_lit(&out, "@pbx\r\nCSeq: 1 OPTIONS\r\n");
    sip_put_end(&out, SPAN_NONE);
    pbx_send(s, aor, buf_done(&out));
}

void pbx_dial(struct sim *s)
{
    struct chance *dice = &s->pbx.chance;
    int aor = (int)chance_below(dice, s->people.count);
    const struct pbx_row *rows = s->pbx.accounts[aor].rows;

    if (sim_evening(s))
        return;
    queue_push(&s->queue, s->now_us + 100000 + chance_around(dice, DIAL_MEAN), EVENT_DIAL, 0, NULL);
    if (s->pbx.silent)
        return;
    for (unsigned i = 0; i < PBX_ROWS; i++) {
        if (!rows[i].used || rows[i].gone_us <= s->now_us)
            continue;
        if (chance_percent(dice, 25))
            ping(s, aor, rows[i].contact);
        else
            begin_call(s, aor, rows[i].contact);
        return;
    }
}

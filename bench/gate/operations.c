/*
 * operations: one phone's REGISTER, one call; the peers' part of them.
 *
 * Called by main.c. Plays phones and main registrar, one operation at a time.
 */
#include "operations.h"

#include <stdio.h>

#define FIRST_PHONE 16000
#define LEGS        2
#define COPY_MAX    4096

static uint16_t phone_port(uint32_t aor, uint32_t contact)
{
    return (uint16_t)(FIRST_PHONE + (aor + contact) % 8);
}

static bool complain(const char *why, struct span seen)
{
    fprintf(stderr, "gate: %s: %.*s\n", why, (int)(seen.n < 300 ? seen.n : 300),
            seen.p ? seen.p : "");
    return false;
}

/* ---- REGISTER ---- */

static bool grant(struct desk *d, const struct fields *f)
{
    char room[2048];
    struct buf out = buf_make(room, sizeof room);

    text_put_answer(&out, f, "200 OK", "pbx");
    buf_lit(&out, "Contact: ");
    buf_span(&out, f->contact);
    buf_lit(&out, "\r\nExpires: ");
    buf_span(&out, f->expires);
    buf_lit(&out, "\r\n");
    text_put_end(&out);
    desk_receive(d, DESK_UPSTREAM, buf_done(&out));
    return true;
}

bool operation_register(struct desk *d, uint32_t aor, uint32_t contact, uint32_t cseq,
                        unsigned contacts, unsigned *upstream)
{
    char room[2048];
    struct buf out = buf_make(room, sizeof room);
    struct text_register r = {.aor = aor,
                              .contact = contact,
                              .cseq = cseq,
                              .expires_s = 86400,
                              .port = phone_port(aor, contact),
                              .slot = aor,
                              .generation = cseq << 4 | contact};
    const struct desk_datagram *sent;
    bool answered = false;

    text_put_register(&out, &r);
    desk_receive(d, r.port, buf_done(&out));
    while ((sent = desk_next(d))) {
        struct span text = span_make(sent->bytes, sent->n);
        struct fields f;

        if (!fields_read(text, &f))
            return complain("not understood", text);
        if (sent->port == DESK_UPSTREAM && span_eq(f.method, SPAN("REGISTER"))) {
            ++*upstream;
            grant(d, &f);
        } else if (sent->port == r.port && f.status == 200 && f.contacts == contacts) {
            answered = true;
        } else {
            return complain("another answer was due", text);
        }
    }
    return answered || complain("no answer to REGISTER", SPAN_NONE);
}

/* ---- a call ---- */

struct leg {
    struct span invite;
    bool acked;
    char copy[COPY_MAX];
};

struct call {
    struct desk *desk;
    uint32_t number;
    uint32_t aor;
    unsigned ringing;
    unsigned acked;
    bool hanging_up;
    bool over;
    struct leg leg[LEGS];
    struct buf to, target, routes;
    char to_room[256], target_room[512], routes_room[1024];
};

static void put_request(struct call *c, struct buf *out, const char *method, unsigned cseq,
                        char suffix)
{
    buf_str(out, method);
    buf_char(out, ' ');
    buf_span(out, buf_done(&c->target));
    buf_lit(out, " SIP/2.0\r\n");
    buf_span(out, buf_done(&c->routes));
    text_put_via(out, DESK_UPSTREAM, c->aor, c->number, suffix);
    buf_lit(out, "Max-Forwards: 70\r\nFrom: \"Caller\" <sip:2000@" TEXT_DOMAIN ">;tag=");
    text_put_hex(out, c->number, 8);
    buf_lit(out, "\r\nTo: ");
    buf_span(out, buf_done(&c->to));
    buf_lit(out, "\r\nCall-ID: ");
    text_put_hex(out, c->number, 16);
    buf_lit(out, "-bench-call-cid-\r\nCSeq: ");
    buf_u64(out, cseq);
    buf_char(out, ' ');
    buf_str(out, method);
    buf_lit(out, "\r\n");
}

static void send_invite(struct call *c)
{
    char room[2048];
    struct buf out = buf_make(room, sizeof room);

    buf_lit(&c->target, "sip:");
    text_put_user(&c->target, c->aor);
    buf_lit(&c->target, "@" TEXT_DOMAIN);
    buf_char(&c->to, '<');
    buf_span(&c->to, buf_done(&c->target));
    buf_char(&c->to, '>');
    put_request(c, &out, "INVITE", 1, 'i');
    buf_lit(&out, "Contact: <sip:2000@127.0.0.1:15080>\r\nUser-Agent: Benchmark PBX 1.0\r\n"
                  "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, INFO, UPDATE\r\n"
                  "Supported: timer, replaces\r\n");
    text_put_offer(&out);
    desk_receive(c->desk, DESK_UPSTREAM, buf_done(&out));
}

static void send_in_dialog(struct call *c, const char *method, unsigned cseq, char suffix)
{
    char room[4096];
    struct buf out = buf_make(room, sizeof room);

    put_request(c, &out, method, cseq, suffix);
    text_put_end(&out);
    desk_receive(c->desk, DESK_UPSTREAM, buf_done(&out));
}

static void answer(struct call *c, unsigned leg, const struct fields *f, const char *status_line)
{
    char room[4096];
    struct buf out = buf_make(room, sizeof room);
    uint16_t port = phone_port(c->aor, leg);

    text_put_answer(&out, f, status_line, leg ? "leg1" : "leg0");
    if (text_find(f->cseq, "INVITE") && status_line[0] == '2') {
        buf_lit(&out, "Contact: <");
        text_put_contact(&out, c->aor, leg, port);
        buf_lit(&out, ">\r\n");
        text_put_offer(&out);
    } else {
        text_put_end(&out);
    }
    desk_receive(c->desk, port, buf_done(&out));
}

static bool answer_invite(struct call *c, unsigned leg, const char *status_line)
{
    struct fields f;

    if (!c->leg[leg].invite.n || !fields_read(c->leg[leg].invite, &f))
        return complain("this phone does not ring", SPAN_NONE);
    answer(c, leg, &f, status_line);
    return true;
}

static void keep_dialog(struct call *c, const struct fields *f)
{
    c->to.n = c->target.n = 0;
    buf_span(&c->to, f->to);
    buf_span(&c->target, text_uri_of(f->contact));
    for (unsigned i = f->record_routes; i-- > 0;) {
        buf_lit(&c->routes, "Route");
        buf_put(&c->routes, f->record_route[i].p + 12, f->record_route[i].n - 12);
    }
}

static bool caller_hears(struct call *c, const struct fields *f, struct span text)
{
    if (f->status == 100)
        return true;
    if (text_find(f->cseq, "INVITE") && f->status == 180)
        return ++c->ringing < LEGS || answer_invite(c, 0, "200 OK");
    if (text_find(f->cseq, "INVITE") && f->status == 200 && !c->routes.n) {
        keep_dialog(c, f);
        send_in_dialog(c, "ACK", 1, 'a');
        return true;
    }
    c->over = text_find(f->cseq, "BYE") && f->status == 200;
    return c->over || complain("the caller did not expect this", text);
}

static bool phone_hears(struct call *c, unsigned leg, const struct fields *f, struct span text)
{
    struct leg *l = &c->leg[leg];

    if (span_eq(f->method, SPAN("INVITE"))) {
        if (text.n > sizeof l->copy || l->invite.n)
            return complain("not this INVITE", text);
        memcpy(l->copy, text.p, text.n);
        l->invite = span_make(l->copy, text.n);
        return answer_invite(c, leg, "180 Ringing");
    }
    if (span_eq(f->method, SPAN("CANCEL")) && leg == 1) {
        answer(c, leg, f, "200 OK");
        return answer_invite(c, leg, "487 Request Terminated");
    }
    if (span_eq(f->method, SPAN("BYE")) && leg == 0) {
        answer(c, leg, f, "200 OK");
        return true;
    }
    if (span_eq(f->method, SPAN("ACK")) && !l->acked) {
        l->acked = true;
        if (++c->acked == LEGS)
            send_in_dialog(c, "BYE", 2, 'b');
        return true;
    }
    return complain("the phone did not expect this", text);
}

bool operation_call(struct desk *d, uint32_t number, uint32_t aor)
{
    struct call c = {.desk = d, .number = number, .aor = aor};
    const struct desk_datagram *sent;

    c.to = buf_make(c.to_room, sizeof c.to_room);
    c.target = buf_make(c.target_room, sizeof c.target_room);
    c.routes = buf_make(c.routes_room, sizeof c.routes_room);
    send_invite(&c);
    while ((sent = desk_next(d))) {
        struct span text = span_make(sent->bytes, sent->n);
        struct fields f;

        if (!fields_read(text, &f))
            return complain("not understood", text);
        if (sent->port == DESK_UPSTREAM
                ? !caller_hears(&c, &f, text)
                : !phone_hears(&c, sent->port != phone_port(aor, 0), &f, text))
            return false;
    }
    return c.over || complain("the call does not end", SPAN_NONE);
}

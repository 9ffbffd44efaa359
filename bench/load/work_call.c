/*
 * work_call: one call, with the main registrar as caller and all phones as callees.
 *
 *   call:  INVITE -> 180 of each phone -> 200 of the first, CANCEL, 200, 487, ACK of
 *          the others -> ACK -> BYE, when all others have ended -> 200
 *   storm: INVITE -> 180 of each phone; when every phone of every call rings, CANCEL
 *          of each call -> 487 -> ACK
 *
 * All of it must happen, and nothing else. Called by the engine.
 */
#include "load.h"

#include <stdlib.h>

#define INVITE_SIZE_MAX   3000
#define DIALOG_SIZE_MAX   1000
#define WINNER            0 /* the contact that answers */
#define STORM_PATIENCE_MS 2000
#define STORM_PAUSE_NS    300000000ull

struct leg {
    bool invited;
    bool cancelled;
    bool acked;
    uint8_t socket;
    uint32_t n;
    char invite[INVITE_SIZE_MAX];
};

struct call {
    uint32_t ringing; /* 180s that reached the caller */
    uint32_t acked;   /* legs whose final answer was acknowledged */
    bool answered;    /* the caller has its final answer */
    bool hanging_up;  /* BYE is sent */
    uint32_t to_n, target_n, routes_n;
    char to[DIALOG_SIZE_MAX];
    char target[DIALOG_SIZE_MAX];
    char routes[DIALOG_SIZE_MAX]; /* whole Route lines */
};

struct calls {
    uint32_t contacts;
    uint32_t next;    /* storm: slots before this one had their turn to be cancelled */
    uint64_t cancels; /* storm: that were sent */
    bool ending;      /* storm: calls are cancelled now */
    bool impatient;   /* storm: though not all ring */
    struct call *call;
    struct leg *leg;
};

static struct call *call_of(const struct load *l, uint32_t slot)
{
    return &l->calls->call[slot];
}

static struct leg *leg_of(const struct load *l, uint32_t slot, uint32_t contact)
{
    return &l->calls->leg[(size_t)slot * l->calls->contacts + contact];
}

bool call_prepare(struct load *l)
{
    struct calls *c = l->calls ? l->calls : calloc(1, sizeof *c);

    if (!c)
        return false;
    l->calls = c;
    free(c->call);
    free(c->leg);
    c->contacts = l->order.contacts;
    c->next = 0;
    c->cancels = 0;
    c->ending = c->impatient = false;
    c->call = calloc(l->order.window, sizeof *c->call);
    c->leg = calloc((size_t)l->order.window * c->contacts, sizeof *c->leg);
    return c->call && c->leg;
}

void call_finish(struct load *l)
{
    if (!l->calls)
        return;
    free(l->calls->call);
    free(l->calls->leg);
    free(l->calls);
}

/* ---- the caller ---- */

static void put_call_id(struct buf *out, uint32_t slot, uint32_t generation)
{
    text_put_hex(out, slot, 8);
    text_put_hex(out, generation, 8);
    buf_lit(out, "-bench-call-cid-"); /* 32 in all */
}

/* From the Via to the CSeq; `to` is the value of the To field. */
static void put_common(struct load *l, struct buf *out, uint32_t slot, char suffix, struct span to,
                       const char *cseq)
{
    const struct slot *s = &l->slot[slot];

    text_put_via(out, l->wire.port[WIRE_UPSTREAM], slot, s->generation, suffix);
    buf_lit(out, "Max-Forwards: 70\r\nFrom: \"Caller\" <sip:2000@" TEXT_DOMAIN ">;tag=");
    text_put_hex(out, s->generation, 8);
    buf_lit(out, "\r\nTo: ");
    buf_span(out, to);
    buf_lit(out, "\r\nCall-ID: ");
    put_call_id(out, slot, s->generation);
    buf_lit(out, "\r\nCSeq: ");
    buf_str(out, cseq);
    buf_lit(out, "\r\n");
}

static void put_callee(struct buf *out, uint32_t aor)
{
    buf_lit(out, "<sip:");
    text_put_user(out, aor);
    buf_lit(out, "@" TEXT_DOMAIN ">");
}

/* What the server said its contact was; of a plain registrar, the AOR. */
static void put_target(struct load *l, struct buf *out, uint32_t aor)
{
    if (l->target[aor][0]) {
        buf_str(out, l->target[aor]);
        return;
    }
    buf_lit(out, "sip:");
    text_put_user(out, aor);
    buf_lit(out, "@" TEXT_DOMAIN);
}

static void begin(struct load *l, uint32_t slot)
{
    const struct slot *s = &l->slot[slot];
    struct buf out = wire_reserve(&l->wire, WIRE_UPSTREAM);
    char room[64];
    struct buf to = buf_make(room, sizeof room);

    *call_of(l, slot) = (struct call){0};
    for (uint32_t i = 0; i < l->order.contacts; i++)
        leg_of(l, slot, i)->invited = leg_of(l, slot, i)->cancelled = leg_of(l, slot, i)->acked =
            false;
    buf_lit(&out, "INVITE ");
    put_target(l, &out, s->aor);
    buf_lit(&out, " SIP/2.0\r\n");
    put_callee(&to, s->aor);
    put_common(l, &out, slot, 'i', buf_done(&to), "1 INVITE");
    buf_lit(&out, "Contact: <sip:2000@127.0.0.1:");
    buf_u64(&out, l->wire.port[WIRE_UPSTREAM]);
    buf_lit(&out, ">\r\nUser-Agent: Benchmark PBX 1.0\r\n"
                  "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, NOTIFY, INFO, UPDATE\r\n"
                  "Supported: timer, replaces\r\n");
    text_put_offer(&out);
    wire_commit(&l->wire, WIRE_UPSTREAM, &out);
}

/* ACK and CANCEL of the INVITE itself: its Request-URI and its branch. */
static void send_beside(struct load *l, uint32_t slot, const char *method, struct span to)
{
    struct buf out = wire_reserve(&l->wire, WIRE_UPSTREAM);
    char cseq[16];

    snprintf(cseq, sizeof cseq, "1 %s", method);
    buf_str(&out, method);
    buf_lit(&out, " ");
    put_target(l, &out, l->slot[slot].aor);
    buf_lit(&out, " SIP/2.0\r\n");
    put_common(l, &out, slot, 'i', to, cseq);
    text_put_end(&out);
    wire_commit(&l->wire, WIRE_UPSTREAM, &out);
}

static void send_cancel(struct load *l, uint32_t slot)
{
    char room[64];
    struct buf to = buf_make(room, sizeof room);

    put_callee(&to, l->slot[slot].aor);
    send_beside(l, slot, "CANCEL", buf_done(&to));
}

static void send_in_dialog(struct load *l, uint32_t slot, const char *method, char suffix,
                           const char *cseq)
{
    const struct call *c = call_of(l, slot);
    struct buf out = wire_reserve(&l->wire, WIRE_UPSTREAM);

    buf_str(&out, method);
    buf_lit(&out, " ");
    buf_put(&out, c->target, c->target_n);
    buf_lit(&out, " SIP/2.0\r\n");
    buf_put(&out, c->routes, c->routes_n);
    put_common(l, &out, slot, suffix, span_make(c->to, c->to_n), cseq);
    text_put_end(&out);
    wire_commit(&l->wire, WIRE_UPSTREAM, &out);
}

/* The 200: Contact, To and the route set, in reverse (RFC 3261 12.1.2). */
static bool keep_dialog(struct call *c, const struct fields *f)
{
    struct buf to = buf_make(c->to, sizeof c->to);
    struct buf target = buf_make(c->target, sizeof c->target);
    struct buf routes = buf_make(c->routes, sizeof c->routes);

    if (!text_find(f->to, ";tag=") || f->contacts != 1 || f->record_routes == 0)
        return false;
    buf_span(&to, f->to);
    buf_span(&target, text_uri_of(f->contact));
    for (unsigned i = f->record_routes; i-- > 0;) {
        buf_lit(&routes, "Route");
        buf_put(&routes, f->record_route[i].p + 12, f->record_route[i].n - 12);
    }
    c->to_n = (uint32_t)to.n;
    c->target_n = (uint32_t)target.n;
    c->routes_n = (uint32_t)routes.n;
    return !to.overflow && !target.overflow && !routes.overflow;
}

/* When all phones of all calls ring, the calls are cancelled, a window at a time: only
 * the beginning is meant to be a storm. */
static void cancel_more(struct load *l)
{
    struct calls *c = l->calls;

    if (!c->ending)
        return;
    while (c->next < l->order.window && c->cancels < l->ended + WINDOW) {
        uint32_t slot = c->next++;

        /* After the patience: what rings nowhere will not end by a CANCEL either. */
        if (l->slot[slot].busy && (!c->impatient || call_of(l, slot)->ringing)) {
            send_cancel(l, slot);
            c->cancels++;
        }
    }
}

/* All phones ring and the server has heard of it; or not all will: a lost datagram
 * shall cost its own call alone. */
static void storm_tick(struct load *l, uint64_t since_ms)
{
    struct calls *c = l->calls;
    bool all = l->tally.rings >= l->order.count * l->order.contacts;

    if (c->ending || (!(all && l->now_ns - l->tally.ring_last_ns > STORM_PAUSE_NS) &&
                      since_ms <= STORM_PATIENCE_MS))
        return;
    c->ending = true;
    c->impatient = !all;
    cancel_more(l);
}

/* BYE follows when all legs have what they are due; the 487 to the caller of a storm
 * ends the call in the same way. */
static void proceed(struct load *l, uint32_t slot)
{
    struct call *c = call_of(l, slot);

    if (!c->answered || c->acked < l->order.contacts || c->hanging_up)
        return;
    if (l->order.work == &work_storm) {
        engine_good(l, slot);
        cancel_more(l);
        return;
    }
    c->hanging_up = true;
    send_in_dialog(l, slot, "BYE", 'b', "2 BYE");
}

/* ---- what phones send ---- */

static const char *tag_of(uint32_t contact, char room[16])
{
    snprintf(room, 16, "ph%02u", contact);
    return room;
}

static void answer(struct load *l, const struct leg *leg, uint32_t contact, const struct fields *f,
                   const char *status_line)
{
    struct buf out = wire_reserve(&l->wire, leg->socket);
    char tag[16];

    text_put_answer(&out, f, status_line, tag_of(contact, tag));
    text_put_end(&out);
    wire_commit(&l->wire, leg->socket, &out);
}

/* The INVITE's fields again, from the copy. */
static bool invite_of(const struct leg *leg, struct fields *f)
{
    return fields_read(span_make(leg->invite, leg->n), f);
}

static void pick_up(struct load *l, uint32_t slot)
{
    const struct leg *leg = leg_of(l, slot, WINNER);
    struct buf out = wire_reserve(&l->wire, leg->socket);
    struct fields f;
    char tag[16];

    if (!invite_of(leg, &f))
        return;
    text_put_answer(&out, &f, "200 OK", tag_of(WINNER, tag));
    buf_lit(&out, "Contact: <");
    text_put_contact(&out, l->slot[slot].aor, WINNER, l->wire.port[leg->socket]);
    buf_lit(&out, ">\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\n");
    text_put_offer(&out);
    wire_commit(&l->wire, leg->socket, &out);
}

/* ---- answers to the caller ---- */

static void receive_invite_answer(struct load *l, uint32_t slot, const struct fields *f,
                                  struct span datagram)
{
    struct call *c = call_of(l, slot);

    if (f->status == 180 && ++c->ringing == l->order.contacts && l->order.work == &work_call)
        pick_up(l, slot);
    if (f->status < 200)
        return;
    if (c->answered)
        l->tally.repeated++;
    if (l->order.work == &work_storm) {
        send_beside(l, slot, "ACK", f->to);
        if (f->status != 487) {
            engine_bad(l, slot, "a final answer other than 487", datagram);
            return;
        }
    } else if (f->status != 200 || !keep_dialog(c, f)) {
        engine_bad(l, slot, "no good 200", datagram);
        return;
    } else {
        send_in_dialog(l, slot, "ACK", 'a', "1 ACK");
    }
    c->answered = true;
    proceed(l, slot);
}

static void receive_answer(struct load *l, uint32_t slot, const struct fields *f,
                           struct span datagram)
{
    const struct call *c = call_of(l, slot);

    if (text_find(f->cseq, "INVITE"))
        receive_invite_answer(l, slot, f, datagram);
    else if (text_find(f->cseq, "BYE") && f->status == 200 && c->hanging_up)
        engine_good(l, slot);
    else if (f->status != 100 && !(text_find(f->cseq, "CANCEL") && f->status == 200))
        engine_bad(l, slot, "unexpected answer", datagram);
}

/* ---- requests to the phones ---- */

static void receive_invite(struct load *l, uint32_t slot, uint32_t contact, struct leg *leg,
                           const struct fields *f, struct span datagram)
{
    if (leg->invited) {
        l->tally.repeated++;
        answer(l, leg, contact, f, "180 Ringing");
        return;
    }
    if (datagram.n > sizeof leg->invite) {
        engine_bad(l, slot, "INVITE is too large", datagram);
        return;
    }
    leg->invited = true;
    leg->n = (uint32_t)datagram.n;
    memcpy(leg->invite, datagram.p, datagram.n);
    l->tally.rings++;
    l->tally.ring_last_ns = load_now_ns();
    answer(l, leg, contact, f, "180 Ringing");
}

static void receive_cancel(struct load *l, uint32_t contact, struct leg *leg,
                           const struct fields *f, struct span datagram)
{
    struct fields invite;

    answer(l, leg, contact, f, "200 OK");
    if (leg->cancelled) {
        l->tally.repeated++;
        return;
    }
    leg->cancelled = true;
    if (!leg->invited || !invite_of(leg, &invite) ||
        (l->order.work == &work_call && contact == WINNER))
        engine_wrong(l, "CANCEL of what does not ring", datagram);
    else
        answer(l, leg, contact, &invite, "487 Request Terminated");
}

static void receive_request(struct load *l, uint32_t slot, unsigned socket, const struct fields *f,
                            struct span datagram)
{
    const char *at = text_find(f->ruri, ";c=");
    struct leg *leg;
    uint64_t contact;

    if (!at || f->ruri.p + f->ruri.n < at + 5 || !text_hex(span_make(at + 3, 2), &contact) ||
        contact >= l->order.contacts) {
        engine_bad(l, slot, "request for no contact", datagram);
        return;
    }
    leg = leg_of(l, slot, (uint32_t)contact);
    leg->socket = (uint8_t)socket;
    if (span_eq(f->method, SPAN("INVITE"))) {
        receive_invite(l, slot, (uint32_t)contact, leg, f, datagram);
    } else if (span_eq(f->method, SPAN("CANCEL"))) {
        receive_cancel(l, (uint32_t)contact, leg, f, datagram);
    } else if (span_eq(f->method, SPAN("BYE"))) {
        answer(l, leg, (uint32_t)contact, f, "200 OK");
    } else if (span_eq(f->method, SPAN("ACK"))) {
        if (leg->acked)
            l->tally.repeated++;
        else
            call_of(l, slot)->acked++;
        leg->acked = true;
        proceed(l, slot);
    } else {
        engine_bad(l, slot, "unexpected request", datagram);
    }
}

static void receive(struct load *l, unsigned socket, const struct fields *f, struct span datagram)
{
    uint64_t id;

    if (f->call_id.n < 16 || !text_hex(span_make(f->call_id.p, 16), &id)) {
        engine_wrong(l, "unexpected call", datagram);
        return;
    }
    /* What comes late, of a call that is over: stray, and told. */
    if (!engine_slot(l, (uint32_t)(id >> 32), (uint32_t)id))
        engine_wrong(l, "of no call", datagram);
    else if (f->status)
        receive_answer(l, (uint32_t)(id >> 32), f, datagram);
    else
        receive_request(l, (uint32_t)(id >> 32), socket, f, datagram);
}

const struct work work_call = {begin, receive, NULL};
const struct work work_storm = {begin, receive, storm_tick};

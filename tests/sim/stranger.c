/*
 * stranger: his attacks, and the answers that he must never get.
 *
 * Called by his own event and by the network.
 */
#include "sim.h"

#include <stdio.h>

#define ATTACK_MEAN (60 * SECOND)

enum attack {
    ATTACK_ADD,
    ATTACK_TAKE, /* registers the victim's own contact from his address */
    ATTACK_REMOVE,
    ATTACK_REMOVE_ALL,
    ATTACK_QUERY,
    ATTACK_GUESS,     /* with credentials, but a wrong password */
    ATTACK_UNKNOWN,   /* for an AOR that nobody has */
    ATTACK_REGISTERS, /* those above need auth = "upstream" */
    ATTACK_CALL = ATTACK_REGISTERS,
    ATTACK_OPTIONS,
    ATTACK_ANSWER, /* an answer to nothing */
    ATTACK_RUBBISH,
    ATTACKS
};

void strangers_init(struct sim *s)
{
    struct strangers *x = &s->strangers;

    x->chance = chance_of(s->options->seed, STREAM_STRANGERS);
    address_parse(SPAN("10.9.0.9:5060"), 0, &x->address);
    queue_push(&s->queue, MINUTE, EVENT_STRANGER, 0, NULL);
}

static void put_contact(struct buf *out, struct phone *victim, enum attack attack)
{
    switch (attack) {
    case ATTACK_QUERY:
        return;
    case ATTACK_REMOVE_ALL:
        buf_lit(out, "Contact: *\r\nExpires: 0\r\n");
        return;
    case ATTACK_TAKE:
    case ATTACK_REMOVE:
        buf_lit(out, "Contact: <");
        phone_put_contact(out, victim, victim->line);
        break;
    default:
        buf_lit(out, "Contact: <sip:x@10.9.0.9:5060;line=stranger");
    }
    buf_str(out, attack == ATTACK_REMOVE ? ">;expires=0\r\n" : ">;expires=600\r\n");
}

static void put_register(struct sim *s, struct buf *out, struct phone *victim, enum attack attack)
{
    struct strangers *x = &s->strangers;
    const char *aor = s->people.list[victim->aor].written[0];
    bool knows_call = chance_percent(&x->chance, 50);

    if (attack == ATTACK_UNKNOWN)
        aor = "sip:nobody@" DOMAIN;
    buf_lit(out, "REGISTER sip:" DOMAIN " SIP/2.0\r\nVia: SIP/2.0/UDP 10.9.0.9:5060;"
                 "branch=z9hG4bKs");
    buf_u64(out, ++x->number);
    buf_lit(out, ";rport\r\nMax-Forwards: 70\r\nFrom: <");
    buf_str(out, aor);
    buf_lit(out, ">;tag=s\r\nTo: <");
    buf_str(out, aor);
    buf_lit(out, ">\r\nCall-ID: ");
    buf_str(out, knows_call ? "r" : "s");
    buf_u64(out, victim->index);
    buf_char(out, '-');
    buf_u64(out, victim->call_id);
    buf_lit(out, "\r\nCSeq: ");
    buf_u64(out, victim->cseq + 10);
    buf_lit(out, " REGISTER\r\n");
    put_contact(out, victim, attack);
    if (attack == ATTACK_GUESS) {
        buf_lit(out, "Authorization: Digest username=\"");
        buf_str(out, s->people.list[victim->aor].user);
        buf_lit(out, "\", realm=\"" DOMAIN "\", nonce=\"00000001-00000000\", uri=\"sip:" DOMAIN
                     "\", response=\"00000000000000000000000000000000\", algorithm=MD5, "
                     "cnonce=\"s\", qop=auth, nc=00000001\r\n");
    }
    sip_put_end(out, SPAN_NONE);
}

static void put_request(struct sim *s, struct buf *out, const struct phone *victim,
                        const char *method)
{
    struct strangers *x = &s->strangers;
    const char *aor = s->people.list[victim->aor].written[0];

    buf_str(out, method);
    buf_lit(out, " sip:1000@" DOMAIN " SIP/2.0\r\nVia: SIP/2.0/UDP 10.9.0.9:5060;branch=z9hG4bKs");
    buf_u64(out, ++x->number);
    buf_lit(out, ";rport\r\nMax-Forwards: 70\r\nFrom: <");
    buf_str(out, aor);
    buf_lit(out, ">;tag=s\r\nTo: <sip:1000@" DOMAIN ">\r\nCall-ID: s");
    buf_u64(out, x->number);
    buf_lit(out, "\r\nCSeq: 1 ");
    buf_str(out, method);
    buf_lit(out, "\r\nContact: <sip:x@10.9.0.9:5060>\r\n");
    sip_put_end(out, SPAN_NONE);
}

static void put_answer(struct sim *s, struct buf *out)
{
    struct strangers *x = &s->strangers;

    buf_lit(out, "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKs");
    buf_u64(out, ++x->number);
    buf_lit(out, "\r\nFrom: <sip:a@" DOMAIN ">;tag=s\r\nTo: <sip:a@" DOMAIN ">;tag=t\r\n"
                 "Call-ID: s\r\nCSeq: 1 REGISTER\r\n");
    sip_put_end(out, SPAN_NONE);
}

/* Some bytes changed, or the end cut off. Never a REGISTER of a trusted network:
 * that would be believed. */
static void spoil(struct sim *s, struct buf *out)
{
    struct chance *c = &s->strangers.chance;

    for (unsigned n = 1 + chance_below(c, 10); n > 0; n--)
        out->p[chance_below(c, (uint32_t)out->n)] = (char)chance_below(c, 256);
    if (chance_percent(c, 20))
        out->n = chance_below(c, (uint32_t)out->n);
}

static void put_attack(struct sim *s, struct buf *out, struct phone *victim, enum attack attack)
{
    switch (attack) {
    case ATTACK_CALL:
        put_request(s, out, victim, "INVITE");
        break;
    case ATTACK_OPTIONS:
        put_request(s, out, victim, "OPTIONS");
        break;
    case ATTACK_ANSWER:
        put_answer(s, out);
        break;
    case ATTACK_RUBBISH:
        if (s->auth == AUTH_UPSTREAM && chance_percent(&s->strangers.chance, 50))
            put_register(s, out, victim, ATTACK_ADD);
        else
            put_request(s, out, victim, "INVITE");
        spoil(s, out);
        break;
    default:
        put_register(s, out, victim, attack);
    }
}

/* Leaves it open until his next attack. */
static void send_over_wire(struct sim *s, struct span bytes)
{
    struct address from = s->strangers.address;

    from.port = (uint16_t)(10000 + s->strangers.number % 50000);
    wire_put(s, wire_connect(s, WIRE_STRANGER, &from), bytes);
}

void strangers_event(struct sim *s)
{
    struct strangers *x = &s->strangers;
    struct buf out = buf_make(s->room, sizeof s->room);
    struct phone *victim = &s->phones.list[chance_below(&x->chance, s->phones.count)];
    uint32_t first = s->auth == AUTH_UPSTREAM ? 0 : ATTACK_REGISTERS;
    enum attack attack = (enum attack)(first + chance_below(&x->chance, ATTACKS - first));
    struct address from = x->address;

    wires_close_all(s, WIRE_STRANGER, (enum wire_close)chance_below(&x->chance, 3));
    if (sim_evening(s))
        return;
    queue_push(&s->queue, s->now_us + 1000000 + chance_around(&x->chance, ATTACK_MEAN),
               EVENT_STRANGER, 0, NULL);
    x->aor = victim->aor;
    put_attack(s, &out, victim, attack);
    /* A forged sender who knows the Call-ID too may refresh, but never remove. */
    if (attack < ATTACK_REGISTERS && chance_percent(&x->chance, 20) &&
        (attack == ATTACK_REMOVE || attack == ATTACK_REMOVE_ALL ||
         memmem(out.p, out.n, "Call-ID: s", 10)))
        from = victim->public;
    trace_message(s, victim->aor, "  stranger > midreg", buf_done(&out));
    if (address_equal(&from, &x->address) && chance_percent(&x->chance, 25))
        send_over_wire(s, buf_done(&out));
    else
        network_send(s, &from, &s->world.midreg, buf_done(&out));
}

void strangers_receive(struct sim *s, const struct address *to, struct span bytes)
{
    struct sip_message *m = &s->message;
    struct sip_fault fault = {0};

    if (!address_equal(to, &s->strangers.address))
        return;
    trace_message(s, s->strangers.aor, "  midreg > stranger", bytes);
    if (sip_parse(bytes, m, &fault) != SIP_PARSED || m->is_request || m->status < 200 ||
        m->status >= 300)
        return;
    if (m->method == SIP_INVITE || (m->method == SIP_REGISTER && sip_has(m, SIP_H_CONTACT)))
        check_fail(s, 8, NO_AOR, "a stranger got %d to his %.*s", m->status, (int)m->method_name.n,
                   m->method_name.p);
}

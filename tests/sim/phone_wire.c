/*
 * phone_wire: the connection of a phone that lives on TCP, and what befalls it.
 *
 * It connects from a new port each time, registers over it, is called over it and
 * calls over it. Called by the phone's other files and by wire.c. A phone finds
 * out that its connection is dead by its keep-alive (RFC 5626 4.4.1), by a
 * REGISTER without an answer, or not before it sends something.
 */
#include "sim.h"

#include <stdio.h>

#define PONG_WITHIN (10 * SECOND)

static struct chance *dice(struct sim *s)
{
    return &s->phones.chance;
}

static struct wire *wire_of(const struct sim *s, const struct phone *p)
{
    return wire_find(s, p->wire);
}

const char *phone_transport(const struct phone *p)
{
    return p->habits.by_stream ? "TCP" : "UDP";
}

/* ---- sending ---------------------------------------------------------------------- */

static void plan_ping(struct sim *s, struct phone *p)
{
    p->ping_us = p->habits.pings ? s->now_us + chance_between(dice(s), 25, 60) * SECOND : NEVER;
    p->pong_us = NEVER;
}

/* It registers over each new connection, sooner or later. */
void phone_connect(struct sim *s, struct phone *p)
{
    struct wire *w;
    uint64_t soon_us;

    if (!p->habits.by_stream || p->wire)
        return;
    phone_new_port(p);
    p->changed_us = s->now_us;
    w = wire_connect(s, p->index, &p->public);
    p->wire = w->flow.connection;
    plan_ping(s, p);
    soon_us = s->now_us + chance_below(dice(s), SECOND);
    if (p->mind == PHONE_ON && !p->tx.busy && p->act_us > soon_us)
        p->act_us = soon_us;
    TRACE(s, p->aor, "phone %u connects from port %u: connection %u", p->index, p->public.port,
          p->wire);
}

void phone_wire_send(struct sim *s, struct phone *p, struct span bytes)
{
    struct wire *w;

    phone_connect(s, p);
    w = wire_of(s, p);
    if (w)
        wire_put(s, w, bytes);
}

/* ---- what the connection tells ------------------------------------------------------- */

void phone_wire_opened(struct sim *s, struct phone *p, uint32_t number)
{
    if (number == p->wire)
        p->changed_us = s->now_us;
}

void phone_wire_heard(struct phone *p, uint32_t number)
{
    if (number == p->wire)
        p->pong_us = NEVER;
}

/* What hangs on the connection is lost; it comes back at once or takes its time. */
static void lost(struct sim *s, struct phone *p)
{
    p->wire = 0;
    p->changed_us = s->now_us;
    p->ping_us = p->pong_us = p->reads_us = NEVER;
    if (p->mind == PHONE_OFF)
        return;
    if (p->dial.state == DIAL_CALLING || p->dial.state == DIAL_PROCEEDING)
        phone_dial_plan(s, p);
    if (p->tx.busy)
        phone_register_lost(s, p);
    else
        p->act_us =
            s->now_us + (chance_percent(dice(s), 70) ? chance_below(dice(s), 2 * SECOND)
                                                     : chance_between(dice(s), 5, 80) * SECOND);
}

void phone_wire_closed(struct sim *s, struct phone *p, uint32_t number)
{
    if (number != p->wire)
        return;
    TRACE(s, p->aor, "phone %u has lost connection %u", p->index, number);
    lost(s, p);
    phone_arm(s, p);
}

/* ---- what the phone does to it ------------------------------------------------------------ */

void phone_disconnect(struct sim *s, struct phone *p, enum wire_close how)
{
    struct wire *w = wire_of(s, p);

    if (!p->wire)
        return;
    TRACE(s, p->aor, "phone %u gives up connection %u", p->index, p->wire);
    if (w)
        wire_close(s, w, how);
    lost(s, p);
}

/* It is switched off, or has another address: nothing of what it had is left. */
void phone_wire_off(struct sim *s, struct phone *p, bool politely)
{
    uint32_t what = politely ? 0 : chance_below(dice(s), 100);

    if (!p->habits.by_stream)
        return;
    wires_close_all(s, p->index, what < 35 ? WIRE_GRACEFUL : what < 55 ? WIRE_RESET : WIRE_VANISH);
    p->wire = 0;
    p->ping_us = p->pong_us = p->reads_us = NEVER;
}

void phone_wire_trouble(struct sim *s, struct phone *p)
{
    struct wire *w = wire_of(s, p);
    uint32_t what = chance_below(dice(s), 6);

    p->changed_us = s->now_us;
    if (!w)
        return;
    TRACE(s, p->aor, "phone %u: trouble %u with connection %u", p->index, what, p->wire);
    switch (what) {
    case 0:
        phone_disconnect(s, p, WIRE_GRACEFUL);
        break;
    case 1:
        wire_break(s, w);
        break;
    case 2:
        wire_cut(s, w);
        break;
    case 3:
        w->mute = true;
        p->reads_us = s->now_us + chance_between(dice(s), 5, 90) * SECOND;
        break;
    default: /* its NAT has forgotten it */
        if (!w->lost)
            wire_lose(s, w);
    }
}

/* ---- timers -------------------------------------------------------------------------------- */

/* In calm times a ping over a connection that works is answered. */
static void no_pong(struct sim *s, struct phone *p)
{
    p->pong_us = NEVER;
    if (wire_of(s, p) && wire_of(s, p)->mute)
        return;
    if (wire_works(s, p->wire) && p->changed_us + PONG_WITHIN < s->now_us &&
        faults_calm_for(s, 2 * PONG_WITHIN))
        check_fail(s, 0, p->aor, "phone %u sent a ping and got no pong", p->index);
    phone_disconnect(s, p, WIRE_VANISH);
}

void phone_wire_timers(struct sim *s, struct phone *p)
{
    struct wire *w = wire_of(s, p);

    if (p->reads_us <= s->now_us) {
        p->reads_us = NEVER;
        p->changed_us = s->now_us;
        if (w)
            w->mute = false;
    }
    if (p->pong_us <= s->now_us)
        no_pong(s, p);
    if (p->ping_us > s->now_us)
        return;
    plan_ping(s, p);
    p->pong_us = s->now_us + PONG_WITHIN;
    if (w)
        wire_put(s, w, SPAN("\r\n\r\n"));
}

uint64_t phone_wire_due_us(const struct phone *p)
{
    uint64_t due_us = p->ping_us < p->pong_us ? p->ping_us : p->pong_us;

    return p->reads_us < due_us ? p->reads_us : due_us;
}

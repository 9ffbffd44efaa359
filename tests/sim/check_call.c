/*
 * check_call: the invariants of calls.
 *
 * What can only be asked of a network that loses nothing is asked in calm times
 * alone, and of phones that have not moved meanwhile.
 */
#include "sim.h"

#define GHOST_AFTER (10 * SECOND)
/* An INVITE without a provisional answer cannot be cancelled (RFC 3261 9.1): so
 * long it goes on, and who hears it then is cancelled at once. */
#define UNHEARD_MOST (35 * SECOND)
#define INVITE_AGE   (90 * SECOND) /* the phone waits 32 s; a connection stalls for 30 s */

static const struct phone *phone_at(const struct sim *s, uint32_t index)
{
    return &s->phones.list[index];
}

/* Was it calm from a little before until now? */
static bool calm_since(const struct sim *s, uint64_t us)
{
    return faults_calm_for(s, s->now_us - us + 2 * SECOND);
}

/* Could it have been reached all the while? */
static bool stayed(const struct sim *s, const struct phone *p, uint64_t since_us)
{
    return p->changed_us + 2 * SECOND < since_us && phone_reachable(s, p);
}

void check_call_begins(struct sim *s, struct pbx_call *c)
{
    const struct aor *a = location_find(core_location(s->world.core), s->people.list[c->aor].hash);
    uint16_t top_q = 0;

    for (const struct binding *b = a ? aor_first(a) : NULL; b; b = aor_next(a, b))
        if (binding_live(b, world_core_ms(s)) && b->q > top_q)
            top_q = b->q;
    c->top_q = top_q;
    s->check.calls_expected += c->expected_count > 0;
}

void check_rang(struct sim *s, const struct phone *p, uint32_t number)
{
    struct pbx_call *c = pbx_call_find(s, number);

    if (!c)
        return;
    if (c->over_us != NEVER && c->over_us + UNHEARD_MOST < s->now_us && calm_since(s, c->began_us))
        check_fail(s, 4, c->aor, "phone %u begins to ring for call %u, which is long over",
                   p->index, number);
    for (unsigned i = 0; i < c->expected_count; i++)
        if (c->expected[i].phone == p->index)
            c->expected[i].rang = true;
}

/* Did a phone of higher q come while the INVITE was on its way? It is the first group. */
static bool outdone(const struct sim *s, const struct pbx_call *c)
{
    const struct aor *a = location_find(core_location(s->world.core), s->people.list[c->aor].hash);
    uint64_t began_ms = (s->world.clock_us + c->began_us) / 1000;

    for (const struct binding *b = a ? aor_first(a) : NULL; b; b = aor_next(a, b))
        if (b->q > c->top_q && b->proved_ms >= began_ms)
            return true;
    return false;
}

/* The first group of phones rings at once. */
void check_call_rings(struct sim *s, struct pbx_call *c)
{
    if (!calm_since(s, c->began_us) || outdone(s, c))
        return;
    if (c->state == CALL_CALLING) {
        check_fail(s, 4, c->aor, "call %u: not even a 100 after 3 s", c->number);
        return;
    }
    for (unsigned i = 0; i < c->expected_count; i++) {
        const struct pbx_expected *e = &c->expected[i];

        if (e->q == c->top_q && !e->rang && stayed(s, phone_at(s, e->phone), c->began_us))
            check_fail(s, 4, c->aor, "call %u: phone %u does not ring", c->number, e->phone);
    }
}

/* Refused by itself: all phones were asked. 6xx ends a fork early. */
void check_call_refused(struct sim *s, struct pbx_call *c)
{
    if (c->cancelled_us || c->status >= 600 || !calm_since(s, c->began_us))
        return;
    for (unsigned i = 0; i < c->expected_count; i++) {
        const struct pbx_expected *e = &c->expected[i];

        if (!e->rang && stayed(s, phone_at(s, e->phone), c->began_us))
            check_fail(s, 4, c->aor, "call %u is refused with %d, but phone %u never rang",
                       c->number, c->status, e->phone);
    }
}

void check_call_lost(struct sim *s, struct pbx_call *c)
{
    if (calm_since(s, c->began_us))
        check_fail(s, 4, c->aor, "call %u never got a final answer", c->number);
}

/* ---- hanging up ---------------------------------------------------------------------------- */

/* The phone that answered this dialog, if it still is where it was. */
static const struct phone *phone_of_dialog(const struct sim *s, const struct pbx_call *c,
                                           const struct pbx_dialog *d)
{
    const char *line = strstr(d->target, ";line=");
    uint32_t index, number;

    if (!line || !phone_of_line(s, span_of(line + 6), &index, &number))
        return NULL;
    const struct phone *p = phone_at(s, index);
    return p->mind == PHONE_ON && p->line == number && p->changed_us < c->began_us ? p : NULL;
}

void check_bye_ends(struct sim *s, const struct pbx_call *c, const struct pbx_dialog *d, int status)
{
    const struct phone *p = phone_of_dialog(s, c, d);

    if (status != 200 && p && calm_since(s, c->began_us))
        check_fail(s, 4, c->aor, "call %u: phone %u was sent BYE, the answer is %d", c->number,
                   p->index, status);
}

/* Was all calm since the main registrar began this call, which it still knows? */
static bool calm_call(struct sim *s, const struct phone *p, const struct phone_call *c)
{
    const struct pbx_call *call = pbx_call_find(s, c->number);

    return call && p->changed_us < call->began_us && calm_since(s, call->began_us);
}

void check_phone_bye_ends(struct sim *s, const struct phone *p, const struct phone_call *c,
                          int status)
{
    if (status != 200 && calm_call(s, p, c))
        check_fail(s, 4, p->aor, "call %u: phone %u sent BYE, the answer is %d", c->number,
                   p->index, status);
}

void check_phone_call_stuck(struct sim *s, const struct phone *p, const struct phone_call *c)
{
    if (calm_call(s, p, c))
        check_fail(s, 4, p->aor, "call %u: phone %u hears nothing after its %d", c->number,
                   p->index, c->status);
}

/* ---- calls of phones ------------------------------------------------------------------------- */

void check_dial_ends(struct sim *s, const struct phone *p, int status)
{
    const struct phone_dial *d = &p->dial;
    bool ends = d->state == DIAL_ENDING;

    if (!d->may || !stayed(s, p, d->began_us) || !calm_since(s, d->began_us))
        return;
    if (ends ? status != 200 : status != 486 && status != 487 && status != 480)
        check_fail(s, 4, p->aor, "phone %u's own call %u: the answer to its %s is %d", p->index,
                   d->number, ends ? "BYE" : "INVITE", status);
}

void check_incoming_ends(struct sim *s, const struct pbx_incoming *c, int status)
{
    const struct phone *p = phone_at(s, c->phone);

    /* An INVITE may be under way for as long as its caller sends it, and over a
     * connection that was cut for longer than he waits. */
    if (c->began_us > INVITE_AGE && stayed(s, p, c->began_us - INVITE_AGE) && status != 200 &&
        calm_since(s, c->began_us - INVITE_AGE))
        check_fail(s, 4, c->aor, "phone %u's own call %u: after the answer %d the phone said %d",
                   c->phone, c->number, c->status, status);
}

/* ---- ghosts ---------------------------------------------------------------------------------- */

static void check_ghost(struct sim *s, const struct phone *p, const struct phone_call *ringing)
{
    const struct pbx_call *c = pbx_call_find(s, ringing->number);

    if (!c || c->over_us == NEVER || c->over_us + GHOST_AFTER > s->now_us ||
        ringing->began_us + GHOST_AFTER > s->now_us)
        return;
    if (stayed(s, p, c->began_us) && calm_since(s, c->began_us))
        check_fail(s, 4, p->aor, "phone %u still rings for call %u, which is over", p->index,
                   ringing->number);
}

void check_ghosts(struct sim *s)
{
    if (!faults_calm_for(s, GHOST_AFTER))
        return;
    for (unsigned i = 0; i < s->phones.count; i++)
        for (unsigned k = 0; k < PHONE_CALLS; k++)
            if (s->phones.list[i].calls[k].state == PCALL_RINGING)
                check_ghost(s, &s->phones.list[i], &s->phones.list[i].calls[k]);
}

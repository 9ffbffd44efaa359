/*
 * phone: its life: when it comes, leaves, dies and moves.
 *
 * Called by its alarm and by what arrives for it. Comes back no sooner than the
 * network has forgotten its last datagrams, so that what is true is never in
 * doubt.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#define SIP_PORT     5060
#define BOOT_SOONEST (8 * SECOND)
/* A 403 that ends an AOR may be under way for so long, lost and repeated. */
#define REFUSED_GRACE (40 * SECOND)

static struct chance *dice(struct sim *s)
{
    return &s->phones.chance;
}

/* ---- addresses and contacts ---------------------------------------------------- */

static void write_contact(const struct phone *p, struct contact_truth *c)
{
    struct buf out = buf_make(c->text, sizeof c->text);

    buf_lit(&out, "sip:p");
    buf_u64(&out, p->index);
    buf_char(&out, '@');
    address_put(&out, &c->local);
    buf_str(&out, p->habits.by_stream ? ";transport=tcp;line=" : ";line=");
    buf_u64(&out, p->index);
    buf_char(&out, '-');
    buf_u64(&out, c->line);
    c->text_n = (uint8_t)out.n;
}

struct contact_truth *phone_contact(struct phone *p, uint32_t line)
{
    struct contact_truth *c = &p->contacts[line % PHONE_CONTACTS];

    if (c->line != line) {
        *c = (struct contact_truth){.line = line, .local = p->local};
        write_contact(p, c);
    }
    return c;
}

void phone_put_contact(struct buf *out, struct phone *p, uint32_t line)
{
    const struct contact_truth *c = phone_contact(p, line);

    buf_put(out, c->text, c->text_n);
}

bool phone_of_line(const struct sim *s, struct span line, uint32_t *phone, uint32_t *number)
{
    const char *dash = line.n ? memchr(line.p, '-', line.n) : NULL;

    return dash && span_u32(span_between(line.p, dash), phone) && *phone < s->phones.count &&
           span_u32(span_between(dash + 1, line.p + line.n), number);
}

static void note_flow(struct phone *p)
{
    for (unsigned i = 0; i < PHONE_FLOWS; i++)
        if (address_equal(&p->flows[i], &p->public))
            return;
    p->flows[p->flow_count++ % PHONE_FLOWS] = p->public;
}

void phone_send(struct sim *s, struct phone *p, struct span bytes)
{
    char who[48];

    if (trace_wants(s, p->aor)) {
        snprintf(who, sizeof who, "  phone %u:%u > midreg", p->index, p->public.port);
        trace_message(s, p->aor, who, bytes);
    }
    phone_connect(s, p);
    note_flow(p);
    if (p->habits.by_stream)
        phone_wire_send(s, p, bytes);
    else
        network_send(s, &p->public, &s->world.midreg, bytes);
}

/* Of its datagrams, or of its next connection. */
void phone_new_port(struct phone *p)
{
    p->next_port = p->next_port < 60000 ? (uint16_t)(p->next_port + 1) : 10000;
    p->public.port = p->next_port;
    if (p->habits.behind_nat)
        return;
    p->local = p->public;
    if (p->habits.by_stream)
        p->local.port = SIP_PORT; /* there it listens */
}

/* Another network: another address. */
static void new_network(struct phone *p)
{
    p->public.ip[1] = p->public.ip[1] < 240 ? (uint8_t)(p->public.ip[1] + 1) : 16;
    phone_new_port(p);
}

static void new_line(struct phone *p)
{
    p->old_line = p->line++;
    phone_contact(p, p->line); /* with the address of now */
}

/* ---- life ------------------------------------------------------------------------ */

static void plan_life(struct sim *s, struct phone *p)
{
    p->life_us = s->now_us + 60 * SECOND + chance_around(dice(s), s->phones.life_mean_us);
}

void phone_turn_off(struct sim *s, struct phone *p)
{
    TRACE(s, p->aor, "phone %u is off", p->index);
    phone_wire_off(s, p, p->mind == PHONE_LEAVING);
    p->mind = PHONE_OFF;
    p->changed_us = s->now_us;
    p->view.valid = false;
    p->leaves_next = false;
    p->tx.busy = false;
    p->act_us = NEVER;
    phone_call_forget_all(p);
    phone_dial_plan(s, p);
    p->life_us = NEVER;
    if (!sim_evening(s))
        p->life_us = s->now_us + BOOT_SOONEST +
                     (chance_percent(dice(s), 40) ? chance_below(dice(s), 20 * SECOND)
                                                  : chance_around(dice(s), 20 * MINUTE));
}

static void boot(struct sim *s, struct phone *p)
{
    bool new_contact = chance_percent(dice(s), 30);

    if (chance_percent(dice(s), 40)) {
        phone_new_port(p);
        new_contact |= !p->habits.behind_nat;
    }
    if (new_contact)
        new_line(p);
    if (chance_percent(dice(s), 60)) {
        p->call_id++;
        p->cseq = chance_below(dice(s), 10000);
    }
    p->nonce[0] = '\0';
    p->mind = PHONE_ON;
    p->changed_us = s->now_us;
    p->act_us = s->now_us;
    TRACE(s, p->aor, "phone %u boots: line %u, call-id %u", p->index, p->line, p->call_id);
    plan_life(s, p);
}

static void leave(struct sim *s, struct phone *p)
{
    TRACE(s, p->aor, "phone %u wants to leave", p->index);
    p->mind = PHONE_LEAVING;
    p->leaves_next = false;
    p->changed_us = s->now_us;
    p->view.valid = false;
    p->tries = 0;
    p->life_us = NEVER;
    p->act_us = s->now_us;
    if (p->habits.impatient)
        p->tx.busy = false;
}

/* The NAT gives it another port; it does not know. Or its connection suffers. */
static void rebind(struct sim *s, struct phone *p)
{
    plan_life(s, p);
    if (p->habits.by_stream) {
        phone_wire_trouble(s, p);
        return;
    }
    phone_new_port(p);
    p->changed_us = s->now_us;
    TRACE(s, p->aor, "phone %u: its NAT chose port %u", p->index, p->public.port);
}

static void move(struct sim *s, struct phone *p)
{
    enum register_kind kind = REGISTER_ADD;

    phone_wire_off(s, p, false);
    new_network(p);
    p->changed_us = s->now_us;
    if (p->dial.state == DIAL_CALLING || p->dial.state == DIAL_PROCEEDING)
        phone_dial_plan(s, p); /* that INVITE's Via is not where it is any more */
    if (!p->habits.behind_nat || chance_percent(dice(s), 50)) {
        new_line(p);
        p->view.valid = false;
        if (chance_percent(dice(s), 50))
            kind = REGISTER_SWAP;
    }
    TRACE(s, p->aor, "phone %u moves: line %u", p->index, p->line);
    phone_register(s, p, kind);
    plan_life(s, p);
}

/* Registers, and leaves while copies of that may still be under way. */
static void register_and_leave(struct sim *s, struct phone *p)
{
    p->leaves_next = true;
    p->life_us = s->now_us + chance_between(dice(s), SECOND / 20, 4 * SECOND);
    phone_register(s, p, REGISTER_ADD);
}

static void live(struct sim *s, struct phone *p)
{
    uint32_t what = chance_below(dice(s), 100);

    if (p->mind == PHONE_OFF) {
        if (sim_evening(s))
            p->life_us = NEVER;
        else
            boot(s, p);
        return;
    }
    if (sim_evening(s))
        what = what < 70 ? 20 : 40;
    if (what < 15 && !p->leaves_next)
        register_and_leave(s, p);
    else if (what < 30 || p->leaves_next)
        leave(s, p);
    else if (what < 65)
        phone_turn_off(s, p);
    else if (what < 85 && (p->habits.behind_nat || p->habits.by_stream))
        rebind(s, p);
    else
        move(s, p);
}

void phones_to_bed(struct sim *s)
{
    for (unsigned i = 0; i < s->phones.count; i++) {
        struct phone *p = &s->phones.list[i];

        p->life_us = s->now_us + chance_below(dice(s), 60 * SECOND);
        phone_arm(s, p);
    }
}

/* ---- events ----------------------------------------------------------------------- */

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void phone_arm(struct sim *s, struct phone *p)
{
    uint64_t due_us = earlier(p->life_us, earlier(phone_call_due_us(p), phone_dial_due_us(p)));

    due_us = earlier(due_us, phone_wire_due_us(p));
    due_us = earlier(due_us, p->tx.busy ? p->tx.next_us : p->act_us);
    alarm_set(&s->queue, &p->alarm, EVENT_PHONE, p->index, due_us);
}

static void act(struct sim *s, struct phone *p)
{
    if (p->mind == PHONE_ON)
        phone_register(s, p, REGISTER_ADD);
    else if (chance_percent(dice(s), 4))
        phone_register(s, p, REGISTER_REMOVE_ALL);
    else
        phone_register(s, p, REGISTER_REMOVE);
}

void phone_event(struct sim *s, const struct event *e)
{
    struct phone *p = &s->phones.list[e->who];

    if (!alarm_rings(&s->queue, &p->alarm, e))
        return;
    if (p->tx.busy && p->tx.next_us <= s->now_us)
        phone_register_timer(s, p);
    if (p->life_us <= s->now_us)
        live(s, p);
    if (!p->tx.busy && p->act_us <= s->now_us)
        act(s, p);
    phone_wire_timers(s, p);
    phone_call_timers(s, p);
    phone_dial_timers(s, p);
    phone_arm(s, p);
}

static void receive(struct sim *s, struct phone *p, struct span bytes)
{
    struct sip_message *m = &s->message;
    struct sip_fault fault = {0};
    char who[48];

    if (trace_wants(s, p->aor)) {
        snprintf(who, sizeof who, "  midreg > phone %u", p->index);
        trace_message(s, p->aor, who, bytes);
    }
    if (phone_register_quick(s, p, bytes)) {
        phone_arm(s, p);
        return;
    }
    if (sip_parse(bytes, m, &fault) != SIP_PARSED) {
        check_fail(s, 0, p->aor, "midreg sent phone %u what is not SIP: %s", p->index,
                   fault.reason ? fault.reason : "noise");
        return;
    }
    if (m->is_request)
        phone_call_request(s, p, m);
    else if (m->method == SIP_REGISTER)
        phone_register_answer(s, p, m);
    else if (!phone_dial_answer(s, p, m))
        phone_call_answer(s, p, m);
    phone_arm(s, p);
}

struct phone *phone_of_host(struct sim *s, const struct address *a)
{
    unsigned index = (unsigned)a->ip[2] << 8 | a->ip[3];

    if (a->family != ADDRESS_IP4 || a->ip[0] != 10 || a->ip[1] < 16 || a->ip[1] > 240 ||
        index >= s->phones.count)
        return NULL;
    return &s->phones.list[index];
}

bool phone_listens(const struct phone *p, const struct address *a)
{
    return p->mind != PHONE_OFF && p->habits.by_stream && !p->habits.behind_nat &&
           address_equal(&p->local, a);
}

void phone_wire_message(struct sim *s, struct phone *p, struct span message)
{
    if (p->mind != PHONE_OFF)
        receive(s, p, message);
}

bool phones_receive(struct sim *s, const struct address *to, struct span bytes)
{
    struct phone *p = phone_of_host(s, to);

    if (!p)
        return false;
    if (p->mind != PHONE_OFF && !p->habits.by_stream && address_equal(&p->public, to))
        receive(s, p, bytes);
    else
        trace_message(s, p->aor, "  midreg > phone that is not there", bytes);
    return true;
}

/* Has it a connection that midreg has, or did it lose it just now? What later
 * REGISTERs over another one have done, it does not know. */
static bool has_flow(const struct sim *s, const struct phone *p)
{
    uint64_t ended_us = wire_ended_us(s, p->view.wire);

    return p->tx.wire == p->view.wire &&
           (ended_us == 0 || s->now_us + SECOND / 50 < ended_us + FLOW_GRACE_S * SECOND);
}

/* The answer to a later REGISTER went with its connection: it may have granted less. */
static bool told_less(const struct phone *p)
{
    return p->view.wire && p->tx.sent_us > p->view.since_us;
}

bool phone_registered(const struct sim *s, const struct phone *p)
{
    const struct person *person = &s->people.list[p->aor];

    return !told_less(p) && p->mind == PHONE_ON && p->view.valid && p->view.until_us > s->now_us &&
           has_flow(s, p) && person->all_removed_us < p->view.since_us &&
           (person->refused_us == 0 || person->refused_us + REFUSED_GRACE <= p->view.since_us);
}

bool phone_reachable(const struct sim *s, const struct phone *p)
{
    return phone_registered(s, p) && p->view.line == p->line &&
           address_equal(&p->view.flow, &p->public) &&
           (!p->habits.by_stream || (p->view.wire == p->wire && wire_works(s, p->wire)));
}

/* ---- making them -------------------------------------------------------------------- */

static void make_habits(struct chance *c, struct phone_habits *h, uint32_t stream_percent)
{
    static const uint32_t asks[] = {60, 120, 300, 3600, 3600, 3600};

    *h = (struct phone_habits){
        .behind_nat = chance_percent(c, 60),
        .asks_rport = chance_percent(c, 70),
        .preemptive = chance_percent(c, 60),
        .expires_header = chance_percent(c, 50),
        .instance = chance_percent(c, 30),
        .impatient = chance_percent(c, 20),
        .written = (uint8_t)chance_below(c, 2),
        .q = chance_percent(c, 85) ? 1000 : (uint16_t)(chance_below(c, 10) * 100),
        .asks_s = asks[chance_below(c, 6)],
        .opaque = chance_percent(c, 10) ? (uint16_t)chance_between(c, 300, 1200) : 0,
        .by_stream = chance_percent(c, stream_percent),
        .pings = chance_percent(c, 60),
    };
}

static void make(struct sim *s, struct phone *p, uint32_t index)
{
    struct chance *c = dice(s);

    p->index = index;
    /* Everybody has one phone; the others are spread. */
    p->aor = (int)(index < s->people.count ? index : chance_below(c, s->people.count));
    make_habits(c, &p->habits, s->phones.stream_percent);
    p->alarm = ALARM_NONE;
    p->public.family = ADDRESS_IP4;
    p->public.ip[0] = 10;
    p->public.ip[1] = 16;
    p->public.ip[2] = (uint8_t)(index >> 8);
    p->public.ip[3] = (uint8_t)index;
    p->next_port = 10000;
    p->public.port = p->habits.behind_nat ? p->next_port : SIP_PORT;
    p->local = p->public;
    if (p->habits.behind_nat) {
        p->local.ip[0] = 192;
        p->local.ip[1] = 168;
        p->local.port = SIP_PORT;
    }
    p->line = 1;
    p->call_id = 1;
    p->act_us = NEVER;
    p->ping_us = p->pong_us = p->reads_us = NEVER;
    p->tx.next_us = NEVER;
    p->life_us = chance_below(c, chance_percent(c, 90) ? 60 * SECOND : 2000 * SECOND);
    phone_dial_plan(s, p);
    phone_arm(s, p);
}

bool phones_init(struct sim *s)
{
    static const uint32_t percents[] = {0, 20, 33, 33, 50, 100};
    struct phones *phones = &s->phones;

    phones->chance = chance_of(s->options->seed, STREAM_PHONES);
    phones->list = calloc(s->options->phones, sizeof *phones->list);
    if (!phones->list)
        return false;
    phones->count = s->options->phones;
    phones->life_mean_us = chance_between(&phones->chance, 30, 240) * MINUTE;
    phones->stream_percent = percents[chance_below(&phones->chance, 6)];
    for (unsigned i = 0; i < phones->count; i++)
        make(s, &phones->list[i], i);
    return true;
}

void phones_fini(struct sim *s)
{
    for (unsigned i = 0; i < s->phones.count; i++)
        phone_call_forget_all(&s->phones.list[i]);
    free(s->phones.list);
}

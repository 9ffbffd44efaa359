/*
 * wire: connects, moves bytes, closes.
 *
 * Called by phones, the main registrar, strangers, midreg's ports and by its own
 * events. A wire is freed at the end of one of its events alone, so nobody who is
 * called from here loses it under his feet.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

/* net/stream.c's. */
#define CONNECT_MOST (5 * SECOND)
#define STALL_MOST   (30 * SECOND)
#define IDLE_MOST    HOUR
/* TCP's own keep-alive, where it finds a dead peer. */
#define DEAD_MOST (5 * MINUTE)

#define PBX_IDLE MINUTE

enum what { TO_MIDREG = WIRE_MIDREG, TO_PEER = WIRE_PEER, CONNECT, WATCH, PBX_LOOKS, WHATS = 8 };

static struct chance *dice(struct sim *s)
{
    return &s->wires.chance;
}

static void later(struct sim *s, const struct wire *w, enum what what, uint64_t after_us)
{
    queue_push(&s->queue, s->now_us + after_us, EVENT_WIRE, w->flow.connection * WHATS + what,
               NULL);
}

static int wire_aor(const struct sim *s, const struct wire *w)
{
    return w->owner < s->phones.count ? s->phones.list[w->owner].aor : NO_AOR;
}

static enum side side_of(const struct wire *w)
{
    return w->owner == WIRE_PBX ? SIDE_PBX : SIDE_PHONES;
}

/* TCP repeats what is lost: it comes later. */
static uint64_t delay_us(struct sim *s, const struct wire *w)
{
    uint64_t us = network_delay_us(s, side_of(w), &w->flow.peer);

    for (unsigned i = 0; i < 4; i++) {
        if (!chance_permille(dice(s), s->network.level[side_of(w)].loss))
            break;
        us += UINT64_C(200000) << i;
    }
    return us;
}

static bool is_cut(const struct sim *s, const struct wire *w)
{
    return s->network.level[side_of(w)].loss >= 1000;
}

/* ---- finding ---------------------------------------------------------------------- */

struct wire *wire_find(const struct sim *s, uint32_t number)
{
    return number && number <= s->wires.last ? s->wires.past[number].wire : NULL;
}

uint64_t wire_ended_us(const struct sim *s, uint32_t number)
{
    return number && number <= s->wires.last ? s->wires.past[number].ended_us : 0;
}

bool wire_works(const struct sim *s, uint32_t number)
{
    const struct wire *w = wire_find(s, number);

    return w && w->state[WIRE_MIDREG] == WIRE_OPEN && w->state[WIRE_PEER] == WIRE_OPEN &&
           !w->lost && !w->mute && !w->doomed && !w->to[WIRE_MIDREG].ends && !w->to[WIRE_PEER].ends;
}

unsigned wires_held(const struct sim *s)
{
    unsigned held = 0;

    for (const struct wire *w = s->wires.list; w; w = w->next)
        held += w->state[WIRE_MIDREG] != WIRE_CLOSED;
    return held;
}

static struct wire *of_flow(const struct sim *s, const struct flow *flow)
{
    struct wire *w = wire_find(s, flow->connection);

    return w && flow_equal(&w->flow, flow) ? w : NULL;
}

/* ---- beginning and end --------------------------------------------------------------- */

static void *must(void *memory)
{
    if (!memory) {
        fprintf(stderr, "out of memory\n");
        abort();
    }
    return memory;
}

static struct wire *make(struct sim *s, uint32_t owner, const struct address *peer)
{
    struct wires *all = &s->wires;
    struct wire *w = must(calloc(1, sizeof *w));

    if (++all->last >= all->past_room) {
        all->past_room = all->past_room ? all->past_room * 2 : 1024;
        all->past = must(realloc(all->past, all->past_room * sizeof *all->past));
    }
    all->past[all->last] = (struct wire_past){w, 0};
    w->flow.peer = *peer;
    w->flow.transport = TRANSPORT_TCP;
    w->flow.listener = WORLD_LISTENER_TCP;
    w->flow.connection = all->last;
    w->owner = owner;
    w->began_us = w->heard_us = w->used_us = s->now_us;
    framer_init(&w->to[WIRE_MIDREG].framer);
    framer_init(&w->to[WIRE_PEER].framer);
    w->next = all->list;
    if (w->next)
        w->next->prev = w;
    all->list = w;
    all->count++;
    all->opened++;
    return w;
}

static void release(struct sim *s, struct wire *w)
{
    if (w->next)
        w->next->prev = w->prev;
    if (w->prev)
        w->prev->next = w->next;
    else
        s->wires.list = w->next;
    s->wires.count--;
    s->wires.past[w->flow.connection].wire = NULL;
    for (int end = 0; end < WIRE_ENDS; end++) {
        framer_fini(&w->to[end].framer);
        free(w->to[end].bytes);
    }
    free(w);
}

static void ended(struct sim *s, const struct wire *w)
{
    struct wire_past *past = &s->wires.past[w->flow.connection];

    if (past->ended_us == 0)
        past->ended_us = s->now_us;
}

static void tell_core(struct sim *s, struct wire *w)
{
    w->state[WIRE_MIDREG] = WIRE_CLOSED;
    w->to[WIRE_MIDREG].n = 0;
    ended(s, w);
    TRACE(s, wire_aor(s, w), "midreg sees that connection %u is closed", w->flow.connection);
    world_begin(s);
    core_flow_closed(s->world.core, &w->flow);
    world_end(s);
}

static void tell_peer(struct sim *s, struct wire *w)
{
    w->state[WIRE_PEER] = WIRE_CLOSED;
    w->to[WIRE_PEER].n = 0;
    if (w->owner < s->phones.count)
        phone_wire_closed(s, &s->phones.list[w->owner], w->flow.connection);
}

/* ---- bytes ------------------------------------------------------------------------------ */

static void move_on(struct sim *s, struct wire *w, enum wire_end end, uint64_t after_us)
{
    struct wire_pipe *pipe = &w->to[end];

    if (pipe->due || (pipe->n == 0 && !pipe->ends) || w->state[WIRE_MIDREG] == WIRE_CONNECTING ||
        w->state[WIRE_PEER] == WIRE_CONNECTING)
        return;
    pipe->due = true;
    later(s, w, (enum what)end, after_us);
}

static void append(struct wire_pipe *pipe, struct span bytes)
{
    if (pipe->n + bytes.n > pipe->room) {
        pipe->room = (pipe->n + bytes.n) * 2;
        pipe->bytes = must(realloc(pipe->bytes, pipe->room));
    }
    if (bytes.n) /* a message may be cut at its very beginning */
        memcpy(pipe->bytes + pipe->n, bytes.p, bytes.n);
    pipe->n += bytes.n;
}

static void write_to(struct sim *s, struct wire *w, enum wire_end end, struct span bytes)
{
    trace_hash(s, bytes);
    w->used_us = s->now_us;
    append(&w->to[end], bytes);
    move_on(s, w, end, delay_us(s, w));
}

/* In one turn of the core, as net/connection.c does it. */
static void read_by_midreg(struct sim *s, struct wire *w, struct span bytes)
{
    struct framer *framer = &w->to[WIRE_MIDREG].framer;
    enum framed what = FRAMED_MESSAGE;
    struct span got;

    w->heard_us = s->now_us;
    world_begin(s);
    framer_read(framer, bytes);
    while (w->state[WIRE_MIDREG] == WIRE_OPEN && !w->doomed && what != FRAMED_MORE &&
           what != FRAMED_BROKEN) {
        what = framer_next(framer, &got);
        if (what == FRAMED_MESSAGE || (what == FRAMED_BROKEN && got.n))
            core_receive(s->world.core, &w->flow, got);
        else if (what == FRAMED_PING)
            write_to(s, w, WIRE_PEER, SPAN("\r\n"));
    }
    world_end(s);
    if (what == FRAMED_BROKEN)
        wire_cut(s, w);
}

/* Now and then it ends a connection rather than take a call from it: nobody must
 * notice, as the call may go by datagram. */
static bool pbx_drops(struct sim *s, const struct wire *w, struct span message)
{
    return chance_percent(dice(s), 5) && message.n > 7 && memcmp(message.p, "INVITE ", 7) == 0 &&
           !pbx_uses(s, w->flow.connection);
}

static void give_to_peer(struct sim *s, struct wire *w, struct span message)
{
    if (w->owner == WIRE_PBX && pbx_drops(s, w, message)) {
        wire_close(s, w, WIRE_RESET);
    } else if (w->owner == WIRE_PBX) {
        s->pbx.via = w->flow.connection;
        pbx_receive(s, message);
        s->pbx.via = 0;
    } else if (w->owner == WIRE_STRANGER) {
        strangers_receive(s, &s->strangers.address, message);
    } else if (w->owner < s->phones.count) {
        phone_wire_message(s, &s->phones.list[w->owner], message);
    }
}

static void read_by_peer(struct sim *s, struct wire *w, struct span bytes)
{
    struct framer *framer = &w->to[WIRE_PEER].framer;
    enum framed what = FRAMED_MESSAGE;
    struct span got;

    if (w->owner < s->phones.count)
        phone_wire_heard(&s->phones.list[w->owner], w->flow.connection);
    framer_read(framer, bytes);
    while (w->state[WIRE_PEER] == WIRE_OPEN && what != FRAMED_MORE && what != FRAMED_BROKEN) {
        what = framer_next(framer, &got);
        if (what == FRAMED_MESSAGE)
            give_to_peer(s, w, got);
    }
    if (what == FRAMED_BROKEN)
        check_fail(s, 0, wire_aor(s, w), "midreg wrote to a connection what is not SIP");
}

/* How much of it comes in one piece. */
static size_t piece(struct sim *s, size_t n)
{
    return n < 2 || chance_percent(dice(s), 60) ? n : 1 + chance_below(dice(s), (uint32_t)n - 1);
}

static bool is_stuck(const struct sim *s, const struct wire *w, enum wire_end end)
{
    bool reads = !w->mute && !(w->owner == WIRE_PBX && s->pbx.silent);

    /* That it is reset, also who reads nothing sees. */
    return w->lost || is_cut(s, w) || (end == WIRE_PEER && !reads && !w->to[end].ends);
}

static void wait(struct sim *s, struct wire *w, enum wire_end end)
{
    struct wire_pipe *pipe = &w->to[end];

    if (pipe->stuck_us == 0)
        pipe->stuck_us = s->now_us;
    if (end == WIRE_PEER && w->state[WIRE_MIDREG] != WIRE_CLOSED &&
        s->now_us >= pipe->stuck_us + STALL_MOST) {
        wire_cut(s, w);
        return;
    }
    /* Who has left repeats nothing for long. */
    if (end == WIRE_MIDREG && w->left_us && s->now_us >= w->left_us + NETWORK_LATE_MAX_US)
        wire_lose(s, w);
    if (w->lost && (end == WIRE_MIDREG || w->state[WIRE_MIDREG] == WIRE_CLOSED))
        pipe->n = 0;
    else
        move_on(s, w, end, SECOND / 2);
}

static void move(struct sim *s, struct wire *w, enum wire_end end)
{
    struct wire_pipe *pipe = &w->to[end];
    size_t n;

    pipe->due = false;
    if (w->state[end] == WIRE_CLOSED && !(end == WIRE_PEER && w->lost)) {
        pipe->n = 0;
        return;
    }
    if (is_stuck(s, w, end)) {
        wait(s, w, end);
        return;
    }
    pipe->stuck_us = 0;
    n = piece(s, pipe->n);
    if (n && end == WIRE_MIDREG)
        read_by_midreg(s, w, span_make(pipe->bytes, n));
    else if (n)
        read_by_peer(s, w, span_make(pipe->bytes, n));
    if (w->state[end] == WIRE_CLOSED) /* closed meanwhile, and its bytes forgotten */
        return;
    if (pipe->n > n)
        memmove(pipe->bytes, pipe->bytes + n, pipe->n - n);
    pipe->n -= n;
    if (pipe->n || !pipe->ends)
        move_on(s, w, end, chance_below(dice(s), 3000));
    else if (end == WIRE_MIDREG)
        tell_core(s, w);
    else
        tell_peer(s, w);
}

/* ---- connecting ---------------------------------------------------------------------------- */

static void connected(struct sim *s, struct wire *w)
{
    w->state[WIRE_MIDREG] = w->state[WIRE_PEER] = WIRE_OPEN;
    w->heard_us = s->now_us;
    later(s, w, WATCH, IDLE_MOST);
    if (w->owner == WIRE_PBX)
        later(s, w, PBX_LOOKS, chance_between(dice(s), 2, 15) * MINUTE);
    move_on(s, w, WIRE_MIDREG, 0);
    move_on(s, w, WIRE_PEER, 0);
    if (w->owner < s->phones.count)
        phone_wire_opened(s, &s->phones.list[w->owner], w->flow.connection);
}

static void refused(struct sim *s, struct wire *w)
{
    TRACE(s, wire_aor(s, w), "connection %u is refused", w->flow.connection);
    if (w->opened) {
        w->state[WIRE_PEER] = WIRE_CLOSED;
        tell_core(s, w);
    } else {
        w->state[WIRE_MIDREG] = WIRE_CLOSED;
        ended(s, w);
        tell_peer(s, w);
    }
}

/* Does anybody listen where midreg wants to go? */
static uint32_t listener_at(struct sim *s, const struct address *peer)
{
    struct phone *p;

    if (address_equal(peer, &s->pbx.address))
        return s->wires.pbx_listens && chance_percent(dice(s), 85) ? WIRE_PBX : WIRE_NOBODY;
    p = phone_of_host(s, peer);
    return p && phone_listens(p, peer) ? p->index : WIRE_NOBODY;
}

static void try_to_connect(struct sim *s, struct wire *w)
{
    uint32_t refuses = s->network.level[side_of(w)].loss ? 100 : 5;
    bool deaf = is_cut(s, w) || w->lost;

    if (w->state[WIRE_MIDREG] != WIRE_CONNECTING && w->state[WIRE_PEER] != WIRE_CONNECTING)
        return;
    if (w->opened && !deaf) {
        w->owner = listener_at(s, &w->flow.peer);
        deaf = w->owner == WIRE_PBX && s->pbx.silent;
    }
    if (w->opened && (deaf || (w->owner == WIRE_NOBODY && chance_percent(dice(s), 30)))) {
        if (s->now_us >= w->began_us + CONNECT_MOST)
            refused(s, w);
        else
            later(s, w, CONNECT, CONNECT_MOST / 2);
    } else if (deaf) {
        later(s, w, CONNECT, SECOND);
    } else if (w->owner == WIRE_NOBODY || (!w->opened && chance_permille(dice(s), refuses))) {
        refused(s, w);
    } else {
        connected(s, w);
    }
}

struct wire *wire_connect(struct sim *s, uint32_t owner, const struct address *from)
{
    struct wire *w = make(s, owner, from);

    later(s, w, CONNECT, 2 * delay_us(s, w));
    return w;
}

void wire_put(struct sim *s, struct wire *w, struct span bytes)
{
    if (w->state[WIRE_PEER] != WIRE_CLOSED)
        write_to(s, w, WIRE_MIDREG, bytes);
}

/* ---- closing ------------------------------------------------------------------------------- */

void wire_lose(struct sim *s, struct wire *w)
{
    w->lost = true;
    if (chance_percent(dice(s), 70))
        later(s, w, WATCH, chance_between(dice(s), MINUTE, DEAD_MOST));
}

void wire_close(struct sim *s, struct wire *w, enum wire_close how)
{
    struct wire_pipe *pipe = &w->to[WIRE_MIDREG];

    if (w->state[WIRE_PEER] == WIRE_CLOSED)
        return;
    if (w->state[WIRE_PEER] == WIRE_CONNECTING) {
        w->state[WIRE_MIDREG] = WIRE_CLOSED;
        ended(s, w);
        later(s, w, WATCH, 0);
    } else if (how == WIRE_VANISH && !w->lost) {
        wire_lose(s, w);
    }
    w->state[WIRE_PEER] = WIRE_CLOSED;
    w->left_us = s->now_us;
    if (how != WIRE_GRACEFUL)
        pipe->n = 0;
    if (how != WIRE_VANISH) {
        pipe->ends = true;
        move_on(s, w, WIRE_MIDREG, delay_us(s, w));
    }
}

void wires_close_all(struct sim *s, uint32_t owner, enum wire_close how)
{
    for (struct wire *w = s->wires.list; w; w = w->next)
        if (w->owner == owner)
            wire_close(s, w, how);
}

void wire_break(struct sim *s, struct wire *w)
{
    for (int end = 0; end < WIRE_ENDS; end++) {
        w->to[end].n = 0;
        w->to[end].ends = true;
        move_on(s, w, (enum wire_end)end, delay_us(s, w));
    }
}

void wire_cut(struct sim *s, struct wire *w)
{
    struct wire_pipe *pipe = &w->to[WIRE_PEER];

    if (w->state[WIRE_MIDREG] == WIRE_CLOSED)
        return;
    s->wires.cut++;
    pipe->n = 0;
    pipe->ends = true;
    move_on(s, w, WIRE_PEER, delay_us(s, w));
    tell_core(s, w);
    later(s, w, WATCH, 0);
}

void wires_crash(struct sim *s)
{
    for (struct wire *w = s->wires.list; w; w = w->next) {
        if (w->state[WIRE_MIDREG] == WIRE_CLOSED)
            continue;
        w->state[WIRE_MIDREG] = WIRE_CLOSED;
        w->to[WIRE_MIDREG].n = 0;
        ended(s, w);
        w->to[WIRE_PEER].n = 0;
        w->to[WIRE_PEER].ends = true;
        move_on(s, w, WIRE_PEER, delay_us(s, w));
        later(s, w, WATCH, 0);
    }
}

void wires_cut_all(struct sim *s)
{
    for (struct wire *w = s->wires.list; w; w = w->next)
        wire_cut(s, w);
}

/* ---- what midreg's world looks after --------------------------------------------------------- */

static void watch(struct sim *s, struct wire *w)
{
    if (w->state[WIRE_MIDREG] == WIRE_CLOSED)
        return;
    if (w->doomed || w->lost || s->now_us >= w->heard_us + IDLE_MOST)
        wire_cut(s, w);
    else if (s->now_us >= w->began_us + IDLE_MOST)
        later(s, w, WATCH, w->heard_us + IDLE_MOST - s->now_us);
}

/* It closes what it has not used for a while. */
static void pbx_looks(struct sim *s, struct wire *w)
{
    if (w->state[WIRE_PEER] != WIRE_OPEN)
        return;
    if (w->used_us + PBX_IDLE <= s->now_us && !pbx_uses(s, w->flow.connection))
        wire_close(s, w, WIRE_GRACEFUL);
    else
        later(s, w, PBX_LOOKS, PBX_IDLE);
}

void wire_event(struct sim *s, const struct event *e)
{
    struct wire *w = wire_find(s, e->who / WHATS);

    if (!w)
        return;
    switch ((enum what)(e->who % WHATS)) {
    case TO_MIDREG:
    case TO_PEER:
        move(s, w, (enum wire_end)(e->who % WHATS));
        break;
    case CONNECT:
        try_to_connect(s, w);
        break;
    case WATCH:
        watch(s, w);
        break;
    case PBX_LOOKS:
        pbx_looks(s, w);
        break;
    case WHATS:
        break;
    }
    if (w->state[WIRE_MIDREG] == WIRE_CLOSED && w->state[WIRE_PEER] == WIRE_CLOSED)
        release(s, w);
}

/* ---- the ports --------------------------------------------------------------------------------
 */

/* A request to a connection of which the core was told that it is closed is a
 * request to nobody. (Answers may be: RFC 3261 18.2.2.) */
static void check_send(struct sim *s, const struct flow *flow, struct span bytes)
{
    if (wire_ended_us(s, flow->connection) && bytes.n > 7 && memcmp(bytes.p, "SIP/2.0", 7) != 0)
        check_fail(s, 4, NO_AOR,
                   "midreg sends over connection %u, which was closed at %llu ms: %.*s",
                   flow->connection,
                   (unsigned long long)(wire_ended_us(s, flow->connection) / 1000), 60, bytes.p);
}

void wire_port_send(struct sim *s, const struct flow *flow, struct span bytes)
{
    struct wire *w = of_flow(s, flow);

    check_send(s, flow, bytes);
    if (!w || w->state[WIRE_MIDREG] == WIRE_CLOSED || w->doomed)
        return;
    if (w->to[WIRE_PEER].n + bytes.n > s->wires.queue_bytes) {
        w->doomed = true;
        later(s, w, WATCH, 0);
        return;
    }
    write_to(s, w, WIRE_PEER, bytes);
}

bool wire_port_open(struct sim *s, const struct address *peer, struct flow *out)
{
    struct wire *w = make(s, address_equal(peer, &s->pbx.address) ? WIRE_PBX : WIRE_NOBODY, peer);

    w->opened = true;
    *out = w->flow;
    later(s, w, CONNECT, 2 * delay_us(s, w));
    return true;
}

void wire_port_close(struct sim *s, const struct flow *flow)
{
    struct wire *w = of_flow(s, flow);

    if (!w || w->state[WIRE_MIDREG] == WIRE_CLOSED)
        return;
    if (w->state[WIRE_MIDREG] == WIRE_CONNECTING)
        w->state[WIRE_PEER] = WIRE_CLOSED;
    w->state[WIRE_MIDREG] = WIRE_CLOSED;
    ended(s, w);
    w->to[WIRE_PEER].ends = true;
    move_on(s, w, WIRE_PEER, delay_us(s, w));
    later(s, w, WATCH, 0);
}

bool wire_port_alive(const struct sim *s, const struct flow *flow)
{
    const struct wire *w = of_flow(s, flow);

    return w && w->state[WIRE_MIDREG] != WIRE_CLOSED && !w->doomed;
}

/* ---- life ---------------------------------------------------------------------------------------
 */

void wires_init(struct sim *s)
{
    struct wires *all = &s->wires;

    all->chance = chance_of(s->options->seed, STREAM_WIRES);
    all->queue_bytes = chance_percent(&all->chance, 50) ? 16384 : 262144;
    all->pbx_listens = chance_percent(&all->chance, 80);
}

void wires_fini(struct sim *s)
{
    while (s->wires.list)
        release(s, s->wires.list);
    free(s->wires.past);
}

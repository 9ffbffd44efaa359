/*
 * world: fills the table of ports, and turns the core's loop.
 *
 * Called by sim.c. The ports never call back into the core: what it sends is put
 * into the queue, also when it arrives at once.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

/* Virtual seconds since 1970 at the beginning: 2026-01-01. */
#define WALL_START_S UINT64_C(1767225600)

/* ---- ports ------------------------------------------------------------------ */

static uint64_t port_now_us(void *world)
{
    const struct sim *s = world;

    return s->world.clock_us + s->now_us;
}

static uint64_t port_wall_s(void *world)
{
    const struct sim *s = world;

    return WALL_START_S + s->now_us / SECOND;
}

static void port_random(void *world, void *out, size_t n)
{
    struct sim *s = world;

    for (size_t at = 0; at < n;) {
        uint64_t value = chance_next(&s->world.core_chance);
        size_t part = n - at < sizeof value ? n - at : sizeof value;

        memcpy((char *)out + at, &value, part);
        at += part;
    }
}

static char *port_reserve(void *world, size_t *capacity)
{
    struct sim *s = world;

    *capacity = DATAGRAM_MAX;
    return s->world.room;
}

static void port_commit(void *world, const struct flow *to, size_t n)
{
    struct sim *s = world;
    struct span datagram = span_make(s->world.room, n);

    check_sent(s, &to->peer, datagram);
    if (transport_is_stream(to->transport))
        wire_port_send(s, to, datagram);
    else
        network_send(s, &s->world.midreg, &to->peer, datagram);
    /* Who still reads it shall see it; what matters is at the beginning. */
    memset(s->world.room, '#', n < 64 ? n : 64);
}

static void port_local_address(void *world, const struct flow *to, struct address *out)
{
    const struct sim *s = world;

    (void)to;
    *out = s->world.midreg;
}

static bool port_stream_open(void *world, const struct address *peer, enum transport transport,
                             struct flow *out)
{
    return transport == TRANSPORT_TCP && wire_port_open(world, peer, out);
}

static void port_stream_close(void *world, const struct flow *flow)
{
    wire_port_close(world, flow);
}

static bool port_flow_alive(void *world, const struct flow *flow)
{
    return wire_port_alive(world, flow);
}

/* Main registrars have addresses here: nobody is asked for a name. */
static void port_resolve(void *world, unsigned asker, const char *name, uint16_t port)
{
    (void)world;
    (void)asker;
    (void)name;
    (void)port;
}

static bool port_journal_submit(void *world, struct span images)
{
    struct sim *s = world;
    struct world *w = &s->world;

    if (w->journal_us == 0) {
        disk_write(&w->disk, images);
        return true;
    }
    /* Most commits are quick; a few take as long as a disk that is busy. */
    uint64_t most_us = chance_percent(&w->chance, 98) ? w->journal_us : w->journal_us * 20;

    uint64_t takes_us = chance_between(&w->chance, 50, most_us);

    w->writing = images;
    queue_push(&s->queue, s->now_us + takes_us, EVENT_DURABLE, w->life, NULL);
    faults_writing(s, takes_us);
    return false;
}

static void port_log(void *world, enum log_level level, struct span line)
{
    struct sim *s = world;

    TRACE(s, NO_AOR, "midreg log %d: %.*s", (int)level, (int)line.n, line.p);
}

/* ---- life ------------------------------------------------------------------- */

static struct config *configure(struct sim *s)
{
    char text[1024];
    static const uint32_t rates[] = {100, 100, 100, 20, 8};

    s->world.rate = rates[chance_below(&s->world.chance, 5)];
    snprintf(text, sizeof text,
             "listen = [ \"udp:10.0.0.1:5060\", \"tcp:10.0.0.1:5060\" ]\n"
             "domains = [ \"" DOMAIN "\" ]\n"
             "auth = \"%s\"\n"
             "phone-expires = %u\n"
             "upstream-expires = %u\n"
             "upstream = { pbx = { address = \"10.0.0.5:5080\", rate = %u, rate-max = %u } }\n",
             s->auth == AUTH_NONE ? "none" : "upstream", PHONE_EXPIRES_S, UPSTREAM_EXPIRES_S,
             s->world.rate, s->world.rate);
    return config_parse(text, "simulation", stderr);
}

bool world_init(struct sim *s)
{
    struct world *w = &s->world;
    static const uint32_t journals[] = {0, 0, 5000, 50000};

    w->chance = chance_of(s->options->seed, STREAM_WORLD);
    w->core_chance = chance_of(s->options->seed, STREAM_CORE);
    w->clock_us = chance_between(&w->chance, SECOND, 5000 * HOUR);
    w->journal_us = journals[chance_below(&w->chance, 4)];
    w->core_due_us = NEVER;
    disk_init(&w->disk);
    w->ports = (struct ports){
        .world = s,
        .now_us = port_now_us,
        .wall_s = port_wall_s,
        .random = port_random,
        .datagram_reserve = port_reserve,
        .datagram_commit = port_commit,
        .local_address = port_local_address,
        .stream_open = port_stream_open,
        .stream_close = port_stream_close,
        .flow_alive = port_flow_alive,
        .resolve = port_resolve,
        .journal_submit = port_journal_submit,
        .log = port_log,
    };
    w->room = malloc(DATAGRAM_MAX);
    w->config = configure(s);
    port_random(s, w->secret, sizeof w->secret);
    w->core = w->room && w->config ? core_new(w->config, &w->ports, w->secret) : NULL;
    return w->core && address_parse(SPAN("10.0.0.1:5060"), 0, &w->midreg);
}

void world_fini(struct sim *s)
{
    struct world *w = &s->world;

    core_free(w->core);
    config_free(w->config);
    disk_fini(&w->disk);
    free(w->room);
}

uint64_t world_core_ms(const struct sim *s)
{
    return (s->world.clock_us + s->now_us) / 1000;
}

/* ---- the loop ---------------------------------------------------------------- */

void world_begin(struct sim *s)
{
    core_begin(s->world.core);
}

void world_end(struct sim *s)
{
    uint64_t due_ms = core_end(s->world.core);
    uint64_t due_us = due_ms == UINT64_MAX ? NEVER : due_ms * 1000 - s->world.clock_us;

    /* The millisecond in which we are is over for the core. */
    s->world.core_due_us = due_us == NEVER || due_us > s->now_us ? due_us : s->now_us + 1;
}

/* `life`: the run of the program that gave the batch; another one has none of it. */
static void durable(struct sim *s, uint32_t life)
{
    struct world *w = &s->world;

    if (life != w->life)
        return;
    disk_write(&w->disk, w->writing);
    w->writing = SPAN_NONE;
    world_begin(s);
    core_written(w->core, true);
    world_end(s);
}

void world_crash(struct sim *s)
{
    struct world *w = &s->world;
    const struct aor *image;
    size_t at = 0;

    wires_crash(s);
    if (w->writing.n && chance_percent(&w->chance, 50))
        disk_write(&w->disk, w->writing); /* and nobody was told */
    w->writing = SPAN_NONE;
    w->life++;
    w->crashed_us = s->now_us;
    core_free(w->core);
    w->core = core_new(w->config, &w->ports, w->secret);
    if (!w->core)
        abort();
    while ((image = disk_next(&w->disk, &at)))
        if (!core_restore(w->core, image))
            check_fail(s, 6, NO_AOR, "a stored record is refused");
    if (w->disk.lost)
        core_was_lost(w->core, 0);
    world_begin(s);
    core_start(w->core);
    world_end(s);
}

/* All datagrams for midreg that come at this very moment are read in one turn. */
static void arrive_at_core(struct sim *s, struct datagram *d)
{
    world_begin(s);
    for (;;) {
        struct flow from = {
            .peer = d->from, .transport = TRANSPORT_UDP, .listener = WORLD_LISTENER_UDP};

        core_receive(s->world.core, &from, span_make(d->bytes, d->n));
        free(d);
        if (queue_next_us(&s->queue) != s->now_us || s->queue.heap[0].kind != EVENT_ARRIVAL)
            break;
        d = s->queue.heap[0].data;
        if (!address_equal(&d->to, &s->world.midreg))
            break;
        queue_pop(&s->queue);
    }
    world_end(s);
}

static void arrive(struct sim *s, struct datagram *d)
{
    if (address_equal(&d->to, &s->world.midreg)) {
        arrive_at_core(s, d);
        return;
    }
    network_deliver(s, d);
    free(d);
}

static void happen(struct sim *s, const struct event *e)
{
    switch ((enum event_kind)e->kind) {
    case EVENT_ARRIVAL:
        arrive(s, e->data);
        break;
    case EVENT_DURABLE:
        durable(s, e->who);
        break;
    case EVENT_PHONE:
        phone_event(s, e);
        break;
    case EVENT_WIRE:
        wire_event(s, e);
        break;
    case EVENT_CALL:
        pbx_call_event(s, e);
        break;
    case EVENT_INCOMING:
        pbx_incoming_event(s, e);
        break;
    case EVENT_DIAL:
        pbx_dial(s);
        break;
    case EVENT_FAULT:
        faults_event(s, e->who);
        break;
    case EVENT_STRANGER:
        strangers_event(s);
        break;
    case EVENT_CHECK:
        check_event(s);
        break;
    }
}

bool world_step(struct sim *s, uint64_t until_us)
{
    uint64_t event_us = queue_next_us(&s->queue);

    if (s->world.core_due_us <= event_us) {
        if (s->world.core_due_us > until_us)
            return false;
        s->now_us = s->world.core_due_us;
        world_begin(s);
        world_end(s);
        return true;
    }
    if (event_us > until_us)
        return false;
    struct event e = queue_pop(&s->queue);
    s->now_us = e.at_us;
    happen(s, &e);
    return true;
}

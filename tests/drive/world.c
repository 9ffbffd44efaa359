/*
 * world: see the header. Fills the table of ports, and turns the core's loop.
 */
#include "world.h"

#include <stdlib.h>

#define START_MS     UINT64_C(1000000)    /* the monotonic clock at the beginning */
#define WALL_START_S UINT64_C(1767225600) /* 2026-01-01 */

enum { STREAM_SECRET, STREAM_CORE };

/* ---- ports ------------------------------------------------------------------ */

static uint64_t port_now_us(void *world)
{
    const struct world *w = world;

    return w->now_ms * 1000;
}

static uint64_t port_wall_s(void *world)
{
    const struct world *w = world;

    return WALL_START_S + world_time_ms(w) / 1000;
}

static void draw(struct chance *chance, void *out, size_t n)
{
    for (size_t at = 0; at < n;) {
        uint64_t value = chance_next(chance);
        size_t part = n - at < sizeof value ? n - at : sizeof value;

        memcpy((char *)out + at, &value, part);
        at += part;
    }
}

static void port_random(void *world, void *out, size_t n)
{
    struct world *w = world;

    draw(&w->core_chance, out, n);
}

static char *port_reserve(void *world, size_t *capacity)
{
    struct world *w = world;

    *capacity = DATAGRAM_MAX;
    return w->room;
}

static void port_local_address(void *world, const struct flow *to, struct address *out)
{
    const struct world *w = world;

    *out = w->config->listen[to->listener].address;
}

static void port_commit(void *world, const struct flow *to, size_t n)
{
    struct world *w = world;
    char line[128];
    struct buf out = buf_make(line, sizeof line);
    struct address own;

    port_local_address(w, to, &own);
    buf_lit(&out, "datagram ");
    buf_u64(&out, world_time_ms(w));
    buf_char(&out, ' ');
    address_put(&out, &own);
    buf_char(&out, ' ');
    address_put(&out, &to->peer);
    buf_char(&out, ' ');
    buf_u64(&out, n);
    buf_char(&out, '\n');
    fwrite(line, 1, out.n, w->out);
    fwrite(w->room, 1, n, w->out);
    w->sent++;
    memset(w->room, '#', n); /* who still reads it shall see it */
}

static bool port_stream_open(void *world, const struct address *peer, enum transport transport,
                             struct flow *out)
{
    (void)world, (void)peer, (void)transport, (void)out;
    return false;
}

static void port_stream_close(void *world, const struct flow *flow)
{
    (void)world, (void)flow;
}

static bool port_flow_alive(void *world, const struct flow *flow)
{
    (void)world, (void)flow;
    return false;
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
    (void)world, (void)images;
    return true;
}

static void port_log(void *world, enum log_level level, struct span line)
{
    const struct world *w = world;

    (void)level;
    fprintf(w->out, "log %.*s\n", (int)line.n, line.p);
}

/* ---- life ------------------------------------------------------------------- */

/* Who listens everywhere has no address of its own here: there are no routes. */
static bool listens_somewhere(const struct config *c, const char *path, FILE *errors)
{
    for (unsigned i = 0; i < c->listen_count; i++)
        if (c->listen[i].transport != TRANSPORT_UDP || address_is_any(&c->listen[i].address)) {
            fprintf(errors,
                    "%s: listen: datagrams at one address only, as in \"udp:10.0.0.1:5060\"\n",
                    path);
            return false;
        }
    return true;
}

static void end_turn(struct world *w)
{
    w->next_ms = core_end(w->core);
}

bool world_init(struct world *w, const char *config_path, FILE *out, FILE *errors)
{
    struct chance secret_chance = chance_of(1, STREAM_SECRET);
    uint8_t secret[HASH_SECRET_SIZE];

    *w = (struct world){.out = out, .now_ms = START_MS, .core_chance = chance_of(1, STREAM_CORE)};
    w->ports = (struct ports){
        .world = w,
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
    w->config = config_load(config_path, errors);
    if (!w->config || !listens_somewhere(w->config, config_path, errors))
        return false;
    draw(&secret_chance, secret, sizeof secret);
    w->room = malloc(DATAGRAM_MAX);
    w->core = w->room ? core_new(w->config, &w->ports, secret) : NULL;
    if (!w->core) {
        fprintf(errors, "no memory\n");
        return false;
    }
    core_begin(w->core);
    core_start(w->core);
    end_turn(w);
    return true;
}

void world_fini(struct world *w)
{
    core_free(w->core);
    config_free(w->config);
    free(w->room);
}

/* ---- the loop ---------------------------------------------------------------- */

bool world_receive(struct world *w, const struct address *from, const struct address *to,
                   struct span datagram)
{
    for (unsigned i = 0; i < w->config->listen_count; i++)
        if (address_equal(&w->config->listen[i].address, to)) {
            struct flow flow = {.peer = *from, .transport = TRANSPORT_UDP, .listener = (uint8_t)i};

            core_begin(w->core);
            core_receive(w->core, &flow, datagram);
            end_turn(w);
            return true;
        }
    return false;
}

/* When the core wants its next turn: the millisecond in which we are is over for it. */
static uint64_t due_ms(const struct world *w)
{
    return w->next_ms > w->now_ms ? w->next_ms : w->now_ms + 1;
}

void world_advance(struct world *w, uint64_t ms)
{
    uint64_t until = w->now_ms + ms;
    uint64_t sent = w->sent;

    while (due_ms(w) <= until) {
        w->now_ms = due_ms(w);
        core_begin(w->core);
        end_turn(w);
        if (w->sent > sent)
            return;
    }
    w->now_ms = until;
}

uint64_t world_time_ms(const struct world *w)
{
    return w->now_ms - START_MS;
}

/*
 * desk: see the header. Called by the gate's operations.
 */
#include "desk.h"

#include <stdlib.h>

static const char config_text[] =
    "listen = [ \"udp:127.0.0.1:15060\" ]\n"
    "auth = \"none\"\n"
    "phone-expires = \"1d\"\n"
    "upstream-expires = \"1w\"\n"
    "store = \"memory\"\n"
    "upstream = { pbx = { address = \"127.0.0.1:15080\", rate = 0, means = \"acl\" } }\n";

/* ---- ports ---- */

static uint64_t port_now_us(void *world)
{
    const struct desk *d = world;

    return d->now_us;
}

static uint64_t port_wall_s(void *world)
{
    const struct desk *d = world;

    return 1767225600 + d->now_us / 1000000;
}

static void port_random(void *world, void *out, size_t n)
{
    struct desk *d = world;
    unsigned char *to = out;

    for (size_t i = 0; i < n; i++) {
        d->chance = d->chance * 6364136223846793005 + 1442695040888963407;
        to[i] = (unsigned char)(d->chance >> 56);
    }
}

static char *port_reserve(void *world, size_t *capacity)
{
    const struct desk *d = world;

    *capacity = DATAGRAM_MAX;
    return d->queue[d->tail % DESK_QUEUE].bytes;
}

static void port_commit(void *world, const struct flow *to, size_t n)
{
    struct desk *d = world;
    struct desk_datagram *slot = &d->queue[d->tail++ % DESK_QUEUE];

    slot->n = n;
    slot->port = to->peer.port;
}

static void loopback(struct address *out, uint16_t port)
{
    *out = (struct address){.ip = {127, 0, 0, 1}, .port = port, .family = ADDRESS_IP4};
}

static void port_local_address(void *world, const struct flow *to, struct address *out)
{
    (void)world;
    (void)to;
    loopback(out, 15060);
}

static bool port_flow_alive(void *world, const struct flow *flow)
{
    (void)world;
    (void)flow;
    return true;
}

static bool port_stream_open(void *world, const struct address *peer, enum transport transport,
                             struct flow *out)
{
    (void)world;
    (void)peer;
    (void)transport;
    (void)out;
    return false;
}

static void port_stream_close(void *world, const struct flow *flow)
{
    (void)world;
    (void)flow;
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
    (void)world;
    (void)images;
    return true;
}

static void port_log(void *world, enum log_level level, struct span line)
{
    (void)world;
    if (level <= LOG_WARN)
        fprintf(stderr, "%.*s\n", (int)line.n, line.p);
}

/* ---- turns ---- */

__attribute__((noinline)) void desk_measured_turn(struct core *c, const struct flow *from,
                                                  struct span datagram)
{
    core_begin(c);
    core_receive(c, from, datagram);
    core_end(c);
}

__attribute__((noinline)) uint64_t desk_measured_end(struct core *c)
{
    core_begin(c);
    return core_end(c);
}

void desk_receive(struct desk *d, uint16_t from_port, struct span datagram)
{
    struct flow from = {.transport = TRANSPORT_UDP};

    loopback(&from.peer, from_port);
    if (d->measured) {
        desk_measured_turn(d->core, &from, datagram);
        return;
    }
    core_begin(d->core);
    core_receive(d->core, &from, datagram);
    core_end(d->core);
}

static uint64_t turn(struct desk *d)
{
    if (d->measured)
        return desk_measured_end(d->core);
    core_begin(d->core);
    return core_end(d->core);
}

void desk_advance(struct desk *d, uint64_t ms)
{
    uint64_t until_us = d->now_us + ms * 1000;

    while (d->now_us < until_us) {
        uint64_t next_ms = turn(d);

        d->now_us = next_ms < until_us / 1000 ? next_ms * 1000 : until_us;
    }
    turn(d);
}

const struct desk_datagram *desk_next(struct desk *d)
{
    if (d->tail - d->head > DESK_QUEUE) {
        fprintf(stderr, "gate: more than %d datagrams at once\n", DESK_QUEUE);
        exit(1);
    }
    return d->head == d->tail ? NULL : &d->queue[d->head++ % DESK_QUEUE];
}

bool desk_init(struct desk *d)
{
    uint8_t secret[HASH_SECRET_SIZE];

    *d = (struct desk){.now_us = 1000000000, .chance = 1};
    d->ports = (struct ports){
        .world = d,
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
    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)(i * 37 + 11);
    d->config = config_parse(config_text, "gate", stderr);
    d->queue = calloc(DESK_QUEUE, sizeof *d->queue);
    d->core = d->config && d->queue ? core_new(d->config, &d->ports, secret) : NULL;
    return d->core != NULL;
}

void desk_fini(struct desk *d)
{
    core_free(d->core);
    config_free(d->config);
    free(d->queue);
}

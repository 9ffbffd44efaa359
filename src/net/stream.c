/*
 * net/stream: see stream.h.
 *
 * Called by world.c, on the core thread. Never blocks. Connections are freed in
 * streams_flush() alone, when nobody can hold a pointer to them: what the core
 * does while it is told of something meets a state, never freed memory.
 */
#include "net/stream.h"

#include "net/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

/* Descriptors that are left for everything else. */
#define DESCRIPTORS_KEPT 128

struct stream_limits stream_limits_default(unsigned descriptors)
{
    unsigned most =
        descriptors > 2 * DESCRIPTORS_KEPT ? descriptors - DESCRIPTORS_KEPT : descriptors / 2;

    return (struct stream_limits){
        .connections = most < STREAMS_MAX ? most : STREAMS_MAX,
        .queue_bytes = (size_t)256 * 1024,
        .total_bytes = (size_t)256 * 1024 * 1024,
        .connect_ms = 5000,
        .first_ms = 32000, /* 64 * T1, as long as a transaction waits */
        .message_ms = 32000,
        .stall_ms = 30000,
        .half_ms = 32000,
        .linger_ms = 2000,
        .idle_ms = 3600000,
    };
}

/* ---- connections begin ---- */

/* A number that no connection has. 32 bits come round after years; the flow
 * holds the peer's address as well. */
static uint32_t new_number(struct streams *s)
{
    do
        s->last_number++;
    while (s->last_number == 0 || table_find(&s->by_number, s->last_number));
    return s->last_number;
}

/* Takes over the descriptor; NULL: no room, it is closed. */
static struct connection *add(struct streams *s, int fd, const struct address *peer,
                              enum transport transport, unsigned listener, bool accepted)
{
    struct handle handle;
    struct connection *c = slab_new(&s->slab, &handle);

    if (!c) {
        s->refused++;
        close(fd);
        return NULL;
    }
    c->all = s;
    c->handle = handle;
    c->accepted = accepted;
    c->flow.peer = *peer;
    c->flow.transport = (uint8_t)transport;
    c->flow.listener = (uint8_t)listener;
    c->flow.connection = new_number(s);
    if (!connection_begin(c, fd, accepted ? CONNECTION_OPEN : CONNECTION_CONNECTING)) {
        s->refused++;
        slab_free(&s->slab, handle);
        return NULL;
    }
    if (!table_put(&s->by_number, c->flow.connection, c))
        connection_end(c, "no memory");
    return c;
}

static void on_accepted(void *self, int fd, unsigned listener, const struct address *peer)
{
    struct streams *s = self;

    if (add(s, fd, peer, TRANSPORT_TCP, listener, true))
        s->accepted++;
}

/* ---- opening ---- */

/* The TCP listener of `among` that a connection to this peer belongs to: of its
 * family, and on loopback if and only if the peer is, where there is a choice.
 * -1: none. */
static int choose_listener(const struct streams *s, const struct address *peer, uint32_t among)
{
    int best = -1, best_score = -1;

    for (int i = 0; i < CONFIG_LISTENERS_MAX; i++) {
        const struct acceptor *a = &s->acceptors.list[i];
        int score = 0;

        if (!(among >> i & 1) || a->watch.fd < 0 || a->bound.family != peer->family)
            continue;
        if (address_is_any(&a->bound))
            score = 1;
        else if (address_is_loopback(&a->bound) == address_is_loopback(peer))
            score = 2;
        if (score > best_score) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

/* From the listener's address, so that peers know us by it. */
static bool prepare(int fd, const struct address *bound)
{
    struct address from = *bound;
    struct sockaddr_storage at;
    socklen_t n;
    int on = 1;

    if (from.family == ADDRESS_NONE || address_is_any(&from))
        return true;
    from.port = 0;
    n = address_to_sockaddr(&from, &at);
    /* The port is chosen at connect(), for this peer: so there are enough. */
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
           bind(fd, (struct sockaddr *)&at, n) == 0;
}

bool streams_open(struct streams *s, const struct address *peer, enum transport transport,
                  uint32_t among, unsigned listener, struct flow *out)
{
    struct sockaddr_storage to;
    socklen_t to_n = address_to_sockaddr(peer, &to);
    int own = choose_listener(s, peer, among);
    struct connection *c;
    int fd, error = 0;

    if (peer->family == ADDRESS_NONE || peer->port == 0)
        return false;
    fd = socket(to.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    if (own >= 0 && !prepare(fd, &s->acceptors.list[own].bound)) {
        close(fd);
        return false;
    }
    if (connect(fd, (struct sockaddr *)&to, to_n) != 0 && errno != EINPROGRESS)
        error = errno;
    c = add(s, fd, peer, transport, own >= 0 ? (unsigned)own : listener, false);
    if (c && error)
        connection_end(c, strerror(error));
    if (!c)
        return false;
    *out = c->flow;
    return true;
}

/* ---- the ports ---- */

static struct connection *find(const struct streams *s, const struct flow *flow)
{
    struct connection *c = table_find(&s->by_number, flow->connection);

    return c && flow_equal(&c->flow, flow) ? c : NULL;
}

void streams_close(struct streams *s, const struct flow *flow)
{
    struct connection *c = find(s, flow);

    if (!c)
        return;
    c->silent = true;
    connection_close(c);
}

bool streams_alive(const struct streams *s, const struct flow *flow)
{
    const struct connection *c = find(s, flow);

    return c && !c->close_then &&
           (c->state == CONNECTION_CONNECTING || c->state == CONNECTION_OPEN);
}

void streams_send(struct streams *s, const struct flow *flow, struct span message)
{
    struct connection *c = find(s, flow);

    s->sent++;
    if (!c || c->close_then || c->state == CONNECTION_CLOSING || c->state == CONNECTION_LINGERING)
        s->dropped++;
    else
        connection_queue(c, message);
}

bool streams_local(const struct streams *s, const struct flow *flow, struct address *out)
{
    const struct connection *c = find(s, flow);
    const struct acceptor *a = &s->acceptors.list[flow->listener % CONFIG_LISTENERS_MAX];

    if (a->watch.fd >= 0 && !address_is_any(&a->bound)) {
        *out = a->bound;
        return true;
    }
    if (!c || c->local.family == ADDRESS_NONE)
        return false;
    *out = c->local;
    if (a->watch.fd >= 0)
        out->port = a->bound.port;
    return true;
}

/* ---- the turn ---- */

static void on_timer(void *self, struct timer *t)
{
    (void)self;
    connection_overdue((void *)((char *)t - offsetof(struct connection, timer)));
}

void streams_begin(struct streams *s, uint64_t now_ms)
{
    s->now_ms = now_ms;
    acceptors_begin(&s->acceptors, now_ms);
}

void streams_tell(struct streams *s)
{
    const struct connection *last;

    wheel_advance(&s->wheel, s->now_ms);
    /* What ends while the core is told of others is told in the next turn. */
    last = s->ended_last;
    for (struct connection *c = s->ended; c; c = c->next_ended) {
        if (!c->told && !c->silent)
            s->handler.closed(s->handler.self, &c->flow);
        c->told = true;
        if (c == last)
            break;
    }
}

static void release(struct streams *s, struct connection *c)
{
    framer_fini(&c->framer);
    c->framer.kept_size = 0;
    connection_account(c);
    slab_free(&s->slab, c->handle);
}

void streams_flush(struct streams *s)
{
    while (s->to_write) {
        struct connection *c = s->to_write;

        s->to_write = c->next_to_write;
        c->to_write = false;
        if (c->state != CONNECTION_GONE)
            connection_write(c);
    }
    while (s->ended && s->ended->told) {
        struct connection *c = s->ended;

        s->ended = c->next_ended;
        if (!s->ended)
            s->ended_last = NULL;
        release(s, c);
    }
}

uint64_t streams_next_ms(const struct streams *s)
{
    uint64_t due = wheel_next(&s->wheel);
    uint64_t accept = acceptors_next_ms(&s->acceptors);

    if (s->ended)
        return 0;
    return accept < due ? accept : due;
}

/* ---- life ---- */

bool streams_init(struct streams *s, struct loop *loop, struct log *log,
                  const struct stream_handler *handler, const struct stream_limits *limits,
                  uint64_t now_ms)
{
    memset(s, 0, sizeof *s);
    s->loop = loop;
    s->log = log;
    s->handler = *handler;
    s->limits = *limits;
    s->now_ms = now_ms;
    wheel_init(&s->wheel, now_ms);
    wheel_handler(&s->wheel, TIMER_STREAM, on_timer, s);
    slab_init(&s->slab, sizeof(struct connection), limits->connections);
    table_init(&s->by_number);
    acceptors_init(&s->acceptors, loop, log, on_accepted, s);
    s->room = malloc(CONNECTION_READ);
    return s->room != NULL;
}

void streams_fini(struct streams *s)
{
    struct handle h = HANDLE_NONE;
    struct connection *c;

    if (!s->loop)
        return; /* never initialised */
    acceptors_fini(&s->acceptors);
    for (uint32_t from = 0; (c = slab_next(&s->slab, from, &h)); from = h.slot + 1) {
        if (c->watch.fd >= 0)
            close(c->watch.fd);
        send_queue_clear(&c->queue);
        framer_fini(&c->framer);
    }
    table_fini(&s->by_number);
    slab_fini(&s->slab);
    free(s->room);
}

bool streams_listen(struct streams *s, unsigned listener, const struct config_listener *l,
                    FILE *errors)
{
    return acceptors_open(&s->acceptors, listener, l, errors);
}

const struct address *streams_bound(const struct streams *s, unsigned listener)
{
    const struct acceptor *a = &s->acceptors.list[listener];

    return a->watch.fd >= 0 ? &a->bound : NULL;
}

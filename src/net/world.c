/*
 * net/world: the table of ports, and the loop.
 *
 * Made and run by run.c on the core thread; the core calls the ports. A turn:
 * wait, begin (the core reads the clock), read sockets and signals, end (the core
 * fires timers), send. Waits in one place alone, loop_wait().
 */
#include "net/world.h"

#include "net/log.h"
#include "net/resolver.h"
#include "net/route.h"
#include "net/stream.h"
#include "net/udp.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* getrandom() never gives less than it is asked for up to this size. */
#define CHANCE_BYTES 256

struct world {
    const struct config *config;
    struct ports ports;
    struct log *log;
    struct loop loop;
    struct udp udp;
    struct streams streams;
    struct resolver resolver;
    const char *reserved; /* what datagram_reserve() gave last */
    struct route_cache routes;
    struct watch signals;
    struct world_store store;
    struct watch stored;
    struct watch guest;
    sigset_t mask_before;
    const struct world_handler *handler;
    bool stopping;
    size_t chance_left;
    uint8_t chance[CHANCE_BYTES];
};

/* ---- the ports ---- */

static uint64_t port_now_us(void *self)
{
    struct timespec now;

    (void)self;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t port_wall_s(void *self)
{
    (void)self;
    return (uint64_t)time(NULL);
}

static void port_random(void *self, void *out, size_t n)
{
    struct world *w = self;
    uint8_t *to = out;

    while (n) {
        size_t part;

        if (w->chance_left == 0) {
            while (getrandom(w->chance, sizeof w->chance, 0) != sizeof w->chance)
                ;
            w->chance_left = sizeof w->chance;
        }
        part = n < w->chance_left ? n : w->chance_left;
        memcpy(to, w->chance + sizeof w->chance - w->chance_left, part);
        w->chance_left -= part;
        to += part;
        n -= part;
    }
}

static char *port_reserve(void *self, size_t *capacity)
{
    struct world *w = self;

    char *room = outbox_reserve(&w->udp.out, capacity);

    w->reserved = room;
    return room;
}

static void port_commit(void *self, const struct flow *to, size_t n)
{
    struct world *w = self;

    if (transport_is_stream(to->transport))
        streams_send(&w->streams, to, span_make(w->reserved, n));
    else
        outbox_commit(&w->udp.out, to, n);
}

static void port_local_address(void *self, const struct flow *to, struct address *out)
{
    struct world *w = self;
    const struct address *advertised = &w->config->advertise;
    struct address own;

    if (!transport_is_stream(to->transport) || !streams_local(&w->streams, to, &own))
        own = world_bound(w, to->listener);
    *out = own;
    /* What phones are told is nothing for a main registrar's own listener. */
    if (advertised->family == own.family && !(w->config->own_listeners >> to->listener & 1))
        *out = *advertised;
    else if (address_is_any(&own) &&
             !route_local(&w->routes, &to->peer, port_now_us(w) / 1000, out))
        *out = own; /* no route: whatever is built with it goes nowhere */
    if (out->port == 0)
        out->port = own.port;
}

/* For a connection that none of our TCP listeners could belong to. */
static unsigned any_listener(const struct world *w, const struct address *peer)
{
    unsigned best = 0;

    for (unsigned i = w->config->listen_count; i-- > 0;) {
        const struct config_listener *l = &w->config->listen[i];

        if (!transport_is_stream(l->transport) && l->address.family == peer->family)
            best = i;
    }
    return best;
}

/* A connection to a main registrar bears a listener of its own, where it has one,
 * and no other connection does: what comes there is its word. */
static uint32_t listeners_for(const struct world *w, const struct address *peer)
{
    uint32_t others = UINT32_MAX;

    for (unsigned i = 0; i < w->config->upstream_count; i++) {
        const struct config_upstream *up = &w->config->upstream[i];

        if (up->listeners &&
            (address_equal(&up->address, peer) || resolver_told(&w->resolver, i, peer)))
            return up->listeners;
        others &= ~up->listeners;
    }
    return others;
}

static bool port_stream_open(void *self, const struct address *peer, enum transport transport,
                             struct flow *out)
{
    struct world *w = self;

    if (transport != TRANSPORT_TCP && transport != TRANSPORT_BYTES)
        return false;
    /* What is no SIP bears no listener. */
    return streams_open(&w->streams, peer, transport,
                        transport == TRANSPORT_TCP ? listeners_for(w, peer) : 0,
                        any_listener(w, peer), out);
}

static void port_stream_close(void *self, const struct flow *flow)
{
    struct world *w = self;

    streams_close(&w->streams, flow);
}

static bool port_flow_alive(void *self, const struct flow *flow)
{
    const struct world *w = self;

    return streams_alive(&w->streams, flow);
}

static void port_resolve(void *self, unsigned asker, const char *name, uint16_t port)
{
    struct world *w = self;

    resolver_ask(&w->resolver, asker, name, port);
}

/* store = "memory": there is nothing to wait for. */
static bool port_journal_submit(void *self, struct span images)
{
    const struct world *w = self;

    if (!w->store.give)
        return true;
    w->store.give(w->store.self, images);
    return false;
}

static void port_log(void *self, enum log_level level, struct span line)
{
    struct world *w = self;

    log_put(w->log, level, line);
}

static struct ports ports_of(struct world *w)
{
    return (struct ports){
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
}

/* ---- signals ---- */

static sigset_t our_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGHUP);
    sigaddset(&set, SIGUSR1);
    return set;
}

static void signals_ready(void *self, uint32_t events)
{
    struct world *w = self;
    struct signalfd_siginfo info;

    (void)events;
    while (read(w->signals.fd, &info, sizeof info) == sizeof info)
        w->handler->signal(w->handler->self, (int)info.ssi_signo);
}

static bool watch_signals(struct world *w)
{
    sigset_t set = our_signals();

    w->signals.fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    w->signals.events = EPOLLIN;
    w->signals.ready = signals_ready;
    w->signals.self = w;
    return w->signals.fd >= 0 && loop_add(&w->loop, &w->signals);
}

/* Before any thread is made, so that none of them is ever interrupted. */
static void block_signals(struct world *w)
{
    sigset_t set = our_signals();

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* a file that may not grow: the store says so */
    pthread_sigmask(SIG_BLOCK, &set, &w->mask_before);
}

/* ---- life ---- */

static enum log_level log_level_of(enum log_verbosity v)
{
    switch (v) {
    case LOG_LEVEL_WARN:
        return LOG_WARN;
    case LOG_LEVEL_DEBUG:
        return LOG_DEBUG;
    case LOG_LEVEL_INFO:
    default:
        return LOG_INFO;
    }
}

static void receive(void *self, const struct flow *from, struct span message)
{
    const struct world *w = self;

    w->handler->receive(w->handler->self, from, message);
}

static void refused(void *self, const struct address *to)
{
    const struct world *w = self;

    if (w->handler->refused)
        w->handler->refused(w->handler->self, to);
}

static void closed(void *self, const struct flow *flow)
{
    const struct world *w = self;

    w->handler->closed(w->handler->self, flow);
}

static void resolved(void *self, unsigned asker, const struct resolved *answer)
{
    const struct world *w = self;

    w->handler->resolved(w->handler->self, asker, answer);
}

/* The remainder of 64 bits is as even as anybody needs. */
static uint32_t chance(void *self, uint32_t below)
{
    uint64_t number;

    port_random(self, &number, sizeof number);
    return (uint32_t)(number % below);
}

static bool resolver_ready(struct world *w)
{
    const struct resolver_settings settings = resolver_settings_of(w->config);

    return resolver_init(&w->resolver, &w->loop, &settings,
                         &(struct resolver_handler){w, resolved, chance});
}

static bool streams_ready(struct world *w)
{
    const struct stream_handler handler = {.self = w, .receive = receive, .closed = closed};
    const struct stream_limits limits = stream_limits_default(socket_raise_limit());

    return streams_init(&w->streams, &w->loop, w->log, &handler, &limits, port_now_us(w) / 1000);
}

struct world *world_new(const struct config *config, int log_fd, FILE *errors)
{
    struct world *w = calloc(1, sizeof *w);

    if (!w) {
        fprintf(errors, "out of memory\n");
        return NULL;
    }
    w->config = config;
    w->ports = ports_of(w);
    w->signals.fd = -1;
    w->loop.epoll = -1;
    block_signals(w);
    if (!udp_init(&w->udp, &w->loop, receive, refused, w) || !loop_init(&w->loop) ||
        !watch_signals(w) || !(w->log = log_new(log_fd, log_level_of(config->log_level))) ||
        !streams_ready(w) || !resolver_ready(w)) {
        fprintf(errors, "the system refuses what midreg needs: %s\n", strerror(errno));
        world_free(w);
        return NULL;
    }
    return w;
}

void world_free(struct world *w)
{
    if (!w)
        return;
    resolver_fini(&w->resolver);
    streams_fini(&w->streams);
    udp_fini(&w->udp);
    if (w->signals.fd >= 0)
        close(w->signals.fd);
    loop_fini(&w->loop);
    log_free(w->log);
    pthread_sigmask(SIG_SETMASK, &w->mask_before, NULL);
    free(w);
}

static void stored_ready(void *self, uint32_t events)
{
    const struct world *w = self;

    (void)events;
    w->store.ready(w->store.self);
}

bool world_keep(struct world *w, const struct world_store *store)
{
    w->store = *store;
    w->stored = (struct watch){store->fd, EPOLLIN, stored_ready, w};
    return loop_add(&w->loop, &w->stored);
}

static void guest_ready(void *self, uint32_t events)
{
    const struct world_guest *guest = self;

    (void)events;
    guest->ready(guest->self);
}

bool world_admit(struct world *w, struct world_guest *guest)
{
    w->guest = (struct watch){guest->fd, EPOLLIN, guest_ready, guest};
    return loop_add(&w->loop, &w->guest);
}

const struct ports *world_ports(const struct world *w)
{
    return &w->ports;
}

struct address world_bound(const struct world *w, unsigned listener)
{
    assert(listener < w->config->listen_count);
    if (w->udp.sockets[listener].watch.fd >= 0)
        return w->udp.sockets[listener].bound;
    if (streams_bound(&w->streams, listener))
        return *streams_bound(&w->streams, listener);
    return w->config->listen[listener].address;
}

static void say_listening_stream(struct world *w, unsigned listener)
{
    char text[80] = "";
    struct buf where = buf_make(text, sizeof text - 1);
    struct address bound = world_bound(w, listener);

    address_put(&where, &bound);
    log_say(w->log, LOG_INFO, "event=listening address=tcp:%s connections_max=%u", text,
            w->streams.limits.connections);
}

static void say_listening(struct world *w, unsigned listener)
{
    char text[80] = "";
    struct buf where = buf_make(text, sizeof text - 1);
    struct address bound = world_bound(w, listener);
    unsigned buffer = udp_receive_buffer(&w->udp, listener);

    address_put(&where, &bound);
    log_say(w->log, LOG_INFO, "event=listening address=udp:%s receive_buffer=%u", text, buffer);
    if (buffer < UDP_BUFFER_WANT / 8)
        log_say(w->log, LOG_WARN,
                "event=small_buffer address=udp:%s receive_buffer=%u remedy=\"sysctl -w "
                "net.core.rmem_max=%d\"",
                text, buffer, UDP_BUFFER_WANT);
}

bool world_open(struct world *w, FILE *errors)
{
    for (unsigned i = 0; i < w->config->listen_count; i++) {
        const struct config_listener *l = &w->config->listen[i];

        if (transport_is_stream(l->transport)) {
            assert(l->transport == TRANSPORT_TCP);
            if (!streams_listen(&w->streams, i, l, errors))
                return false;
            say_listening_stream(w, i);
        } else {
            if (!udp_open(&w->udp, i, l, errors))
                return false;
            say_listening(w, i);
        }
    }
    return true;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

void world_run(struct world *w, const struct world_handler *handler)
{
    uint64_t deadline_ms = 0;

    w->handler = handler;
    w->stopping = false;
    while (!w->stopping) {
        loop_wait(&w->loop, loop_timeout_ms(port_now_us(w), deadline_ms));
        handler->begin(handler->self);
        streams_begin(&w->streams, port_now_us(w) / 1000);
        loop_dispatch(&w->loop);
        resolver_turn(&w->resolver, port_now_us(w) / 1000);
        streams_tell(&w->streams);
        deadline_ms = handler->end(handler->self);
        udp_flush(&w->udp);
        streams_flush(&w->streams);
        deadline_ms = earlier(deadline_ms, streams_next_ms(&w->streams));
        deadline_ms = earlier(deadline_ms, resolver_next_ms(&w->resolver, port_now_us(w) / 1000));
    }
}

void world_stop(struct world *w)
{
    w->stopping = true;
}

void world_answer(struct world *w, struct span line)
{
    log_always(w->log, line);
}

/* In the order of enum world_count. */
static const struct world_count_name count_names[WORLD_COUNTS] = {
#define X(id, gauge, name, help) {name, help, gauge},
    WORLD_COUNT_LIST(X)
#undef X
};

const struct world_count_name *world_count_name(enum world_count which)
{
    return &count_names[which];
}

void world_counts(const struct world *w, uint64_t out[WORLD_COUNTS])
{
    out[WORLD_DATAGRAMS_RECEIVED] = w->udp.received;
    out[WORLD_DATAGRAMS_OVERFLOWED] = udp_overflowed(&w->udp);
    out[WORLD_DATAGRAMS_SENT] = w->udp.out.sent;
    out[WORLD_DATAGRAMS_DROPPED] = w->udp.out.dropped;
    out[WORLD_CONNECTIONS] = streams_count(&w->streams);
    out[WORLD_CONNECTIONS_ACCEPTED] = w->streams.accepted;
    out[WORLD_CONNECTIONS_OPENED] = w->streams.opened;
    out[WORLD_CONNECTIONS_REFUSED] = w->streams.refused;
    out[WORLD_CONNECTIONS_CUT] = w->streams.cut;
    out[WORLD_STREAM_MESSAGES_RECEIVED] = w->streams.received;
    out[WORLD_STREAM_MESSAGES_SENT] = w->streams.sent;
    out[WORLD_STREAM_MESSAGES_DROPPED] = w->streams.dropped;
    out[WORLD_LOG_DROPPED] = log_dropped(w->log);
}

void world_put_status(struct buf *out, const struct world *w)
{
    uint64_t counts[WORLD_COUNTS];

    world_counts(w, counts);
    for (unsigned i = 0; i < WORLD_COUNTS; i++) {
        if (i)
            buf_char(out, ' ');
        buf_str(out, count_names[i].name);
        buf_char(out, '=');
        buf_u64(out, counts[i]);
    }
}

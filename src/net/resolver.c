/*
 * net/resolver: see resolver.h, which has the diagram.
 *
 * Called by world.c on the core thread. c-ares does the asking; its sockets are
 * watched by the loop, its timeouts are part of resolver_next_ms(). Its callbacks may
 * come from any call into it, so they only note what they are told; a channel is ended
 * in resolver_turn() alone.
 */
#include "net/resolver.h"

#include "sip/uri.h"

#include <ares.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>

#define SRV_PREFIX "_sip._udp."
#define TRIES      2
#define TRY_MS     2000
#define WITHIN_MS  10000
/* Of that, for the question for NAPTR records. */
#define NAPTR_PART 4

struct resolver_settings resolver_settings_of(const struct config *c)
{
    struct resolver_settings s = {.server = c->resolver, .try_ms = TRY_MS, .within_ms = WITHIN_MS};

    for (unsigned i = 0; i < c->listen_count; i++) {
        s.ip4 |=
            c->listen[i].transport == TRANSPORT_UDP && c->listen[i].address.family == ADDRESS_IP4;
        s.ip6 |=
            c->listen[i].transport == TRANSPORT_UDP && c->listen[i].address.family == ADDRESS_IP6;
    }
    return s;
}

/* ---- its sockets ---------------------------------------------------------------------- */

static void on_ready(void *self, uint32_t events)
{
    struct resolver_socket *s = self;
    ares_socket_t fd = s->watch.fd;

    /* Closed, or another question's, since it became ready. */
    if (fd < 0 || s->ask->state != RESOLVER_ASKING)
        return;
    ares_process_fd(s->ask->channel,
                    events & (EPOLLIN | EPOLLERR | EPOLLHUP) ? fd : ARES_SOCKET_BAD,
                    events & (EPOLLOUT | EPOLLERR | EPOLLHUP) ? fd : ARES_SOCKET_BAD);
}

static struct resolver_socket *socket_of(struct resolver_ask *a, int fd)
{
    for (unsigned i = 0; i < RESOLVER_SOCKETS; i++)
        if (a->sockets[i].watch.fd == fd)
            return &a->sockets[i];
    return NULL;
}

/* c-ares begins to use a socket, waits for something else, or (neither) closes it now.
 * Beyond RESOLVER_SOCKETS one is not watched, and so as if nobody answered there. */
static void on_socket(void *self, ares_socket_t fd, int readable, int writable)
{
    struct resolver_ask *a = self;
    struct resolver_socket *s = socket_of(a, fd);
    uint32_t events = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0);

    if (s && !events) {
        s->watch.fd = -1;
    } else if (s) {
        loop_change(a->resolver->loop, &s->watch, events);
    } else if (events && (s = socket_of(a, -1))) {
        *s = (struct resolver_socket){{fd, events, on_ready, s}, a};
        if (!loop_add(a->resolver->loop, &s->watch))
            s->watch.fd = -1;
    }
}

/* ---- answers -------------------------------------------------------------------------- */

static void ask_addresses(struct resolver_ask *a, const char *name);

static bool is_final(int status)
{
    return status == ARES_ENODATA || status == ARES_ENOTFOUND;
}

/* The question was dropped with its channel: no other must follow. */
static bool is_end(int status)
{
    return status == ARES_ECANCELLED || status == ARES_EDESTRUCTION;
}

static void finish(struct resolver_ask *a)
{
    struct resolved *answer = &a->answer;

    a->state = RESOLVER_DONE;
    if (answer->count) {
        answer->end = RESOLVED_FOUND;
        answer->whole = answer->whole && !a->failed;
        if (answer->ttl_s < RESOLVER_TTL_MIN_S)
            answer->ttl_s = RESOLVER_TTL_MIN_S;
        if (answer->ttl_s > RESOLVER_TTL_MAX_S)
            answer->ttl_s = RESOLVER_TTL_MAX_S;
        return;
    }
    answer->end = a->failed ? RESOLVED_FAILED : RESOLVED_NONE;
    answer->ttl_s = 0;
}

/* Nobody who knew has answered. */
static void fail(struct resolver_ask *a)
{
    a->failed = true;
    finish(a);
}

static void note_ttl(struct resolver_ask *a, uint32_t ttl_s)
{
    if (ttl_s < a->answer.ttl_s)
        a->answer.ttl_s = ttl_s;
}

static void add(struct resolver_ask *a, const struct sockaddr *from, uint16_t port)
{
    struct resolved *answer = &a->answer;
    struct address one;

    address_from_sockaddr(&one, from);
    one.port = port;
    if (one.family == ADDRESS_NONE || address_is_any(&one))
        return;
    for (unsigned i = 0; i < answer->count; i++)
        if (address_equal(&answer->list[i], &one))
            return;
    if (answer->count == RESOLVED_MAX)
        answer->whole = false;
    else
        answer->list[answer->count++] = one;
}

/* The next target of the SRV records, or the end. */
static void go_on(struct resolver_ask *a)
{
    while (a->target < a->targets.count) {
        const struct srv *t = &a->targets.record[a->target];

        if (*t->target && t->port && a->answer.count < RESOLVED_MAX) {
            ask_addresses(a, t->target);
            return;
        }
        if (*t->target && t->port)
            a->answer.whole = false;
        a->target++;
    }
    finish(a);
}

static uint16_t port_now(const struct resolver_ask *a)
{
    if (a->target < a->targets.count)
        return a->targets.record[a->target].port;
    return a->port ? a->port : SIP_PORT;
}

static void on_addresses(void *self, int status, int timeouts, struct ares_addrinfo *found)
{
    struct resolver_ask *a = self;

    (void)timeouts;
    if (is_end(status))
        return; /* what was found until then counts */
    if (status == ARES_SUCCESS) {
        for (const struct ares_addrinfo_cname *c = found->cnames; c; c = c->next)
            note_ttl(a, (uint32_t)c->ttl);
        for (const struct ares_addrinfo_node *n = found->nodes; n; n = n->ai_next) {
            note_ttl(a, (uint32_t)n->ai_ttl);
            add(a, n->ai_addr, port_now(a));
        }
        ares_freeaddrinfo(found);
    } else if (!is_final(status)) {
        a->failed = true;
    }
    if (a->target < a->targets.count) {
        a->target++;
        go_on(a);
    } else {
        finish(a);
    }
}

static void ask_addresses(struct resolver_ask *a, const char *name)
{
    const struct resolver_settings *s = &a->resolver->settings;
    const struct ares_addrinfo_hints hints = {
        /* In the order of the reply: who knows better has SRV records. */
        .ai_flags = ARES_AI_NOSORT,
        .ai_family = s->ip4 && s->ip6 ? AF_UNSPEC
                     : s->ip6         ? AF_INET6
                                      : AF_INET,
        .ai_socktype = SOCK_DGRAM,
    };

    ares_getaddrinfo(a->channel, name, NULL, &hints, on_addresses, a);
}

static void on_srv(void *self, int status, int timeouts, unsigned char *reply, int n);

/* The SRV records that the next NAPTR record leads to, or those that go without one. */
static void ask_service(struct resolver_ask *a)
{
    char name[sizeof SRV_PREFIX + DNS_NAME_MAX];

    if (a->service < a->services.count) {
        ares_query(a->channel, a->services.record[a->service].replacement, DNS_CLASS_IN,
                   DNS_TYPE_SRV, on_srv, a);
        return;
    }
    snprintf(name, sizeof name, SRV_PREFIX "%s", a->name);
    ares_query(a->channel, name, DNS_CLASS_IN, DNS_TYPE_SRV, on_srv, a);
}

/* There are no SRV records where they were asked for. */
static void no_targets(struct resolver_ask *a)
{
    if (a->service + 1 < a->services.count) {
        a->service++;
        ask_service(a);
    } else {
        ask_addresses(a, a->name);
    }
}

/* Some networks drop what they do not know: a name must be found there without NAPTR
 * records, too. But where there were some, those that cannot be had now may lead elsewhere. */
static void go_without_naptr(struct resolver_ask *a)
{
    a->services.count = 0;
    a->failed = a->had_services;
    ask_service(a);
}

static void on_naptr(void *self, int status, int timeouts, unsigned char *reply, int n)
{
    struct resolver_ask *a = self;

    (void)timeouts;
    if (is_end(status))
        return;
    a->naptr_until_ms = 0;
    if (status == ARES_SUCCESS && naptr_read(&a->services, reply, (size_t)n)) {
        note_ttl(a, a->services.ttl_s);
        a->had_services = a->services.count > 0;
        ask_service(a);
        return;
    }
    if (is_final(status))
        a->had_services = false;
    go_without_naptr(a);
}

static void on_srv(void *self, int status, int timeouts, unsigned char *reply, int n)
{
    struct resolver_ask *a = self;
    const struct resolver_handler *h = &a->resolver->handler;

    (void)timeouts;
    if (is_end(status))
        return;
    if (is_final(status)) {
        no_targets(a);
        return;
    }
    /* Whoever cannot answer now may know of another port: the name's own addresses
     * are no answer then. */
    if (status != ARES_SUCCESS || !srv_read(&a->targets, reply, (size_t)n)) {
        a->targets.count = 0;
        fail(a);
        return;
    }
    if (a->targets.count == 0) {
        no_targets(a);
        return;
    }
    srv_order(&a->targets, h->chance, h->self);
    a->answer.whole = a->targets.whole;
    note_ttl(a, a->targets.ttl_s);
    go_on(a);
}

/* ---- one question ---------------------------------------------------------------------- */

static void close_channel(struct resolver_ask *a)
{
    if (a->channel)
        ares_destroy(a->channel);
    a->channel = NULL;
}

static bool open_channel(struct resolver_ask *a)
{
    const struct resolver_settings *s = &a->resolver->settings;
    struct ares_options options = {
        .timeout = (int)s->try_ms,
        .tries = TRIES,
        .sock_state_cb = on_socket,
        .sock_state_cb_data = a,
    };
    struct ares_addr_port_node server = {
        .family = s->server.family == ADDRESS_IP6 ? AF_INET6 : AF_INET,
        .udp_port = s->server.port,
        .tcp_port = s->server.port,
    };

    if (ares_init_options(&a->channel, &options,
                          ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB) !=
        ARES_SUCCESS) {
        a->channel = NULL;
        return false;
    }
    memcpy(&server.addr, s->server.ip, server.family == AF_INET6 ? 16 : 4);
    if (s->server.family == ADDRESS_NONE ||
        ares_set_servers_ports(a->channel, &server) == ARES_SUCCESS)
        return true;
    close_channel(a);
    return false;
}

static void begin(struct resolver_ask *a, uint64_t now_ms)
{
    a->until_ms = now_ms + a->resolver->settings.within_ms;
    a->answer = (struct resolved){.ttl_s = UINT32_MAX, .whole = true};
    a->naptr_until_ms = 0;
    a->services.count = 0;
    a->service = 0;
    a->targets.count = 0;
    a->target = 0;
    a->failed = false;
    a->state = RESOLVER_ASKING;
    if (!open_channel(a)) {
        fail(a);
    } else if (a->port) {
        ask_addresses(a, a->name);
    } else {
        a->naptr_until_ms = now_ms + a->resolver->settings.within_ms / NAPTR_PART;
        ares_query(a->channel, a->name, DNS_CLASS_IN, DNS_TYPE_NAPTR, on_naptr, a);
    }
}

/* However many servers there are, and each is silent: on a channel that has not tried them
 * yet. */
static void end_naptr(struct resolver_ask *a)
{
    a->naptr_until_ms = 0;
    close_channel(a);
    if (open_channel(a))
        go_without_naptr(a);
    else
        fail(a);
}

static void tell(struct resolver_ask *a)
{
    const struct resolver *r = a->resolver;

    close_channel(a);
    a->state = RESOLVER_IDLE;
    a->resolver->busy--;
    if (a->answer.end == RESOLVED_FOUND)
        a->last = a->answer;
    r->handler.resolved(r->handler.self, (unsigned)(a - r->asks), &a->answer);
}

/* ---- from outside ----------------------------------------------------------------------- */

bool resolver_init(struct resolver *r, struct loop *loop, const struct resolver_settings *settings,
                   const struct resolver_handler *handler)
{
    *r = (struct resolver){.settings = *settings, .handler = *handler};
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
        return false;
    r->loop = loop;
    for (unsigned i = 0; i < RESOLVER_ASKERS; i++) {
        r->asks[i].resolver = r;
        for (unsigned k = 0; k < RESOLVER_SOCKETS; k++)
            r->asks[i].sockets[k].watch.fd = -1;
    }
    return true;
}

void resolver_fini(struct resolver *r)
{
    if (!r->loop)
        return;
    for (unsigned i = 0; i < RESOLVER_ASKERS; i++)
        close_channel(&r->asks[i]);
    ares_library_cleanup();
    r->loop = NULL;
}

void resolver_ask(struct resolver *r, unsigned asker, const char *name, uint16_t port)
{
    struct resolver_ask *a = &r->asks[asker];

    if (a->state != RESOLVER_IDLE)
        return;
    a->name = name;
    a->port = port;
    a->state = RESOLVER_WANTED;
    r->busy++;
}

void resolver_turn(struct resolver *r, uint64_t now_ms)
{
    for (unsigned i = 0; r->busy && i < RESOLVER_ASKERS; i++) {
        struct resolver_ask *a = &r->asks[i];

        if (a->state == RESOLVER_IDLE)
            continue;
        if (a->state == RESOLVER_WANTED)
            begin(a, now_ms);
        if (a->state == RESOLVER_ASKING)
            ares_process_fd(a->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD); /* its timeouts */
        if (a->state == RESOLVER_ASKING && a->naptr_until_ms && now_ms >= a->naptr_until_ms)
            end_naptr(a);
        if (a->state == RESOLVER_ASKING && now_ms >= a->until_ms)
            fail(a);
        if (a->state == RESOLVER_DONE)
            tell(a);
    }
}

static uint64_t next_of(const struct resolver_ask *a, uint64_t now_ms)
{
    struct timeval room, left = {0, 0};
    const struct timeval *wait;
    uint64_t until_ms = a->until_ms;
    uint64_t due_ms;

    if (a->state == RESOLVER_IDLE)
        return UINT64_MAX;
    if (a->state != RESOLVER_ASKING)
        return now_ms;
    wait = ares_timeout(a->channel, NULL, &room);
    if (wait)
        left = *wait;
    due_ms = now_ms + (uint64_t)left.tv_sec * 1000 + (uint64_t)left.tv_usec / 1000 + 1;
    if (a->naptr_until_ms && a->naptr_until_ms < until_ms)
        until_ms = a->naptr_until_ms;
    return wait && due_ms < until_ms ? due_ms : until_ms;
}

uint64_t resolver_next_ms(const struct resolver *r, uint64_t now_ms)
{
    uint64_t next_ms = UINT64_MAX;

    for (unsigned i = 0; r->busy && i < RESOLVER_ASKERS; i++) {
        uint64_t one_ms = next_of(&r->asks[i], now_ms);

        if (one_ms < next_ms)
            next_ms = one_ms;
    }
    return next_ms;
}

bool resolver_told(const struct resolver *r, unsigned asker, const struct address *a)
{
    const struct resolved *last = &r->asks[asker].last;

    for (unsigned i = 0; i < last->count; i++)
        if (address_equal(&last->list[i], a))
            return true;
    return false;
}

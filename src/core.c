/*
 * core: wires the rooms together and hands each message to the right one.
 *
 * Called by the world (net/ through main.c, or the simulation) on one thread.
 * Never blocks, never touches the world but through the table of ports.
 */
#include "core.h"

#include "location/journal.h"
#include "proxy/proxy.h"
#include "registrar/events.h"
#include "registrar/registrar.h"
#include "registrar/reload.h"
#include "sip/header.h"
#include "transaction/client.h"
#include "transaction/server.h"

#include <stdlib.h>

struct core {
    struct runtime rt;
    struct location location;
    struct journal journal;
    struct transactions transactions;
    struct upstreams upstreams;
    struct event_sockets events;
    struct registrar *registrar;
    struct proxy *proxy;
    bool draining;
    struct sip_message message; /* the one being handled: too large for the stack */
};

/* Tells the proxy what the registrar has done, once that is durable and so the
 * phone's 200 on its way. */
static void pass_news_on(struct core *c)
{
    const struct news_item *item;

    while ((item = news_first(&c->location.news))) {
        const struct aor *a = location_find(&c->location, item->hash);

        if (item->binding_id && a && !journal_is_durable(&c->journal, a->sequence))
            return;
        if (item->binding_id)
            proxy_binding_added(c->proxy, item->hash, item->binding_id);
        else
            proxy_aor_left(c->proxy, item->hash);
        news_drop(&c->location.news);
    }
}

/* What has become durable: answers leave, the proxy hears of it. */
static void release(struct core *c)
{
    registrar_durable(c->registrar);
    pass_news_on(c);
}

static void on_journal_timer(void *self, struct timer *timer)
{
    struct core *c = self;

    (void)timer;
    if (journal_look(&c->journal))
        release(c);
}

struct core *core_new(const struct config *config, const struct ports *ports, const uint8_t *secret)
{
    struct core *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->rt.ports = ports;
    ports->random(ports->world, &c->rt.boot_id, sizeof c->rt.boot_id);
    c->rt.now_ms = ports->now_us(ports->world) / 1000;
    wheel_init(&c->rt.wheel, c->rt.now_ms);
    location_init(&c->location, &c->rt);
    journal_init(&c->journal, &c->rt, &c->location, config->store != STORE_MEMORY);
    wheel_handler(&c->rt.wheel, TIMER_JOURNAL, on_journal_timer, c);
    if (!hasher_init(&c->rt.hasher, secret) || !transactions_init(&c->transactions, &c->rt)) {
        core_free(c);
        return NULL;
    }
    upstreams_init(&c->upstreams, &c->rt, config, &c->transactions);
    c->registrar = registrar_new(&(struct registrar_parts){
        .rt = &c->rt,
        .config = config,
        .location = &c->location,
        .journal = &c->journal,
        .transactions = &c->transactions,
        .upstreams = &c->upstreams,
        .events = &c->events,
    });
    c->proxy = proxy_new(&(struct proxy_parts){
        .rt = &c->rt,
        .config = config,
        .location = &c->location,
        .transactions = &c->transactions,
        .upstreams = &c->upstreams,
    });
    if (!c->registrar || !c->proxy) {
        core_free(c);
        return NULL;
    }
    const struct event_socket_user user = registrar_events(c->registrar);
    event_sockets_init(&c->events, &c->rt, &c->upstreams, &user);
    return c;
}

void core_free(struct core *c)
{
    if (!c)
        return;
    proxy_free(c->proxy);
    registrar_free(c->registrar);
    event_sockets_fini(&c->events);
    transactions_fini(&c->transactions);
    journal_fini(&c->journal);
    location_fini(&c->location);
    hasher_fini(&c->rt.hasher);
    free(c);
}

void core_was_lost(struct core *c, unsigned i)
{
    journal_restore_lost(&c->journal, i);
}

void core_run_was(struct core *c, unsigned i, struct span run)
{
    event_sockets_was(&c->events, &c->upstreams.list[i], run);
}

void core_start(struct core *c)
{
    upstreams_start(&c->upstreams);
    registrar_started(c->registrar);
    event_sockets_start(&c->events);
}

void core_begin(struct core *c)
{
    c->rt.now_ms = c->rt.ports->now_us(c->rt.ports->world) / 1000;
}

/* All but what belongs to a call that is there. */
static bool begins_something(const struct sip_message *m)
{
    struct sip_nameaddr to;
    struct sip_fault fault;
    struct span tag;

    if (m->method == SIP_ACK || m->method == SIP_CANCEL)
        return false;
    return m->method == SIP_REGISTER || !sip_nameaddr_parse(sip_value(m, SIP_H_TO), &to, &fault) ||
           !sip_param(to.params, SPAN("tag"), &tag);
}

static void receive_request(struct core *c, const struct flow *from)
{
    const struct sip_message *m = &c->message;

    if (m->method == SIP_REGISTER)
        runtime_count(&c->rt, COUNTER_REGISTER_RECEIVED);
    if (server_receive(&c->transactions, m, from) || (c->draining && begins_something(m)))
        return;
    if (m->method == SIP_REGISTER)
        registrar_receive(c->registrar, m, from);
    else
        proxy_receive(c->proxy, m, from);
}

static void receive_bad(struct core *c, const struct flow *from, const struct sip_fault *fault)
{
    const struct sip_message *m = &c->message;

    runtime_count(&c->rt, COUNTER_BAD_MESSAGE);
    if (m->is_request && fault->status && sip_answerable(m))
        server_reject(&c->rt, m, from, fault->status, fault->reason, SPAN_NONE);
}

/* RFC 3261 20.14: a byte stream needs Content-Length. A WebSocket does not: its
 * frames carry whole messages (RFC 7118 5). */
static bool lacks_length(const struct core *c, const struct flow *from)
{
    return (from->transport == TRANSPORT_TCP || from->transport == TRANSPORT_TLS) &&
           !sip_has(&c->message, SIP_H_CONTENT_LENGTH);
}

/* A stream gives whole messages, but for one that is larger than we take: its head.
 * (Two lengths that differ are another fault.) */
static bool is_too_large(const struct core *c, const struct flow *from)
{
    const struct sip_header *h = sip_first(&c->message, SIP_H_CONTENT_LENGTH);
    uint32_t length;

    return transport_is_stream(from->transport) && h && !h->next && span_u32(h->value, &length) &&
           length > c->message.body.n;
}

void core_receive(struct core *c, const struct flow *from, struct span message)
{
    struct sip_fault fault = {0};

    if (from->transport == TRANSPORT_BYTES) {
        event_sockets_receive(&c->events, from, message);
        return;
    }
    enum sip_parsed parsed = sip_parse(message, &c->message, &fault);

    if (parsed == SIP_PARSED && lacks_length(c, from)) {
        fault = (struct sip_fault){400, "Missing Content-Length", 0};
        parsed = SIP_BAD;
    }
    if (parsed == SIP_BAD && c->message.is_request && is_too_large(c, from))
        fault = (struct sip_fault){513, NULL, 0};
    switch (parsed) {
    case SIP_NOT_SIP:
        return;
    case SIP_BAD:
        receive_bad(c, from, &fault);
        return;
    case SIP_PARSED:
        break;
    }
    if (c->message.is_request) {
        struct sip_via via;

        /* What cannot be matched and answered by its Via is refused at once. */
        if (sip_via_top(&c->message, &via, &fault))
            receive_request(c, from);
        else
            receive_bad(c, from, &fault);
    } else if (!client_receive(&c->transactions, &c->message, from)) {
        runtime_count(&c->rt, COUNTER_STRAY_RESPONSE);
    }
    pass_news_on(c);
}

void core_flow_closed(struct core *c, const struct flow *flow)
{
    if (flow->transport == TRANSPORT_BYTES) {
        event_sockets_flow_closed(&c->events, flow);
        c->rt.ports->stream_close(c->rt.ports->world, flow);
        return;
    }
    upstreams_flow_closed(&c->upstreams, flow);
    client_flow_closed(&c->transactions, flow);
    registrar_flow_closed(c->registrar, flow);
    /* The peer may have ended its side alone; without an answer to wait for that
     * is the end. */
    if (!server_owes(&c->transactions, flow))
        c->rt.ports->stream_close(c->rt.ports->world, flow);
}

void core_refused(struct core *c, const struct address *to)
{
    upstreams_refused(&c->upstreams, to);
}

void core_resolved(struct core *c, unsigned asker, const struct resolved *answer)
{
    if (asker < c->upstreams.count)
        name_resolved(&c->upstreams.list[asker], answer);
}

void core_written(struct core *c, bool done)
{
    if (journal_written(&c->journal, done))
        release(c);
}

uint64_t core_hash(const struct core *c, struct span aor)
{
    return location_hash(&c->location, aor);
}

bool core_restore(struct core *c, const struct aor *image)
{
    struct aor *a = location_restore(&c->location, image);

    if (a)
        registrar_restored(c->registrar, a);
    return a != NULL;
}

void core_restore_removed(struct core *c, uint64_t hash, struct binding_spec *removed,
                          uint64_t until_ms)
{
    uint64_t wall_ms = c->rt.ports->wall_s(c->rt.ports->world) * 1000;

    removed->expires_ms = c->rt.now_ms + (until_ms > wall_ms ? until_ms - wall_ms : 0);
    registrar_removed(c->registrar, hash, removed);
}

bool core_contact_at(const struct core *c, unsigned i, struct buf *out)
{
    if (i >= c->upstreams.count || !upstream_is_placed(&c->upstreams.list[i]))
        return false;
    address_put(out, &c->upstreams.list[i].contact);
    return true;
}

bool core_place_at(const struct core *c, unsigned i, struct address *out)
{
    const struct upstream *u = &c->upstreams.list[i];

    if (i >= c->upstreams.count || !upstream_is_up(u) || journal_is_lost(&c->journal, i) ||
        journal_is_behind(&c->journal))
        return false;
    *out = u->flow.peer;
    return true;
}

void core_place(struct core *c, unsigned i, const struct address *was)
{
    if (i < c->upstreams.count)
        name_was(&c->upstreams.list[i], was);
}

void core_contact_was(struct core *c, unsigned i, const struct address *noted)
{
    c->upstreams.list[i].contact_noted = *noted;
}

void core_contact_moved(struct core *c, unsigned i, const struct address *before)
{
    registrar_contact_moved(c->registrar, &c->upstreams.list[i], before);
}

void core_drain(struct core *c)
{
    c->draining = true;
}

bool core_is_drained(const struct core *c)
{
    return !journal_is_behind(&c->journal) && !registrar_owes(c->registrar);
}

uint64_t core_end(struct core *c)
{
    wheel_advance(&c->rt.wheel, c->rt.now_ms);
    pass_news_on(c);
    if (journal_flush(&c->journal))
        release(c);
    return wheel_next(&c->rt.wheel);
}

static void put_size(struct buf *out, const char *name, uint64_t value)
{
    buf_char(out, ' ');
    buf_str(out, name);
    buf_char(out, '=');
    buf_u64(out, value);
}

void core_put_status(struct buf *out, const struct core *c)
{
    counters_put(out, &c->rt.counters);
    put_size(out, "aors", c->location.aors.used);
    put_size(out, "bindings", c->location.bindings);
    put_size(out, "location_bytes", c->location.bytes);
    put_size(out, "transactions", c->transactions.servers.used + c->transactions.clients.used);
    registrar_put_status(out, c->registrar);
    event_sockets_put_status(out, &c->events);
}

struct registrar *core_registrar(struct core *c)
{
    return c->registrar;
}

struct proxy *core_proxy(struct core *c)
{
    return c->proxy;
}

const struct counters *core_counters(const struct core *c)
{
    return &c->rt.counters;
}

const struct location *core_location(const struct core *c)
{
    return &c->location;
}

unsigned core_pending(const struct core *c)
{
    return c->transactions.servers.used + c->transactions.clients.used -
           upstreams_pinged(&c->upstreams) + registrar_pending(c->registrar) +
           proxy_pending(c->proxy);
}

/*
 * fake_ports: see the header. For tests alone: fails the test when memory or a
 * datagram is missing.
 */
#include "fake_ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include <cmocka.h>

static uint64_t fake_now_us(void *world)
{
    struct fake *f = world;

    return f->rt.now_ms * 1000;
}

static uint64_t fake_wall_s(void *world)
{
    struct fake *f = world;

    return f->wall_s;
}

/* splitmix64 */
static void fake_random(void *world, void *out, size_t n)
{
    struct fake *f = world;

    for (size_t at = 0; at < n;) {
        uint64_t z = (f->random += 0x9e3779b97f4a7c15);
        size_t part = n - at < sizeof z ? n - at : sizeof z;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        z ^= z >> 31;
        memcpy((char *)out + at, &z, part);
        at += part;
    }
}

static char *fake_reserve(void *world, size_t *capacity)
{
    struct fake *f = world;

    *capacity = DATAGRAM_MAX;
    return f->room;
}

static void fake_commit(void *world, const struct flow *to, size_t n)
{
    struct fake *f = world;
    struct fake_datagram *d;

    assert_true(n <= DATAGRAM_MAX);
    f->sent = realloc(f->sent, (f->sent_count + 1) * sizeof *f->sent);
    assert_non_null(f->sent);
    d = &f->sent[f->sent_count++];
    *d = (struct fake_datagram){*to, f->rt.now_ms, malloc(n + 1), n};
    assert_non_null(d->text);
    memcpy(d->text, f->room, n);
    d->text[n] = 0;
    memset(f->room, '#', DATAGRAM_MAX); /* who still reads it shall see it */
}

static void fake_local_address(void *world, const struct flow *to, struct address *out)
{
    (void)world;
    (void)to;
    address_parse(SPAN("127.0.0.1:5060"), 0, out);
}

static bool fake_stream_open(void *world, const struct address *peer, enum transport transport,
                             struct flow *out)
{
    struct fake *f = world;

    if (f->streams_refused)
        return false;
    *out = (struct flow){
        .peer = *peer, .transport = transport, .connection = FAKE_STREAM + ++f->opened};
    return true;
}

static void fake_stream_close(void *world, const struct flow *flow)
{
    fake_kill(world, flow->connection);
}

static bool fake_flow_alive(void *world, const struct flow *flow)
{
    struct fake *f = world;

    for (unsigned i = 0; i < f->dead_count; i++)
        if (f->dead[i] == flow->connection)
            return false;
    return !f->streams_dead;
}

static void fake_resolve(void *world, unsigned asker, const char *name, uint16_t port)
{
    struct fake *f = world;

    (void)asker;
    f->names_asked++;
    f->name_asked = name;
    f->name_port = port;
}

static bool fake_journal_submit(void *world, struct span images)
{
    struct fake *f = world;

    f->journal_batches++;
    f->journal_batch = images;
    return !f->journal_held;
}

static void fake_log(void *world, enum log_level level, struct span line)
{
    struct fake *f = world;

    f->warned += level <= LOG_WARN;
    f->logs = realloc(f->logs, (f->log_count + 1) * sizeof *f->logs);
    assert_non_null(f->logs);
    f->logs[f->log_count++] = strndup(line.p, line.n);
}

void fake_init(struct fake *f)
{
    uint8_t secret[HASH_SECRET_SIZE];

    memset(f, 0, sizeof *f);
    f->wall_s = 1767225600;
    f->random = 1;
    f->room = malloc(DATAGRAM_MAX);
    assert_non_null(f->room);
    f->ports = (struct ports){
        .world = f,
        .now_us = fake_now_us,
        .wall_s = fake_wall_s,
        .random = fake_random,
        .datagram_reserve = fake_reserve,
        .datagram_commit = fake_commit,
        .local_address = fake_local_address,
        .stream_open = fake_stream_open,
        .stream_close = fake_stream_close,
        .flow_alive = fake_flow_alive,
        .resolve = fake_resolve,
        .journal_submit = fake_journal_submit,
        .log = fake_log,
    };
    f->rt.ports = &f->ports;
    f->rt.now_ms = 1000000;
    f->rt.boot_id = 77;
    wheel_init(&f->rt.wheel, f->rt.now_ms);
    memset(secret, 's', sizeof secret);
    assert_true(hasher_init(&f->rt.hasher, secret));
}

void fake_fini(struct fake *f)
{
    fake_clear(f);
    hasher_fini(&f->rt.hasher);
    free(f->room);
}

void fake_advance(struct fake *f, uint64_t ms)
{
    uint64_t until = f->rt.now_ms + ms;

    for (;;) {
        uint64_t next = wheel_next(&f->rt.wheel);

        if (next > until)
            next = until;
        f->wall_s += next / 1000 - f->rt.now_ms / 1000;
        f->rt.now_ms = next;
        wheel_advance(&f->rt.wheel, next);
        if (next == until)
            return;
    }
}

const struct fake_datagram *fake_sent(const struct fake *f, size_t i)
{
    if (i >= f->sent_count)
        fail_msg("datagram %zu was not sent, only %zu were", i, f->sent_count);
    return &f->sent[i];
}

const struct fake_datagram *fake_last(const struct fake *f)
{
    return fake_sent(f, f->sent_count - 1);
}

void fake_clear(struct fake *f)
{
    for (size_t i = 0; i < f->sent_count; i++)
        free(f->sent[i].text);
    for (size_t i = 0; i < f->log_count; i++)
        free(f->logs[i]);
    free(f->sent);
    free(f->logs);
    f->sent = NULL;
    f->logs = NULL;
    f->sent_count = 0;
    f->log_count = 0;
}

bool fake_logged(const struct fake *f, const char *text)
{
    for (size_t i = 0; i < f->log_count; i++)
        if (strstr(f->logs[i], text))
            return true;
    return false;
}

const char *fake_field(const char *message, const char *name)
{
    static char value[4096];
    size_t n = strlen(name);

    for (const char *line = message; line && *line; line = strstr(line, "\r\n")) {
        if (line != message)
            line += 2;
        if (strncasecmp(line, name, n) == 0 && line[n] == ':') {
            const char *from = line + n + 1 + strspn(line + n + 1, " ");

            snprintf(value, sizeof value, "%.*s", (int)strcspn(from, "\r\n"), from);
            return value;
        }
    }
    return NULL;
}

void fake_kill(struct fake *f, uint32_t connection)
{
    assert_true(f->dead_count < FAKE_DEAD_MAX);
    f->dead[f->dead_count++] = connection;
}

struct flow fake_flow(const char *peer)
{
    struct flow flow = {.transport = TRANSPORT_UDP};

    assert_true(address_parse(span_of(peer), 5060, &flow.peer));
    return flow;
}

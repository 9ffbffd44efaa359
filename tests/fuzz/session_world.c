/*
 * session_world: see the header. The ports, the peers' connections, and time.
 */
#include "session_world.h"

#include "session_talk.h"

#define START_MS   1000000u
#define WALL_S     1767225600u /* 2026-01-01 */
#define TURNS_MAX  2000000u    /* of one script: more is an endless loop */
#define HABIT_LOOP 2000u       /* answers of the main registrar at one moment, likewise */

struct place {
    const char *address;
    enum transport transport;
    uint8_t listener;
    const char *user;
};

/* The last three: strangers, two of them on the main registrar's host. */
static const struct place places[PEERS_FIXED] = {
    {"10.0.0.5:5080", TRANSPORT_UDP, 0, "100"},
    {"10.0.1.1:5060", TRANSPORT_UDP, 0, "alice"},
    {"10.0.1.2:5060", TRANSPORT_UDP, 0, "alice"},
    {"10.0.1.3:5060", TRANSPORT_UDP, 0, "bob"},
    {"[2001:db8::4]:5060", TRANSPORT_UDP, 2, "bob"},
    {"10.0.1.5:40005", TRANSPORT_TCP, 1, "alice"},
    {"10.0.1.6:40006", TRANSPORT_TCP, 1, "bob"},
    {"10.0.0.5:5081", TRANSPORT_UDP, 0, "alice"},
    {"10.0.9.9:5060", TRANSPORT_UDP, 0, "mallory"},
    {"10.0.0.5:40009", TRANSPORT_TCP, 1, "mallory"},
};

void text_set(struct text *t, struct span value)
{
    free(t->p);
    t->p = malloc(value.n + 1);
    CHECK(t->p);
    if (value.n)
        memcpy(t->p, value.p, value.n);
    t->p[value.n] = 0;
    t->n = value.n;
}

static struct peer *peer_of(struct session_world *w, const struct flow *flow)
{
    for (unsigned i = 0; i < PEERS; i++)
        if (w->peers[i].there && flow_equal(&w->peers[i].flow, flow))
            return &w->peers[i];
    return NULL;
}

/* For whoever replays one script. */
static void trace(const struct session_world *w, const char *what, const struct flow *flow,
                  struct span message)
{
    char room[64];
    struct buf peer = buf_make(room, sizeof room);

    if (!w->traced)
        return;
    address_put(&peer, &flow->peer);
    fprintf(stderr, "---- %llu ms %s %.*s #%u\n%.*s\n", (unsigned long long)w->now_ms, what,
            (int)peer.n, room, flow->connection, (int)message.n, message.p ? message.p : "");
}

/* ---- the ports -------------------------------------------------------------- */

static uint64_t now_us(void *world)
{
    return ((struct session_world *)world)->now_ms * 1000;
}

static uint64_t wall_s(void *world)
{
    return WALL_S + (((struct session_world *)world)->now_ms - START_MS) / 1000;
}

/* splitmix64 */
static void fill_random(void *world, void *out, size_t n)
{
    struct session_world *w = world;

    for (size_t at = 0; at < n;) {
        uint64_t z = (w->random += 0x9e3779b97f4a7c15);
        size_t part = n - at < sizeof z ? n - at : sizeof z;

        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        z ^= z >> 31;
        memcpy((char *)out + at, &z, part);
        at += part;
    }
}

static char *reserve(void *world, size_t *capacity)
{
    *capacity = DATAGRAM_MAX;
    return ((struct session_world *)world)->room;
}

/* What the main registrar says by itself waits for the next turn. */
static void pbx_hears(struct session_world *w, struct peer *p, const struct sip_message *m)
{
    struct span answer = talk_pbx_answer(w, p, m);

    if (answer.n == 0 || w->sayings == SAYINGS_MAX)
        return;
    w->saying[w->sayings] = (struct saying){.from = p};
    text_set(&w->saying[w->sayings++].text, answer);
}

static void peer_hears(struct session_world *w, struct peer *p, struct span message)
{
    static struct sip_message m;
    struct sip_fault fault;

    if (sip_parse(message, &m, &fault) == SIP_NOT_SIP)
        return;
    if (sip_has(&m, SIP_H_CONTACT))
        text_set(&p->latest, message);
    if (!m.is_request) {
        text_set(&p->answer, message);
        return;
    }
    if (m.method == SIP_ACK)
        return;
    free(p->got[GOT_MAX - 1].p);
    memmove(&p->got[1], &p->got[0], (GOT_MAX - 1) * sizeof p->got[0]);
    p->got[0] = (struct text){NULL, 0};
    text_set(&p->got[0], message);
    if (p->upstream && w->habit != PBX_SILENT)
        pbx_hears(w, p, &m);
}

static void commit(void *world, const struct flow *to, size_t n)
{
    struct session_world *w = world;
    struct peer *p = peer_of(w, to);
    char *copy;

    CHECK(n > 0 && n <= DATAGRAM_MAX);
    copy = malloc(n); /* of its exact size, so that nobody reads behind it */
    CHECK(copy);
    memcpy(copy, w->room, n);
    memset(w->room, '#', DATAGRAM_MAX); /* who still reads it shall see it */
    w->sent_count++;
    w->sent_in_turn++;
    trace(w, "midreg to", to, span_make(copy, n));
    rules_sent(w, to, span_make(copy, n));
    if (p && (p->flow.transport == TRANSPORT_UDP || p->connected))
        peer_hears(w, p, span_make(copy, n));
    free(copy);
}

static void local_address(void *world, const struct flow *to, struct address *out)
{
    const struct session_world *w = world;

    CHECK(to->listener < w->config->listen_count);
    *out = w->config->listen[to->listener].address;
}

static bool stream_open(void *world, const struct address *peer, enum transport transport,
                        struct flow *out)
{
    struct session_world *w = world;
    bool known = false;

    CHECK(transport_is_stream((uint8_t)transport));
    for (unsigned i = 0; i < PEERS_FIXED; i++)
        known |= (w->peers[i].spoke || w->peers[i].upstream) &&
                 address_same_host(peer, &w->peers[i].own);
    CHECK(known); /* nobody else is ever called up */
    for (unsigned i = PEERS_FIXED; i < PEERS && !w->streams_refused; i++) {
        struct peer *p = &w->peers[i];

        if (p->there && (p->connected || p->cut))
            continue;
        p->flow = (struct flow){.peer = *peer,
                                .transport = (uint8_t)transport,
                                .listener = 1,
                                .connection = ++w->connections};
        p->own = *peer;
        p->user = "alice";
        p->upstream = address_equal(peer, &w->peers[0].own);
        p->there = p->connected = true;
        *out = p->flow;
        return true;
    }
    return false;
}

static void stream_close(void *world, const struct flow *flow)
{
    struct peer *p = peer_of(world, flow);

    if (!p || !p->connected)
        return;
    p->connected = false;
    framer_fini(&p->framer);
    framer_init(&p->framer);
}

static bool flow_is_alive(void *world, const struct flow *flow)
{
    const struct peer *p = peer_of(world, flow);

    return p && p->connected;
}

/* Main registrars have addresses here: nobody is asked for a name. */
static void resolve(void *world, unsigned asker, const char *name, uint16_t port)
{
    (void)world;
    (void)asker;
    (void)name;
    (void)port;
}

static bool journal_submit(void *world, struct span images)
{
    struct session_world *w = world;

    CHECK(images.n && !w->images.n);
    if (w->journal_held)
        w->images = images;
    else
        disk_write(&w->disk, images);
    return !w->journal_held;
}

static bool begins_with(struct span line, const char *text)
{
    return line.n >= strlen(text) && memcmp(line.p, text, strlen(text)) == 0;
}

/* A line of log is one line, whatever strangers wrote. */
static void log_line(void *world, enum log_level level, struct span line)
{
    struct session_world *w = world;

    (void)level;
    CHECK(line.n);
    if (begins_with(line, "event=store_behind"))
        w->store_behind = true;
    else if (begins_with(line, "event=store_caught_up"))
        w->store_behind = false;
    for (size_t i = 0; i < line.n; i++)
        CHECK((uint8_t)line.p[i] >= ' ' && line.p[i] != 0x7f);
}

/* ---- life ------------------------------------------------------------------- */

void world_begin(struct session_world *w, const struct config *config)
{
    uint8_t secret[HASH_SECRET_SIZE];

    memset(w, 0, sizeof *w);
    w->config = config;
    w->now_ms = START_MS;
    w->traced = getenv("FUZZ_TRACE") != NULL;
    disk_init(&w->disk);
    w->room = malloc(DATAGRAM_MAX);
    CHECK(w->room);
    w->ports = (struct ports){w,       now_us,         wall_s,      fill_random,  reserve,
                              commit,  local_address,  stream_open, stream_close, flow_is_alive,
                              resolve, journal_submit, log_line};
    for (unsigned i = 0; i < PEERS_FIXED; i++) {
        struct peer *p = &w->peers[i];

        CHECK(address_parse(span_of(places[i].address), 0, &p->own));
        p->flow.peer = p->own;
        p->flow.transport = (uint8_t)places[i].transport;
        p->flow.listener = places[i].listener;
        p->user = places[i].user;
        p->there = true;
        p->upstream = i == 0;
    }
    for (unsigned i = 0; i < PEERS; i++)
        framer_init(&w->peers[i].framer);
    memset(secret, 's', sizeof secret);
    w->core = core_new(config, &w->ports, secret);
    CHECK(w->core);
    core_start(w->core);
    w->next_ms = w->now_ms;
}

static void peer_forget(struct peer *p)
{
    framer_fini(&p->framer);
    for (unsigned i = 0; i < GOT_MAX; i++)
        free(p->got[i].p);
    free(p->answer.p);
    free(p->latest.p);
    free(p->sent.p);
    free(p->invite.p);
}

void world_end(struct session_world *w)
{
    core_free(w->core);
    disk_fini(&w->disk);
    for (unsigned i = 0; i < PEERS; i++)
        peer_forget(&w->peers[i]);
    for (unsigned i = 0; i < w->sayings; i++)
        free(w->saying[i].text.p);
    free(w->room);
}

struct peer *world_peer(struct session_world *w, char letter)
{
    struct peer *last = NULL;

    if (letter >= '0' && letter <= '9')
        return &w->peers[letter - '0'];
    for (unsigned i = PEERS_FIXED; i < PEERS; i++) {
        struct peer *p = &w->peers[i];

        if (p->there && p->connected && p->upstream == (letter == 'T') &&
            (!last || p->flow.connection > last->flow.connection))
            last = p;
    }
    return last;
}

/* ---- turns ------------------------------------------------------------------ */

static void turn_begin(struct session_world *w)
{
    core_begin(w->core);
    w->sent_in_turn = 0;
}

static void turn_end(struct session_world *w)
{
    w->in.any = false;
    w->next_ms = core_end(w->core);
    rules_between(w);
}

static void receive(struct session_world *w, struct peer *p, struct span message)
{
    char *copy = malloc(message.n ? message.n : 1);

    CHECK(copy);
    if (message.n)
        memcpy(copy, message.p, message.n);
    trace(w, "midreg from", &p->flow, message);
    turn_begin(w);
    rules_received(w, p, span_make(copy, message.n));
    core_receive(w->core, &p->flow, span_make(copy, message.n));
    free(copy); /* whoever kept a span is caught */
    turn_end(w);
}

/* The core hears of it. */
static void tell_cut(struct session_world *w, struct peer *p)
{
    struct flow gone = p->flow;

    if (!p->cut)
        return;
    p->cut = false;
    trace(w, "closed", &gone, SPAN_NONE);
    turn_begin(w);
    core_flow_closed(w->core, &gone);
    turn_end(w);
}

void world_cut(struct session_world *w, struct peer *p, bool told)
{
    if (p->connected) {
        stream_close(w, &p->flow);
        p->cut = true;
    }
    if (told)
        tell_cut(w, p);
}

static void connect_again(struct session_world *w, struct peer *p)
{
    tell_cut(w, p);
    p->flow.connection = ++w->connections;
    p->connected = true;
}

/* As net/ does it: what cannot be cut is handed on to be answered, then the
 * connection is closed. */
static void receive_stream(struct session_world *w, struct peer *p, struct span bytes)
{
    uint32_t connection = p->flow.connection;
    enum framed what;
    struct span got;

    framer_read(&p->framer, bytes);
    while ((what = framer_next(&p->framer, &got)) != FRAMED_MORE) {
        if (what == FRAMED_MESSAGE || (what == FRAMED_BROKEN && got.n))
            receive(w, p, got);
        if (!p->connected || p->flow.connection != connection)
            return; /* midreg has closed it */
        if (what == FRAMED_BROKEN) {
            world_cut(w, p, true);
            return;
        }
    }
}

void world_send(struct session_world *w, struct peer *p, struct span bytes)
{
    char *copy;

    if (bytes.n == 0)
        return;
    if (!transport_is_stream(p->flow.transport)) {
        p->spoke = true;
        receive(w, p, bytes);
        return;
    }
    if (!p->connected) {
        if (p >= &w->peers[PEERS_FIXED])
            return; /* it was midreg's */
        connect_again(w, p);
    }
    p->spoke = true;
    copy = malloc(bytes.n);
    CHECK(copy);
    memcpy(copy, bytes.p, bytes.n);
    receive_stream(w, p, span_make(copy, bytes.n));
    free(copy);
}

void world_release(struct session_world *w)
{
    w->journal_held = false;
    turn_begin(w);
    if (w->images.n) {
        disk_write(&w->disk, w->images);
        w->images = SPAN_NONE;
        core_written(w->core, true);
    }
    turn_end(w);
}

/* The main registrar says what it has to say. */
static void let_pbx_talk(struct session_world *w)
{
    unsigned said = 0;

    while (w->sayings) {
        struct saying first = w->saying[0];

        memmove(&w->saying[0], &w->saying[1], --w->sayings * sizeof first);
        world_send(w, first.from, text_span(&first.text));
        free(first.text.p);
        CHECK(++said < HABIT_LOOP);
    }
}

void world_advance(struct session_world *w, uint64_t ms)
{
    uint64_t until = w->now_ms + ms;
    unsigned turns = 0;

    for (unsigned i = 0; i < PEERS; i++)
        tell_cut(w, &w->peers[i]);
    for (;;) {
        let_pbx_talk(w);
        if (w->next_ms > until)
            w->next_ms = until;
        if (w->next_ms > w->now_ms)
            w->now_ms = w->next_ms;
        turn_begin(w);
        turn_end(w);
        CHECK(++turns < TURNS_MAX);
        if (w->now_ms >= until && w->next_ms > w->now_ms && w->sayings == 0)
            return;
    }
}

/*
 * upstream/event_socket: see event_socket.h, which has the diagram.
 *
 * Called by core.c, by the registrar (flushes) and by its timer, on the core thread. Never
 * waits: one command at a time is on its way, the others stand in a bounded line.
 * Never logs the password. What it sends ends with an empty line.
 */
#include "upstream/event_socket.h"

#include <stdlib.h>

#define STEP_MS        10000u
#define ASK_AFTER_MS   30000u
#define SILENT_MS      60000u
#define PAUSE_FIRST_MS 1000u
#define PAUSE_MAX_MS   30000u
/* Up for less than that, it is not well yet: pauses grow on. */
#define WELL_AFTER_MS 30000u
#define COMMAND_MAX   1024
/* What it says of its age comes late, and its clock is not ours. */
#define UPTIME_SLACK_MS 10000u
/* It may take REGISTERs so soon after its start, of which it tells the second. */
#define START_SLACK_MS 1000u

/* Why it is not up, and what can be done. */
static const struct trouble {
    const char *what;
    const char *remedy;
    bool refused; /* it will not be well in a second */
} unreachable = {"cannot be reached",
                 "is mod_event_socket loaded, and listen-ip in event_socket.conf.xml an address "
                 "that midreg reaches?",
                 false},
  denied = {"denied", "apply-inbound-acl in event_socket.conf.xml must admit midreg's address",
            true},
  password = {"wrong password",
              "write the password of event_socket.conf.xml into event-socket of the upstream",
              true},
  refuses = {"refuses to tell its events", "look at FreeSWITCH's log", true},
  nonsense = {"does not speak the event socket's language",
              "is the address of event-socket that of mod_event_socket?", true},
  slow = {"does not answer", "is something else listening there, or FreeSWITCH stuck?", false},
  silent = {"silent", "is FreeSWITCH stuck, or the network down?", false},
  closed = {"closed", "it is connected again by itself", false};

static void wake_at(struct event_socket *s, uint64_t due_ms)
{
    wheel_arm(&s->all->rt->wheel, &s->timer, TIMER_EVENTS, due_ms);
}

/* ---- the connection ----------------------------------------------------------------- */

static void enter(struct event_socket *s, enum event_socket_state state)
{
    s->state = state;
    s->since_ms = s->heard_ms = s->all->rt->now_ms;
    wake_at(s, s->since_ms + (state == EVENT_SOCKET_UP ? ASK_AFTER_MS : STEP_MS));
}

static uint32_t pause_ms(struct event_socket *s, bool refused)
{
    uint32_t wait = refused ? PAUSE_MAX_MS : PAUSE_FIRST_MS;

    for (unsigned i = 0; i < s->failures && wait < PAUSE_MAX_MS; i++)
        wait *= 2;
    if (wait > PAUSE_MAX_MS)
        wait = PAUSE_MAX_MS;
    return wait - runtime_random(s->all->rt, wait / 2);
}

static void complain(struct event_socket *s, const struct trouble *why)
{
    enum log_level level = s->trouble == why->what ? LOG_DEBUG : LOG_WARN;

    s->trouble = why->what;
    runtime_log(s->all->rt, level, "event_socket_down", "upstream=%s reason=\"%s\" remedy=\"%s\"",
                s->upstream->config->name, why->what, why->remedy);
}

/* No longer connected, or not to be. What waited for it is asked for again by who needs
 * it. */
static void disconnect(struct event_socket *s, const struct trouble *why)
{
    struct runtime *rt = s->all->rt;

    if (s->state == EVENT_SOCKET_UP && rt->now_ms - s->since_ms >= WELL_AFTER_MS)
        s->failures = 0;
    complain(s, why);
    event_reader_fini(&s->reader);
    event_reader_init(&s->reader);
    s->command = EVENT_NOTHING;
    s->count = 0;
    enter(s, EVENT_SOCKET_OFF);
    wake_at(s, rt->now_ms + pause_ms(s, why->refused));
    s->failures++;
}

static void give_up(struct event_socket *s, const struct trouble *why)
{
    const struct ports *ports = s->all->rt->ports;

    ports->stream_close(ports->world, &s->flow);
    disconnect(s, why);
}

static void connect_now(struct event_socket *s)
{
    const struct ports *ports = s->all->rt->ports;

    if (ports->stream_open(ports->world, &s->upstream->config->event_socket.address,
                           TRANSPORT_BYTES, &s->flow))
        enter(s, EVENT_SOCKET_CONNECTING);
    else
        disconnect(s, &unreachable);
}

static void send_command(struct event_socket *s, const struct buf *command)
{
    ports_send(s->all->rt->ports, &s->flow, buf_done(command));
}

/* ---- commands, one at a time --------------------------------------------------------- */

static void ask(struct event_socket *s, enum event_command command, const struct buf *text)
{
    s->command = command;
    s->asked_ms = s->all->rt->now_ms;
    send_command(s, text);
}

/* Who it is: another Core-UUID is another start. */
static void ask_identity(struct event_socket *s)
{
    char room[COMMAND_MAX];
    struct buf out = buf_make(room, sizeof room);

    buf_lit(&out, "api global_getvar core_uuid\n\n");
    ask(s, EVENT_IDENTIFY, &out);
}

/* By Call-ID, which takes our row alone; a user's name would take all of his. */
static bool build_flush(struct event_socket *s, uint64_t tag, struct buf *out)
{
    const struct event_socket_user *user = &s->all->user;

    buf_lit(out, "api sofia profile ");
    buf_str(out, s->upstream->config->event_socket.profile);
    buf_lit(out, " flush_inbound_reg ");
    if (!user->flush_call_id(user->self, s->upstream, tag, out))
        return false;
    buf_lit(out, "\n\n");
    return !out->overflow;
}

static void next_command(struct event_socket *s)
{
    while (s->state == EVENT_SOCKET_UP && s->command == EVENT_NOTHING && s->count) {
        char room[COMMAND_MAX];
        struct buf out = buf_make(room, sizeof room);
        uint64_t tag = s->flushes[s->first];

        s->first = (s->first + 1) % EVENT_FLUSHES_MAX;
        s->count--;
        if (!build_flush(s, tag, &out))
            continue;
        s->flushed = tag;
        ask(s, EVENT_FLUSH, &out);
    }
}

bool event_socket_is_up(const struct event_sockets *all, const struct upstream *u)
{
    for (unsigned i = 0; i < all->count; i++)
        if (all->list[i].upstream == u)
            return all->list[i].state == EVENT_SOCKET_UP;
    return false;
}

bool event_socket_flush(struct event_sockets *all, const struct upstream *u, uint64_t tag)
{
    for (unsigned i = 0; i < all->count; i++) {
        struct event_socket *s = &all->list[i];

        if (s->upstream != u)
            continue;
        if (s->state != EVENT_SOCKET_UP || !s->flushes || s->count == EVENT_FLUSHES_MAX)
            return false;
        s->flushes[(s->first + s->count++) % EVENT_FLUSHES_MAX] = tag;
        next_command(s);
        return true;
    }
    return false;
}

/* ---- what it tells ------------------------------------------------------------------ */

static void restarted(struct event_socket *s, const char *sign)
{
    const struct event_socket_user *user = &s->all->user;

    runtime_log(s->all->rt, LOG_WARN, "upstream_restarted", "upstream=%s sign=%s",
                s->upstream->config->name, sign);
    user->restarted(user->self, s->upstream);
}

/* 8-4-4-4-12 hexadecimal digits, as FreeSWITCH writes it. */
static bool is_uuid(struct span text)
{
    if (text.n != EVENT_UUID_SIZE)
        return false;
    for (size_t i = 0; i < text.n; i++)
        if (i == 8 || i == 13 || i == 18 || i == 23 ? text.p[i] != '-' : ascii_hex(text.p[i]) < 0)
            return false;
    return true;
}

static void keep_uuid(struct event_socket *s, struct span uuid)
{
    memcpy(s->uuid, uuid.p, uuid.n);
    s->uuid_n = uuid.n;
}

/* The UUID that is kept is that of this start, and what it lost is known. */
static void settle(struct event_socket *s, bool another)
{
    const struct event_socket_user *user = &s->all->user;

    s->doubted = false;
    s->same_ms = s->all->rt->now_ms;
    if (another)
        restarted(s, "Core-UUID");
    user->identified(user->self, s->upstream, span_make(s->uuid, s->uuid_n));
}

static void note_uuid(struct event_socket *s, struct span uuid)
{
    bool known = s->uuid_n > 0;

    if (!is_uuid(uuid))
        return; /* whatever it says there, it is nobody's name */
    if (span_eq(uuid, span_make(s->uuid, s->uuid_n))) {
        if (!s->doubted)
            s->same_ms = s->all->rt->now_ms;
        return;
    }
    keep_uuid(s, uuid);
    s->uptime_ms = 0;
    /* It went and came back meanwhile: if it is that start, all is being registered again. */
    s->doubted = known && s->upstream->health.returned_ms > s->same_ms;
    if (!s->doubted)
        settle(s, known);
}

/* Was it started since it came back? */
static void resolve_doubt(struct event_socket *s, uint64_t uptime_ms)
{
    uint64_t now_ms = s->all->rt->now_ms;
    uint64_t started_ms = now_ms > uptime_ms ? now_ms - uptime_ms : 0;

    if (s->doubted)
        settle(s, started_ms > s->upstream->health.returned_ms + START_SLACK_MS);
}

void event_sockets_was(struct event_sockets *all, const struct upstream *u, struct span uuid)
{
    for (unsigned i = 0; i < all->count; i++)
        if (all->list[i].upstream == u && is_uuid(uuid))
            keep_uuid(&all->list[i], uuid);
}

static void on_heartbeat(struct event_socket *s, struct span fields)
{
    uint64_t now_ms = s->all->rt->now_ms;
    uint64_t uptime_ms;
    bool back;

    if (!event_uptime_ms(fields, &uptime_ms))
        return;
    /* It was started since: else only its clock was set back. */
    back = uptime_ms < s->uptime_ms && uptime_ms <= now_ms - s->uptime_at_ms + UPTIME_SLACK_MS;
    s->uptime_ms = uptime_ms;
    s->uptime_at_ms = now_ms;
    resolve_doubt(s, uptime_ms);
    if (back)
        restarted(s, "Up-Time");
}

static void on_dropped(struct event_socket *s, struct span fields)
{
    const struct event_socket_user *user = &s->all->user;
    char room[2048];
    struct buf contact = buf_make(room, sizeof room);

    if (event_field_decoded(fields, "contact", &contact))
        user->dropped(user->self, s->upstream, buf_done(&contact));
}

static void on_event(struct event_socket *s, struct span fields)
{
    char room[64];
    struct buf out = buf_make(room, sizeof room);
    struct span name = event_field(fields, "Event-Name");

    note_uuid(s, event_field(fields, "Core-UUID"));
    if (span_eq(name, SPAN("HEARTBEAT")))
        on_heartbeat(s, fields);
    if (!span_eq(name, SPAN("CUSTOM")) || !event_field_decoded(fields, "Event-Subclass", &out))
        return;
    if (span_eq(buf_done(&out), SPAN("sofia::expire")) ||
        span_eq(buf_done(&out), SPAN("sofia::unregister")))
        on_dropped(s, fields);
}

static bool is_ok(struct span text)
{
    return text.n >= 3 && memcmp(text.p, "+OK", 3) == 0;
}

static bool is_error(struct span text)
{
    return text.n >= 1 && text.p[0] == '-';
}

static void on_flushed(struct event_socket *s, struct span text)
{
    const struct event_socket_user *user = &s->all->user;
    struct log_text room;

    if (!is_ok(text))
        runtime_log(s->all->rt, LOG_WARN, "flush_refused",
                    "upstream=%s answer=%s remedy=\"is profile = \\\"%s\\\" of event-socket the "
                    "SIP profile of this upstream?\"",
                    s->upstream->config->name, log_value(&room, span_trim(text)),
                    s->upstream->config->event_socket.profile);
    user->flushed(user->self, s->upstream, s->flushed, is_ok(text));
}

static void on_answer(struct event_socket *s, struct span text)
{
    enum event_command command = s->command;
    bool doubted = s->doubted;

    s->command = EVENT_NOTHING;
    if (command == EVENT_IDENTIFY && !is_error(text))
        note_uuid(s, span_trim(text));
    if (command == EVENT_IDENTIFY && doubted)
        resolve_doubt(s, 0); /* it does not tell its age: better once more */
    if (command == EVENT_FLUSH)
        on_flushed(s, text);
    next_command(s);
}

/* ---- the way up --------------------------------------------------------------------- */

static void on_auth_request(struct event_socket *s)
{
    char room[COMMAND_MAX];
    struct buf out = buf_make(room, sizeof room);

    if (s->state != EVENT_SOCKET_CONNECTING)
        return;
    buf_lit(&out, "auth ");
    buf_str(&out, s->upstream->config->event_socket.password);
    buf_lit(&out, "\n\n");
    enter(s, EVENT_SOCKET_PASSWORD);
    send_command(s, &out);
}

static void subscribe(struct event_socket *s)
{
    char room[COMMAND_MAX];
    struct buf out = buf_make(room, sizeof room);

    buf_lit(&out, "event plain HEARTBEAT CUSTOM sofia::expire sofia::unregister\n\n");
    enter(s, EVENT_SOCKET_SUBSCRIBING);
    send_command(s, &out);
}

static void on_reply(struct event_socket *s, struct span text)
{
    if (s->state == EVENT_SOCKET_PASSWORD) {
        if (is_ok(text))
            subscribe(s);
        else
            give_up(s, &password);
    } else if (s->state == EVENT_SOCKET_SUBSCRIBING) {
        if (!is_ok(text)) {
            give_up(s, &refuses);
            return;
        }
        s->trouble = NULL;
        enter(s, EVENT_SOCKET_UP);
        runtime_log(s->all->rt, LOG_INFO, "event_socket_up", "upstream=%s",
                    s->upstream->config->name);
        ask_identity(s);
    } else if (s->command != EVENT_NOTHING) {
        on_answer(s, text); /* a command that it does not know is no api/response */
    }
}

static void on_message(struct event_socket *s, const struct event_message *m)
{
    s->heard_ms = s->all->rt->now_ms;
    switch (m->kind) {
    case EVENT_AUTH:
        on_auth_request(s);
        break;
    case EVENT_REPLY:
        on_reply(s, m->text);
        break;
    case EVENT_ANSWER:
        if (s->command != EVENT_NOTHING)
            on_answer(s, m->text);
        break;
    case EVENT_PLAIN:
        if (s->state == EVENT_SOCKET_UP)
            on_event(s, m->fields);
        break;
    case EVENT_BYE:
        give_up(s, &closed);
        break;
    case EVENT_DENIED:
        give_up(s, &denied);
        break;
    case EVENT_OTHER:
        break;
    }
}

/* ---- the room's side ---------------------------------------------------------------- */

static struct event_socket *find(struct event_sockets *all, const struct flow *flow)
{
    for (unsigned i = 0; i < all->count; i++)
        if (all->list[i].state != EVENT_SOCKET_OFF && flow_equal(&all->list[i].flow, flow))
            return &all->list[i];
    return NULL;
}

void event_sockets_receive(struct event_sockets *all, const struct flow *from, struct span bytes)
{
    struct event_socket *s = find(all, from);
    enum event_read got = EVENT_MORE;
    struct event_message m;

    if (!s)
        return;
    event_reader_put(&s->reader, bytes);
    while (s->state != EVENT_SOCKET_OFF &&
           (got = event_reader_next(&s->reader, &m)) == EVENT_MESSAGE)
        on_message(s, &m);
    if (s->state != EVENT_SOCKET_OFF && got == EVENT_BROKEN)
        give_up(s, &nonsense);
}

void event_sockets_flow_closed(struct event_sockets *all, const struct flow *flow)
{
    struct event_socket *s = find(all, flow);

    if (s)
        disconnect(s, s->state == EVENT_SOCKET_CONNECTING ? &unreachable : &closed);
}

/* UP: is it silent, or does it owe us an answer? */
static void look(struct event_socket *s)
{
    uint64_t now_ms = s->all->rt->now_ms;

    if (now_ms - s->heard_ms >= SILENT_MS ||
        (s->command != EVENT_NOTHING && now_ms - s->asked_ms >= SILENT_MS)) {
        give_up(s, &silent);
        return;
    }
    if (s->command == EVENT_NOTHING && now_ms - s->heard_ms >= ASK_AFTER_MS)
        ask_identity(s);
    wake_at(s, s->command == EVENT_NOTHING
                   ? s->heard_ms + ASK_AFTER_MS
                   : (s->heard_ms < s->asked_ms ? s->heard_ms : s->asked_ms) + SILENT_MS);
}

static void on_timer(void *self, struct timer *t)
{
    struct event_socket *s = (void *)((char *)t - offsetof(struct event_socket, timer));

    (void)self;
    if (s->state == EVENT_SOCKET_OFF)
        connect_now(s);
    else if (s->state == EVENT_SOCKET_UP)
        look(s);
    else
        give_up(s, s->state == EVENT_SOCKET_CONNECTING ? &unreachable : &slow);
}

void event_sockets_init(struct event_sockets *all, struct runtime *rt, struct upstreams *upstreams,
                        const struct event_socket_user *user)
{
    *all = (struct event_sockets){.rt = rt, .user = *user};
    for (unsigned i = 0; i < upstreams->count; i++) {
        struct upstream *u = &upstreams->list[i];
        struct event_socket *s = &all->list[all->count];

        if (u->config->event_socket.address.family == ADDRESS_NONE)
            continue;
        s->all = all;
        s->upstream = u;
        s->flushes = calloc(EVENT_FLUSHES_MAX, sizeof *s->flushes);
        all->count++;
    }
    wheel_handler(&rt->wheel, TIMER_EVENTS, on_timer, all);
}

void event_sockets_fini(struct event_sockets *all)
{
    for (unsigned i = 0; i < all->count; i++) {
        event_reader_fini(&all->list[i].reader);
        free(all->list[i].flushes);
    }
}

void event_sockets_start(struct event_sockets *all)
{
    for (unsigned i = 0; i < all->count; i++)
        connect_now(&all->list[i]);
}

void event_sockets_put_status(struct buf *out, const struct event_sockets *all)
{
    for (unsigned i = 0; i < all->count; i++) {
        buf_char(out, ' ');
        buf_str(out, all->list[i].upstream->config->name);
        buf_lit(out, ".event_socket=");
        buf_u64(out, all->list[i].state == EVENT_SOCKET_UP);
    }
}

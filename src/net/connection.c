/*
 * net/connection: see connection.h.
 *
 * Called by the loop and by stream.c, on the core thread. Never blocks. Handlers
 * may close the connection that they are called for: after each call its state
 * is looked at again, and its memory stays until the end of the turn.
 */
#include "net/connection.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

/* ---- time ---- */

static uint64_t earlier(uint64_t due_ms, uint64_t from_ms, uint32_t limit_ms)
{
    return from_ms + limit_ms < due_ms ? from_ms + limit_ms : due_ms;
}

static uint64_t deadline_of(const struct connection *c)
{
    const struct stream_limits *l = &c->all->limits;
    uint64_t due = UINT64_MAX;

    if (c->state != CONNECTION_CONNECTING && c->queue.bytes)
        due = earlier(due, c->moved_ms, l->stall_ms);
    switch (c->state) {
    case CONNECTION_CONNECTING:
        return earlier(due, c->since_ms, l->connect_ms);
    case CONNECTION_OPEN:
        due = earlier(due, c->heard_ms, l->idle_ms);
        if (c->accepted && !c->useful)
            due = earlier(due, c->since_ms, l->first_ms);
        return c->waiting_ms ? earlier(due, c->waiting_ms, l->message_ms) : due;
    case CONNECTION_HALF:
        return earlier(due, c->since_ms, l->half_ms);
    case CONNECTION_LINGERING:
        return earlier(due, c->since_ms, l->linger_ms);
    default:
        return due;
    }
}

/* To be called when a deadline may have come nearer. */
static void watch_time(struct connection *c)
{
    uint64_t due = deadline_of(c);

    if (!timer_armed(&c->timer) || due < c->timer.due_ms)
        wheel_arm(&c->all->wheel, &c->timer, TIMER_STREAM, due);
}

static void enter(struct connection *c, enum connection_state state)
{
    c->state = (uint8_t)state;
    c->since_ms = c->all->now_ms;
}

/* ---- the end ---- */

bool connection_account(struct connection *c)
{
    size_t held = c->queue.bytes + c->framer.kept_size;

    c->all->bytes = c->all->bytes - c->held + held;
    c->held = held;
    return c->all->bytes <= c->all->limits.total_bytes;
}

void connection_end(struct connection *c, const char *why)
{
    struct streams *s = c->all;
    char text[80] = "";
    struct buf peer = buf_make(text, sizeof text - 1);

    if (c->state == CONNECTION_GONE)
        return;
    address_put(&peer, &c->flow.peer);
    log_say(s->log, LOG_DEBUG, "event=connection_ended peer=tcp:%s connection=%u reason=\"%s\"",
            text, c->flow.connection, why);
    if (c->watch.fd >= 0)
        close(c->watch.fd); /* takes it out of the loop, too */
    c->watch.fd = -1;
    wheel_disarm(&s->wheel, &c->timer);
    table_remove(&s->by_number, c->flow.connection);
    send_queue_clear(&c->queue);
    enter(c, CONNECTION_GONE);
    if (s->ended_last)
        s->ended_last->next_ended = c;
    else
        s->ended = c;
    s->ended_last = c;
}

static void cut(struct connection *c, const char *why)
{
    c->all->cut++;
    connection_end(c, why);
}

void connection_overdue(struct connection *c)
{
    if (deadline_of(c) > c->all->now_ms)
        watch_time(c);
    else if (c->state == CONNECTION_CONNECTING)
        connection_end(c, "does not answer");
    else if (c->state == CONNECTION_HALF || c->state == CONNECTION_LINGERING)
        connection_end(c, "closed");
    else
        cut(c, c->queue.bytes ? "does not read" : "silent");
}

/* ---- writing ---- */

static void write_later(struct connection *c)
{
    if (c->to_write)
        return;
    c->to_write = true;
    c->next_to_write = c->all->to_write;
    c->all->to_write = c;
}

static uint32_t events_of(const struct connection *c)
{
    uint32_t write = c->queue.bytes ? EPOLLOUT : 0;

    switch (c->state) {
    case CONNECTION_CONNECTING:
        return EPOLLOUT;
    case CONNECTION_OPEN:
        return EPOLLIN | write;
    case CONNECTION_LINGERING:
        return EPOLLIN;
    default:
        return write;
    }
}

static void write_out(struct connection *c)
{
    size_t before = c->queue.bytes;
    enum send_result result = send_queue_write(&c->queue, c->watch.fd);

    if (c->queue.bytes != before)
        c->moved_ms = c->all->now_ms;
    connection_account(c);
    if (result == SEND_FAILED)
        connection_end(c, strerror(errno));
}

void connection_write(struct connection *c)
{
    if (c->state == CONNECTION_OPEN || c->state == CONNECTION_HALF ||
        c->state == CONNECTION_CLOSING)
        write_out(c);
    if (c->state == CONNECTION_CLOSING && c->queue.bytes == 0) {
        /* A close with bytes unread would be a reset, which may overtake what
         * we wrote last: end our side and wait for the peer's end. */
        if (shutdown(c->watch.fd, SHUT_WR) != 0) {
            connection_end(c, "closed");
            return;
        }
        enter(c, CONNECTION_LINGERING);
    }
    if (c->state == CONNECTION_GONE)
        return;
    loop_change(c->all->loop, &c->watch, events_of(c));
    watch_time(c);
}

void connection_queue(struct connection *c, struct span bytes)
{
    const struct stream_limits *l = &c->all->limits;

    if (c->queue.bytes + bytes.n > l->queue_bytes && c->state != CONNECTION_CONNECTING)
        write_out(c);
    if (c->state == CONNECTION_GONE)
        return;
    if (c->queue.bytes + bytes.n > l->queue_bytes) {
        cut(c, "does not read");
        return;
    }
    if (c->queue.bytes == 0)
        c->moved_ms = c->all->now_ms;
    if (!send_queue_put(&c->queue, bytes) || !connection_account(c)) {
        cut(c, "no memory");
        return;
    }
    write_later(c);
}

/* ---- closing ---- */

void connection_close(struct connection *c)
{
    if (c->state == CONNECTION_CONNECTING) {
        c->close_then = true;
        if (c->queue.bytes == 0)
            connection_end(c, "closed");
    } else if (c->state == CONNECTION_OPEN || c->state == CONNECTION_HALF) {
        enter(c, CONNECTION_CLOSING);
        write_later(c);
    }
}

/* Nothing more is read. Only within the loop's dispatch: the core must not be
 * called while it calls us. */
static void tell(struct connection *c)
{
    if (c->silent)
        return;
    c->silent = true;
    c->all->handler.closed(c->all->handler.self, &c->flow);
}

/* The peer will send no more; it may be that it still reads (RFC 3261 18.2.2
 * wants the answer on this connection). */
static void peer_ended(struct connection *c)
{
    if (c->state == CONNECTION_OPEN && c->useful) {
        enter(c, CONNECTION_HALF);
        loop_change(c->all->loop, &c->watch, events_of(c));
        watch_time(c);
        tell(c);
    } else {
        connection_end(c, "the peer closed");
    }
}

/* ---- reading ---- */

static void take_message(struct connection *c, struct span message)
{
    c->useful = true;
    c->waiting_ms = 0;
    c->all->received++;
    c->all->handler.receive(c->all->handler.self, &c->flow, message);
}

/* The core may close the connection in any of these. */
static void take_messages(struct connection *c, struct span bytes)
{
    struct span got;

    framer_read(&c->framer, bytes);
    while (c->state == CONNECTION_OPEN) {
        switch (framer_next(&c->framer, &got)) {
        case FRAMED_MORE:
            if (!framer_waits(&c->framer))
                c->waiting_ms = 0;
            else if (c->waiting_ms == 0)
                c->waiting_ms = c->all->now_ms;
            if (!connection_account(c))
                cut(c, "no memory");
            return;
        case FRAMED_MESSAGE:
            take_message(c, got);
            break;
        case FRAMED_PING: /* RFC 5626 4.4.1 */
            connection_queue(c, SPAN("\r\n"));
            break;
        case FRAMED_BROKEN:
            if (got.n)
                c->all->handler.receive(c->all->handler.self, &c->flow, got);
            connection_close(c);
            tell(c);
            break;
        }
    }
}

static void take_read(struct connection *c, struct span bytes)
{
    if (c->flow.transport == TRANSPORT_BYTES)
        c->all->handler.receive(c->all->handler.self, &c->flow, bytes);
    else
        take_messages(c, bytes);
}

static void read_some(struct connection *c)
{
    struct streams *s = c->all;
    ssize_t n = recv(c->watch.fd, s->room, CONNECTION_READ, MSG_DONTWAIT);

    if (n > 0 && c->state == CONNECTION_OPEN) {
        c->heard_ms = s->now_ms;
        take_read(c, span_make(s->room, (size_t)n));
        if (c->state != CONNECTION_GONE)
            watch_time(c);
    } else if (n == 0) {
        peer_ended(c);
    } else if (n < 0 && errno != EAGAIN && errno != EINTR) {
        connection_end(c, strerror(errno));
    }
}

static void connected(struct connection *c)
{
    int error = 0;
    socklen_t n = sizeof error;

    if (getsockopt(c->watch.fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0)
        error = errno;
    if (error) {
        connection_end(c, strerror(error));
        return;
    }
    c->all->opened++;
    c->heard_ms = c->moved_ms = c->all->now_ms;
    enter(c, c->close_then ? CONNECTION_CLOSING : CONNECTION_OPEN);
    socket_local(c->watch.fd, &c->local);
    write_later(c);
}

static void ready(void *self, uint32_t events)
{
    struct connection *c = self;

    switch (c->state) {
    case CONNECTION_CONNECTING:
        connected(c);
        break;
    case CONNECTION_OPEN:
    case CONNECTION_LINGERING:
        if (events & EPOLLOUT)
            write_later(c);
        if (events & ~(uint32_t)EPOLLOUT)
            read_some(c);
        break;
    case CONNECTION_HALF:
    case CONNECTION_CLOSING:
        if (events & (EPOLLERR | EPOLLHUP))
            connection_end(c, "the peer closed");
        else
            write_later(c);
        break;
    default: /* GONE in this very turn */
        break;
    }
}

/* ---- the beginning ---- */

/*
 * Dead peers are found: in five minutes where nothing is sent, in half a minute
 * where something is (phones change networks without a word).
 */
static void set_options(int fd, const struct stream_limits *limits)
{
    int on = 1, idle_s = 180, interval_s = 30, probes = 4;
    unsigned stall_ms = limits->stall_ms;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof interval_s);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof probes);
    setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall_ms, sizeof stall_ms);
}

bool connection_begin(struct connection *c, int fd, enum connection_state state)
{
    c->heard_ms = c->moved_ms = c->all->now_ms;
    framer_init(&c->framer);
    enter(c, state);
    c->watch = (struct watch){.fd = fd, .events = events_of(c), .ready = ready, .self = c};
    if (!loop_add(c->all->loop, &c->watch)) {
        close(fd);
        return false;
    }
    set_options(fd, &c->all->limits);
    socket_local(fd, &c->local);
    watch_time(c);
    return true;
}

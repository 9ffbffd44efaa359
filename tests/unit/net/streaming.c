/*
 * streaming: see streaming.h.
 */
#include "streaming.h"

#include "net/connection.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

static void on_receive(void *self, const struct flow *from, struct span message)
{
    struct hall *h = self;

    assert_false(h->in_call);
    assert_true(h->received < NOTED_MAX);
    h->messages[h->received] = strndup(message.p, message.n);
    h->from[h->received++] = *from;
    if (h->echo)
        streams_send(&h->streams, from, message);
    if (h->close_then)
        streams_close(&h->streams, from);
}

static void on_closed(void *self, const struct flow *flow)
{
    struct hall *h = self;

    assert_false(h->in_call);
    assert_true(h->closed < NOTED_MAX);
    assert_false(streams_alive(&h->streams, flow));
    h->gone[h->closed++] = *flow;
}

int hall_set_up(void **state)
{
    struct hall *h = calloc(1, sizeof *h);

    h->limits = stream_limits_default(1024);
    h->now_ms = 1000000;
    h->log = log_new(STDERR_FILENO, LOG_ERROR);
    assert_true(loop_init(&h->loop));
    *state = h;
    return 0;
}

int hall_tear_down(void **state)
{
    struct hall *h = *state;

    if (h->begun)
        streams_fini(&h->streams);
    loop_fini(&h->loop);
    log_free(h->log);
    for (unsigned i = 0; i < h->received; i++)
        free(h->messages[i]);
    free(h);
    return 0;
}

void hall_open(struct hall *h)
{
    const struct stream_handler handler = {h, on_receive, on_closed};
    struct config_listener l = {.transport = TRANSPORT_TCP};

    assert_true(streams_init(&h->streams, &h->loop, h->log, &handler, &h->limits, h->now_ms));
    h->begun = true;
    assert_true(address_parse(SPAN("127.0.0.1"), 0, &l.address));
    assert_true(streams_listen(&h->streams, 0, &l, stderr));
    assert_true(address_parse(SPAN("[::1]"), 0, &l.address));
    assert_true(streams_listen(&h->streams, 1, &l, stderr));
}

static bool turn(struct hall *h, int wait_ms)
{
    bool busy;

    loop_wait(&h->loop, h->streams.ended ? 0 : wait_ms);
    busy = h->loop.ready_count > 0 || h->streams.ended;
    streams_begin(&h->streams, h->now_ms);
    loop_dispatch(&h->loop);
    streams_tell(&h->streams);
    streams_flush(&h->streams);
    return busy;
}

void hall_turn(struct hall *h)
{
    turn(h, 100);
}

void hall_glance(struct hall *h)
{
    turn(h, 0);
}

void hall_settle(struct hall *h)
{
    /* Twice idle: the first of them may have written something. */
    for (int i = 0, idle = 0; idle < 2; i++) {
        idle = turn(h, 5) ? 0 : idle + 1;
        assert_true(i < 10000);
    }
}

void hall_advance(struct hall *h, uint64_t ms)
{
    h->now_ms += ms;
    hall_settle(h);
}

void hall_until(struct hall *h, const unsigned *number, unsigned reached)
{
    for (int i = 0; i < 20 && *number < reached; i++)
        hall_turn(h);
    assert_int_equal(*number, reached);
}

int phone_connect(struct hall *h, unsigned listener)
{
    struct sockaddr_storage at;
    socklen_t n = address_to_sockaddr(streams_bound(&h->streams, listener), &at);
    struct timeval wait = {.tv_sec = 2};
    int fd = socket(at.ss_family, SOCK_STREAM, 0);
    uint64_t before = h->streams.accepted + h->streams.refused;

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, n), 0);
    for (int i = 0; i < 20 && h->streams.accepted + h->streams.refused == before; i++)
        hall_turn(h);
    assert_true(h->streams.accepted + h->streams.refused > before);
    return fd;
}

void phone_send(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

void assert_phone_got(int fd, const char *text)
{
    char got[4096] = "";
    size_t n = strlen(text);

    assert_true(n < sizeof got);
    assert_int_equal(recv(fd, got, n, MSG_WAITALL), n);
    assert_string_equal(got, text);
}

void assert_phone_ended(int fd)
{
    char rest[1];
    ssize_t n = recv(fd, rest, sizeof rest, 0);

    if (n > 0 || (n < 0 && errno != ECONNRESET))
        fail_msg("%s", n > 0 ? "there is more to read" : strerror(errno));
}

void assert_phone_silent(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    assert_int_equal(poll(&p, 1, 0), 0);
}

struct flow the_flow(struct hall *h)
{
    struct handle ignored;
    const struct connection *c = slab_next(&h->streams.slab, 0, &ignored);

    assert_int_equal(streams_count(&h->streams), 1);
    return c->flow;
}

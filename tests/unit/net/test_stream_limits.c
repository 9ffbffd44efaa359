/*
 * What a peer may cost: bytes that wait for it, time in which nothing is heard,
 * connections, descriptors.
 */
#include "streaming.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>

/* ---- a peer that does not read ---- */

static char block[16384];

/* Gives it to send until some waits here: the kernel's buffers are full. */
static void fill(struct hall *h, const struct flow *flow)
{
    for (int i = 0; i < 10000 && h->streams.bytes == 0; i++) {
        streams_send(&h->streams, flow, span_make(block, sizeof block));
        streams_flush(&h->streams);
    }
    hall_settle(h);
    assert_true(h->streams.bytes > 0);
    assert_true(streams_alive(&h->streams, flow));
}

static int slow_phone(struct hall *h, struct flow *flow)
{
    int fd = phone_connect(h, 0);

    phone_send(fd, MESSAGE);
    hall_until(h, &h->received, 1);
    *flow = h->from[0];
    return fd;
}

static void test_too_much_waits(void **state)
{
    struct hall *h = *state;
    struct flow flow;
    size_t given = 0;
    int fd;

    hall_open(h);
    fd = slow_phone(h, &flow);
    fill(h, &flow);
    h->in_call = true; /* the core is not told while it sends */
    while (streams_alive(&h->streams, &flow)) {
        assert_true(given < (size_t)64 * 1024 * 1024); /* the kernel may take some more */
        streams_send(&h->streams, &flow, span_make(block, sizeof block));
        given += sizeof block;
    }
    h->in_call = false;
    assert_int_equal(streams_next_ms(&h->streams), 0); /* the next turn is at once */
    assert_true(given + 2 * sizeof block > h->limits.queue_bytes);
    hall_until(h, &h->closed, 1);
    assert_int_equal(h->streams.cut, 1);
    hall_settle(h);
    assert_int_equal(h->streams.bytes, 0);
    assert_int_equal(streams_count(&h->streams), 0);
    close(fd);
}

/* A turn's many messages are no reason to cut a peer that reads. */
static void test_much_in_one_turn(void **state)
{
    static char got[sizeof block];
    struct hall *h = *state;
    struct flow flow;
    int fd;

    hall_open(h);
    h->limits.queue_bytes = h->streams.limits.queue_bytes = 2 * sizeof block;
    fd = slow_phone(h, &flow);
    for (int i = 0; i < 6; i++)
        streams_send(&h->streams, &flow, span_make(block, sizeof block));
    hall_settle(h);
    for (int i = 0; i < 6; i++)
        assert_int_equal(recv(fd, got, sizeof got, MSG_WAITALL), sizeof got);
    assert_true(streams_alive(&h->streams, &flow));
    close(fd);
}

static void test_peer_does_not_read(void **state)
{
    static char got[256];
    struct hall *h = *state;
    struct flow flow;
    size_t before;
    int fd;

    h->limits.queue_bytes = (size_t)32 * 1024 * 1024; /* more than the kernel takes */
    hall_open(h);
    fd = slow_phone(h, &flow);
    fill(h, &flow);
    hall_advance(h, h->limits.stall_ms - 1);
    assert_true(streams_alive(&h->streams, &flow));

    /* It reads some, so it lives, and the time begins anew. */
    while (h->streams.bytes < h->limits.queue_bytes / 2) {
        streams_send(&h->streams, &flow, span_make(block, sizeof block));
        streams_flush(&h->streams);
    }
    before = h->streams.bytes;
    while (h->streams.bytes == before) {
        assert_true(recv(fd, got, sizeof got, 0) > 0);
        hall_glance(h);
    }
    hall_settle(h);
    assert_true(h->streams.bytes > 0);
    hall_advance(h, h->limits.stall_ms - 1);
    assert_true(streams_alive(&h->streams, &flow));
    hall_advance(h, 1);
    assert_false(streams_alive(&h->streams, &flow));
    assert_int_equal(h->closed, 1);
    assert_int_equal(h->streams.cut, 1);
    close(fd);
}

static void test_all_together_wait_too_much(void **state)
{
    struct hall *h = *state;
    struct flow flow;
    int fd;

    h->limits.total_bytes = 1000;
    hall_open(h);
    fd = slow_phone(h, &flow);
    phone_send(fd, "OPTIONS sip:a SIP/2.0\r\nl: 0\r\nX: "); /* 512 are taken for it */
    hall_settle(h);
    assert_true(streams_alive(&h->streams, &flow));
    for (int i = 0; i < 600; i++)
        phone_send(fd, "x");
    hall_settle(h);
    assert_false(streams_alive(&h->streams, &flow));
    assert_int_equal(h->streams.cut, 1);
    assert_int_equal(h->streams.bytes, 0);
    close(fd);
}

/* ---- time ---- */

static void test_first_message_comes_late(void **state)
{
    struct hall *h = *state;
    int silent, good;

    hall_open(h);
    silent = phone_connect(h, 0);
    good = phone_connect(h, 0);
    hall_advance(h, h->limits.first_ms - 1);
    phone_send(silent, "\r\n\r\n"); /* a ping is no message */
    phone_send(good, MESSAGE);
    hall_until(h, &h->received, 1);
    assert_int_equal(streams_count(&h->streams), 2);
    hall_advance(h, 1);
    assert_int_equal(streams_count(&h->streams), 1);
    assert_phone_got(silent, "\r\n");
    assert_phone_ended(silent);
    assert_true(streams_alive(&h->streams, &h->from[0]));
    close(silent);
    close(good);
}

static void test_message_stays_unfinished(void **state)
{
    struct hall *h = *state;
    int fd;

    hall_open(h);
    fd = phone_connect(h, 0);
    phone_send(fd, MESSAGE "OPTIONS sip:a SIP/2.0\r\n");
    hall_until(h, &h->received, 1);
    hall_advance(h, h->limits.message_ms - 1);
    phone_send(fd, "l: 0\r\n"); /* a byte now and then does not help */
    hall_settle(h);
    assert_true(streams_alive(&h->streams, &h->from[0]));
    phone_send(fd, "\r\nOPT"); /* whole; the next has time of its own */
    hall_until(h, &h->received, 2);
    hall_advance(h, h->limits.message_ms - 1);
    assert_true(streams_alive(&h->streams, &h->from[0]));
    hall_advance(h, 1);
    assert_false(streams_alive(&h->streams, &h->from[0]));
    assert_int_equal(h->streams.cut, 1);
    close(fd);
}

static void test_nothing_is_heard(void **state)
{
    struct hall *h = *state;
    int fd;

    hall_open(h);
    fd = phone_connect(h, 0);
    phone_send(fd, MESSAGE);
    hall_until(h, &h->received, 1);
    hall_advance(h, h->limits.idle_ms - 1);
    phone_send(fd, "\r\n\r\n");
    hall_settle(h);
    assert_phone_got(fd, "\r\n");
    hall_advance(h, h->limits.idle_ms - 1);
    assert_true(streams_alive(&h->streams, &h->from[0]));
    assert_true(streams_next_ms(&h->streams) <= h->now_ms + 1);
    hall_advance(h, 1);
    assert_int_equal(h->closed, 1);
    assert_phone_ended(fd);
    close(fd);
}

/* Nobody wakes up for connections that have nothing to do. */
static void test_idle_costs_no_turns(void **state)
{
    struct hall *h = *state;
    int fd;

    hall_open(h);
    assert_true(streams_next_ms(&h->streams) == UINT64_MAX);
    fd = phone_connect(h, 0);
    phone_send(fd, MESSAGE);
    hall_until(h, &h->received, 1);
    hall_advance(h, h->limits.first_ms); /* the timer looks, and looks further */
    assert_true(streams_next_ms(&h->streams) > h->now_ms + 1000);
    close(fd);
}

/* ---- numbers ---- */

static void test_too_many_connections(void **state)
{
    struct hall *h = *state;
    struct flow flow;
    int fd[4];

    h->limits.connections = 3;
    hall_open(h);
    for (int i = 0; i < 4; i++)
        fd[i] = phone_connect(h, 0);
    assert_int_equal(h->streams.refused, 1);
    assert_phone_ended(fd[3]);
    assert_false(streams_open(&h->streams, streams_bound(&h->streams, 0), TRANSPORT_TCP, UINT32_MAX,
                              0, &flow));
    close(fd[0]);
    hall_settle(h);
    close(fd[3]);
    fd[3] = phone_connect(h, 0);
    phone_send(fd[3], MESSAGE);
    hall_until(h, &h->received, 1);
    for (int i = 1; i < 4; i++)
        close(fd[i]);
}

/* Without descriptors accepting pauses; the peers wait, and nobody spins. */
static void test_no_descriptors(void **state)
{
    struct hall *h = *state;
    const struct address *to = NULL;
    struct sockaddr_storage at;
    struct rlimit before, none;
    socklen_t n;
    int fd, free_fd;

    hall_open(h);
    to = streams_bound(&h->streams, 0);
    n = address_to_sockaddr(to, &at);
    fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, n), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    free_fd = dup(fd);
    close(free_fd);
    none = before;
    none.rlim_cur = (rlim_t)free_fd; /* none is left below it */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    for (int i = 0; i < 20 && h->streams.acceptors.pauses == 0; i++)
        hall_turn(h);
    assert_int_equal(h->streams.acceptors.pauses, 1);
    assert_true(streams_next_ms(&h->streams) == h->now_ms + ACCEPT_PAUSE_MS);
    loop_wait(&h->loop, 20);
    assert_int_equal(h->loop.ready_count, 0); /* the loop is at rest */

    hall_advance(h, ACCEPT_PAUSE_MS);
    assert_int_equal(h->streams.acceptors.pauses, 2);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    hall_advance(h, ACCEPT_PAUSE_MS);
    assert_int_equal(h->streams.accepted, 1);
    phone_send(fd, MESSAGE);
    hall_until(h, &h->received, 1);
    close(fd);
}

static void test_limits_fit_the_descriptors(void **state)
{
    (void)state;
    assert_int_equal(stream_limits_default(1 << 20).connections, STREAMS_MAX);
    assert_int_equal(stream_limits_default(1024).connections, 896);
    assert_int_equal(stream_limits_default(20).connections, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, hall_set_up, hall_tear_down)
        TEST(test_too_much_waits),
        TEST(test_much_in_one_turn),
        TEST(test_peer_does_not_read),
        TEST(test_all_together_wait_too_much),
        TEST(test_first_message_comes_late),
        TEST(test_message_stays_unfinished),
        TEST(test_nothing_is_heard),
        TEST(test_idle_costs_no_turns),
        TEST(test_too_many_connections),
        TEST(test_no_descriptors),
        cmocka_unit_test(test_limits_fit_the_descriptors),
    };

    return cmocka_run_group_tests_name("net-stream-limits", tests, NULL, NULL);
}

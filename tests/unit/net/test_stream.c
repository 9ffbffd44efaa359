/*
 * Messages over real loopback connections: cut and glued, both ways, both
 * families; keep-alives; connections that end on either side, at any moment.
 */
#include "streaming.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

static void both_ways(struct hall *h, unsigned listener)
{
    int fd = phone_connect(h, listener);
    struct flow flow;

    h->echo = true;
    phone_send(fd, MESSAGE);
    hall_until(h, &h->received, 1);
    flow = h->from[0];
    assert_string_equal(h->messages[0], MESSAGE);
    assert_phone_got(fd, MESSAGE);
    assert_int_equal(flow.transport, TRANSPORT_TCP);
    assert_int_equal(flow.listener, listener);
    assert_true(flow.connection != 0);
    assert_true(address_is_loopback(&flow.peer));
    assert_true(streams_alive(&h->streams, &flow));

    /* An answer that comes later. */
    streams_send(&h->streams, &flow, SPAN("later"));
    assert_phone_silent(fd); /* it leaves at the end of the turn */
    hall_turn(h);
    assert_phone_got(fd, "later");
    close(fd);
}

static void test_both_ways(void **state)
{
    struct hall *h = *state;

    hall_open(h);
    both_ways(h, 0);
}

static void test_ip6(void **state)
{
    struct hall *h = *state;

    hall_open(h);
    both_ways(h, 1);
    assert_int_equal(h->from[0].peer.family, ADDRESS_IP6);
}

static void test_glued(void **state)
{
    struct hall *h = *state;
    int fd;

    hall_open(h);
    fd = phone_connect(h, 0);
    phone_send(fd, "\r\n" MESSAGE MESSAGE_BODY MESSAGE "OPT");
    hall_until(h, &h->received, 3);
    assert_string_equal(h->messages[1], MESSAGE_BODY);
    phone_send(fd, &MESSAGE[3]);
    hall_until(h, &h->received, 4);
    assert_string_equal(h->messages[3], MESSAGE);
    assert_int_equal(h->streams.bytes, 0); /* nothing waits, nothing is held */
    close(fd);
}

static void test_split_at_every_byte(void **state)
{
    struct hall *h = *state;
    const char *text = MESSAGE_BODY;
    int fd;

    hall_open(h);
    fd = phone_connect(h, 0);
    for (size_t i = 0; text[i]; i++) {
        assert_int_equal(h->received, 0);
        assert_int_equal(send(fd, text + i, 1, 0), 1);
        hall_settle(h);
    }
    assert_int_equal(h->received, 1);
    assert_string_equal(h->messages[0], MESSAGE_BODY);
    close(fd);
}

static void test_large(void **state)
{
    static const char start[] = "MESSAGE sip:a SIP/2.0\r\nl: 60000\r\n\r\n";
    struct hall *h = *state;
    size_t n = strlen(start) + 60000;
    char *text = malloc(n + 1), *back = malloc(n + 1);
    int fd;

    memset(text, 'x', n);
    memcpy(text, start, strlen(start));
    text[n] = 0;
    hall_open(h);
    h->echo = true;
    fd = phone_connect(h, 0);
    phone_send(fd, text);
    hall_until(h, &h->received, 1);
    assert_string_equal(h->messages[0], text);
    assert_int_equal(recv(fd, back, n, MSG_WAITALL), n);
    assert_memory_equal(text, back, n);
    hall_settle(h);
    assert_int_equal(h->streams.bytes, 0);
    free(text);
    free(back);
    close(fd);
}

/* RFC 5626 4.4.1 and 3.5.1 */
static void test_keep_alive(void **state)
{
    struct hall *h = *state;
    int fd;

    hall_open(h);
    fd = phone_connect(h, 0);
    phone_send(fd, "\r\n");
    hall_settle(h);
    assert_phone_silent(fd);
    phone_send(fd, "\r\n");
    hall_settle(h);
    assert_phone_got(fd, "\r\n");
    phone_send(fd, "\r\n\r\n" MESSAGE "\r\n\r\n\r\n\r\n");
    hall_settle(h);
    assert_phone_got(fd, "\r\n\r\n\r\n");
    assert_phone_silent(fd);
    assert_int_equal(h->received, 1);
    close(fd);
}

/* ---- the peer sends what is no SIP ---- */

/* The answer arrives though the peer has sent more than we have read. */
static void test_broken_is_answered(void **state)
{
    static char more[100000];
    struct hall *h = *state;
    int fd;

    hall_open(h);
    h->echo = true;
    fd = phone_connect(h, 0);
    phone_send(fd, "OPTIONS sip:a SIP/2.0\r\n\r\n");
    assert_true(send(fd, more, sizeof more, 0) > 0);
    hall_until(h, &h->received, 1);
    assert_int_equal(h->closed, 1); /* at once: it is of no use any more */
    assert_false(streams_alive(&h->streams, &h->gone[0]));
    hall_settle(h);
    assert_phone_got(fd, "OPTIONS sip:a SIP/2.0\r\n\r\n");
    assert_phone_ended(fd);
    assert_int_equal(streams_count(&h->streams), 1); /* waits for the peer's end */
    close(fd);
    hall_settle(h);
    assert_int_equal(streams_count(&h->streams), 0);
    assert_int_equal(h->closed, 1);
}

static void test_garbage(void **state)
{
    static const char *const garbage[] = {"\x16\x03\x01\x02", "GET / HTTP/1.1\r\n\r\n",
                                          "REGISTER\r\n\r\n\r\n"};
    struct hall *h = *state;

    hall_open(h);
    for (unsigned i = 0; i < 3; i++) {
        int fd = phone_connect(h, 0);

        phone_send(fd, garbage[i]);
        hall_until(h, &h->closed, i + 1);
        hall_settle(h);
        assert_phone_ended(fd);
        hall_advance(h, h->limits.linger_ms); /* a peer that does not end its side */
        assert_int_equal(streams_count(&h->streams), 0);
        close(fd);
    }
    assert_int_equal(h->received, 0);
}

/* ---- the end ---- */

static void test_peer_closes(void **state)
{
    struct hall *h = *state;
    int fd;

    hall_open(h);
    fd = phone_connect(h, 0);
    phone_send(fd, MESSAGE);
    close(fd);
    hall_until(h, &h->closed, 1);
    assert_int_equal(h->received, 1);
    assert_true(flow_equal(&h->gone[0], &h->from[0]));
    /* Nobody knows yet whether it still reads; the first answer tells. */
    streams_send(&h->streams, &h->from[0], SPAN("answer"));
    hall_settle(h);
    assert_int_equal(streams_count(&h->streams), 0);
    streams_send(&h->streams, &h->from[0], SPAN("lost"));
    assert_int_equal(h->streams.dropped, 1);
    assert_int_equal(h->closed, 1); /* once */
}

static void test_peer_closes_its_side(void **state)
{
    struct hall *h = *state;
    int fd;

    hall_open(h);
    fd = phone_connect(h, 0);
    phone_send(fd, MESSAGE);
    shutdown(fd, SHUT_WR);
    hall_until(h, &h->closed, 1);
    streams_send(&h->streams, &h->from[0], SPAN("answer"));
    hall_settle(h);
    assert_phone_got(fd, "answer");
    hall_advance(h, h->limits.half_ms - 1);
    streams_send(&h->streams, &h->from[0], SPAN("late"));
    hall_settle(h);
    assert_phone_got(fd, "late");
    hall_advance(h, 1);
    assert_phone_ended(fd);
    assert_int_equal(streams_count(&h->streams), 0);
    assert_int_equal(h->closed, 1);
    close(fd);
}

static void test_peer_resets(void **state)
{
    struct linger now = {.l_onoff = 1, .l_linger = 0};
    struct hall *h = *state;
    int fd;

    hall_open(h);
    fd = phone_connect(h, 0);
    phone_send(fd, MESSAGE);
    hall_until(h, &h->received, 1);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now), 0);
    close(fd);
    hall_until(h, &h->closed, 1);
    hall_settle(h);
    assert_int_equal(streams_count(&h->streams), 0);
}

/* From within the call that brings the message; what follows it is not read. */
static void test_core_closes(void **state)
{
    struct hall *h = *state;
    int fd;

    hall_open(h);
    h->echo = h->close_then = true;
    fd = phone_connect(h, 0);
    phone_send(fd, MESSAGE MESSAGE);
    hall_until(h, &h->received, 1);
    hall_settle(h);
    assert_phone_got(fd, MESSAGE);
    assert_phone_ended(fd);
    close(fd);
    hall_settle(h);
    assert_int_equal(h->received, 1);
    assert_int_equal(h->closed, 0); /* it knows */
    assert_int_equal(streams_count(&h->streams), 0);
}

/* Every byte arrives once, in order, however little the peer takes at a time. */
static void test_slow_reader_gets_all(void **state)
{
    struct hall *h = *state;
    static char piece[60000];
    char got[777];
    uint32_t written = 0, read = 0;
    ssize_t n;
    int fd;

    hall_open(h);
    fd = phone_connect(h, 0);
    phone_send(fd, MESSAGE);
    hall_until(h, &h->received, 1);
    for (size_t size = 1; h->streams.bytes < h->limits.queue_bytes / 2; size = size * 7 % 59999) {
        for (size_t i = 0; i < size; i++)
            piece[i] = (char)(written++ * 2654435761U >> 24);
        streams_send(&h->streams, &h->from[0], span_make(piece, size));
        streams_flush(&h->streams);
    }
    while (read < written && (n = recv(fd, got, sizeof got, 0)) > 0) {
        for (ssize_t i = 0; i < n; i++, read++)
            assert_int_equal(got[i], (char)(read * 2654435761U >> 24));
        hall_glance(h);
    }
    assert_int_equal(read, written);
    hall_settle(h);
    assert_phone_silent(fd);
    close(fd);
}

/* A flow that ended is nobody else's. */
static void test_numbers_are_not_used_again(void **state)
{
    struct hall *h = *state;
    struct flow other;

    hall_open(h);
    for (unsigned i = 0; i < 20; i++) {
        int fd = phone_connect(h, 0);

        phone_send(fd, MESSAGE);
        hall_until(h, &h->received, i + 1);
        other = h->from[i];
        other.peer.port ^= 1;
        assert_true(streams_alive(&h->streams, &h->from[i]));
        assert_false(streams_alive(&h->streams, &other)); /* that number, another peer */
        for (unsigned k = 0; k < i; k++) {
            assert_int_not_equal(h->from[k].connection, h->from[i].connection);
            assert_false(streams_alive(&h->streams, &h->from[k]));
        }
        close(fd);
        hall_until(h, &h->closed, i + 1);
        hall_settle(h);
    }
}

static void test_many(void **state)
{
    enum { MANY = 200 };
    struct hall *h = *state;
    int fd[MANY];

    hall_open(h);
    h->echo = true;
    for (unsigned i = 0; i < MANY; i++)
        fd[i] = phone_connect(h, i % 2);
    for (unsigned i = 0; i < MANY; i++)
        phone_send(fd[i], MESSAGE_BODY);
    hall_until(h, &h->received, MANY);
    for (unsigned i = 0; i < MANY; i++) {
        assert_phone_got(fd[i], MESSAGE_BODY);
        close(fd[i]);
    }
    hall_until(h, &h->closed, MANY);
    assert_int_equal(h->streams.accepted, MANY);
    hall_advance(h, h->limits.half_ms);
    assert_int_equal(streams_count(&h->streams), 0);
}

/* ---- connections that we open ---- */

/* A listening socket of the test. */
static int peer_listen(struct address *at, int backlog)
{
    struct sockaddr_storage to;
    socklen_t n;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(address_parse(SPAN("127.0.0.1"), 0, at));
    n = address_to_sockaddr(at, &to);
    assert_int_equal(bind(fd, (struct sockaddr *)&to, n), 0);
    assert_int_equal(listen(fd, backlog), 0);
    socket_local(fd, at);
    return fd;
}

static struct flow open_to(struct hall *h, const struct address *at)
{
    struct flow flow;

    h->in_call = true;
    assert_true(streams_open(&h->streams, at, TRANSPORT_TCP, UINT32_MAX, 7, &flow));
    h->in_call = false;
    assert_true(address_equal(&flow.peer, at));
    assert_int_equal(flow.transport, TRANSPORT_TCP);
    return flow;
}

/* A listener that is not among those that it may bear is not borne. */
static void test_open_among(void **state)
{
    struct hall *h = *state;
    struct address at;
    struct flow flow;
    int listening;

    hall_open(h);
    listening = peer_listen(&at, 5);
    h->in_call = true;
    assert_true(streams_open(&h->streams, &at, TRANSPORT_TCP, ~UINT32_C(1), 7, &flow));
    h->in_call = false;
    assert_int_equal(flow.listener, 7);
    close(listening);
}

static void test_open(void **state)
{
    struct hall *h = *state;
    struct address at, local;
    struct flow flow;
    int listening, fd;

    hall_open(h);
    listening = peer_listen(&at, 5);
    flow = open_to(h, &at);
    assert_int_equal(flow.listener, 0); /* that of the same family */
    assert_true(streams_alive(&h->streams, &flow));
    streams_send(&h->streams, &flow, SPAN("at once")); /* before it is there */
    fd = accept(listening, NULL, NULL);
    hall_settle(h);
    assert_phone_got(fd, "at once");
    assert_int_equal(h->streams.opened, 1);
    phone_send(fd, MESSAGE);
    hall_until(h, &h->received, 1);
    assert_true(flow_equal(&h->from[0], &flow));
    /* We are known by our listener, not by the port of this connection. */
    assert_true(streams_local(&h->streams, &flow, &local));
    assert_true(address_equal(&local, streams_bound(&h->streams, 0)));
    close(fd);
    hall_until(h, &h->closed, 1);
    assert_true(flow_equal(&h->gone[0], &flow));
    close(listening);
}

static void test_open_refused(void **state)
{
    struct hall *h = *state;
    struct address at;
    struct flow flow;

    hall_open(h);
    close(peer_listen(&at, 5)); /* nobody is there */
    flow = open_to(h, &at);
    h->in_call = true;
    streams_send(&h->streams, &flow, SPAN("lost"));
    h->in_call = false;
    hall_until(h, &h->closed, 1);
    assert_true(flow_equal(&h->gone[0], &flow));
    hall_settle(h);
    assert_int_equal(streams_count(&h->streams), 0);
    assert_int_equal(h->streams.opened, 0);
}

static void test_open_without_answer(void **state)
{
    struct hall *h = *state;
    struct address at;
    struct flow flow[3];
    int listening;

    hall_open(h);
    listening = peer_listen(&at, 0); /* takes one, the next get no answer */
    for (int i = 0; i < 3; i++) {
        flow[i] = open_to(h, &at);
        hall_settle(h);
    }
    assert_true(streams_alive(&h->streams, &flow[2]));
    assert_true(h->streams.opened < 3);
    hall_advance(h, h->limits.connect_ms - 1);
    assert_int_equal(h->closed, 0);
    hall_advance(h, 1);
    assert_false(streams_alive(&h->streams, &flow[2]));
    assert_int_equal(h->closed, 3 - h->streams.opened);
    close(listening);
}

static void test_open_and_close(void **state)
{
    struct hall *h = *state;
    struct address at;
    struct flow flow;
    int listening, fd;

    hall_open(h);
    listening = peer_listen(&at, 5);
    flow = open_to(h, &at);
    streams_send(&h->streams, &flow, SPAN("last words"));
    streams_close(&h->streams, &flow);
    assert_false(streams_alive(&h->streams, &flow));
    fd = accept(listening, NULL, NULL);
    hall_settle(h);
    assert_phone_got(fd, "last words");
    assert_phone_ended(fd);
    close(fd);
    hall_settle(h);
    assert_int_equal(streams_count(&h->streams), 0);
    assert_int_equal(h->closed, 0);
    flow = open_to(h, &at);
    streams_close(&h->streams, &flow); /* nothing to say */
    hall_settle(h);
    assert_int_equal(streams_count(&h->streams), 0);
    close(listening);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, hall_set_up, hall_tear_down)
        TEST(test_both_ways),
        TEST(test_ip6),
        TEST(test_glued),
        TEST(test_split_at_every_byte),
        TEST(test_large),
        TEST(test_keep_alive),
        TEST(test_broken_is_answered),
        TEST(test_garbage),
        TEST(test_peer_closes),
        TEST(test_peer_closes_its_side),
        TEST(test_peer_resets),
        TEST(test_core_closes),
        TEST(test_slow_reader_gets_all),
        TEST(test_numbers_are_not_used_again),
        TEST(test_many),
        TEST(test_open),
        TEST(test_open_among),
        TEST(test_open_refused),
        TEST(test_open_without_answer),
        TEST(test_open_and_close),
    };

    return cmocka_run_group_tests_name("net-stream", tests, NULL, NULL);
}

/*
 * Datagrams through real loopback sockets: in batches, in order, of every size,
 * over IPv4 and IPv6; a port that is taken is refused by name; a peer that is
 * gone harms nobody.
 */
#include "net/udp.h"
#include "net/world.h"

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define MANY 100

/* Sends every datagram back, until `expected` have come. */
struct echo {
    struct config config;
    struct world *world;
    unsigned expected;
    unsigned received;
    unsigned in_turn;
    unsigned most_in_turn;
    unsigned listener; /* of the last */
};

static void on_begin(void *self)
{
    struct echo *e = self;

    e->in_turn = 0;
}

static void on_receive(void *self, const struct flow *from, struct span datagram)
{
    struct echo *e = self;

    assert_true(address_is_loopback(&from->peer));
    ports_send(world_ports(e->world), from, datagram);
    e->received++;
    e->listener = from->listener;
    if (++e->in_turn > e->most_in_turn)
        e->most_in_turn = e->in_turn;
    if (e->received == e->expected)
        world_stop(e->world);
}

static void on_closed(void *self, const struct flow *flow)
{
    (void)self;
    (void)flow;
    fail();
}

static void on_signal(void *self, int number)
{
    (void)self;
    fail_msg("signal %d", number);
}

static uint64_t on_end(void *self)
{
    (void)self;
    return UINT64_MAX;
}

static struct address parse(const char *text)
{
    struct address a;

    assert_true(address_parse(span_of(text), 0, &a));
    return a;
}

static int set_up(void **state)
{
    struct echo *e = calloc(1, sizeof *e);

    e->config.log_level = LOG_LEVEL_WARN;
    e->config.listen_count = 2;
    e->config.listen[0].address = parse("127.0.0.1");
    e->config.listen[1].address = parse("[::1]");
    e->world = world_new(&e->config, STDERR_FILENO, stderr);
    assert_non_null(e->world);
    assert_true(world_open(e->world, stderr));
    *state = e;
    return 0;
}

static int tear_down(void **state)
{
    struct echo *e = *state;

    world_free(e->world);
    free(e);
    return 0;
}

static void run(struct echo *e, unsigned expected)
{
    const struct world_handler handler = {.self = e,
                                          .begin = on_begin,
                                          .receive = on_receive,
                                          .closed = on_closed,
                                          .signal = on_signal,
                                          .end = on_end};

    e->expected = expected;
    e->received = 0;
    world_run(e->world, &handler);
}

/* A phone: a socket that is connected to a listener and waits a second at most. */
static int phone(const struct echo *e, unsigned listener)
{
    struct address to = world_bound(e->world, listener);
    struct sockaddr_storage at;
    socklen_t at_n = address_to_sockaddr(&to, &at);
    struct timeval second = {.tv_sec = 1};
    int fd = socket(at.ss_family, SOCK_DGRAM, 0);

    assert_true(to.port != 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, at_n), 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &second, sizeof second), 0);
    return fd;
}

static void assert_status(const struct echo *e, const char *text)
{
    char status[512] = "";
    struct buf out = buf_make(status, sizeof status - 1);

    world_put_status(&out, e->world);
    if (!strstr(status, text))
        fail_msg("no \"%s\" in \"%s\"", text, status);
}

static void round_trips(struct echo *e, unsigned listener)
{
    int fd = phone(e, listener);
    char text[32], back[32];

    for (unsigned i = 0; i < MANY; i++) {
        int n = snprintf(text, sizeof text, "datagram %u", i);

        assert_int_equal(send(fd, text, (size_t)n, 0), n);
    }
    run(e, MANY);
    assert_int_equal(e->listener, listener);
    for (unsigned i = 0; i < MANY; i++) {
        ssize_t n = recv(fd, back, sizeof back - 1, 0);

        assert_true(n > 0);
        back[n] = 0;
        snprintf(text, sizeof text, "datagram %u", i);
        assert_string_equal(back, text);
    }
    close(fd);
}

static void test_batches(void **state)
{
    struct echo *e = *state;

    round_trips(e, 0);
    /* They were all there before the first turn. */
    assert_int_equal(e->most_in_turn, UDP_BATCH);
    assert_status(e, "datagrams_received=100 datagrams_overflowed=0 datagrams_sent=100 "
                     "datagrams_dropped=0");
}

static void test_ip6(void **state)
{
    round_trips(*state, 0); /* the rooms are used by both families in turn */
    round_trips(*state, 1);
}

static void test_sizes(void **state)
{
    static const size_t sizes[] = {0, 1, 63, 64, 65, 1400, 9000, DATAGRAM_MAX};
    static char text[DATAGRAM_MAX], back[DATAGRAM_MAX + 1];
    struct echo *e = *state;
    int fd = phone(e, 0);

    memset(text, 'x', sizeof text);
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        text[sizes[i] / 2] = (char)('a' + i);
        assert_int_equal(send(fd, text, sizes[i], 0), sizes[i]);
        run(e, 1);
        assert_int_equal(recv(fd, back, sizeof back, 0), sizes[i]);
        assert_memory_equal(text, back, sizes[i]);
    }
    close(fd);
}

/* To a port where nobody is, and to an address without a route. */
static void test_lost_datagrams(void **state)
{
    struct echo *e = *state;
    int gone = phone(e, 0);
    struct flow to = {.peer = parse("127.0.0.1:9")};
    struct flow astray = {.peer = parse("[2001:db8::1]:9")};

    assert_int_equal(send(gone, "x", 1, 0), 1);
    close(gone); /* the answer meets a closed port */
    ports_send(world_ports(e->world), &astray, SPAN("astray"));
    ports_send(world_ports(e->world), &to, SPAN("nobody"));
    run(e, 1);
    assert_status(e, "datagrams_dropped=1"); /* IPv6 over an IPv4 socket */
    round_trips(e, 0);
}

static void test_taken_port(void **state)
{
    struct echo *e = *state;
    struct config second = {.listen_count = 1, .log_level = LOG_LEVEL_WARN};
    struct world *w = world_new(&second, STDERR_FILENO, stderr);
    struct address bound = world_bound(e->world, 0);
    char *said = NULL, expected[128];
    size_t n;
    FILE *errors = open_memstream(&said, &n);

    second.listen[0].address = bound;
    assert_false(world_open(w, errors));
    fflush(errors);
    snprintf(expected, sizeof expected, "udp:127.0.0.1:%u cannot be opened: Address already in use",
             bound.port);
    assert_non_null(strstr(said, expected));
    world_free(w);

    /* The wildcard overlaps it. */
    second.listen[0].address = parse("0.0.0.0");
    second.listen[0].address.port = bound.port;
    w = world_new(&second, STDERR_FILENO, stderr);
    assert_false(world_open(w, errors));
    world_free(w);

    /* But IPv6's wildcard is another one: V6ONLY. */
    second.listen[0].address = parse("[::]");
    second.listen[0].address.port = bound.port;
    w = world_new(&second, STDERR_FILENO, stderr);
    assert_true(world_open(w, stderr));
    world_free(w);

    second.listen[0].address = parse("192.0.2.1:5060");
    w = world_new(&second, STDERR_FILENO, stderr);
    rewind(errors);
    assert_false(world_open(w, errors));
    fflush(errors);
    assert_non_null(strstr(said, "udp:192.0.2.1:5060 cannot be opened: Cannot assign requested "
                                 "address; this host has no such address"));
    world_free(w);
    fclose(errors);
    free(said);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_batches, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_ip6, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sizes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lost_datagrams, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_taken_port, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("net-udp", tests, NULL, NULL);
}

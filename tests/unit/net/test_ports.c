/*
 * The small ports: our own address as a peer sees it, chance, clocks.
 */
#include "net/route.h"
#include "net/world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static struct address parse(const char *text)
{
    struct address a;

    assert_true(address_parse(span_of(text), 0, &a));
    return a;
}

static void assert_local(const struct world *w, unsigned listener, const char *peer,
                         const char *expected)
{
    const struct ports *p = world_ports(w);
    struct flow to = {.peer = parse(peer), .listener = (uint8_t)listener};
    struct address got;
    char text[64] = "";
    struct buf out = buf_make(text, sizeof text - 1);

    p->local_address(p->world, &to, &got);
    address_put(&out, &got);
    assert_string_equal(text, expected);
}

static struct world *make(struct config *c, const char *first, const char *second)
{
    struct world *w;

    c->log_level = LOG_LEVEL_WARN;
    c->listen_count = 2;
    c->listen[0].address = parse(first);
    c->listen[1].address = parse(second);
    w = world_new(c, STDERR_FILENO, stderr);
    assert_non_null(w);
    return w;
}

static void test_local_address(void **state)
{
    struct config c = {0};
    struct world *w = make(&c, "127.0.0.1:5061", "10.1.2.3:5062");

    (void)state;
    assert_local(w, 0, "127.0.0.9:5060", "127.0.0.1:5061");
    assert_local(w, 1, "10.9.9.9:5060", "10.1.2.3:5062");
    world_free(w);
}

static void test_wildcard(void **state)
{
    struct config c = {0};
    struct world *w = make(&c, "0.0.0.0:5061", "[::]:5062");

    (void)state;
    for (int i = 0; i < 2; i++) { /* asked, and remembered */
        assert_local(w, 0, "127.0.0.1:5060", "127.0.0.1:5061");
        assert_local(w, 0, "127.0.0.9:5080", "127.0.0.1:5061");
        assert_local(w, 1, "[::1]:5060", "[::1]:5062");
    }
    world_free(w);
}

/* ---- streams ---- */

static void stop(void *self, const struct flow *flow)
{
    struct world *w = self;

    (void)flow;
    world_stop(w);
}

static void ignore(void *self)
{
    (void)self;
}

static void ignore_message(void *self, const struct flow *from, struct span message)
{
    (void)self;
    (void)from;
    (void)message;
}

static void ignore_signal(void *self, int number)
{
    (void)self;
    (void)number;
}

static uint64_t no_deadline(void *self)
{
    (void)self;
    return UINT64_MAX;
}

/* A socket of the test that connections can be opened to. */
static int peer_listen(struct address *at)
{
    struct sockaddr_storage to;
    socklen_t n;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *at = parse("127.0.0.1");
    n = address_to_sockaddr(at, &to);
    assert_int_equal(bind(fd, (struct sockaddr *)&to, n), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&to, &n), 0);
    address_from_sockaddr(at, (struct sockaddr *)&to);
    return fd;
}

static struct address local_of(const struct world *w, const struct flow *flow)
{
    const struct ports *p = world_ports(w);
    struct address local;

    p->local_address(p->world, flow, &local);
    return local;
}

/* What peers are told is where they can connect to. */
static void test_local_address_of_streams(void **state)
{
    static const char *const listeners[] = {"0.0.0.0", "127.0.0.1"};
    struct address at, local;
    int fd = peer_listen(&at);

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct config c = {0};
        struct world *w = make(&c, "127.0.0.1", listeners[i]);
        const struct ports *p = world_ports(w);
        struct flow flow;

        c.listen[1].transport = TRANSPORT_TCP;
        assert_true(world_open(w, stderr));
        assert_false(p->stream_open(p->world, &at, TRANSPORT_TLS, &flow));
        assert_true(p->stream_open(p->world, &at, TRANSPORT_TCP, &flow));
        assert_true(flow_alive(p, &flow));
        assert_int_equal(flow.listener, 1);
        local = local_of(w, &flow);
        assert_int_equal(local.port, world_bound(w, 1).port);
        assert_true(address_is_loopback(&local));
        p->stream_close(p->world, &flow);
        assert_false(flow_alive(p, &flow));
        local = local_of(w, &flow);
        assert_int_equal(local.port, world_bound(w, 1).port);
        world_free(w);
    }
    close(fd);
}

/* Without a TCP listener of the family it is the connection's own. */
static void test_local_address_without_listener(void **state)
{
    struct config c = {0};
    struct world *w = make(&c, "[::1]", "0.0.0.0");
    const struct ports *p = world_ports(w);
    struct address at, local;
    struct flow flow;
    int fd = peer_listen(&at);

    (void)state;
    c.listen[0].transport = TRANSPORT_TCP;
    assert_true(world_open(w, stderr));
    assert_true(p->stream_open(p->world, &at, TRANSPORT_TCP, &flow));
    assert_int_equal(flow.listener, 1);
    local = local_of(w, &flow);
    assert_true(address_is_loopback(&local));
    assert_true(local.port != 0 && local.port != world_bound(w, 1).port);
    world_free(w);
    close(fd);
}

static void test_closed_is_told(void **state)
{
    struct config c = {0};
    struct world *w = make(&c, "127.0.0.1", "[::1]");
    const struct world_handler handler = {.self = w,
                                          .begin = ignore,
                                          .receive = ignore_message,
                                          .closed = stop,
                                          .signal = ignore_signal,
                                          .end = no_deadline};
    const struct ports *p = world_ports(w);
    struct address at;
    struct flow flow;

    (void)state;
    assert_true(world_open(w, stderr));
    close(peer_listen(&at));
    assert_true(p->stream_open(p->world, &at, TRANSPORT_TCP, &flow));
    ports_send(p, &flow, SPAN("lost"));
    world_run(w, &handler); /* until then */
    assert_false(flow_alive(p, &flow));
    world_free(w);
}

static void test_advertise(void **state)
{
    struct config c = {.advertise = parse("203.0.113.7")};
    struct world *w = make(&c, "0.0.0.0:5061", "[::1]:5062");

    (void)state;
    assert_local(w, 0, "127.0.0.1:5060", "203.0.113.7:5061");
    assert_local(w, 1, "[::1]:5060", "[::1]:5062"); /* an IPv4 address is no use there */
    world_free(w);
    c.advertise = parse("203.0.113.7:5099");
    w = make(&c, "127.0.0.1:5061", "[::1]:5062");
    assert_local(w, 0, "127.0.0.1:5060", "203.0.113.7:5099");
    world_free(w);
}

/* More peers than places: they take each other's, and get their own answers. */
static void test_routes_are_kept_apart(void **state)
{
    struct route_cache *cache = calloc(1, sizeof *cache);
    struct address ip6 = parse("[::1]:5060"), local;

    (void)state;
    for (unsigned i = 0; i < 4 * ROUTE_PLACES; i++) {
        struct address ip4 = {
            .ip = {127, 0, (uint8_t)(i / 256), (uint8_t)i}, .port = 5060, .family = ADDRESS_IP4};

        assert_true(route_local(cache, &ip6, 1000, &local));
        assert_int_equal(local.family, ADDRESS_IP6);
        assert_int_equal(local.port, 0);
        assert_true(route_local(cache, &ip4, 1000, &local));
        assert_int_equal(local.family, ADDRESS_IP4);
    }
    free(cache);
}

/* No two requests share bytes, also across the pool's end. */
static void test_random(void **state)
{
    struct config c = {0};
    struct world *w = make(&c, "127.0.0.1:5061", "[::1]:5062");
    const struct ports *p = world_ports(w);
    uint64_t seen[1000] = {0};
    uint8_t large[1000] = {0};
    unsigned zeros = 0;

    (void)state;
    p->random(p->world, large, 3);
    for (unsigned i = 0; i < 1000; i++) {
        p->random(p->world, &seen[i], sizeof seen[i]);
        for (unsigned j = 0; j < i; j++)
            assert_true(seen[i] != seen[j]);
    }
    p->random(p->world, large, sizeof large);
    for (unsigned i = 0; i < sizeof large; i++)
        zeros += large[i] == 0;
    assert_in_range(zeros, 0, 50); /* about 4 are to be expected */
    world_free(w);
}

static void test_clocks(void **state)
{
    struct config c = {0};
    struct world *w = make(&c, "127.0.0.1:5061", "[::1]:5062");
    const struct ports *p = world_ports(w);
    uint64_t wall = (uint64_t)time(NULL);
    uint64_t then = p->now_us(p->world);

    (void)state;
    assert_in_range(p->wall_s(p->world), wall, wall + 5);
    assert_true(p->now_us(p->world) >= then);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_local_address),
        cmocka_unit_test(test_wildcard),
        cmocka_unit_test(test_advertise),
        cmocka_unit_test(test_routes_are_kept_apart),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_clocks),
        cmocka_unit_test(test_local_address_of_streams),
        cmocka_unit_test(test_local_address_without_listener),
        cmocka_unit_test(test_closed_is_told),
    };

    return cmocka_run_group_tests_name("net-ports", tests, NULL, NULL);
}

/*
 * The loop: a deadline is neither missed, nor met early, nor waited for by
 * spinning; signals reach the handler; stopping ends the turn and no more.
 */
#include "net/loop.h"
#include "net/world.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define DEADLINES   5
#define DEADLINE_MS 20

struct host {
    struct world *world;
    const struct ports *ports;
    uint64_t deadline_ms;
    unsigned turns;
    unsigned deadlines;
    int signals[8];
    unsigned signal_count;
};

static uint64_t now_ms(const struct host *h)
{
    return h->ports->now_us(h->ports->world) / 1000;
}

static void on_begin(void *self)
{
    struct host *h = self;

    h->turns++;
}

static void on_receive(void *self, const struct flow *from, struct span datagram)
{
    (void)self;
    (void)from;
    (void)datagram;
    fail();
}

static void on_closed(void *self, const struct flow *flow)
{
    (void)self;
    (void)flow;
    fail();
}

/* A deadline every 20 ms, five times. */
static uint64_t end_of_deadlines(void *self)
{
    struct host *h = self;

    if (h->turns == 1)
        h->deadline_ms = now_ms(h) + DEADLINE_MS;
    if (now_ms(h) >= h->deadline_ms) {
        h->deadlines++;
        h->deadline_ms = now_ms(h) + DEADLINE_MS;
    }
    if (h->deadlines == DEADLINES)
        world_stop(h->world);
    return h->deadline_ms;
}

static void on_signal(void *self, int number)
{
    struct host *h = self;

    h->signals[h->signal_count++] = number;
    if (number == SIGTERM)
        world_stop(h->world);
}

static uint64_t end_without_deadline(void *self)
{
    const struct host *h = self;

    if (h->signal_count == 1)
        kill(getpid(), SIGHUP);
    if (h->signal_count == 2)
        kill(getpid(), SIGTERM);
    return UINT64_MAX;
}

static struct world *new_world(const struct config *c)
{
    struct world *w = world_new(c, STDERR_FILENO, stderr);

    assert_non_null(w);
    assert_true(world_open(w, stderr));
    return w;
}

static void test_deadline(void **state)
{
    struct config c = {.log_level = LOG_LEVEL_WARN};
    struct host h = {.world = new_world(&c)};
    const struct world_handler handler = {.self = &h,
                                          .begin = on_begin,
                                          .receive = on_receive,
                                          .closed = on_closed,
                                          .signal = on_signal,
                                          .end = end_of_deadlines};
    uint64_t before;

    (void)state;
    h.ports = world_ports(h.world);
    before = now_ms(&h);
    world_run(h.world, &handler);
    assert_true(now_ms(&h) - before >= (uint64_t)DEADLINES * DEADLINE_MS);
    /* One turn each, the first, and one or two of the clock's grain. */
    assert_in_range(h.turns, DEADLINES + 1, 2 * DEADLINES + 1);
    world_free(h.world);
}

static void test_signals(void **state)
{
    struct config c = {.log_level = LOG_LEVEL_WARN};
    struct host h = {.world = new_world(&c)};
    const struct world_handler handler = {.self = &h,
                                          .begin = on_begin,
                                          .receive = on_receive,
                                          .closed = on_closed,
                                          .signal = on_signal,
                                          .end = end_without_deadline};
    int ends[2];

    (void)state;
    kill(getpid(), SIGUSR1); /* blocked since world_new(): it waits */
    world_run(h.world, &handler);
    assert_int_equal(h.signal_count, 3);
    assert_int_equal(h.signals[0], SIGUSR1);
    assert_int_equal(h.signals[1], SIGHUP);
    assert_int_equal(h.signals[2], SIGTERM);
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    assert_int_equal(write(ends[1], "x", 1), -1); /* SIGPIPE would end us */
    close(ends[1]);
    world_free(h.world);
}

static void test_timeout(void **state)
{
    (void)state;
    assert_int_equal(loop_timeout_ms(5000, UINT64_MAX), -1);
    assert_int_equal(loop_timeout_ms(5000, 5), 0);
    assert_int_equal(loop_timeout_ms(5999, 5), 0);
    assert_int_equal(loop_timeout_ms(5000, 0), 0);
    assert_int_equal(loop_timeout_ms(5999, 6), 1);
    assert_int_equal(loop_timeout_ms(0, UINT64_MAX - 1), 0x7fffffff);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_deadline),
        cmocka_unit_test(test_signals),
    };

    return cmocka_run_group_tests_name("net-loop", tests, NULL, NULL);
}

/* base/wheel: order, cascading, jumps, what handlers may do; against a plain model. */
#include "base/wheel.h"

#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct mark {
    struct timer timer;
    int number;
    uint64_t due;
};

struct world {
    struct wheel wheel;
    int fired[5000];
    uint64_t at[5000];
    int count;
};

static void note(void *self, struct timer *t)
{
    struct world *w = self;
    struct mark *m = (struct mark *)(void *)t;

    assert_false(timer_armed(t));
    w->at[w->count] = w->wheel.now_ms;
    w->fired[w->count++] = m->number;
}

static struct world *world_new(uint64_t now_ms)
{
    struct world *w = calloc(1, sizeof *w);

    assert_non_null(w);
    wheel_init(&w->wheel, now_ms);
    wheel_handler(&w->wheel, TIMER_AOR, note, w);
    return w;
}

static void test_fires_in_time(void **state)
{
    struct world *w = world_new(1000);
    struct mark m = {.number = 1};

    (void)state;
    assert_true(wheel_next(&w->wheel) == UINT64_MAX);
    wheel_arm(&w->wheel, &m.timer, TIMER_AOR, 1500);
    assert_int_equal(wheel_next(&w->wheel), 1500);
    wheel_advance(&w->wheel, 1499);
    assert_int_equal(w->count, 0);
    wheel_advance(&w->wheel, 1500);
    assert_int_equal(w->count, 1);
    assert_int_equal(w->wheel.armed, 0);
    assert_true(wheel_next(&w->wheel) == UINT64_MAX);
    wheel_arm(&w->wheel, &m.timer, TIMER_AOR, 7); /* past: the next turn */
    assert_int_equal(wheel_next(&w->wheel), 1501);
    wheel_advance(&w->wheel, 1501);
    assert_int_equal(w->count, 2);
    free(w);
}

/* One deadline, armed from far and from near: arm order, also after cascading. */
static void test_equal_deadlines(void **state)
{
    static const uint64_t when[] = {0, 5, 200, 65000, 65535, 65536, 69999, 70000, 16777215};
    uint64_t due = 16777216 + 70123;
    struct world *w = world_new(0);
    struct mark m[9] = {{.number = 0}};

    (void)state;
    for (int i = 0; i < 9; i++) {
        wheel_advance(&w->wheel, when[i]);
        m[i].number = i;
        wheel_arm(&w->wheel, &m[i].timer, TIMER_AOR, due);
    }
    wheel_advance(&w->wheel, due - 1);
    assert_int_equal(w->count, 0);
    wheel_advance(&w->wheel, due + 100000);
    assert_int_equal(w->count, 9);
    for (int i = 0; i < 9; i++) {
        assert_int_equal(w->fired[i], i);
        assert_int_equal(w->at[i], due);
    }
    free(w);
}

static void test_far(void **state)
{
    struct world *w = world_new(123456789);
    struct mark m = {.number = 1}, never = {.number = 2};

    (void)state;
    wheel_arm(&w->wheel, &m.timer, TIMER_AOR, (uint64_t)1 << 50);
    wheel_arm(&w->wheel, &never.timer, TIMER_AOR, UINT64_MAX);
    wheel_advance(&w->wheel, ((uint64_t)1 << 50) - 1);
    assert_int_equal(w->count, 0);
    wheel_advance(&w->wheel, (uint64_t)1 << 50);
    assert_int_equal(w->count, 1);
    assert_true(timer_armed(&never.timer));
    free(w);
}

static void test_move_and_disarm(void **state)
{
    struct world *w = world_new(0);
    struct mark m[4] = {{.number = 0}, {.number = 1}, {.number = 2}, {.number = 3}};

    (void)state;
    for (int i = 0; i < 4; i++)
        wheel_arm(&w->wheel, &m[i].timer, TIMER_AOR, 1000);
    wheel_arm(&w->wheel, &m[0].timer, TIMER_AOR, 500);  /* earlier */
    wheel_arm(&w->wheel, &m[1].timer, TIMER_AOR, 1000); /* moves behind the others */
    wheel_disarm(&w->wheel, &m[2].timer);
    wheel_disarm(&w->wheel, &m[2].timer); /* twice is harmless */
    assert_int_equal(w->wheel.armed, 3);
    wheel_advance(&w->wheel, 2000);
    assert_int_equal(w->count, 3);
    assert_int_equal(w->fired[0], 0);
    assert_int_equal(w->fired[1], 3);
    assert_int_equal(w->fired[2], 1);
    free(w);
}

static void test_moved_in_memory(void **state)
{
    struct world *w = world_new(0);
    struct mark *m[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        m[i] = calloc(1, sizeof *m[i]);
        m[i]->number = i;
        wheel_arm(&w->wheel, &m[i]->timer, TIMER_AOR, 1000);
    }
    for (int i = 0; i < 3; i++) { /* first, middle, last */
        struct mark *place = malloc(sizeof *place);

        memcpy(place, m[i], sizeof *place);
        wheel_moved(&place->timer);
        memset(m[i], 0xee, sizeof *m[i]);
        free(m[i]);
        m[i] = place;
    }
    wheel_advance(&w->wheel, 1000);
    assert_int_equal(w->count, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(w->fired[i], i);
        wheel_moved(&m[i]->timer); /* not armed: nothing to mend */
        free(m[i]);
    }
    free(w);
}

/* A handler that disarms the other, frees its own struct and arms a third. */
struct story {
    struct wheel wheel;
    struct mark *self, *other, *third;
    int fired;
};

static void story_fire(void *self, struct timer *t)
{
    struct story *s = self;

    s->fired++;
    if (s->self && t == &s->self->timer) {
        wheel_disarm(&s->wheel, &s->other->timer);
        free(s->other);
        wheel_arm(&s->wheel, &s->third->timer, TIMER_AOR, s->wheel.now_ms);
        free(s->self);
        s->self = NULL;
    }
}

static void test_handlers_may(void **state)
{
    struct story s = {.fired = 0};

    (void)state;
    wheel_init(&s.wheel, 0);
    wheel_handler(&s.wheel, TIMER_AOR, story_fire, &s);
    s.self = calloc(1, sizeof *s.self);
    s.other = calloc(1, sizeof *s.other);
    s.third = calloc(1, sizeof *s.third);
    wheel_arm(&s.wheel, &s.self->timer, TIMER_AOR, 256);
    wheel_arm(&s.wheel, &s.other->timer, TIMER_AOR, 256);
    wheel_advance(&s.wheel, 256);
    assert_int_equal(s.fired, 1);
    assert_int_equal(wheel_next(&s.wheel), 257); /* its present is past: next turn */
    wheel_advance(&s.wheel, 257);
    assert_int_equal(s.fired, 2);
    free(s.third);
}

/* A timer that a handler arms within the jump fires in that jump, at its time. */
static void again(void *self, struct timer *t)
{
    struct world *w = self;

    w->at[w->count++] = w->wheel.now_ms;
    if (w->count < 10)
        wheel_arm(&w->wheel, t, TIMER_AOR, w->wheel.now_ms + 300);
}

static void test_arms_within_a_jump(void **state)
{
    struct world *w = world_new(0);
    struct mark m = {.number = 0};

    (void)state;
    wheel_handler(&w->wheel, TIMER_AOR, again, w);
    wheel_arm(&w->wheel, &m.timer, TIMER_AOR, 300);
    wheel_advance(&w->wheel, 100000);
    assert_int_equal(w->count, 10);
    for (int i = 0; i < 10; i++)
        assert_int_equal(w->at[i], 300 * (i + 1));
    free(w);
}

static uint64_t next_random(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* Random arming, disarming and jumps; every firing is in order of deadline and,
 * among equals, of arming, and wheel_next() is never late. */
static void test_model(void **state)
{
    enum { N = 64 };
    struct world *w = world_new(1000000);
    struct mark m[N] = {{.number = 0}};
    uint64_t order[N] = {0};
    uint64_t arm_count = 0;
    uint64_t x = 88172645463325252;

    (void)state;
    for (int i = 0; i < N; i++)
        m[i].number = i;
    for (int step = 0; step < 20000; step++) {
        int i = (int)(next_random(&x) % N);
        uint64_t reach = (uint64_t)1 << next_random(&x) % 26;
        uint64_t earliest = UINT64_MAX;
        uint64_t next;

        if (next_random(&x) % 8 == 0) {
            wheel_disarm(&w->wheel, &m[i].timer);
        } else {
            m[i].due = w->wheel.now_ms + 1 + next_random(&x) % reach;
            if (next_random(&x) % 3 == 0)
                m[i].due |= 0xffff; /* many equal ones */
            wheel_arm(&w->wheel, &m[i].timer, TIMER_AOR, m[i].due);
            order[i] = ++arm_count;
        }
        for (i = 0; i < N; i++)
            if (timer_armed(&m[i].timer) && m[i].due < earliest)
                earliest = m[i].due;
        next = wheel_next(&w->wheel);
        assert_true(next <= earliest && next > w->wheel.now_ms);
        if (next_random(&x) % 4 == 0) {
            uint64_t to = next_random(&x) % 2 ? next : w->wheel.now_ms + next_random(&x) % 100000;

            w->count = 0;
            wheel_advance(&w->wheel, to);
            assert_int_equal(w->wheel.now_ms, to);
            for (int k = 0; k < w->count; k++) {
                const struct mark *now = &m[w->fired[k]];
                const struct mark *last = k ? &m[w->fired[k - 1]] : NULL;

                assert_int_equal(w->at[k], now->due);
                assert_true(!last || last->due < now->due ||
                            (last->due == now->due && order[last->number] < order[now->number]));
            }
            for (i = 0; i < N; i++)
                assert_true(!timer_armed(&m[i].timer) || m[i].due > to);
        }
    }
    free(w);
}

/* From deadline to deadline: a lone timer costs one jump, whatever its distance. */
static void test_next_is_late(void **state)
{
    struct world *w = world_new(999);
    struct mark m = {.number = 0};
    uint64_t due = 999 + (uint64_t)86400000 * 30;

    (void)state;
    wheel_arm(&w->wheel, &m.timer, TIMER_AOR, due);
    assert_int_equal(wheel_next(&w->wheel), due);
    wheel_advance(&w->wheel, due);
    assert_int_equal(w->count, 1);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fires_in_time),
        cmocka_unit_test(test_equal_deadlines),
        cmocka_unit_test(test_far),
        cmocka_unit_test(test_move_and_disarm),
        cmocka_unit_test(test_moved_in_memory),
        cmocka_unit_test(test_handlers_may),
        cmocka_unit_test(test_arms_within_a_jump),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_next_is_late),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

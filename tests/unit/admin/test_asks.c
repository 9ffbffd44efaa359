/* admin/ask: a bounded queue between two threads; nobody waits for anybody. */
#include "admin/ask.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <poll.h>
#include <pthread.h>

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

static struct ask *put_new(struct asks *q)
{
    struct ask *a = ask_new(ASK_FACTS);

    assert_non_null(a);
    assert_true(asks_put(q, a));
    return a;
}

static void test_in_the_order_of_their_coming(void **state)
{
    struct asks *q = asks_new();
    struct ask *first, *second;

    (void)state;
    assert_non_null(q);
    assert_null(asks_take(q));
    assert_false(readable(asks_fd(q)));
    first = put_new(q);
    second = put_new(q);
    assert_true(readable(asks_fd(q)));
    assert_ptr_equal(asks_take(q), first);
    assert_ptr_equal(asks_take(q), second);
    assert_null(asks_take(q));
    assert_false(readable(asks_fd(q)));
    asks_answer(q, second);
    asks_answer(q, first);
    assert_true(readable(asks_answered_fd(q)));
    assert_ptr_equal(asks_next_answered(q), second);
    assert_ptr_equal(asks_next_answered(q), first);
    assert_null(asks_next_answered(q));
    assert_false(readable(asks_answered_fd(q)));
    ask_free(first);
    ask_free(second);
    asks_free(q);
}

static void test_what_needs_more_time_goes_behind_the_others(void **state)
{
    struct asks *q = asks_new();
    struct ask *slow = put_new(q), *quick = put_new(q);

    (void)state;
    assert_ptr_equal(asks_take(q), slow);
    asks_put_back(q, slow);
    assert_true(readable(asks_fd(q)));
    assert_ptr_equal(asks_take(q), quick);
    assert_ptr_equal(asks_take(q), slow);
    asks_answer(q, quick);
    asks_answer(q, slow);
    asks_free(q); /* and with it what nobody fetched */
}

static void test_no_more_than_64(void **state)
{
    struct asks *q = asks_new();
    struct ask *one_more = ask_new(ASK_FACTS);
    struct ask *a;

    (void)state;
    for (unsigned i = 0; i < ASKS_MAX; i++)
        (void)put_new(q);
    assert_false(asks_put(q, one_more));
    /* What the core has in its hands counts until it is answered and fetched. */
    a = asks_take(q);
    asks_answer(q, a);
    assert_ptr_equal(asks_next_answered(q), a);
    ask_free(a);
    assert_true(asks_put(q, one_more));
    asks_free(q);
}

/* Nobody waits for it: the core's answer frees it, and no one else sees it. */
static void test_given_up(void **state)
{
    struct asks *q = asks_new();
    struct ask *a = put_new(q), *b = put_new(q);

    (void)state;
    assert_ptr_equal(asks_take(q), a);
    asks_give_up(q, a);
    asks_answer(q, a);
    assert_null(asks_next_answered(q));
    asks_give_up(q, b); /* before the core took it */
    while ((a = asks_take(q)))
        asks_answer(q, a);
    assert_null(asks_next_answered(q));
    asks_free(q);
}

#define MANY 20000

static void *answer_all(void *self)
{
    struct asks *q = self;
    unsigned answered = 0;

    while (answered < MANY) {
        struct pollfd p = {.fd = asks_fd(q), .events = POLLIN};
        struct ask *a;

        poll(&p, 1, 10000);
        while ((a = asks_take(q))) {
            asks_answer(q, a);
            answered++;
        }
    }
    return NULL;
}

static void test_two_threads(void **state)
{
    struct asks *q = asks_new();
    unsigned put = 0, fetched = 0;
    struct ask *spare = NULL;
    pthread_t core;

    (void)state;
    assert_int_equal(pthread_create(&core, NULL, answer_all, q), 0);
    while (fetched < MANY) {
        struct pollfd p = {.fd = asks_answered_fd(q), .events = POLLIN};
        struct ask *a;

        while (put < MANY) {
            a = spare ? spare : ask_new(ASK_FACTS);
            spare = asks_put(q, a) ? NULL : a;
            if (spare)
                break;
            put++;
        }
        assert_int_equal(poll(&p, 1, 10000), 1);
        while ((a = asks_next_answered(q))) {
            ask_free(a);
            fetched++;
        }
    }
    pthread_join(core, NULL);
    ask_free(spare);
    asks_free(q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_the_order_of_their_coming),
        cmocka_unit_test(test_what_needs_more_time_goes_behind_the_others),
        cmocka_unit_test(test_no_more_than_64),
        cmocka_unit_test(test_given_up),
        cmocka_unit_test(test_two_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

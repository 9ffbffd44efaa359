/*
 * The queue of one connection: every byte once and in order, whatever the socket
 * takes at a time; nothing is held when it is empty.
 */
#include "net/send_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static char byte_of(size_t at)
{
    return (char)((uint32_t)at * 2654435761U >> 24);
}

static void put(struct send_queue *q, size_t *written, size_t n)
{
    char *bytes = malloc(n + 1);

    for (size_t i = 0; i < n; i++)
        bytes[i] = byte_of((*written)++);
    assert_true(send_queue_put(q, span_make(bytes, n)));
    free(bytes);
}

/* Reads up to `most` bytes. */
static void get(int fd, size_t *read, size_t most)
{
    char bytes[512];
    ssize_t n = recv(fd, bytes, most < sizeof bytes ? most : sizeof bytes, MSG_DONTWAIT);

    for (ssize_t i = 0; i < n; i++)
        assert_int_equal(bytes[i], byte_of((*read)++));
}

static void test_little_by_little(void **state)
{
    static const size_t sizes[] = {1, 100, 5000, 4000, 200, 0, 150000, 3, 70000};
    struct send_queue q = {0};
    size_t written = 0, read = 0;
    enum send_result result;
    int small = 1, end[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, end), 0);
    assert_int_equal(setsockopt(end[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    for (unsigned i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        put(&q, &written, sizes[i]);
    assert_int_equal(q.bytes, written);
    assert_int_equal(send_queue_write(&q, end[0]), SEND_BLOCKED);
    for (unsigned i = 0; read < written; i++) {
        get(end[1], &read, 1 + i * 37 % 512);
        if (i == 100)
            put(&q, &written, 4000); /* behind what waits */
        result = send_queue_write(&q, end[0]);
        assert_int_equal(result, q.bytes ? SEND_BLOCKED : SEND_DONE);
        assert_true(i < 100000);
    }
    assert_int_equal(q.bytes, 0);
    assert_null(q.first);
    close(end[0]);
    close(end[1]);
}

static void test_many_small_ones(void **state)
{
    struct send_queue q = {0};
    size_t written = 0, read = 0;
    int end[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, end), 0);
    for (unsigned i = 0; i < 3000; i++)
        put(&q, &written, 37);
    while (send_queue_write(&q, end[0]) == SEND_BLOCKED)
        get(end[1], &read, 512);
    while (read < written)
        get(end[1], &read, 512);
    assert_int_equal(read, written);
    close(end[0]);
    close(end[1]);
}

static void test_peer_is_gone(void **state)
{
    struct send_queue q = {0};
    size_t written = 0;
    int end[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, end), 0);
    close(end[1]);
    assert_int_equal(send_queue_write(&q, end[0]), SEND_DONE); /* nothing to do */
    put(&q, &written, 10000);
    put(&q, &written, 10);
    assert_int_equal(send_queue_write(&q, end[0]), SEND_FAILED);
    send_queue_clear(&q);
    assert_int_equal(q.bytes, 0);
    assert_null(q.first);
    close(end[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_little_by_little),
        cmocka_unit_test(test_many_small_ones),
        cmocka_unit_test(test_peer_is_gone),
    };

    return cmocka_run_group_tests_name("net-send-queue", tests, NULL, NULL);
}

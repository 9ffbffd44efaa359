/*
 * The outbox against a kernel that is played by this test: full sockets, refused
 * datagrams, interruptions, several sockets in one batch.
 */
#include "net/outbox.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define FD_A 1001
#define FD_B 1002

/* What the kernel does: takes `room` datagrams, then answers `error`. */
static struct {
    unsigned calls;
    unsigned room;
    int error;
    unsigned refuse_at; /* the datagram with this number is refused; 0: none */
    unsigned refusals;  /* so many times */
    unsigned taken;
    char text[4096]; /* first 8 bytes of each that was taken: "A:0 B:1 " */
} kernel;

int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags);

int __wrap_sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags)
{
    unsigned done = 0;

    assert_true(flags & MSG_DONTWAIT);
    kernel.calls++;
    for (; done < count && kernel.room; done++, kernel.room--) {
        const struct iovec *v = messages[done].msg_hdr.msg_iov;
        char one[16];

        if (kernel.refuse_at && kernel.taken + 1 == kernel.refuse_at) {
            if (done)
                return (int)done;
            if (--kernel.refusals == 0)
                kernel.refuse_at = 0;
            errno = EPERM;
            return -1;
        }
        kernel.taken++;
        snprintf(one, sizeof one, "%c:%.*s ", fd == FD_A ? 'A' : 'B',
                 v->iov_len < 8 ? (int)v->iov_len : 8, (const char *)v->iov_base);
        if (strlen(kernel.text) + strlen(one) < sizeof kernel.text)
            strcat(kernel.text, one);
    }
    if (done)
        return (int)done;
    errno = kernel.error;
    if (kernel.error == EINTR) /* once */
        kernel.room = 1000, kernel.error = EAGAIN;
    return -1;
}

static int set_up(void **state)
{
    struct outbox *o = malloc(sizeof *o);

    memset(&kernel, 0, sizeof kernel);
    kernel.room = 1000000;
    kernel.error = EAGAIN;
    assert_true(outbox_init(o));
    outbox_open(o, 0, FD_A);
    outbox_open(o, 3, FD_B);
    *state = o;
    return 0;
}

static int tear_down(void **state)
{
    struct outbox *o = *state;

    outbox_fini(o);
    free(o);
    return 0;
}

static void commit(struct outbox *o, unsigned listener, const char *text, size_t n)
{
    struct flow to = {.peer = {.ip = {127, 0, 0, 1}, .port = 5060, .family = ADDRESS_IP4},
                      .listener = (uint8_t)listener};
    size_t capacity;
    char *room = outbox_reserve(o, &capacity);

    assert_int_equal(capacity, DATAGRAM_MAX); /* what leaves by UDP */
    memcpy(room, text, strlen(text));
    outbox_commit(o, &to, n);
}

static void commit_number(struct outbox *o, unsigned listener, unsigned number)
{
    char text[16];

    snprintf(text, sizeof text, "%u", number);
    commit(o, listener, text, strlen(text));
}

static void test_two_sockets(void **state)
{
    struct outbox *o = *state;

    for (unsigned i = 0; i < 6; i++)
        commit_number(o, i % 2 ? 3 : 0, i);
    assert_int_equal(kernel.calls, 0);
    outbox_flush(o);
    assert_int_equal(kernel.calls, 2); /* one for each socket */
    assert_string_equal(kernel.text, "A:0 A:2 A:4 B:1 B:3 B:5 ");
    outbox_flush(o);
    assert_int_equal(kernel.calls, 2);
    assert_int_equal(o->sent, 6);
}

static void test_abandoned(void **state)
{
    struct outbox *o = *state;
    size_t capacity;

    memcpy(outbox_reserve(o, &capacity), "gone", 4);
    commit(o, 0, "kept", 4);
    outbox_flush(o);
    assert_string_equal(kernel.text, "A:kept ");
}

static void test_full_batch_leaves(void **state)
{
    struct outbox *o = *state;

    for (unsigned i = 0; i < OUTBOX_DATAGRAMS + 1; i++)
        commit_number(o, 0, i);
    assert_int_equal(kernel.taken, OUTBOX_DATAGRAMS);
    outbox_flush(o);
    assert_int_equal(kernel.taken, OUTBOX_DATAGRAMS + 1);
    for (unsigned i = 0; i < 10; i++) /* few, but large */
        commit(o, 0, "large", DATAGRAM_MAX);
    outbox_flush(o);
    assert_int_equal(kernel.taken, OUTBOX_DATAGRAMS + 11);
    assert_int_equal(o->dropped, 0);
}

static void test_full_socket_keeps_order(void **state)
{
    struct outbox *o = *state;

    kernel.room = 2;
    for (unsigned i = 0; i < 4; i++)
        commit_number(o, 0, i);
    outbox_flush(o);
    assert_true(outbox_waits(o, 0));
    assert_false(outbox_waits(o, 3));
    kernel.room = 1000;
    commit_number(o, 0, 4); /* behind those that wait */
    commit_number(o, 3, 5); /* another socket waits for nobody */
    outbox_flush(o);
    assert_string_equal(kernel.text, "A:0 A:1 B:5 ");
    kernel.room = 1;
    outbox_resume(o, 0);
    assert_true(outbox_waits(o, 0));
    kernel.room = 1000;
    outbox_resume(o, 0);
    assert_false(outbox_waits(o, 0));
    commit_number(o, 0, 6);
    outbox_flush(o);
    assert_string_equal(kernel.text, "A:0 A:1 B:5 A:2 A:3 A:4 A:6 ");
    assert_int_equal(o->sent, 7);
    assert_int_equal(o->dropped, 0);
}

static void test_waiting_is_bounded(void **state)
{
    struct outbox *o = *state;
    unsigned kept = 0;

    kernel.room = 0;
    for (unsigned i = 0; i < 100; i++)
        commit(o, 0, "large", DATAGRAM_MAX);
    outbox_flush(o);
    assert_in_range(o->lines[0].waiting_bytes, 10 * DATAGRAM_MAX, OUTBOX_WAITING_MAX);
    assert_true(kernel.calls <= 100); /* and it does not spin */
    kernel.room = 1000;
    outbox_resume(o, 0);
    kept = kernel.taken;
    assert_int_equal(kept + o->dropped, 100);
    assert_int_equal(o->lines[0].waiting_bytes, 0);
}

static void test_refused_alone_is_lost(void **state)
{
    struct outbox *o = *state;

    kernel.refuse_at = 3;
    kernel.refusals = 2;
    for (unsigned i = 0; i < 5; i++)
        commit_number(o, 0, i);
    outbox_flush(o);
    assert_string_equal(kernel.text, "A:0 A:1 A:3 A:4 ");
    assert_int_equal(o->dropped, 1);
    assert_false(outbox_waits(o, 0));
}

/* The socket tells at the next datagram that an earlier one came back (ICMP). */
static void test_error_of_another(void **state)
{
    struct outbox *o = *state;

    kernel.refuse_at = 3;
    kernel.refusals = 1;
    for (unsigned i = 0; i < 5; i++)
        commit_number(o, 0, i);
    outbox_flush(o);
    assert_string_equal(kernel.text, "A:0 A:1 A:2 A:3 A:4 ");
    assert_int_equal(o->dropped, 0);
}

static void test_interrupted(void **state)
{
    struct outbox *o = *state;

    kernel.room = 0;
    kernel.error = EINTR;
    commit_number(o, 0, 1);
    outbox_flush(o);
    assert_string_equal(kernel.text, "A:1 ");
}

static void test_nowhere(void **state)
{
    struct outbox *o = *state;
    struct flow no_peer = {0};
    size_t capacity;

    commit_number(o, 1, 1);   /* no socket there */
    commit_number(o, 200, 2); /* nor a listener */
    outbox_reserve(o, &capacity);
    outbox_commit(o, &no_peer, 1);
    outbox_flush(o);
    assert_int_equal(kernel.calls, 0);
    assert_int_equal(o->dropped, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_two_sockets, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_abandoned, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_batch_leaves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_full_socket_keeps_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_waiting_is_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_alone_is_lost, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_error_of_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_interrupted, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_nowhere, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("net-outbox", tests, NULL, NULL);
}

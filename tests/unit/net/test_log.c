/*
 * The log: lines in order with time and level, the level's filter, and a flood
 * that nobody reads: the one who logs never waits, and every line is accounted
 * for. Run with -Db_sanitize=thread as well.
 */
#include "net/log.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define FLOOD 20000

/* Reads a pipe to its end, in a thread. */
struct reader {
    pthread_t thread;
    int fd;
    char *text;
    size_t n;
};

static void *read_all(void *self)
{
    struct reader *r = self;
    FILE *out = open_memstream(&r->text, &r->n);
    char some[4096];
    ssize_t n;

    while ((n = read(r->fd, some, sizeof some)) > 0)
        fwrite(some, 1, (size_t)n, out);
    fclose(out);
    return NULL;
}

static void reader_start(struct reader *r, int fd)
{
    r->fd = fd;
    assert_int_equal(pthread_create(&r->thread, NULL, read_all, r), 0);
}

/* Closes the pipe's other end and waits for what is left. */
static void reader_end(struct reader *r, int write_end)
{
    close(write_end);
    pthread_join(r->thread, NULL);
    close(r->fd);
}

static void test_lines(void **state)
{
    struct reader r;
    struct log *l;
    char *second;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    reader_start(&r, ends[0]);
    l = log_new(ends[1], LOG_WARN);
    assert_non_null(l);
    log_say(l, LOG_ERROR, "event=first n=%d", 1);
    log_say(l, LOG_INFO, "event=filtered");
    log_put(l, LOG_WARN, SPAN("event=second"));
    log_always(l, SPAN("event=status"));
    log_free(l);
    reader_end(&r, ends[1]);
    assert_non_null(strstr(r.text, "Z level=error event=first n=1\n"));
    assert_null(strstr(r.text, "filtered"));
    second = strstr(r.text, "Z level=warn event=second\n");
    assert_non_null(second);
    assert_non_null(strstr(second, "Z level=info event=status\n"));
    assert_memory_equal(r.text, "time=20", 7);
    free(r.text);
}

static void test_long_line_is_cut(void **state)
{
    static char line[LOG_TEXT_MAX * 2];
    struct reader r;
    struct log *l;
    int ends[2];

    (void)state;
    memset(line, 'x', sizeof line);
    assert_int_equal(pipe(ends), 0);
    reader_start(&r, ends[0]);
    l = log_new(ends[1], LOG_INFO);
    for (int i = 0; i < 20; i++) /* more than the thread's own room takes */
        log_put(l, LOG_INFO, span_make(line, sizeof line));
    log_free(l);
    reader_end(&r, ends[1]);
    assert_in_range(r.n, 20 * (LOG_TEXT_MAX + 1), 20 * (LOG_TEXT_MAX + 100));
    assert_int_equal(r.text[r.n - 1], '\n');
    free(r.text);
}

static void test_flood_is_counted(void **state)
{
    unsigned written = 0, reported = 0, last = 0;
    struct reader r;
    struct log *l;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    l = log_new(ends[1], LOG_INFO);
    /* Nobody reads: a log that waited would hang here. */
    for (unsigned i = 1; i <= FLOOD; i++)
        log_say(l, LOG_INFO, "event=flood filler=0123456789012345678901234567890 number=%u", i);
    assert_true(log_dropped(l) > 0);
    reader_start(&r, ends[0]);
    log_free(l);
    reader_end(&r, ends[1]);
    for (char *line = strtok(r.text, "\n"); line; line = strtok(NULL, "\n")) {
        const char *number = strstr(line, "number=");
        const char *lines = strstr(line, "event=log_dropped lines=");

        if (number) {
            unsigned n = (unsigned)strtoul(number + 7, NULL, 10);

            assert_true(n > last);
            last = n;
            written++;
        } else {
            assert_non_null(lines);
            reported += (unsigned)strtoul(lines + 24, NULL, 10);
        }
    }
    assert_true(written > 0);
    assert_int_equal(written + reported, FLOOD);
    free(r.text);
}

/* Two threads at work on the ring at once, over many turns of it. */
static void test_ring_turns(void **state)
{
    unsigned lines = 0;
    struct reader r;
    struct log *l;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    reader_start(&r, ends[0]);
    l = log_new(ends[1], LOG_INFO);
    for (unsigned i = 0; i < FLOOD; i++)
        log_say(l, LOG_INFO, "event=turn filler=%.*s", (int)(i % 97),
                "01234567890123456789012345678901234567890123456789012345678901234567890123456789"
                "01234567890123456");
    log_free(l);
    reader_end(&r, ends[1]);
    for (char *line = strtok(r.text, "\n"); line; line = strtok(NULL, "\n")) {
        if (strstr(line, "event=log_dropped lines=")) {
            lines += (unsigned)strtoul(strstr(line, "lines=") + 6, NULL, 10);
            continue;
        }
        assert_non_null(strstr(line, "Z level=info event=turn filler="));
        lines++;
    }
    assert_int_equal(lines, FLOOD);
    free(r.text);
}

/* The program must end although its log's reader hangs. */
static void test_ends_without_reader(void **state)
{
    struct log *l;
    int ends[2];

    (void)state;
    assert_int_equal(pipe(ends), 0);
    l = log_new(ends[1], LOG_INFO);
    for (unsigned i = 0; i < FLOOD; i++)
        log_say(l, LOG_INFO, "event=unread filler=0123456789012345678901234567890123456789");
    log_free(l);
    close(ends[0]);
    close(ends[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_long_line_is_cut),
        cmocka_unit_test(test_flood_is_counted),
        cmocka_unit_test(test_ring_turns),
        cmocka_unit_test(test_ends_without_reader),
    };

    return cmocka_run_group_tests_name("net-log", tests, NULL, NULL);
}

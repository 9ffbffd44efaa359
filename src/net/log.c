/*
 * net/log: the ring, and the thread that empties it.
 *
 * One producer (the core thread), one consumer (the thread here). `head` is
 * written by the producer alone, `tail` by the consumer alone; both only grow
 * and are taken modulo the ring's size. The semaphore only wakes: whether there
 * is something to do is read from the positions. The producer never waits.
 */
#include "net/log.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define GIVE_UP_S   1
#define PATIENCE_MS 100
#define OUT_BYTES   ((size_t)64 * 1024)
#define PREFIX_MAX  64 /* time and level */

struct line_head {
    int64_t wall_us;
    uint32_t n;
    uint32_t level;
};

struct log {
    int fd;
    enum log_level most;
    pthread_t thread;
    sem_t wake;
    sem_t ended; /* the thread has nothing more to do */
    _Atomic size_t head;
    _Atomic size_t tail;
    _Atomic uint64_t dropped;
    _Atomic bool ending;
    uint64_t reported; /* of `dropped`; the thread's own */
    bool given_up;     /* nobody reads any more; the thread's own */
    struct buf out;    /* the thread's own */
    char ring[LOG_RING_BYTES];
    char room[OUT_BYTES];
};

static void ring_write(struct log *l, size_t at, const void *from, size_t n)
{
    size_t start = at % LOG_RING_BYTES;
    size_t first = n < LOG_RING_BYTES - start ? n : LOG_RING_BYTES - start;

    memcpy(l->ring + start, from, first);
    memcpy(l->ring, (const char *)from + first, n - first);
}

static void ring_read(const struct log *l, size_t at, void *to, size_t n)
{
    size_t start = at % LOG_RING_BYTES;
    size_t first = n < LOG_RING_BYTES - start ? n : LOG_RING_BYTES - start;

    memcpy(to, l->ring + start, first);
    memcpy((char *)to + first, l->ring, n - first);
}

static int64_t wall_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void put(struct log *l, enum log_level level, struct span line)
{
    struct line_head h = {.wall_us = wall_us(), .level = (uint32_t)level};
    size_t head = atomic_load_explicit(&l->head, memory_order_relaxed);
    size_t tail = atomic_load_explicit(&l->tail, memory_order_acquire);

    h.n = (uint32_t)(line.n < LOG_TEXT_MAX ? line.n : LOG_TEXT_MAX);
    if (LOG_RING_BYTES - (head - tail) < sizeof h + h.n) {
        atomic_fetch_add_explicit(&l->dropped, 1, memory_order_relaxed);
        return;
    }
    ring_write(l, head, &h, sizeof h);
    ring_write(l, head + sizeof h, line.p, h.n);
    atomic_store_explicit(&l->head, head + sizeof h + h.n, memory_order_release);
    sem_post(&l->wake);
}

void log_put(struct log *l, enum log_level level, struct span line)
{
    if (level <= l->most)
        put(l, level, line);
}

void log_always(struct log *l, struct span line)
{
    put(l, LOG_INFO, line);
}

void log_say(struct log *l, enum log_level level, const char *format, ...)
{
    char line[LOG_TEXT_MAX];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n < 0)
        return;
    log_put(l, level, span_make(line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1));
}

uint64_t log_dropped(const struct log *l)
{
    return atomic_load_explicit(&l->dropped, memory_order_relaxed);
}

/* ---- the thread ---- */

/* Can the reader take more? Waits until it can; false when the log ends and the
 * reader does not move. */
static bool wait_for_reader(struct log *l)
{
    struct pollfd p = {.fd = l->fd, .events = POLLOUT};

    while (!l->given_up && poll(&p, 1, PATIENCE_MS) <= 0)
        l->given_up = atomic_load_explicit(&l->ending, memory_order_acquire);
    return !l->given_up;
}

/* Writes all of `out`; what nobody takes (reader gone, or stuck at the end) is
 * lost. Never more than a pipe takes at once when it takes anything: so write()
 * does not block where the end of the log could not be seen. */
static void write_out(struct log *l)
{
    const char *p = l->out.p;
    size_t left = l->out.n;

    while (left && wait_for_reader(l)) {
        ssize_t n = write(l->fd, p, left < PIPE_BUF ? left : PIPE_BUF);

        if (n >= 0) {
            p += n;
            left -= (size_t)n;
        } else if (errno != EINTR && errno != EAGAIN) {
            break;
        }
    }
    l->out.n = 0;
}

static void put_prefix(struct buf *out, int64_t at_us, enum log_level level)
{
    static const char *const names[] = {"error", "warn", "info", "debug"};
    time_t seconds = (time_t)(at_us / 1000000);
    char text[PREFIX_MAX];
    struct tm parts;
    size_t n;

    gmtime_r(&seconds, &parts);
    n = strftime(text, sizeof text, "time=%Y-%m-%dT%H:%M:%S", &parts);
    buf_put(out, text, n);
    n = (size_t)snprintf(text, sizeof text, ".%03uZ level=%s ", (unsigned)(at_us / 1000 % 1000),
                         names[level]);
    buf_put(out, text, n);
}

static void put_line(struct log *l, const struct line_head *h, struct span text)
{
    if (l->out.cap - l->out.n < PREFIX_MAX + text.n + 1)
        write_out(l);
    put_prefix(&l->out, h->wall_us, (enum log_level)h->level);
    buf_span(&l->out, text);
    buf_char(&l->out, '\n');
}

static void report_dropped(struct log *l)
{
    struct line_head h = {.wall_us = wall_us(), .level = LOG_WARN};
    uint64_t dropped = log_dropped(l);
    char text[64];
    int n;

    if (dropped == l->reported)
        return;
    n = snprintf(text, sizeof text, "event=log_dropped lines=%llu",
                 (unsigned long long)(dropped - l->reported));
    l->reported = dropped;
    put_line(l, &h, span_make(text, (size_t)n));
}

/* Writes all that is in the ring. */
static void drain(struct log *l)
{
    char text[LOG_TEXT_MAX];
    size_t tail = atomic_load_explicit(&l->tail, memory_order_relaxed);

    while (tail != atomic_load_explicit(&l->head, memory_order_acquire)) {
        struct line_head h;

        ring_read(l, tail, &h, sizeof h);
        ring_read(l, tail + sizeof h, text, h.n);
        tail += sizeof h + h.n;
        atomic_store_explicit(&l->tail, tail, memory_order_release);
        put_line(l, &h, span_make(text, h.n));
    }
    report_dropped(l);
    write_out(l);
}

static void *log_thread(void *self)
{
    struct log *l = self;
    bool ending;

    do {
        while (sem_wait(&l->wake) != 0)
            ;
        ending = atomic_load_explicit(&l->ending, memory_order_acquire);
        drain(l);
    } while (!ending);
    sem_post(&l->ended);
    return NULL;
}

struct log *log_new(int fd, enum log_level most)
{
    struct log *l = malloc(sizeof *l);

    if (!l)
        return NULL;
    l->fd = fd;
    l->most = most;
    atomic_init(&l->head, 0);
    atomic_init(&l->tail, 0);
    atomic_init(&l->dropped, 0);
    atomic_init(&l->ending, false);
    l->reported = 0;
    l->given_up = false;
    l->out = buf_make(l->room, sizeof l->room);
    if (sem_init(&l->wake, 0, 0) != 0 || sem_init(&l->ended, 0, 0) != 0 ||
        pthread_create(&l->thread, NULL, log_thread, l) != 0) {
        free(l); /* the semaphores are no more than their memory */
        return NULL;
    }
    pthread_setname_np(l->thread, "midreg-log");
    return l;
}

void log_free(struct log *l)
{
    struct timespec until;

    if (!l)
        return;
    atomic_store_explicit(&l->ending, true, memory_order_release);
    sem_post(&l->wake);
    clock_gettime(CLOCK_MONOTONIC, &until); /* whatever the wall's clock is set to meanwhile */
    until.tv_sec += GIVE_UP_S;
    /* Beyond that it hangs in write(), where several write to one pipe: the
     * process ends anyway, and takes the thread along. */
    while (sem_clockwait(&l->ended, CLOCK_MONOTONIC, &until) != 0)
        if (errno != EINTR)
            return;
    pthread_join(l->thread, NULL);
    sem_destroy(&l->ended);
    sem_destroy(&l->wake);
    free(l);
}

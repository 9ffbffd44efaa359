/*
 * admin/ask: see the header.
 *
 * One lock, held for a few instructions only, so that the core never waits for a
 * thread that works.
 */
#include "admin/ask.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct ask_line {
    struct ask *first;
    struct ask *last;
    int fd; /* counts one while there is somebody in it */
};

struct asks {
    pthread_mutex_t lock;
    struct ask_line open;
    struct ask_line answered;
    unsigned count; /* put in, and not yet given back or freed */
};

struct ask *ask_new(enum ask_kind kind)
{
    struct ask *a = calloc(1, sizeof *a);

    if (a) {
        a->kind = kind;
        arena_init(&a->arena);
    }
    return a;
}

void ask_free(struct ask *a)
{
    if (!a)
        return;
    arena_fini(&a->arena);
    free(a);
}

/* ---- a line ---- */

static void line_append(struct ask_line *line, struct ask *a)
{
    uint64_t one = 1;

    a->next = NULL;
    if (line->first)
        line->last->next = a;
    else
        line->first = a;
    line->last = a;
    /* It cannot fail: it counts to a few at most. */
    (void)!write(line->fd, &one, sizeof one);
}

static struct ask *line_take(struct ask_line *line)
{
    struct ask *a = line->first;
    uint64_t count;

    if (a)
        line->first = a->next;
    if (!line->first)
        (void)!read(line->fd, &count, sizeof count);
    return a;
}

static void line_free(struct ask_line *line)
{
    while (line->first) {
        struct ask *a = line->first;

        line->first = a->next;
        ask_free(a);
    }
    if (line->fd >= 0)
        close(line->fd);
}

/* ---- the queue ---- */

struct asks *asks_new(void)
{
    struct asks *q = calloc(1, sizeof *q);

    if (!q)
        return NULL;
    pthread_mutex_init(&q->lock, NULL);
    q->open.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    q->answered.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (q->open.fd >= 0 && q->answered.fd >= 0)
        return q;
    asks_free(q);
    return NULL;
}

void asks_free(struct asks *q)
{
    if (!q)
        return;
    line_free(&q->open);
    line_free(&q->answered);
    pthread_mutex_destroy(&q->lock);
    free(q);
}

bool asks_put(struct asks *q, struct ask *a)
{
    bool room;

    pthread_mutex_lock(&q->lock);
    room = q->count < ASKS_MAX;
    if (room) {
        q->count++;
        line_append(&q->open, a);
    }
    pthread_mutex_unlock(&q->lock);
    return room;
}

/* Frees what nobody waits for; true: it was. Under the lock. */
static bool drop(struct asks *q, struct ask *a)
{
    if (!a->given_up)
        return false;
    q->count--;
    ask_free(a);
    return true;
}

struct ask *asks_next_answered(struct asks *q)
{
    struct ask *a;

    pthread_mutex_lock(&q->lock);
    do
        a = line_take(&q->answered);
    while (a && drop(q, a));
    q->count -= a != NULL;
    pthread_mutex_unlock(&q->lock);
    return a;
}

int asks_answered_fd(const struct asks *q)
{
    return q->answered.fd;
}

void asks_give_up(struct asks *q, struct ask *a)
{
    pthread_mutex_lock(&q->lock);
    a->given_up = true;
    pthread_mutex_unlock(&q->lock);
}

struct ask *asks_take(struct asks *q)
{
    struct ask *a;

    pthread_mutex_lock(&q->lock);
    do
        a = line_take(&q->open);
    while (a && drop(q, a));
    pthread_mutex_unlock(&q->lock);
    return a;
}

void asks_put_back(struct asks *q, struct ask *a)
{
    pthread_mutex_lock(&q->lock);
    if (!drop(q, a))
        line_append(&q->open, a);
    pthread_mutex_unlock(&q->lock);
}

void asks_answer(struct asks *q, struct ask *a)
{
    pthread_mutex_lock(&q->lock);
    if (!drop(q, a))
        line_append(&q->answered, a);
    pthread_mutex_unlock(&q->lock);
}

int asks_fd(const struct asks *q)
{
    return q->open.fd;
}

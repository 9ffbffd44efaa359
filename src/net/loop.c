/*
 * net/loop: a thin layer over epoll.
 *
 * Called by world.c and whoever watches a descriptor, on the core thread. Never
 * allocates. More than LOOP_READY_MAX ready descriptors take further turns.
 */
#include "net/loop.h"

#include <limits.h>
#include <unistd.h>

bool loop_init(struct loop *l)
{
    l->ready_count = 0;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    return l->epoll >= 0;
}

void loop_fini(struct loop *l)
{
    if (l->epoll >= 0)
        close(l->epoll);
    l->epoll = -1;
}

bool loop_add(struct loop *l, struct watch *w)
{
    struct epoll_event e = {.events = w->events, .data.ptr = w};

    return epoll_ctl(l->epoll, EPOLL_CTL_ADD, w->fd, &e) == 0;
}

void loop_change(struct loop *l, struct watch *w, uint32_t events)
{
    struct epoll_event e = {.events = events, .data.ptr = w};

    if (events == w->events)
        return;
    if (epoll_ctl(l->epoll, EPOLL_CTL_MOD, w->fd, &e) == 0)
        w->events = events;
}

void loop_wait(struct loop *l, int timeout_ms)
{
    int n = epoll_wait(l->epoll, l->ready, LOOP_READY_MAX, timeout_ms);

    l->ready_count = n > 0 ? n : 0; /* EINTR: a turn with nothing to do */
}

void loop_dispatch(struct loop *l)
{
    for (int i = 0; i < l->ready_count; i++) {
        const struct watch *w = l->ready[i].data.ptr;

        w->ready(w->self, l->ready[i].events);
    }
    l->ready_count = 0;
}

int loop_timeout_ms(uint64_t now_us, uint64_t deadline_ms)
{
    uint64_t now_ms = now_us / 1000;

    if (deadline_ms == UINT64_MAX)
        return -1;
    if (deadline_ms <= now_ms)
        return 0;
    return deadline_ms - now_ms < INT_MAX ? (int)(deadline_ms - now_ms) : INT_MAX;
}

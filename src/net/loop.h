/*
 * net/loop: what waits for descriptors to become ready.
 *
 * epoll, level-triggered. A watch is owned by its user and must outlive its
 * place in the loop. Core thread only.
 */
#ifndef MIDREG_NET_LOOP_H
#define MIDREG_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#define LOOP_READY_MAX 64

struct watch {
    int fd;
    uint32_t events; /* that are waited for; EPOLLERR and EPOLLHUP always are */
    void (*ready)(void *self, uint32_t events);
    void *self;
};

struct loop {
    int epoll;
    int ready_count;
    struct epoll_event ready[LOOP_READY_MAX];
};

/* False: errno says why. */
bool loop_init(struct loop *l);
void loop_fini(struct loop *l);

bool loop_add(struct loop *l, struct watch *w);
/* Waits for other events from now on. */
void loop_change(struct loop *l, struct watch *w, uint32_t events);

/* Waits at most timeout_ms (-1: for ever), then loop_dispatch() calls what
 * became ready: two steps, because the clock is read between them. */
void loop_wait(struct loop *l, int timeout_ms);
void loop_dispatch(struct loop *l);

/* How long to wait so that the monotonic millisecond deadline_ms (UINT64_MAX:
 * none) is not missed and has begun when the wait ends. */
int loop_timeout_ms(uint64_t now_us, uint64_t deadline_ms);

#endif

/*
 * net/accept: the listening sockets of stream transports.
 *
 * A listener gives at most ACCEPT_BATCH connections in a turn. When the process
 * has no descriptor left, all listeners pause for ACCEPT_PAUSE_MS: what waits
 * stays in the kernel's queue, and nobody spins. Core thread only.
 */
#ifndef MIDREG_NET_ACCEPT_H
#define MIDREG_NET_ACCEPT_H

#include "net/log.h"
#include "net/loop.h"
#include "net/socket.h"

#define ACCEPT_BATCH    32
#define ACCEPT_PAUSE_MS 200

/* The descriptor, non-blocking, is the receiver's from now on. */
typedef void accepted_fn(void *self, int fd, unsigned listener, const struct address *peer);

struct acceptors;

struct acceptor {
    struct watch watch; /* watch.fd -1: this listener is not open here */
    struct acceptors *all;
    struct address bound;
    uint8_t listener;
};

struct acceptors {
    struct loop *loop;
    struct log *log;
    accepted_fn *accepted;
    void *self;
    uint64_t now_ms;
    uint64_t paused_until_ms; /* 0: not paused */
    uint64_t said_ms;         /* when the log was told last */
    uint64_t pauses;
    struct acceptor list[CONFIG_LISTENERS_MAX];
};

/* `log` outlives it, as `loop` does. Nothing is open. */
void acceptors_init(struct acceptors *a, struct loop *loop, struct log *log, accepted_fn *accepted,
                    void *self);
void acceptors_fini(struct acceptors *a);

/* Binds the listener with this index and listens. False, with one line on
 * `errors`: it cannot be had. */
bool acceptors_open(struct acceptors *a, unsigned listener, const struct config_listener *l,
                    FILE *errors);

/* The beginning of a turn: goes on after a pause. */
void acceptors_begin(struct acceptors *a, uint64_t now_ms);
/* When acceptors_begin() must be called at the latest; UINT64_MAX: no matter. */
uint64_t acceptors_next_ms(const struct acceptors *a);

#endif

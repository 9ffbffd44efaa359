/*
 * net/outbox: datagrams on their way out, sent many at a time.
 *
 * The core writes each datagram in place (outbox_reserve(), outbox_commit());
 * outbox_flush() hands all of them to the kernel, one sendmmsg() per socket.
 * What the kernel has no room for waits, within bounds, until the socket can be
 * written; what it refuses is lost, like any datagram. Core thread only.
 */
#ifndef MIDREG_NET_OUTBOX_H
#define MIDREG_NET_OUTBOX_H

#include "base/ports.h"
#include "config/config.h"

#define OUTBOX_DATAGRAMS   64
#define OUTBOX_BYTES       ((size_t)256 * 1024)
#define OUTBOX_WAITING_MAX ((size_t)1024 * 1024) /* bytes per socket */

struct outbox_waiting; /* a copy of a datagram, in a list */

struct outbox {
    char *bytes; /* the batch's datagrams, one after the other */
    size_t used;
    unsigned count;
    struct outbox_datagram {
        size_t at;
        size_t n;
        socklen_t to_n;
        uint8_t line;
        struct sockaddr_storage to;
    } batch[OUTBOX_DATAGRAMS];
    struct outbox_line { /* one per listener */
        int fd;          /* -1: not a datagram socket */
        struct outbox_waiting *first;
        struct outbox_waiting *last;
        size_t waiting_bytes;
    } lines[CONFIG_LISTENERS_MAX];
    uint64_t sent;    /* datagrams that the kernel took */
    uint64_t dropped; /* ... that were refused or found no room */
};

/* False: no memory. All lines are closed. */
bool outbox_init(struct outbox *o);
/* What waits is lost; sockets stay their owners'. */
void outbox_fini(struct outbox *o);
void outbox_open(struct outbox *o, unsigned listener, int fd);

/* As in ports.h. */
char *outbox_reserve(struct outbox *o, size_t *capacity);
void outbox_commit(struct outbox *o, const struct flow *to, size_t n);

/* Sends the batch. */
void outbox_flush(struct outbox *o);

/* Do datagrams wait for this socket? Then call outbox_resume() when it can be
 * written. */
bool outbox_waits(const struct outbox *o, unsigned listener);
void outbox_resume(struct outbox *o, unsigned listener);

#endif

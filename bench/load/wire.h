/*
 * wire: eight phones' sockets and the main registrar's, all to one server.
 *
 * Sockets are connected to the server and bound to fixed ports, so that a phone
 * has the same flow in each run. What is put goes out in batches at
 * wire_flush(). One thread.
 */
#ifndef MIDREG_BENCH_WIRE_H
#define MIDREG_BENCH_WIRE_H

#include "base/buf.h"

#include <netinet/in.h>

#define WIRE_PHONES   8
#define WIRE_UPSTREAM WIRE_PHONES /* the main registrar's socket */
#define WIRE_SOCKETS  (WIRE_PHONES + 1)
#define WIRE_BATCH    64
#define WIRE_SIZE_MAX 8192

typedef void wire_receive_fn(void *self, unsigned socket, struct span datagram);

struct wire {
    int epoll;
    int fd[WIRE_SOCKETS];
    uint16_t port[WIRE_SOCKETS];
    unsigned queued[WIRE_SOCKETS];
    struct wire_room *room;
    uint64_t sent, sent_bytes;
    uint64_t received, received_bytes;
};

/* The phones' ports begin at `first_port`. False, with a line on stderr. */
bool wire_init(struct wire *w, struct sockaddr_in server, uint16_t first_port,
               uint16_t upstream_port);
void wire_fini(struct wire *w);

/* Room for a datagram; then wire_commit() with its size. */
struct buf wire_reserve(struct wire *w, unsigned socket);
void wire_commit(struct wire *w, unsigned socket, const struct buf *message);
void wire_flush(struct wire *w);

/* Waits at most `wait_ms` (0: not at all) and hands over all that has come.
 * False: the server is gone. */
bool wire_receive(struct wire *w, int wait_ms, wire_receive_fn *receive, void *self);

#endif

/*
 * net/send_queue: bytes that wait to be written to one connection.
 *
 * Empty, it holds no memory. The caller bounds it by `bytes`. Core thread only.
 */
#ifndef MIDREG_NET_SEND_QUEUE_H
#define MIDREG_NET_SEND_QUEUE_H

#include "base/span.h"

struct send_piece;

struct send_queue {
    struct send_piece *first;
    struct send_piece *last;
    size_t written; /* of the first piece */
    size_t bytes;   /* that wait */
};

enum send_result {
    SEND_DONE,    /* the queue is empty */
    SEND_BLOCKED, /* the rest waits until the socket can be written */
    SEND_FAILED   /* the connection is broken; errno says why */
};

/* Appends a copy. False: no memory, nothing changed. */
bool send_queue_put(struct send_queue *q, struct span bytes);
/* Writes what the socket takes. */
enum send_result send_queue_write(struct send_queue *q, int fd);
void send_queue_clear(struct send_queue *q);

#endif

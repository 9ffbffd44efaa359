/*
 * net/send_queue: a list of pieces, written many at a time.
 *
 * Called by stream.c on the core thread. Small messages share a piece. Never
 * blocks, never raises SIGPIPE.
 */
#include "net/send_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Bytes of a piece with its head: a turn's answers fit into one. */
#define PIECE_SIZE 4096
#define PIECES     16

struct send_piece {
    struct send_piece *next;
    size_t n;
    size_t size;
    char bytes[];
};

static struct send_piece *add_piece(struct send_queue *q, size_t n)
{
    size_t size = PIECE_SIZE - sizeof(struct send_piece);
    struct send_piece *piece;

    if (size < n)
        size = n;
    piece = malloc(sizeof *piece + size);
    if (!piece)
        return NULL;
    piece->next = NULL;
    piece->n = 0;
    piece->size = size;
    if (q->last)
        q->last->next = piece;
    else
        q->first = piece;
    q->last = piece;
    return piece;
}

bool send_queue_put(struct send_queue *q, struct span bytes)
{
    struct send_piece *piece = q->last;

    if (!piece || piece->size - piece->n < bytes.n)
        piece = add_piece(q, bytes.n);
    if (!piece)
        return false;
    memcpy(piece->bytes + piece->n, bytes.p, bytes.n);
    piece->n += bytes.n;
    q->bytes += bytes.n;
    return true;
}

static void pop_piece(struct send_queue *q)
{
    struct send_piece *piece = q->first;

    q->first = piece->next;
    if (!q->first)
        q->last = NULL;
    q->written = 0;
    free(piece);
}

static void take(struct send_queue *q, size_t n)
{
    q->bytes -= n;
    while (q->first && n >= q->first->n - q->written) {
        n -= q->first->n - q->written;
        pop_piece(q);
    }
    q->written += n;
}

static ssize_t write_pieces(const struct send_queue *q, int fd)
{
    struct iovec part[PIECES];
    struct msghdr message = {.msg_iov = part};
    size_t skip = q->written;

    for (struct send_piece *p = q->first; p && message.msg_iovlen < PIECES; p = p->next) {
        part[message.msg_iovlen++] = (struct iovec){p->bytes + skip, p->n - skip};
        skip = 0;
    }
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

enum send_result send_queue_write(struct send_queue *q, int fd)
{
    while (q->bytes) {
        ssize_t n = write_pieces(q, fd);

        if (n > 0)
            take(q, (size_t)n);
        else if (errno == EAGAIN)
            return SEND_BLOCKED;
        else if (errno != EINTR)
            return SEND_FAILED;
    }
    return SEND_DONE;
}

void send_queue_clear(struct send_queue *q)
{
    while (q->first)
        pop_piece(q);
    q->bytes = 0;
}

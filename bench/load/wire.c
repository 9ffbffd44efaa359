/*
 * wire: sendmmsg and recvmmsg over connected sockets.
 *
 * Called by the engine and by what plays phones and main registrar.
 */
#include "wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES (64 << 20)

struct wire_room {
    struct {
        struct mmsghdr header[WIRE_BATCH];
        struct iovec piece[WIRE_BATCH];
        char bytes[WIRE_BATCH][WIRE_SIZE_MAX];
    } out[WIRE_SOCKETS], in;
};

static void widen(int fd, int forced, int plain)
{
    int size = BUFFER_BYTES;

    if (setsockopt(fd, SOL_SOCKET, forced, &size, sizeof size) != 0)
        setsockopt(fd, SOL_SOCKET, plain, &size, sizeof size);
}

static bool open_socket(struct wire *w, unsigned i, struct sockaddr_in server, uint16_t port)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = i};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    w->fd[i] = fd;
    w->port[i] = port;
    if (fd < 0)
        return false;
    widen(fd, SO_RCVBUFFORCE, SO_RCVBUF);
    widen(fd, SO_SNDBUFFORCE, SO_SNDBUF);
    return bind(fd, (struct sockaddr *)&own, sizeof own) == 0 &&
           connect(fd, (struct sockaddr *)&server, sizeof server) == 0 &&
           epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &event) == 0;
}

bool wire_init(struct wire *w, struct sockaddr_in server, uint16_t first_port,
               uint16_t upstream_port)
{
    *w = (struct wire){.epoll = epoll_create1(EPOLL_CLOEXEC)};
    for (unsigned i = 0; i < WIRE_SOCKETS; i++)
        w->fd[i] = -1;
    w->room = calloc(1, sizeof *w->room);
    if (!w->room || w->epoll < 0) {
        perror("load");
        return false;
    }
    for (unsigned i = 0; i < WIRE_SOCKETS; i++) {
        uint16_t port = i == WIRE_UPSTREAM ? upstream_port : (uint16_t)(first_port + i);

        if (!open_socket(w, i, server, port)) {
            fprintf(stderr, "load: 127.0.0.1:%u: %s\n", port, strerror(errno));
            return false;
        }
    }
    return true;
}

void wire_fini(struct wire *w)
{
    for (unsigned i = 0; i < WIRE_SOCKETS; i++)
        if (w->fd[i] >= 0)
            close(w->fd[i]);
    if (w->epoll >= 0)
        close(w->epoll);
    free(w->room);
}

static void flush_socket(struct wire *w, unsigned socket)
{
    struct mmsghdr *header = w->room->out[socket].header;
    unsigned done = 0;

    while (done < w->queued[socket]) {
        int n = sendmmsg(w->fd[socket], header + done, w->queued[socket] - done, 0);

        if (n > 0)
            done += (unsigned)n;
        else if (errno == ECONNREFUSED)
            continue; /* told of an earlier datagram: the error is taken away */
        else if (errno != EAGAIN && errno != EINTR)
            break; /* counted as lost when no answer comes */
    }
    w->queued[socket] = 0;
}

struct buf wire_reserve(struct wire *w, unsigned socket)
{
    if (w->queued[socket] == WIRE_BATCH)
        flush_socket(w, socket);
    return buf_make(w->room->out[socket].bytes[w->queued[socket]], WIRE_SIZE_MAX);
}

void wire_commit(struct wire *w, unsigned socket, const struct buf *message)
{
    unsigned i = w->queued[socket]++;
    struct iovec *piece = &w->room->out[socket].piece[i];

    if (message->overflow) {
        fprintf(stderr, "load: a message of more than %d bytes\n", WIRE_SIZE_MAX);
        abort();
    }
    *piece = (struct iovec){message->p, message->n};
    w->room->out[socket].header[i] =
        (struct mmsghdr){.msg_hdr = {.msg_iov = piece, .msg_iovlen = 1}};
    w->sent++;
    w->sent_bytes += message->n;
}

void wire_flush(struct wire *w)
{
    for (unsigned i = 0; i < WIRE_SOCKETS; i++)
        if (w->queued[i])
            flush_socket(w, i);
}

/* One batch. False: nobody listens there. */
static bool read_socket(struct wire *w, unsigned socket, wire_receive_fn *receive, void *self)
{
    struct mmsghdr *header = w->room->in.header;
    int n;

    for (unsigned i = 0; i < WIRE_BATCH; i++) {
        w->room->in.piece[i] = (struct iovec){w->room->in.bytes[i], WIRE_SIZE_MAX};
        header[i] =
            (struct mmsghdr){.msg_hdr = {.msg_iov = &w->room->in.piece[i], .msg_iovlen = 1}};
    }
    n = recvmmsg(w->fd[socket], header, WIRE_BATCH, MSG_DONTWAIT, NULL);
    if (n < 0)
        return errno != ECONNREFUSED;
    for (int i = 0; i < n; i++) {
        w->received++;
        w->received_bytes += header[i].msg_len;
        receive(self, socket, span_make(w->room->in.bytes[i], header[i].msg_len));
    }
    return true;
}

bool wire_receive(struct wire *w, int wait_ms, wire_receive_fn *receive, void *self)
{
    struct epoll_event ready[WIRE_SOCKETS];
    int n = epoll_wait(w->epoll, ready, WIRE_SOCKETS, wait_ms);

    for (int i = 0; i < n; i++)
        if (!read_socket(w, ready[i].data.u32, receive, self))
            return false;
    return true;
}

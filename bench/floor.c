/*
 * floor PORT: the kernel's floor: receives datagrams and sends others, no more.
 *
 * recvmmsg of 32 and sendmmsg on one socket of 127.0.0.1, as midreg does it; the
 * order at the beginning of each datagram says how many answers of what sizes it
 * gets. What another server costs beyond this is its own. Runs until it is killed.
 */
#include "floor.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define BATCH       32
#define ANSWERS_MAX (BATCH * FLOOR_ANSWERS_MAX)

struct room {
    struct mmsghdr in[BATCH];
    struct iovec in_piece[BATCH];
    struct sockaddr_in from[BATCH];
    char bytes[BATCH][FLOOR_SIZE_MAX];
    struct mmsghdr out[ANSWERS_MAX];
    struct iovec out_piece[ANSWERS_MAX];
    unsigned answers;
};

static int open_socket(int port)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    int size = 8 << 20;

    own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size);
    if (fd < 0 || bind(fd, (struct sockaddr *)&own, sizeof own) != 0) {
        perror("floor");
        exit(1);
    }
    return fd;
}

static void reset(struct room *r, unsigned i)
{
    r->in_piece[i] = (struct iovec){r->bytes[i], FLOOR_SIZE_MAX};
    r->in[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &r->from[i],
                                            .msg_namelen = sizeof r->from[i],
                                            .msg_iov = &r->in_piece[i],
                                            .msg_iovlen = 1}};
}

/* The answers are the datagram itself, cut or with what stood behind it before. */
static void answer(struct room *r, unsigned i)
{
    struct floor_order order;

    if (r->in[i].msg_len < sizeof order)
        return;
    memcpy(&order, r->bytes[i], sizeof order);
    for (unsigned k = 0; k < order.count && k < FLOOR_ANSWERS_MAX; k++) {
        unsigned at = r->answers++;

        if (order.size[k] > FLOOR_SIZE_MAX)
            order.size[k] = FLOOR_SIZE_MAX;
        r->out_piece[at] = (struct iovec){r->bytes[i], order.size[k]};
        r->out[at] = (struct mmsghdr){.msg_hdr = {.msg_name = &r->from[i],
                                                  .msg_namelen = sizeof r->from[i],
                                                  .msg_iov = &r->out_piece[at],
                                                  .msg_iovlen = 1}};
    }
}

int main(int argc, char **argv)
{
    struct room *r = calloc(1, sizeof *r);
    int fd;

    if (argc != 2 || !r) {
        fputs("usage: floor PORT\n", stderr);
        return 2;
    }
    fd = open_socket(atoi(argv[1]));
    for (unsigned i = 0; i < BATCH; i++)
        reset(r, i);
    for (;;) {
        int n = recvmmsg(fd, r->in, BATCH, MSG_WAITFORONE, NULL);
        unsigned done = 0;

        r->answers = 0;
        for (int i = 0; i < n; i++) {
            answer(r, (unsigned)i);
            reset(r, (unsigned)i);
        }
        while (done < r->answers) {
            int sent = sendmmsg(fd, r->out + done, r->answers - done, 0);

            if (sent <= 0)
                break;
            done += (unsigned)sent;
        }
    }
}

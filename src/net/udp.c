/*
 * net/udp: opens, reads and flushes datagram sockets.
 *
 * Called by world.c on the core thread. Never blocks. No SO_REUSEADDR here: on
 * UDP it would let a second instance take half of the datagrams.
 */
#include "net/udp.h"

#include "net/socket.h"

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * Room for the largest datagram the kernel can deliver. The odd part keeps the
 * beginnings of the 32 rooms, where all the work happens, out of each other's
 * cache sets. The pages behind them are touched only by large datagrams.
 */
#define ROOM_SIZE (65536 + 17 * 64)

struct udp_room {
    struct mmsghdr messages[UDP_BATCH];
    struct iovec pieces[UDP_BATCH];
    struct sockaddr_storage from[UDP_BATCH];
    char bytes[UDP_BATCH][ROOM_SIZE];
};

static void reset_message(struct udp_room *r, unsigned i)
{
    r->pieces[i] = (struct iovec){r->bytes[i], ROOM_SIZE};
    r->messages[i] = (struct mmsghdr){.msg_hdr = {.msg_name = &r->from[i],
                                                  .msg_namelen = sizeof r->from[i],
                                                  .msg_iov = &r->pieces[i],
                                                  .msg_iovlen = 1}};
}

bool udp_init(struct udp *u, struct loop *loop, udp_receive_fn *receive, udp_refused_fn *refused,
              void *self)
{
    memset(u, 0, sizeof *u);
    u->loop = loop;
    u->receive = receive;
    u->refused = refused;
    u->self = self;
    for (unsigned i = 0; i < CONFIG_LISTENERS_MAX; i++)
        u->sockets[i].watch.fd = -1;
    if (!outbox_init(&u->out))
        return false;
    u->room = mmap(NULL, sizeof *u->room, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (u->room == MAP_FAILED) {
        u->room = NULL;
        outbox_fini(&u->out);
        return false;
    }
    for (unsigned i = 0; i < UDP_BATCH; i++)
        reset_message(u->room, i);
    return true;
}

void udp_fini(struct udp *u)
{
    for (unsigned i = 0; i < CONFIG_LISTENERS_MAX; i++)
        if (u->sockets[i].watch.fd >= 0)
            close(u->sockets[i].watch.fd);
    outbox_fini(&u->out);
    if (u->room)
        munmap(u->room, sizeof *u->room);
    u->room = NULL;
}

/* ---- opening ---- */

/* As much as can be had: the forced size needs CAP_NET_ADMIN, the other one is
 * cut to net.core.rmem_max and wmem_max. */
static void widen(int fd, int forced, int plain)
{
    int size = UDP_BUFFER_WANT;

    if (setsockopt(fd, SOL_SOCKET, forced, &size, sizeof size) != 0)
        setsockopt(fd, SOL_SOCKET, plain, &size, sizeof size);
}

static bool prepare(int fd, int family)
{
    int on = 1;
    int dont = IP_PMTUDISC_DONT;

    widen(fd, SO_RCVBUFFORCE, SO_RCVBUF);
    widen(fd, SO_SNDBUFFORCE, SO_SNDBUF);
    if (family == AF_INET6)
        return setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0 &&
               setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &on, sizeof on) == 0;
    /* No "don't fragment": a large INVITE must get through where the ICMP that
     * would tell us to fragment is filtered. */
    return setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont, sizeof dont) == 0 &&
           setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on) == 0;
}

/* ---- receiving ---- */

static void receive_one(const struct udp_socket *s, const struct msghdr *m, struct span datagram)
{
    struct udp *u = s->udp;
    struct flow from = {.transport = TRANSPORT_UDP, .listener = s->listener};

    address_from_sockaddr(&from.peer, m->msg_name);
    /* Port 0 cannot be answered: it is forged. */
    if (from.peer.port == 0 || (m->msg_flags & MSG_TRUNC))
        return;
    u->received++;
    u->receive(u->self, &from, datagram);
}

static bool is_refusal(struct msghdr *m)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
        struct sock_extended_err e;

        if (!(c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) &&
            !(c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR))
            continue;
        memcpy(&e, CMSG_DATA(c), sizeof e);
        return e.ee_errno == ECONNREFUSED && e.ee_origin != SO_EE_ORIGIN_LOCAL;
    }
    return false;
}

/* What came back. Its queue must be emptied, or the socket is never quiet. */
static void receive_errors(const struct udp_socket *s)
{
    struct udp *u = s->udp;

    for (unsigned i = 0; i < UDP_BATCH; i++) {
        char control[512];
        struct sockaddr_storage to;
        struct msghdr m = {.msg_name = &to,
                           .msg_namelen = sizeof to,
                           .msg_control = control,
                           .msg_controllen = sizeof control};
        struct address refused;

        if (recvmsg(s->watch.fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
            return;
        if (m.msg_namelen == 0 || !is_refusal(&m))
            continue;
        address_from_sockaddr(&refused, m.msg_name);
        u->refused(u->self, &refused);
    }
}

static void receive_batch(const struct udp_socket *s)
{
    struct udp_room *r = s->udp->room;
    int n = recvmmsg(s->watch.fd, r->messages, UDP_BATCH, MSG_DONTWAIT, NULL);

    for (int i = 0; i < n; i++) {
        const struct mmsghdr *m = &r->messages[i];

        receive_one(s, &m->msg_hdr, span_make(r->bytes[i], m->msg_len));
        reset_message(r, (unsigned)i);
    }
}

static void wait_for_room(struct udp *u, struct udp_socket *s)
{
    loop_change(u->loop, &s->watch,
                outbox_waits(&u->out, s->listener) ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void ready(void *self, uint32_t events)
{
    struct udp_socket *s = self;

    if (events & EPOLLOUT)
        outbox_resume(&s->udp->out, s->listener);
    if (events & EPOLLERR)
        receive_errors(s);
    if (events & ~(uint32_t)EPOLLOUT)
        receive_batch(s); /* takes the error itself away, too */
}

bool udp_open(struct udp *u, unsigned listener, const struct config_listener *l, FILE *errors)
{
    struct udp_socket *s = &u->sockets[listener];
    int fd = socket_bind(&l->address, SOCK_DGRAM, prepare, &s->bound);

    if (fd < 0)
        return socket_complain(l, errno, errors);
    s->udp = u;
    s->listener = (uint8_t)listener;
    s->watch = (struct watch){.fd = fd, .events = EPOLLIN, .ready = ready, .self = s};
    outbox_open(&u->out, listener, fd);
    if (!loop_add(u->loop, &s->watch))
        return socket_complain(l, errno, errors);
    return true;
}

void udp_flush(struct udp *u)
{
    outbox_flush(&u->out);
    for (unsigned i = 0; i < CONFIG_LISTENERS_MAX; i++)
        if (u->sockets[i].watch.fd >= 0)
            wait_for_room(u, &u->sockets[i]);
}

/* ---- what operators ask ---- */

unsigned udp_receive_buffer(const struct udp *u, unsigned listener)
{
    int size = 0;
    socklen_t n = sizeof size;

    if (getsockopt(u->sockets[listener].watch.fd, SOL_SOCKET, SO_RCVBUF, &size, &n) != 0)
        return 0;
    return (unsigned)size / 2; /* the kernel doubles it for its own needs */
}

uint64_t udp_overflowed(const struct udp *u)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < CONFIG_LISTENERS_MAX; i++) {
        uint32_t memory[SK_MEMINFO_VARS] = {0};
        socklen_t n = sizeof memory;

        if (u->sockets[i].watch.fd >= 0 &&
            getsockopt(u->sockets[i].watch.fd, SOL_SOCKET, SO_MEMINFO, memory, &n) == 0)
            sum += memory[SK_MEMINFO_DROPS];
    }
    return sum;
}

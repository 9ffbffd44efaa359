/*
 * net/accept: see accept.h.
 *
 * Called by stream.c, on the core thread. Never blocks.
 */
#include "net/accept.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

/* One warning in so long, however often there is a pause. */
#define SAY_MS 60000

void acceptors_init(struct acceptors *a, struct loop *loop, struct log *log, accepted_fn *accepted,
                    void *self)
{
    memset(a, 0, sizeof *a);
    a->loop = loop;
    a->log = log;
    a->accepted = accepted;
    a->self = self;
    for (unsigned i = 0; i < CONFIG_LISTENERS_MAX; i++)
        a->list[i].watch.fd = -1;
}

void acceptors_fini(struct acceptors *a)
{
    for (unsigned i = 0; i < CONFIG_LISTENERS_MAX; i++) {
        if (a->list[i].watch.fd >= 0)
            close(a->list[i].watch.fd);
        a->list[i].watch.fd = -1;
    }
}

/* After a restart the port must be had though old connections are not forgotten
 * yet; on Linux a second listener is refused all the same. */
static bool prepare(int fd, int family)
{
    int on = 1;

    return setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
           (family != AF_INET6 || setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) == 0);
}

static void listen_again(struct acceptors *a, uint32_t events)
{
    for (unsigned i = 0; i < CONFIG_LISTENERS_MAX; i++)
        if (a->list[i].watch.fd >= 0)
            loop_change(a->loop, &a->list[i].watch, events);
}

static void pause_all(struct acceptors *a, int error)
{
    a->pauses++;
    a->paused_until_ms = a->now_ms + ACCEPT_PAUSE_MS;
    listen_again(a, 0);
    if (a->said_ms && a->now_ms - a->said_ms < SAY_MS)
        return;
    a->said_ms = a->now_ms;
    log_say(a->log, LOG_WARN,
            "event=accept_paused error=\"%s\" remedy=\"raise the limit of open files "
            "(LimitNOFILE, ulimit -n)\"",
            strerror(error));
}

/* False: no more in this turn. */
static bool accept_one(struct acceptor *l)
{
    struct sockaddr_storage from;
    socklen_t n = sizeof from;
    struct address peer;
    int fd = accept4(l->watch.fd, (struct sockaddr *)&from, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        address_from_sockaddr(&peer, (struct sockaddr *)&from);
        l->all->accepted(l->all->self, fd, l->listener, &peer);
        return true;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        pause_all(l->all, errno);
    else if (errno != EAGAIN)
        return true; /* that connection is gone already; there may be others */
    return false;
}

static void ready(void *self, uint32_t events)
{
    struct acceptor *l = self;

    (void)events;
    for (unsigned i = 0; i < ACCEPT_BATCH && !l->all->paused_until_ms; i++)
        if (!accept_one(l))
            break;
}

bool acceptors_open(struct acceptors *a, unsigned listener, const struct config_listener *l,
                    FILE *errors)
{
    struct acceptor *one = &a->list[listener];
    int fd = socket_bind(&l->address, SOCK_STREAM, prepare, &one->bound);

    if (fd < 0)
        return socket_complain(l, errno, errors);
    one->all = a;
    one->listener = (uint8_t)listener;
    one->watch = (struct watch){.fd = fd, .events = EPOLLIN, .ready = ready, .self = one};
    if (listen(fd, SOMAXCONN) != 0 || !loop_add(a->loop, &one->watch))
        return socket_complain(l, errno, errors);
    return true;
}

void acceptors_begin(struct acceptors *a, uint64_t now_ms)
{
    a->now_ms = now_ms;
    if (a->paused_until_ms && now_ms >= a->paused_until_ms) {
        a->paused_until_ms = 0;
        listen_again(a, EPOLLIN);
    }
}

uint64_t acceptors_next_ms(const struct acceptors *a)
{
    return a->paused_until_ms ? a->paused_until_ms : UINT64_MAX;
}

/*
 * net/socket: see socket.h.
 *
 * Core thread. Never blocks, keeps nothing.
 */
#include "net/socket.h"

#include <errno.h>
#include <limits.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

void socket_local(int fd, struct address *out)
{
    struct sockaddr_storage at;
    socklen_t n = sizeof at;

    memset(out, 0, sizeof *out);
    if (getsockname(fd, (struct sockaddr *)&at, &n) == 0)
        address_from_sockaddr(out, (struct sockaddr *)&at);
}

int socket_bind(const struct address *address, int type, socket_prepare_fn *prepare,
                struct address *bound)
{
    struct sockaddr_storage at;
    socklen_t at_n = address_to_sockaddr(address, &at);
    int fd = socket(at.ss_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error;

    if (fd < 0)
        return -1;
    if (prepare(fd, at.ss_family) && bind(fd, (struct sockaddr *)&at, at_n) == 0) {
        socket_local(fd, bound);
        return fd;
    }
    error = errno;
    close(fd);
    errno = error;
    return -1;
}

bool socket_complain(const struct config_listener *l, int error, FILE *errors)
{
    bool udp = l->transport == TRANSPORT_UDP;
    char text[80] = "";
    struct buf where = buf_make(text, sizeof text - 1);
    const char *remedy;

    address_put(&where, &l->address);
    switch (error) {
    case EADDRINUSE:
        remedy = udp ? "another program holds this port (ss -ulpn names it); stop it, or change "
                       "listen"
                     : "another program holds this port (ss -tlpn names it); stop it, or change "
                       "listen";
        break;
    case EADDRNOTAVAIL:
        remedy = "this host has no such address; change listen";
        break;
    case EACCES:
        remedy = "ports below 1024 need CAP_NET_BIND_SERVICE; grant it, or change listen";
        break;
    default:
        remedy = "change listen";
    }
    fprintf(errors, "%s:%s cannot be opened: %s; %s\n", transport_name(l->transport), text,
            strerror(error), remedy);
    return false;
}

unsigned socket_raise_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 1024;
    if (limit.rlim_cur < limit.rlim_max) {
        rlim_t before = limit.rlim_cur;

        limit.rlim_cur = limit.rlim_max;
        if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
            limit.rlim_cur = before;
    }
    return limit.rlim_cur < UINT_MAX ? (unsigned)limit.rlim_cur : UINT_MAX;
}

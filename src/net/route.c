/*
 * net/route: asks the kernel's routing table, with a small cache.
 *
 * Called by world.c for the port local_address, on the core thread. A miss costs
 * four system calls. One place per hash of the peer: a newer peer takes it over.
 */
#include "net/route.h"

#include <netinet/in.h>
#include <unistd.h>

static unsigned place_of(const struct address *peer)
{
    uint32_t hash = 2166136261U; /* FNV-1a: nobody gains by making two peers meet */

    for (unsigned i = 0; i < sizeof peer->ip; i++)
        hash = (hash ^ peer->ip[i]) * 16777619U;
    return hash % ROUTE_PLACES;
}

static bool ask_kernel(const struct address *peer, struct address *out)
{
    struct sockaddr_storage to, local;
    socklen_t to_n = address_to_sockaddr(peer, &to);
    socklen_t local_n = sizeof local;
    int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool ok;

    if (fd < 0)
        return false;
    ok = connect(fd, (const struct sockaddr *)&to, to_n) == 0 &&
         getsockname(fd, (struct sockaddr *)&local, &local_n) == 0;
    close(fd);
    if (!ok)
        return false;
    address_from_sockaddr(out, (const struct sockaddr *)&local);
    out->port = 0;
    return true;
}

bool route_local(struct route_cache *r, const struct address *peer, uint64_t now_ms,
                 struct address *out)
{
    struct address host = *peer;
    unsigned at = place_of(peer);

    host.port = 0;
    if (now_ms >= r->place[at].until_ms || !address_equal(&r->place[at].peer, &host)) {
        struct address local = {0};
        bool ok = ask_kernel(peer, &local);

        r->place[at].peer = host;
        r->place[at].local = local;
        r->place[at].until_ms = now_ms + (ok ? ROUTE_MS : ROUTE_NO_MS);
    }
    *out = r->place[at].local;
    return out->family != ADDRESS_NONE;
}

/*
 * net/route: which address of ours the kernel would send from to a peer.
 *
 * For wildcard listeners. Asked by connecting a datagram socket, which sends
 * nothing, and remembered for a short time. Core thread only.
 */
#ifndef MIDREG_NET_ROUTE_H
#define MIDREG_NET_ROUTE_H

#include "base/address.h"

#define ROUTE_PLACES 256
#define ROUTE_MS     30000 /* a changed route is noticed after this time */
#define ROUTE_NO_MS  1000  /* ... and one that appears after this */

struct route_cache {
    struct {
        struct address peer; /* port 0 */
        struct address local;
        uint64_t until_ms;
    } place[ROUTE_PLACES];
};

/* The local address, port 0, in *out. False: there is no route to the peer. */
bool route_local(struct route_cache *r, const struct address *peer, uint64_t now_ms,
                 struct address *out);

#endif

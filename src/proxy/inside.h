/*
 * proxy/inside: what the files of this room share: the proxy itself.
 *
 * Nobody outside proxy/ includes this. The three buffers belong to whoever runs
 * at the moment and keep nothing from one event to the next: `clean` holds a
 * phone's message without what it may not say (strip.h), `message` and `fields`
 * a message and its own lines while they are built. Core thread only.
 */
#ifndef MIDREG_PROXY_INSIDE_H
#define MIDREG_PROXY_INSIDE_H

#include "base/slab.h"
#include "proxy/mwi.h"
#include "proxy/proxy.h"

/* Beyond it a request is answered 503. */
#define FORKS_MAX 262144

struct proxy {
    struct runtime *rt;
    const struct config *config;
    const struct location *location;
    struct transactions *transactions;
    struct upstreams *upstreams;
    struct slab forks; /* struct fork */
    struct mwi_store mwi;
    char *clean; /* DATAGRAM_MAX bytes each */
    char *message;
    char *fields;
};

#endif

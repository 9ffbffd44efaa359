/*
 * transaction/transaction: the server and client transactions of one core.
 *
 * RFC 3261 17 with RFC 6026 (Accepted state) and RFC 4320 (non-INVITE). This
 * struct owns both kinds; server.h and client.h are the two machines. Core
 * thread only.
 */
#ifndef MIDREG_TRANSACTION_TRANSACTION_H
#define MIDREG_TRANSACTION_TRANSACTION_H

#include "base/runtime.h"
#include "base/slab.h"
#include "base/table.h"

/* RFC 3261 17.1.1.1, milliseconds. */
#define SIP_T1_MS  500
#define SIP_T2_MS  4000
#define SIP_T4_MS  5000
#define SIP_T64_MS ((uint64_t)64 * SIP_T1_MS)

/* Bounds: beyond them a request is answered 503 (or a branch fails). */
#define SERVER_TX_MAX 262144
#define CLIENT_TX_MAX 1048576

#define KEPT_SIZES 6 /* 256 to 8192 bytes */

/* What a transaction keeps of a message: kept.h. */
struct kept {
    char *p; /* NULL: nothing */
    size_t n;
    struct handle handle; /* none: from malloc */
};

struct transactions {
    struct runtime *rt;
    struct slab servers; /* struct server_tx */
    struct slab clients; /* struct client_tx */
    struct slab kept[KEPT_SIZES];
    struct table server_keys;
    struct table connections; /* number -> the first client_tx sent over it */
    struct table owed;        /* number -> how many of its requests wait for an answer */
    char *scratch;            /* DATAGRAM_MAX bytes, for building a message before it is kept;
                                 server_reply(), client_cancel() and client_receive() use it */
};

/* False: no memory. Registers its timers with rt->wheel. */
bool transactions_init(struct transactions *t, struct runtime *rt);
void transactions_fini(struct transactions *t);

#endif

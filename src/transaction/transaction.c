/*
 * transaction/transaction: memory and timers of both kinds of transactions.
 *
 * Made once by the core, on its thread.
 */
#include "transaction/transaction.h"
#include "transaction/kept.h"
#include "transaction/machine.h"

#include <stdlib.h>

bool transactions_init(struct transactions *t, struct runtime *rt)
{
    *t = (struct transactions){.rt = rt, .scratch = malloc(DATAGRAM_MAX)};
    if (!t->scratch)
        return false;
    slab_init(&t->servers, sizeof(struct server_tx), SERVER_TX_MAX);
    slab_init(&t->clients, sizeof(struct client_tx), CLIENT_TX_MAX);
    kept_init(t);
    table_init(&t->server_keys);
    table_init(&t->connections);
    table_init(&t->owed);
    server_init(t);
    client_init(t);
    return true;
}

void transactions_fini(struct transactions *t)
{
    struct handle at;
    void *tx;

    for (uint32_t slot = 0; (tx = slab_next(&t->servers, slot, &at)); slot = at.slot + 1)
        server_free(tx);
    for (uint32_t slot = 0; (tx = slab_next(&t->clients, slot, &at)); slot = at.slot + 1)
        client_free(tx);
    slab_fini(&t->servers);
    slab_fini(&t->clients);
    kept_fini(t);
    table_fini(&t->server_keys);
    table_fini(&t->connections);
    table_fini(&t->owed);
    free(t->scratch);
    t->scratch = NULL;
}

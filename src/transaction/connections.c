/*
 * transaction/connections: which client transactions were sent over a connection,
 * and how many requests that came over it wait for their final answer.
 *
 * So that a connection that closes finds its own without looking at all others.
 * Called by client.c and server.c on the core thread. One list per connection, through the
 * transactions, in the order in which they were sent; the table knows the first.
 * Datagram transactions are in none.
 */
#include "transaction/machine.h"

/*
 *   first->prev is the last, last->next is NULL; prev is NULL in no list
 */
void connection_join(struct client_tx *tx)
{
    struct table *all = &tx->t->connections;
    struct client_tx *first = table_find(all, tx->flow.connection);

    if (!first) {
        if (table_put(all, tx->flow.connection, tx))
            tx->prev = tx;
        return;
    }
    tx->prev = first->prev;
    tx->prev->next = tx;
    first->prev = tx;
}

void connection_leave(struct client_tx *tx)
{
    struct table *all = &tx->t->connections;

    if (!tx->prev)
        return;
    struct client_tx *first = table_find(all, tx->flow.connection);
    if (tx != first)
        tx->prev->next = tx->next;
    else if (tx->next)
        table_put(all, tx->flow.connection, tx->next); /* replaces: needs no memory */
    else
        table_remove(all, tx->flow.connection);
    if (tx->next)
        tx->next->prev = tx->prev;
    else if (tx != first)
        first->prev = tx->prev;
    tx->next = tx->prev = NULL;
}

struct client_tx *connection_first(const struct transactions *t, const struct flow *flow)
{
    return table_find(&t->connections, flow->connection);
}

/* ---- what is owed -------------------------------------------------------------------- */

static uintptr_t owed(const struct transactions *t, const struct flow *flow)
{
    return (uintptr_t)table_find(&t->owed, flow->connection);
}

void connection_owe(struct server_tx *tx)
{
    tx->owed = transport_is_stream(tx->source.transport) &&
               table_put(&tx->t->owed, tx->source.connection,
                         (void *)(owed(tx->t, &tx->source) + 1)); /* a count, no pointer */
}

void connection_pay(struct server_tx *tx)
{
    uintptr_t left;

    if (!tx->owed)
        return;
    tx->owed = false;
    left = owed(tx->t, &tx->source) - 1;
    if (left)
        table_put(&tx->t->owed, tx->source.connection, (void *)left); /* replaces */
    else
        table_remove(&tx->t->owed, tx->source.connection);
}

bool server_owes(const struct transactions *t, const struct flow *flow)
{
    return owed(t, flow) > 0;
}

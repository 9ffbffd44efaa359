/*
 * location/flows: hashes of AORs by connection.
 *
 * Called by location.c when a binding gets a stream flow and by the registrar
 * when a connection closes, on the core thread. Never reads a record.
 */
#include "location/flows.h"

#include <stdlib.h>

struct flow_users {
    size_t count;
    size_t cap;
    uint64_t hashes[];
};

#define USERS_FIRST 1

void flows_init(struct flows *f)
{
    table_init(&f->connections);
}

void flows_fini(struct flows *f)
{
    struct flow_users *users;
    size_t at = 0;

    while ((users = table_next(&f->connections, &at)) != NULL)
        free(users);
    table_fini(&f->connections);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return x < y ? -1 : x > y;
}

/* One phone that leaves and returns on one connection is noted again each time:
 * before it grows, the list is rid of doubles. */
static void drop_doubles(struct flow_users *u)
{
    size_t kept = 0;

    qsort(u->hashes, u->count, sizeof u->hashes[0], by_value);
    for (size_t i = 0; i < u->count; i++)
        if (kept == 0 || u->hashes[kept - 1] != u->hashes[i])
            u->hashes[kept++] = u->hashes[i];
    u->count = kept;
}

static struct flow_users *grown(struct flows *f, uint64_t key, struct flow_users *u)
{
    size_t cap = u ? u->cap * 2 : USERS_FIRST;
    struct flow_users *more = realloc(u, sizeof *more + cap * sizeof more->hashes[0]);

    if (!more)
        return NULL;
    if (!u)
        more->count = 0;
    more->cap = cap;
    if (table_put(&f->connections, key, more))
        return more;
    if (!u)
        free(more); /* an old key is replaced without memory, so this was a new one */
    return NULL;
}

bool flows_note(struct flows *f, const struct flow *flow, uint64_t aor_hash)
{
    struct flow_users *u;

    if (!transport_is_stream(flow->transport))
        return true;
    u = table_find(&f->connections, flow->connection);
    if (u && u->count && u->hashes[u->count - 1] == aor_hash)
        return true;
    if (u && u->count == u->cap) {
        drop_doubles(u);
        /* Half empty now: the next clean-up is as far away as the last. */
        if (u->count * 2 > u->cap)
            u = grown(f, flow->connection, u);
    } else if (!u) {
        u = grown(f, flow->connection, NULL);
    }
    if (!u)
        return false;
    u->hashes[u->count++] = aor_hash;
    return true;
}

uint64_t *flows_take(struct flows *f, const struct flow *flow, size_t *count)
{
    struct flow_users *u = table_remove(&f->connections, flow->connection);

    *count = 0;
    if (!u)
        return NULL;
    drop_doubles(u);
    *count = u->count;
    /* The list itself becomes the answer: its head is overwritten. */
    memmove(u, u->hashes, u->count * sizeof u->hashes[0]);
    return (uint64_t *)(void *)u;
}

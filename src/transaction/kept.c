/*
 * transaction/kept: see kept.h.
 *
 * Called by server.c and client.c. What is larger than the largest size, or beyond
 * the bound of a slab, comes from malloc.
 */
#include "transaction/kept.h"

#include <stdlib.h>

#define KEPT_SMALLEST ((size_t)256)

void kept_init(struct transactions *t)
{
    for (unsigned i = 0; i < KEPT_SIZES; i++)
        slab_init(&t->kept[i], KEPT_SMALLEST << i, SERVER_TX_MAX + CLIENT_TX_MAX);
}

void kept_fini(struct transactions *t)
{
    for (unsigned i = 0; i < KEPT_SIZES; i++)
        slab_fini(&t->kept[i]);
}

/* The slab whose objects hold n bytes, or NULL. */
static struct slab *slab_for(struct transactions *t, size_t n)
{
    for (unsigned i = 0; i < KEPT_SIZES; i++)
        if (n <= KEPT_SMALLEST << i)
            return &t->kept[i];
    return NULL;
}

void *kept_room(struct transactions *t, struct kept *k, size_t n)
{
    struct slab *slab = slab_for(t, n);

    kept_drop(t, k);
    k->p = slab ? slab_new(slab, &k->handle) : NULL;
    if (!k->p)
        k->p = malloc(n);
    k->n = k->p ? n : 0;
    return k->p;
}

bool kept_set(struct transactions *t, struct kept *k, struct span message)
{
    char *room = message.n ? kept_room(t, k, message.n) : NULL;

    if (room)
        memcpy(room, message.p, message.n);
    else
        kept_drop(t, k);
    return room;
}

void kept_drop(struct transactions *t, struct kept *k)
{
    if (k->handle.generation)
        slab_free(slab_for(t, k->n), k->handle);
    else
        free(k->p);
    *k = (struct kept){0};
}

/*
 * location/news: a queue that grows by doubling.
 *
 * Called by location.c and the registrar to add, by core.c to take, on the core
 * thread. Tells nobody anything by itself.
 */
#include "location/news.h"

#include <stdlib.h>

#define NEWS_FIRST 16

void news_init(struct news *n)
{
    *n = (struct news){NULL, 0, 0, 0};
}

void news_fini(struct news *n)
{
    free(n->items);
    news_init(n);
}

static bool grow(struct news *n)
{
    size_t cap = n->cap ? n->cap * 2 : NEWS_FIRST;
    struct news_item *items = cap <= NEWS_MAX ? malloc(cap * sizeof *items) : NULL;

    if (!items)
        return false;
    for (size_t i = 0; i < n->count; i++)
        items[i] = n->items[(n->first + i) & (n->cap - 1)];
    free(n->items);
    *n = (struct news){items, 0, n->count, cap};
    return true;
}

void news_add(struct news *n, uint64_t hash, uint32_t binding_id)
{
    if (n->count == n->cap && !grow(n))
        return;
    n->items[(n->first + n->count++) & (n->cap - 1)] = (struct news_item){hash, binding_id};
}

const struct news_item *news_first(const struct news *n)
{
    return n->count ? &n->items[n->first] : NULL;
}

void news_drop(struct news *n)
{
    if (n->count == 0)
        return;
    n->first = (n->first + 1) & (n->cap - 1);
    n->count--;
}

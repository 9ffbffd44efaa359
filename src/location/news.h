/*
 * location/news: what the registrar did to the table that the proxy must hear of.
 *
 * The two never include each other: the registrar adds, core.c takes in order and
 * tells the proxy once the change is durable. Bounded: beyond NEWS_MAX, or without
 * memory, news is lost, and with it a courtesy to a phone, never a binding. Core
 * thread only.
 */
#ifndef MIDREG_LOCATION_NEWS_H
#define MIDREG_LOCATION_NEWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NEWS_MAX 65536

struct news_item {
    uint64_t hash;       /* of the AOR */
    uint32_t binding_id; /* a phone that registers anew; 0: the AOR has left, here or at
                            the main registrar */
};

struct news {
    struct news_item *items; /* [first, first + count) modulo cap */
    size_t first;
    size_t count;
    size_t cap; /* a power of two, or 0 */
};

void news_init(struct news *n);
void news_fini(struct news *n);

void news_add(struct news *n, uint64_t hash, uint32_t binding_id);
/* The oldest, or NULL; valid until the next call. */
const struct news_item *news_first(const struct news *n);
/* Takes the oldest away. */
void news_drop(struct news *n);

#endif

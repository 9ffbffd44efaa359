/*
 * base/arena: memory that is given back all at once.
 *
 * One arena per transaction, fork or waiting request. Allocations are 8-byte
 * aligned and live until arena_fini(). NULL when the system has no memory: the
 * handler answers 503. Not shared between threads.
 */
#ifndef MIDREG_BASE_ARENA_H
#define MIDREG_BASE_ARENA_H

#include "base/span.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *chunks;
};

static inline void arena_init(struct arena *a)
{
    a->chunks = NULL;
}

void arena_fini(struct arena *a);

/* `n` bytes, not cleared, or NULL. */
void *arena_alloc(struct arena *a, size_t n);

/* A copy of `s` that lives as long as the arena; {NULL, 0} without memory.
 * An empty span gives an empty span whose p is not NULL. */
struct span arena_copy(struct arena *a, struct span s);

/* Bytes taken from the system so far: bounds and tests look at it. */
size_t arena_size(const struct arena *a);

#endif

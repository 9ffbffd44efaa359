/*
 * base/arena: chunks in a list, the newest first; the newest is filled.
 *
 * Called by transactions, forks and waiting requests, on the thread that owns
 * the arena. Chunks grow with what is asked, so that one message costs one or
 * two calls of malloc. Never gives a single allocation back.
 */
#include "base/arena.h"

#include <stdlib.h>

#define ARENA_CHUNK_MIN 512
#define ARENA_CHUNK_MAX 8192

struct arena_chunk {
    struct arena_chunk *next;
    size_t used;
    size_t cap;
    uint64_t bytes[];
};

void arena_fini(struct arena *a)
{
    while (a->chunks) {
        struct arena_chunk *chunk = a->chunks;

        a->chunks = chunk->next;
        free(chunk);
    }
}

static struct arena_chunk *arena_grow(struct arena *a, size_t n)
{
    size_t cap = a->chunks ? a->chunks->cap * 2 : ARENA_CHUNK_MIN;
    struct arena_chunk *chunk;

    if (cap > ARENA_CHUNK_MAX)
        cap = ARENA_CHUNK_MAX;
    if (cap < n)
        cap = n;
    chunk = malloc(sizeof *chunk + cap);
    if (!chunk)
        return NULL;
    chunk->next = a->chunks;
    chunk->used = 0;
    chunk->cap = cap;
    a->chunks = chunk;
    return chunk;
}

void *arena_alloc(struct arena *a, size_t n)
{
    struct arena_chunk *chunk = a->chunks;
    void *p;

    if (n > SIZE_MAX / 2)
        return NULL;
    n = (n + 7) & ~(size_t)7;
    if (!chunk || n > chunk->cap - chunk->used) {
        chunk = arena_grow(a, n);
        if (!chunk)
            return NULL;
    }
    p = (char *)chunk->bytes + chunk->used;
    chunk->used += n;
    return p;
}

struct span arena_copy(struct arena *a, struct span s)
{
    char *p;

    if (s.n == 0)
        return SPAN("");
    p = arena_alloc(a, s.n);
    if (!p)
        return SPAN_NONE;
    memcpy(p, s.p, s.n);
    return span_make(p, s.n);
}

size_t arena_size(const struct arena *a)
{
    size_t n = 0;

    for (const struct arena_chunk *chunk = a->chunks; chunk; chunk = chunk->next)
        n += sizeof *chunk + chunk->cap;
    return n;
}

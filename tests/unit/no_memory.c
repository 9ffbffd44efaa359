/*
 * no_memory: see the header.
 */
#include "no_memory.h"

#include <stdlib.h>

static unsigned allocations;
static unsigned fail_at; /* 0: none fails */
static bool fail_on;
static void (*real_commit)(void *world, const struct flow *to, size_t n);

void *__real_malloc(size_t n);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *p, size_t n);
void *__wrap_malloc(size_t n);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *p, size_t n);

static bool fails(void)
{
    if (fail_at == 0)
        return false;
    allocations++;
    return fail_on ? allocations >= fail_at : allocations == fail_at;
}

void *__wrap_malloc(size_t n)
{
    return fails() ? NULL : __real_malloc(n);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : __real_calloc(n, size);
}

void *__wrap_realloc(void *p, size_t n)
{
    return fails() ? NULL : __real_realloc(p, n);
}

static void commit(void *world, const struct flow *to, size_t n)
{
    unsigned at = fail_at;

    fail_at = 0;
    real_commit(world, to, n);
    fail_at = at;
}

void no_memory_from(struct fake *f, unsigned at, bool on)
{
    real_commit = f->ports.datagram_commit;
    f->ports.datagram_commit = commit;
    allocations = 0;
    fail_on = on;
    fail_at = at;
}

bool no_memory_end(struct fake *f)
{
    bool failed = allocations >= fail_at;

    fail_at = 0;
    f->ports.datagram_commit = real_commit;
    return failed;
}

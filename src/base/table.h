/*
 * base/table: a hash table from 64-bit keys to pointers.
 *
 * Keys are keyed hashes already (base/hash.h), so no further hashing is done.
 * Open addressing, linear probing, grows and shrinks by itself, 16 bytes an entry. NULL is
 * no value. Iteration is in table order and only for shutdown and checks: no
 * decision may depend on it. Not shared between threads.
 */
#ifndef MIDREG_BASE_TABLE_H
#define MIDREG_BASE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct table_entry {
    uint64_t key;
    void *value;
};

struct table {
    struct table_entry *entries;
    size_t mask; /* capacity - 1; 0 before the first entry */
    size_t used;
};

void table_init(struct table *t);
void table_fini(struct table *t);

/* The value of `key`, or NULL. */
void *table_find(const struct table *t, uint64_t key);
/* Fetches what table_find() and table_put() will read, while the caller does other work. */
static inline void table_prefetch(const struct table *t, uint64_t key)
{
    if (t->entries)
        __builtin_prefetch(&t->entries[key & t->mask]);
}
/* Sets or replaces. False: no memory, nothing changed. */
bool table_put(struct table *t, uint64_t key, void *value);
/* The value that was removed, or NULL. */
void *table_remove(struct table *t, uint64_t key);
/* Empties it; what a burst took is given back. */
void table_clear(struct table *t);
/* The next entry's value at or after *at, which is moved on; NULL at the end. */
void *table_next(const struct table *t, size_t *at);
/*
 * A walk that goes on where it was although the table has changed meanwhile, also
 * in size: in the order of the keys' bits from the lowest to the highest. One step
 * looks at a few entries. *at: 0 to begin with; moved behind what was seen. *value:
 * the next one, or NULL where this step has found none. False: the end. What is
 * there from begin to end is seen once.
 */
bool table_walk(const struct table *t, uint64_t *at, void **value);
/* Likewise its key. False: the end. */
bool table_next_key(const struct table *t, size_t *at, uint64_t *key);

#endif

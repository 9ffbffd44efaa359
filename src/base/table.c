/*
 * base/table: open addressing with linear probing, at most three quarters full.
 *
 * Called by the location table and the transactions, on the core thread.
 * Removing shifts the followers back, so there are no graves and a search ends
 * at the first empty entry. Shrinks by half once less than an eighth is used, so
 * that what a burst took comes back; the smallest stays.
 */
#include "base/table.h"

#include <stdlib.h>
#include <string.h>

#define TABLE_MIN  64
#define TABLE_KEPT 4096 /* a larger one does not outlive its use */

void table_init(struct table *t)
{
    *t = (struct table){NULL, 0, 0};
}

void table_fini(struct table *t)
{
    free(t->entries);
    table_init(t);
}

/* The entry of `key`, or the empty one where it would go. */
static struct table_entry *table_seek(const struct table *t, uint64_t key)
{
    size_t i = (size_t)key & t->mask;

    while (t->entries[i].value && t->entries[i].key != key)
        i = (i + 1) & t->mask;
    return &t->entries[i];
}

void *table_find(const struct table *t, uint64_t key)
{
    return t->entries ? table_seek(t, key)->value : NULL;
}

static bool table_resize(struct table *t, size_t cap)
{
    struct table other = {calloc(cap, sizeof *other.entries), cap - 1, t->used};

    if (!other.entries)
        return false;
    for (size_t i = 0; t->entries && i <= t->mask; i++)
        if (t->entries[i].value)
            *table_seek(&other, t->entries[i].key) = t->entries[i];
    free(t->entries);
    *t = other;
    return true;
}

bool table_put(struct table *t, uint64_t key, void *value)
{
    struct table_entry *e = t->entries ? table_seek(t, key) : NULL;

    if (e && e->value) {
        e->value = value;
        return true;
    }
    if (!e || t->used + 1 > (t->mask + 1) / 4 * 3) {
        if (!table_resize(t, t->entries ? (t->mask + 1) * 2 : TABLE_MIN))
            return false;
        e = table_seek(t, key);
    }
    *e = (struct table_entry){key, value};
    t->used++;
    return true;
}

void *table_remove(struct table *t, uint64_t key)
{
    struct table_entry *gap = t->entries ? table_seek(t, key) : NULL;
    void *value = gap ? gap->value : NULL;

    if (!value)
        return NULL;
    for (size_t i = (size_t)(gap - t->entries);;) {
        struct table_entry *e;

        i = (i + 1) & t->mask;
        e = &t->entries[i];
        if (!e->value)
            break;
        /* It may fill the gap if the gap is not before its home. */
        if (((i - (size_t)e->key) & t->mask) >= ((i - (size_t)(gap - t->entries)) & t->mask)) {
            *gap = *e;
            gap = e;
        }
    }
    *gap = (struct table_entry){0, NULL};
    t->used--;
    if (t->mask >= TABLE_MIN && t->used < (t->mask + 1) / 8)
        (void)table_resize(t, (t->mask + 1) / 2); /* without memory it stays large */
    return value;
}

void table_clear(struct table *t)
{
    if (t->mask >= TABLE_KEPT) {
        table_fini(t);
        return;
    }
    if (t->used)
        memset(t->entries, 0, (t->mask + 1) * sizeof *t->entries);
    t->used = 0;
}

/* The next entry that is used, or NULL. */
static const struct table_entry *table_step(const struct table *t, size_t *at)
{
    while (t->entries && *at <= t->mask) {
        const struct table_entry *e = &t->entries[(*at)++];

        if (e->value)
            return e;
    }
    return NULL;
}

void *table_next(const struct table *t, size_t *at)
{
    const struct table_entry *e = table_step(t, at);

    return e ? e->value : NULL;
}

static uint64_t reverse(uint64_t v)
{
    v = (v >> 1 & 0x5555555555555555) | (v & 0x5555555555555555) << 1;
    v = (v >> 2 & 0x3333333333333333) | (v & 0x3333333333333333) << 2;
    v = (v >> 4 & 0x0f0f0f0f0f0f0f0f) | (v & 0x0f0f0f0f0f0f0f0f) << 4;
    return __builtin_bswap64(v);
}

/*
 * The home of a key are its lowest bits: reversed they are the highest, so all keys of
 * one home lie beside each other in this order, whatever the size of the table.
 */
bool table_walk(const struct table *t, uint64_t *at, void **value)
{
    size_t home = (size_t)reverse(*at) & t->mask;
    uint64_t best = UINT64_MAX;

    *value = NULL;
    if (!t->entries || *at == UINT64_MAX)
        return false;
    for (size_t i = home; t->entries[i].value; i = (i + 1) & t->mask) {
        uint64_t place = reverse(t->entries[i].key);

        if (((size_t)t->entries[i].key & t->mask) == home && place >= *at && place <= best) {
            best = place;
            *value = t->entries[i].value;
        }
    }
    if (!*value)
        best = *at | ~reverse(t->mask); /* the last place of this home */
    *at = best == UINT64_MAX ? best : best + 1;
    return true;
}

bool table_next_key(const struct table *t, size_t *at, uint64_t *key)
{
    const struct table_entry *e = table_step(t, at);

    if (e)
        *key = e->key;
    return e != NULL;
}

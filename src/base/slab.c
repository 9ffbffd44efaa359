/*
 * base/slab: pages of objects, each with a generation before it.
 *
 * Called by the transactions and the forks, on the core thread. A generation is
 * odd while its object lives and is raised at slab_new() and slab_free(), so a
 * stale handle, and generation 0, never fit. Pages are kept until slab_fini():
 * memory is bounded by the peak, and that by `max`. Under AddressSanitizer nobody
 * may touch what was freed.
 */
#include "base/slab.h"

#include <sanitizer/asan_interface.h> /* expands to nothing where it is not built in */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define SLAB_PAGE_OBJECTS 64

struct slab_head {
    uint32_t generation;
    uint32_t next_free; /* slot + 1; 0: the last */
};

struct slab_page {
    uint64_t bytes[1]; /* SLAB_PAGE_OBJECTS of {head, object} */
};

static size_t slab_step(const struct slab *s)
{
    return sizeof(struct slab_head) + s->object_size;
}

static struct slab_head *slab_head(const struct slab *s, uint32_t slot)
{
    char *page = (char *)s->pages[slot / SLAB_PAGE_OBJECTS];

    return (struct slab_head *)(void *)(page + slot % SLAB_PAGE_OBJECTS * slab_step(s));
}

void slab_init(struct slab *s, size_t object_size, uint32_t max)
{
    *s = (struct slab){.object_size = (object_size + 7) & ~(size_t)7, .max = max};
}

void slab_fini(struct slab *s)
{
    for (uint32_t i = 0; i < s->page_count; i++)
        free(s->pages[i]);
    free(s->pages);
    *s = (struct slab){.object_size = s->object_size, .max = s->max};
}

/* Room in the page directory doubles whenever the count is a power of two. */
static bool slab_directory(struct slab *s)
{
    uint32_t n = s->page_count;
    struct slab_page **pages;

    if (n & (n - 1))
        return true;
    pages = realloc(s->pages, (n ? (size_t)n * 2 : 1) * sizeof *pages);
    if (!pages)
        return false;
    s->pages = pages;
    return true;
}

static bool slab_grow(struct slab *s)
{
    uint32_t first = s->page_count * SLAB_PAGE_OBJECTS;
    struct slab_page *page;

    if (!slab_directory(s))
        return false;
    page = calloc(SLAB_PAGE_OBJECTS, slab_step(s));
    if (!page)
        return false;
    s->pages[s->page_count++] = page;
    for (uint32_t i = SLAB_PAGE_OBJECTS; i-- > 0;) {
        slab_head(s, first + i)->next_free = s->free_slot;
        s->free_slot = first + i + 1;
        ASAN_POISON_MEMORY_REGION(slab_head(s, first + i) + 1, s->object_size);
    }
    return true;
}

void *slab_new(struct slab *s, struct handle *out)
{
    struct slab_head *head;

    *out = HANDLE_NONE;
    if (s->used >= s->max || (s->free_slot == 0 && !slab_grow(s)))
        return NULL;
    out->slot = s->free_slot - 1;
    head = slab_head(s, out->slot);
    s->free_slot = head->next_free;
    s->used++;
    out->generation = ++head->generation;
    ASAN_UNPOISON_MEMORY_REGION(head + 1, s->object_size);
    memset(head + 1, 0, s->object_size);
    return head + 1;
}

void *slab_get(const struct slab *s, struct handle h)
{
    struct slab_head *head;

    if (!(h.generation & 1) || h.slot / SLAB_PAGE_OBJECTS >= s->page_count)
        return NULL;
    head = slab_head(s, h.slot);
    return head->generation == h.generation ? head + 1 : NULL;
}

void slab_free(struct slab *s, struct handle h)
{
    struct slab_head *head;

    if (!slab_get(s, h))
        return;
    head = slab_head(s, h.slot);
    head->generation++;
    head->next_free = s->free_slot;
    s->free_slot = h.slot + 1;
    s->used--;
    ASAN_POISON_MEMORY_REGION(head + 1, s->object_size);
}

void *slab_next(const struct slab *s, uint32_t from, struct handle *out)
{
    for (uint32_t slot = from; slot / SLAB_PAGE_OBJECTS < s->page_count; slot++) {
        struct slab_head *head = slab_head(s, slot);

        if (head->generation & 1) {
            *out = (struct handle){slot, head->generation};
            return head + 1;
        }
    }
    *out = HANDLE_NONE;
    return NULL;
}

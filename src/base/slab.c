/*
 * base/slab: pages of objects, each with a generation before it.
 *
 * Called by the transactions and the forks, on the core thread. A generation is
 * odd while its object lives and is raised at slab_new() and slab_free(), so a
 * stale handle, and generation 0, never fit; a page that comes back begins above
 * the highest it had. New objects come from the page that had room last. One empty
 * page is kept, so that load at an edge gives back and takes at most once in a
 * page of objects. Under AddressSanitizer nobody may touch what was freed.
 */
#include "base/slab.h"

#include <sanitizer/asan_interface.h> /* expands to nothing where it is not built in */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* So large that malloc maps it by itself, and free gives it back to the system
 * (M_MMAP_THRESHOLD, which run.c keeps from growing). */
#define SLAB_PAGE_BYTES ((size_t)128 * 1024)

struct slab_head {
    uint32_t generation;
    uint32_t next_free; /* in the page, index + 1; 0: the last */
};

struct slab_page {
    char *memory;    /* of {head, object}; NULL: given back */
    uint32_t next;   /* in the list it is in, page + 1; 0: the last */
    uint32_t prev;   /* of the roomy ones */
    uint32_t used;   /* objects that live */
    uint32_t fresh;  /* objects from here on were never touched */
    uint32_t freed;  /* those given back, index + 1; 0: none */
    uint32_t raised; /* generation of the fresh ones: even */
};

static size_t slab_step(const struct slab *s)
{
    return sizeof(struct slab_head) + s->object_size;
}

static struct slab_head *slab_at(const struct slab *s, const struct slab_page *page, uint32_t i)
{
    return (struct slab_head *)(void *)(page->memory + i * slab_step(s));
}

static struct slab_head *slab_head(const struct slab *s, uint32_t slot)
{
    uint32_t i = slot & ((1u << s->page_shift) - 1);
    const struct slab_page *page = &s->pages[slot >> s->page_shift];

    return i < page->fresh ? slab_at(s, page, i) : NULL;
}

void slab_init(struct slab *s, size_t object_size, uint32_t max)
{
    *s = (struct slab){.object_size = (object_size + 7) & ~(size_t)7, .max = max};
    while (slab_step(s) << s->page_shift < SLAB_PAGE_BYTES)
        s->page_shift++;
}

void slab_fini(struct slab *s)
{
    for (uint32_t i = 0; i < s->page_count; i++)
        free(s->pages[i].memory);
    free(s->pages);
    slab_init(s, s->object_size, s->max);
}

/* ---- pages ----------------------------------------------------------------- */

static void roomy_add(struct slab *s, uint32_t page)
{
    struct slab_page *p = &s->pages[page];

    p->prev = 0;
    p->next = s->roomy;
    if (s->roomy)
        s->pages[s->roomy - 1].prev = page + 1;
    s->roomy = page + 1;
}

static void roomy_remove(struct slab *s, uint32_t page)
{
    struct slab_page *p = &s->pages[page];

    if (p->prev)
        s->pages[p->prev - 1].next = p->next;
    else
        s->roomy = p->next;
    if (p->next)
        s->pages[p->next - 1].prev = p->prev;
}

/* A place in the directory; its room doubles whenever the count is a power of two. */
static bool page_place(struct slab *s)
{
    uint32_t n = s->page_count;
    struct slab_page *pages;

    if (s->unbacked)
        return true;
    if (!(n & (n - 1))) {
        pages = realloc(s->pages, (n ? (size_t)n * 2 : 1) * sizeof *pages);
        if (!pages)
            return false;
        s->pages = pages;
    }
    s->pages[n] = (struct slab_page){0};
    s->unbacked = ++s->page_count;
    return true;
}

/* Memory for a page. It is not touched, so the system gives it when it is used. */
static bool slab_grow(struct slab *s)
{
    size_t bytes = slab_step(s) << s->page_shift;
    uint32_t page;
    char *memory;

    if (!page_place(s))
        return false;
    memory = malloc(bytes);
    if (!memory)
        return false;
    ASAN_POISON_MEMORY_REGION(memory, bytes);
    page = s->unbacked - 1;
    s->unbacked = s->pages[page].next;
    s->pages[page].memory = memory;
    roomy_add(s, page);
    s->backed++;
    s->empty++;
    return true;
}

static void page_give_back(struct slab *s, uint32_t page)
{
    struct slab_page *p = &s->pages[page];

    for (uint32_t i = 0; i < p->fresh; i++)
        if (slab_at(s, p, i)->generation > p->raised)
            p->raised = slab_at(s, p, i)->generation;
    roomy_remove(s, page);
    free(p->memory);
    *p = (struct slab_page){.raised = p->raised, .next = s->unbacked};
    s->unbacked = page + 1;
    s->backed--;
}

/* ---- objects --------------------------------------------------------------- */

/* An object of a page that has room. */
static struct slab_head *page_take(struct slab *s, struct slab_page *p, uint32_t *index)
{
    struct slab_head *head;

    if (p->freed) {
        *index = p->freed - 1;
        head = slab_at(s, p, *index);
        p->freed = head->next_free;
        return head;
    }
    *index = p->fresh++;
    head = slab_at(s, p, *index);
    ASAN_UNPOISON_MEMORY_REGION(head, sizeof *head);
    head->generation = p->raised;
    return head;
}

void *slab_new(struct slab *s, struct handle *out)
{
    struct slab_head *head;
    struct slab_page *p;
    uint32_t page, index;

    *out = HANDLE_NONE;
    if (s->used >= s->max || (!s->roomy && !slab_grow(s)))
        return NULL;
    page = s->roomy - 1;
    p = &s->pages[page];
    head = page_take(s, p, &index);
    s->empty -= p->used == 0;
    if (++p->used >> s->page_shift)
        roomy_remove(s, page);
    s->used++;
    *out = (struct handle){(page << s->page_shift) + index, ++head->generation};
    ASAN_UNPOISON_MEMORY_REGION(head + 1, s->object_size);
    memset(head + 1, 0, s->object_size);
    return head + 1;
}

void *slab_get(const struct slab *s, struct handle h)
{
    struct slab_head *head;

    if (!(h.generation & 1) || h.slot >> s->page_shift >= s->page_count)
        return NULL;
    head = slab_head(s, h.slot);
    return head && head->generation == h.generation ? head + 1 : NULL;
}

void slab_free(struct slab *s, struct handle h)
{
    uint32_t page = h.slot >> s->page_shift;
    struct slab_head *head;
    struct slab_page *p;

    if (!slab_get(s, h))
        return;
    p = &s->pages[page];
    head = slab_head(s, h.slot);
    head->generation++;
    head->next_free = p->freed;
    p->freed = (h.slot & ((1u << s->page_shift) - 1)) + 1;
    ASAN_POISON_MEMORY_REGION(head + 1, s->object_size);
    s->used--;
    if (p->used-- >> s->page_shift)
        roomy_add(s, page);
    if (p->used)
        return;
    if (s->empty)
        page_give_back(s, page);
    else
        s->empty = 1;
}

void *slab_next(const struct slab *s, uint32_t from, struct handle *out)
{
    for (uint32_t slot = from; slot >> s->page_shift < s->page_count; slot++) {
        struct slab_head *head = slab_head(s, slot);

        if (head && head->generation & 1) {
            *out = (struct handle){slot, head->generation};
            return head + 1;
        }
    }
    *out = HANDLE_NONE;
    return NULL;
}

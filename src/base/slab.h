/*
 * base/slab: objects of one size with handles that know when they are stale.
 *
 * A handle is {slot, generation}: slab_get() gives NULL once the object was
 * freed, though its memory serves another by then. Objects never move. The
 * number of objects is bounded by `max`: slab_new() gives NULL beyond it, or
 * without memory. Memory comes in pages of 128 KiB or more; an empty one goes back,
 * but for one that is kept. Not shared between threads.
 */
#ifndef MIDREG_BASE_SLAB_H
#define MIDREG_BASE_SLAB_H

#include <stddef.h>
#include <stdint.h>

struct handle {
    uint32_t slot;
    uint32_t generation; /* 0: no object */
};

#define HANDLE_NONE ((struct handle){0, 0})

struct slab_page;

struct slab {
    struct slab_page *pages; /* a directory, which never shrinks: 32 bytes a page */
    uint32_t page_count;
    uint32_t page_shift; /* objects of a page: 1 << page_shift */
    uint32_t roomy;      /* the list of pages with room, page + 1; 0: empty */
    uint32_t unbacked;   /* the list of pages without memory, page + 1; 0: empty */
    uint32_t backed;     /* pages with memory */
    uint32_t empty;      /* of these, pages without an object: 0 or 1 */
    uint32_t used;
    uint32_t max;
    size_t object_size;
};

/* `object_size` in bytes, `max` objects at the most. Allocates nothing yet. */
void slab_init(struct slab *s, size_t object_size, uint32_t max);
void slab_fini(struct slab *s);

/* A cleared object and its handle, or NULL. */
void *slab_new(struct slab *s, struct handle *out);
/* The object of this handle, or NULL when it is gone. */
void *slab_get(const struct slab *s, struct handle h);
/* Ends the object; its handle becomes stale. A stale handle is ignored. */
void slab_free(struct slab *s, struct handle h);

/* The first live object at or after slot `from`, in slot order (deterministic);
 * NULL at the end. The next search starts at out->slot + 1. */
void *slab_next(const struct slab *s, uint32_t from, struct handle *out);

static inline uint64_t handle_pack(struct handle h)
{
    return (uint64_t)h.generation << 32 | h.slot;
}

static inline struct handle handle_unpack(uint64_t v)
{
    return (struct handle){(uint32_t)v, (uint32_t)(v >> 32)};
}

#endif

/* disk: see the header. */
#include "disk.h"

#include <stdlib.h>

void disk_init(struct disk *d)
{
    *d = (struct disk){0};
    table_init(&d->images);
}

void disk_fini(struct disk *d)
{
    size_t at = 0;
    void *image;

    while ((image = table_next(&d->images, &at)))
        free(image);
    table_fini(&d->images);
}

static void put(struct disk *d, uint64_t hash, const struct aor *a)
{
    struct aor *copy = malloc(a->size);

    if (!copy)
        abort();
    memcpy(copy, a, a->size);
    free(table_find(&d->images, hash));
    if (!table_put(&d->images, hash, copy))
        abort();
}

void disk_write(struct disk *d, struct span batch)
{
    const struct image_entry *e;

    while ((e = image_next(&batch))) {
        if (e->kind == IMAGE_LOST)
            d->lost |= UINT32_C(1) << e->hash;
        else if (e->kind == IMAGE_KNOWN)
            d->lost &= ~(UINT32_C(1) << e->hash);
        else if (e->kind != IMAGE_AOR)
            continue; /* nobody here has an event socket, or a name */
        else if (image_record(e))
            put(d, e->hash, image_record(e));
        else
            free(table_remove(&d->images, e->hash));
    }
}

const struct aor *disk_find(const struct disk *d, uint64_t hash)
{
    return table_find(&d->images, hash);
}

const struct aor *disk_next(const struct disk *d, size_t *at)
{
    return table_next(&d->images, at);
}

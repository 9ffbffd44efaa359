/*
 * location/image: see the header.
 *
 * Called by the journal on the core thread (writing) and by the store's backend on
 * its own (reading). Allocates nothing.
 */
#include "location/image.h"

#define ENTRY sizeof(struct image_entry)

size_t image_room(const struct aor *a)
{
    return ENTRY + (a ? a->size : 0);
}

/* From the machine's clock to the wall's; 0 stays 0, which means "none". */
static uint64_t on_the_wall(uint64_t ms, int64_t ahead_ms)
{
    return ms ? (uint64_t)((int64_t)ms + ahead_ms) : 0;
}

static void put_binding(struct binding *to, const struct binding *from, int64_t ahead_ms)
{
    memcpy(to, from, binding_size(from));
    to->expires_ms = on_the_wall(from->expires_ms, ahead_ms);
    to->proved_ms = on_the_wall(from->proved_ms, ahead_ms);
}

static void put_lease(struct lease *l, int64_t ahead_ms)
{
    l->next_ms = 0;
    l->stale = 0;
    l->refused_in = 0;
    l->until_ms = on_the_wall(l->until_ms, ahead_ms);
    l->may_ms = on_the_wall(l->may_ms, ahead_ms);
}

size_t image_put(const struct runtime *rt, char *at, uint64_t hash, const struct aor *a)
{
    struct image_entry *e = (struct image_entry *)(void *)at;
    const struct ports *ports = rt->ports;
    int64_t ahead_ms = (int64_t)(ports->wall_s(ports->world) * 1000) - (int64_t)rt->now_ms;
    struct aor *copy = (struct aor *)(void *)(e + 1);
    size_t n;

    *e = (struct image_entry){.hash = hash, .kind = IMAGE_AOR};
    if (!a)
        return ENTRY;
    n = aor_head_size(a);
    memcpy(copy, a, n);
    memset(&copy->timer, 0, sizeof copy->timer);
    copy->busy = 0;
    for (unsigned i = 0; i <= copy->further; i++)
        put_lease(aor_lease(copy, i), ahead_ms);
    for (const struct binding *b = aor_first(a); b; b = aor_next(a, b)) {
        put_binding((struct binding *)(void *)((char *)copy + n), b, ahead_ms);
        n += binding_size(b);
    }
    copy->size = (uint32_t)n;
    e->size = (uint32_t)n;
    return ENTRY + n;
}

size_t image_put_lost(char *at, unsigned upstream, bool lost)
{
    struct image_entry *e = (struct image_entry *)(void *)at;

    *e = (struct image_entry){.hash = upstream, .kind = lost ? IMAGE_LOST : IMAGE_KNOWN};
    return ENTRY;
}

size_t image_put_text(char *at, unsigned upstream, enum image_kind kind, struct span text)
{
    struct image_entry *e = (struct image_entry *)(void *)at;

    *e = (struct image_entry){.hash = upstream, .size = IMAGE_TEXT_MAX, .kind = kind};
    memset(e + 1, 0, IMAGE_TEXT_MAX);
    memcpy(e + 1, text.p, text.n);
    return ENTRY + IMAGE_TEXT_MAX;
}

const struct image_entry *image_next(struct span *batch)
{
    const struct image_entry *e = (const struct image_entry *)(const void *)batch->p;

    if (batch->n < ENTRY)
        return NULL;
    *batch = span_make(batch->p + ENTRY + e->size, batch->n - ENTRY - e->size);
    return e;
}

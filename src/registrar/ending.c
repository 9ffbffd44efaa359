/*
 * registrar/ending: see the header.
 *
 * Called by lease.c, and when the journal has got further, on the core thread.
 */
#include "registrar/ending.h"

#include "registrar/lease.h"

void endings_init(struct registrar *r)
{
    slab_init(&r->endings, sizeof(struct ending), ENDINGS_MAX);
}

void endings_fini(struct registrar *r)
{
    slab_fini(&r->endings);
}

/* Where there is no room it is looked at again when the journal has given up waiting. */
static void wait_for(struct registrar *r, const struct aor *a, struct lease *l)
{
    struct handle handle;
    struct ending *e = slab_new(&r->endings, &handle);

    l->next_ms = r->rt->now_ms + JOURNAL_STALL_MS;
    if (!e)
        return;
    *e = (struct ending){handle, NULL, a->hash, a->sequence, l->upstream};
    if (r->endings_last)
        r->endings_last->next = e;
    else
        r->endings_first = e;
    r->endings_last = e;
}

bool ending_is_stored(struct registrar *r, struct aor *a, struct lease *l)
{
    if (lease_held(l, r->rt->now_ms)) {
        l->until_ms = r->rt->now_ms;
        journal_change(r->with.journal, a);
    }
    if (journal_is_durable(r->with.journal, a->sequence))
        return true;
    if (l->next_ms <= r->rt->now_ms)
        wait_for(r, a, l);
    return false;
}

static void settle(struct registrar *r, const struct ending *e)
{
    struct aor *a = location_find(r->with.location, e->hash);
    struct lease *l = a ? aor_lease_at(a, e->upstream) : NULL;

    if (!l)
        return;
    l->next_ms = 0;
    lease_settle(r, e->hash);
}

void endings_durable(struct registrar *r)
{
    struct ending *first;

    while ((first = r->endings_first) && journal_is_durable(r->with.journal, first->sequence)) {
        struct ending e = *first;

        r->endings_first = e.next;
        if (!r->endings_first)
            r->endings_last = NULL;
        slab_free(&r->endings, e.handle);
        settle(r, &e);
    }
}

/*
 * location/location: the table of records, and the only code that shapes them.
 *
 * Called by the registrar (changes) and the proxy (reads), on the core thread.
 * A record that grows is built anew and the old one freed last, so a spec may
 * hold texts of the very record that it changes. Removing never allocates and
 * never fails. Never blocks, never logs, never arms a timer.
 */
#include "location/location.h"

#include <stdlib.h>

#define TEXT_MAX UINT16_MAX

void location_init(struct location *l, struct runtime *rt)
{
    *l = (struct location){.rt = rt};
    table_init(&l->aors);
    flows_init(&l->flows);
    news_init(&l->news);
}

void location_fini(struct location *l)
{
    struct aor *a;
    size_t at = 0;

    while ((a = table_next(&l->aors, &at))) {
        wheel_disarm(&l->rt->wheel, &a->timer);
        free(a);
    }
    table_fini(&l->aors);
    flows_fini(&l->flows);
    news_fini(&l->news);
    l->bindings = 0;
    l->bytes = 0;
}

uint64_t location_hash(const struct location *l, struct span aor)
{
    return hash64(&l->rt->hasher, aor);
}

struct aor *location_find(const struct location *l, uint64_t hash)
{
    return table_find(&l->aors, hash);
}

/*
 * Ids begin anywhere: a record that is made again, after its AOR was gone or
 * midreg was restarted, must not give an id that a fork or a dialog's flow token
 * still holds: it would lead to another phone.
 */
static uint32_t first_binding_id(struct location *l)
{
    return 1 + runtime_random(l->rt, UINT32_MAX / 2);
}

static struct aor *aor_new(struct location *l, uint64_t hash, struct span aor, struct span to_uri)
{
    size_t size = record_pad(sizeof(struct aor) + aor.n + to_uri.n);
    struct aor *a = calloc(1, size);

    if (!a)
        return NULL;
    a->hash = hash;
    a->size = (uint32_t)size;
    a->next_binding_id = first_binding_id(l);
    a->text_n = (uint16_t)aor.n;
    a->to_n = (uint16_t)to_uri.n;
    if (aor.n)
        memcpy(a + 1, aor.p, aor.n);
    if (to_uri.n)
        memcpy((char *)(a + 1) + aor.n, to_uri.p, to_uri.n);
    return a;
}

enum location_added location_ensure(struct location *l, struct span aor, struct span to_uri,
                                    struct aor **out)
{
    uint64_t hash = location_hash(l, aor);
    struct aor *a = location_find(l, hash);

    *out = NULL;
    if (a) {
        if (!span_eq(aor_text(a), aor))
            return LOCATION_COLLISION;
        *out = a;
        return LOCATION_OK;
    }
    if (span_eq(to_uri, aor))
        to_uri = SPAN_NONE; /* most phones write it canonically: kept once */
    if (aor.n > TEXT_MAX || to_uri.n > TEXT_MAX)
        return LOCATION_NO_MEMORY;
    a = aor_new(l, hash, aor, to_uri);
    if (!a || !table_put(&l->aors, hash, a)) {
        free(a);
        return LOCATION_NO_MEMORY;
    }
    l->bytes += a->size;
    *out = a;
    return LOCATION_OK;
}

/* ---- stored records --------------------------------------------------------- */

/* From the wall's clock to the machine's; what was before its start is long over. */
static uint64_t on_our_clock(uint64_t wall_ms, int64_t ahead_ms)
{
    int64_t ms = (int64_t)wall_ms - ahead_ms;

    if (wall_ms == 0)
        return 0;
    return ms > 1 ? (uint64_t)ms : 1;
}

static void restore_binding(struct binding *b, int64_t ahead_ms)
{
    b->expires_ms = on_our_clock(b->expires_ms, ahead_ms);
    b->proved_ms = on_our_clock(b->proved_ms, ahead_ms);
    if (transport_is_stream(b->flow.transport)) {
        b->flow.connection = 0; /* no connection bears this number */
        b->flags |= BINDING_UNREACHABLE;
    }
}

static bool counts(const struct binding *b)
{
    return !(b->flags & BINDING_TOMBSTONE);
}

struct aor *location_restore(struct location *l, const struct aor *image)
{
    const struct ports *ports = l->rt->ports;
    int64_t ahead_ms = (int64_t)(ports->wall_s(ports->world) * 1000) - (int64_t)l->rt->now_ms;
    struct aor *a;

    table_prefetch(&l->aors, image->hash);
    a = malloc(image->size);
    if (!a)
        return NULL;
    memcpy(a, image, image->size);
    if (location_find(l, a->hash)) {
        free(a);
        return NULL;
    }
    memset(&a->timer, 0, sizeof a->timer);
    a->sequence = 0;
    for (unsigned i = 0; i <= a->further; i++) {
        struct lease *lease = aor_lease(a, i);

        lease->until_ms = on_our_clock(lease->until_ms, ahead_ms);
        lease->may_ms = on_our_clock(lease->may_ms, ahead_ms);
    }
    if (!table_put(&l->aors, a->hash, a)) {
        free(a);
        return NULL;
    }
    for (struct binding *b = aor_first(a); b; b = aor_next(a, b)) {
        restore_binding(b, ahead_ms);
        l->bindings += counts(b);
    }
    l->bytes += a->size;
    return a;
}

/* ---- the shape of a record ------------------------------------------------ */

static char *put_text(char *at, struct span text)
{
    if (text.n)
        memcpy(at, text.p, text.n);
    return at + text.n;
}

static void binding_write(struct binding *b, uint32_t id, const struct binding_spec *spec,
                          size_t size)
{
    char *end = (char *)b + size;
    char *at = (char *)(b + 1);

    *b = (struct binding){
        .expires_ms = spec->expires_ms,
        .proved_ms = spec->proved_ms,
        .flow = spec->flow,
        .granted_s = spec->granted_s,
        .cseq = spec->cseq,
        .id = id,
        .q = spec->q,
        .uri_n = (uint16_t)spec->uri.n,
        .params_n = (uint16_t)spec->params.n,
        .call_id_n = (uint16_t)spec->call_id.n,
        .path_n = (uint16_t)spec->path.n,
        .flags = spec->flags & 15,
        .restart_s = spec->restart_s,
        .q_given = spec->q_given,
    };
    at = put_text(at, spec->uri);
    at = put_text(at, spec->params);
    at = put_text(at, spec->call_id);
    at = put_text(at, spec->path);
    memset(at, 0, (size_t)(end - at));
}

/*
 * A new record in which `old_n` bytes at `offset` (a binding, or nothing) have
 * made room for the binding of `spec`. NULL: no memory, nothing has changed.
 */
static struct binding *record_rebuild(struct location *l, struct aor **record, size_t offset,
                                      size_t old_n, uint32_t id, const struct binding_spec *spec)
{
    struct aor *old = *record;
    size_t n = record_pad(sizeof(struct binding) + spec->uri.n + spec->params.n + spec->call_id.n +
                          spec->path.n);
    size_t size = old->size - old_n + n;
    struct aor *a;
    struct binding *b;

    if (spec->uri.n > TEXT_MAX || spec->params.n > TEXT_MAX || spec->call_id.n > TEXT_MAX ||
        spec->path.n > TEXT_MAX || size > UINT32_MAX)
        return NULL;
    a = malloc(size);
    if (!a)
        return NULL;
    memcpy(a, old, offset);
    b = (struct binding *)(void *)((char *)a + offset);
    binding_write(b, id, spec, n);
    memcpy((char *)b + n, (const char *)old + offset + old_n, old->size - offset - old_n);
    a->size = (uint32_t)size;
    wheel_moved(&a->timer);
    table_put(&l->aors, a->hash, a); /* replaces: needs no memory */
    l->bytes += size - old->size;
    l->bindings += counts(b);
    /* Without memory for the note, expiry ends the binding instead of the close. */
    (void)flows_note(&l->flows, &b->flow, a->hash);
    *record = a;
    free(old);
    return b;
}

struct binding *location_bind(struct location *l, struct aor **a, const struct binding_spec *spec)
{
    struct binding *b;

    if ((*a)->bindings == UINT16_MAX)
        return NULL;
    b = record_rebuild(l, a, (*a)->size, 0, (*a)->next_binding_id, spec);
    if (b) {
        (*a)->next_binding_id++;
        (*a)->bindings++;
    }
    return b;
}

struct binding *location_rebind(struct location *l, struct aor **a, uint32_t id,
                                const struct binding_spec *spec)
{
    struct binding *old = location_binding(*a, id);
    bool counted = old && counts(old);
    struct binding *b;

    if (!old)
        return NULL;
    b = record_rebuild(l, a, (size_t)((char *)old - (char *)*a), binding_size(old), id, spec);
    if (b)
        l->bindings -= counted;
    return b;
}

bool location_bury(struct location *l, struct aor *a, uint32_t id, uint32_t cseq, uint64_t until_ms)
{
    struct binding *b = location_binding(a, id);

    if (!b)
        return false;
    l->bindings -= counts(b);
    b->flags |= BINDING_TOMBSTONE;
    b->cseq = cseq;
    b->expires_ms = until_ms;
    return true;
}

/* Gives back what is behind the first `size` bytes. Returns the record. */
static struct aor *shrink(struct location *l, struct aor *a, uint32_t size)
{
    struct aor *smaller;

    a->size = size;
    smaller = realloc(a, size);
    if (!smaller)
        return a; /* it could not be made smaller: it stays where it is */
    wheel_moved(&smaller->timer);
    table_put(&l->aors, smaller->hash, smaller);
    return smaller;
}

void location_unbind(struct location *l, struct aor **record, uint32_t id)
{
    struct aor *a = *record;
    struct binding *b = location_binding(a, id);
    size_t n;
    char *after;

    if (!b)
        return;
    n = binding_size(b);
    after = (char *)b + n;
    l->bindings -= counts(b);
    l->bytes -= n;
    memmove(b, after, (size_t)((char *)a + a->size - after));
    a->bindings--;
    *record = shrink(l, a, a->size - (uint32_t)n);
}

/* ---- leases at other main registrars --------------------------------------- */

struct lease *location_add_lease(struct location *l, struct aor **record, unsigned upstream)
{
    struct aor *old = *record;
    size_t head = aor_head_size(old);
    struct aor *a = malloc(old->size + sizeof(struct lease));
    struct lease *added;

    if (!a)
        return NULL;
    memcpy(a, old, head);
    added = (struct lease *)((uintptr_t)a + head);
    *added = (struct lease){.upstream = (uint8_t)upstream};
    memcpy(added + 1, (const char *)old + head, old->size - head);
    a->size = old->size + (uint32_t)sizeof(struct lease);
    a->further++;
    wheel_moved(&a->timer);
    table_put(&l->aors, a->hash, a); /* replaces: needs no memory */
    l->bytes += sizeof(struct lease);
    *record = a;
    free(old);
    return added;
}

void location_drop_lease(struct location *l, struct aor **record, unsigned upstream)
{
    struct aor *a = *record;
    struct lease *lease = aor_lease_at(a, upstream);

    if (!lease || lease == &a->lease)
        return;
    memmove(lease, lease + 1, (size_t)((uintptr_t)a + a->size - (uintptr_t)(lease + 1)));
    a->further--;
    l->bytes -= sizeof(struct lease);
    *record = shrink(l, a, a->size - (uint32_t)sizeof(struct lease));
}

struct binding *location_binding(const struct aor *a, uint32_t id)
{
    for (struct binding *b = aor_first(a); b; b = aor_next(a, b))
        if (b->id == id)
            return b;
    return NULL;
}

void location_delete(struct location *l, struct aor *a)
{
    for (const struct binding *b = aor_first(a); b; b = aor_next(a, b))
        l->bindings -= counts(b);
    l->bytes -= a->size;
    news_add(&l->news, a->hash, 0);
    wheel_disarm(&l->rt->wheel, &a->timer);
    table_remove(&l->aors, a->hash);
    free(a);
}

struct aor *location_next(const struct location *l, size_t *at)
{
    return table_next(&l->aors, at);
}

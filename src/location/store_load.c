/*
 * location/store_load: reads the file back.
 *
 * Called by run.c on the main thread, before any socket is open. Two cursors run
 * side by side, both in the order of the AORs' ids. A row that makes no sense, as
 * somebody else may have written it, is counted and left out.
 */
#include "location/store_inside.h"

#include <stdlib.h>

static const char aors_sql[] = "SELECT id, aor, to_uri, next_binding, lease_until, lease_may,"
                               " lease_granted, lease_cseq, lease_means FROM aor ORDER BY id";
static const char bindings_sql[] = "SELECT aor, id, contact, params, call_id, cseq, path, q, "
                                   "granted, restart, expires, proved, transport,"
                                   " peer, listener, flags FROM binding ORDER BY aor, id";

struct load {
    struct store *s;
    sqlite3_stmt *aors;
    sqlite3_stmt *bindings;
    int bindings_rc; /* SQLITE_ROW: the cursor stands on one */
    struct store_loaded *loaded;
    size_t n; /* of the record so far */
};

static struct span text_at(sqlite3_stmt *st, int column)
{
    const char *p = (const char *)sqlite3_column_text(st, column);

    return p ? span_make(p, (size_t)sqlite3_column_bytes(st, column)) : SPAN_NONE;
}

static uint64_t time_at(sqlite3_stmt *st, int column)
{
    sqlite3_int64 s = sqlite3_column_int64(st, column);

    return s > 0 ? (uint64_t)s * 1000 & UINT64_C(0x7ffffffffff) : 0;
}

static uint32_t number_at(sqlite3_stmt *st, int column)
{
    return (uint32_t)sqlite3_column_int64(st, column);
}

/* Room for `n` more bytes of the record, zeroed; NULL: no memory. */
static char *more(struct load *l, size_t n)
{
    struct store *s = l->s;
    char *at;

    if (l->n + n > s->record_room) {
        size_t room = (l->n + n) * 2;
        char *larger = realloc(s->record, room);

        if (!larger)
            return NULL;
        s->record = larger;
        s->record_room = room;
    }
    at = s->record + l->n;
    memset(at, 0, n);
    l->n += n;
    return at;
}

static char *put_text(char *at, struct span text)
{
    if (text.n)
        memcpy(at, text.p, text.n);
    return at + text.n;
}

static bool read_aor(struct load *l)
{
    sqlite3_stmt *st = l->aors;
    struct span aor = text_at(st, 1);
    struct span to = text_at(st, 2);
    struct aor *a;

    l->n = 0;
    if (aor.n == 0 || aor.n > UINT16_MAX || to.n > UINT16_MAX)
        return false;
    a = (struct aor *)(void *)more(l, record_pad(sizeof *a + aor.n + to.n));
    if (!a)
        return false;
    a->text_n = (uint16_t)aor.n;
    a->to_n = (uint16_t)to.n;
    a->next_binding_id = number_at(st, 3);
    a->lease.until_ms = time_at(st, 4);
    a->lease.may_ms = time_at(st, 5);
    a->lease.granted_s = number_at(st, 6);
    a->lease.cseq = number_at(st, 7);
    a->lease.means = (uint8_t)sqlite3_column_int(st, 8);
    if (a->lease.means > MEANS_NONE)
        a->lease.means = MEANS_UNKNOWN;
    put_text(put_text((char *)(a + 1), aor), to);
    return true;
}

static bool transport_of(struct span name, uint8_t *out)
{
    for (int t = TRANSPORT_UDP; t <= TRANSPORT_WSS; t++) {
        if (span_eq(name, span_of(transport_name((enum transport)t)))) {
            *out = (uint8_t)t;
            return true;
        }
    }
    return false;
}

/* False: there is no such listener any more, and so no way to the phone. */
static bool listener_of(const struct store_listeners *all, struct span name, uint8_t *out)
{
    for (unsigned i = 0; i < all->count; i++) {
        if (span_eq(name, span_of(all->names[i]))) {
            *out = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static bool read_flow(struct load *l, struct flow *flow, uint8_t *flags)
{
    sqlite3_stmt *st = l->bindings;

    memset(flow, 0, sizeof *flow);
    if (!transport_of(text_at(st, 12), &flow->transport) ||
        !address_parse(text_at(st, 13), 0, &flow->peer))
        return false;
    if (!listener_of(l->s->listeners, text_at(st, 14), &flow->listener))
        *flags |= BINDING_UNREACHABLE;
    return true;
}

static bool read_binding(struct load *l)
{
    sqlite3_stmt *st = l->bindings;
    struct span uri = text_at(st, 2), params = text_at(st, 3), call_id = text_at(st, 4),
                path = text_at(st, 6);
    size_t before = l->n;
    struct binding *b;
    struct flow flow;
    uint8_t flags = (uint8_t)(sqlite3_column_int(st, 15) & BINDING_FLOW_PROVED);
    char *at;

    if (uri.n == 0 || uri.n > UINT16_MAX || params.n > UINT16_MAX || call_id.n > UINT16_MAX ||
        path.n > UINT16_MAX || !read_flow(l, &flow, &flags))
        return false;
    b = (struct binding *)(void *)more(
        l, record_pad(sizeof *b + uri.n + params.n + call_id.n + path.n));
    if (!b)
        return false;
    b->id = number_at(st, 1);
    b->cseq = number_at(st, 5);
    b->q_given = sqlite3_column_type(st, 7) != SQLITE_NULL;
    b->q = b->q_given ? (uint16_t)(number_at(st, 7) % 1001) : 1000;
    b->granted_s = number_at(st, 8);
    b->restart_s = (uint16_t)number_at(st, 9);
    b->expires_ms = time_at(st, 10);
    b->proved_ms = time_at(st, 11);
    b->flow = flow;
    b->flags = flags;
    b->uri_n = (uint16_t)uri.n;
    b->params_n = (uint16_t)params.n;
    b->call_id_n = (uint16_t)call_id.n;
    b->path_n = (uint16_t)path.n;
    at = put_text((char *)(b + 1), uri);
    at = put_text(at, params);
    at = put_text(at, call_id);
    put_text(at, path);
    ((struct aor *)(void *)l->s->record)->bindings++;
    return l->n > before;
}

static void next_binding(struct load *l)
{
    l->bindings_rc = sqlite3_step(l->bindings);
}

/* The bindings of this AOR; those of none, before it, are left out. */
static void read_bindings(struct load *l, sqlite3_int64 id)
{
    for (; l->bindings_rc == SQLITE_ROW; next_binding(l)) {
        sqlite3_int64 of = sqlite3_column_int64(l->bindings, 0);

        if (of > id)
            return;
        if (of == id && read_binding(l))
            l->loaded->bindings++;
        else
            l->loaded->refused++;
    }
}

static int read_all(struct load *l, bool (*take)(void *self, const struct aor *image), void *self)
{
    int rc;

    next_binding(l);
    while ((rc = sqlite3_step(l->aors)) == SQLITE_ROW) {
        struct aor *a;

        if (!read_aor(l)) {
            l->loaded->refused++;
            continue;
        }
        read_bindings(l, sqlite3_column_int64(l->aors, 0));
        a = (struct aor *)(void *)l->s->record;
        a->size = (uint32_t)l->n;
        if (take(self, a))
            l->loaded->aors++;
        else
            l->loaded->refused++;
    }
    if (rc != SQLITE_DONE)
        return rc;
    return l->bindings_rc == SQLITE_ROW ? SQLITE_DONE : l->bindings_rc;
}

bool store_load(struct store *s, bool (*take)(void *self, const struct aor *image), void *self,
                struct store_loaded *loaded, FILE *errors)
{
    struct load l = {.s = s, .loaded = loaded};
    int rc;

    *loaded = (struct store_loaded){0, 0, 0};
    rc = sqlite3_prepare_v2(s->db, aors_sql, -1, &l.aors, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(s->db, bindings_sql, -1, &l.bindings, NULL);
    if (rc == SQLITE_OK)
        rc = read_all(&l, take, self);
    sqlite3_finalize(l.aors);
    sqlite3_finalize(l.bindings);
    free(s->record);
    s->record = NULL;
    s->record_room = 0;
    if (rc == SQLITE_DONE)
        return true;
    fprintf(errors, "store %s cannot be read: %s\n", s->path, sqlite3_errstr(rc));
    return false;
}

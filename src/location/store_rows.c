/*
 * location/store_rows: reads AORs, their leases and bindings side by side, in the order of the ids.
 *
 * Called by store_load.c, on its thread. SQLite gives each row to a function of ours
 * at once (`take_aor`, `take_binding`): to ask for its columns one by one costs half
 * as much again, and a million rows are loaded while nobody is served. A row that
 * makes no sense, as somebody else may have written it, is counted and left out.
 */
#include "location/store_rows.h"

#include <stdlib.h>

enum { AOR_COLUMNS = 10, BINDING_COLUMNS = 16, LEASE_COLUMNS = 7 };

static const char aors_sql[] =
    "SELECT take_aor(id, aor, to_uri, next_binding, lease_until, lease_may,"
    " lease_granted, lease_cseq, lease_means, lease_upstream) FROM aor ORDER BY id";
static const char leases_sql[] =
    "SELECT take_lease(aor, upstream, until, may, granted, cseq, means)"
    " FROM lease ORDER BY aor, upstream";
static const char bindings_sql[] =
    "SELECT take_binding(aor, id, contact, params, call_id, cseq, path, q,"
    " granted, restart, expires, proved, transport, peer, listener, flags)"
    " FROM binding ORDER BY aor, id";

#define BINDING_MOST (sizeof(struct binding) + 4 * (size_t)UINT16_MAX + 8)
#define CHUNK_FIRST  4096

struct rows {
    struct store *s;
    sqlite3_stmt *aors;
    sqlite3_stmt *bindings;
    sqlite3_stmt *leases;
    struct chunk *out; /* of this rows_read() */
    size_t from;       /* where its record begins there */
    sqlite3_int64 id;  /* of the AOR that was read last */
    bool aor_good;     /* and is it in the chunk? */
    bool out_of_memory;
    int bindings_rc;          /* SQLITE_ROW: `binding` is one that no AOR has had yet */
    sqlite3_int64 binding_of; /* the AOR's id */
    size_t binding_n;         /* 0: it makes no sense */
    char *binding;            /* BINDING_MOST bytes */
    int leases_rc;            /* the same for `lease` */
    sqlite3_int64 lease_of;
    bool lease_good;
    struct lease lease;
    uint64_t read;
    uint64_t refused;
};

static struct span text_at(sqlite3_value **row, int column)
{
    /* As a text it would be copied, to end with a 0. */
    const char *p = sqlite3_value_blob(row[column]);

    return p ? span_make(p, (size_t)sqlite3_value_bytes(row[column])) : SPAN_NONE;
}

static uint64_t time_at(sqlite3_value **row, int column)
{
    sqlite3_int64 s = sqlite3_value_int64(row[column]);

    return s > 0 ? (uint64_t)s * 1000 & UINT64_C(0x7ffffffffff) : 0;
}

static uint32_t number_at(sqlite3_value **row, int column)
{
    return (uint32_t)sqlite3_value_int64(row[column]);
}

static char *put_text(char *at, struct span text)
{
    if (text.n)
        memcpy(at, text.p, text.n);
    return at + text.n;
}

/* Room for `n` more bytes of the record; NULL: no memory. */
static char *more(struct rows *r, size_t n)
{
    struct chunk *c = r->out;
    char *at;

    if (c->n + n > c->room) {
        size_t room = c->room ? c->room * 2 : CHUNK_FIRST;
        char *larger;

        while (room < c->n + n)
            room *= 2;
        larger = realloc(c->at, room);
        if (!larger) {
            r->out_of_memory = true;
            return NULL;
        }
        c->at = larger;
        c->room = room;
    }
    at = c->at + c->n;
    c->n += n;
    return at;
}

static struct aor *record_of(const struct rows *r)
{
    return (struct aor *)(void *)(r->out->at + r->from);
}

/* ---- one row -------------------------------------------------------------------- */

/* Its columns from `at` on are until, may, granted, cseq and means. False: it is of a main
 * registrar that is not in the configuration any more. */
static bool read_lease(struct rows *r, sqlite3_value **row, int at, int upstream, struct lease *l)
{
    uint8_t index;
    bool known = store_upstream(r->s, upstream, &index);

    *l = (struct lease){.upstream = index};
    if (!known)
        return false;
    l->until_ms = time_at(row, at);
    l->may_ms = time_at(row, at + 1);
    l->granted_s = number_at(row, at + 2);
    l->cseq = number_at(row, at + 3);
    l->means = (uint8_t)sqlite3_value_int(row[at + 4]);
    if (l->means > MEANS_NONE)
        l->means = MEANS_UNKNOWN;
    return true;
}

static bool read_aor(struct rows *r, sqlite3_value **row)
{
    struct span aor = text_at(row, 1);
    struct span to = text_at(row, 2);
    struct aor *a;
    size_t n;

    r->id = sqlite3_value_int64(row[0]);
    if (aor.n == 0 || aor.n > UINT16_MAX || to.n > UINT16_MAX)
        return false;
    n = record_pad(sizeof *a + aor.n + to.n);
    a = (struct aor *)(void *)more(r, n);
    if (!a)
        return false;
    memset(a, 0, n);
    a->hash = (uint64_t)r->id;
    a->text_n = (uint16_t)aor.n;
    a->to_n = (uint16_t)to.n;
    a->next_binding_id = number_at(row, 3);
    (void)read_lease(r, row, 4, sqlite3_value_int(row[9]), &a->lease);
    put_text(put_text((char *)(a + 1), aor), to);
    return true;
}

static void take_aor(sqlite3_context *context, int columns, sqlite3_value **row)
{
    struct rows *r = sqlite3_user_data(context);

    (void)columns;
    r->aor_good = read_aor(r, row);
}

static void take_lease(sqlite3_context *context, int columns, sqlite3_value **row)
{
    struct rows *r = sqlite3_user_data(context);

    (void)columns;
    r->lease_of = sqlite3_value_int64(row[0]);
    r->lease_good = read_lease(r, row, 2, sqlite3_value_int(row[1]), &r->lease);
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
static bool listener_of(const struct store_names *all, struct span name, uint8_t *out)
{
    for (unsigned i = 0; i < all->listeners; i++) {
        if (span_eq(name, span_of(all->listener[i]))) {
            *out = (uint8_t)i;
            return true;
        }
    }
    return false;
}

static bool read_flow(struct rows *r, sqlite3_value **row, struct flow *flow, uint8_t *flags)
{
    memset(flow, 0, sizeof *flow);
    if (!transport_of(text_at(row, 12), &flow->transport) ||
        !address_parse(text_at(row, 13), 0, &flow->peer))
        return false;
    if (!listener_of(r->s->names, text_at(row, 14), &flow->listener))
        *flags |= BINDING_UNREACHABLE;
    return true;
}

/* How long it is in r->binding; 0: it makes no sense. */
static size_t read_binding(struct rows *r, sqlite3_value **row)
{
    struct span uri = text_at(row, 2), params = text_at(row, 3), call_id = text_at(row, 4),
                path = text_at(row, 6);
    struct binding *b = (struct binding *)(void *)r->binding;
    size_t n = record_pad(sizeof *b + uri.n + params.n + call_id.n + path.n);
    struct flow flow;
    uint8_t flags = (uint8_t)(sqlite3_value_int(row[15]) & BINDING_FLOW_PROVED);
    char *at;

    if (uri.n == 0 || uri.n > UINT16_MAX || params.n > UINT16_MAX || call_id.n > UINT16_MAX ||
        path.n > UINT16_MAX || !read_flow(r, row, &flow, &flags))
        return 0;
    memset(b, 0, sizeof *b);
    b->id = number_at(row, 1);
    b->cseq = number_at(row, 5);
    b->q_given = sqlite3_value_type(row[7]) != SQLITE_NULL;
    b->q = b->q_given ? (uint16_t)(number_at(row, 7) % 1001) : 1000;
    b->granted_s = number_at(row, 8);
    b->restart_s = (uint16_t)number_at(row, 9);
    b->expires_ms = time_at(row, 10);
    b->proved_ms = time_at(row, 11);
    b->flow = flow;
    b->flags = flags;
    b->uri_n = (uint16_t)uri.n;
    b->params_n = (uint16_t)params.n;
    b->call_id_n = (uint16_t)call_id.n;
    b->path_n = (uint16_t)path.n;
    at = put_text((char *)(b + 1), uri);
    at = put_text(at, params);
    at = put_text(at, call_id);
    at = put_text(at, path);
    memset(at, 0, (size_t)(r->binding + n - at));
    return n;
}

static void take_binding(sqlite3_context *context, int columns, sqlite3_value **row)
{
    struct rows *r = sqlite3_user_data(context);

    (void)columns;
    r->binding_of = sqlite3_value_int64(row[0]);
    r->binding_n = read_binding(r, row);
}

/* ---- one record ------------------------------------------------------------------ */

/* The binding that was read belongs to the record. False: no memory. */
static bool add_binding(struct rows *r)
{
    char *at = more(r, r->binding_n);

    if (!at)
        return false;
    memcpy(at, r->binding, r->binding_n);
    record_of(r)->bindings++;
    r->read++;
    return true;
}

/* False: no memory. */
static bool add_lease(struct rows *r)
{
    struct aor *a = record_of(r);
    char *at;

    if (r->lease.upstream == a->lease.upstream) {
        if (a->lease.cseq == 0) /* its home was another one, which is gone */
            a->lease = r->lease;
        return true;
    }
    at = more(r, sizeof r->lease);
    if (!at)
        return false;
    memcpy(at, &r->lease, sizeof r->lease);
    record_of(r)->further++;
    return true;
}

/* The further leases of the AOR that was read last. False: no memory. */
static bool add_leases(struct rows *r)
{
    for (; r->leases_rc == SQLITE_ROW && r->lease_of <= r->id;
         r->leases_rc = sqlite3_step(r->leases)) {
        bool good = r->lease_of == r->id && r->lease_good && r->aor_good;

        if (good && !add_lease(r))
            return false;
    }
    return true;
}

/* The bindings of the AOR that was read last; those of none, before it, and those of
 * one that makes no sense, are left out. False: no memory. */
static bool add_bindings(struct rows *r)
{
    for (; r->bindings_rc == SQLITE_ROW && r->binding_of <= r->id;
         r->bindings_rc = sqlite3_step(r->bindings)) {
        bool good = r->binding_of == r->id && r->binding_n && r->aor_good &&
                    record_of(r)->bindings < UINT16_MAX;

        if (good && !add_binding(r))
            return false;
        r->refused += !good;
    }
    return true;
}

/* After the last AOR. */
static int end_of_rows(struct rows *r)
{
    for (; r->bindings_rc == SQLITE_ROW; r->bindings_rc = sqlite3_step(r->bindings))
        r->refused++;
    return r->bindings_rc;
}

int rows_read(struct rows *r, struct chunk *out)
{
    int rc;

    r->out = out;
    r->from = out->n;
    do {
        rc = sqlite3_step(r->aors);
        if (rc == SQLITE_DONE)
            return end_of_rows(r);
        if (rc != SQLITE_ROW)
            break;
        if (r->out_of_memory || !add_leases(r) || !add_bindings(r))
            rc = SQLITE_NOMEM;
        else if (r->leases_rc != SQLITE_ROW && r->leases_rc != SQLITE_DONE)
            rc = r->leases_rc;
        else if (r->bindings_rc != SQLITE_ROW && r->bindings_rc != SQLITE_DONE)
            rc = r->bindings_rc;
        r->refused += !r->aor_good;
    } while (rc == SQLITE_ROW && !r->aor_good);
    if (rc == SQLITE_ROW)
        record_of(r)->size = (uint32_t)(out->n - r->from);
    else
        out->n = r->from;
    return rc;
}

uint64_t rows_bindings(const struct rows *r)
{
    return r->read;
}

uint64_t rows_refused(const struct rows *r)
{
    return r->refused;
}

/* ---- life ------------------------------------------------------------------------ */

static int teach(sqlite3 *db, const char *name, int columns, struct rows *r,
                 void (*take)(sqlite3_context *, int, sqlite3_value **))
{
    return sqlite3_create_function_v2(db, name, columns, SQLITE_UTF8 | SQLITE_DIRECTONLY, r, take,
                                      NULL, NULL, NULL);
}

/* While it is loaded the file is mapped: a fifth of the time went into copying pages out
 * of the kernel's cache. Not afterwards: an error of the disk is a signal then. */
static int map_file(sqlite3 *db, bool map)
{
    return sqlite3_exec(db, map ? "PRAGMA mmap_size=17179869184" : "PRAGMA mmap_size=0", NULL, NULL,
                        NULL);
}

static int begin(struct rows *r)
{
    sqlite3 *db = r->s->db;
    int rc = teach(db, "take_aor", AOR_COLUMNS, r, take_aor);

    if (rc == SQLITE_OK)
        rc = map_file(db, true);
    if (rc == SQLITE_OK)
        rc = teach(db, "take_binding", BINDING_COLUMNS, r, take_binding);
    if (rc == SQLITE_OK)
        rc = teach(db, "take_lease", LEASE_COLUMNS, r, take_lease);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, leases_sql, -1, &r->leases, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, aors_sql, -1, &r->aors, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(db, bindings_sql, -1, &r->bindings, NULL);
    if (rc != SQLITE_OK)
        return rc;
    r->leases_rc = sqlite3_step(r->leases);
    if (r->leases_rc != SQLITE_ROW && r->leases_rc != SQLITE_DONE)
        return r->leases_rc;
    r->bindings_rc = sqlite3_step(r->bindings);
    return r->bindings_rc == SQLITE_ROW || r->bindings_rc == SQLITE_DONE ? SQLITE_OK
                                                                         : r->bindings_rc;
}

struct rows *rows_open(struct store *s, int *rc)
{
    struct rows *r = calloc(1, sizeof *r);

    *rc = SQLITE_NOMEM;
    if (!r)
        return NULL;
    r->s = s;
    r->binding = malloc(BINDING_MOST);
    if (r->binding)
        *rc = begin(r);
    if (*rc == SQLITE_OK)
        return r;
    rows_close(r);
    return NULL;
}

void rows_close(struct rows *r)
{
    if (!r)
        return;
    sqlite3_finalize(r->aors);
    sqlite3_finalize(r->bindings);
    sqlite3_finalize(r->leases);
    (void)map_file(r->s->db, false);
    (void)teach(r->s->db, "take_aor", AOR_COLUMNS, NULL, NULL);
    (void)teach(r->s->db, "take_binding", BINDING_COLUMNS, NULL, NULL);
    (void)teach(r->s->db, "take_lease", LEASE_COLUMNS, NULL, NULL);
    free(r->binding);
    free(r);
}

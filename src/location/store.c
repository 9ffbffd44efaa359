/*
 * location/store: opening, writing and the schema; store_load.c, store_rows.c and
 * store_removed.c read, store_notes.c and store_number.c both.
 *
 * Called by run.c (main thread, before the loop) and by the writer thread. A record
 * is always written whole: its old bindings go, its new ones come, in one
 * transaction with the rest of its batch.
 */
#include "location/store_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define ASIDE_TRIES 100

/* `upstream`: 0 is the only one that there was before schema 2. */
#define SCHEMA_LEASES                                                                              \
    "CREATE TABLE upstream ("                                                                      \
    " id INTEGER PRIMARY KEY,"                                                                     \
    " name TEXT NOT NULL UNIQUE);"                                                                 \
    "CREATE TABLE lease (" /* at main registrars that are not the home */                          \
    " aor INTEGER NOT NULL,"                                                                       \
    " upstream INTEGER NOT NULL,"                                                                  \
    " until INTEGER NOT NULL,"                                                                     \
    " may INTEGER NOT NULL,"                                                                       \
    " granted INTEGER NOT NULL,"                                                                   \
    " cseq INTEGER NOT NULL,"                                                                      \
    " means INTEGER NOT NULL,"                                                                     \
    " PRIMARY KEY (aor, upstream)) WITHOUT ROWID;"

/* Since schema 3. `lost`: 1: it may have lost what it held. */
#define SCHEMA_REMOVED                                                                             \
    "CREATE TABLE removed (" /* a late copy does not bring it back before `until` */               \
    " aor INTEGER NOT NULL,"                                                                       \
    " id INTEGER NOT NULL,"                                                                        \
    " contact TEXT NOT NULL,"                                                                      \
    " params TEXT,"                                                                                \
    " call_id TEXT NOT NULL,"                                                                      \
    " cseq INTEGER NOT NULL,"                                                                      \
    " flags INTEGER NOT NULL,"                                                                     \
    " until INTEGER NOT NULL,"                                                                     \
    " PRIMARY KEY (aor, id)) WITHOUT ROWID;"
#define SCHEMA_LOST "ALTER TABLE upstream ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;"
#define SCHEMA_FACTS                                                                               \
    "ALTER TABLE upstream ADD COLUMN contact TEXT NOT NULL DEFAULT '';"                            \
    "ALTER TABLE upstream ADD COLUMN contact_before TEXT NOT NULL DEFAULT '';"                     \
    "ALTER TABLE upstream ADD COLUMN place TEXT NOT NULL DEFAULT '';"                              \
    "ALTER TABLE upstream ADD COLUMN run TEXT NOT NULL DEFAULT '';"

static const char schema[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE aor ("
    " id INTEGER PRIMARY KEY," /* the keyed hash of `aor` */
    " aor TEXT NOT NULL,"
    " to_uri TEXT," /* as the first phone wrote it; NULL: as `aor` */
    " next_binding INTEGER NOT NULL,"
    " lease_until INTEGER NOT NULL," /* the main registrar surely holds our contact; 0: no */
    " lease_may INTEGER NOT NULL,"   /* it may hold it */
    " lease_granted INTEGER NOT NULL,"
    " lease_cseq INTEGER NOT NULL,"
    " lease_means INTEGER NOT NULL,"               /* 0 unknown, 1 acl, 2 none */
    " lease_upstream INTEGER NOT NULL DEFAULT 0);" /* its home */
    SCHEMA_LEASES SCHEMA_LOST SCHEMA_FACTS SCHEMA_REMOVED "CREATE TABLE binding ("
    " aor INTEGER NOT NULL,"
    " id INTEGER NOT NULL,"
    " contact TEXT NOT NULL,"
    " params TEXT,"
    " call_id TEXT NOT NULL,"
    " cseq INTEGER NOT NULL,"
    " path TEXT,"
    " q INTEGER," /* thousandths; NULL: not given */
    " granted INTEGER NOT NULL,"
    " restart INTEGER NOT NULL," /* a restart gives it so many seconds */
    " expires INTEGER NOT NULL,"
    " proved INTEGER NOT NULL,"
    " transport TEXT NOT NULL,"
    " peer TEXT NOT NULL,"
    " listener TEXT NOT NULL,"
    " flags INTEGER NOT NULL,"
    " PRIMARY KEY (aor, id)) WITHOUT ROWID;"
    "INSERT INTO meta VALUES ('schema_version', '3');";

/* From the version of the index to the next. */
static const char *const migrations[STORE_SCHEMA_VERSION] = {
    [1] = "ALTER TABLE aor ADD COLUMN lease_upstream INTEGER NOT NULL DEFAULT 0;" SCHEMA_LEASES
          "UPDATE meta SET value = '2' WHERE name = 'schema_version';",
    /* They were notes. */
    [2] = SCHEMA_FACTS SCHEMA_REMOVED
    "INSERT OR IGNORE INTO upstream (name)"
    " SELECT substr(name, 9) FROM meta WHERE name LIKE 'contact:%';"
    "UPDATE upstream SET"
    " contact = coalesce((SELECT value FROM meta m WHERE m.name = 'contact:' || upstream.name), "
    "''),"
    " place = coalesce((SELECT value FROM meta m WHERE m.name = 'place:' || upstream.name), '');"
    "DELETE FROM meta WHERE name LIKE 'contact:%' OR name LIKE 'place:%';"
    "UPDATE meta SET value = '3' WHERE name = 'schema_version';",
};

static const char *const statements[STORE_STATEMENTS] = {
    [STORE_BEGIN] = "BEGIN IMMEDIATE",
    [STORE_COMMIT] = "COMMIT",
    [STORE_PUT_AOR] = "INSERT OR REPLACE INTO aor VALUES (?,?,?,?,?,?,?,?,?,?)",
    [STORE_DROP_AOR] = "DELETE FROM aor WHERE id = ?",
    [STORE_DROP_BINDINGS] = "DELETE FROM binding WHERE aor = ?",
    [STORE_PUT_BINDING] = "INSERT INTO binding VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
    [STORE_DROP_LEASES] = "DELETE FROM lease WHERE aor = ?",
    [STORE_PUT_LEASE] = "INSERT INTO lease VALUES (?,?,?,?,?,?,?)",
    [STORE_DROP_REMOVED] = "DELETE FROM removed WHERE aor = ?",
    [STORE_PUT_REMOVED] = "INSERT INTO removed VALUES (?,?,?,?,?,?,?,?)",
    [STORE_SET_LOST] = "UPDATE upstream SET lost = 1 WHERE id = ?1",
    [STORE_SET_KNOWN] = "UPDATE upstream SET lost = 0, contact_before = '' WHERE id = ?1",
    [STORE_SET_RUN] = "UPDATE upstream SET run = ?2 WHERE id = ?1",
    [STORE_SET_CONTACT] = "UPDATE upstream SET contact = ?2 WHERE id = ?1",
};

/* ---- opening --------------------------------------------------------------- */

bool store_run(struct store *s, const char *sql)
{
    return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

bool store_step(sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);

    sqlite3_reset(st);
    return rc == SQLITE_DONE;
}

/* The schema's version; 0: a new file; -1: it cannot be read. */
static int version_of(struct store *s)
{
    sqlite3_stmt *ask = NULL;
    int version = 0;

    if (sqlite3_prepare_v2(s->db, "SELECT count(*) FROM sqlite_schema", -1, &ask, NULL) !=
            SQLITE_OK ||
        sqlite3_step(ask) != SQLITE_ROW)
        version = -1;
    else if (sqlite3_column_int(ask, 0) > 0)
        version = -2;
    sqlite3_finalize(ask);
    if (version != -2)
        return version;
    version = -1;
    if (sqlite3_prepare_v2(s->db, "SELECT value FROM meta WHERE name = 'schema_version'", -1, &ask,
                           NULL) == SQLITE_OK &&
        sqlite3_step(ask) == SQLITE_ROW)
        version = sqlite3_column_int(ask, 0);
    sqlite3_finalize(ask);
    return version;
}

static bool prepare(struct store *s)
{
    for (unsigned i = 0; i < STORE_STATEMENTS; i++)
        if (sqlite3_prepare_v3(s->db, statements[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &s->statement[i], NULL) != SQLITE_OK)
            return false;
    return true;
}

static void close_file(struct store *s)
{
    for (unsigned i = 0; i < STORE_STATEMENTS; i++) {
        sqlite3_finalize(s->statement[i]);
        s->statement[i] = NULL;
    }
    sqlite3_close(s->db);
    s->db = NULL;
}

/* Is this a file that no repair is to be expected for? */
static bool is_damaged(int rc)
{
    return (rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB;
}

/* Who registers from where is nobody else's business. */
static void create(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd >= 0)
        close(fd); /* else SQLite says what is wrong */
}

/* Some files of schema 2 have that already. */
static bool add_lost(struct store *s)
{
    sqlite3_stmt *ask = NULL;
    bool there =
        sqlite3_prepare_v2(s->db, "SELECT 1 FROM pragma_table_info('upstream') WHERE name = 'lost'",
                           -1, &ask, NULL) == SQLITE_OK &&
        sqlite3_step(ask) == SQLITE_ROW;

    sqlite3_finalize(ask);
    return there || store_run(s, SCHEMA_LOST);
}

/* The tables as they are to be now: all or nothing. */
static bool bring_up(struct store *s)
{
    bool done = true;

    if (s->version == STORE_SCHEMA_VERSION)
        return true;
    if (!store_run(s, "BEGIN IMMEDIATE"))
        return false;
    if (s->version == 0)
        done = store_run(s, schema);
    for (int v = s->version; done && v > 0 && v < STORE_SCHEMA_VERSION; v++)
        done = (v != 2 || add_lost(s)) && store_run(s, migrations[v]);
    return done && store_run(s, "COMMIT");
}

/* The numbers by which the file calls main registrars: each name gets its own, for good. */
static bool name_upstreams(struct store *s)
{
    sqlite3_stmt *st = NULL;
    bool done = sqlite3_prepare_v2(s->db, "INSERT OR IGNORE INTO upstream (name) VALUES (?)", -1,
                                   &st, NULL) == SQLITE_OK;

    for (unsigned i = 0; done && i < s->names->upstreams; i++)
        done = sqlite3_bind_text(st, 1, s->names->upstream[i], -1, SQLITE_STATIC) == SQLITE_OK &&
               store_step(st);
    sqlite3_finalize(st);
    st = NULL;
    done = done && sqlite3_prepare_v2(s->db, "SELECT id FROM upstream WHERE name = ?", -1, &st,
                                      NULL) == SQLITE_OK;
    for (unsigned i = 0; done && i < s->names->upstreams; i++) {
        done = sqlite3_bind_text(st, 1, s->names->upstream[i], -1, SQLITE_STATIC) == SQLITE_OK &&
               sqlite3_step(st) == SQLITE_ROW;
        s->upstream_id[i] = done ? sqlite3_column_int(st, 0) : 0;
        sqlite3_reset(st);
    }
    sqlite3_finalize(st);
    st = NULL;
    done = done &&
           sqlite3_prepare_v2(s->db, "SELECT 1 FROM lease LIMIT 1", -1, &st, NULL) == SQLITE_OK;
    /* Before schema 2 there was one, which had no number. */
    if (done && s->version == 1 && s->names->upstreams == 1)
        done = store_run(
            s,
            "UPDATE aor SET lease_upstream = (SELECT id FROM upstream) WHERE lease_upstream = 0");
    s->has_leases = s->names->upstreams > 1 || (done && sqlite3_step(st) == SQLITE_ROW);
    sqlite3_finalize(st);
    return done;
}

bool store_upstream(const struct store *s, int id, uint8_t *upstream)
{
    *upstream = 0;
    if (id == 0)
        return true; /* the only one that there was */
    for (unsigned i = 0; i < s->names->upstreams; i++)
        if (s->upstream_id[i] == id) {
            *upstream = (uint8_t)i;
            return true;
        }
    return false;
}

/* SQLITE_OK, or what was wrong. */
static int open_file(struct store *s, const char *path)
{
    int rc;

    create(path);
    /* One thread at a time has it: no locks. */
    rc = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc != SQLITE_OK)
        return rc;
    sqlite3_extended_result_codes(s->db, 1);
    sqlite3_busy_timeout(s->db, STORE_BUSY_MS);
    if (!store_run(s, "PRAGMA journal_mode=WAL") || !store_run(s, "PRAGMA synchronous=FULL"))
        return sqlite3_extended_errcode(s->db);
    s->version = version_of(s);
    if (s->version == -1)
        return sqlite3_extended_errcode(s->db) != SQLITE_OK ? sqlite3_extended_errcode(s->db)
                                                            : SQLITE_NOTADB;
    if (s->version > STORE_SCHEMA_VERSION)
        return SQLITE_OK; /* and no further */
    if (!bring_up(s))
        return sqlite3_extended_errcode(s->db);
    return name_upstreams(s) && prepare(s) ? SQLITE_OK : sqlite3_extended_errcode(s->db);
}

/* A name that no file has: what was put aside before is not overwritten. */
static bool name_aside(const char *path, char aside[PATH_ROOM])
{
    long long now = (long long)time(NULL);
    bool taken = true;

    for (unsigned i = 0; taken && i < ASIDE_TRIES; i++) {
        int n = snprintf(aside, PATH_ROOM, "%s.damaged-%lld", path, now + i);

        if (n < 0 || n >= PATH_ROOM)
            return false;
        taken = access(aside, F_OK) == 0;
    }
    return !taken;
}

/* The database and what SQLite keeps beside it. */
static bool put_aside(const char *path, FILE *errors)
{
    static const char *const beside[] = {"", "-wal", "-shm"};
    char aside[PATH_ROOM];
    char from[PATH_ROOM];
    char to[PATH_ROOM];

    if (!name_aside(path, aside))
        return false;
    for (unsigned i = 0; i < sizeof beside / sizeof *beside; i++) {
        int n = snprintf(from, sizeof from, "%s%s", path, beside[i]);
        int m = snprintf(to, sizeof to, "%s%s", aside, beside[i]);

        if (n < 0 || m < 0 || (size_t)n >= sizeof from || (size_t)m >= sizeof to)
            return false;
        if (rename(from, to) != 0 && (i == 0 || errno != ENOENT))
            return false;
        if (i == 0)
            fprintf(errors,
                    "store %s is damaged: it was put aside as %s, and a new one begun; phones "
                    "come back with their next REGISTER\n",
                    path, to);
    }
    return true;
}

static const char *remedy_of(int rc)
{
    if (rc == SQLITE_IOERR_NOMEM)
        rc = SQLITE_NOMEM;
    switch (rc & 0xff) {
    case SQLITE_FULL:
        return "the disk is full: make room";
    case SQLITE_IOERR:
        return "the disk fails: see the kernel's log";
    case SQLITE_READONLY:
        return "it cannot be written: it and its directory must belong to midreg's user";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "another program holds it: end that one";
    case SQLITE_NOMEM:
        return "there is not enough memory";
    default:
        return "is its directory there and writable?";
    }
}

struct store *store_open(const char *path, const struct store_names *names, FILE *errors)
{
    struct store *s = calloc(1, sizeof *s);
    int rc = SQLITE_NOMEM;

    if (s) {
        s->names = names;
        s->path = strdup(path);
        rc = open_file(s, path);
        if (is_damaged(rc)) {
            close_file(s);
            if (put_aside(path, errors))
                rc = open_file(s, path);
        }
        if (rc == SQLITE_OK && s->path && s->version <= STORE_SCHEMA_VERSION)
            return s;
    }
    if (rc == SQLITE_OK)
        fprintf(errors,
                "store %s was written by a newer midreg (schema %d, this one knows %d): use that "
                "one, or another file\n",
                path, s->version, STORE_SCHEMA_VERSION);
    else
        fprintf(errors, "store %s cannot be opened: %s: %s\n", path, sqlite3_errstr(rc),
                remedy_of(rc));
    store_close(s);
    return NULL;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    close_file(s);
    free(s->path);
    free(s);
}

/* ---- writing --------------------------------------------------------------- */

static bool step_for(struct store *s, enum store_statement which, uint64_t hash)
{
    sqlite3_bind_int64(s->statement[which], 1, (sqlite3_int64)hash);
    return store_step(s->statement[which]);
}

static void bind_text(sqlite3_stmt *st, int at, struct span text)
{
    if (text.n)
        sqlite3_bind_text(st, at, text.p, (int)text.n, SQLITE_STATIC);
    else
        sqlite3_bind_null(st, at);
}

/* What the schema calls NOT NULL. */
static void bind_text_always(sqlite3_stmt *st, int at, struct span text)
{
    sqlite3_bind_text(st, at, text.n ? text.p : "", (int)text.n, SQLITE_STATIC);
}

/* Seconds, rounded up: nothing ends before its time. */
static void bind_time(sqlite3_stmt *st, int at, uint64_t wall_ms)
{
    sqlite3_bind_int64(st, at, (sqlite3_int64)((wall_ms + 999) / 1000));
}

static bool put_aor(struct store *s, const struct aor *a)
{
    sqlite3_stmt *st = s->statement[STORE_PUT_AOR];

    sqlite3_bind_int64(st, 1, (sqlite3_int64)a->hash);
    bind_text_always(st, 2, aor_text(a));
    bind_text(st, 3, a->to_n ? aor_to_uri(a) : SPAN_NONE);
    sqlite3_bind_int64(st, 4, a->next_binding_id);
    bind_time(st, 5, a->lease.until_ms);
    bind_time(st, 6, a->lease.may_ms);
    sqlite3_bind_int64(st, 7, a->lease.granted_s);
    sqlite3_bind_int64(st, 8, a->lease.cseq);
    sqlite3_bind_int(st, 9, a->lease.means);
    sqlite3_bind_int(st, 10, s->upstream_id[a->lease.upstream]);
    return store_step(st);
}

static bool put_lease(struct store *s, const struct aor *a, const struct lease *l)
{
    sqlite3_stmt *st = s->statement[STORE_PUT_LEASE];

    sqlite3_bind_int64(st, 1, (sqlite3_int64)a->hash);
    sqlite3_bind_int(st, 2, s->upstream_id[l->upstream]);
    bind_time(st, 3, l->until_ms);
    bind_time(st, 4, l->may_ms);
    sqlite3_bind_int64(st, 5, l->granted_s);
    sqlite3_bind_int64(st, 6, l->cseq);
    sqlite3_bind_int(st, 7, l->means);
    return store_step(st);
}

/* The first columns of one that is there, or was removed: what a REGISTER says of itself. */
static void bind_what(sqlite3_stmt *st, const struct aor *a, const struct binding *b)
{
    sqlite3_bind_int64(st, 1, (sqlite3_int64)a->hash);
    sqlite3_bind_int64(st, 2, b->id);
    bind_text_always(st, 3, binding_uri(b));
    bind_text(st, 4, binding_params(b));
    bind_text_always(st, 5, binding_call_id(b));
    sqlite3_bind_int64(st, 6, b->cseq);
}

static bool put_binding(struct store *s, const struct aor *a, const struct binding *b)
{
    sqlite3_stmt *st = s->statement[STORE_PUT_BINDING];
    char room[ADDRESS_ROOM];
    struct buf peer = buf_make(room, sizeof room);
    const char *listener =
        b->flow.listener < s->names->listeners ? s->names->listener[b->flow.listener] : "";

    address_put(&peer, &b->flow.peer);
    bind_what(st, a, b);
    bind_text(st, 7, binding_path(b));
    if (b->q_given)
        sqlite3_bind_int(st, 8, b->q);
    else
        sqlite3_bind_null(st, 8);
    sqlite3_bind_int64(st, 9, b->granted_s);
    sqlite3_bind_int64(st, 10, b->restart_s);
    bind_time(st, 11, b->expires_ms);
    bind_time(st, 12, b->proved_ms);
    bind_text_always(st, 13, span_of(transport_name((enum transport)b->flow.transport)));
    bind_text_always(st, 14, buf_done(&peer));
    bind_text_always(st, 15, span_of(listener));
    sqlite3_bind_int(st, 16, b->flags & BINDING_FLOW_PROVED);
    return store_step(st);
}

static bool put_removed(struct store *s, const struct aor *a, const struct binding *b)
{
    sqlite3_stmt *st = s->statement[STORE_PUT_REMOVED];

    bind_what(st, a, b);
    sqlite3_bind_int(st, 7, b->flags & BINDING_FLOW_PROVED);
    bind_time(st, 8, b->expires_ms);
    return store_step(st);
}

static bool put_upstream_entry(struct store *s, const struct image_entry *e)
{
    static const enum store_statement which[] = {[IMAGE_LOST] = STORE_SET_LOST,
                                                 [IMAGE_KNOWN] = STORE_SET_KNOWN,
                                                 [IMAGE_RUN] = STORE_SET_RUN,
                                                 [IMAGE_CONTACT] = STORE_SET_CONTACT};
    sqlite3_stmt *st = s->statement[which[e->kind]];

    sqlite3_bind_int(st, 1, s->upstream_id[e->hash]);
    if (e->size)
        bind_text_always(st, 2, image_text(e));
    return store_step(st);
}

static bool put_aor_entry(struct store *s, const struct image_entry *e)
{
    const struct aor *a = image_record(e);

    if (!step_for(s, STORE_DROP_BINDINGS, e->hash) || !step_for(s, STORE_DROP_REMOVED, e->hash) ||
        (s->has_leases && !step_for(s, STORE_DROP_LEASES, e->hash)))
        return false;
    if (!a)
        return step_for(s, STORE_DROP_AOR, e->hash);
    if (!put_aor(s, a))
        return false;
    for (const struct binding *b = aor_first(a); b; b = aor_next(a, b))
        if (!(b->flags & BINDING_TOMBSTONE ? put_removed(s, a, b) : put_binding(s, a, b)))
            return false;
    for (unsigned i = 0; i < a->further; i++)
        if (!put_lease(s, a, &aor_further(a)[i]))
            return false;
    return true;
}

static bool put_entry(struct store *s, const struct image_entry *e)
{
    return e->kind == IMAGE_AOR ? put_aor_entry(s, e) : put_upstream_entry(s, e);
}

bool store_write(struct store *s, struct span batch, char why[STORE_WHY_MAX])
{
    const struct image_entry *e;
    bool done = store_step(s->statement[STORE_BEGIN]);

    while (done && (e = image_next(&batch)))
        done = put_entry(s, e);
    if (done && store_step(s->statement[STORE_COMMIT]))
        return true;
    snprintf(why, STORE_WHY_MAX, "%s", sqlite3_errmsg(s->db));
    store_run(s, "ROLLBACK"); /* an error may have done it already */
    return false;
}

/*
 * location/export: writes the store as JSON lines (transfer.h).
 *
 * Called by exchange.c. One read transaction: the file as it was at one moment.
 */
#include "location/transfer_inside.h"

#include <jansson.h>
#include <stdlib.h>

struct export
{
    sqlite3 *db;
    sqlite3_stmt *aors, *leases, *bindings;
    FILE *out;
    struct transferred *done;
};

/* ---- values ------------------------------------------------------------------------- */

static json_t *hex_of(const unsigned char *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    char *text = malloc(2 * n + 1);
    json_t *value;

    if (!text)
        return NULL;
    for (size_t i = 0; i < n; i++) {
        text[2 * i] = digits[bytes[i] >> 4];
        text[2 * i + 1] = digits[bytes[i] & 15];
    }
    value = json_pack("{s:s#}", "hex", text, (int)(2 * n));
    free(text);
    return value;
}

static json_t *value_at(sqlite3_stmt *st, int column)
{
    const unsigned char *bytes;
    size_t n;
    json_t *text;

    switch (sqlite3_column_type(st, column)) {
    case SQLITE_NULL:
        return json_null();
    case SQLITE_INTEGER:
        return json_integer(sqlite3_column_int64(st, column));
    default:
        bytes = sqlite3_column_blob(st, column);
        n = (size_t)sqlite3_column_bytes(st, column);
        text = n && memchr(bytes, 0, n) ? NULL : json_stringn(n ? (const char *)bytes : "", n);
        return text ? text : hex_of(bytes, n);
    }
}

static json_t *row_of(sqlite3_stmt *st, const struct transfer_table *t)
{
    json_t *row = json_object();

    for (int i = 0; t->column[i]; i++)
        json_object_set_new(row, t->column[i], value_at(st, i));
    return row;
}

/* ---- rows --------------------------------------------------------------------------- */

/* "SELECT id, ... FROM aor ORDER BY id"; a main registrar's number becomes its name. */
static bool prepare(sqlite3 *db, const struct transfer_table *t, sqlite3_stmt **st)
{
    char sql[1024];
    struct buf out = buf_make(sql, sizeof sql - 1);

    buf_lit(&out, "SELECT ");
    for (unsigned i = 0; t->column[i]; i++) {
        buf_str(&out, i ? ", " : "");
        if (t->upstream && strcmp(t->column[i], t->upstream) == 0) {
            buf_lit(&out, "(SELECT name FROM upstream u WHERE u.id = ");
            buf_str(&out, t->name);
            buf_char(&out, '.');
            buf_str(&out, t->upstream);
            buf_char(&out, ')');
        } else {
            buf_str(&out, t->column[i]);
        }
    }
    buf_lit(&out, " FROM ");
    buf_str(&out, t->name);
    if (t->inner)
        buf_lit(&out, " WHERE aor = ?");
    buf_lit(&out, " ORDER BY 1");
    sql[out.n] = '\0';
    return !out.overflow && sqlite3_prepare_v2(db, sql, -1, st, NULL) == SQLITE_OK;
}

static bool add_inner(struct export *e, sqlite3_stmt *st, const struct transfer_table *t,
                      json_t *line)
{
    json_t *rows = json_array();
    int rc;

    sqlite3_bind_int64(st, 1, sqlite3_column_int64(e->aors, 0));
    while ((rc = sqlite3_step(st)) == SQLITE_ROW)
        json_array_append_new(rows, row_of(st, t));
    sqlite3_reset(st);
    if (t == &transfer_binding)
        e->done->bindings += json_array_size(rows);
    json_object_set_new(line, t->inner, rows);
    return rc == SQLITE_DONE;
}

static bool put_line(FILE *out, const json_t *line)
{
    return json_dumpf(line, out, JSON_COMPACT) == 0 && fputc('\n', out) != EOF;
}

static bool put_aors(struct export *e)
{
    bool fine = prepare(e->db, &transfer_aor, &e->aors) &&
                prepare(e->db, &transfer_lease, &e->leases) &&
                prepare(e->db, &transfer_binding, &e->bindings);
    int rc = SQLITE_ROW;

    while (fine && (rc = sqlite3_step(e->aors)) == SQLITE_ROW) {
        json_t *line = row_of(e->aors, &transfer_aor);

        fine = add_inner(e, e->leases, &transfer_lease, line) &&
               add_inner(e, e->bindings, &transfer_binding, line) && put_line(e->out, line);
        json_decref(line);
        e->done->aors++;
    }
    sqlite3_finalize(e->aors);
    sqlite3_finalize(e->leases);
    sqlite3_finalize(e->bindings);
    return fine && rc == SQLITE_DONE;
}

/* 1: it is of this schema. 0: it cannot be read. -1: of another, which is told. */
static int check_schema(struct export *e, const char *path, FILE *errors)
{
    sqlite3_stmt *st = NULL;
    int version = 0;
    bool fine = sqlite3_prepare_v2(e->db, "SELECT value FROM meta WHERE name = 'schema_version'",
                                   -1, &st, NULL) == SQLITE_OK &&
                sqlite3_step(st) == SQLITE_ROW;

    if (fine)
        version = sqlite3_column_int(st, 0);
    sqlite3_finalize(st);
    if (!fine || version == STORE_SCHEMA_VERSION)
        return fine;
    fprintf(errors,
            "store %s has schema %d, this midreg writes %d: run the midreg that it is of, or "
            "start this one once\n",
            path, version, STORE_SCHEMA_VERSION);
    return -1;
}

/* What it is, and which contact of ours the leases are for at each main registrar. */
static bool put_head(struct export *e)
{
    json_t *contacts = json_object();
    json_t *head = json_pack("{s:s, s:i, s:o}", "midreg", TRANSFER_MAGIC, "schema",
                             STORE_SCHEMA_VERSION, "contacts", contacts);
    sqlite3_stmt *st = NULL;
    bool fine = sqlite3_prepare_v2(
                    e->db, "SELECT name, contact FROM upstream WHERE contact <> '' ORDER BY name",
                    -1, &st, NULL) == SQLITE_OK;

    while (fine && sqlite3_step(st) == SQLITE_ROW)
        json_object_set_new(contacts, (const char *)sqlite3_column_text(st, 0), value_at(st, 1));
    sqlite3_finalize(st);
    fine = fine && put_line(e->out, head);
    json_decref(head);
    return fine;
}

bool transfer_export(const char *path, FILE *out, struct transferred *done, FILE *errors)
{
    struct export e = {.out = out, .done = done};
    int fine = 0;

    *done = (struct transferred){0, 0, 0};
    if (sqlite3_open_v2(path, &e.db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK &&
        sqlite3_exec(e.db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK) {
        sqlite3_busy_timeout(e.db, STORE_BUSY_MS);
        fine = check_schema(&e, path, errors);
        if (fine == 1)
            fine = put_head(&e) && put_aors(&e);
    }
    if (fine == 0 && ferror(out))
        fprintf(errors, "it cannot be written: is the disk full?\n");
    else if (fine == 0)
        fprintf(errors, "store %s cannot be read: %s\n", path, sqlite3_errmsg(e.db));
    sqlite3_close(e.db);
    return fine == 1;
}

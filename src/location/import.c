/*
 * location/import: puts JSON lines into the store (transfer.h).
 *
 * Called by exchange.c, while no midreg runs on it. All or nothing.
 */
#include "location/transfer_inside.h"

#include <jansson.h>
#include <stdlib.h>

struct import {
    struct store *s;
    sqlite3_stmt *aor, *lease, *binding, *name, *there;
    const char *file;
    unsigned long line;
    FILE *errors;
    struct transferred *done;
};

static bool wrong(struct import *i, const char *what, const char *about)
{
    fprintf(i->errors, "%s:%lu: %s%s%s; nothing was imported\n", i->file, i->line, what,
            *about ? " " : "", about);
    return false;
}

/* ---- values ------------------------------------------------------------------------- */

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool bind_hex(sqlite3_stmt *st, int at, const char *text)
{
    size_t n = text ? strlen(text) : 1;
    char *bytes = n % 2 ? NULL : malloc(n / 2 + 1);

    for (size_t k = 0; bytes && k < n; k += 2) {
        if (digit(text[k]) < 0 || digit(text[k + 1]) < 0) {
            free(bytes);
            return false;
        }
        bytes[k / 2] = (char)(digit(text[k]) << 4 | digit(text[k + 1]));
    }
    return bytes && sqlite3_bind_text(st, at, bytes, (int)(n / 2), free) == SQLITE_OK;
}

/* The number of the main registrar with this name, which may be a new one. */
static bool bind_upstream(struct import *i, sqlite3_stmt *st, int at, const json_t *name)
{
    const char *text = json_string_value(name);
    sqlite3_int64 id = 0;

    if (json_is_null(name))
        return sqlite3_bind_int64(st, at, 0) == SQLITE_OK;
    if (!text)
        return false;
    /* One row whether it was there or not: the update changes nothing. */
    sqlite3_bind_text(i->name, 1, text, -1, SQLITE_STATIC);
    if (sqlite3_step(i->name) == SQLITE_ROW)
        id = sqlite3_column_int64(i->name, 0);
    sqlite3_reset(i->name);
    return id > 0 && sqlite3_bind_int64(st, at, id) == SQLITE_OK;
}

static bool bind_value(sqlite3_stmt *st, int at, const json_t *value)
{
    if (json_is_null(value))
        return sqlite3_bind_null(st, at) == SQLITE_OK;
    if (json_is_integer(value))
        return sqlite3_bind_int64(st, at, json_integer_value(value)) == SQLITE_OK;
    if (json_is_string(value))
        return sqlite3_bind_text(st, at, json_string_value(value), (int)json_string_length(value),
                                 SQLITE_STATIC) == SQLITE_OK;
    return json_is_object(value) &&
           bind_hex(st, at, json_string_value(json_object_get(value, "hex")));
}

/* ---- rows --------------------------------------------------------------------------- */

static bool prepare(struct store *s, const struct transfer_table *t, sqlite3_stmt **st)
{
    char sql[1024];
    struct buf out = buf_make(sql, sizeof sql - 1);
    unsigned n = 0;

    buf_lit(&out, "INSERT INTO ");
    buf_str(&out, t->name);
    buf_str(&out, t->inner ? " (aor, " : " (");
    for (; t->column[n]; n++) {
        buf_str(&out, n ? ", " : "");
        buf_str(&out, t->column[n]);
    }
    buf_str(&out, t->inner ? ") VALUES (?, " : ") VALUES (");
    for (unsigned k = 0; k < n; k++)
        buf_str(&out, k ? ", ?" : "?");
    buf_str(&out, ")");
    sql[out.n] = '\0';
    return !out.overflow && sqlite3_prepare_v2(s->db, sql, -1, st, NULL) == SQLITE_OK;
}

/* Every column must be there, and nothing else but the arrays. */
static bool bind_row(struct import *i, sqlite3_stmt *st, const struct transfer_table *t,
                     const json_t *row)
{
    int at = t->inner ? 2 : 1;

    for (unsigned k = 0; t->column[k]; k++, at++) {
        const json_t *value = json_object_get(row, t->column[k]);
        bool names = t->upstream && strcmp(t->column[k], t->upstream) == 0;

        if (!value)
            return wrong(i, "there is no", t->column[k]);
        if (names ? !bind_upstream(i, st, at, value) : !bind_value(st, at, value))
            return wrong(i, "this makes no sense:", t->column[k]);
    }
    return true;
}

/* SQLITE_DONE, SQLITE_CONSTRAINT where it is there already, or what was told. */
static bool insert(struct import *i, sqlite3_stmt *st)
{
    int rc = sqlite3_step(st);

    sqlite3_reset(st);
    return rc == SQLITE_DONE || wrong(i, "the store says", sqlite3_errmsg(i->s->db));
}

static bool insert_inner(struct import *i, sqlite3_stmt *st, const struct transfer_table *t,
                         const json_t *line)
{
    const json_t *rows = json_object_get(line, t->inner);
    const json_t *row;
    size_t k;

    if (!json_is_array(rows))
        return wrong(i, "there is no", t->inner);
    json_array_foreach(rows, k, row)
    {
        sqlite3_bind_int64(st, 1, json_integer_value(json_object_get(line, "id")));
        if (!bind_row(i, st, t, row) || !insert(i, st))
            return false;
        i->done->bindings += t == &transfer_binding;
    }
    return true;
}

/* By its text: another installation has another number for it. */
static bool is_there(struct import *i, const json_t *line)
{
    bool there = bind_value(i->there, 1, json_object_get(line, "aor")) &&
                 bind_value(i->there, 2, json_object_get(line, "id")) &&
                 sqlite3_step(i->there) == SQLITE_ROW;

    sqlite3_reset(i->there);
    return there;
}

static bool take_aor(struct import *i, const json_t *line)
{
    if (!json_is_integer(json_object_get(line, "id")) || !json_object_get(line, "aor"))
        return wrong(i, "this is no identity", "");
    if (is_there(i, line)) {
        i->done->skipped++;
        return true;
    }
    i->done->aors++;
    return bind_row(i, i->aor, &transfer_aor, line) && insert(i, i->aor) &&
           insert_inner(i, i->lease, &transfer_lease, line) &&
           insert_inner(i, i->binding, &transfer_binding, line);
}

/* Where our contact was another one, some leases are for that and some for this. */
static const char contact_sql[] =
    "INSERT INTO upstream (name, contact) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET"
    " contact_before = iif(contact IN ('', excluded.contact), contact_before, excluded.contact),"
    " contact = iif(contact = '', excluded.contact, contact)";

static bool take_head(struct import *i, const json_t *line)
{
    const char *magic = json_string_value(json_object_get(line, "midreg"));
    json_int_t schema = json_integer_value(json_object_get(line, "schema"));
    const char *name;
    json_t *value;
    sqlite3_stmt *put = NULL;
    bool fine;

    if (!magic || strcmp(magic, TRANSFER_MAGIC) != 0)
        return wrong(i, "this is no export of midreg", "");
    if (schema != STORE_SCHEMA_VERSION)
        return wrong(i, "it was exported by a midreg of another schema", "");
    fine = sqlite3_prepare_v2(i->s->db, contact_sql, -1, &put, NULL) == SQLITE_OK;
    json_object_foreach(json_object_get(line, "contacts"), name, value)
    {
        fine = fine && json_is_string(value) && bind_value(put, 2, value) &&
               sqlite3_bind_text(put, 1, name, -1, SQLITE_STATIC) == SQLITE_OK && insert(i, put);
    }
    sqlite3_finalize(put);
    return fine || wrong(i, "its contacts make no sense", "");
}

/* ---- lines -------------------------------------------------------------------------- */

static bool take_line(struct import *i, const char *text, size_t n)
{
    json_error_t error;
    json_t *line = json_loadb(text, n, JSON_REJECT_DUPLICATES, &error);
    bool fine;

    if (!json_is_object(line)) {
        json_decref(line);
        return wrong(i, "this is no JSON object:", line ? "" : error.text);
    }
    fine = i->line == 1 ? take_head(i, line) : take_aor(i, line);
    json_decref(line);
    return fine;
}

static bool take_lines(struct import *i, FILE *in)
{
    char *text = NULL;
    size_t room = 0;
    ssize_t n;
    bool fine = true;

    while (fine && (n = getline(&text, &room, in)) > 0) {
        i->line++;
        fine = take_line(i, text, (size_t)n);
    }
    free(text);
    if (fine && ferror(in))
        return wrong(i, "it cannot be read", "");
    return fine && (i->line > 0 || wrong(i, "it is empty", ""));
}

static bool run(struct import *i, const char *sql)
{
    return store_run(i->s, sql) || wrong(i, "the store says", sqlite3_errmsg(i->s->db));
}

static bool begin(struct import *i, bool replace)
{
    static const char name_sql[] =
        "INSERT INTO upstream (name) VALUES (?) ON CONFLICT (name) DO UPDATE SET name = name"
        " RETURNING id";

    if (!run(i, "BEGIN IMMEDIATE") ||
        (replace &&
         !run(i, "DELETE FROM binding; DELETE FROM removed; DELETE FROM lease; DELETE FROM aor;"
                 "UPDATE upstream SET contact = '', contact_before = ''")) ||
        !run(i, "CREATE INDEX by_text ON aor (aor)")) /* until the end of the import */
        return false;
    return (sqlite3_prepare_v2(i->s->db, "SELECT 1 FROM aor WHERE aor = ? OR id = ?", -1, &i->there,
                               NULL) == SQLITE_OK &&
            prepare(i->s, &transfer_aor, &i->aor) && prepare(i->s, &transfer_lease, &i->lease) &&
            prepare(i->s, &transfer_binding, &i->binding) &&
            sqlite3_prepare_v2(i->s->db, name_sql, -1, &i->name, NULL) == SQLITE_OK) ||
           wrong(i, "the store says", sqlite3_errmsg(i->s->db));
}

bool transfer_import(struct store *s, FILE *in, const char *name, bool replace,
                     struct transferred *done, FILE *errors)
{
    struct import i = {.s = s, .file = name, .errors = errors, .done = done};
    bool fine;

    *done = (struct transferred){0, 0, 0};
    fine = begin(&i, replace) && take_lines(&i, in);
    sqlite3_finalize(i.aor);
    sqlite3_finalize(i.lease);
    sqlite3_finalize(i.binding);
    sqlite3_finalize(i.name);
    sqlite3_finalize(i.there);
    /* Main registrars may have lost something since that was exported. */
    if (fine)
        fine =
            run(&i, "UPDATE upstream SET lost = 1; DELETE FROM meta WHERE name = '" STORE_NOTE_KEYED
                    "';"
                    "DROP INDEX by_text") &&
            run(&i, "COMMIT");
    if (!fine)
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    return fine;
}

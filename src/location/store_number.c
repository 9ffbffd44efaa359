/*
 * location/store: gives each record in the file the number that it has by our secret.
 *
 * Called by keep.c on the main thread, before the file is loaded. All or nothing: a
 * crash in the midst of it leaves the file as it was.
 */
#include "location/store_inside.h"

struct numbering {
    uint64_t (*number)(void *self, struct span aor);
    void *self;
};

/* number(aor) */
static void on_number(sqlite3_context *context, int count, sqlite3_value **values)
{
    const struct numbering *n = sqlite3_user_data(context);
    const char *text = sqlite3_value_blob(values[0]);
    size_t size = (size_t)sqlite3_value_bytes(values[0]);

    (void)count;
    sqlite3_result_int64(context,
                         (sqlite3_int64)n->number(n->self, span_make(text ? text : "", size)));
}

/* Which are to be another one. Of two records of one AOR, which only an older midreg left, the
 * one with the right number is the later. */
static const char list_sql[] =
    "CREATE TEMP TABLE renumber (old INTEGER PRIMARY KEY, new INTEGER NOT NULL);"
    "INSERT INTO renumber"
    " SELECT id, n FROM (SELECT id, number(aor) AS n FROM aor) WHERE id <> n;"
    "CREATE INDEX temp.by_new ON renumber (new);"
    "CREATE TEMP TABLE twice AS SELECT old FROM renumber r WHERE new IN (SELECT id FROM aor)"
    " OR old > (SELECT min(old) FROM renumber o WHERE o.new = r.new);";

/* A contact of ours bears the number: what main registrars hold is another one. */
static const char apply_sql[] =
    "DELETE FROM binding WHERE aor IN (SELECT old FROM twice);"
    "DELETE FROM lease WHERE aor IN (SELECT old FROM twice);"
    "DELETE FROM removed WHERE aor IN (SELECT old FROM renumber);"
    "DELETE FROM aor WHERE id IN (SELECT old FROM twice);"
    "DELETE FROM renumber WHERE old IN (SELECT old FROM twice);"
    "UPDATE OR REPLACE binding SET aor = (SELECT new FROM renumber WHERE old = aor)"
    " WHERE aor IN (SELECT old FROM renumber);"
    "UPDATE OR REPLACE lease SET aor = (SELECT new FROM renumber WHERE old = aor),"
    " until = min(until, unixepoch()) WHERE aor IN (SELECT old FROM renumber);"
    "UPDATE OR REPLACE aor SET id = (SELECT new FROM renumber WHERE old = id),"
    " lease_until = min(lease_until, unixepoch()) WHERE id IN (SELECT old FROM renumber);"
    "DROP TABLE renumber; DROP TABLE twice;";

bool store_number(struct store *s, uint64_t (*number)(void *self, struct span aor), void *self,
                  FILE *errors)
{
    struct numbering n = {number, self};
    bool done = sqlite3_create_function_v2(s->db, "number", 1,
                                           SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY,
                                           &n, on_number, NULL, NULL, NULL) == SQLITE_OK &&
                store_run(s, "PRAGMA temp_store=MEMORY") && store_run(s, "BEGIN IMMEDIATE") &&
                store_run(s, list_sql) && store_run(s, apply_sql) && store_run(s, "COMMIT");

    if (!done) {
        fprintf(errors, "store %s cannot be read: %s\n", s->path, sqlite3_errmsg(s->db));
        store_run(s, "ROLLBACK"); /* an error may have done it already */
    }
    (void)sqlite3_create_function_v2(s->db, "number", 1, SQLITE_UTF8, NULL, NULL, NULL, NULL, NULL);
    return done;
}

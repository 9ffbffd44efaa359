/*
 * location/store: contacts that were removed a moment before midreg ended.
 *
 * Called by keep.c on the main thread, before any socket is open. Few rows: they are
 * forgotten with their record, and here.
 */
#include "location/store_inside.h"

static struct span text_at(sqlite3_stmt *st, int column)
{
    const char *text = sqlite3_column_blob(st, column);

    return text ? span_make(text, (size_t)sqlite3_column_bytes(st, column)) : SPAN_NONE;
}

static struct binding_spec spec_of(sqlite3_stmt *st)
{
    return (struct binding_spec){
        .uri = text_at(st, 1),
        .params = text_at(st, 2),
        .call_id = text_at(st, 3),
        .cseq = (uint32_t)sqlite3_column_int64(st, 4),
        .flags = BINDING_TOMBSTONE | ((unsigned)sqlite3_column_int(st, 5) & BINDING_FLOW_PROVED),
        .q = 1000,
    };
}

void store_load_removed(struct store *s, uint64_t wall_ms,
                        void (*take)(void *self, uint64_t hash, struct binding_spec *removed,
                                     uint64_t until_ms),
                        void *self)
{
    sqlite3_stmt *st = NULL;

    if (sqlite3_prepare_v2(s->db, "DELETE FROM removed WHERE until <= ?", -1, &st, NULL) ==
        SQLITE_OK) {
        sqlite3_bind_int64(st, 1, (sqlite3_int64)(wall_ms / 1000));
        (void)store_step(st); /* else they are there still, and left out */
    }
    sqlite3_finalize(st);
    st = NULL;
    if (sqlite3_prepare_v2(s->db,
                           "SELECT aor, contact, params, call_id, cseq, flags, until FROM removed"
                           " WHERE until > ?",
                           -1, &st, NULL) == SQLITE_OK)
        sqlite3_bind_int64(st, 1, (sqlite3_int64)(wall_ms / 1000));
    while (st && sqlite3_step(st) == SQLITE_ROW) {
        struct binding_spec removed = spec_of(st);

        take(self, (uint64_t)sqlite3_column_int64(st, 0), &removed,
             (uint64_t)sqlite3_column_int64(st, 6) * 1000);
    }
    sqlite3_finalize(st);
}

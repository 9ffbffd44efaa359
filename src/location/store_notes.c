/*
 * location/store: what a start should know of the last one.
 *
 * Called by keep.c on the main thread, while there is no writer thread.
 */
#include "location/store_inside.h"

/* ---- notes ------------------------------------------------------------------ */

/* The text that the question answers with, "" where it has none. Ends the question. */
static void take_text(sqlite3_stmt *ask, bool asked, char room[STORE_NOTE_MAX])
{
    room[0] = '\0';
    if (asked && sqlite3_step(ask) == SQLITE_ROW && sqlite3_column_text(ask, 0))
        snprintf(room, STORE_NOTE_MAX, "%s", (const char *)sqlite3_column_text(ask, 0));
    sqlite3_finalize(ask);
}

void store_note(struct store *s, const char *name, char room[STORE_NOTE_MAX])
{
    sqlite3_stmt *ask = NULL;
    bool asked = sqlite3_prepare_v2(s->db, "SELECT value FROM meta WHERE name = ?", -1, &ask,
                                    NULL) == SQLITE_OK &&
                 sqlite3_bind_text(ask, 1, name, -1, SQLITE_STATIC) == SQLITE_OK;

    take_text(ask, asked, room);
}

bool store_set_note(struct store *s, const char *name, const char *value)
{
    char now[STORE_NOTE_MAX];
    sqlite3_stmt *put = NULL;
    bool done;

    store_note(s, name, now);
    if (strcmp(now, value) == 0)
        return true;
    done = sqlite3_prepare_v2(s->db, "INSERT OR REPLACE INTO meta VALUES (?, ?)", -1, &put, NULL) ==
               SQLITE_OK &&
           sqlite3_bind_text(put, 1, name, -1, SQLITE_STATIC) == SQLITE_OK &&
           sqlite3_bind_text(put, 2, value, -1, SQLITE_STATIC) == SQLITE_OK && store_step(put);
    sqlite3_finalize(put);
    return done;
}

/* ---- of main registrars ------------------------------------------------------ */

static const char *const column[] = {[STORE_LOST] = "lost",
                                     [STORE_CONTACT] = "contact",
                                     [STORE_CONTACT_BEFORE] = "contact_before",
                                     [STORE_PLACE] = "place",
                                     [STORE_RUN] = "run"};

#define SQL_ROOM 96

void store_fact(struct store *s, unsigned upstream, enum store_fact which,
                char room[STORE_NOTE_MAX])
{
    sqlite3_stmt *ask = NULL;
    char sql[SQL_ROOM];
    bool asked;

    snprintf(sql, sizeof sql, "SELECT %s FROM upstream WHERE id = ?", column[which]);
    asked = sqlite3_prepare_v2(s->db, sql, -1, &ask, NULL) == SQLITE_OK &&
            sqlite3_bind_int(ask, 1, s->upstream_id[upstream]) == SQLITE_OK;
    take_text(ask, asked, room);
}

bool store_set_fact(struct store *s, unsigned upstream, enum store_fact which, const char *value)
{
    char now[STORE_NOTE_MAX];
    char sql[SQL_ROOM];
    sqlite3_stmt *put = NULL;
    bool done;

    store_fact(s, upstream, which, now);
    if (strcmp(now, value) == 0)
        return true;
    snprintf(sql, sizeof sql, "UPDATE upstream SET %s = ? WHERE id = ?", column[which]);
    done = sqlite3_prepare_v2(s->db, sql, -1, &put, NULL) == SQLITE_OK &&
           sqlite3_bind_text(put, 1, value, -1, SQLITE_STATIC) == SQLITE_OK &&
           sqlite3_bind_int(put, 2, s->upstream_id[upstream]) == SQLITE_OK && store_step(put);
    sqlite3_finalize(put);
    return done;
}

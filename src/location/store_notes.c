/*
 * location/store: what a start should know of the last one.
 *
 * Called by keep.c on the main thread, while there is no writer thread. Notes are rows of
 * `meta`, facts columns of a main registrar's row in `upstream`: a text by a name both.
 */
#include "location/store_inside.h"

#define SQL_ROOM 96

/* The one text that the question has for this name, "" where there is none. */
static void get(struct store *s, const char *sql, const char *name, char room[STORE_NOTE_MAX])
{
    sqlite3_stmt *ask = NULL;

    room[0] = '\0';
    if (sqlite3_prepare_v2(s->db, sql, -1, &ask, NULL) == SQLITE_OK &&
        sqlite3_bind_text(ask, 1, name, -1, SQLITE_STATIC) == SQLITE_OK &&
        sqlite3_step(ask) == SQLITE_ROW && sqlite3_column_text(ask, 0))
        snprintf(room, STORE_NOTE_MAX, "%s", (const char *)sqlite3_column_text(ask, 0));
    sqlite3_finalize(ask);
}

static bool put(struct store *s, const char *sql, const char *name, const char *value)
{
    sqlite3_stmt *st = NULL;
    bool done = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) == SQLITE_OK &&
                sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC) == SQLITE_OK &&
                sqlite3_bind_text(st, 2, value, -1, SQLITE_STATIC) == SQLITE_OK && store_step(st);

    sqlite3_finalize(st);
    return done;
}

void store_note(struct store *s, const char *name, char room[STORE_NOTE_MAX])
{
    get(s, "SELECT value FROM meta WHERE name = ?1", name, room);
}

bool store_set_note(struct store *s, const char *name, const char *value)
{
    char now[STORE_NOTE_MAX];

    store_note(s, name, now);
    return strcmp(now, value) == 0 ||
           put(s, "INSERT OR REPLACE INTO meta VALUES (?1, ?2)", name, value);
}

static const char *const column[] = {[STORE_LOST] = "lost",
                                     [STORE_CONTACT] = "contact",
                                     [STORE_CONTACT_BEFORE] = "contact_before",
                                     [STORE_PLACE] = "place",
                                     [STORE_RUN] = "run"};

void store_fact(struct store *s, unsigned upstream, enum store_fact which,
                char room[STORE_NOTE_MAX])
{
    char sql[SQL_ROOM];

    snprintf(sql, sizeof sql, "SELECT %s FROM upstream WHERE name = ?1", column[which]);
    get(s, sql, s->names->upstream[upstream], room);
}

bool store_set_fact(struct store *s, unsigned upstream, enum store_fact which, const char *value)
{
    char now[STORE_NOTE_MAX];
    char sql[SQL_ROOM];

    store_fact(s, upstream, which, now);
    snprintf(sql, sizeof sql, "UPDATE upstream SET %s = ?2 WHERE name = ?1", column[which]);
    return strcmp(now, value) == 0 || put(s, sql, s->names->upstream[upstream], value);
}

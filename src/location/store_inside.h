/*
 * location/store_inside: what store.c and those who read the file back share.
 *
 * Nobody else includes this.
 */
#ifndef MIDREG_LOCATION_STORE_INSIDE_H
#define MIDREG_LOCATION_STORE_INSIDE_H

#include "location/store.h"

#include <limits.h>
#include <sqlite3.h>

#define PATH_ROOM    (PATH_MAX + 64)
#define ADDRESS_ROOM 64
/* Somebody else reads or copies the file: so long a write waits for him. */
#define STORE_BUSY_MS 1000

enum store_statement {
    STORE_BEGIN,
    STORE_COMMIT,
    STORE_PUT_AOR,
    STORE_DROP_AOR,
    STORE_DROP_BINDINGS,
    STORE_PUT_BINDING,
    STORE_DROP_LEASES,
    STORE_PUT_LEASE,
    STORE_DROP_REMOVED,
    STORE_PUT_REMOVED,
    STORE_SET_LOST,
    STORE_SET_KNOWN,
    STORE_SET_RUN,
    STORE_SET_CONTACT,
    STORE_STATEMENTS
};

struct store {
    sqlite3 *db;
    char *path;
    int version; /* of the schema, as found; 0: the file was new */
    sqlite3_stmt *statement[STORE_STATEMENTS];
    const struct store_names *names;
    int upstream_id[STORE_UPSTREAMS_MAX]; /* of each main registrar; 0: it has none */
    bool has_leases;                      /* or may have: rows in `lease` */
};

/* Runs a statement that gives no row; or some, as text. */
bool store_step(sqlite3_stmt *st);
bool store_run(struct store *s, const char *sql);
/* Which main registrar is meant by this number of the file? False: one that is not in
 * the configuration any more. */
bool store_upstream(const struct store *s, int id, uint8_t *upstream);

#endif

/*
 * location/store_rows: the rows of the file as records, one after the other.
 *
 * For store_load.c alone, whose thread calls it.
 */
#ifndef MIDREG_LOCATION_STORE_ROWS_H
#define MIDREG_LOCATION_STORE_ROWS_H

#include "location/store_inside.h"

/* Records (struct aor), each aligned and `size` bytes long. Grows as needed. */
struct chunk {
    char *at;
    size_t n;
    size_t room;
};

struct rows;

/* Begins to read; *rc is SQLITE_OK, or why it returns NULL. */
struct rows *rows_open(struct store *s, int *rc);
void rows_close(struct rows *r);

/* Adds the next record to the chunk. SQLITE_ROW: there is one, SQLITE_DONE: there
 * was none any more; else what is wrong, and nothing was added. */
int rows_read(struct rows *r, struct chunk *out);

/* Bindings that were read, and rows that make no sense. */
uint64_t rows_bindings(const struct rows *r);
uint64_t rows_refused(const struct rows *r);

#endif

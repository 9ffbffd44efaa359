/*
 * location/store_load: all records of the file, given to the caller one by one.
 *
 * Called by keep.c on the main thread, before any socket is open. A thread reads the
 * rows (store_rows.h) into one chunk while the caller takes the records of the other:
 * a start takes as long as the slower of the two. The thread ends before
 * store_load() returns.
 *
 *   chunk: empty --thread fills--> full --caller has taken all--> empty
 */
#include "location/store_rows.h"

#include <pthread.h>
#include <stdlib.h>

#define CHUNKS    2
#define CHUNK_MAX (256 * 1024) /* and one record more: it stays in the processor's cache */

struct load {
    struct rows *rows;
    pthread_mutex_t lock;
    pthread_cond_t moved; /* a chunk has become full, or empty */
    struct chunk chunk[CHUNKS];
    bool full[CHUNKS]; /* under the lock: whose it is */
    int rc[CHUNKS];    /* SQLITE_ROW: more chunks follow it */
};

static void wait_for(struct load *l, unsigned i, bool full)
{
    pthread_mutex_lock(&l->lock);
    while (l->full[i] != full)
        pthread_cond_wait(&l->moved, &l->lock);
    pthread_mutex_unlock(&l->lock);
}

static void hand_over(struct load *l, unsigned i, bool full)
{
    pthread_mutex_lock(&l->lock);
    l->full[i] = full;
    pthread_cond_signal(&l->moved);
    pthread_mutex_unlock(&l->lock);
}

static void *read_all(void *self)
{
    struct load *l = self;
    int rc = SQLITE_ROW;

    for (unsigned i = 0; rc == SQLITE_ROW; i = (i + 1) % CHUNKS) {
        struct chunk *c = &l->chunk[i];

        wait_for(l, i, false);
        c->n = 0;
        while (rc == SQLITE_ROW && c->n < CHUNK_MAX)
            rc = rows_read(l->rows, c);
        l->rc[i] = rc;
        hand_over(l, i, true);
    }
    return NULL;
}

/* SQLITE_DONE, or what was wrong. */
static int take_all(struct load *l, bool (*take)(void *self, const struct aor *image), void *self,
                    struct store_loaded *loaded)
{
    int rc = SQLITE_ROW;

    for (unsigned i = 0; rc == SQLITE_ROW; i = (i + 1) % CHUNKS) {
        const struct chunk *c = &l->chunk[i];
        size_t at = 0;

        wait_for(l, i, true);
        while (at < c->n) {
            const struct aor *a = (const struct aor *)(const void *)(c->at + at);

            at += a->size;
            if (take(self, a))
                loaded->aors++;
            else
                loaded->refused++;
        }
        rc = l->rc[i];
        hand_over(l, i, false);
    }
    return rc;
}

static int load_rows(struct load *l, bool (*take)(void *self, const struct aor *image), void *self,
                     struct store_loaded *loaded)
{
    pthread_t thread;
    int rc;

    if (pthread_create(&thread, NULL, read_all, l) != 0)
        return SQLITE_NOMEM; /* the system's word for it, too */
    rc = take_all(l, take, self, loaded);
    pthread_join(thread, NULL);
    loaded->bindings = rows_bindings(l->rows);
    loaded->refused += rows_refused(l->rows);
    return rc;
}

bool store_load(struct store *s, bool (*take)(void *self, const struct aor *image), void *self,
                struct store_loaded *loaded, FILE *errors)
{
    struct load l = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};
    int rc;

    *loaded = (struct store_loaded){0, 0, 0};
    l.rows = rows_open(s, &rc);
    if (l.rows)
        rc = load_rows(&l, take, self, loaded);
    rows_close(l.rows);
    for (unsigned i = 0; i < CHUNKS; i++)
        free(l.chunk[i].at);
    if (rc == SQLITE_DONE)
        return true;
    fprintf(errors, "store %s cannot be read: %s\n", s->path, sqlite3_errstr(rc));
    return false;
}

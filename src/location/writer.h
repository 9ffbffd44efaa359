/*
 * location/writer: the thread that writes to the store.
 *
 * Takes one batch at a time from the core thread and says by a descriptor when it
 * is done. All functions are called on the core thread; none waits, but for
 * writer_free().
 */
#ifndef MIDREG_LOCATION_WRITER_H
#define MIDREG_LOCATION_WRITER_H

#include "location/store.h"

struct writer;

/* Starts the thread, which has `s` for itself until writer_free(). NULL: the system
 * refuses. */
struct writer *writer_new(struct store *s);
/* Ends the thread when what it was given is written, or could not be. NULL is fine. */
void writer_free(struct writer *w);

/* Gives it a batch, whose bytes stay as they are until writer_done(). There is no
 * other with it. */
void writer_give(struct writer *w, struct span batch);

/* Becomes readable when the batch is done. */
int writer_fd(const struct writer *w);
/* To be called then. False: nothing is done yet. *ok: it is durable; else *why
 * says what was wrong. */
bool writer_done(struct writer *w, bool *ok, char why[STORE_WHY_MAX]);

#endif

/*
 * location/store: the SQLite file that keeps the records.
 *
 * Readable by anybody with sqlite3: one table of AORs with the leases at their homes,
 * one of other leases, one of their bindings, times in seconds since 1970 (design 7;
 * docs/store.md). Opened and loaded on the main thread before the loop; from then on it belongs to
 * the writer thread (location/writer.h). Never logs: what is wrong is told in words.
 */
#ifndef MIDREG_LOCATION_STORE_H
#define MIDREG_LOCATION_STORE_H

#include "location/image.h"
#include "location/location.h"

#include <stdio.h>

#define STORE_SCHEMA_VERSION 3
#define STORE_WHY_MAX        256

struct store;

#define STORE_UPSTREAMS_MAX 16

/* The names of the listeners ("udp:0.0.0.0:5060") and of the main registrars by their
 * index, which may be another one after a change of the configuration. Outlives the
 * store. */
struct store_names {
    unsigned listeners;
    const char *const *listener;
    unsigned upstreams; /* at most STORE_UPSTREAMS_MAX */
    const char *const *upstream;
};

/*
 * Opens or creates the file; its directory must be there. One of an older midreg is
 * brought to this schema. A file that is no
 * database, or damaged, is put aside under another name, with a line on `errors`,
 * and a new one begun. NULL, with one line on `errors` that says what to do: it
 * cannot be opened, or it was written by a newer midreg.
 */
struct store *store_open(const char *path, const struct store_names *names, FILE *errors);
void store_close(struct store *s);

struct store_loaded {
    uint64_t aors;
    uint64_t bindings;
    uint64_t refused; /* the taker did not want them, or they make no sense */
};

/* Gives all records to `take`, which copies what it keeps. False, with one line on
 * `errors`: the file could not be read to its end. */
bool store_load(struct store *s, bool (*take)(void *self, const struct aor *image), void *self,
                struct store_loaded *loaded, FILE *errors);

/* Gives what was removed to `take`, after store_load(): a tombstone without its time, and
 * until when (milliseconds since 1970) it is kept. Forgets those whose time is over. */
void store_load_removed(struct store *s, uint64_t wall_ms,
                        void (*take)(void *self, uint64_t hash, struct binding_spec *removed,
                                     uint64_t until_ms),
                        void *self);

/*
 * Gives each record the number that `number` says its AOR has, where it has another one, of
 * another secret; it is not held by a main registrar under that. Before store_load(). False,
 * with one line on `errors`: nothing was changed.
 */
bool store_number(struct store *s, uint64_t (*number)(void *self, struct span aor), void *self,
                  FILE *errors);

#define STORE_NOTE_MAX 128
/* The note that tells whose secret the numbers in the file are of: it stays with the file,
 * and an import removes it. */
#define STORE_NOTE_KEYED "keyed"
/*
 * A note by name, of what a start should know of the last one. Reads it into
 * `room`, "" where there is none; writes it at once, if it differs. Before the
 * writer thread. False: it cannot be written.
 */
void store_note(struct store *s, const char *name, char room[STORE_NOTE_MAX]);
bool store_set_note(struct store *s, const char *name, const char *value);

/* What it should know of each main registrar: texts, "" where nothing is known. */
enum store_fact {
    STORE_LOST,           /* "1": it may have lost what it held, and has not got all again */
    STORE_CONTACT,        /* our contact that its leases are for */
    STORE_CONTACT_BEFORE, /* an earlier one that some may be for still */
    STORE_PLACE,          /* where it was */
    STORE_RUN             /* which of its own starts that was (journal_run()) */
};
/* Reads and writes one as above. */
void store_fact(struct store *s, unsigned upstream, enum store_fact which,
                char room[STORE_NOTE_MAX]);
bool store_set_fact(struct store *s, unsigned upstream, enum store_fact which, const char *value);

/* Writes a batch in one transaction, durable when it returns. False: nothing was
 * written; *why says so. */
bool store_write(struct store *s, struct span batch, char why[STORE_WHY_MAX]);

#endif

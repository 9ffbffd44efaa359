/*
 * location/image: a record as the store keeps it.
 *
 * A copy of the packed record whose times count from 1970 instead of the start
 * of the machine. A batch is a row of entries, each a head and,
 * unless the AOR is gone, such a copy; or one that tells of a main registrar.
 * Reading a batch may be done on any thread.
 */
#ifndef MIDREG_LOCATION_IMAGE_H
#define MIDREG_LOCATION_IMAGE_H

#include "base/runtime.h"
#include "location/record.h"

enum image_kind {
    IMAGE_AOR,
    IMAGE_LOST,  /* what this main registrar holds may be lost */
    IMAGE_KNOWN, /* it is known again */
    /* With a text each: */
    IMAGE_RUN,    /* by that it tells one start of its own from another */
    IMAGE_CONTACT /* our contact that its leases are for */
};

/* Main registrars, and the longest text. */
#define IMAGE_UPSTREAMS_MAX 32
#define IMAGE_TEXT_MAX      64

struct image_entry {
    uint64_t hash; /* of the AOR; else the index of the main registrar */
    uint32_t size; /* of what is behind it; of an AOR 0: it is gone */
    uint32_t kind; /* enum image_kind */
};

/* How much room an entry for this record takes at most; NULL: gone. */
size_t image_room(const struct aor *a);
/* Writes an entry for the record, or that the AOR is gone (NULL). Returns the
 * bytes written, a multiple of 8. `at` is aligned to 8. */
size_t image_put(const struct runtime *rt, char *at, uint64_t hash, const struct aor *a);
/* An entry that tells of a main registrar. Returns the bytes written, as above. */
size_t image_put_lost(char *at, unsigned upstream, bool lost);
/* The same, with a text of at most IMAGE_TEXT_MAX. Takes up to IMAGE_TEXT_ROOM. */
#define IMAGE_TEXT_ROOM (sizeof(struct image_entry) + IMAGE_TEXT_MAX)
size_t image_put_text(char *at, unsigned upstream, enum image_kind kind, struct span text);

/* The entry at the begin of the rest of a batch, which is moved on; NULL: the end. */
const struct image_entry *image_next(struct span *batch);
/* Its text. */
static inline struct span image_text(const struct image_entry *e)
{
    const char *text = (const char *)(e + 1);

    return span_make(text, strnlen(text, e->size));
}
/* Its record, or NULL: gone. Its timer means nothing. */
static inline const struct aor *image_record(const struct image_entry *e)
{
    return e->size ? (const struct aor *)(const void *)(e + 1) : NULL;
}

#endif

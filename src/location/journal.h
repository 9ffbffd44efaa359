/*
 * location/journal: which changes are durable.
 *
 * Each change of a record gets a number; a number that is durable makes all
 * lower ones durable. `store = "memory"` is durable at once; a real store says
 * so later. A record whose last change is not durable answers nobody 200.
 * Core thread only.
 */
#ifndef MIDREG_LOCATION_JOURNAL_H
#define MIDREG_LOCATION_JOURNAL_H

#include "base/runtime.h"
#include "location/record.h"

struct journal {
    struct runtime *rt;
    uint64_t submitted; /* the last number given out */
    uint64_t durable;   /* all up to this are safe */
};

void journal_init(struct journal *j, struct runtime *rt);

/* Notes that the record has changed. True: durable already. */
bool journal_change(struct journal *j, struct aor *a);

/* The world's word that all changes up to `sequence` are safe. */
void journal_reached(struct journal *j, uint64_t sequence);

static inline bool journal_is_durable(const struct journal *j, uint64_t sequence)
{
    return sequence <= j->durable;
}

#endif

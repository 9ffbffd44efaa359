/*
 * transaction/kept: what transactions keep of messages.
 *
 * They live for seconds, a location record for weeks: apart from each other, in
 * slabs by size, so that what a burst of calls or registrations needed goes back to
 * the system when its timers have ended, and is not held by a record in between.
 * Not for other rooms. Core thread only.
 */
#ifndef MIDREG_TRANSACTION_KEPT_H
#define MIDREG_TRANSACTION_KEPT_H

#include "transaction/transaction.h"

static inline struct span kept_span(const struct kept *k)
{
    return span_make(k->p, k->n);
}

void kept_init(struct transactions *t);
void kept_fini(struct transactions *t);

/* Room for n bytes, aligned to 8, in place of what was kept; NULL: no memory, and
 * nothing is kept. */
void *kept_room(struct transactions *t, struct kept *k, size_t n);
/* A copy in place of what was kept. False: no memory, nothing is kept. */
bool kept_set(struct transactions *t, struct kept *k, struct span message);
void kept_drop(struct transactions *t, struct kept *k);

#endif

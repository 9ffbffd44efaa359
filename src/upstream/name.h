/*
 * upstream/name: a main registrar that has a name instead of an address.
 *
 * The name is looked up at start and whenever what was found may be believed no longer.
 * While the answers hold the address that is used, nothing changes; when one does not,
 * the upstream moves. Who cannot be asked, or knows nothing any more, changes nothing.
 * Core thread only. RFC 3263 4, design 6.
 *
 *   WAITING --an answer with an address that can be used--> upstream_move(): PLACED
 *   PLACED  --a whole answer without the address in use---> upstream_move(): PLACED
 *
 * WAITING, it counts as down: nothing can be sent to it.
 */
#ifndef MIDREG_UPSTREAM_NAME_H
#define MIDREG_UPSTREAM_NAME_H

#include "base/resolved.h"
#include "base/wheel.h"

struct upstream;
struct upstreams;

struct upstream_name {
    struct timer timer;                 /* TIMER_NAME: when it is asked for again */
    struct address known[RESOLVED_MAX]; /* what was found last, as far as it can be used */
    uint8_t count;
    uint8_t failures;    /* answers without a usable address, in a row */
    const char *trouble; /* what the log was told last; NULL: that all is well */
};

/* Registers the timer. */
void names_init(struct upstreams *all);
/* Asks for the name of an upstream that has one. */
void name_start(struct upstream *u);
/* What ports.resolve() was asked for is known. */
void name_resolved(struct upstream *u, const struct resolved *answer);

/* Is it one of the addresses that its name stands for? */
bool name_holds(const struct upstream *u, const struct address *a);

#endif

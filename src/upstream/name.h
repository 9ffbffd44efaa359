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
 *   PLACED  --silent there, and the name has others-------> upstream_move(): PLACED
 *
 * WAITING, it counts as down: nothing can be sent to it.
 */
#ifndef MIDREG_UPSTREAM_NAME_H
#define MIDREG_UPSTREAM_NAME_H

#include "base/resolved.h"
#include "base/wheel.h"
#include "sip/uri.h"

struct upstream;
struct upstreams;

struct upstream_name {
    struct timer timer;                 /* TIMER_NAME: when it is asked for again */
    struct address known[RESOLVED_MAX]; /* what was found last, as far as it can be used */
    uint8_t count;
    uint8_t failures;    /* answers without a usable address, in a row */
    uint8_t tried;       /* addresses since one answered */
    const char *trouble; /* what the log was told last; NULL: that all is well */
    uint64_t asked_ms;
    struct address left; /* where it was before it moved: calls go on there until then */
    uint64_t left_until_ms;
};

/* Registers the timer. */
void names_init(struct upstreams *all);
/* It was there when midreg ended, and is believed to be there until an answer says
 * otherwise. Before upstreams_start(). */
void name_was(struct upstream *u, const struct address *was);
/* Asks for the name of an upstream that has one. */
void name_start(struct upstream *u);
/* What ports.resolve() was asked for is known. */
void name_resolved(struct upstream *u, const struct resolved *answer);

/* It is down, and does not answer at the address in use: is it at another one by now? */
void name_silent(struct upstream *u);

/* Is it one of the addresses that its name stands for, or that it has just left? */
bool name_holds(const struct upstream *u, const struct address *a);

/* Is it on the host of one of these, or of where it is, whatever the port? */
bool name_hosts(const struct upstream *u, const struct address *a);

/* Of an upstream with a name: the address of this URI (a remote target) if it is one of
 * those and of the same family, else where it is: what belongs to a call goes where that
 * call is. */
void name_target(const struct upstream *u, const struct sip_uri *uri, struct address *out);

#endif

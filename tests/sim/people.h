/*
 * people: the AORs of the simulated world, how they are written, their secrets.
 *
 * What is true of an AOR beyond what midreg and the main registrar believe.
 */
#ifndef MIDREG_SIM_PEOPLE_H
#define MIDREG_SIM_PEOPLE_H

#include "base/span.h"
#include "digest.h"

struct sim;

struct person {
    char written[2][64]; /* the AOR's URI as phones write it: two ways, often equal */
    char user[32];       /* of the digest */
    char ha1[DIGEST_HEX + 1];
    uint64_t hash; /* midreg's key for it */
    /* ---- what faults did to this AOR, for what the invariants may expect ---- */
    bool refused;            /* the main registrar has switched it off: 403 */
    uint64_t refused_us;     /* it said 403 last then; 0: never */
    uint64_t full_us;        /* midreg did so then, and had as many contacts as it may; 0: never */
    uint64_t disturbed_us;   /* it took requests in the wrong order last then; 0: never */
    uint64_t all_removed_us; /* a phone removed all contacts, until then at the latest */
};

struct people {
    struct person *list;
    unsigned count;
};

/* False: no memory. Needs the core, whose hash is the key. */
bool people_init(struct sim *s);
void people_fini(struct sim *s);

/* The index of the AOR with this user part, by its last four digits; -1: nobody. */
int people_find(const struct sim *s, struct span user);

#endif

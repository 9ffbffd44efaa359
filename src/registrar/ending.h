/*
 * registrar/ending: the end of a lease goes upstream when the store knows of it.
 *
 * A start after a crash gives phones some time again, as their refreshes are not
 * stored. It shall not serve them from a lease whose end has gone up just before: so
 * first it is stored that the lease is not surely held any more. Core thread only.
 * Design 7.
 */
#ifndef MIDREG_REGISTRAR_ENDING_H
#define MIDREG_REGISTRAR_ENDING_H

#include "registrar/driver.h"

#define ENDINGS_MAX 262144

/* One that waits for the journal. */
struct ending {
    struct handle handle;
    struct ending *next;
    uint64_t hash;
    uint64_t sequence;
    unsigned upstream;
};

void endings_init(struct registrar *r);
void endings_fini(struct registrar *r);

/* May its end go up now? If not, lease_settle() is called when it may. `l` is one of the
 * leases of `a`. */
bool ending_is_stored(struct registrar *r, struct aor *a, struct lease *l);

/* Something is durable: settles the leases that waited for it. */
void endings_durable(struct registrar *r);

#endif

/*
 * proxy/loop: has this very request been here before? RFC 3261 16.3 step 4 as
 * corrected by RFC 5393 4.2. Pure but for the secret.
 */
#ifndef MIDREG_PROXY_LOOP_H
#define MIDREG_PROXY_LOOP_H

#include "base/hash.h"
#include "proxy/inspect.h"

/*
 * A hash of all that our routing of this request depends on; never 0. It goes
 * into our branch. A request that comes back with another Request-URI spirals,
 * which is fine; one with the same hash would take the same way again.
 */
uint32_t loop_hash(const struct hasher *h, const struct inspected *r, bool from_upstream);

/* Is there a Via of ours with this hash? */
bool loop_detected(const struct sip_message *m, uint32_t hash);

#endif

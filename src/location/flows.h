/*
 * location/flows: which AORs have a binding on a stream connection.
 *
 * So that a connection that closes finds its bindings without a search. Entries
 * are hints: a binding may have moved since, so whoever takes them looks again.
 * Core thread only.
 */
#ifndef MIDREG_LOCATION_FLOWS_H
#define MIDREG_LOCATION_FLOWS_H

#include "base/address.h"
#include "base/table.h"

struct flow_users;

struct flows {
    struct table connections; /* number -> struct flow_users */
};

void flows_init(struct flows *f);
void flows_fini(struct flows *f);

/* Notes that the AOR has a binding on this flow. Datagram flows are not noted.
 * False: no memory; the closing will not be noticed, expiry will. */
bool flows_note(struct flows *f, const struct flow *flow, uint64_t aor_hash);

/* The hashes noted for a connection that closed, and their number; the caller
 * frees them with free(). NULL: none. */
uint64_t *flows_take(struct flows *f, const struct flow *flow, size_t *count);

#endif

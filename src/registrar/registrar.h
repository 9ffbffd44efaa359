/*
 * registrar/registrar: REGISTERs from phones, and the leases upstream.
 *
 * The driver around the pure rules (rules.h): it decodes, asks the rules,
 * applies the changes, forwards, answers. Core thread only. Design section 3.
 */
#ifndef MIDREG_REGISTRAR_REGISTRAR_H
#define MIDREG_REGISTRAR_REGISTRAR_H

#include "config/config.h"
#include "location/journal.h"
#include "location/location.h"
#include "upstream/upstream.h"

struct registrar;
struct event_sockets;

/* What the registrar works with; all of it outlives it. */
struct registrar_parts {
    struct runtime *rt;
    const struct config *config;
    struct location *location;
    struct journal *journal;
    struct transactions *transactions;
    struct upstreams *upstreams;
    struct event_sockets *events; /* NULL: there are none */
};

/* NULL: no memory. Registers its timers. */
struct registrar *registrar_new(const struct registrar_parts *parts);
void registrar_free(struct registrar *r);
/* What it was made with. */
const struct registrar_parts *registrar_parts(const struct registrar *r);

/* A REGISTER that is no retransmission of a running transaction. */
void registrar_receive(struct registrar *r, const struct sip_message *request,
                       const struct flow *from);

/*
 * A record that was stored is back (location_restore()); before anything is
 * received. What its phones were granted counts from now on, as their refreshes
 * are not stored (design 7).
 */
void registrar_restored(struct registrar *r, struct aor *a);
/* A tombstone of that record was stored, with its `flags` and until when it is kept; after all
 * records. */
void registrar_removed(struct registrar *r, uint64_t aor_hash, const struct binding_spec *removed);
/* After all records, when datagrams can be sent: reloads the main registrars that owe it
 * (journal_restore_lost()). */
void registrar_started(struct registrar *r);

/*
 * Our contact at this upstream is another one than before the restart (its address,
 * `contact` or `advertise` was changed): the leases that were restored are not of this
 * one: each is removed there, where midreg may do that (else it lapses), and registered
 * anew, by a reload. `before`: that contact's address. After registrar_started().
 */
void registrar_contact_moved(struct registrar *r, struct upstream *u, const struct address *before);

/* A stream connection is gone: its bindings cannot be reached, and leave after
 * `flow-grace` unless their phones return. */
void registrar_flow_closed(struct registrar *r, const struct flow *flow);

/* Changes have become durable: answers that waited leave now. */
void registrar_durable(struct registrar *r);

/* For the status: the rate, needed rate and expiry of each upstream, as
 * " NAME.what=number ...". */
void registrar_put_status(struct buf *out, const struct registrar *r);

/* REGISTERs that wait or are on their way; for checks. */
unsigned registrar_pending(const struct registrar *r);
/* Does a phone wait for the answer to its REGISTER? Looks at all that are on their way. */
bool registrar_owes(const struct registrar *r);

#endif

/*
 * registrar/kick: takes bindings away that no phone has removed.
 *
 * For an operator, and for an AOR that the main registrar has ended. What is
 * removed leaves as if its phone had removed it: a tombstone, the journal, and with
 * the last one the lease. It is no ban: a phone that registers again is back. Core
 * thread only.
 */
#ifndef MIDREG_REGISTRAR_KICK_H
#define MIDREG_REGISTRAR_KICK_H

#include "registrar/registrar.h"

/*
 * Removes the live bindings of the AOR with this hash whose contact is `contact`
 * (equal by RFC 3261 19.1.4, or byte by byte), or all (SPAN_NONE). Returns their
 * number. The change is durable once the journal's number that is in *sequence is
 * (journal_is_durable()).
 */
unsigned registrar_kick(struct registrar *r, uint64_t hash, struct span contact,
                        uint64_t *sequence);

/* Likewise, but only makes the tombstones. */
unsigned kick_bury(struct registrar *r, struct aor *a, struct span contact);

#endif

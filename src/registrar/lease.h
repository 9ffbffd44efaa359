/*
 * registrar/lease: midreg's own registrations at the main registrars.
 *
 * Level-triggered: lease_settle() compares what should be there (a contact at its
 * home, or at all of them, if and only if the AOR has a live binding) with what is
 * known to be there, and does the next thing needed. It is called after each change and by the
 * AOR's timer. Core thread only. Design 3.4.
 */
#ifndef MIDREG_REGISTRAR_LEASE_H
#define MIDREG_REGISTRAR_LEASE_H

#include "registrar/driver.h"

/* Expires what is due, registers, refreshes or de-registers the leases as
 * needed, arms the AOR's timer, and deletes a record of which nothing is left:
 * pointers to it are void afterwards. */
void lease_settle(struct registrar *r, uint64_t hash);

/* To be called when a record may be new: what the configuration says of its means. */
void lease_begin(struct registrar *r, struct aor *a);

/* ---- what an errand brought home; each changes the record only. `l` is one of the
 * leases of `a` ---- */

/* The main registrar holds our contact for `granted_s` (0: no more). */
void lease_granted(struct registrar *r, struct aor *a, struct lease *l, uint32_t granted_s);
/* It accepted, or challenged, a REGISTER without credentials. */
void lease_learn(struct registrar *r, struct lease *l, enum lease_means means);
/* No answer came: it may hold what was asked for, or (0) hold nothing any more. */
void lease_lost(struct registrar *r, struct lease *l, uint32_t asked_s);
/* An own errand got `status` (0: none). `retry_after_s`: the answer's, or 0. */
void lease_own_failed(struct registrar *r, struct aor *a, struct lease *l, bool removes, int status,
                      uint32_t retry_after_s);

/* When a held lease is refreshed by midreg: at 85 % of the granted time, or at
 * 50 % to learn whether it can; spread by up to 5 %, always the same for an AOR. */
uint64_t lease_refresh_at_ms(const struct aor *a, const struct lease *l);

/* When midreg itself has to act on the lease of an AOR with live bindings (`live`) or
 * without; UINT64_MAX: not at all. */
uint64_t lease_own_action_ms(struct registrar *r, const struct aor *a, const struct lease *l,
                             bool live);

/* The next CSeq of this lease. */
uint32_t lease_next_cseq(struct registrar *r, struct lease *l);

/* What a 2xx grants our contact, in seconds. False: it does not list it. */
bool lease_read_grant(const struct sip_message *response, const struct aor *a, uint32_t *granted_s);

#endif

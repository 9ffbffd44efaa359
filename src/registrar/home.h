/*
 * registrar/home: at which main registrars an AOR is to be registered.
 *
 * One of them is its home: it gets the phones' REGISTERs and, but under policy "all",
 * the only lease. Homes move when a main registrar goes, and back when it returns
 * (upstreams_of()); the lease at the old one is kept in the record until it is removed
 * there, which lease.c does once the new one is held. Core thread only. Design 6.
 */
#ifndef MIDREG_REGISTRAR_HOME_H
#define MIDREG_REGISTRAR_HOME_H

#include "registrar/driver.h"

/* Makes the home of a record with live bindings what it is to be now, and under policy
 * "all" gives it a lease for each main registrar. The record may move. Without memory
 * all stays as it is. */
void home_settle(struct registrar *r, struct aor **a);
/* The same, of any record, for a REGISTER that goes up now. */
void home_move(struct registrar *r, struct aor **a);

/* Is the AOR, which has live bindings, to be registered there? */
bool home_wants(const struct registrar *r, const struct aor *a, const struct lease *l);

/* The lease at this main registrar, which is made if there is none. NULL: no memory. */
struct lease *home_lease_at(struct registrar *r, struct aor **a, unsigned upstream);

/* What the configuration says of how midreg can register this lease. */
void home_configure(const struct registrar *r, struct lease *l);

#endif

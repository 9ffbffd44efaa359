/*
 * registrar/extras: Service-Route and P-Associated-URI of each lease.
 *
 * What the last 2xx of the main registrar said beside the contacts is repeated
 * in every 200 to a phone, also where its REGISTER was absorbed: RFC 3608 6.1
 * wants Service-Route in each. Kept only for AORs that have any, and bounded.
 * Core thread only. RFC 3608, RFC 7315 4.1.
 */
#ifndef MIDREG_REGISTRAR_EXTRAS_H
#define MIDREG_REGISTRAR_EXTRAS_H

#include "registrar/driver.h"

/* Of one kind, for one AOR; more is not kept at all. */
#define EXTRAS_MAX 1024

/* Keeps what this 2xx gives, and that alone. */
void extras_learn(struct registrar *r, uint64_t hash, const struct sip_message *response);
/* The AOR is gone. */
void extras_forget(struct registrar *r, uint64_t hash);
/* Appends the fields for a phone that speaks to us over this flow. */
void extras_put(struct registrar *r, struct buf *out, uint64_t hash, const struct flow *phone);

void extras_fini(struct registrar *r);

#endif

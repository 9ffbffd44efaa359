/*
 * proxy/own: is that us?
 *
 * Core thread only; changes nothing.
 */
#ifndef MIDREG_PROXY_OWN_H
#define MIDREG_PROXY_OWN_H

#include "proxy/inside.h"
#include "sip/uri.h"

/* Are host and port of this URI an address of ours: where this sender reaches
 * us, a listener, `advertise`, or the host of the contacts upstream? */
bool own_address(const struct proxy *p, const struct flow *from, const struct sip_uri *uri);

/* Does this URI name midreg itself: no user, and our address or our domain? */
bool own_target(const struct proxy *p, const struct flow *from, const struct sip_uri *uri);

/* Our address as the phone on this flow is told (design 13: `advertise`). */
void own_address_for_phone(const struct proxy *p, const struct flow *phone, struct address *out);
/* Our address as this upstream is told. */
void own_address_for_upstream(const struct proxy *p, const struct upstream *u, struct address *out);

#endif

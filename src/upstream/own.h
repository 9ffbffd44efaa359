/*
 * upstream/own: is that us?
 *
 * Our addresses as phones, main registrars and strangers know them. Core thread
 * only; changes nothing.
 */
#ifndef MIDREG_UPSTREAM_OWN_H
#define MIDREG_UPSTREAM_OWN_H

#include "sip/uri.h"
#include "upstream/upstream.h"

/* Are host and port of this URI an address of ours: where this sender reaches
 * us, a listener, `advertise`, or the host of the contacts upstream? */
bool own_address(const struct upstreams *u, const struct flow *from, const struct sip_uri *uri);

/* Is this host one of these, whatever the port? NAT may have changed that. */
bool own_host(const struct upstreams *u, const struct flow *from, struct span host);

/* Does this URI name midreg itself: no user, and our address or our domain? */
bool own_target(const struct upstreams *u, const struct flow *from, const struct sip_uri *uri);

/* Our address as the phone on this flow is told (design 13: `advertise`). */
void own_address_for_phone(const struct upstreams *u, const struct flow *phone,
                           struct address *out);
/* Our address as this upstream is told. */
void own_address_for_upstream(const struct upstream *u, struct address *out);

#endif

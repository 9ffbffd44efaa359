/*
 * proxy/relay: the ACK of a 2xx, sent on without a transaction.
 *
 * Such an ACK is never answered and never repeated by us: the caller repeats it
 * with each 2xx that it gets again. Core thread only. RFC 3261 16.11, 17.1.1.
 */
#ifndef MIDREG_PROXY_RELAY_H
#define MIDREG_PROXY_RELAY_H

#include "proxy/fork.h"

/* Sends it over `to`; lost if it cannot be built. */
void relay_ack(struct proxy *p, const struct sip_message *ack, const struct flow *from,
               const struct fork_order *order, const struct flow *to);

#endif

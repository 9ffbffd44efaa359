/*
 * proxy/reach: where a phone is reached at this moment.
 *
 * The one place that knows that a binding whose connection is gone cannot be
 * called, and which other binding is the same phone after a move. Core thread
 * only; changes nothing. Design section 4.
 */
#ifndef MIDREG_PROXY_REACH_H
#define MIDREG_PROXY_REACH_H

#include "proxy/inside.h"
#include "sip/uri.h"

/* The flow that a request to this binding takes. False: it cannot be reached
 * now, though it may still count as registered. */
bool reach_binding(const struct proxy *p, const struct binding *b, struct flow *out);

/*
 * The phone of a dialog, which was the binding `id` of this AOR when it began:
 * that binding, or, where that has left or lost its connection, another one of
 * the same phone: of the same registration (RFC 3261 10.2: a phone registers
 * with one Call-ID), or with the contact by which the dialog knows it
 * (`contact`, the Request-URI). Another phone of the AOR is never taken: it
 * would answer 481 and so end the call. NULL: none can be reached.
 */
const struct binding *reach_again(const struct proxy *p, const struct aor *a, uint32_t id,
                                  const struct sip_uri *contact, struct flow *out);

#endif

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

/*
 * The flow that a request to this binding takes. That is the one its REGISTER came
 * over, whatever its Contact says; behind an edge proxy that is named by an
 * address (RFC 3327: Path), a datagram to that address. A Path that would lead to
 * a main registrar or back to us is not followed: it would have us call there in
 * the phone's name. False: it cannot be reached now, though it may still count as
 * registered.
 */
bool reach_binding(const struct proxy *p, const struct binding *b, struct flow *out);

/*
 * How a request to this binding is addressed: *ruri is the Request-URI, *lines the
 * Route fields, appended to `fields`: its Path in order (RFC 3327 5.3), none
 * without one. Both live as long as the binding and `fields`. False: no room.
 */
bool reach_address(const struct binding *b, struct buf *fields, struct span *ruri,
                   struct span *lines);

/*
 * The phone of a dialog, which was the binding `id` of this AOR when it began:
 * that binding, or, where that has left or lost its connection, another one of
 * the same phone: of the same registration (RFC 3261 10.2: a phone registers
 * with one Call-ID), or with the contact by which the dialog knows it
 * (`contact`, the Request-URI). Another phone of the AOR is never taken: it
 * would answer 481 and so end the call. NULL: none can be reached, *out is as it was.
 */
const struct binding *reach_again(const struct proxy *p, const struct aor *a, uint32_t id,
                                  const struct sip_uri *contact, struct flow *out);

#endif

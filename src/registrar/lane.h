/*
 * registrar/lane: the errands of one AOR, in the order in which they came.
 *
 * Bounded: whoever floods an AOR gets 503, and strangers never wait in it. Core
 * thread only. Design 3.3.
 */
#ifndef MIDREG_REGISTRAR_LANE_H
#define MIDREG_REGISTRAR_LANE_H

#include "registrar/errand.h"

#define LANE_WAITING_MAX   16
#define LANE_STRANGERS_MAX 2
#define LANE_HOST_MAX      4 /* wait from one host without a proved flow */
#define LANE_LATE_MAX      4 /* on their way beside each other, unanswered */

struct errand *lane_first(struct registrar *r, uint64_t hash);
/* False: no memory. */
bool lane_append(struct registrar *r, struct errand *e);
void lane_remove(struct registrar *r, struct errand *e);

bool lane_in_flight(const struct errand *e);
/* May it go now, beside those that are on their way and before those behind it? */
bool lane_may_start(struct registrar *r, const struct errand *e);
/* A stranger's: it goes at once or never. */
bool lane_stranger_may_go(struct registrar *r, const struct errand *e);
/* Is there no place for this REGISTER to wait in? */
bool lane_is_full(struct registrar *r, const struct register_request *rq, enum proof proof);
/* Will a REGISTER of it renew the lease there, as far as that is in our hands? */
bool lane_refreshes(struct registrar *r, uint64_t hash, unsigned upstream);
/* Is a REGISTER of this Call-ID waiting or on its way, unanswered? */
bool lane_has_call(struct registrar *r, uint64_t hash, struct span call_id);

#endif

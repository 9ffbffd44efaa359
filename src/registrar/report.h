/*
 * registrar/report: what the registrar knows, for those who look on.
 *
 * Core thread only; changes nothing.
 */
#ifndef MIDREG_REGISTRAR_REPORT_H
#define MIDREG_REGISTRAR_REPORT_H

#include "registrar/registrar.h"

struct report_upstream {
    uint32_t rate;         /* REGISTERs a second that it gets at most; 0: unlimited */
    uint64_t needed_milli; /* thousandths a second that its leases need */
    uint32_t expires_s;    /* asked of it */
    uint32_t waiting;      /* REGISTERs that wait for their turn */
    uint32_t storm_s;      /* until all who register now are in (storm.h) */
};

void report_upstream(const struct registrar *r, unsigned upstream, struct report_upstream *out);

/* What comes next for a lease. */
enum report_action {
    REPORT_NOTHING, /* there is none, and none is wanted; or it lapses */
    REPORT_BUSY,    /* a REGISTER of it is on its way, or waits for its turn */
    REPORT_PHONE,   /* midreg has no means: it waits for a REGISTER of a phone */
    REPORT_REGISTERS,
    REPORT_REFRESHES,
    REPORT_REMOVES,
    REPORT_DOWN, /* nothing until its upstream is up */
};

/* `l` is one of the leases of `a`. *at_ms: when midreg does it, on the core's clock; with
 * REPORT_PHONE, from when a phone's REGISTER goes up for it; else 0. */
enum report_action report_lease(struct registrar *r, const struct aor *a, const struct lease *l,
                                uint64_t *at_ms);

#endif

/*
 * registrar/report: see the header.
 *
 * Called by the admin surface between messages, on the core thread.
 */
#include "registrar/report.h"

#include "registrar/driver.h"
#include "registrar/home.h"
#include "registrar/lease.h"

void report_upstream(const struct registrar *r, unsigned upstream, struct report_upstream *out)
{
    const struct demand *d = &r->demand[upstream];

    *out = (struct report_upstream){
        .rate = r->pacer[upstream].rate,
        .needed_milli = demand_needed(d, demand_leases(r, upstream)),
        .expires_s = demand_expires_s(d, r->upstream_expires_s),
        .storm_s = storm_seconds(r, upstream),
    };
    for (unsigned i = 0; i < PACER_CLASSES; i++)
        out->waiting += r->pacer[upstream].queue[i].count;
}

enum report_action report_lease(struct registrar *r, const struct aor *a, const struct lease *l,
                                uint64_t *at_ms)
{
    uint64_t now_ms = r->rt->now_ms;
    bool live = aor_live_count(a, now_ms) > 0;
    bool wanted = live && home_wants(r, a, l);
    bool held = lease_held(l, now_ms);

    *at_ms = 0;
    if (a->busy)
        return REPORT_BUSY;
    if (!upstream_is_up(&r->with.upstreams->list[l->upstream]))
        return wanted || lease_possible(l, now_ms) ? REPORT_DOWN : REPORT_NOTHING;
    if (wanted && l->means == MEANS_NONE) {
        *at_ms = held ? lease_refresh_at_ms(a, l) : now_ms;
        return REPORT_PHONE;
    }
    uint64_t action_ms = lease_own_action_ms(r, a, l, live);
    if (action_ms == UINT64_MAX)
        return REPORT_NOTHING;
    *at_ms = action_ms;
    if (!wanted)
        return REPORT_REMOVES;
    return held ? REPORT_REFRESHES : REPORT_REGISTERS;
}

/*
 * registrar/demand: see the header.
 *
 * Called by errand.c, and for the status, on the core thread. Never allocates, and
 * arms no timer: where nobody sends a REGISTER, nothing needs to be asked.
 */
#include "registrar/demand.h"

#include "registrar/driver.h"

#define WARN_EVERY_MS 60000
/* The mean interval follows the last so many grants. */
#define MEAN_OF 32
/* Half the expiry must leave a fifth of the rate free, or it would come and go. */
#define ROOM_NUMERATOR   4
#define ROOM_DENOMINATOR 5
/* Records that tell which policy how many follow, and places of the table to find them. */
#define SAMPLE       128
#define SAMPLE_STEPS 1024

void demand_init(struct demand *d, uint64_t now_ms)
{
    *d = (struct demand){.since_ms = now_ms};
}

void demand_granted(struct demand *d, uint64_t interval_ms)
{
    d->granted = true;
    if (d->interval_ms == 0)
        d->interval_ms = interval_ms;
    else
        d->interval_ms = (d->interval_ms * (MEAN_OF - 1) + interval_ms) / MEAN_OF;
}

void demand_forwarded(struct demand *d)
{
    d->forwarded++;
}

uint64_t demand_needed(const struct demand *d, uint64_t leases)
{
    uint64_t refreshes = d->interval_ms ? leases * 1000000 / d->interval_ms : 0;

    return refreshes + d->forwarded_rate;
}

uint32_t demand_expires_s(const struct demand *d, uint32_t base_s)
{
    uint64_t expires_s = (uint64_t)base_s << d->doublings;

    if (base_s >= DEMAND_EXPIRES_MAX_S)
        return base_s;
    return expires_s < DEMAND_EXPIRES_MAX_S ? (uint32_t)expires_s : DEMAND_EXPIRES_MAX_S;
}

bool demand_look(struct demand *d, uint64_t now_ms, uint64_t leases, uint32_t rate, bool waits,
                 uint32_t base_s)
{
    uint64_t age_ms = now_ms - d->since_ms;
    uint64_t taken = (uint64_t)rate * 1000;
    bool exceeds = false;

    if (age_ms < DEMAND_WINDOW_MS)
        return false;
    d->forwarded_rate = (uint32_t)(d->forwarded * UINT64_C(1000000) / age_ms);
    /* An upstream that grants nothing is down: that says nothing of what it takes. */
    if (rate && d->granted) {
        uint64_t needed = demand_needed(d, leases);
        uint64_t refreshes = needed - d->forwarded_rate;

        exceeds = waits && d->waited && needed > taken;
        if (exceeds && demand_expires_s(d, base_s) < DEMAND_EXPIRES_MAX_S)
            d->doublings++;
        else if (!waits && d->doublings &&
                 (needed + refreshes) * ROOM_DENOMINATOR < taken * ROOM_NUMERATOR)
            d->doublings--;
    }
    d->since_ms = now_ms;
    d->forwarded = 0;
    d->granted = false;
    d->waited = waits;
    return exceeds;
}

/* ---- with the registrar ------------------------------------------------------------ */

/* The table's order has nothing to do with domains. */
void demand_sample(struct registrar *r)
{
    unsigned seen[POLICY_ALL + 1] = {0};
    unsigned count = 0;
    void *record;

    if (r->with.config->domain_policy_count == 0)
        return;
    for (unsigned steps = 0; count < SAMPLE && steps < SAMPLE_STEPS; steps++) {
        if (!table_walk(&r->with.location->aors, &r->sampled_to, &record)) {
            r->sampled_to = 0;
            continue;
        }
        if (!record)
            continue;
        seen[upstreams_policy(r->with.upstreams, aor_text(record))]++;
        count++;
    }
    for (unsigned p = 0; count && p <= POLICY_ALL; p++)
        r->policy_part[p] = (double)seen[p] / count;
}

/* The leases of one upstream, by its share of the identities. A record without a
 * binding is no lease, so who makes up names counts for nothing. */
uint64_t demand_leases(const struct registrar *r, unsigned upstream)
{
    const struct location *l = r->with.location;
    uint64_t leases = l->aors.used < l->bindings ? l->aors.used : l->bindings;

    double share = 0;

    for (unsigned p = 0; p <= POLICY_ALL; p++)
        if (r->policy_part[p] > 0)
            share += r->policy_part[p] *
                     upstreams_share(r->with.upstreams, (enum config_policy)p, upstream);
    return (uint64_t)((double)leases * share + 0.5);
}

void demand_watch(struct registrar *r, unsigned upstream)
{
    const struct pacer *pacer = &r->pacer[upstream];
    struct demand *d = &r->demand[upstream];
    bool waits = pacer_waiting(pacer) > 0;
    uint64_t now_ms = r->rt->now_ms;

    if (now_ms >= d->since_ms + DEMAND_WINDOW_MS)
        demand_sample(r);
    uint64_t leases = demand_leases(r, upstream);
    if (!demand_look(d, now_ms, leases, pacer->rate, waits, r->upstream_expires_s) ||
        now_ms < d->warn_ms)
        return;
    d->warn_ms = now_ms + WARN_EVERY_MS;
    uint64_t needed = demand_needed(d, leases);
    runtime_log(r->rt, LOG_WARN, "upstream_too_slow",
                "upstream=%s needed=%llu.%03llu rate=%u leases=%llu upstream_expires=%u "
                "remedy=\"it takes fewer REGISTERs a second than its leases need, so they ask "
                "for longer ones: raise rate-max if it can take more, and what it grants at "
                "most if that is less\"",
                r->with.upstreams->list[upstream].config->name, (unsigned long long)needed / 1000,
                (unsigned long long)needed % 1000, pacer->rate, (unsigned long long)leases,
                demand_expires_s(d, r->upstream_expires_s));
}

static void put_number(struct buf *out, const char *upstream, const char *name, uint64_t value)
{
    buf_char(out, ' ');
    buf_str(out, upstream);
    buf_str(out, name);
    buf_u64(out, value);
}

void demand_put_status(struct buf *out, const struct registrar *r)
{
    for (unsigned i = 0; i < r->with.upstreams->count; i++) {
        const struct demand *d = &r->demand[i];
        const char *name = r->with.upstreams->list[i].config->name;

        /* Rounded up: one that needs any is not idle. */
        put_number(out, name, ".rate=", r->pacer[i].rate);
        put_number(out, name, ".needed=", (demand_needed(d, demand_leases(r, i)) + 999) / 1000);
        put_number(out, name, ".expires=", demand_expires_s(d, r->upstream_expires_s));
        put_number(out, name, ".storm=", storm_seconds(r, i));
    }
}

/*
 * registrar/home: see the header.
 *
 * Called by lease.c, errand.c and reload.c on the core thread. Sends nothing.
 */
#include "registrar/home.h"

static unsigned target_of(const struct registrar *r, const struct aor *a)
{
    struct upstreams *all = r->with.upstreams;

    return (unsigned)(upstreams_of(all, aor_text(a), a->hash) - all->list);
}

void home_configure(const struct registrar *r, struct lease *l)
{
    enum config_means means = r->with.config->upstream[l->upstream].means;

    if (means == CONFIG_MEANS_ACL)
        l->means = MEANS_ACL;
    else if (means == CONFIG_MEANS_NONE)
        l->means = MEANS_NONE;
}

bool home_wants(const struct registrar *r, const struct aor *a, const struct lease *l)
{
    return l == &a->lease || upstreams_policy(r->with.upstreams, aor_text(a)) == POLICY_ALL;
}

struct lease *home_lease_at(struct registrar *r, struct aor **a, unsigned upstream)
{
    struct lease *l = aor_lease_at(*a, upstream);

    if (l)
        return l;
    l = location_add_lease(r->with.location, a, upstream);
    if (l)
        home_configure(r, l);
    return l;
}

/* Was nothing ever asked for with it? */
static bool is_blank(const struct lease *l)
{
    return l->cseq == 0 && l->may_ms == 0;
}

/*
 * The new home holds nothing yet. What the phones were granted goes on as if it had
 * been lost just now: survive-max counts from here, and each is due (rules.c).
 */
static void move_in(struct registrar *r, struct lease *new, const struct lease *old)
{
    uint64_t now_ms = r->rt->now_ms;
    uint64_t lost_ms = old->until_ms && old->until_ms < now_ms ? old->until_ms : now_ms;

    if (!lease_held(new, now_ms) && new->until_ms < lost_ms)
        new->until_ms = lost_ms;
    if (new->may_ms < new->until_ms)
        new->may_ms = new->until_ms;
    if (new->granted_s == 0)
        new->granted_s = old->granted_s;
}

void home_move(struct registrar *r, struct aor **a)
{
    unsigned to = r->with.upstreams->count > 1 ? target_of(r, *a) : 0;
    struct lease *l, old;

    if ((*a)->lease.upstream == to)
        return;
    /* What is on its way is about the lease that is there. */
    if (is_blank(&(*a)->lease) && !(*a)->busy && !aor_lease_at(*a, to)) {
        (*a)->lease.upstream = (uint8_t)to;
        home_configure(r, &(*a)->lease);
        return;
    }
    l = home_lease_at(r, a, to);
    if (!l)
        return;
    old = (*a)->lease;
    move_in(r, l, &old);
    (*a)->lease = *l;
    *l = old;
    /* Whether it holds anything when it is back must be seen then. */
    if (!upstream_is_up(&r->with.upstreams->list[l->upstream]) && l->until_ms > r->rt->now_ms)
        l->until_ms = r->rt->now_ms;
    journal_change(r->with.journal, *a);
}

void home_settle(struct registrar *r, struct aor **a)
{
    const struct upstream *home = &r->with.upstreams->list[(*a)->lease.upstream];

    if (r->with.upstreams->count == 1 || aor_live_count(*a, r->rt->now_ms) == 0)
        return;
    /* After a start its name is being looked up: nobody moves for that. */
    if (upstream_is_placed(home) || home->name.failures > 0)
        home_move(r, a);
    if (upstreams_policy(r->with.upstreams, aor_text(*a)) != POLICY_ALL)
        return;
    for (unsigned i = 0; i < r->with.upstreams->count; i++)
        (void)home_lease_at(r, a, i);
}

/*
 * registrar/kick: see the header.
 *
 * Called by the admin surface between messages, and by lease.c, on the core thread.
 * Never allocates.
 */
#include "registrar/kick.h"

#include "registrar/driver.h"
#include "registrar/lease.h"

static bool is_meant(const struct binding *b, struct span contact)
{
    struct sip_fault fault;
    struct sip_uri wanted, uri;

    if (!contact.p || span_eq(contact, binding_uri(b)))
        return true;
    return sip_uri_parse(contact, &wanted, &fault) && sip_uri_parse(binding_uri(b), &uri, &fault) &&
           sip_uri_equal(&wanted, &uri);
}

unsigned kick_bury(struct registrar *r, struct aor *a, struct span contact)
{
    unsigned buried = 0;

    for (struct binding *b = aor_first(a); b; b = aor_next(a, b)) {
        if ((b->flags & BINDING_TOMBSTONE) || !is_meant(b, contact))
            continue;
        location_bury(r->with.location, a, b->id, b->cseq, r->rt->now_ms + TOMBSTONE_MS);
        runtime_count(r->rt, COUNTER_BINDING_REMOVED);
        buried++;
    }
    return buried;
}

unsigned registrar_kick(struct registrar *r, uint64_t hash, struct span contact, uint64_t *sequence)
{
    struct aor *a = location_find(r->with.location, hash);
    unsigned buried = a ? kick_bury(r, a, contact) : 0;

    if (buried == 0)
        return 0;
    journal_change(r->with.journal, a);
    *sequence = a->sequence;
    lease_settle(r, hash);
    return buried;
}

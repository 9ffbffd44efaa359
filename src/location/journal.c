/*
 * location/journal: numbers for changes, and how far they are durable.
 *
 * Called by the registrar after each change of a record, and by the core when
 * the world reports. Core thread only; never blocks, never allocates.
 */
#include "location/journal.h"

void journal_init(struct journal *j, struct runtime *rt)
{
    *j = (struct journal){.rt = rt};
}

bool journal_change(struct journal *j, struct aor *a)
{
    a->sequence = ++j->submitted;
    if (j->rt->ports->journal_submit(j->rt->ports->world, a->sequence))
        journal_reached(j, a->sequence);
    return journal_is_durable(j, a->sequence);
}

void journal_reached(struct journal *j, uint64_t sequence)
{
    /* What was never given out cannot be durable, whatever the world says. */
    if (sequence > j->submitted)
        sequence = j->submitted;
    if (sequence > j->durable)
        j->durable = sequence;
}

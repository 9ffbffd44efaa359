/*
 * disk: what a store would hold, for worlds that have no file.
 *
 * Keeps the last image of each AOR that was written (location/image.h). Whoever
 * owns it decides when a batch counts as written, and what a crash leaves.
 */
#ifndef MIDREG_TESTS_DISK_H
#define MIDREG_TESTS_DISK_H

#include "base/table.h"
#include "location/image.h"

struct disk {
    struct table images; /* AOR hash -> a copy of its record */
    uint32_t lost;       /* bit i: what main registrar i holds may be lost */
};

void disk_init(struct disk *d);
void disk_fini(struct disk *d);

/* The batch is durable from now on. Aborts without memory. */
void disk_write(struct disk *d, struct span batch);
/* What is durable of this AOR, or NULL. */
const struct aor *disk_find(const struct disk *d, uint64_t hash);
/* All, in the order of the table; NULL at the end. */
const struct aor *disk_next(const struct disk *d, size_t *at);

#endif

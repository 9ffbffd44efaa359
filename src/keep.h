/*
 * keep: the store of a running midreg: opened, loaded, written by its thread.
 *
 * Wiring, called by run.c on the core thread.
 */
#ifndef MIDREG_KEEP_H
#define MIDREG_KEEP_H

#include "core.h"
#include "net/world.h"

#include <stdio.h>

struct keep;

/*
 * Opens the store that the configuration names and gives the core what is in it.
 * Before any socket is open. NULL, with one line on `errors`: it cannot be done, and
 * nobody should be answered.
 */
struct keep *keep_open(const struct config *config, struct world *world, struct core *core,
                       FILE *errors);
/* Where the store of this configuration is, in `path` (PATH_MAX bytes). False as above. */
bool keep_path(const struct config *config, char *path, FILE *errors);
/* After core_start(), before the first turn: leases for another address of ours are
 * seen to, and the thread that writes is started. False as above. */
bool keep_begin(struct keep *k, FILE *errors);
/* Writes what it was given and where the leases are, ends the thread, closes the file. NULL is
 * fine. */
void keep_close(struct keep *k);

#endif

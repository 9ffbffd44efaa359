/*
 * net/secret: the installation's secret, the same at every start.
 *
 * All tokens, tags and MACs hang on it: with another one, the contacts that the
 * main registrars hold are no longer recognised. Main thread, before the loop.
 */
#ifndef MIDREG_NET_SECRET_H
#define MIDREG_NET_SECRET_H

#include "base/hash.h"

#include <stdio.h>

/* Reads the file "secret" in the state directory (`dir`, from
 * state_dir_open(path)), or makes it: random bytes, mode 0600, there as a whole
 * or not at all. False, with one line on `errors`: unreadable, damaged, or
 * readable by others. Call under the lock (lock.h). */
bool secret_load(int dir, const char *path, uint8_t out[HASH_SECRET_SIZE], FILE *errors);

#endif

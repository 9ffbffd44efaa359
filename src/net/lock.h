/*
 * net/lock: one running midreg per state directory, and per store.
 *
 * The file "lock" in the directory, and FILE.lock beside a store of another place, are
 * locked while midreg runs and hold its pid. Main thread, before the loop.
 */
#ifndef MIDREG_NET_LOCK_H
#define MIDREG_NET_LOCK_H

#include <stdio.h>

/* `dir`: from state_dir_open(path). A descriptor that holds the lock until it is
 * closed (or the process ends, however), or -1 with one line on `errors` that
 * names the pid of the holder. */
int lock_take(int dir, const char *path, FILE *errors);

/* The same for a store that is a file of its own. */
int lock_take_store(const char *path, FILE *errors);

#endif

/*
 * net/lock: one running midreg per state directory.
 *
 * The file "lock" in it is locked while midreg runs and holds its pid. Main
 * thread, before the loop.
 */
#ifndef MIDREG_NET_LOCK_H
#define MIDREG_NET_LOCK_H

#include <stdio.h>

/* `dir`: from state_dir_open(path). A descriptor that holds the lock until it is
 * closed (or the process ends, however), or -1 with one line on `errors` that
 * names the pid of the holder. */
int lock_take(int dir, const char *path, FILE *errors);

#endif

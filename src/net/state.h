/*
 * net/state: the state directory.
 *
 * Holds the lock (lock.h) and the installation's secret (secret.h). Main thread,
 * before the loop.
 */
#ifndef MIDREG_NET_STATE_H
#define MIDREG_NET_STATE_H

#include <stdio.h>

/* Opens the directory and creates it (0700) if it is missing; its parent must
 * be there. A descriptor for the caller to close, or -1 with one line that says
 * what is wrong and what to do on `errors`. */
int state_dir_open(const char *path, FILE *errors);

#endif

/*
 * run: midreg at work, from a configuration file until it is told to end.
 *
 * Called by main.c.
 */
#ifndef MIDREG_RUN_H
#define MIDREG_RUN_H

#include <stdbool.h>

/* Runs until SIGTERM or SIGINT; true. False: it could not start, and stderr
 * says why. */
bool run_midreg(const char *config_path);

#endif

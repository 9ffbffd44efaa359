/*
 * exchange: `midreg export` and `midreg import`.
 *
 * Wiring, called by main.c in a process of its own: which file the configuration means,
 * that nobody else runs on it, and what is said to the operator.
 */
#ifndef MIDREG_EXCHANGE_H
#define MIDREG_EXCHANGE_H

#include <stdbool.h>

/* Writes the store of this configuration to `out`; NULL or "-": stdout. False, with a line
 * on stderr. */
bool exchange_export(const char *config_path, const char *out);
/* Reads `in` ("-": stdin) into it. False, with a line on stderr: nothing was changed. */
bool exchange_import(const char *config_path, const char *in, bool replace);

#endif

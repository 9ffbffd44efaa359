/*
 * config/diff: a configuration that was read again, against the one that is running.
 *
 * What may change while midreg runs is taken over at once; of the rest it is told that
 * it needs a restart. Core thread only: nobody reads the configuration meanwhile.
 */
#ifndef MIDREG_CONFIG_DIFF_H
#define MIDREG_CONFIG_DIFF_H

#include "config/config.h"

#define CONFIG_VALUE_MAX 80

struct config_change {
    const char *upstream; /* whose option it is; NULL: the program's own */
    const char *option;
    bool applied;                  /* else it needs a restart */
    char before[CONFIG_VALUE_MAX]; /* as one writes it; empty where that is long or secret */
    char now[CONFIG_VALUE_MAX];
};

/* Takes over what can be. Tells of each option that differs, in the order of the table.
 * Returns how many do. */
unsigned config_apply(struct config *running, const struct config *read,
                      void (*tell)(void *self, const struct config_change *change), void *self);

#endif

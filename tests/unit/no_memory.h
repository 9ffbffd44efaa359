/*
 * no_memory: allocations that fail on purpose.
 *
 * Link with --wrap for malloc, calloc and realloc. What the fake world needs for
 * itself never fails and is not counted.
 */
#ifndef MIDREG_TESTS_NO_MEMORY_H
#define MIDREG_TESTS_NO_MEMORY_H

#include "fake_ports.h"

/* From now on allocation number `at` (from 1) fails, and with `on` all after it. */
void no_memory_from(struct fake *f, unsigned at, bool on);
/* Memory is back. True: something has failed. */
bool no_memory_end(struct fake *f);

#endif

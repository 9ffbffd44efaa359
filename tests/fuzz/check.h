/*
 * check: what the fuzz targets share.
 *
 * A target is one function over one input; it aborts where a promise of a
 * header file is broken. Sanitizers watch the memory.
 */
#ifndef MIDREG_TESTS_FUZZ_CHECK_H
#define MIDREG_TESTS_FUZZ_CHECK_H

#include "sip/build.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* An empty span may point nowhere. */
static inline bool within(struct span inner, struct span outer)
{
    return !inner.p || (inner.p >= outer.p && inner.p + inner.n <= outer.p + outer.n);
}

/* Room for the largest datagram and what we add to it. */
#define ROOM (70 * 1024)

#endif

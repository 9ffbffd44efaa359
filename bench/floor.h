/*
 * floor: what load and floor say to each other.
 *
 * Each datagram to the floor begins with this order; so does each of its answers.
 */
#ifndef MIDREG_BENCH_FLOOR_H
#define MIDREG_BENCH_FLOOR_H

#include <stdint.h>

#define FLOOR_ANSWERS_MAX 8
#define FLOOR_SIZE_MAX    4096

struct floor_order {
    uint32_t slot;
    uint32_t generation;
    uint32_t count;                   /* of answers */
    uint16_t size[FLOOR_ANSWERS_MAX]; /* of each, in bytes */
};

#endif

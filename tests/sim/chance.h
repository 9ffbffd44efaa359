/*
 * chance: the simulation's only source of chance, a number sequence from a seed.
 *
 * Each part of the simulated world has a sequence of its own (splitmix64), so that
 * what one part draws does not disturb the others.
 */
#ifndef MIDREG_SIM_CHANCE_H
#define MIDREG_SIM_CHANCE_H

#include <stdbool.h>
#include <stdint.h>

struct chance {
    uint64_t state;
};

static inline uint64_t chance_next(struct chance *c)
{
    uint64_t z = (c->state += 0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

/* The sequence number `stream` of a seed. */
static inline struct chance chance_of(uint64_t seed, uint64_t stream)
{
    struct chance c = {seed * 0x2545f4914f6cdd1d + stream * 0xd6e8feb86659fd93};

    c.state = chance_next(&c);
    return c;
}

/* A number below `below` (> 0). */
static inline uint32_t chance_below(struct chance *c, uint32_t below)
{
    return (uint32_t)((chance_next(c) >> 32) * below >> 32);
}

/* From `low` to `high`, both included. */
static inline uint64_t chance_between(struct chance *c, uint64_t low, uint64_t high)
{
    return low + chance_next(c) % (high - low + 1);
}

/* True in `percent` of all cases. */
static inline bool chance_percent(struct chance *c, uint32_t percent)
{
    return chance_below(c, 100) < percent;
}

static inline bool chance_permille(struct chance *c, uint32_t permille)
{
    return permille && chance_below(c, 1000) < permille;
}

/* Exponentially distributed around `mean`, at most ten times it. */
uint64_t chance_around(struct chance *c, uint64_t mean);

#endif

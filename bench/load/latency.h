/*
 * latency: a histogram of durations, exact to 1.6 %.
 *
 * Below 128 ns each has its own bucket, then each power of two has 64.
 */
#ifndef MIDREG_BENCH_LATENCY_H
#define MIDREG_BENCH_LATENCY_H

#include <stdint.h>

#define LATENCY_STEPS   64
#define LATENCY_BUCKETS (40 * LATENCY_STEPS)

struct latency {
    uint64_t count;
    uint64_t most_ns;
    uint64_t bucket[LATENCY_BUCKETS];
};

static inline unsigned latency_bucket(uint64_t ns)
{
    unsigned power, bucket;

    if (ns < 2 * LATENCY_STEPS)
        return (unsigned)ns;
    power = 63 - (unsigned)__builtin_clzll(ns) - 6;
    bucket = power * LATENCY_STEPS + (unsigned)(ns >> power);
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* The least duration of a bucket. */
static inline uint64_t latency_low_ns(unsigned bucket)
{
    unsigned power = bucket / LATENCY_STEPS - 1;

    if (bucket < 2 * LATENCY_STEPS)
        return bucket;
    return (uint64_t)(bucket % LATENCY_STEPS + LATENCY_STEPS) << power;
}

static inline void latency_add(struct latency *l, uint64_t ns)
{
    l->bucket[latency_bucket(ns)]++;
    l->count++;
    if (ns > l->most_ns)
        l->most_ns = ns;
}

/* At or below which `permille` of all are; 0 where there are none. */
static inline uint64_t latency_at(const struct latency *l, unsigned permille)
{
    uint64_t want = (l->count * permille + 999) / 1000;
    uint64_t seen = 0;

    for (unsigned i = 0; want && i < LATENCY_BUCKETS; i++) {
        seen += l->bucket[i];
        if (seen >= want)
            return latency_low_ns(i);
    }
    return 0;
}

#endif

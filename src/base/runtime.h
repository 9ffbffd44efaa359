/*
 * base/runtime: what every room of the core needs: ports, clock, timers, counters.
 *
 * One per core. `now_ms` is the monotonic time of the current turn. Core thread
 * only.
 */
#ifndef MIDREG_BASE_RUNTIME_H
#define MIDREG_BASE_RUNTIME_H

#include "base/counters.h"
#include "base/hash.h"
#include "base/ports.h"
#include "base/wheel.h"

struct runtime {
    const struct ports *ports;
    uint64_t now_ms;
    uint32_t boot_id; /* random, one per start */
    struct wheel wheel;
    struct counters counters;
    struct hasher hasher;
};

static inline void runtime_count(struct runtime *rt, enum counter which)
{
    counter_add(&rt->counters, which);
}

/* A number below `below` (> 0), from the world's chance. */
uint32_t runtime_random(struct runtime *rt, uint32_t below);

/* Logs "event=EVENT key=value ...". The format is printf's; values that come
 * from the network go through log_value(). */
void runtime_log(struct runtime *rt, enum log_level level, const char *event, const char *format,
                 ...) __attribute__((format(printf, 4, 5)));

/* A value that is safe to log: printable, quoted if it holds spaces or quotes,
 * at most 128 bytes. Points into `room`. */
struct log_text {
    char text[132];
};
const char *log_value(struct log_text *room, struct span value);

#endif

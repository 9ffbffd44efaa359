/*
 * registrar/pacer: how many REGISTERs a second an upstream gets.
 *
 * A token bucket, kept as the time at which it would be full again (GCRA): a
 * caller reserves the next free place and waits for it, so the order is that of
 * the reservations and no queue is needed here. Core thread only. Design 3.6.
 */
#ifndef MIDREG_REGISTRAR_PACER_H
#define MIDREG_REGISTRAR_PACER_H

#include <stdint.h>

struct pacer {
    uint32_t rate;    /* a second; 0: unlimited */
    uint64_t next_us; /* when the next place is free */
};

#define PACER_REFUSED UINT64_MAX

void pacer_init(struct pacer *p, uint32_t rate);

/* How long until the next place would be reached, in ms. */
uint64_t pacer_backlog(const struct pacer *p, uint64_t now_ms);

/* Reserves a place: the ms to wait for it (0: now), or PACER_REFUSED, with
 * nothing reserved, when that would be more than max_wait_ms. */
uint64_t pacer_reserve(struct pacer *p, uint64_t now_ms, uint64_t max_wait_ms);

#endif

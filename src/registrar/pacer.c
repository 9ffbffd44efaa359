/*
 * registrar/pacer: the token bucket for REGISTERs towards one upstream.
 *
 * Called by errand.c on the core thread. Knows no clock of its own.
 */
#include "registrar/pacer.h"

/* A burst of a tenth of a second's worth may go at once. */
static uint64_t burst_us(const struct pacer *p)
{
    return p->rate >= 10 ? 100000 : 0;
}

void pacer_init(struct pacer *p, uint32_t rate)
{
    *p = (struct pacer){.rate = rate};
}

uint64_t pacer_backlog(const struct pacer *p, uint64_t now_ms)
{
    uint64_t now_us = now_ms * 1000;

    if (p->rate == 0 || p->next_us <= now_us)
        return 0;
    return (p->next_us - now_us + 999) / 1000;
}

uint64_t pacer_reserve(struct pacer *p, uint64_t now_ms, uint64_t max_wait_ms)
{
    uint64_t now_us = now_ms * 1000;
    uint64_t wait_ms = pacer_backlog(p, now_ms);

    if (p->rate == 0)
        return 0;
    if (wait_ms > max_wait_ms)
        return PACER_REFUSED;
    /* An idle bucket fills up to the burst and no further. */
    if (p->next_us + burst_us(p) < now_us)
        p->next_us = now_us - burst_us(p);
    p->next_us += (1000000 + p->rate - 1) / p->rate; /* rounded up: never faster */
    return wait_ms;
}

/*
 * registrar/storm: more phones register anew than a main registrar takes.
 *
 * After a power cut all phones are back within a minute. Known ones are absorbed; new
 * ones wait for the pacer, and who finds no place is asked to come again in a few
 * seconds. How long until all of them are in is what an operator wants to know then:
 * those who wait, and those who were asked to come again of late, by the rate. Said in
 * the log when it begins, each ten seconds, and when it is over. Core thread only.
 */
#ifndef MIDREG_REGISTRAR_STORM_H
#define MIDREG_REGISTRAR_STORM_H

#include "base/wheel.h"

struct registrar;

/* Of one upstream. */
struct storm {
    struct timer timer; /* TIMER_STORM: while it lasts, and until who was refused came */
    uint64_t window_ms; /* the window began then */
    uint32_t refused;   /* in it */
    uint32_t before;    /* in the one before */
    bool on;            /* it was said to have begun */
    uint64_t began_ms;
    uint64_t said_ms;
};

void storm_init(struct registrar *r);
void storm_fini(struct registrar *r);

/* A phone was asked to come again, as no place was free. */
void storm_refused(struct registrar *r, unsigned upstream);
/* Somebody waits. */
void storm_waits(struct registrar *r, unsigned upstream);

/* In how many seconds all who register now will be in, about; 0: there is no storm. */
uint32_t storm_seconds(const struct registrar *r, unsigned upstream);

#endif

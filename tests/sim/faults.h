/*
 * faults: the plan of a day: bad times and calm times.
 *
 * In bad times the network loses, repeats and delays, and the main registrar
 * restarts, forgets, is silent, refuses. Between them are calm times, in which
 * the invariants that need calm are checked.
 */
#ifndef MIDREG_SIM_FAULTS_H
#define MIDREG_SIM_FAULTS_H

#include "chance.h"

#define FAULTS_MAX 512

struct sim;

enum fault_kind {
    FAULT_NETWORK,   /* loss, duplicates, late datagrams on one side or both */
    FAULT_CUT,       /* nothing passes on one side */
    FAULT_SILENCE,   /* the main registrar hears nothing */
    FAULT_RESTART,   /* it restarts and keeps its registrations */
    FAULT_PURGE,     /* it restarts and has lost them */
    FAULT_FLUSH,     /* it loses them while it runs; nobody is told */
    FAULT_BUSY,      /* 503 with Retry-After: 300 */
    FAULT_SHORTENED, /* it grants less */
    FAULT_REFUSED,   /* it switches a user off: 403 */
    FAULT_CRASH,     /* midreg is killed, most often while it writes, and started again */
    FAULT_KINDS
};

struct fault {
    enum fault_kind kind;
    uint64_t begins_us;
    uint64_t ends_us;
    uint32_t detail;
    bool running;
};

struct faults {
    struct chance chance;
    struct fault plan[FAULTS_MAX];
    unsigned count;
    unsigned running;
    uint64_t calm_since_us; /* the end of the last fault */
    bool crash_wanted;      /* in the middle of the next write */
    uint64_t lost_us;       /* registrations were lost last then; 0: never */
};

void faults_init(struct sim *s);
/* A fault begins or ends, or (who >= FAULTS_MAX) something else happens. */
void faults_event(struct sim *s, uint32_t who);
/* midreg has given its disk something to write, which takes so long. */
void faults_writing(struct sim *s, uint64_t us);

/* Has nothing been wrong for so long? */
bool faults_calm_for(const struct sim *s, uint64_t us);

#endif

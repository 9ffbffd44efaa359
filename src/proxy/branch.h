/*
 * proxy/branch: one branch of a fork: the request built and sent, cancelled, and
 * timed by timer C.
 *
 * fork.c decides, branch.c does. A branch lives in its fork's arena. Core thread
 * only. RFC 3261 16.6 and 16.8.
 */
#ifndef MIDREG_PROXY_BRANCH_H
#define MIDREG_PROXY_BRANCH_H

#include "proxy/fork.h"

/*
 *   WAITING --branch_start()--> RUNNING --final answer, timeout--> FINAL --> GONE
 *      |                           |                                         ^
 *      +- not needed, no target ---+---------- branch_forget() --------------+
 *
 *   RUNNING --branch_falls_back(), branch_divert()--> WAITING
 */
enum branch_state {
    BRANCH_WAITING, /* for its turn */
    BRANCH_RUNNING, /* sent, no final answer yet */
    BRANCH_FINAL,   /* has its final answer; the 2xx of an INVITE may come again */
    BRANCH_GONE,    /* the client transaction has ended or goes on alone, or never was */
};

struct branch {
    struct branch *next;
    struct fork *fork;
    struct timer timer;  /* TIMER_BRANCH: timer C */
    uint64_t timer_c_ms; /* when timer C is due; `timer` may fire earlier and look again */
    struct handle client;
    uint32_t binding_id; /* it goes where this binding is; 0: over `flow` */
    struct flow flow;
    uint16_t q;
    enum branch_state state;
    bool cancel_counted;
};

enum branch_started {
    BRANCH_SENT,
    BRANCH_NO_TARGET, /* the binding has left meanwhile, or its connection has closed */
    BRANCH_TOO_BIG,   /* what would be sent fits in no datagram */
    BRANCH_NO_MEMORY,
};

/* Sends the fork's request on a WAITING branch. */
enum branch_started branch_start(struct branch *b, const struct server_tx *server);

/*
 * Was it sent up over a connection that closed before anything came back? Then it
 * is WAITING again and will go by datagram (RFC 3261 18.1.1), else nothing changes.
 */
bool branch_falls_back(struct branch *b, const struct client_tx *tx);

/* Was it sent up, and has nothing come back? Then it is WAITING again and will go over
 * this flow instead. */
bool branch_divert(struct branch *b, const struct flow *to);

/* Asks for the end of a branch if it is RUNNING; once is enough. `reason` is a
 * Reason value or empty. Its final answer, or the timeout, still comes. */
void branch_cancel(struct branch *b, struct span reason);

/* Counts a CANCEL to a phone once it has really left. */
void branch_note_cancel(struct branch *b, const struct client_tx *tx);

/* A provisional answer of 101 to 199 sets timer C back (16.7 step 2). */
void branch_extend(struct branch *b);

/* Lets go of the client transaction. */
void branch_forget(struct branch *b);

#endif

/*
 * registrar/errand: one REGISTER on its way to the main registrar.
 *
 * An errand is run for a phone (its REGISTER is forwarded) or for midreg itself
 * (lease.c). All errands of an AOR stand in its lane, in order of arrival:
 *
 *   WAITING -> PACED -> SENT -> (answer, or none) -> gone
 *
 * WAITING: another errand of this lane is on its way. It is decided anew when
 * its turn comes: often it can be absorbed by then. PACED: waits in the
 * upstream's pacer for its turn. Core thread only. Design 3.3, 3.4.
 */
#ifndef MIDREG_REGISTRAR_ERRAND_H
#define MIDREG_REGISTRAR_ERRAND_H

#include "registrar/driver.h"
#include "transaction/client.h"

#define ERRANDS_MAX 131072

enum errand_state { ERRAND_WAITING, ERRAND_PACED, ERRAND_SENT };

struct errand {
    struct registrar *r;
    struct handle handle;
    struct errand *next;  /* in the lane */
    struct handle server; /* the phone's transaction; none: midreg's own errand */
    struct handle client;
    struct address source;    /* the phone's, or its edge proxy's */
    struct timer timer;       /* TIMER_FORWARD: the earliest of the deadlines below */
    struct pacer_place place; /* PACED */
    uint64_t hash;
    uint64_t answer_by_ms; /* the phone is answered locally then; 0: no phone waits */
    uint64_t trying_at_ms; /* 100 is due then, if the phone waits still; 0: it was sent */
    uint64_t late_at_ms;   /* SENT: without an answer it is late then; 0: it was */
    uint32_t asked_s;      /* Expires as sent */
    uint32_t cseq;         /* SENT: the lease's */
    enum errand_state state;
    uint8_t upstream; /* where it goes to */
    bool own;         /* midreg's own, no phone's */
    bool removes;     /* Expires: 0 goes up */
    bool stranger;    /* neither credentials nor a proved flow */
    bool anew;        /* its phone is not known here: only the main registrar's word helps */
    bool credentials; /* the phone's go up with it */
    bool superseded;  /* a later one was accepted: its grant is the one that counts */
    uint8_t repeats;  /* sent again after 423 or 482 */
    uint16_t reload;  /* the number of the reload that it is of; 0: none */
    bool out;         /* the pacer counts it as unanswered */
    bool granted;     /* the main registrar has granted something */
};

/* Registers timers and users. */
void errands_init(struct registrar *r);
void errands_fini(struct registrar *r);

/* Forwards a phone's REGISTER, or lets it wait; answers it in any case, now or
 * later. `proof`: what it has by itself. */
void errand_forward(struct registrar *r, const struct sip_message *m, const struct flow *from,
                    const struct register_request *rq, enum proof proof,
                    const struct outcome *outcome);

/* Runs an errand of midreg's own: refresh or removal of the lease there. False: the
 * upstream's pacer has no place soon; try again later. */
bool errand_own(struct registrar *r, struct aor *a, unsigned upstream, bool removes);
/* The same, a refresh, for the reload with this number (reload_answered()). */
bool errand_reload(struct registrar *r, struct aor *a, unsigned upstream, uint16_t number);

/* Does a phone wait for one of them? */
bool errands_owe(const struct registrar *r);

/* That upstream is down, and another is not: what is on its way to it goes there. */
void errands_divert(struct registrar *r, unsigned upstream);

#endif

/*
 * upstream/health: does a main registrar answer?
 *
 * OPTIONS go out each `ping-interval`. One that is not answered within a third of it
 * is lost, and the next goes at once; unless REGISTERs are answered: it is busy then. An
 * answered OPTIONS is no proof of readiness (FreeSWITCH answers it while it refuses
 * REGISTERs), so the way back is a REGISTER (probe.h). Core thread only. Design 3.7, 6.
 *
 *   UP   --two pings lost-------------------------------------> DOWN   lost()
 *   UP   --it was restarted-----------------------------------> DOWN   health_restarted()
 *   DOWN --a REGISTER is accepted, challenged or forbidden----> UP     health_accepted()
 *
 * A main registrar that never answers OPTIONS, but REGISTERs, is pinged by these.
 */
#ifndef MIDREG_UPSTREAM_HEALTH_H
#define MIDREG_UPSTREAM_HEALTH_H

#include "transaction/client.h"

enum health_state { HEALTH_UP, HEALTH_DOWN };

struct health {
    struct timer timer; /* TIMER_PING: when the ping is lost, or the next one due */
    enum health_state state;
    struct handle asked;   /* the last ping, until the next */
    bool waits;            /* for its answer */
    uint64_t asked_ms;     /* when it left */
    uint64_t since_ms;     /* in this state since */
    uint64_t returned_ms;  /* when it came up last, after it had gone; 0: never */
    uint64_t heard_ms;     /* when it answered a REGISTER last */
    uint32_t rtt_ms;       /* of the last ping that was answered */
    uint8_t lost;          /* pings in a row */
    bool answers_options;  /* it has answered one */
    bool answers_register; /* that, but no OPTIONS */
};

struct upstream;
struct upstreams;

/* Registers the timer. */
void health_init(struct upstreams *all);
/* Sends the first ping. When datagrams can be sent. */
void health_start(struct upstream *u);

/* It accepted a REGISTER, or challenged or refused it for who it is: it is ready.
 * `status`: the answer's. */
void health_answered(struct upstream *u, int status);
/* It was restarted, as it says itself: whether it takes REGISTERs again is asked now. */
void health_restarted(struct upstream *u);
/* The system says that nobody listens there (ICMP). Forged as easily as any datagram,
 * so it only makes a ping lost at once. */
void health_refused(struct upstream *u);

/* Does this status of a REGISTER tell of trouble of the registrar's own? */
static inline bool health_is_trouble(int status)
{
    return status >= 500 || status == 408 || status == 410 || status == 480;
}

#endif

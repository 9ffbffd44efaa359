/*
 * queue: what happens next in the simulated world.
 *
 * A heap by time; events of the same time come in the order in which they
 * were pushed, so that nothing depends on memory addresses.
 */
#ifndef MIDREG_SIM_QUEUE_H
#define MIDREG_SIM_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum event_kind {
    EVENT_ARRIVAL,  /* data: struct datagram */
    EVENT_DURABLE,  /* the journal's commit is done */
    EVENT_PHONE,    /* who: phone */
    EVENT_WIRE,     /* who: number of a wire, and what of it */
    EVENT_CALL,     /* who: slot of a call */
    EVENT_INCOMING, /* who: slot of a phone's call */
    EVENT_DIAL,     /* the main registrar makes a call */
    EVENT_FAULT,    /* who: index in the plan */
    EVENT_STRANGER,
    EVENT_CHECK,
};

struct event {
    uint64_t at_us;
    uint64_t order;
    void *data;
    uint32_t who;
    uint32_t kind; /* enum event_kind */
};

struct queue {
    struct event *heap;
    size_t used;
    size_t room;
    uint64_t order;
};

void queue_fini(struct queue *q);
void queue_push(struct queue *q, uint64_t at_us, enum event_kind kind, uint32_t who, void *data);
/* The time of the first event; UINT64_MAX: none. */
static inline uint64_t queue_next_us(const struct queue *q)
{
    return q->used ? q->heap[0].at_us : UINT64_MAX;
}
/* Takes the first event; there must be one. */
struct event queue_pop(struct queue *q);

/*
 * An alarm clock of one thing that always has at most one next deadline. Moving
 * it later costs nothing: its event looks again when it comes.
 */
struct alarm {
    uint64_t due_us;   /* UINT64_MAX: not set */
    uint64_t event_us; /* when the event that counts comes; UINT64_MAX: none */
};

#define ALARM_NONE ((struct alarm){UINT64_MAX, UINT64_MAX})

void alarm_set(struct queue *q, struct alarm *a, enum event_kind kind, uint32_t who,
               uint64_t due_us);
/* An event of this alarm came: is it really due? */
bool alarm_rings(struct queue *q, struct alarm *a, const struct event *e);

#endif

/*
 * queue: the heap and the lazy alarms.
 *
 * Called by everything in the simulation. Without memory the program ends: a
 * simulation that cannot go on proves nothing.
 */
#include "queue.h"

#include <stdio.h>
#include <stdlib.h>

void queue_fini(struct queue *q)
{
    free(q->heap);
    *q = (struct queue){0};
}

/* Children of each: fewer levels than a binary heap, and they lie side by side. */
#define WIDTH 4

static inline bool before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->order < b->order;
}

void queue_push(struct queue *q, uint64_t at_us, enum event_kind kind, uint32_t who, void *data)
{
    struct event e = {at_us, q->order++, data, who, kind};
    size_t i = q->used++;

    if (q->used > q->room) {
        q->room = q->room ? q->room * 2 : 1024;
        q->heap = realloc(q->heap, q->room * sizeof *q->heap);
        if (!q->heap) {
            fprintf(stderr, "out of memory\n");
            abort();
        }
    }
    while (i > 0 && before(&e, &q->heap[(i - 1) / WIDTH])) {
        q->heap[i] = q->heap[(i - 1) / WIDTH];
        i = (i - 1) / WIDTH;
    }
    q->heap[i] = e;
}

struct event queue_pop(struct queue *q)
{
    struct event first = q->heap[0];
    struct event last = q->heap[--q->used];
    size_t i = 0;

    for (;;) {
        size_t first_child = WIDTH * i + 1, child = first_child;

        if (child >= q->used)
            break;
        for (size_t c = child + 1; c < first_child + WIDTH && c < q->used; c++)
            if (before(&q->heap[c], &q->heap[child]))
                child = c;
        if (!before(&q->heap[child], &last))
            break;
        q->heap[i] = q->heap[child];
        i = child;
    }
    if (q->used)
        q->heap[i] = last;
    return first;
}

void alarm_set(struct queue *q, struct alarm *a, enum event_kind kind, uint32_t who,
               uint64_t due_us)
{
    a->due_us = due_us;
    if (due_us < a->event_us) {
        a->event_us = due_us;
        queue_push(q, due_us, kind, who, NULL);
    }
}

bool alarm_rings(struct queue *q, struct alarm *a, const struct event *e)
{
    if (e->at_us != a->event_us)
        return false; /* an earlier deadline has taken its place */
    a->event_us = UINT64_MAX;
    if (a->due_us <= e->at_us) {
        a->due_us = UINT64_MAX;
        return true;
    }
    if (a->due_us != UINT64_MAX)
        alarm_set(q, a, (enum event_kind)e->kind, e->who, a->due_us);
    return false;
}

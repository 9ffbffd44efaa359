/*
 * work_floor: the same datagrams as another work's, as far as the kernel sees them.
 *
 * Plays a script against bench/floor: "560:420" sends 560 bytes and awaits an answer
 * of 420; "1000:350+1200+1200,400:0" awaits three, then sends 400 bytes and awaits
 * none. Called by the engine.
 */
#include "load.h"

#include "../floor.h"

#include <stdlib.h>

#define STEPS_MAX 32

struct step {
    uint16_t size;
    struct floor_order order;
};

/* Of one session: there is one floor at a time. */
struct floor_script {
    unsigned steps;
    struct step step[STEPS_MAX];
};

static bool read_answers(const char **at, struct floor_order *order)
{
    char *end;

    order->count = 0;
    for (;;) {
        unsigned long size = strtoul(*at, &end, 10);

        if (end == *at || size > FLOOR_SIZE_MAX || order->count == FLOOR_ANSWERS_MAX)
            return false;
        *at = end;
        if (size >= sizeof *order)
            order->size[order->count++] = (uint16_t)size;
        else if (size)
            return false;
        if (**at != '+')
            return true;
        ++*at;
    }
}

bool floor_prepare(struct load *l, const char *script)
{
    struct floor_script *f = l->floor ? l->floor : calloc(1, sizeof *f);
    const char *at = script;
    char *end;

    if (!f)
        return false;
    l->floor = f;
    for (f->steps = 0; f->steps < STEPS_MAX; at++) {
        struct step *s = &f->step[f->steps++];
        unsigned long size = strtoul(at, &end, 10);

        if (end == at || *end != ':' || size < sizeof s->order || size > FLOOR_SIZE_MAX)
            return false;
        at = end + 1;
        s->size = (uint16_t)size;
        if (!read_answers(&at, &s->order))
            return false;
        if (*at == 0)
            return s->order.count > 0; /* else nothing tells the end */
        if (*at != ',')
            return false;
    }
    return false;
}

/* Sends steps until one awaits something. */
static void advance(struct load *l, uint32_t slot)
{
    struct floor_script *f = l->floor;
    struct slot *s = &l->slot[slot];

    while (s->step < f->steps) {
        const struct step *step = &f->step[s->step++];
        struct buf out = wire_reserve(&l->wire, slot % WIRE_PHONES);
        struct floor_order order = step->order;

        order.slot = slot;
        order.generation = s->generation;
        memset(out.p, 'x', step->size);
        memcpy(out.p, &order, sizeof order);
        out.n = step->size;
        wire_commit(&l->wire, slot % WIRE_PHONES, &out);
        s->awaited = order.count;
        if (s->awaited)
            return;
    }
    engine_good(l, slot);
}

static void begin(struct load *l, uint32_t slot)
{
    l->slot[slot].step = 0;
    advance(l, slot);
}

static void receive(struct load *l, unsigned socket, const struct fields *f, struct span datagram)
{
    struct floor_order order;
    struct slot *s;

    (void)socket;
    (void)f;
    if (datagram.n < sizeof order) {
        engine_wrong(l, "too short", SPAN_NONE);
        return;
    }
    memcpy(&order, datagram.p, sizeof order);
    s = engine_slot(l, order.slot, order.generation);
    if (!s)
        engine_wrong(l, "stray", SPAN_NONE);
    else if (--s->awaited == 0)
        advance(l, order.slot);
}

const struct work work_floor = {begin, receive, NULL};

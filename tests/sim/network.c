/*
 * network: decides the fate of each datagram.
 *
 * Called by midreg's port and by everybody in the simulation. A datagram to an
 * address that nobody has (any more) is lost.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

void network_init(struct sim *s)
{
    s->network.chance = chance_of(s->options->seed, STREAM_NETWORK);
    s->network.coarse = chance_percent(&s->network.chance, 50);
}

static bool is_pbx(const struct sim *s, const struct address *a)
{
    return address_equal(a, &s->pbx.address);
}

/* Between whom? The other end is always midreg. */
static enum side side_of(const struct sim *s, const struct address *from, const struct address *to)
{
    return is_pbx(s, from) || is_pbx(s, to) ? SIDE_PBX : SIDE_PHONES;
}

uint64_t network_delay_us(struct sim *s, enum side side, const struct address *peer)
{
    struct chance *c = &s->network.chance;
    uint64_t us;

    if (side == SIDE_PBX)
        us = chance_between(c, 200, 3000);
    else /* each phone has its distance */
        us = 2000 + (uint64_t)peer->ip[3] * 200 + chance_below(c, 8000);
    if (chance_permille(c, s->network.level[side].late))
        us += chance_below(c, NETWORK_LATE_MAX_US);
    if (s->network.coarse) {
        us += s->now_us;
        us = (us + 999) / 1000 * 1000 - s->now_us;
    }
    return us;
}

static void push(struct sim *s, const struct address *from, const struct address *to,
                 struct span bytes, uint64_t after_us)
{
    struct datagram *d = malloc(sizeof *d + bytes.n);

    if (!d) {
        fprintf(stderr, "out of memory\n");
        abort();
    }
    d->from = *from;
    d->to = *to;
    d->n = (uint32_t)bytes.n;
    memcpy(d->bytes, bytes.p, bytes.n);
    queue_push(&s->queue, s->now_us + after_us, EVENT_ARRIVAL, 0, d);
}

void network_send(struct sim *s, const struct address *from, const struct address *to,
                  struct span bytes)
{
    const struct address *peer = address_equal(from, &s->world.midreg) ? to : from;
    enum side side = side_of(s, from, to);
    struct network_level *level = &s->network.level[side];
    struct chance *c = &s->network.chance;

    trace_hash(s, bytes);
    if (!chance_permille(c, level->loss))
        push(s, from, to, bytes, network_delay_us(s, side, peer));
    if (chance_permille(c, level->duplicate))
        push(s, from, to, bytes, network_delay_us(s, side, peer));
}

void network_deliver(struct sim *s, const struct datagram *d)
{
    struct span bytes = span_make(d->bytes, d->n);

    if (is_pbx(s, &d->to))
        pbx_receive(s, bytes);
    else if (!phones_receive(s, &d->to, bytes))
        strangers_receive(s, &d->to, bytes);
}

/*
 * chance: what is too long for the header.
 *
 * Integer arithmetic alone: the same on every machine and with every compiler.
 */
#include "chance.h"

/*
 * -ln(u) for u uniform in (0, 1]: the number of leading zero bits is geometric,
 * and the bits behind them are interpolated. Good enough to scatter events.
 */
uint64_t chance_around(struct chance *c, uint64_t mean)
{
    uint64_t r = chance_next(c) | 1;
    unsigned zeros = (unsigned)__builtin_clzll(r);
    uint64_t rest = zeros < 63 ? r << (zeros + 1) >> 44 : 0; /* 20 bits */
    uint64_t halvings = ((uint64_t)zeros << 20) + ((1u << 20) - rest);
    uint64_t value = mean / 1000 * (halvings * 693 >> 20) + mean % 1000;

    return value < mean * 10 ? value : mean * 10;
}

/*
 * network: datagrams between midreg, phones, the main registrar and strangers.
 *
 * Each datagram has its own fate: delay, loss, duplication, coming late (behind
 * later ones). No datagram lives longer than RFC 3261's T4, 5 seconds: what
 * midreg promises rests on that, as SIP does (17.1.1.2).
 */
#ifndef MIDREG_SIM_NETWORK_H
#define MIDREG_SIM_NETWORK_H

#include "base/address.h"
#include "chance.h"

struct sim;

enum side { SIDE_PHONES, SIDE_PBX, SIDES };

#define NETWORK_LATE_MAX_US 4500000

/* What the network does to the datagrams of one side, in permille. */
struct network_level {
    uint32_t loss;
    uint32_t duplicate;
    uint32_t late;
};

struct network {
    struct chance chance;
    struct network_level level[SIDES];
    bool coarse; /* datagrams arrive on whole milliseconds, so several at once */
};

struct datagram {
    struct address from;
    struct address to;
    uint32_t n;
    char bytes[];
};

void network_init(struct sim *s);

/* How long it takes now; in bad times longer. `peer`: who is not midreg. */
uint64_t network_delay_us(struct sim *s, enum side side, const struct address *peer);

/* Sends a copy. */
void network_send(struct sim *s, const struct address *from, const struct address *to,
                  struct span bytes);
/* A datagram reaches whoever has its address, but midreg. The caller frees it. */
void network_deliver(struct sim *s, const struct datagram *d);

#endif

/*
 * net/srv: SRV records: read from a DNS reply, and put in order (RFC 2782).
 *
 * c-ares reads them as well, but without their TTLs. Pure, but for the chance that
 * it is given. Called by resolver.c.
 */
#ifndef MIDREG_NET_SRV_H
#define MIDREG_NET_SRV_H

#include "net/dns_reply.h"

#define SRV_RECORDS_MAX 32

struct srv {
    uint16_t priority, weight, port;
    char target[DNS_NAME_MAX]; /* terminated, without a last dot; "": the service is not there */
};

struct srv_list {
    unsigned count;
    bool whole;     /* false: there were more than fit */
    uint32_t ttl_s; /* the least of all records, aliases too; UINT32_MAX: none */
    struct srv record[SRV_RECORDS_MAX];
};

/* Reads the SRV records of class IN in the answer section. False: it is no well-formed
 * reply. */
bool srv_read(struct srv_list *out, const uint8_t *reply, size_t n);

/* Sorts by priority, and among equal ones by chance according to their weights.
 * `below(self, n)` gives a number from 0 to n - 1. */
void srv_order(struct srv_list *list, uint32_t (*below)(void *self, uint32_t n), void *self);

#endif

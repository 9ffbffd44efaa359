/*
 * net/naptr: NAPTR records: where the SRV records of a domain's SIP over UDP are (RFC 3263
 * 4.1, RFC 3403).
 *
 * c-ares reads them as well, but without their TTLs. Pure. Called by resolver.c.
 */
#ifndef MIDREG_NET_NAPTR_H
#define MIDREG_NET_NAPTR_H

#include "net/dns_reply.h"

#define NAPTR_RECORDS_MAX 8

struct naptr {
    uint16_t order, preference;
    char replacement[DNS_NAME_MAX]; /* the name that has the SRV records */
};

struct naptr_list {
    unsigned count;
    uint32_t ttl_s; /* the least of all NAPTR records, aliases too; UINT32_MAX: none */
    struct naptr record[NAPTR_RECORDS_MAX];
};

/* Reads those of service "SIP+D2U" that lead to SRV records, as they are to be tried: of
 * the least order alone, by preference. What midreg does not speak is passed over. False:
 * it is no well-formed reply. */
bool naptr_read(struct naptr_list *out, const uint8_t *reply, size_t n);

#endif

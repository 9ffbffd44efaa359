/*
 * dns_server: a DNS server that knows what a test tells it, in the test's own loop.
 *
 * On loopback by UDP, where answers have 512 bytes at most, and by TCP on the same port. For
 * tests alone.
 */
#ifndef MIDREG_TESTS_DNS_SERVER_H
#define MIDREG_TESTS_DNS_SERVER_H

#include "base/address.h"
#include "net/loop.h"

#define DNS_RECORDS_MAX 64

enum dns_kind { DNS_A = 1, DNS_CNAME = 5, DNS_AAAA = 28, DNS_SRV = 33, DNS_NAPTR = 35 };

/* How it answers what it is asked. */
enum dns_mood {
    DNS_WELL,
    DNS_SILENT,
    DNS_GARBAGE,         /* the question's id, and bytes */
    DNS_CUT,             /* "ask by TCP", and there nothing */
    DNS_FAILS,           /* SERVFAIL */
    DNS_HALF,            /* a good answer that ends in the middle of its last record */
    DNS_SRV_IS_SICK,     /* SERVFAIL to SRV */
    DNS_NAPTR_IS_SICK,   /* SERVFAIL to NAPTR */
    DNS_NAPTR_IS_SILENT, /* as in networks that drop it */
    DNS_A_IS_SICK,       /* SERVFAIL to A and AAAA of names that begin with "sick" */
};

struct dns_known {
    const char *name;
    enum dns_kind type;
    uint32_t ttl_s;
    uint8_t data[300];
    size_t n;
};

struct dns_server {
    struct watch watch;
    struct watch listener;
    struct watch connection; /* fd -1: none */
    struct loop *loop;
    unsigned by_tcp; /* questions that came so */
    struct address address;
    enum dns_mood mood;
    unsigned asked;
    struct dns_known records[DNS_RECORDS_MAX];
    unsigned count;
};

/* Opens it on a free port of 127.0.0.1; fails the test if it cannot. */
void dns_open(struct dns_server *d, struct loop *loop);
/* What is sent there from now on is refused. NULL-safe, may be called twice. */
void dns_close(struct dns_server *d);

void dns_tell_a(struct dns_server *d, const char *name, uint32_t ttl_s, const char *ip);
void dns_tell_aaaa(struct dns_server *d, const char *name, uint32_t ttl_s, const char *ip);
void dns_tell_alias(struct dns_server *d, const char *name, uint32_t ttl_s, const char *target);
/* `name` without "_sip._udp.". */
void dns_tell_srv(struct dns_server *d, const char *service, uint32_t ttl_s, uint16_t priority,
                  uint16_t weight, uint16_t port, const char *target);

void dns_tell_naptr(struct dns_server *d, const char *name, uint32_t ttl_s, uint16_t order,
                    uint16_t preference, const char *service, const char *replacement);

/* Appends a name as it stands in a packet; returns its size. */
size_t dns_pack_name(uint8_t *out, const char *name);

#endif

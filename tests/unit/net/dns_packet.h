/*
 * dns_packet: DNS replies written by hand, and read in memory of exactly their size.
 *
 * For the tests of those who read records themselves.
 */
#ifndef MIDREG_TESTS_DNS_PACKET_H
#define MIDREG_TESTS_DNS_PACKET_H

#include "dns_server.h"

struct dns_packet {
    uint8_t bytes[4096];
    size_t n;
};

/* Appends the lowest n bytes of the number. */
void dns_packet_put(struct dns_packet *p, uint32_t value, size_t n);
void dns_packet_put_name(struct dns_packet *p, const char *name);

/* The head, and the question for `name`. */
void dns_packet_begin(struct dns_packet *p, const char *name, enum dns_kind type, unsigned answers);
/* A record's head; its owner is a pointer to the question's name. Its data's length and
 * data follow. */
void dns_packet_add(struct dns_packet *p, uint16_t type, uint16_t class, uint32_t ttl_s);

/* Does `read` take the first n bytes? */
bool dns_packet_read(const struct dns_packet *p, size_t n,
                     bool (*read)(const uint8_t *reply, size_t n));

/* No part of what `write` makes is a reply; and four bytes of it that are others, again and
 * again, are refused, or `check` is called: no crash, nothing read beyond the end. */
void dns_packet_is_read_whole(void (*write)(struct dns_packet *p),
                              bool (*read)(const uint8_t *reply, size_t n));
void dns_packet_is_damaged(void (*write)(struct dns_packet *p),
                           bool (*read)(const uint8_t *reply, size_t n), void (*check)(void));

#endif

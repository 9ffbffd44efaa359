/*
 * net/dns_reply: the answers of a DNS reply, one after the other (RFC 1035 4).
 *
 * For records whose TTLs c-ares does not tell (srv.h, naptr.h). Pure: reads bytes from
 * the network and trusts no length and no offset in them. Any thread.
 */
#ifndef MIDREG_NET_DNS_REPLY_H
#define MIDREG_NET_DNS_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DNS_NAME_MAX 256

enum dns_type { DNS_TYPE_CNAME = 5, DNS_TYPE_SRV = 33, DNS_TYPE_NAPTR = 35 };

#define DNS_CLASS_IN 1

/* What is left to read. */
struct dns_reply {
    const uint8_t *bytes;
    size_t n;
    size_t at;
    unsigned answers;
};

/* One record; its data are bytes[at] to bytes[end - 1] of the reply. */
struct dns_record {
    uint16_t type, class;
    uint32_t ttl_s;
    size_t at, end;
};

/* `bytes` outlive it. False: it is no well-formed reply. */
bool dns_reply_begin(struct dns_reply *r, const uint8_t *bytes, size_t n);

enum dns_next { DNS_RECORD, DNS_END, DNS_MALFORMED };

enum dns_next dns_reply_next(struct dns_reply *r, struct dns_record *out);

/* Takes what stands next in the data of a record. False: there is no such thing. */
bool dns_take_u16(const struct dns_reply *r, struct dns_record *data, uint16_t *out);
/* A <character-string>: its first byte is its length. */
bool dns_take_text(const struct dns_reply *r, struct dns_record *data, const char **text,
                   size_t *n);
/* A name, terminated, without a last dot; "": the root. */
bool dns_take_name(const struct dns_reply *r, struct dns_record *data, char out[DNS_NAME_MAX]);

/* Does this TTL count, and is it less than what was known? */
void dns_note_ttl(const struct dns_record *record, enum dns_type type, uint32_t *ttl_s);

#endif

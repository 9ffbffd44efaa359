/*
 * base/hash: keyed hashes, message authentication, base32.
 *
 * hash64() is XXH3 with the installation's secret: for tables and tokens that
 * need not resist someone who can choose inputs and see outputs. mac80() is
 * HMAC-SHA-256 cut to 80 bits (OpenSSL): for what we believe when it comes back
 * to us. Core thread only.
 */
#ifndef MIDREG_BASE_HASH_H
#define MIDREG_BASE_HASH_H

#include "base/buf.h"

#define HASH_SECRET_SIZE 192
#define MAC80_SIZE       10

struct hasher {
    uint8_t secret[HASH_SECRET_SIZE];
    void *mac; /* EVP_MAC_CTX, keyed once and kept */
};

/* `secret`: HASH_SECRET_SIZE random bytes, copied. False: OpenSSL refuses. */
bool hasher_init(struct hasher *h, const uint8_t *secret);
void hasher_fini(struct hasher *h);

uint64_t hash64(const struct hasher *h, struct span data);
/* The same over several pieces, as if joined with a zero byte between them. */
uint64_t hash64_join(const struct hasher *h, const struct span *piece, unsigned n);
uint64_t hash64_pair(const struct hasher *h, struct span a, struct span b);

void mac80(const struct hasher *h, struct span data, uint8_t out[MAC80_SIZE]);
/* Equal in constant time? */
bool mac80_equal(const uint8_t *a, const uint8_t *b);

/* base32 (RFC 4648 alphabet in lower case, no padding). */
void base32_put(struct buf *out, const void *data, size_t n);
/* Reads either case. The number of bytes written, or -1: not base32, a length
 * no encoder makes, stray bits, or more than `cap` bytes. */
int base32_get(struct span text, void *out, size_t cap);

#endif

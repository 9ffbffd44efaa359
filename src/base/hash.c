/*
 * base/hash: keyed hashes, message authentication, base32.
 *
 * Called by every room of the core, on the core thread. The keys of hash64()
 * and mac80() are both derived from the installation's secret by HMAC, because
 * XXH3 is no one-way function: who learns its key from tokens learns nothing
 * about the key that authenticates.
 */
#include "base/hash.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#define XXH_STATIC_LINKING_ONLY /* a state on the stack */
#include <xxhash.h>

#define SHA256_SIZE 32

static EVP_MAC_CTX *hmac_new(const uint8_t *key, size_t n)
{
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char[]){"SHA256"}, 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *ctx = mac ? EVP_MAC_CTX_new(mac) : NULL;

    EVP_MAC_free(mac); /* the context holds a reference */
    if (ctx && EVP_MAC_init(ctx, key, n, params))
        return ctx;
    EVP_MAC_CTX_free(ctx);
    return NULL;
}

/* Without a key, EVP_MAC_init() starts over with the one it has. */
static bool hmac(EVP_MAC_CTX *ctx, const void *data, size_t n, uint8_t out[SHA256_SIZE])
{
    size_t size = 0;

    return EVP_MAC_init(ctx, NULL, 0, NULL) && EVP_MAC_update(ctx, data, n) &&
           EVP_MAC_final(ctx, out, &size, SHA256_SIZE) && size == SHA256_SIZE;
}

bool hasher_init(struct hasher *h, const uint8_t *secret)
{
    EVP_MAC_CTX *derive = hmac_new(secret, HASH_SECRET_SIZE);
    uint8_t key[SHA256_SIZE];
    bool ok = derive != NULL;

    h->mac = NULL;
    for (unsigned i = 0; ok && i < HASH_SECRET_SIZE / SHA256_SIZE; i++) {
        char label[] = "hash0";

        label[4] = (char)('0' + i);
        ok = hmac(derive, label, 5, h->secret + (size_t)i * SHA256_SIZE);
    }
    if (ok && hmac(derive, "mac", 3, key))
        h->mac = hmac_new(key, sizeof key);
    OPENSSL_cleanse(key, sizeof key);
    EVP_MAC_CTX_free(derive);
    return h->mac != NULL;
}

void hasher_fini(struct hasher *h)
{
    EVP_MAC_CTX_free(h->mac);
    OPENSSL_cleanse(h, sizeof *h);
}

uint64_t hash64(const struct hasher *h, struct span data)
{
    return XXH3_64bits_withSecret(data.p, data.n, h->secret, sizeof h->secret);
}

/* For what is too long to be joined first, which is quicker. */
static uint64_t hash_pieces(const struct hasher *h, const struct span *piece, unsigned n)
{
    XXH3_state_t state;

    XXH3_INITSTATE(&state);
    XXH3_64bits_reset_withSecret(&state, h->secret, sizeof h->secret);
    for (unsigned i = 0; i < n; i++) {
        if (i)
            XXH3_64bits_update(&state, "", 1);
        XXH3_64bits_update(&state, piece[i].p, piece[i].n);
    }
    return XXH3_64bits_digest(&state);
}

uint64_t hash64_join(const struct hasher *h, const struct span *piece, unsigned n)
{
    char room[512];
    struct buf joined = buf_make(room, sizeof room);

    for (unsigned i = 0; i < n; i++) {
        if (i)
            buf_char(&joined, 0);
        buf_span(&joined, piece[i]);
    }
    return joined.overflow ? hash_pieces(h, piece, n) : hash64(h, buf_done(&joined));
}

uint64_t hash64_pair(const struct hasher *h, struct span a, struct span b)
{
    return hash64_join(h, (const struct span[]){a, b}, 2);
}

void mac80(const struct hasher *h, struct span data, uint8_t out[MAC80_SIZE])
{
    uint8_t full[SHA256_SIZE];

    if (!hmac(h->mac, data.n ? data.p : "", data.n, full)) {
        /* OpenSSL has no memory. The value must be one that nobody outside can
         * know; that it also matches nothing later is the lesser harm. */
        XXH128_hash_t keyed = XXH3_128bits_withSecret(data.p, data.n, h->secret, sizeof h->secret);

        memcpy(full, &keyed, sizeof keyed);
    }
    memcpy(out, full, MAC80_SIZE);
}

bool mac80_equal(const uint8_t *a, const uint8_t *b)
{
    return CRYPTO_memcmp(a, b, MAC80_SIZE) == 0;
}

void base32_put(struct buf *out, const void *data, size_t n)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    const uint8_t *p = data;
    char *to = buf_room(out, (n * 8 + 4) / 5);
    unsigned bits = 0;
    unsigned held = 0;

    if (!to)
        return;
    for (size_t i = 0; i < n; i++) {
        held = held << 8 | p[i];
        bits += 8;
        while (bits >= 5) {
            bits -= 5;
            *to++ = alphabet[held >> bits & 31];
        }
        held &= (1u << bits) - 1;
    }
    if (bits)
        *to = alphabet[held << (5 - bits) & 31];
}

static int base32_digit(char c)
{
    c = ascii_lower(c);
    if (c >= 'a' && c <= 'z')
        return c - 'a';
    return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

int base32_get(struct span text, void *out, size_t cap)
{
    size_t bytes = text.n * 5 / 8;
    uint8_t *p = out;
    unsigned bits = 0;
    unsigned held = 0;

    /* n bytes make ceil(8n / 5) characters: 1, 3 and 6 beyond a block of 8 are none. */
    if (text.n > INT16_MAX || bytes > cap || (bytes * 8 + 4) / 5 != text.n)
        return -1;
    for (size_t i = 0; i < text.n; i++) {
        int digit = base32_digit(text.p[i]);

        if (digit < 0)
            return -1;
        held = held << 5 | (unsigned)digit;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            *p++ = (uint8_t)(held >> bits);
            held &= (1u << bits) - 1;
        }
    }
    return held ? -1 : (int)bytes;
}

/*
 * digest: MD5 by OpenSSL's EVP, parameters by a scan of our own.
 *
 * Called by phone_register.c and pbx_register.c.
 */
#include "digest.h"

#include "base/buf.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>

static void md5_hex(char out[DIGEST_HEX + 1], struct span text)
{
    static const char hex[] = "0123456789abcdef";
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;

    if (EVP_Digest(text.p, text.n, sum, &n, EVP_md5(), NULL) != 1 || n != DIGEST_HEX / 2) {
        fprintf(stderr, "no MD5\n");
        abort();
    }
    for (unsigned i = 0; i < n; i++) {
        out[2 * i] = hex[sum[i] >> 4];
        out[2 * i + 1] = hex[sum[i] & 15];
    }
    out[DIGEST_HEX] = '\0';
}

void digest_ha1(char out[DIGEST_HEX + 1], const char *user, const char *realm, const char *password)
{
    char room[256];
    int n = snprintf(room, sizeof room, "%s:%s:%s", user, realm, password);

    md5_hex(out, span_make(room, (size_t)n));
}

void digest_response(char out[DIGEST_HEX + 1], const char *ha1, struct span method, struct span uri,
                     struct span nonce, struct span nc, struct span cnonce)
{
    char ha2[DIGEST_HEX + 1], room[512];
    struct buf text = buf_make(room, sizeof room);

    buf_span(&text, method);
    buf_char(&text, ':');
    buf_span(&text, uri);
    md5_hex(ha2, buf_done(&text));
    text = buf_make(room, sizeof room);
    buf_put(&text, ha1, DIGEST_HEX);
    buf_char(&text, ':');
    buf_span(&text, nonce);
    buf_char(&text, ':');
    buf_span(&text, nc);
    buf_char(&text, ':');
    buf_span(&text, cnonce);
    buf_lit(&text, ":auth:");
    buf_put(&text, ha2, DIGEST_HEX);
    md5_hex(out, buf_done(&text));
}

struct span digest_param(struct span value, const char *name)
{
    size_t n = strlen(name);

    for (size_t i = 1; i + n + 1 < value.n; i++) {
        const char *at = value.p + i;
        const char *end = value.p + value.n;
        const char *stop;

        if ((at[-1] != ' ' && at[-1] != ',') || memcmp(at, name, n) != 0 || at[n] != '=')
            continue;
        at += n + 1;
        if (*at == '"') {
            stop = memchr(at + 1, '"', (size_t)(end - at - 1));
            return stop ? span_between(at + 1, stop) : SPAN_NONE;
        }
        stop = memchr(at, ',', (size_t)(end - at));
        return span_between(at, stop ? stop : end);
    }
    return SPAN_NONE;
}

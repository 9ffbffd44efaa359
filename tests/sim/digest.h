/*
 * digest: HTTP digest with MD5 (RFC 2617), for phones and the main registrar.
 *
 * Written apart from midreg, which in this issue computes none.
 */
#ifndef MIDREG_SIM_DIGEST_H
#define MIDREG_SIM_DIGEST_H

#include "base/span.h"

#define DIGEST_HEX 32

/* Hex, terminated. */
void digest_ha1(char out[DIGEST_HEX + 1], const char *user, const char *realm,
                const char *password);

/* The response of qop=auth. */
void digest_response(char out[DIGEST_HEX + 1], const char *ha1, struct span method, struct span uri,
                     struct span nonce, struct span nc, struct span cnonce);

/* A parameter of a challenge or of credentials, without quotes. */
struct span digest_param(struct span value, const char *name);

#endif

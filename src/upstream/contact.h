/*
 * upstream/contact: our contact at the main registrar, made and recognised.
 *
 * `<sip:USER@HOST:PORT;mr=TOKEN>`: USER is the AOR's user where it consists of
 * [A-Za-z0-9_.~+-], else TOKEN; TOKEN is 13 characters of base32 of the AOR's
 * keyed hash. Constant for the life of the AOR and unique to it. Design 3.1.
 */
#ifndef MIDREG_UPSTREAM_CONTACT_H
#define MIDREG_UPSTREAM_CONTACT_H

#include "sip/uri.h"
#include "upstream/upstream.h"

#define CONTACT_TOKEN_SIZE 13

void contact_put_token(struct buf *out, uint64_t aor_hash);
/* Appends the URI, without angle brackets; `at` is our address in it. */
void contact_put_uri(struct buf *out, const struct address *at, struct span aor, uint64_t aor_hash);

/*
 * Is this URI our contact for some AOR? By `mr`, and the user being the AOR's
 * user or the token; host, port and other parameters do not count. True:
 * *aor_hash is set; whether the user fits is checked with contact_fits() once
 * the record is found.
 */
bool contact_token(const struct sip_uri *uri, uint64_t *aor_hash);
/* Does the URI's user fit the AOR (canonical text) or its token? */
bool contact_fits(const struct sip_uri *uri, struct span aor, uint64_t aor_hash);

#endif

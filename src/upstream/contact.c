/*
 * upstream/contact: see contact.h.
 *
 * Called by the registrar (to build and to recognise its contact in answers) and
 * by the proxy (to find whom a call is for), on the core thread. Pure: looks
 * nothing up, keeps nothing.
 */
#include "upstream/contact.h"

#include "base/hash.h"

/* Longer users are no user of ours: bounds the work on hostile URIs. */
#define CONTACT_USER_MAX 1024

/* The user of a canonical AOR "sip:user@domain"; an '@' of the user is escaped. */
static struct span aor_user(struct span aor)
{
    const char *start = aor.p + 4;
    const char *at = memchr(start, '@', aor.n - 4);

    return at ? span_between(start, at) : SPAN_NONE;
}

/*
 * Does the user survive every registrar unchanged? FreeSWITCH cuts contacts at
 * ',' and '|' and undoes escapes, so that all but these characters are avoided.
 */
static bool user_is_plain(struct span user)
{
    for (size_t i = 0; i < user.n; i++) {
        char c = ascii_lower(user.p[i]);

        if (!(c >= 'a' && c <= 'z') && !ascii_digit(c) && !memchr("_.~+-", c, 5))
            return false;
    }
    return user.n > 0;
}

static bool token_read(struct span text, uint64_t *aor_hash)
{
    uint8_t bytes[8];
    uint64_t hash = 0;

    if (text.n != CONTACT_TOKEN_SIZE || base32_get(text, bytes, sizeof bytes) != (int)sizeof bytes)
        return false;
    for (size_t i = 0; i < sizeof bytes; i++)
        hash = hash << 8 | bytes[i];
    *aor_hash = hash;
    return true;
}

void contact_put_token(struct buf *out, uint64_t aor_hash)
{
    uint8_t bytes[8]; /* in network order: the same token on every machine */

    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(aor_hash >> (56 - 8 * i));
    base32_put(out, bytes, sizeof bytes);
}

void contact_put_uri(struct buf *out, const struct address *at, struct span aor, uint64_t aor_hash)
{
    struct span user = aor_user(aor);

    buf_lit(out, "sip:");
    if (user_is_plain(user))
        buf_span(out, user);
    else
        contact_put_token(out, aor_hash);
    buf_char(out, '@');
    address_put(out, at);
    buf_lit(out, ";mr=");
    contact_put_token(out, aor_hash);
}

bool contact_token(const struct sip_uri *uri, uint64_t *aor_hash)
{
    struct span value;

    if (uri->scheme != SIP_SCHEME_SIP && uri->scheme != SIP_SCHEME_SIPS)
        return false;
    return uri->has_user && sip_uri_param(uri, SPAN("mr"), &value) && token_read(value, aor_hash);
}

bool contact_fits(const struct sip_uri *uri, struct span aor, uint64_t aor_hash)
{
    char room[CONTACT_USER_MAX];
    struct buf user = buf_make(room, sizeof room);
    uint64_t hash;

    if (token_read(uri->user, &hash) && hash == aor_hash)
        return true;
    return sip_canonical_user(&user, uri->user) && !user.overflow &&
           span_eq(buf_done(&user), aor_user(aor));
}

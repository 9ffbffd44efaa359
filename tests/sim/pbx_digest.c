/*
 * pbx_digest: the main registrar challenges and checks credentials.
 *
 * As FreeSWITCH was seen to: a nonce's count must rise, gaps are fine; an old
 * nonce is stale, a wrong password 403.
 */
#include "sim.h"

#include <stdio.h>

struct span pbx_put_challenge(struct sim *s, const char *field, char *room, size_t cap, bool stale)
{
    struct pbx *pbx = &s->pbx;
    uint32_t id = ++pbx->nonce_last;
    struct pbx_nonce *nonce = &pbx->nonces[id % PBX_NONCES];
    int n;

    *nonce = (struct pbx_nonce){id, chance_below(&pbx->chance, UINT32_MAX), 0,
                                s->now_us + PBX_NONCE_UNUSED_US};
    n = snprintf(room, cap,
                 "%s: Digest realm=\"" DOMAIN
                 "\", nonce=\"%08x-%08x\", %salgorithm=MD5, qop=\"auth\"\r\n",
                 field, id, nonce->secret, stale ? "stale=true, " : "");
    return span_make(room, (size_t)n);
}

static struct pbx_nonce *find_nonce(struct sim *s, struct span text)
{
    char room[20];
    uint32_t id = 0;

    if (text.n != 17)
        return NULL;
    for (size_t i = 0; i < 8; i++)
        id = id << 4 | (uint32_t)(ascii_hex(text.p[i]) & 15);
    struct pbx_nonce *nonce = &s->pbx.nonces[id % PBX_NONCES];
    snprintf(room, sizeof room, "%08x-%08x", nonce->id, nonce->secret);
    if (nonce->id == 0 || !span_eq(span_of(room), text) || nonce->until_us <= s->now_us)
        return NULL;
    return nonce;
}

static uint32_t read_hex(struct span text)
{
    uint32_t value = 0;

    for (size_t i = 0; i < text.n; i++)
        value = value << 4 | (uint32_t)(ascii_hex(text.p[i]) & 15);
    return value;
}

int pbx_authenticate(struct sim *s, const struct sip_message *m, enum sip_header_id field, int aor,
                     bool *stale, struct pbx_nonce **nonce)
{
    struct span value = sip_value(m, field);
    const struct person *person = aor < 0 ? NULL : &s->people.list[aor];
    struct span nc = digest_param(value, "nc");
    char expected[DIGEST_HEX + 1];

    *stale = false;
    if (!value.p)
        return 401;
    *nonce = find_nonce(s, digest_param(value, "nonce"));
    if (!*nonce || read_hex(nc) <= (*nonce)->nc) {
        *stale = true;
        return 401;
    }
    if (!person || !span_eq(digest_param(value, "username"), span_of(person->user)))
        return 403;
    digest_response(expected, person->ha1, m->method_name, digest_param(value, "uri"),
                    digest_param(value, "nonce"), nc, digest_param(value, "cnonce"));
    if (!span_eq(digest_param(value, "response"), span_of(expected)))
        return 403;
    (*nonce)->nc = read_hex(nc);
    return 0;
}

/*
 * proxy/token: flow tokens, the user part of our Record-Route URIs.
 *
 * A token says who is on both sides of a dialog and is believed only with its
 * MAC, which also covers the Call-ID: a token copied into another dialog is as
 * good as forged. Base32, so that a peer that changes the case does no harm.
 * Pure. Design section 4; RFC 5626 5.2 names the idea.
 */
#ifndef MIDREG_PROXY_TOKEN_H
#define MIDREG_PROXY_TOKEN_H

#include "base/address.h"
#include "base/hash.h"

struct flow_token {
    uint32_t boot_id;    /* the start of midreg that made it */
    uint64_t aor_hash;   /* whose phone it is; 0: nobody's that registered here */
    uint32_t binding_id; /* 0: none */
    struct flow flow;    /* where the phone was reached */
    uint8_t upstream;    /* index in upstreams.list */
    uint32_t leg_id;     /* two Routes of one pass carry the same */
};

/* The longest token, in characters: one with an IPv6 address. */
#define TOKEN_SIZE_MAX 88

void token_put(struct buf *out, const struct hasher *h, struct span call_id,
               const struct flow_token *token);

enum token_verdict {
    TOKEN_NONE,   /* does not look like one of ours */
    TOKEN_GOOD,   /* we made it, for this Call-ID; *out is set */
    TOKEN_FORGED, /* looks like one, but was not made by us, or for another Call-ID */
};

enum token_verdict token_read(const struct hasher *h, struct span call_id, struct span text,
                              struct flow_token *out);

#endif

/*
 * proxy/policy: which initial requests of phones may pass.
 *
 * midreg is nobody's open relay: a phone may call as an AOR that is proved on
 * its flow, and anybody may try an upstream that challenges calls itself.
 * Changes nothing. Design section 4.
 */
#ifndef MIDREG_PROXY_POLICY_H
#define MIDREG_PROXY_POLICY_H

#include "proxy/inside.h"
#include "proxy/inspect.h"

/* For whom a request is passed, and where it goes. */
struct policy_pass {
    uint64_t aor_hash;   /* of the From AOR; 0: From names none */
    uint32_t binding_id; /* the binding that proves it; 0: a stranger */
    struct upstream *upstream;
};

/* 0: it may pass, *out is set. Else the status of the refusal. */
int policy_phone_request(const struct proxy *p, const struct inspected *r, const struct flow *from,
                         struct policy_pass *out);

#endif

/*
 * registrar/rules: what becomes of a REGISTER, as a pure function.
 *
 * (record, request, proof, now, policy) -> (changes, verdict). Decides nothing
 * else and touches nothing: the driver applies the changes. A forwarded REGISTER
 * is decided twice: before it goes up, and, with PROOF_UPSTREAM, on the record
 * as it is when the main registrar has accepted it. Design 3.2, 3.3; RFC 3261
 * 10.3.
 */
#ifndef MIDREG_REGISTRAR_RULES_H
#define MIDREG_REGISTRAR_RULES_H

#include "config/config.h"
#include "location/record.h"
#include "registrar/request.h"

/* Why a REGISTER is believed. */
enum proof {
    PROOF_ABSENT,
    PROOF_FLOW,     /* same flow and Call-ID as a proved one, higher CSeq */
    PROOF_TRUSTED,  /* auth = "none": the network is trusted */
    PROOF_UPSTREAM, /* the main registrar accepted this very request */
};

enum verdict {
    REG_ABSORBED, /* apply the changes, answer 200 */
    REG_ANSWERED, /* nothing changes, answer 200 (query, retransmission) */
    REG_FORWARD,  /* the main registrar has to say */
    REG_REFUSED,  /* answer `status` */
};

enum change_kind {
    CHANGE_ADD,
    CHANGE_REPLACE, /* the binding stays, something of it is new */
    CHANGE_REFRESH, /* only expiry and CSeq */
    CHANGE_REMOVE,
    CHANGE_NOTE, /* what it removes is not there: a tombstone all the same, as what would
                    have added it may be late */
};

struct change {
    enum change_kind kind;
    uint32_t binding_id; /* all but CHANGE_ADD; CHANGE_NOTE: of an old tombstone, or 0 */
    unsigned contact;    /* index in the request; not for a removal by "*" */
    uint32_t granted_s;
    uint32_t cseq; /* a removal: for the tombstone */
};

/* Is a contact bound by it? */
static inline bool change_binds(const struct change *c)
{
    return c->kind != CHANGE_REMOVE && c->kind != CHANGE_NOTE;
}

#define RULES_CHANGES_MAX 128

struct outcome {
    enum verdict verdict;
    int status;         /* REG_REFUSED */
    const char *reason; /* REG_REFUSED: NULL is the usual phrase */
    bool too_brief;     /* 423: Min-Expires goes with it */
    bool empties;       /* no live binding is left after the changes */
    bool survives;      /* REG_FORWARD: may be absorbed if the upstream is silent */
    unsigned changes;
    struct change change[RULES_CHANGES_MAX];
};

/* Does it bind, or keep bound, any contact? */
static inline bool outcome_binds(const struct outcome *out)
{
    for (unsigned i = 0; i < out->changes; i++)
        if (change_binds(&out->change[i]))
            return true;
    return false;
}

struct rules_input {
    const struct aor *record; /* NULL: none yet */
    const struct register_request *request;
    enum proof proof;
    uint64_t now_ms;
    uint32_t dice; /* any number: chooses the deviation of the expiry */
    const struct config *config;
};

/* The proof that the request has by itself, before anybody else is asked. */
enum proof rules_proof(const struct aor *record, const struct register_request *rq, uint64_t now_ms,
                       const struct config *config);

void rules_decide(const struct rules_input *in, struct outcome *out);

/* Is the lease in need of the next proved REGISTER (design 3.4, means none)? */
bool rules_lease_due(const struct lease *l, uint64_t now_ms);

#endif

/*
 * registrar/errand_answer: what an answer, or none, means for the phone and the lease.
 *
 * Of errand.c and for it alone: that one moves errands along, this one commits what
 * they brought home. Core thread only. Design 3.3, 3.4.
 */
#ifndef MIDREG_REGISTRAR_ERRAND_ANSWER_H
#define MIDREG_REGISTRAR_ERRAND_ANSWER_H

#include "registrar/errand.h"

static inline struct upstream *errand_upstream(const struct errand *e)
{
    return &e->r->with.upstreams->list[e->upstream];
}

static inline struct pacer *errand_pacer(const struct errand *e)
{
    return &e->r->pacer[e->upstream];
}

static inline struct demand *errand_demand(const struct errand *e)
{
    return &e->r->demand[e->upstream];
}

/* The lease that it is about. It is there as long as the record is busy. */
static inline struct lease *errand_lease(const struct errand *e, struct aor *a)
{
    struct lease *l = aor_lease_at(a, e->upstream);

    return l ? l : &a->lease;
}

/* Applies what was decided for the phone with this transaction, and answers it. */
void errand_commit_in(struct registrar *r, struct handle server, const struct register_request *rq,
                      enum proof proof, const struct outcome *outcome);
/* The same for the errand's phone, which waits no more. */
void errand_commit(struct errand *e, const struct register_request *rq, enum proof proof,
                   const struct outcome *outcome);
/* Decodes the phone's request again. False: its transaction is gone. */
bool errand_request(struct errand *e, struct register_request *rq);
/* The upstream is silent or ill: a known phone's proved refresh is absorbed all
 * the same (design 3.3, 3.4). False: this one needs the upstream's word. */
bool errand_survive(struct errand *e);

/* It was answered with a 2xx, or with another final answer. */
void errand_accepted(struct errand *e, struct aor *a, const struct sip_message *response);
void errand_refused(struct errand *e, struct aor *a, const struct sip_message *response);

#endif

/*
 * registrar/answer: the phones' answers.
 *
 * A 200 lists all live bindings of the AOR and leaves only when the record's
 * last change is durable; until then it is parked. Core thread only. Design 3.5,
 * 7; RFC 3261 10.3 step 8.
 */
#ifndef MIDREG_REGISTRAR_ANSWER_H
#define MIDREG_REGISTRAR_ANSWER_H

#include "registrar/driver.h"

#define PARKED_MAX 262144

struct parked {
    struct handle handle;
    struct parked *next;
    struct handle server;
    uint64_t hash;
    uint64_t listed; /* whose contacts it lists: hash, or nobody's */
    uint64_t sequence;
};

/* 200 without a transaction, to a REGISTER that was absorbed. */
void answer_ok(struct registrar *r, const struct sip_message *m, const struct flow *from,
               uint64_t hash);
/* 200 in a forwarded REGISTER's transaction. A stale handle is ignored. */
void answer_ok_in(struct registrar *r, struct handle server, uint64_t hash);
/* The same to somebody who has proved nothing, where nobody is registered: who registers before
 * it can leave is none of his business. */
void answer_nobody(struct registrar *r, const struct sip_message *m, const struct flow *from,
                   uint64_t hash);
void answer_nobody_in(struct registrar *r, struct handle server, uint64_t hash);

/* Refuses without a transaction, by the rules' word. */
void answer_refusal(struct registrar *r, const struct sip_message *m, const struct flow *from,
                    const struct outcome *outcome);
/* 503 with a short, jittered Retry-After, without or within a transaction. */
void answer_unavailable(struct registrar *r, const struct sip_message *m, const struct flow *from,
                        const char *reason);
void answer_unavailable_in(struct registrar *r, struct handle server, const char *reason);

/* The main registrar's refusal, passed on: status, phrase and challenges. */
void answer_passed_on(struct registrar *r, struct handle server,
                      const struct sip_message *response);

/* Sends the parked answers whose changes are durable now. */
void answer_durable(struct registrar *r);

#endif

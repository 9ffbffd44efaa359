/*
 * operations: REGISTERs and calls on the desk, checked to the end.
 *
 * Each returns false, with a line on stderr, when an answer is not what it must be.
 */
#ifndef MIDREG_BENCH_OPERATIONS_H
#define MIDREG_BENCH_OPERATIONS_H

#include "desk.h"
#include "text.h"

/* One REGISTER of this contact and its 200 with so many contacts. The main registrar
 * grants what reaches it; *upstream counts that. */
bool operation_register(struct desk *d, uint32_t aor, uint32_t contact, uint32_t cseq,
                        unsigned contacts, unsigned *upstream);

/* A call to an AOR with two contacts, from INVITE to BYE: the first answers, the
 * second is cancelled. */
bool operation_call(struct desk *d, uint32_t number, uint32_t aor);

#endif

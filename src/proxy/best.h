/*
 * proxy/best: which of several final answers goes to the caller.
 *
 * A pure order over status codes; fork.c keeps the best answer by it. 2xx are
 * not asked about: they win at once. RFC 3261 16.7 step 6.
 */
#ifndef MIDREG_PROXY_BEST_H
#define MIDREG_PROXY_BEST_H

#include <stdbool.h>

/* Is `status` (300 to 699) a better answer than `than` (the same, or 0: none
 * yet)? False where both are as good: the first that came stays. */
bool best_prefers(int status, int than);

/*
 * What is sent when this was the best: 500 for 503, which would say that we
 * ourselves take no more requests; 480 for 430 where the request was for an AOR
 * (`to_aor`), whose phones' flows are our business alone (RFC 5626 7); else the
 * status itself.
 */
int best_sent(int status, bool to_aor);

/* Must an answer with this status carry the challenges of all others? (16.7 step 7) */
bool best_is_challenge(int status);

#endif

/*
 * proxy/best: see best.h.
 *
 * Called by fork.c for each final answer of a branch. Pure: no memory, no clock.
 */
#include "proxy/best.h"

bool best_is_challenge(int status)
{
    return status == 401 || status == 407;
}

/* Lower is better. */
static int best_rank(int status)
{
    switch (status) {
    case 401:
    case 407:
        return 20;
    case 415: /* what the caller can mend */
    case 420:
    case 484:
        return 21;
    case 408: /* says less than what a person or a phone decided */
    case 430:
    case 480:
    case 481:
    case 487:
        return 23;
    case 503:
        return 31;
    default:
        break;
    }
    switch (status / 100) {
    case 6: /* a 6xx is final for the whole AOR */
        return 0;
    case 3: /* else the lowest class */
        return 10;
    case 4:
        return 22;
    default:
        return 30;
    }
}

bool best_prefers(int status, int than)
{
    return than == 0 || best_rank(status) < best_rank(than);
}

int best_sent(int status, bool to_aor)
{
    if (status == 430 && to_aor)
        return 480;
    return status == 503 ? 500 : status;
}

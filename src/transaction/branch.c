/*
 * transaction/branch: our branches: cookie and base32 of {handle, secret, loop hash}.
 *
 * Called by client.c and by the proxy's loop detection, on the core thread. Keeps
 * no state: a branch names its transaction without a table.
 */
#include "transaction/machine.h"

#define COOKIE "z9hG4bK" /* RFC 3261 8.1.1.7 */

static const struct span cookie = {COOKIE, sizeof COOKIE - 1};

void branch_write(const struct branch *b, char out[CLIENT_BRANCH_SIZE])
{
    uint8_t bytes[20];
    struct buf to = buf_make(out, CLIENT_BRANCH_SIZE - 1);

    memcpy(bytes, &b->handle.slot, 4);
    memcpy(bytes + 4, &b->handle.generation, 4);
    memcpy(bytes + 8, &b->secret, 8);
    memcpy(bytes + 16, &b->loop_hash, 4);
    buf_span(&to, cookie);
    base32_put(&to, bytes, sizeof bytes);
    out[to.n] = 0;
}

bool branch_has_cookie(struct span text)
{
    return text.n >= cookie.n && span_ieq(span_make(text.p, cookie.n), cookie);
}

bool branch_read(struct span text, struct branch *out)
{
    uint8_t bytes[20];

    if (!branch_has_cookie(text))
        return false;
    text = span_make(text.p + cookie.n, text.n - cookie.n);
    if (base32_get(text, bytes, sizeof bytes) != (int)sizeof bytes)
        return false;
    memcpy(&out->handle.slot, bytes, 4);
    memcpy(&out->handle.generation, bytes + 4, 4);
    memcpy(&out->secret, bytes + 8, 8);
    memcpy(&out->loop_hash, bytes + 16, 4);
    return true;
}

bool client_branch_loop(struct span branch, uint32_t *loop_hash)
{
    struct branch b;

    if (!branch_read(branch, &b))
        return false;
    *loop_hash = b.loop_hash;
    return true;
}

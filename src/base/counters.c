/*
 * base/counters: the names of the counters, made from the list in counters.h.
 *
 * Called by whoever shows them to an operator. Core thread only.
 */
#include "base/counters.h"

static const struct {
    const char *name;
    const char *help;
} counters[COUNTERS] = {
#define X(id, name, help) [COUNTER_##id] = {name, help},
    COUNTER_LIST(X)
#undef X
};

const char *counter_name(enum counter which)
{
    return counters[which].name;
}

const char *counter_help(enum counter which)
{
    return counters[which].help;
}

void counters_put(struct buf *out, const struct counters *c)
{
    for (int i = 0; i < COUNTERS; i++) {
        if (i)
            buf_char(out, ' ');
        buf_str(out, counters[i].name);
        buf_char(out, '=');
        buf_u64(out, c->value[i]);
    }
}

/*
 * trace: who sees what happens: --verbose, and the history of a failed seed.
 *
 * Off, it costs a comparison. A failed seed is run again with the history of the
 * AOR concerned switched on: a run is reproducible, so nothing need be kept before.
 */
#ifndef MIDREG_SIM_TRACE_H
#define MIDREG_SIM_TRACE_H

#include "base/span.h"

#define TRACE_LINES    40
#define TRACE_LINE_MAX 400
#define NO_AOR         (-1) /* what concerns everybody */

struct sim;

struct trace_options {
    bool say;     /* print as it happens */
    bool history; /* keep the last lines */
    int aor;      /* of this AOR and of everybody; NO_AOR: of all */
};

struct trace {
    uint64_t hash; /* over all datagrams, with their times */
    uint64_t datagrams;
    unsigned lines;
    char line[TRACE_LINES][TRACE_LINE_MAX];
};

bool trace_wants(const struct sim *s, int aor);

/* One line, printf's way. */
void trace_line(struct sim *s, int aor, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#define TRACE(s, aor, ...)                                                                         \
    do {                                                                                           \
        if (trace_wants(s, aor))                                                                   \
            trace_line(s, aor, __VA_ARGS__);                                                       \
    } while (0)

/* A message in one line: "who: INVITE sip:... cseq=... call=...". */
void trace_message(struct sim *s, int aor, const char *who, struct span message);

/* Adds a datagram to the running hash. */
void trace_hash(struct sim *s, struct span datagram);

/* The lines that were kept, oldest first. */
void trace_print_history(const struct sim *s);

#endif

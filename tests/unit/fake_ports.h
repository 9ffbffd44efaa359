/*
 * fake_ports: the world for unit tests: a clock that is set, datagrams that are kept.
 *
 * fake_init() makes the table and a runtime on it. What the code under test
 * sends, logs and submits is captured in order. Chance is a fixed sequence, so
 * a test that passes always passes. Our own address is 127.0.0.1:5060.
 */
#ifndef MIDREG_TESTS_FAKE_PORTS_H
#define MIDREG_TESTS_FAKE_PORTS_H

#include "base/runtime.h"

/* The connections that the code under test opens have numbers above it. */
#define FAKE_STREAM   1000
#define FAKE_DEAD_MAX 16

struct fake_datagram {
    struct flow to;
    uint64_t at_ms;
    char *text; /* terminated */
    size_t n;
};

struct fake {
    struct ports ports;
    struct runtime rt; /* ready to use: ports, clock, wheel, hasher, counters */

    uint64_t wall_s;
    uint64_t random; /* state of the sequence; set it for another one */

    struct fake_datagram *sent;
    size_t sent_count;

    char **logs;
    size_t log_count;
    unsigned warned; /* lines of level warning or worse, since the begin */

    bool journal_held;            /* true: journal_submit() says "later" */
    unsigned journal_batches;     /* that were submitted */
    struct span journal_batch;    /* the last one; valid while it is held */
    bool streams_dead;            /* true: no stream is alive */
    bool streams_refused;         /* true: stream_open() says no */
    uint32_t opened;              /* streams opened: connections FAKE_STREAM + 1, + 2, ... */
    uint32_t dead[FAKE_DEAD_MAX]; /* connections that are gone, see fake_kill() */
    unsigned dead_count;

    unsigned names_asked;   /* how often a name was asked for; the test answers */
    const char *name_asked; /* the last one */
    uint16_t name_port;

    char *room; /* of datagram_reserve() */
};

/* The clock starts at 1,000,000 ms, the wall at 2026-01-01 00:00:00 UTC. */
void fake_init(struct fake *f);
void fake_fini(struct fake *f);

/* Moves the clock by `ms`, stopping at each deadline on the way: timers fire
 * at their time, as in the simulation. */
void fake_advance(struct fake *f, uint64_t ms);

/* Datagram number i (0: the first since fake_clear()) as text; fails the test
 * if there is none. */
const struct fake_datagram *fake_sent(const struct fake *f, size_t i);
/* The last one. */
const struct fake_datagram *fake_last(const struct fake *f);
/* Forgets what was sent and logged so far. */
void fake_clear(struct fake *f);

/* Was a line logged that contains `text`? */
bool fake_logged(const struct fake *f, const char *text);

/* The copy of a header field's value in a message's text: the first field of
 * this exact name. NULL: none. Valid until the next call. */
const char *fake_field(const char *message, const char *name);

/* This connection is gone. The code under test is not told. */
void fake_kill(struct fake *f, uint32_t connection);

/* A UDP flow of listener 0 with this peer ("10.0.0.1:5060"). */
struct flow fake_flow(const char *peer);

#endif

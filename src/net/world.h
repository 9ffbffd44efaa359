/*
 * net/world: the real world: sockets, clock, chance and log behind struct ports,
 * and the loop that gives the core its turns.
 *
 * Order: world_new(), then the core is made on world_ports(), world_open(),
 * world_run(), then the core is freed, world_free(). All on the core thread,
 * which is the main thread. One world per process: it takes SIGTERM, SIGINT,
 * SIGHUP and SIGUSR1 out of the process's usual way and ignores SIGPIPE and SIGXFSZ.
 */
#ifndef MIDREG_NET_WORLD_H
#define MIDREG_NET_WORLD_H

#include "base/ports.h"
#include "base/resolved.h"
#include "config/config.h"

#include <stdio.h>

struct world;

/* Who lives in the world. A turn is begin, any number of the others, end. */
struct world_handler {
    void *self;
    void (*begin)(void *self);
    /* A datagram, a message of a stream (sip/framer.h), or bytes (TRANSPORT_BYTES); they
     * may be reused when it returns. */
    void (*receive)(void *self, const struct flow *from, struct span message);
    /* A datagram to this address came back: nobody has that port open. May be
     * NULL. */
    void (*refused)(void *self, const struct address *to);
    /* Nothing more comes from this stream connection, or it could not be made. */
    void (*closed)(void *self, const struct flow *flow);
    /* What the port `resolve` was asked for. May be NULL where nothing is asked. */
    void (*resolved)(void *self, unsigned asker, const struct resolved *answer);
    /* SIGTERM, SIGINT, SIGHUP or SIGUSR1 came. */
    void (*signal)(void *self, int number);
    /* Returns the monotonic millisecond at which the next turn must happen at
     * the latest; UINT64_MAX: none. */
    uint64_t (*end)(void *self);
};

/* Where the journal's batches go. */
struct world_store {
    void *self;
    /* Makes them durable (struct ports, journal_submit). */
    void (*give)(void *self, struct span images);
    int fd; /* becomes readable when a batch is done: then, within a turn, ready() is
               called */
    void (*ready)(void *self);
};

/* Somebody else who is called within a turn. */
struct world_guest {
    void *self;
    int fd; /* while it is readable, ready() is called once in each turn */
    void (*ready)(void *self);
};

/* What sockets and log count: a gauge, or since the start. */
#define WORLD_COUNT_LIST(X)                                                                        \
    X(DATAGRAMS_RECEIVED, false, "datagrams_received", "UDP datagrams received")                   \
    X(DATAGRAMS_OVERFLOWED, false, "datagrams_overflowed",                                         \
      "UDP datagrams that found the receive buffer full")                                          \
    X(DATAGRAMS_SENT, false, "datagrams_sent", "UDP datagrams sent")                               \
    X(DATAGRAMS_DROPPED, false, "datagrams_dropped", "UDP datagrams that the system refused")      \
    X(CONNECTIONS, true, "connections", "stream connections that are open")                        \
    X(CONNECTIONS_ACCEPTED, false, "connections_accepted", "stream connections from others")       \
    X(CONNECTIONS_OPENED, false, "connections_opened", "stream connections that midreg opened")    \
    X(CONNECTIONS_REFUSED, false, "connections_refused", "stream connections beyond the limits")   \
    X(CONNECTIONS_CUT, false, "connections_cut", "stream connections ended for their behaviour")   \
    X(STREAM_MESSAGES_RECEIVED, false, "stream_messages_received", "messages received on streams") \
    X(STREAM_MESSAGES_SENT, false, "stream_messages_sent", "messages sent on streams")             \
    X(STREAM_MESSAGES_DROPPED, false, "stream_messages_dropped",                                   \
      "messages for streams that could not take them")                                             \
    X(LOG_DROPPED, false, "log_dropped", "log lines dropped because stderr was slow")

enum world_count {
#define X(id, gauge, name, help) WORLD_##id,
    WORLD_COUNT_LIST(X)
#undef X
        WORLD_COUNTS
};

struct world_count_name {
    const char *name;
    const char *help;
    bool gauge;
};

/* `config` outlives the world. The log goes to the descriptor `log_fd`. NULL,
 * with one line on `errors`, if the system refuses. */
struct world *world_new(const struct config *config, int log_fd, FILE *errors);
/* Writes the last log lines; takes a second at most. NULL is fine. */
void world_free(struct world *w);

/* To be called before world_run() if there is a store; without one, all is durable at
 * once. False: the system refuses. */
bool world_keep(struct world *w, const struct world_store *store);

/* To be called before world_run(), for one guest, who outlives it. False as above. */
bool world_admit(struct world *w, struct world_guest *guest);

const struct ports *world_ports(const struct world *w);

/* Opens the listeners. False, with one line on `errors` that names the address. */
bool world_open(struct world *w, FILE *errors);
/* The listener's address: with the real port where port 0 was configured. */
struct address world_bound(const struct world *w, unsigned listener);

/* Turns, until the turn in which world_stop() is called has ended. What was
 * committed before the first turn leaves in it. */
void world_run(struct world *w, const struct world_handler *handler);
void world_stop(struct world *w);

/* A log line that is written whatever the log level: what was asked for. */
void world_answer(struct world *w, struct span line);

/* What is counted, by enum world_count. */
const struct world_count_name *world_count_name(enum world_count which);
void world_counts(const struct world *w, uint64_t out[WORLD_COUNTS]);
/* "name=value ..." of what the sockets and the log count. */
void world_put_status(struct buf *out, const struct world *w);

#endif

/*
 * net/connection: one TCP connection, from its first byte to its last.
 *
 * Reads messages (sip/framer.h), queues what is to be written, keeps the limits
 * of bytes and time (struct stream_limits). Internal to net/: made and freed by
 * stream.c, which knows all of them. Core thread only.
 *
 *   CONNECTING -> OPEN -> HALF: the peer has ended its side; answers leave still
 *   OPEN, HALF -> CLOSING: streams_close(), or what the peer sends is no SIP;
 *                 what is queued leaves still
 *   CLOSING -> LINGERING: our side has ended; what comes is dropped, until the
 *              peer ends its side, too
 *   any -> GONE: the descriptor is closed; freed when the core has been told
 */
#ifndef MIDREG_NET_CONNECTION_H
#define MIDREG_NET_CONNECTION_H

#include "net/send_queue.h"
#include "net/stream.h"
#include "sip/framer.h"

/* One read of one connection in a turn, in bytes: they share the thread. */
#define CONNECTION_READ 16384

enum connection_state {
    CONNECTION_CONNECTING,
    CONNECTION_OPEN,
    CONNECTION_HALF,
    CONNECTION_CLOSING,
    CONNECTION_LINGERING,
    CONNECTION_GONE
};

struct connection {
    struct watch watch;
    struct streams *all;
    struct handle handle;
    struct flow flow;
    struct address local; /* our end */
    struct framer framer;
    struct send_queue queue;
    struct timer timer; /* TIMER_STREAM, for the earliest deadline; lazy */
    uint64_t since_ms;  /* when the state was entered */
    uint64_t heard_ms;
    uint64_t moved_ms;   /* when the queue began to wait, or the peer took some */
    uint64_t waiting_ms; /* since when a begun message waits for its rest; 0: none */
    size_t held;         /* of all->bytes */
    struct connection *next_to_write;
    struct connection *next_ended;
    uint8_t state;
    bool accepted;   /* the peer connected to us */
    bool useful;     /* it has sent a whole message */
    bool silent;     /* the core knows that it is over, or wants no word of it */
    bool close_then; /* CONNECTING: close when what is queued has been written */
    bool to_write;   /* is in that list */
    bool told;       /* GONE, and the core was told: may be freed */
};

/* Starts with this descriptor, which is its own from now on even on failure.
 * False: the loop does not take it. */
bool connection_begin(struct connection *c, int fd, enum connection_state state);
/* Queues a copy; a peer that has let too much wait is cut. */
void connection_queue(struct connection *c, struct span bytes);
/* The end of a turn in which something was queued. */
void connection_write(struct connection *c);
/* Closes when what is queued has been written. */
void connection_close(struct connection *c);
/* Ends at once; the core is told later. `why` is for the log. */
void connection_end(struct connection *c, const char *why);
/* Its timer fired: ends what is overdue. */
void connection_overdue(struct connection *c);
/* Counts what it holds; false: all together hold too much. */
bool connection_account(struct connection *c);

#endif

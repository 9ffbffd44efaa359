/*
 * net/stream: TCP connections, accepted from peers and opened to them.
 *
 * Each connection is read into messages (sip/framer.h) and has a bounded queue of
 * what is to be written, which leaves at the end of the turn. Everything is
 * bounded in bytes and time (struct stream_limits), so that a peer that is slow,
 * silent or gone costs little and not for long. Core thread only.
 */
#ifndef MIDREG_NET_STREAM_H
#define MIDREG_NET_STREAM_H

#include "base/slab.h"
#include "base/table.h"
#include "base/wheel.h"
#include "net/accept.h"

#define STREAMS_MAX 65536

struct stream_limits {
    uint32_t connections;
    size_t queue_bytes;  /* that wait to be written to one connection */
    size_t total_bytes;  /* queues and begun messages of all connections */
    uint32_t connect_ms; /* until a connection that we open is there */
    uint32_t first_ms;   /* until an accepted one has sent its first whole message */
    uint32_t message_ms; /* until a message that began is whole */
    uint32_t stall_ms;   /* until a peer takes some of what waits for it */
    uint32_t half_ms;    /* for answers, after the peer has ended its side */
    uint32_t linger_ms;  /* until a peer ends its side after ours */
    uint32_t idle_ms;    /* without hearing anything, keep-alives included */
};

/* The defaults; `descriptors`: how many the process may have. */
struct stream_limits stream_limits_default(unsigned descriptors);

struct stream_handler {
    void *self;
    /* One message (sip/framer.h), or what was read of TRANSPORT_BYTES. The bytes may be
     * reused when it returns. */
    void (*receive)(void *self, const struct flow *from, struct span message);
    /* Nothing more comes from this connection, or it could not be made. */
    void (*closed)(void *self, const struct flow *flow);
};

struct connection;

struct streams {
    struct loop *loop;
    struct log *log;
    struct stream_handler handler;
    struct stream_limits limits;
    struct acceptors acceptors;
    struct slab slab;
    struct table by_number;
    struct wheel wheel;
    uint64_t now_ms;
    uint32_t last_number;
    size_t bytes;                /* queues and begun messages */
    struct connection *to_write; /* list */
    struct connection *ended;    /* list, in order: GONE */
    struct connection *ended_last;
    char *room; /* for one read */

    uint64_t accepted;
    uint64_t opened;   /* to peers, that came to be */
    uint64_t refused;  /* more than limits.connections */
    uint64_t cut;      /* by a limit of bytes or time */
    uint64_t received; /* messages */
    uint64_t sent;     /* ... given to send */
    uint64_t dropped;  /* ... of them, whose connection was gone */
};

/* `loop` and `log` outlive it. False: no memory. */
bool streams_init(struct streams *s, struct loop *loop, struct log *log,
                  const struct stream_handler *handler, const struct stream_limits *limits,
                  uint64_t now_ms);
/* Ends all connections at once. */
void streams_fini(struct streams *s);

/* Opens the TCP listener with this index. False, with one line on `errors`. */
bool streams_listen(struct streams *s, unsigned listener, const struct config_listener *l,
                    FILE *errors);

/* Where that listener is bound; NULL: it is not open here. */
const struct address *streams_bound(const struct streams *s, unsigned listener);

/* As in ports.h, TRANSPORT_TCP or TRANSPORT_BYTES. `among`: a bit for each listener
 * that the connection may bear; `listener`: the index for the flow where none of them
 * is one of TCP that could be the connection's. */
bool streams_open(struct streams *s, const struct address *peer, enum transport transport,
                  uint32_t among, unsigned listener, struct flow *out);
void streams_close(struct streams *s, const struct flow *flow);
bool streams_alive(const struct streams *s, const struct flow *flow);
void streams_send(struct streams *s, const struct flow *flow, struct span message);
/* Where a peer can connect to us: the listener's address, for a wildcard the
 * connection's own with the listener's port; without a listener the connection's
 * own. False: there is no such connection. */
bool streams_local(const struct streams *s, const struct flow *flow, struct address *out);

/*
 * A turn: streams_begin(), the loop's dispatch, streams_tell(), which tells of
 * what has ended, the core's timers, streams_flush(), which writes. The next one
 * begins at streams_next_ms() at the latest; UINT64_MAX: no matter.
 */
void streams_begin(struct streams *s, uint64_t now_ms);
void streams_tell(struct streams *s);
void streams_flush(struct streams *s);
uint64_t streams_next_ms(const struct streams *s);

/* Connections that are there or being made. */
static inline uint32_t streams_count(const struct streams *s)
{
    return s->slab.used;
}

#endif

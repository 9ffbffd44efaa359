/*
 * upstream/event_socket: FreeSWITCH's event socket, as a client.
 *
 * Hears at once that the main registrar was restarted or has dropped a contact of ours,
 * and has one dropped where midreg may not de-register it. Optional: without it such
 * things heal when leases are renewed. Connects again by itself. Core thread only; never
 * blocks. Design 3.4, 3.7, 6.
 */
#ifndef MIDREG_UPSTREAM_EVENT_SOCKET_H
#define MIDREG_UPSTREAM_EVENT_SOCKET_H

#include "upstream/event_text.h"
#include "upstream/upstream.h"

/* Flushes that wait for their turn; more are refused. */
#define EVENT_FLUSHES_MAX 4096
#define EVENT_UUID_SIZE   36

/*
 *   OFF --its pause is over--------------------> CONNECTING  connect_now()
 *   CONNECTING --it asks for the password------> PASSWORD    on_auth_request()
 *   PASSWORD --+OK-----------------------------> SUBSCRIBING on_reply()
 *   SUBSCRIBING --+OK--------------------------> UP          on_reply()
 *   any --closed, refused, silent, nonsense----> OFF         disconnect()
 *
 * A step that takes 10 s has failed; UP, it is asked something when it was silent for
 * 30 s, and given up after 60. A pause is 1 s at first, then doubled up to 30 s (at once
 * where it has refused us), less up to a half at random.
 */
enum event_socket_state {
    EVENT_SOCKET_OFF,
    EVENT_SOCKET_CONNECTING,
    EVENT_SOCKET_PASSWORD,
    EVENT_SOCKET_SUBSCRIBING,
    EVENT_SOCKET_UP
};

/* A command of ours that it has not answered yet. */
enum event_command { EVENT_NOTHING, EVENT_IDENTIFY, EVENT_FLUSH };

struct event_sockets;

struct event_socket {
    struct event_sockets *all;
    struct upstream *upstream;
    enum event_socket_state state;
    enum event_command command;
    struct flow flow;    /* not OFF */
    struct timer timer;  /* TIMER_EVENTS: the pause's end, or the next look at its silence */
    uint64_t since_ms;   /* when the state was entered */
    uint64_t heard_ms;   /* UP: the last whole message */
    uint64_t asked_ms;   /* UP: when the command was sent */
    unsigned failures;   /* in a row */
    const char *trouble; /* what the log was told last; NULL: that all is well */
    struct event_reader reader;
    char uuid[EVENT_UUID_SIZE]; /* Core-UUID; kept over reconnects, and restarts of midreg */
    size_t uuid_n;              /* 0: not known */
    uint64_t same_ms;           /* when it was heard last; 0: not by this midreg */
    bool doubted;               /* it is a new one, and so may be what was noticed by pings */
    uint64_t uptime_ms;         /* what it said of it last */
    uint64_t uptime_at_ms;      /* and when */
    uint64_t flushed;           /* the tag of the command EVENT_FLUSH */
    uint64_t *flushes;          /* tags that wait, a ring; NULL: no event socket here */
    unsigned first, count;
};

/* Who wants to know. Nothing here may free the sockets. */
struct event_socket_user {
    void *self;
    /* It was restarted: it may have lost all that it held. */
    void (*restarted)(void *self, struct upstream *u);
    /* By this UUID it tells this start of its own from others: a new one, after restarted() if
     * another was known. */
    void (*identified)(void *self, struct upstream *u, struct span uuid);
    /* It has dropped this contact (a Contact value, anybody's), whyever. */
    void (*dropped)(void *self, struct upstream *u, struct span contact);
    /* The Call-ID that this flush is for; false: it has become needless. */
    bool (*flush_call_id)(void *self, struct upstream *u, uint64_t tag, struct buf *out);
    /* It was flushed, or (false) that is refused. Not called for what was needless or
     * lost with the connection: who needs it asks again. */
    void (*flushed)(void *self, struct upstream *u, uint64_t tag, bool done);
};

struct event_sockets {
    struct runtime *rt;
    struct event_socket_user user;
    struct event_socket list[CONFIG_UPSTREAMS_MAX];
    unsigned count;
};

/* `upstreams` (initialised) and `rt` outlive it. */
void event_sockets_init(struct event_sockets *all, struct runtime *rt, struct upstreams *upstreams,
                        const struct event_socket_user *user);
void event_sockets_fini(struct event_sockets *all);
/* Its Core-UUID when midreg ended: before the start. What is none is ignored. */
void event_sockets_was(struct event_sockets *all, const struct upstream *u, struct span uuid);
/* Begins to connect where one is configured. */
void event_sockets_start(struct event_sockets *all);

/* Bytes of a connection of TRANSPORT_BYTES, and its end. */
void event_sockets_receive(struct event_sockets *all, const struct flow *from, struct span bytes);
void event_sockets_flow_closed(struct event_sockets *all, const struct flow *flow);

/*
 * Has it drop the registrations of one Call-ID, which it will ask the user for when its
 * turn comes; `tag` is the user's. False: it is not connected (or there is none), or too
 * many wait.
 */
bool event_socket_flush(struct event_sockets *all, const struct upstream *u, uint64_t tag);

/* Is there one that is up? */
bool event_socket_is_up(const struct event_sockets *all, const struct upstream *u);

/* " NAME.event_socket=1" of each that is configured; 0: it is not up. */
void event_sockets_put_status(struct buf *out, const struct event_sockets *all);

#endif

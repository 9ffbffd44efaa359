/*
 * upstream/event_text: the messages of FreeSWITCH's event socket, read from bytes.
 *
 * A message is a head of "Name: value" lines, an empty line, and as many bytes as its
 * Content-Length says. The body of an event (text/event-plain) is a head again, with
 * URL-encoded values. Where the reads are cut changes nothing of what is given. Pure:
 * no clock, no chance, no sockets. Bounded: what is larger than a message may be is
 * broken. Used by event_socket.c, on the core thread.
 */
#ifndef MIDREG_UPSTREAM_EVENT_TEXT_H
#define MIDREG_UPSTREAM_EVENT_TEXT_H

#include "base/buf.h"

/* Bytes of a message, head and body. */
#define EVENT_MESSAGE_MAX (64 * 1024)

enum event_kind {
    EVENT_AUTH,   /* auth/request: it asks for the password */
    EVENT_REPLY,  /* command/reply: `text` is its Reply-Text */
    EVENT_ANSWER, /* api/response: `text` is what the command printed */
    EVENT_PLAIN,  /* text/event-plain: `fields` are the event's, `text` its own body */
    EVENT_BYE,    /* text/disconnect-notice: it ends the connection */
    EVENT_DENIED, /* text/rude-rejection: its access list keeps us out */
    EVENT_OTHER,  /* of a type that we did not ask for */
};

struct event_message {
    enum event_kind kind;
    struct span fields; /* lines "Name: value" */
    struct span text;   /* may be empty */
};

enum event_read {
    EVENT_MORE,    /* all that was put is used up */
    EVENT_MESSAGE, /* a whole message */
    EVENT_BROKEN,  /* no event socket speaks there, or it says too much, or no memory:
                      close the connection */
};

struct event_reader {
    char *kept; /* what is not given yet, and what was given last; NULL: nothing */
    size_t n;
    size_t size;  /* of the memory */
    size_t given; /* bytes of the message that was given last */
    size_t seen;  /* of the head that is not whole: no empty line before it */
    bool broken;
};

void event_reader_init(struct event_reader *r);
/* Frees what is kept; may be used again after event_reader_init(). */
void event_reader_fini(struct event_reader *r);

/* Takes a copy of what was read. Call event_reader_next() until it says EVENT_MORE
 * before the next one. */
void event_reader_put(struct event_reader *r, struct span bytes);

/* The next message. What *out points to is valid until the next call of any of these
 * functions. After EVENT_BROKEN it says so for ever. */
enum event_read event_reader_next(struct event_reader *r, struct event_message *out);

/* The raw value of the first field of this name (any case); empty: there is none. */
struct span event_field(struct span fields, const char *name);

/* The value, URL-decoded, appended; false: there is none, or no room, or the escapes are
 * wrong (then *out is as it was). */
bool event_field_decoded(struct span fields, const char *name, struct buf *out);

/*
 * How long it has been running, in milliseconds, from a HEARTBEAT's fields: Uptime-msec,
 * or Up-Time as older ones write it ("0 years, 1 day, 2 hours, ..."). False: neither is
 * there in a form that is known.
 */
bool event_uptime_ms(struct span fields, uint64_t *out);

#endif

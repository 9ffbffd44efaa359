/*
 * sip/framer: cuts the bytes of a stream connection into SIP messages.
 *
 * One framer per connection. A message that lies whole within one read is given
 * as it lies there, without a copy; only the beginning of one that is not yet
 * whole is kept, in memory that is freed with the message: an idle connection
 * holds nothing. Where the reads are cut changes nothing of what is given. Used
 * by the world (net/, the simulation). No clock, no chance, no sockets.
 * RFC 3261 7.5, 18.3, 20.14; RFC 5626 3.5.1, 4.4.1.
 */
#ifndef MIDREG_SIP_FRAMER_H
#define MIDREG_SIP_FRAMER_H

#include "base/span.h"

/* Bytes from the start line to the empty line, and with the body. What is larger
 * cannot be cut: the connection is lost. */
#define FRAMER_HEAD_MAX    (16 * 1024)
#define FRAMER_MESSAGE_MAX (64 * 1024)

enum framed {
    FRAMED_MORE,    /* all that was read is used up */
    FRAMED_MESSAGE, /* a whole message; its content is not looked at */
    FRAMED_PING,    /* CRLF CRLF between messages: answer CRLF (RFC 5626 4.4.1) */
    /*
     * Nobody knows where the next message begins: close the connection. The span
     * is the head of a message without a good Content-Length, with a larger one
     * than fits, or with bare LFs: sip_parse() finds it bad, or without that
     * field, so that it can be answered. Empty: no SIP, or no memory.
     */
    FRAMED_BROKEN
};

struct framer {
    struct span unread; /* of the current read */
    char *kept;         /* the beginning of a message that is not whole; NULL: none */
    size_t kept_n;
    size_t kept_size;
    size_t line;  /* where in the head the line begins that is being read */
    size_t seen;  /* ... and what of that line was looked at */
    size_t whole; /* the size of the message, once its head is known; else 0 */
    uint8_t crlf; /* how much of CRLF CRLF came */
    bool bare_lf; /* a line of the head ended without CR */
    bool given;   /* `kept` is the message that was given last */
};

void framer_init(struct framer *f);
void framer_fini(struct framer *f);

/* Takes what was read. The bytes are the caller's and must stay until
 * framer_next() has said FRAMED_MORE or FRAMED_BROKEN. */
void framer_read(struct framer *f, struct span bytes);

/* The next thing in what was read; call it until it says FRAMED_MORE. What *out
 * points to is valid until the next call. After FRAMED_BROKEN only
 * framer_fini() may follow. */
enum framed framer_next(struct framer *f, struct span *out);

/* Does the beginning of a message wait for its rest? */
static inline bool framer_waits(const struct framer *f)
{
    return f->kept != NULL;
}

#endif

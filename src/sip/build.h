/*
 * sip/build: answers and forwarded messages, written into a bounded buffer.
 *
 * Nothing is edited in place: a new message is written from the parsed one and
 * a short description of what differs. Unknown fields, their order and their
 * bytes are kept. Pure. RFC 3261 8.2.6, 9.1, 16.6, 16.7, 17.1.1.3.
 */
#ifndef MIDREG_SIP_BUILD_H
#define MIDREG_SIP_BUILD_H

#include "base/address.h"
#include "sip/header.h"

/*
 * Starts an answer: status line, all Vias (the topmost with received and, by
 * the rule of sip_via_reply_address(), rport of `source`), From, To (with `to_tag` if the request
 * had none; empty: none added, as in a 100), Call-ID, CSeq. `reason` NULL: the
 * usual phrase. The caller appends further fields, then sip_reply_end().
 * `source` NULL: Vias are copied as they are.
 */
void sip_reply_begin(struct buf *out, const struct sip_message *request, int status,
                     const char *reason, struct span to_tag, const struct address *source);
/* Appends "Name: value CRLF". */
void sip_put_field(struct buf *out, const char *name, struct span value);
/* Content-Length and the empty line, then the body (may be empty). */
void sip_put_end(struct buf *out, struct span body);

/* Appends an RFC 1123 date, "Sun, 22 Nov 2026 21:17:49 GMT", of seconds since 1970. */
void sip_put_date(struct buf *out, uint64_t wall_s);

/* What differs between a received request and the one sent on (RFC 3261 16.6). */
struct sip_forward {
    struct span ruri;          /* empty: unchanged */
    struct span via;           /* our Via value, without "Via: "; required */
    struct span record_routes; /* whole field lines with CRLF, put before others; may be empty */
    struct span routes;        /* whole Route field lines to put in front; may be empty */
    int pop_routes;            /* how many Route values to remove from the front */
    bool drop_routes;          /* remove all received Route values */
    uint32_t max_forwards;     /* to be written */
    sip_header_set remove;     /* fields by id */
    const struct span *remove_names; /* fields by name (case-insensitive); an entry that ends in
                                        '*' is a prefix; may be NULL */
    size_t remove_name_count;
    struct span extra; /* whole field lines to append; may be empty */
    /* For the first Via of the received request: received and rport are written
     * as in sip_reply_begin(), so that the answer finds its way back. */
    const struct address *source;
};

/* The request as it is sent on. Body and Content-Length are kept. */
void sip_forward_request(struct buf *out, const struct sip_message *request,
                         const struct sip_forward *how);

/* A response passed back: the topmost Via value removed, all else kept. */
void sip_forward_response(struct buf *out, const struct sip_message *response);

/* CANCEL for an INVITE as it was sent (RFC 3261 9.1): its Request-URI, top Via,
 * From, To, Call-ID, CSeq number, Route; `reason` is a Reason value or empty. */
void sip_build_cancel(struct buf *out, const struct sip_message *invite, struct span reason);

/* ACK for a final answer of 300 to 699 to an INVITE as it was sent
 * (RFC 3261 17.1.1.3): To comes from the answer. */
void sip_build_ack(struct buf *out, const struct sip_message *invite,
                   const struct sip_message *response);

#endif

/*
 * text: the SIP messages of the benchmarks, and what is read out of others.
 *
 * Users have 11 bytes, contacts 60, Call-IDs 32; all of it follows from the
 * numbers of AOR and contact, so that an answer can be checked without keeping
 * what was asked. The reader believes its peer: it is for our own answers on
 * loopback, not for strangers.
 */
#ifndef MIDREG_BENCH_TEXT_H
#define MIDREG_BENCH_TEXT_H

#include "base/buf.h"

#define TEXT_DOMAIN       "example.com"
#define TEXT_USER_SIZE    11
#define TEXT_CONTACT_SIZE 60
#define TEXT_CALL_ID_SIZE 32
#define TEXT_LINES_MAX    8

/* Where a message comes from: 127.0.0.1 and this port. */
struct text_register {
    uint32_t aor;
    uint32_t contact;
    uint32_t cseq;
    uint32_t expires_s;
    uint16_t port;
    uint32_t slot; /* slot and generation make the branch */
    uint32_t generation;
};

void text_put_user(struct buf *out, uint32_t aor);
void text_put_contact(struct buf *out, uint32_t aor, uint32_t contact, uint16_t port);
void text_put_register_call_id(struct buf *out, uint32_t aor, uint32_t contact);
void text_put_register(struct buf *out, const struct text_register *r);

void text_put_hex(struct buf *out, uint64_t value, unsigned digits);
/* "Via: SIP/2.0/UDP 127.0.0.1:PORT;branch=z9hG4bK" SLOT GENERATION `suffix`. */
void text_put_via(struct buf *out, uint16_t port, uint32_t slot, uint32_t generation, char suffix);
/* Content-Type, Content-Length and an offer of usual size. */
void text_put_offer(struct buf *out);

/* What the benchmarks look at in a message. Spans point into it. */
struct fields {
    struct span start; /* the start line */
    int status;        /* 0: a request */
    struct span method;
    struct span ruri;
    struct span via[TEXT_LINES_MAX]; /* whole lines */
    unsigned vias;
    struct span record_route[TEXT_LINES_MAX]; /* whole lines */
    unsigned record_routes;
    struct span from;
    struct span to;
    struct span call_id;
    struct span cseq;
    struct span contact; /* the first one's value */
    unsigned contacts;
    struct span expires;
    struct span reason;
};

/* False: no message that these programs send to each other. */
bool fields_read(struct span message, struct fields *out);
/* Slot and generation out of the top Via's branch; false: not one of ours. */
bool fields_branch(const struct fields *f, uint32_t *slot, uint32_t *generation);
/* The number of the AOR in a value with one of our users; false: none. */
bool text_aor_of(struct span value, uint32_t *aor);
bool text_hex(struct span text, uint64_t *value);
/* What stands between '<' and '>', or all of it. */
struct span text_uri_of(struct span value);
/* Where `what` begins in `in`; NULL: nowhere. */
const char *text_find(struct span in, const char *what);

/* An answer to the request whose fields are given: Vias, Record-Routes, From, To
 * (with `tag`, if it has none), Call-ID and CSeq are copied. text_put_end() or
 * text_put_offer() ends it. */
void text_put_answer(struct buf *out, const struct fields *request, const char *status_line,
                     const char *tag);
void text_put_end(struct buf *out);

#endif

/*
 * sip/message: the index of one SIP message, zero copy.
 *
 * sip_parse() finds the start line, the header fields and the body; it decodes
 * no field. Typed decoders (uri.h, header.h) read single fields when somebody
 * asks. A parsed message is const and points into the bytes it was made from.
 * Pure: no memory, no clock, no chance. RFC 3261 7 and 25.
 */
#ifndef MIDREG_SIP_MESSAGE_H
#define MIDREG_SIP_MESSAGE_H

#include "base/span.h"

enum sip_method {
    SIP_METHOD_OTHER,
    SIP_INVITE,
    SIP_ACK,
    SIP_BYE,
    SIP_CANCEL,
    SIP_REGISTER,
    SIP_OPTIONS,
    SIP_MESSAGE,
    SIP_NOTIFY,
    SIP_SUBSCRIBE,
    SIP_INFO,
    SIP_UPDATE,
    SIP_PRACK,
    SIP_REFER,
    SIP_PUBLISH
};

/* Header fields that some decision depends on; all others are SIP_H_OTHER and
 * pass unchanged. Compact forms (RFC 3261 7.3.3) map to the same id. */
enum sip_header_id {
    SIP_H_OTHER,
    SIP_H_VIA,
    SIP_H_FROM,
    SIP_H_TO,
    SIP_H_CALL_ID,
    SIP_H_CSEQ,
    SIP_H_CONTACT,
    SIP_H_MAX_FORWARDS,
    SIP_H_EXPIRES,
    SIP_H_MIN_EXPIRES,
    SIP_H_ROUTE,
    SIP_H_RECORD_ROUTE,
    SIP_H_PATH,
    SIP_H_SERVICE_ROUTE,
    SIP_H_SUPPORTED,
    SIP_H_REQUIRE,
    SIP_H_PROXY_REQUIRE,
    SIP_H_UNSUPPORTED,
    SIP_H_AUTHORIZATION,
    SIP_H_PROXY_AUTHORIZATION,
    SIP_H_WWW_AUTHENTICATE,
    SIP_H_PROXY_AUTHENTICATE,
    SIP_H_CONTENT_LENGTH,
    SIP_H_CONTENT_TYPE,
    SIP_H_DATE,
    SIP_H_REASON,
    SIP_H_RETRY_AFTER,
    SIP_H_EVENT,
    SIP_H_USER_AGENT,
    SIP_H_P_ASSERTED_IDENTITY,
    SIP_H_P_PREFERRED_IDENTITY,
    SIP_H_REMOTE_PARTY_ID,
    SIP_H_COUNT
};

/* The header ids as a set: bit (1 << id). */
typedef uint64_t sip_header_set;
#define SIP_SET(id) ((uint64_t)1 << (id))

#define SIP_HEADERS_MAX 128

struct sip_header {
    struct span name;  /* as written */
    struct span value; /* trimmed; may hold folds (CRLF and white space) */
    struct span line;  /* the whole field with its final CRLF */
    uint16_t id;       /* enum sip_header_id */
    uint16_t next;     /* index + 1 of the next field of the same id; 0: none */
};

/* One value of Via. */
struct sip_via {
    struct span text;      /* this value alone */
    struct span transport; /* "UDP" */
    struct span host;      /* sent-by host; IPv6 in brackets */
    uint32_t port;         /* 0: none given */
    struct span params;
    struct span branch; /* may be empty (RFC 2543) */
    struct span received;
    struct span maddr;
    bool has_rport;
    uint32_t rport; /* 0: no value */
};

struct sip_message {
    struct span raw; /* start line to the end of the body */
    bool is_request;
    enum sip_method method;  /* requests: of the start line; responses: of CSeq */
    struct span method_name; /* likewise */
    struct span ruri;        /* requests */
    int status;              /* responses: 100 to 699 */
    struct span reason;      /* responses: the phrase, may be empty */
    struct span body;
    struct sip_via via;    /* the topmost; asked for by everybody, so decoded once */
    const char *via_fault; /* what is wrong with it, a literal; NULL: nothing */
    struct span via_rest;  /* what its field holds behind it: further values */
    uint16_t header_count;
    uint16_t first[SIP_H_COUNT]; /* index + 1 of the first of each id; 0: none */
    struct sip_header header[SIP_HEADERS_MAX];
};

/* Why a message is bad: becomes the 4xx. `reason` is a literal, fit for the
 * reason phrase; `offset` counts bytes from the start of the message. */
struct sip_fault {
    int status; /* 400, 416, 420, 505, ... ; 0: nothing to answer (drop) */
    const char *reason;
    uint32_t offset;
};

enum sip_parsed { SIP_PARSED, SIP_BAD, SIP_NOT_SIP };

/*
 * Indexes the message in one datagram. Bytes behind Content-Length are not
 * part of it (RFC 3261 18.3); without Content-Length the body is the rest.
 *
 * Checks what every message must have: start line, SIP/2.0 (else 505), Via,
 * From, To, Call-ID, CSeq once each, CSeq's number below 2^31 .. 2^32-1 as the
 * RFC says and its method equal to the start line's, Content-Length not longer
 * than the datagram, Max-Forwards 0..255 at most once. From and To are checked
 * by their decoders when used.
 *
 * SIP_PARSED: `out` is whole. SIP_BAD: `fault` says why; `out` holds what could
 * be indexed, so that a request can be answered where it has Via, From, To,
 * Call-ID and CSeq (sip_answerable()). SIP_NOT_SIP: keep-alives and noise, to
 * be dropped silently.
 */
enum sip_parsed sip_parse(struct span datagram, struct sip_message *out, struct sip_fault *fault);

/* Can a bad request be answered at all (RFC 3261 8.2.6.2)? */
bool sip_answerable(const struct sip_message *m);

/* A copy, index included, in `room`, which has this many bytes and is aligned to 8.
 * Only the fields there are get room: never copy it by assignment, copy it again. */
size_t sip_message_copy_size(const struct sip_message *m);
struct sip_message *sip_message_copy(void *room, const struct sip_message *m);

static inline bool sip_has(const struct sip_message *m, enum sip_header_id id)
{
    return m->first[id] != 0;
}

/* The first field of this id, or NULL. */
static inline const struct sip_header *sip_first(const struct sip_message *m, enum sip_header_id id)
{
    return m->first[id] ? &m->header[m->first[id] - 1] : NULL;
}

static inline const struct sip_header *sip_next(const struct sip_message *m,
                                                const struct sip_header *h)
{
    return h->next ? &m->header[h->next - 1] : NULL;
}

/* The value of the first field of this id; an empty span if there is none. */
static inline struct span sip_value(const struct sip_message *m, enum sip_header_id id)
{
    const struct sip_header *h = sip_first(m, id);

    return h ? h->value : SPAN_NONE;
}

/* A field by its name (case-insensitive), for those without an id. */
const struct sip_header *sip_find(const struct sip_message *m, struct span name);

enum sip_method sip_method_of(struct span name); /* case-sensitive, RFC 3261 7.1 */
struct span sip_method_text(enum sip_method m);
enum sip_header_id sip_header_of(struct span name);
/* Is this field's name, or the long form of it, the pattern? Case-insensitive; a
 * pattern that ends in '*' is a prefix: "X-FS-*". */
bool sip_name_matches(struct span name, struct span pattern);
/* The reason phrase of RFC 3261 21 and its extensions; "Unknown" otherwise. */
const char *sip_reason(int status);

#endif

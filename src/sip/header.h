/*
 * sip/header: decoders of single header fields.
 *
 * All are zero copy and tolerate folds as white space. Each says false and
 * fills the fault (400, a reason that names the field, an offset where known)
 * on a malformed value. Pure. RFC 3261 20 and 25.1.
 */
#ifndef MIDREG_SIP_HEADER_H
#define MIDREG_SIP_HEADER_H

#include "base/address.h"
#include "sip/uri.h"

/* ---- comma-separated lists over all fields of one id (RFC 3261 7.3.1) ---- */

struct sip_list {
    const struct sip_message *m;
    const struct sip_header *field; /* the field being read */
    struct span rest;               /* what is unread of it */
    bool bad;                       /* a value was malformed: the list ended */
};

void sip_list_init(struct sip_list *it, const struct sip_message *m, enum sip_header_id id);
/* The next value, trimmed; commas in quotes, <> and () do not separate. False
 * at the end, or (it->bad) at an unbalanced quote or bracket or an empty value. */
bool sip_list_next(struct sip_list *it, struct span *value);
/* Is `token` (case-insensitive) one of the values? For Supported and friends. */
bool sip_list_has(const struct sip_message *m, enum sip_header_id id, struct span token);

/* ---- parameters: ";name=value;flag" ------------------------------------- */

/* The parameter's value by name (case-insensitive); quotes stay. */
bool sip_param(struct span params, struct span name, struct span *value);
/* Iterates: takes one parameter off the front of *params. False at the end or
 * on a malformed parameter (*bad). */
bool sip_param_next(struct span *params, struct span *name, struct span *value, bool *bad);

/* ---- name-addr / addr-spec with header parameters ------------------------ */

struct sip_nameaddr {
    struct span display; /* as written, quotes included; may be empty */
    struct span uri_text;
    struct sip_uri uri;
    struct span params; /* header parameters: ";tag=x", or empty */
    bool bracketed;     /* <...> was written */
};

/* One value of From, To, Contact, Route, Record-Route, Path. Without brackets
 * the parameters belong to the header and '?' is an error (RFC 3261 20). */
bool sip_nameaddr_parse(struct span value, struct sip_nameaddr *out, struct sip_fault *fault);
/* The tag of From or To; an empty span if there is none. */
struct span sip_tag(const struct sip_nameaddr *na);
/* The same of a value that nobody has decoded; the URI in it is not looked at. */
struct span sip_value_tag(struct span value);

/* ---- Via ----------------------------------------------------------------- */

bool sip_via_parse(struct span value, struct sip_via *out, struct sip_fault *fault);
/* The topmost Via of a message. */
bool sip_via_top(const struct sip_message *m, struct sip_via *out, struct sip_fault *fault);
/* The second Via: where a response goes after ours is removed. False: none. */
bool sip_via_second(const struct sip_message *m, struct sip_via *out);

/*
 * Where a response to this request goes over UDP, given where the request came
 * from: RFC 3261 18.2.2 and RFC 3581. `received` always is the source; `rport`
 * if asked for, or if the source address differs from the sent-by address (a
 * phone behind NAT that does not ask); else the sent-by port (default 5060). A
 * sent-by name is not resolved and does not count as different. maddr is never
 * followed: forged, it would have our answers hit somebody else.
 */
void sip_via_reply_address(const struct sip_via *top, const struct address *source,
                           struct address *out);

/* ---- the small ones ------------------------------------------------------ */

struct sip_cseq {
    uint32_t number;
    struct span method;
};

bool sip_cseq_parse(struct span value, struct sip_cseq *out, struct sip_fault *fault);

/* Seconds of Expires or of the expires parameter; values beyond 2^32 - 1 count
 * as 2^32 - 1. False: not a number (RFC 3261 20.19: the caller takes 3600). */
bool sip_delta_seconds(struct span value, uint32_t *out);

/* A qvalue as thousandths, 0 to 1000. False: malformed. */
bool sip_qvalue(struct span value, uint16_t *out);

/* Is text a token (RFC 3261 25.1)? */
bool sip_is_token(struct span text);

#endif

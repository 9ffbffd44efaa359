/*
 * proxy/inspect: a request decoded as far as routing needs it, and validated.
 *
 * Syntax, scheme, Max-Forwards and Proxy-Require as RFC 3261 16.3 asks; loops
 * are found in loop.h. Pure.
 */
#ifndef MIDREG_PROXY_INSPECT_H
#define MIDREG_PROXY_INSPECT_H

#include "sip/header.h"

/* Points into the message; dies with it. */
struct inspected {
    const struct sip_message *m;
    struct sip_uri ruri;
    struct sip_nameaddr from;
    struct sip_nameaddr to;
    struct span from_tag; /* empty: none */
    struct span to_tag;   /* not empty: a request within a dialog */
    struct sip_cseq cseq;
    uint32_t max_forwards; /* as received; 71 where there was none, so that 70 is sent */
};

/* False: `fault` has the status (400, 416) and the reason. */
bool inspect_request(const struct sip_message *m, struct inspected *out, struct sip_fault *fault);

/* Appends "Unsupported: ..." with all that Proxy-Require, or Require, asks for (we
 * support nothing that a proxy could be asked for, nor a UAS for OPTIONS). False:
 * it asks for nothing. */
bool inspect_put_unsupported(struct buf *out, const struct sip_message *m, enum sip_header_id id);

#endif

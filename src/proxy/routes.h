/*
 * proxy/routes: Record-Route and Route: we put ourselves on the path, and find
 * our own values again.
 *
 * Pops only what is ours, repairs what strict routers did, never follows a Route
 * of somebody else. Core thread only. RFC 3261 16.4, 16.6 steps 4 and 6, 16.12;
 * RFC 5658 for two values.
 */
#ifndef MIDREG_PROXY_ROUTES_H
#define MIDREG_PROXY_ROUTES_H

#include "proxy/inside.h"
#include "proxy/inspect.h"
#include "proxy/token.h"

enum routes_found {
    ROUTES_NOT_OURS, /* no Route, or another's on top */
    ROUTES_PLAIN,    /* ours, without a token: an outbound proxy setting */
    ROUTES_TOKEN,    /* ours, with a good token */
    ROUTES_FORGED,   /* addressed to us, but the token is not good here */
};

/* What the Route fields of a request say to us. Plain values, no pointers. */
struct routes {
    enum routes_found found;
    struct flow_token token; /* ROUTES_TOKEN */
    int pop;                 /* leading Route values that are ours */
    bool strict;             /* a strict router put our value into the Request-URI; the last
                                Route value is the Request-URI proper (16.4) */
};

/* False: a Route value is malformed; `fault` says so. */
bool routes_read(const struct proxy *p, const struct inspected *r, const struct flow *from,
                 struct routes *out, struct sip_fault *fault);

/* How Request-URI and Route fields leave. Points into the message and `fields`. */
struct routes_leaving {
    struct span ruri;  /* empty: as it came */
    struct span lines; /* Route fields to write */
    bool drop;         /* leave out those that came */
    int pop;           /* else: how many of the front to leave out */
};

/*
 * Works that out; Route fields that must be written anew are appended to
 * `fields`. The next hop may be a strict router (16.6 step 6). False: `fields` is
 * full.
 */
bool routes_leave(const struct routes *routes, const struct sip_message *m, struct buf *fields,
                  struct routes_leaving *out);

/*
 * Appends our Record-Route fields with this token for a request of this Call-ID:
 * one, or two with the same leg id where both sides know us by different
 * addresses (16.6 step 4). `to_phone`: the phone is where the request goes.
 */
void routes_put_record(struct buf *out, const struct proxy *p, struct span call_id,
                       const struct flow_token *token, bool to_phone);

#endif

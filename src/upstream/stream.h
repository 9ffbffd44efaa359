/*
 * upstream/stream: a connection to a main registrar, for what is too large for
 * a datagram.
 *
 * RFC 3261 18.1.1 wants requests of more than 1300 bytes on a transport with
 * congestion control. The first such request begins a connection and still
 * leaves by datagram, as nobody shall wait for a main registrar that takes no
 * connections; once an OPTIONS over the connection was answered, large requests
 * use it. Core thread only.
 */
#ifndef MIDREG_UPSTREAM_STREAM_H
#define MIDREG_UPSTREAM_STREAM_H

#include "base/address.h"

/* The largest request that is sent as a datagram to who takes connections. */
#define UPSTREAM_DATAGRAM_MAX 1300

struct upstream;
struct upstreams;

/*
 *   NONE ----a large request is due----------> TRYING   upstream_route()
 *   TRYING --OPTIONS answered----------------> READY    on_response()
 *   TRYING --no answer-----------------------> NONE     on_timeout()
 *   TRYING, READY --the connection closes----> NONE     upstreams_flow_closed()
 *
 * NONE is left again 60 s after it was entered at the earliest.
 */
enum upstream_stream_state { STREAM_NONE, STREAM_TRYING, STREAM_READY };

struct upstream_stream {
    enum upstream_stream_state state;
    struct flow flow;       /* not NONE */
    uint64_t not_before_ms; /* NONE: the next attempt */
};

/*
 * The flow that a request of `size` bytes takes to this upstream: `u->flow`, or
 * the connection where it is large and the connection is ready. Begins one where
 * that would have been of use.
 */
void upstream_route(struct upstream *u, size_t size, struct flow *out);

/* Is this our connection to the upstream, so that what comes over it is the
 * upstream's word? */
bool upstream_owns_stream(const struct upstream *u, const struct flow *flow);

/* Ends our connection: it leads to where the upstream is no more. */
void upstream_drop_stream(struct upstream *u);

/* A stream connection is gone, whosever. */
void upstreams_flow_closed(struct upstreams *all, const struct flow *flow);

#endif

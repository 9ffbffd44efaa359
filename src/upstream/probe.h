/*
 * upstream/probe: a REGISTER that asks a main registrar for nothing.
 *
 * As a random user and without credentials, to remove a contact that is not there:
 * harmless. An open main registrar says 200, one that challenges 401, one that is
 * not ready 503. Core thread only. Design 3.2, 3.7.
 */
#ifndef MIDREG_UPSTREAM_PROBE_H
#define MIDREG_UPSTREAM_PROBE_H

#include "upstream/upstream.h"

/* Sends one. `user` is told what becomes of it; its self is the struct upstreams, its
 * owner the number of the upstream. NULL: no memory; nothing was sent. */
struct client_tx *probe_send(struct upstream *u, const struct client_user *user);

/* The same for an OPTIONS, by `flow`. */
struct client_tx *probe_options(struct upstream *u, const struct flow *flow,
                                const struct client_user *user);

#endif

/*
 * net/socket: opening the sockets of listeners, and how many there may be.
 *
 * Used by udp.c, accept.c and stream.c on the core thread.
 */
#ifndef MIDREG_NET_SOCKET_H
#define MIDREG_NET_SOCKET_H

#include "config/config.h"

#include <stdio.h>

/* Sets what must be set before bind(). False: errno says why. */
typedef bool socket_prepare_fn(int fd, int family);

/* A non-blocking socket of `type` (SOCK_DGRAM, SOCK_STREAM), bound; *bound has
 * the real port. -1: errno says why. */
int socket_bind(const struct address *address, int type, socket_prepare_fn *prepare,
                struct address *bound);

/* Says in one line on `errors` why this listener cannot be had, and what to do.
 * Always false. */
bool socket_complain(const struct config_listener *l, int error, FILE *errors);

/* Our own end of a connected socket; ADDRESS_NONE if it has none. */
void socket_local(int fd, struct address *out);

/* Raises the limit of descriptors as far as the system allows; returns it. */
unsigned socket_raise_limit(void);

#endif

/*
 * net/udp: the datagram sockets of the listeners.
 *
 * A socket is read 32 datagrams at a time, one such batch per turn, so that
 * sockets share the thread. A wildcard listener answers from the address that
 * the kernel's route chooses: a host with several addresses towards its phones
 * has one listener for each. Core thread only.
 */
#ifndef MIDREG_NET_UDP_H
#define MIDREG_NET_UDP_H

#include "net/loop.h"
#include "net/outbox.h"

#include <stdio.h>

#define UDP_BATCH       32
#define UDP_BUFFER_WANT (8 * 1024 * 1024) /* bytes, of SO_RCVBUF and SO_SNDBUF */

typedef void udp_receive_fn(void *self, const struct flow *from, struct span datagram);
/* A datagram to `to` came back: no program has that port open (ICMP). */
typedef void udp_refused_fn(void *self, const struct address *to);

struct udp;

struct udp_socket {
    struct watch watch; /* watch.fd -1: this listener has no datagram socket */
    struct udp *udp;
    struct address bound;
    uint8_t listener;
};

struct udp {
    struct loop *loop;
    udp_receive_fn *receive;
    udp_refused_fn *refused;
    void *self;
    struct udp_socket sockets[CONFIG_LISTENERS_MAX];
    struct outbox out;
    struct udp_room *room; /* what arrives */
    uint64_t received;
};

/* False: no memory. `receive` is called for each datagram, `refused` for each that
 * came back. */
bool udp_init(struct udp *u, struct loop *loop, udp_receive_fn *receive, udp_refused_fn *refused,
              void *self);
void udp_fini(struct udp *u);

/* Binds the listener with this index and watches it. False, with one line on
 * `errors` that names the address: it cannot be had. Port 0: any; see
 * sockets[].bound. */
bool udp_open(struct udp *u, unsigned listener, const struct config_listener *l, FILE *errors);

/* The end of a turn: sends what was committed. */
void udp_flush(struct udp *u);

/* What the socket's receive buffer really holds, in bytes. */
unsigned udp_receive_buffer(const struct udp *u, unsigned listener);
/* Datagrams that the kernel dropped because that buffer was full. */
uint64_t udp_overflowed(const struct udp *u);

#endif

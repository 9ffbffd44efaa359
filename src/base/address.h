/*
 * base/address: an IP address with a port, and a flow.
 *
 * Both are plain values of fixed size; unused bytes are zero, so that equal
 * addresses have equal bytes. Any thread.
 */
#ifndef MIDREG_BASE_ADDRESS_H
#define MIDREG_BASE_ADDRESS_H

#include "base/buf.h"

#include <sys/socket.h>

enum address_family { ADDRESS_NONE = 0, ADDRESS_IP4 = 4, ADDRESS_IP6 = 6 };

struct address {
    uint8_t ip[16]; /* network order; an IPv4 address takes the first four */
    uint16_t port;  /* host order */
    uint8_t family; /* enum address_family */
    uint8_t zero;
};

enum transport {
    TRANSPORT_UDP,
    TRANSPORT_TCP,
    TRANSPORT_TLS,
    TRANSPORT_WS,
    TRANSPORT_WSS,
    TRANSPORT_BYTES /* TCP that carries no SIP: opened by us alone, read as it comes */
};

/*
 * Where a peer is reached: a UDP remote address over one of our sockets, or one
 * stream connection. `listener` is the index in the configuration's list of
 * listeners: the socket, or for a stream the listener whose address is ours.
 */
struct flow {
    struct address peer;
    uint8_t transport; /* enum transport */
    uint8_t listener;
    uint16_t zero;
    uint32_t connection; /* streams: a number that is not used again; datagrams: 0 */
};

static inline bool transport_is_stream(uint8_t transport)
{
    return transport != TRANSPORT_UDP;
}

static inline bool address_equal(const struct address *a, const struct address *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

static inline bool flow_equal(const struct flow *a, const struct flow *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* The same host, whatever the port. */
bool address_same_host(const struct address *a, const struct address *b);

/*
 * Reads "10.0.0.5:5080", "10.0.0.5", "[::1]:5060" or "[::1]"; `default_port`
 * where none is given. Names are not resolved. False: not such an address.
 */
bool address_parse(struct span text, uint16_t default_port, struct address *out);

/* Reads an IPv4 address or an IPv6 address (with or without brackets), no port. */
bool address_parse_ip(struct span text, struct address *out);

/* Appends "10.0.0.5" or "[::1]": the form of a URI's host. */
void address_put_host(struct buf *out, const struct address *a);

/* Appends "10.0.0.5" or "::1": the form of Via's received parameter. */
void address_put_ip(struct buf *out, const struct address *a);

/* Appends host and port: "10.0.0.5:5080" or "[::1]:5060". */
void address_put(struct buf *out, const struct address *a);

bool address_is_loopback(const struct address *a);
/* 0.0.0.0 or [::]. */
bool address_is_any(const struct address *a);

/* From and to the kernel's form. IPv4-mapped IPv6 addresses become IPv4. */
void address_from_sockaddr(struct address *out, const struct sockaddr *from);
socklen_t address_to_sockaddr(const struct address *a, struct sockaddr_storage *out);

/* "udp", "tcp", "tls", "ws", "wss"; "UDP" and so on, as in Via (WSS for wss). */
const char *transport_name(enum transport t);
const char *transport_via_name(enum transport t);

#endif

/*
 * base/address: reading and writing IP addresses, with and without a port.
 *
 * Called by everyone, on any thread. Never resolves names, never allocates.
 */
#include "base/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

bool address_same_host(const struct address *a, const struct address *b)
{
    return a->family == b->family && memcmp(a->ip, b->ip, sizeof a->ip) == 0;
}

/* IPv4-mapped IPv6 addresses (RFC 4291 2.5.5.2) become IPv4: one host, one form. */
static void set_ip6(struct address *out, const void *ip)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    if (memcmp(ip, mapped, sizeof mapped) == 0) {
        memcpy(out->ip, (const uint8_t *)ip + sizeof mapped, 4);
        out->family = ADDRESS_IP4;
    } else {
        memcpy(out->ip, ip, 16);
        out->family = ADDRESS_IP6;
    }
}

bool address_parse_ip(struct span text, struct address *out)
{
    char copy[INET6_ADDRSTRLEN];
    struct in6_addr ip6;

    memset(out, 0, sizeof *out);
    if (text.n >= 2 && text.p[0] == '[') {
        if (text.p[text.n - 1] != ']')
            return false;
        text = span_make(text.p + 1, text.n - 2);
        if (text.n == 0 || !memchr(text.p, ':', text.n))
            return false;
    }
    if (text.n == 0 || text.n >= sizeof copy || memchr(text.p, 0, text.n))
        return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    if (inet_pton(AF_INET, copy, out->ip) == 1) {
        out->family = ADDRESS_IP4;
        return true;
    }
    if (inet_pton(AF_INET6, copy, &ip6) == 1) {
        set_ip6(out, &ip6);
        return true;
    }
    memset(out, 0, sizeof *out);
    return false;
}

bool address_parse(struct span text, uint16_t default_port, struct address *out)
{
    struct span host = text;
    struct span digits;
    uint32_t port = default_port;
    const char *end;

    memset(out, 0, sizeof *out);
    if (text.n && text.p[0] == '[')
        end = memchr(text.p, ']', text.n);
    else
        end = memchr(text.p ? text.p : "", ':', text.n);
    if (end && *end == ']')
        end++;
    if (end && end < text.p + text.n) {
        if (*end != ':')
            return false;
        host = span_between(text.p, end);
        digits = span_between(end + 1, text.p + text.n);
        if (!span_u32(digits, &port) || port == 0 || port > 65535)
            return false;
    }
    if (!address_parse_ip(host, out))
        return false;
    out->port = (uint16_t)port;
    return true;
}

/* In every Via and Record-Route that we write: inet_ntop() goes through printf. */
static void put_ip4(struct buf *out, const uint8_t ip[4])
{
    char text[sizeof "255.255.255.255"];
    char *p = text;

    for (int i = 0; i < 4; i++) {
        if (i)
            *p++ = '.';
        if (ip[i] >= 100)
            *p++ = (char)('0' + ip[i] / 100);
        if (ip[i] >= 10)
            *p++ = (char)('0' + ip[i] / 10 % 10);
        *p++ = (char)('0' + ip[i] % 10);
    }
    buf_put(out, text, (size_t)(p - text));
}

static void put_ip(struct buf *out, const struct address *a, bool brackets)
{
    char text[INET6_ADDRSTRLEN];

    if (a->family != ADDRESS_IP6) {
        put_ip4(out, a->ip);
        return;
    }
    if (!inet_ntop(AF_INET6, a->ip, text, sizeof text))
        return;
    if (brackets)
        buf_char(out, '[');
    buf_str(out, text);
    if (brackets)
        buf_char(out, ']');
}

void address_put_host(struct buf *out, const struct address *a)
{
    put_ip(out, a, true);
}

void address_put_ip(struct buf *out, const struct address *a)
{
    put_ip(out, a, false);
}

void address_put(struct buf *out, const struct address *a)
{
    put_ip(out, a, true);
    buf_char(out, ':');
    buf_u64(out, a->port);
}

bool address_is_loopback(const struct address *a)
{
    static const uint8_t one[16] = {[15] = 1};

    if (a->family == ADDRESS_IP4)
        return a->ip[0] == 127;
    return a->family == ADDRESS_IP6 && memcmp(a->ip, one, sizeof one) == 0;
}

bool address_is_any(const struct address *a)
{
    static const uint8_t zero[16];

    return a->family != ADDRESS_NONE && memcmp(a->ip, zero, sizeof zero) == 0;
}

void address_from_sockaddr(struct address *out, const struct sockaddr *from)
{
    memset(out, 0, sizeof *out);
    if (from->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, from, sizeof in);
        memcpy(out->ip, &in.sin_addr, 4);
        out->port = ntohs(in.sin_port);
        out->family = ADDRESS_IP4;
    } else if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, from, sizeof in6);
        set_ip6(out, &in6.sin6_addr);
        out->port = ntohs(in6.sin6_port);
    }
}

socklen_t address_to_sockaddr(const struct address *a, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof *out);
    if (a->family == ADDRESS_IP6) {
        struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(a->port)};

        memcpy(&in6.sin6_addr, a->ip, 16);
        memcpy(out, &in6, sizeof in6);
        return sizeof in6;
    }
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(a->port)};

    memcpy(&in.sin_addr, a->ip, 4);
    memcpy(out, &in, sizeof in);
    return sizeof in;
}

static const struct {
    const char *name;
    const char *via;
} transports[] = {
    [TRANSPORT_UDP] = {"udp", "UDP"}, [TRANSPORT_TCP] = {"tcp", "TCP"},
    [TRANSPORT_TLS] = {"tls", "TLS"}, [TRANSPORT_WS] = {"ws", "WS"},
    [TRANSPORT_WSS] = {"wss", "WSS"}, [TRANSPORT_BYTES] = {"bytes", "BYTES"},
};

const char *transport_name(enum transport t)
{
    return transports[t].name;
}

const char *transport_via_name(enum transport t)
{
    return transports[t].via;
}

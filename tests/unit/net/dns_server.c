/*
 * dns_server: see the header. Called by the test's loop; nothing is checked of what it is
 * asked but the name and the type.
 */
#include "dns_server.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <cmocka.h>

#define SERVFAIL      2
#define NXDOMAIN      3
#define PACKET_MAX    16384
#define QUESTION_MAX  1024
#define DATAGRAM_SIZE 512

size_t dns_pack_name(uint8_t *out, const char *name)
{
    uint8_t *at = out;

    while (*name) {
        size_t n = strcspn(name, ".");

        *at++ = (uint8_t)n;
        memcpy(at, name, n);
        at += n;
        name += n + (name[n] == '.');
    }
    *at++ = 0;
    return (size_t)(at - out);
}

static size_t put_number(uint8_t *out, uint32_t value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint8_t)(value >> 8 * (n - 1 - i));
    return n;
}

/* ---- what it knows ---------------------------------------------------------------------- */

static struct dns_known *tell(struct dns_server *d, const char *name, enum dns_kind type,
                              uint32_t ttl_s)
{
    struct dns_known *r = &d->records[d->count++];

    assert_true(d->count <= DNS_RECORDS_MAX);
    *r = (struct dns_known){.name = name, .type = type, .ttl_s = ttl_s};
    return r;
}

void dns_tell_a(struct dns_server *d, const char *name, uint32_t ttl_s, const char *ip)
{
    struct dns_known *r = tell(d, name, DNS_A, ttl_s);

    r->n = 4;
    assert_int_equal(inet_pton(AF_INET, ip, r->data), 1);
}

void dns_tell_aaaa(struct dns_server *d, const char *name, uint32_t ttl_s, const char *ip)
{
    struct dns_known *r = tell(d, name, DNS_AAAA, ttl_s);

    r->n = 16;
    assert_int_equal(inet_pton(AF_INET6, ip, r->data), 1);
}

void dns_tell_alias(struct dns_server *d, const char *name, uint32_t ttl_s, const char *target)
{
    struct dns_known *r = tell(d, name, DNS_CNAME, ttl_s);

    r->n = dns_pack_name(r->data, target);
}

void dns_tell_srv(struct dns_server *d, const char *service, uint32_t ttl_s, uint16_t priority,
                  uint16_t weight, uint16_t port, const char *target)
{
    struct dns_known *r = tell(d, service, DNS_SRV, ttl_s);

    put_number(r->data, priority, 2);
    put_number(r->data + 2, weight, 2);
    put_number(r->data + 4, port, 2);
    r->n = 6 + dns_pack_name(r->data + 6, target);
}

static size_t put_text(uint8_t *out, const char *text)
{
    *out = (uint8_t)strlen(text);
    memcpy(out + 1, text, *out);
    return 1U + *out;
}

void dns_tell_naptr(struct dns_server *d, const char *name, uint32_t ttl_s, uint16_t order,
                    uint16_t preference, const char *service, const char *replacement)
{
    struct dns_known *r = tell(d, name, DNS_NAPTR, ttl_s);

    put_number(r->data, order, 2);
    put_number(r->data + 2, preference, 2);
    r->n = 4 + put_text(r->data + 4, "s");
    r->n += put_text(r->data + r->n, service);
    r->n += put_text(r->data + r->n, "");
    r->n += dns_pack_name(r->data + r->n, replacement);
}

/* ---- asked -------------------------------------------------------------------------------- */

static bool answers(const struct dns_known *r, const char *name, unsigned type)
{
    bool fits = r->type == type || (r->type == DNS_CNAME && type != DNS_SRV);

    if (r->type == DNS_SRV && strncasecmp(name, "_sip._udp.", 10) == 0)
        name += 10;
    return fits && strcasecmp(r->name, name) == 0;
}

static size_t put_record(uint8_t *out, const struct dns_known *r)
{
    size_t n = 0;
    char owner[300];

    snprintf(owner, sizeof owner, "%s%s", r->type == DNS_SRV ? "_sip._udp." : "", r->name);
    n += dns_pack_name(out, owner);
    n += put_number(out + n, r->type, 2);
    n += put_number(out + n, 1, 2);
    n += put_number(out + n, r->ttl_s, 4);
    n += put_number(out + n, (uint32_t)r->n, 2);
    memcpy(out + n, r->data, r->n);
    return n + r->n;
}

/* All records of this name, and of the one that it is an alias of. */
static size_t put_records(const struct dns_server *d, uint8_t *out, const char *name, unsigned type,
                          unsigned *count, bool *known)
{
    size_t n = 0;

    for (unsigned i = 0; i < d->count; i++) {
        const struct dns_known *r = &d->records[i];

        *known |= answers(r, name, r->type);
        if (!answers(r, name, type))
            continue;
        n += put_record(out + n, r);
        ++*count;
        for (unsigned k = 0; r->type == DNS_CNAME && k < d->count; k++) {
            uint8_t packed[300];

            if (dns_pack_name(packed, d->records[k].name) == r->n &&
                memcmp(packed, r->data, r->n) == 0 && d->records[k].type == type) {
                n += put_record(out + n, &d->records[k]);
                ++*count;
            }
        }
    }
    return n;
}

/* The question's end, and its name as text. */
static size_t read_question(const uint8_t *q, char *name, unsigned *type)
{
    size_t at = 12;
    char *to = name;

    while (q[at]) {
        memcpy(to, q + at + 1, q[at]);
        to += q[at];
        *to++ = '.';
        at += 1U + q[at];
    }
    to[to > name ? -1 : 0] = 0;
    *type = (unsigned)(q[at + 1] << 8 | q[at + 2]);
    return at + 5;
}

static unsigned type_of(const uint8_t *q)
{
    char name[300];
    unsigned type;

    (void)read_question(q, name, &type);
    return type;
}

static size_t answer(const struct dns_server *d, const uint8_t *q, uint8_t *out)
{
    char name[300];
    unsigned type, count = 0, code = 0;
    bool known = false;
    size_t n = read_question(q, name, &type);

    memcpy(out, q, n);
    if (d->mood == DNS_GARBAGE) {
        memset(out + 2, 0xc0, 40);
        return 42;
    }
    if (d->mood == DNS_FAILS || (d->mood == DNS_SRV_IS_SICK && type == DNS_SRV) ||
        (d->mood == DNS_NAPTR_IS_SICK && type == DNS_NAPTR) ||
        (d->mood == DNS_A_IS_SICK && strncmp(name, "sick", 4) == 0))
        code = SERVFAIL;
    else if (d->mood != DNS_CUT)
        n += put_records(d, out + n, name, type, &count, &known);
    if (!known && code == 0 && d->mood != DNS_CUT)
        code = NXDOMAIN;
    put_number(out + 2, 0x8180 | (d->mood == DNS_CUT ? 0x0200 : 0) | code, 2);
    put_number(out + 6, count, 2);
    put_number(out + 8, 0, 4);
    return d->mood == DNS_HALF && count ? n - 3 : n;
}

/* Too long for a datagram: without records, and with the bit that says so. */
static size_t cut(uint8_t *out, const uint8_t *q)
{
    char name[300];
    unsigned type;
    size_t n = read_question(q, name, &type);

    out[2] |= 2;
    put_number(out + 6, 0, 2);
    return n;
}

static void on_datagram(void *self, uint32_t events)
{
    struct dns_server *d = self;
    struct sockaddr_storage from;
    socklen_t from_n = sizeof from;
    uint8_t q[QUESTION_MAX] = {0}, out[PACKET_MAX];
    ssize_t got = recvfrom(d->watch.fd, q, sizeof q - 1, MSG_DONTWAIT, (void *)&from, &from_n);
    size_t n;

    (void)events;
    if (got < 17)
        return;
    d->asked++;
    if (d->mood == DNS_SILENT || (d->mood == DNS_NAPTR_IS_SILENT && type_of(q) == DNS_NAPTR))
        return;
    n = answer(d, q, out);
    if (n > DATAGRAM_SIZE)
        n = cut(out, q);
    sendto(d->watch.fd, out, n, 0, (const void *)&from, from_n);
}

/* The question comes in one piece on loopback. */
static void on_connection(void *self, uint32_t events)
{
    struct dns_server *d = self;
    uint8_t q[QUESTION_MAX] = {0}, out[PACKET_MAX];
    ssize_t got = recv(d->connection.fd, q, sizeof q - 1, MSG_DONTWAIT);
    size_t n;

    (void)events;
    if (got > 19 && d->mood != DNS_CUT) {
        d->by_tcp++;
        n = answer(d, q + 2, out + 2);
        put_number(out, (uint32_t)n, 2);
        assert_int_equal(send(d->connection.fd, out, n + 2, MSG_NOSIGNAL), n + 2);
        return;
    }
    close(d->connection.fd);
    d->connection.fd = -1;
}

static void on_listener(void *self, uint32_t events)
{
    struct dns_server *d = self;
    int fd = accept4(d->listener.fd, NULL, NULL, SOCK_CLOEXEC);

    (void)events;
    assert_true(fd >= 0);
    if (d->connection.fd >= 0)
        close(d->connection.fd);
    d->connection = (struct watch){fd, EPOLLIN, on_connection, d};
    assert_true(loop_add(d->loop, &d->connection));
}

static int open_socket(int type, struct address *at)
{
    struct sockaddr_storage bound;
    socklen_t bound_n = address_to_sockaddr(at, &bound);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    if (bind(fd, (const void *)&bound, bound_n) != 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(getsockname(fd, (void *)&bound, &bound_n), 0);
    address_from_sockaddr(at, (const void *)&bound);
    return fd;
}

void dns_open(struct dns_server *d, struct loop *loop)
{
    int datagrams = -1, listener = -1;

    *d = (struct dns_server){.loop = loop, .connection.fd = -1};
    for (unsigned i = 0; listener < 0; i++) { /* a port that is free for both */
        assert_true(i < 100);
        assert_true(address_parse_ip(SPAN("127.0.0.1"), &d->address));
        datagrams = open_socket(SOCK_DGRAM, &d->address);
        assert_true(datagrams >= 0);
        listener = open_socket(SOCK_STREAM, &d->address);
        if (listener < 0)
            close(datagrams);
    }
    assert_int_equal(listen(listener, 4), 0);
    d->watch = (struct watch){datagrams, EPOLLIN, on_datagram, d};
    d->listener = (struct watch){listener, EPOLLIN, on_listener, d};
    assert_true(loop_add(loop, &d->watch));
    assert_true(loop_add(loop, &d->listener));
}

void dns_close(struct dns_server *d)
{
    int *fds[] = {&d->watch.fd, &d->listener.fd, &d->connection.fd};

    for (unsigned i = 0; i < 3; i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

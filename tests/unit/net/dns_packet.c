/* dns_packet: see the header. */
#include "dns_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define ROUNDS 20000

void dns_packet_put(struct dns_packet *p, uint32_t value, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p->bytes[p->n++] = (uint8_t)(value >> 8 * (n - 1 - i));
}

void dns_packet_put_name(struct dns_packet *p, const char *name)
{
    p->n += dns_pack_name(p->bytes + p->n, name);
}

void dns_packet_begin(struct dns_packet *p, const char *name, enum dns_kind type, unsigned answers)
{
    memset(p, 0, sizeof *p);
    dns_packet_put(p, 0x12348180, 4);
    dns_packet_put(p, 1 << 16 | answers, 4);
    dns_packet_put(p, 0, 4);
    dns_packet_put_name(p, name);
    dns_packet_put(p, (uint32_t)type << 16 | 1, 4);
}

void dns_packet_add(struct dns_packet *p, uint16_t type, uint16_t class, uint32_t ttl_s)
{
    dns_packet_put(p, 0xc00c, 2);
    dns_packet_put(p, type, 2);
    dns_packet_put(p, class, 2);
    dns_packet_put(p, ttl_s, 4);
}

bool dns_packet_read(const struct dns_packet *p, size_t n,
                     bool (*read)(const uint8_t *reply, size_t n))
{
    uint8_t *exact = malloc(n ? n : 1); /* so that one byte too many is seen */
    bool ok;

    assert_non_null(exact);
    memcpy(exact, p->bytes, n);
    ok = read(exact, n);
    free(exact);
    return ok;
}

void dns_packet_is_read_whole(void (*write)(struct dns_packet *p),
                              bool (*read)(const uint8_t *reply, size_t n))
{
    struct dns_packet p;

    write(&p);
    for (size_t n = 0; n < p.n; n++)
        assert_false(dns_packet_read(&p, n, read));
}

void dns_packet_is_damaged(void (*write)(struct dns_packet *p),
                           bool (*read)(const uint8_t *reply, size_t n), void (*check)(void))
{
    struct dns_packet p;
    uint32_t chance = 1;

    for (unsigned round = 0; round < ROUNDS; round++) {
        write(&p);
        for (unsigned i = 0; i < 4; i++) {
            chance = chance * 1664525 + 1013904223;
            p.bytes[4 + (chance >> 16) % (p.n - 4)] = (uint8_t)(chance >> 8);
        }
        if (dns_packet_read(&p, p.n, read))
            check();
    }
}

/*
 * config/place: where a main registrar may be: its name read, its address judged.
 *
 * A name is looked up while midreg runs, so that what is checked of an address that
 * is written in the file (check.c) is checked of a name's addresses when they are known
 * (upstream/name.c): by the same function. Main thread when reading, else core thread.
 */
#include "config/reader.h"

#include <stdlib.h>

/* "_sip._udp." and a name have 253 bytes together (RFC 1035 2.3.4). */
#define HOST_MAX  243
#define LABEL_MAX 63

/* ---- names --------------------------------------------------------------------------- */

/* A name whose last label is a number is a mistyped address (RFC 1123 2.1). */
static bool is_host(struct span text)
{
    size_t label = 0;
    bool letter = false;

    if (text.n > HOST_MAX || !reader_domain_valid(text))
        return false;
    for (size_t i = 0; i < text.n; i++) {
        bool dot = text.p[i] == '.';

        label = dot ? 0 : label + 1;
        letter = !dot && (letter || !ascii_digit(text.p[i]));
        if (label > LABEL_MAX)
            return false;
    }
    return letter && text.p[0] != '[';
}

bool reader_place(struct reader *r, const struct option *o, const config_setting_t *s,
                  struct config_upstream *up)
{
    const char *text = config_setting_get_string(s);
    size_t host_n = strcspn(text, ":");
    uint32_t port = 0;
    char *host;

    if (!is_host(span_make(text, host_n)))
        return false;
    if (text[host_n] &&
        (!span_u32(span_of(text + host_n + 1), &port) || port == 0 || port > UINT16_MAX))
        return false;
    host = strndup(text, host_n);
    if (!host) {
        reader_mistake(r, s, "%s: out of memory", o->name);
        return true;
    }
    for (char *c = host; *c; c++)
        *c = ascii_lower(*c);
    free(up->host);
    up->host = host;
    up->host_port = (uint16_t)port;
    return true;
}

/* ---- addresses ------------------------------------------------------------------------ */

/* Can this listener's socket send to that address? Upstreams are reached over UDP. */
static bool reaches(const struct config_listener *listener, const struct address *to)
{
    return listener->transport == TRANSPORT_UDP && listener->address.family == to->family &&
           (!address_is_loopback(&listener->address) || address_is_loopback(to));
}

static bool is_own(const struct config_listener *listener, const struct address *to)
{
    return listener->address.port == to->port &&
           (address_same_host(&listener->address, to) ||
            (address_is_any(&listener->address) && address_is_loopback(to) &&
             listener->address.family == to->family));
}

enum config_place config_place_of(const struct config *c, const struct config_upstream *up,
                                  const struct address *to)
{
    bool reached = false, own_reached = !up->listeners;

    for (unsigned i = 0; i < c->listen_count; i++) {
        if (is_own(&c->listen[i], to))
            return PLACE_OWN;
        if (reaches(&c->listen[i], to)) {
            reached = true;
            own_reached |= up->listeners >> i & 1;
        }
    }
    if (!reached)
        return PLACE_BEYOND;
    return own_reached ? PLACE_GOOD : PLACE_BEYOND_LISTEN;
}

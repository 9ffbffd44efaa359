/*
 * config/check: contradictions between settings that are each right.
 *
 * A setting that was refused before keeps its default here, so that one mistake
 * is not told twice. Main thread only.
 */
#include "config/reader.h"

/* Where to point: the first of the two that stands in the file. */
static const config_setting_t *place(const struct reader *r, const char *first, const char *second)
{
    const config_setting_t *s = config_setting_get_member(r->root, first);

    return s ? s : config_setting_get_member(r->root, second);
}

static void check_expiries(struct reader *r)
{
    const struct config *c = r->config;

    if (c->min_expires_s > c->phone_expires_s)
        reader_mistake(r, place(r, "min-expires", "phone-expires"),
                       "min-expires (%u s) is longer than phone-expires (%u s): no phone could "
                       "register; lower min-expires or raise phone-expires",
                       c->min_expires_s, c->phone_expires_s);
    /* Where midreg has no means of its own, a phone must come between the half
     * of the lease and its end. */
    if (c->upstream_expires_s / 2 < c->phone_expires_s)
        reader_mistake(r, place(r, "upstream-expires", "phone-expires"),
                       "upstream-expires (%u s) is less than twice phone-expires (%u s): leases "
                       "would lapse between two REGISTERs of a phone; raise upstream-expires",
                       c->upstream_expires_s, c->phone_expires_s);
    if (c->fork_timeout_ms > c->timer_c_ms)
        reader_mistake(r, place(r, "fork-timeout", "timer-c"),
                       "fork-timeout is longer than timer-c: calls would end before the phones "
                       "of a lower q ring; lower fork-timeout");
    if (c->forward_timeout_ms > c->forward_timeout_new_ms)
        reader_mistake(r, place(r, "forward-timeout", "forward-timeout-new"),
                       "forward-timeout is longer than forward-timeout-new: known phones would "
                       "wait longer than new ones; lower forward-timeout");
}

static void check_domains(struct reader *r)
{
    const struct config *c = r->config;

    if (c->domain_count || config_setting_get_member(r->root, "domains"))
        return;
    for (unsigned i = 0; i < c->listen_count; i++)
        if (!address_is_loopback(&c->listen[i].address)) {
            reader_mistake(r, config_setting_get_member(r->root, "listen"),
                           "domains is missing, which only listeners on loopback can do without; "
                           "write for example domains = [ \"example.com\" ]");
            return;
        }
}

/* Of a name: is there a udp: listener at all, and one of its own? */
static enum config_place place_of_name(const struct config *c, const struct config_upstream *up)
{
    bool udp = false, own = !up->listeners;

    for (unsigned i = 0; i < c->listen_count; i++)
        if (c->listen[i].transport == TRANSPORT_UDP) {
            udp = true;
            own |= up->listeners >> i & 1;
        }
    if (!udp)
        return PLACE_BEYOND;
    return own ? PLACE_GOOD : PLACE_BEYOND_LISTEN;
}

static void check_upstream(struct reader *r, const struct config_upstream *up)
{
    const config_setting_t *group = config_setting_get_member(
        config_setting_get_member(r->root, "upstream"), up->name ? up->name : "");
    const config_setting_t *at = group ? config_setting_get_member(group, "address") : NULL;
    const struct config *c = r->config;

    if (up->address.family == ADDRESS_NONE && !up->host)
        return; /* that is told already */
    switch (up->host ? place_of_name(c, up) : config_place_of(c, up, &up->address)) {
    case PLACE_GOOD:
        break;
    case PLACE_OWN:
        reader_mistake(r, at,
                       "the address of upstream %s is our own: midreg would register at "
                       "itself; write the main registrar's address and port",
                       up->name);
        break;
    case PLACE_BEYOND:
        if (c->listen_count) /* or that is told already */
            reader_mistake(r, at,
                           "no udp: listener can send to upstream %s (there is none, or of another "
                           "address family, or on loopback); add one to listen",
                           up->name);
        break;
    case PLACE_BEYOND_LISTEN:
        /* Where one of them was refused that is told already. */
        if (__builtin_popcount(up->listeners) == (int)up->own_count)
            reader_mistake(r, group ? config_setting_get_member(group, "listen") : NULL,
                           "listen of upstream %s has no udp: address that can send to it, which "
                           "its contacts would name; add one with the port of the tcp: one",
                           up->name);
        break;
    }
}

/* Of two upstreams: does the same address stand there, or the same name? */
static bool same_place(const struct config_upstream *a, const struct config_upstream *b)
{
    if (a->host || b->host)
        return a->host && b->host && strcmp(a->host, b->host) == 0 && a->host_port == b->host_port;
    return a->address.family != ADDRESS_NONE && address_equal(&a->address, &b->address);
}

/* By its address it is told whose a message is. The first two are told. */
static void check_addresses(struct reader *r)
{
    const struct config *c = r->config;

    for (unsigned i = 1; i < c->upstream_count; i++)
        for (unsigned k = 0; k < i; k++) {
            if (!same_place(&c->upstream[k], &c->upstream[i]))
                continue;
            reader_mistake(r, config_setting_get_member(r->root, "upstream"),
                           "upstreams %s and %s have the same address: nobody could tell which of "
                           "them a message is from; take one of them out",
                           c->upstream[k].name, c->upstream[i].name);
            return;
        }
}

void reader_check(struct reader *r)
{
    const struct config *c = r->config;

    check_expiries(r);
    check_domains(r);
    reader_check_aliases(r);
    if (c->upstream_count == 0 && !(config_setting_get_member(r->root, "upstream") && r->mistakes))
        reader_mistake(r, config_setting_get_member(r->root, "upstream"),
                       "there is no upstream; write for example upstream = { pbx = { address = "
                       "\"10.0.0.5:5080\" } }");
    for (unsigned i = 0; i < c->upstream_count; i++)
        check_upstream(r, &c->upstream[i]);
    reader_check_policies(r);
    check_addresses(r);
}

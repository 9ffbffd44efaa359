/*
 * config/sources: where a main registrar may send from, beside its address, and
 * the listen address of its own on which that counts.
 *
 * Reads `sources` and `listen` of an upstream, and makes its listen addresses
 * listeners like all others once the whole file is read. Main thread only.
 */
#include "config/reader.h"

/* Reads "10.0.0.5" or "10.0.0.0/24". */
static bool network_parse(struct span text, struct config_network *out)
{
    const char *slash = memchr(text.p, '/', text.n);
    struct span host = slash ? span_between(text.p, slash) : text;
    uint32_t bits, most;

    if (!address_parse_ip(host, &out->address))
        return false;
    most = out->address.family == ADDRESS_IP4 ? 32 : 128;
    bits = most;
    if (slash && !span_u32(span_between(slash + 1, text.p + text.n), &bits))
        return false;
    out->bits = (uint8_t)bits;
    return bits <= most;
}

/* Has the address bits behind the prefix? Then another network was meant. */
static bool network_is_clean(const struct config_network *n)
{
    unsigned total = n->address.family == ADDRESS_IP4 ? 32 : 128;

    for (unsigned bit = n->bits; bit < total; bit++)
        if (n->address.ip[bit / 8] & (0x80 >> bit % 8))
            return false;
    return true;
}

bool config_network_holds(const struct config_network *n, const struct address *a)
{
    unsigned bytes = n->bits / 8, rest = n->bits % 8;

    if (n->address.family != a->family || memcmp(n->address.ip, a->ip, bytes) != 0)
        return false;
    return rest == 0 || ((n->address.ip[bytes] ^ a->ip[bytes]) & (0xff00 >> rest) & 0xff) == 0;
}

static void source_add(struct reader *r, const config_setting_t *at, const char *text,
                       struct config_upstream *up)
{
    struct config_network network = {0};

    if (!network_parse(span_of(text), &network))
        reader_mistake(r, at,
                       "sources \"%s\" is no IP address or network; write for example "
                       "\"10.0.0.5\" or \"10.0.0.0/29\", without a port",
                       text);
    else if (network.bits == 0)
        reader_mistake(r, at,
                       "sources \"%s\" is everybody: who reaches that listen address would be the "
                       "main registrar; name its addresses",
                       text);
    else if (!network_is_clean(&network))
        reader_mistake(r, at,
                       "sources \"%s\" has an address within the network before the slash; write "
                       "the address alone, or the network's first",
                       text);
    else
        up->sources[up->source_count++] = network;
}

void reader_sources(struct reader *r, config_setting_t *s, struct config_upstream *up)
{
    struct list_walk walk = {r, s, "sources", "[ \"10.0.0.5\" ]", CONFIG_SOURCES_MAX, 0};
    const config_setting_t *element;
    const char *text;

    if (!reader_list_begin(&walk))
        return;
    if (config_setting_length(s) == 0)
        reader_mistake(r, s, "sources is empty; write for example sources = %s", walk.example);
    while ((text = reader_list_next(&walk, &element)))
        source_add(r, element, text, up);
}

void reader_upstream_listen(struct reader *r, config_setting_t *s, struct config_upstream *up)
{
    struct list_walk walk = {r,
                             s,
                             "listen",
                             "[ \"udp:10.0.0.9:5090\", \"tcp:10.0.0.9:5090\" ]",
                             CONFIG_UPSTREAM_LISTEN_MAX,
                             0};
    const config_setting_t *element;
    const char *text;

    if (!reader_list_begin(&walk))
        return;
    if (config_setting_length(s) == 0)
        reader_mistake(r, s, "listen is empty; write for example listen = %s", walk.example);
    while ((text = reader_list_next(&walk, &element)))
        if (reader_listener(r, element, text, &up->own[up->own_count]))
            up->own_count++;
}

/* ---- when all is read ------------------------------------------------------------- */

static const config_setting_t *setting_of(const struct reader *r, const struct config_upstream *up,
                                          const char *name)
{
    const config_setting_t *group = config_setting_get_member(
        config_setting_get_member(r->root, "upstream"), up->name ? up->name : "");

    return group ? config_setting_get_member(group, name) : NULL;
}

/* The listener of this address; it becomes one where there is none. -1: it cannot. */
static int join(struct reader *r, const config_setting_t *at, const struct config_listener *own)
{
    struct config *c = r->config;
    char text[80] = "";
    struct buf out = buf_make(text, sizeof text - 1);

    for (unsigned i = 0; i < c->listen_count; i++)
        if (c->listen[i].transport == own->transport &&
            address_equal(&c->listen[i].address, &own->address))
            return (int)i;
    buf_str(&out, transport_name(own->transport));
    buf_char(&out, ':');
    address_put(&out, &own->address);
    for (unsigned i = 0; i < c->listen_count; i++)
        if (reader_listeners_collide(&c->listen[i], own)) {
            reader_mistake(r, at,
                           "listen \"%s\" is no entry of listen and takes the port of entry %u "
                           "there; write it as it stands there, or take another port",
                           text, i + 1);
            return -1;
        }
    if (c->listen_count == CONFIG_LISTENERS_MAX) {
        reader_mistake(r, at, "listen \"%s\" is one too many; %d are the most of all together",
                       text, CONFIG_LISTENERS_MAX);
        return -1;
    }
    c->own_listeners |= UINT32_C(1) << c->listen_count;
    c->listen[c->listen_count] = *own;
    return (int)c->listen_count++;
}

static void join_all(struct reader *r, struct config_upstream *up)
{
    const config_setting_t *list = setting_of(r, up, "listen");

    for (unsigned i = 0; i < up->own_count; i++) {
        int at = join(r, list, &up->own[i]);

        if (at >= 0)
            up->listeners |= UINT32_C(1) << at;
    }
}

void reader_join_listeners(struct reader *r)
{
    struct config *c = r->config;

    for (unsigned i = 0; i < c->upstream_count; i++) {
        struct config_upstream *up = &c->upstream[i];
        const config_setting_t *sources = setting_of(r, up, "sources");
        const config_setting_t *listen = setting_of(r, up, "listen");

        if (sources && !listen)
            reader_mistake(r, sources,
                           "sources of upstream %s without listen: a phone may have the same "
                           "address, so they count only where no phone sends to; add for example "
                           "listen = [ \"udp:10.0.0.9:5090\", \"tcp:10.0.0.9:5090\" ] to the "
                           "upstream",
                           up->name);
        if (listen && !sources)
            reader_mistake(r, listen,
                           "listen of upstream %s without sources: nobody would be believed "
                           "there; add for example sources = [ \"10.0.0.5\" ] to the upstream",
                           up->name);
        join_all(r, up);
    }
}

/*
 * config/diff: see the header.
 *
 * Called by run.c on SIGHUP. Copies plain values alone: what points to memory is
 * compared, and needs a restart.
 */
#include "config/diff.h"

#include "config/options.h"

struct diff {
    void (*tell)(void *self, const struct config_change *change);
    void *self;
    const char *upstream;
    unsigned changes;
};

static const void *field_of(const struct option *o, const void *base)
{
    return (const char *)base + o->field;
}

/* ---- are they the same? ---------------------------------------------------------- */

static bool same_text(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_texts(char *const *a, unsigned a_count, char *const *b, unsigned b_count)
{
    for (unsigned i = 0; i < a_count && i < b_count; i++)
        if (!same_text(a[i], b[i]))
            return false;
    return a_count == b_count;
}

static bool same_address(const struct address *a, const struct address *b)
{
    return a->family == b->family && (a->family == ADDRESS_NONE || address_equal(a, b));
}

static bool same_listeners(const struct config_listener *a, unsigned a_count,
                           const struct config_listener *b, unsigned b_count)
{
    for (unsigned i = 0; i < a_count && i < b_count; i++)
        if (a[i].transport != b[i].transport || !same_address(&a[i].address, &b[i].address))
            return false;
    return a_count == b_count;
}

static bool same_aliases(const struct config *a, const struct config *b)
{
    for (unsigned i = 0; i < a->alias_count && i < b->alias_count; i++)
        if (!same_text(a->alias[i].name, b->alias[i].name) ||
            !same_text(a->alias[i].domain, b->alias[i].domain))
            return false;
    return a->alias_count == b->alias_count;
}

static bool same_policies(const struct config *a, const struct config *b)
{
    for (unsigned i = 0; i < a->domain_policy_count && i < b->domain_policy_count; i++)
        if (!same_text(a->domain_policy[i].domain, b->domain_policy[i].domain) ||
            a->domain_policy[i].policy != b->domain_policy[i].policy)
            return false;
    return a->domain_policy_count == b->domain_policy_count;
}

static bool same_admin(const struct config *a, const struct config *b)
{
    for (unsigned i = 0; i < a->admin_count && i < b->admin_count; i++)
        if (!same_text(a->admin[i].path, b->admin[i].path) ||
            !same_address(&a->admin[i].address, &b->admin[i].address))
            return false;
    return a->admin_count == b->admin_count;
}

static bool same_sources(const struct config_upstream *a, const struct config_upstream *b)
{
    for (unsigned i = 0; i < a->source_count && i < b->source_count; i++)
        if (a->sources[i].bits != b->sources[i].bits ||
            !same_address(&a->sources[i].address, &b->sources[i].address))
            return false;
    return a->source_count == b->source_count;
}

static bool same_events(const struct config_event_socket *a, const struct config_event_socket *b)
{
    return same_address(&a->address, &b->address) && same_text(a->password, b->password) &&
           same_text(a->profile, b->profile);
}

/* The same ones, by name; their options are looked at one by one. */
static bool same_names(const struct config *a, const struct config *b)
{
    for (unsigned i = 0; i < a->upstream_count && i < b->upstream_count; i++)
        if (!same_text(a->upstream[i].name, b->upstream[i].name))
            return false;
    return a->upstream_count == b->upstream_count;
}

static size_t plain_size(enum option_type type)
{
    switch (type) {
    case OPTION_BOOL:
        return sizeof(bool);
    case OPTION_NUMBER:
    case OPTION_SECONDS:
        return sizeof(uint32_t);
    case OPTION_MILLIS:
        return sizeof(uint64_t);
    case OPTION_CHOICE:
        return sizeof(int);
    default:
        return 0;
    }
}

/* Of the program's own options that are more than a plain value. */
static bool same_of_config(enum option_type type, const struct config *a, const struct config *b)
{
    switch (type) {
    case OPTION_STORE:
        return a->store == b->store && same_text(a->store_path, b->store_path);
    case OPTION_LISTENERS:
        return same_listeners(a->listen, a->listen_count, b->listen, b->listen_count);
    case OPTION_DOMAINS:
        return same_texts(a->domains, a->domain_count, b->domains, b->domain_count);
    case OPTION_ALIASES:
        return same_aliases(a, b);
    case OPTION_POLICIES:
        return same_policies(a, b);
    case OPTION_HEADERS:
        return same_texts(a->strip_headers, a->strip_count, b->strip_headers, b->strip_count);
    case OPTION_ADMIN:
        return same_admin(a, b);
    default:
        return same_names(a, b);
    }
}

static bool same(const struct option *o, const void *a, const void *b)
{
    const struct config_upstream *ua = a, *ub = b;

    if (plain_size(o->type))
        return memcmp(field_of(o, a), field_of(o, b), plain_size(o->type)) == 0;
    switch (o->type) {
    case OPTION_TEXT:
    case OPTION_LINE:
    case OPTION_DOMAIN:
        return same_text(*(char *const *)field_of(o, a), *(char *const *)field_of(o, b));
    case OPTION_ADDRESS:
        return same_address(field_of(o, a), field_of(o, b));
    case OPTION_PLACE:
        return same_address(&ua->address, &ub->address) && same_text(ua->host, ub->host) &&
               ua->host_port == ub->host_port;
    case OPTION_SOURCES:
        return same_sources(ua, ub);
    case OPTION_OWN:
        return same_listeners(ua->own, ua->own_count, ub->own, ub->own_count);
    case OPTION_EVENTS:
        return same_events(&ua->event_socket, &ub->event_socket);
    default:
        return same_of_config(o->type, a, b);
    }
}

/* ---- telling ----------------------------------------------------------------------- */

static void put_choice(char *out, const struct option *o, int value)
{
    for (const struct option_choice *c = o->choices; c->name; c++)
        if (c->value == value)
            snprintf(out, CONFIG_VALUE_MAX, "%s", c->name);
}

static void put_value(char *out, const struct option *o, const void *base)
{
    struct buf text = buf_make(out, CONFIG_VALUE_MAX - 1);
    struct duration_text room;
    const void *field = field_of(o, base);

    switch (o->type) {
    case OPTION_BOOL:
        buf_str(&text, *(const bool *)field ? "true" : "false");
        break;
    case OPTION_NUMBER:
        buf_u64(&text, *(const uint32_t *)field);
        break;
    case OPTION_SECONDS:
        buf_str(&text, duration_format(&room, *(const uint32_t *)field * UINT64_C(1000)));
        break;
    case OPTION_MILLIS:
        buf_str(&text, duration_format(&room, *(const uint64_t *)field));
        break;
    case OPTION_CHOICE:
        put_choice(out, o, *(const int *)field);
        return;
    default:
        break;
    }
    out[text.n] = '\0';
}

static void compare(struct diff *d, const struct option_table *table, void *running,
                    const void *read)
{
    for (unsigned i = 0; i < table->count; i++) {
        const struct option *o = &table->options[i];
        struct config_change change = {.upstream = d->upstream, .option = o->name};

        if (same(o, running, read))
            continue;
        put_value(change.before, o, running);
        put_value(change.now, o, read);
        change.applied = o->live;
        if (o->live)
            memcpy((char *)running + o->field, field_of(o, read), plain_size(o->type));
        d->changes++;
        d->tell(d->self, &change);
    }
}

unsigned config_apply(struct config *running, const struct config *read,
                      void (*tell)(void *self, const struct config_change *change), void *self)
{
    struct diff d = {.tell = tell, .self = self};

    compare(&d, &config_options, running, read);
    for (unsigned i = 0; same_names(running, read) && i < running->upstream_count; i++) {
        d.upstream = running->upstream[i].name;
        compare(&d, &config_upstream_options, &running->upstream[i], &read->upstream[i]);
    }
    return d.changes;
}

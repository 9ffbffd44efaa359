/*
 * config/list: reads the settings that are lists: listeners, domains, headers.
 *
 * Each element is read for itself: a mistake in one does not hide one in the
 * next. Main thread only.
 */
#include "config/reader.h"

#include <stdlib.h>

bool reader_list_begin(struct list_walk *w)
{
    unsigned n;

    if (!config_setting_is_array(w->list) && !config_setting_is_list(w->list)) {
        reader_mistake(w->r, w->list, "%s must be a list of strings; write for example %s = %s",
                       w->name, w->name, w->example);
        return false;
    }
    n = (unsigned)config_setting_length(w->list);
    if (n > w->max) {
        reader_mistake(w->r, w->list, "%s has %u entries; %u are the most", w->name, n, w->max);
        return false;
    }
    return true;
}

const char *reader_list_next(struct list_walk *w, const config_setting_t **element)
{
    while (w->at < (unsigned)config_setting_length(w->list)) {
        *element = config_setting_get_elem(w->list, w->at++);
        if (config_setting_type(*element) == CONFIG_TYPE_STRING)
            return config_setting_get_string(*element);
        reader_mistake(w->r, *element, "entry %u of %s is no string; write for example %s = %s",
                       w->at, w->name, w->name, w->example);
    }
    return NULL;
}

static bool transport_of(struct span name, enum transport *out)
{
    static const enum transport all[] = {TRANSPORT_UDP, TRANSPORT_TCP, TRANSPORT_TLS, TRANSPORT_WS,
                                         TRANSPORT_WSS};

    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        if (span_ieq(name, span_of(transport_name(all[i])))) {
            *out = all[i];
            return true;
        }
    return false;
}

bool reader_listener(struct reader *r, const config_setting_t *at, const char *text,
                     struct config_listener *out)
{
    const char *colon = strchr(text, ':');

    if (!colon || !transport_of(span_between(text, colon), &out->transport)) {
        reader_mistake(r, at,
                       "listen \"%s\" does not begin with a transport; write for example "
                       "\"udp:0.0.0.0:5060\"",
                       text);
        return false;
    }
    if (out->transport != TRANSPORT_UDP && out->transport != TRANSPORT_TCP) {
        reader_mistake(
            r, at, "listen \"%s\": %s is not built yet in this version; choose udp: or tcp:", text,
            transport_name(out->transport));
        return false;
    }
    if (!address_parse(span_of(colon + 1), 5060, &out->address)) {
        reader_mistake(r, at,
                       "listen \"%s\": \"%s\" is no IP address with a port; write for example "
                       "\"udp:0.0.0.0:5060\" or \"udp:[::]:5060\"",
                       text, colon + 1);
        return false;
    }
    return true;
}

bool reader_listeners_collide(const struct config_listener *a, const struct config_listener *b)
{
    return a->transport == b->transport && a->address.port == b->address.port &&
           a->address.family == b->address.family &&
           (address_same_host(&a->address, &b->address) || address_is_any(&a->address) ||
            address_is_any(&b->address));
}

static void listener_add(struct reader *r, const config_setting_t *at, const char *text)
{
    struct config *c = r->config;
    struct config_listener listener;

    if (!reader_listener(r, at, text, &listener))
        return;
    for (unsigned i = 0; i < c->listen_count; i++)
        if (reader_listeners_collide(&c->listen[i], &listener)) {
            reader_mistake(r, at, "listen \"%s\" takes the same port as entry %u; remove one", text,
                           i + 1);
            return;
        }
    c->listen[c->listen_count++] = listener;
}

void reader_listeners(struct reader *r, config_setting_t *s)
{
    struct list_walk walk = {r, s, "listen", "[ \"udp:0.0.0.0:5060\" ]", CONFIG_LISTENERS_MAX, 0};
    const config_setting_t *element;
    const char *text;

    r->config->listen_count = 0;
    if (!reader_list_begin(&walk))
        return;
    if (config_setting_length(s) == 0)
        reader_mistake(r, s, "listen is empty; write for example listen = %s", walk.example);
    while ((text = reader_list_next(&walk, &element)))
        listener_add(r, element, text);
}

bool reader_domain_valid(struct span text)
{
    struct address ignored;

    if (text.n == 0 || text.n > 253)
        return false;
    if (address_parse_ip(text, &ignored))
        return text.p[0] == '[' || !memchr(text.p, ':', text.n);
    for (size_t i = 0; i < text.n; i++) {
        char c = ascii_lower(text.p[i]);
        bool inner = i > 0 && text.p[i - 1] != '.' && i + 1 < text.n && text.p[i + 1] != '.';

        if (!ascii_digit(c) && !(c >= 'a' && c <= 'z') && !(inner && (c == '-' || c == '_')) &&
            !(c == '.' && i > 0 && i + 1 < text.n && text.p[i - 1] != '.'))
            return false;
    }
    return true;
}

static char *copy_of(struct reader *r, struct span text)
{
    char *copy = strndup(text.p, text.n);

    if (!copy)
        reader_mistake(r, NULL, "out of memory");
    return copy;
}

char *reader_lower_copy(struct reader *r, struct span text)
{
    char *copy = copy_of(r, text);

    for (char *c = copy; c && *c; c++)
        *c = ascii_lower(*c);
    return copy;
}

/* Appends what was copied. NULL: nothing. */
static void list_append(char **list, unsigned *count, char *copy)
{
    if (copy)
        list[(*count)++] = copy;
}

void reader_domains(struct reader *r, config_setting_t *s)
{
    struct list_walk walk = {r, s, "domains", "[ \"example.com\" ]", CONFIG_DOMAINS_MAX, 0};
    struct config *c = r->config;
    const config_setting_t *element;
    const char *text;

    if (!reader_list_begin(&walk))
        return;
    if (config_setting_length(s) == 0)
        reader_mistake(r, s, "domains is empty; name the domains that your phones register at");
    while ((text = reader_list_next(&walk, &element))) {
        if (!reader_domain_valid(span_of(text)))
            reader_mistake(r, element,
                           "\"%s\" is no domain; write the name alone, without sip: and port",
                           text);
        else if (config_serves(c, span_of(text)) && c->domain_count)
            reader_mistake(r, element, "the domain \"%s\" stands here twice; remove one", text);
        else
            list_append(c->domains, &c->domain_count, reader_lower_copy(r, span_of(text)));
    }
}

/* Headers without which a request cannot be routed or answered. */
static const char *const header_needed[] = {
    "Via",           "From",           "To",        "Call-ID",      "CSeq",  "Max-Forwards",
    "Contact",       "Content-Length", "Route",     "Record-Route", "Event", "Content-Type",
    "Authorization", "Require",        "Supported", "Expires",      "RSeq",  "Proxy-Authorization",
    "RAck",          "Refer-To",
};

/* A header name (RFC 3261 25.1: token), perhaps with a last '*'. */
static bool header_valid(const char *text)
{
    size_t n = strlen(text);

    if (n && text[n - 1] == '*')
        n--;
    if (n == 0 || n > 64)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = ascii_lower(text[i]);

        if (!ascii_digit(c) && !(c >= 'a' && c <= 'z') && !strchr("-.!%_+`'~", c))
            return false;
    }
    return true;
}

static const char *header_breaks(const char *text)
{
    size_t n = strlen(text);
    bool prefix = text[n - 1] == '*';

    for (unsigned i = 0; i < sizeof header_needed / sizeof header_needed[0]; i++) {
        struct span needed = span_of(header_needed[i]);

        if (prefix && needed.n > n - 1)
            needed.n = n - 1;
        if (span_ieq(needed, span_make(text, prefix ? n - 1 : n)))
            return header_needed[i];
    }
    return NULL;
}

void reader_headers(struct reader *r, config_setting_t *s)
{
    struct list_walk walk = {r, s, "strip-headers", "[ \"X-Internal-*\" ]", CONFIG_STRIP_MAX, 0};
    struct config *c = r->config;
    const config_setting_t *element;
    const char *text;

    if (!reader_list_begin(&walk))
        return;
    while ((text = reader_list_next(&walk, &element))) {
        if (!header_valid(text))
            reader_mistake(r, element,
                           "\"%s\" is no header name; write the name alone, or its beginning "
                           "with a last *",
                           text);
        else if (header_breaks(text))
            reader_mistake(r, element, "\"%s\" would remove %s, which calls need; take it out",
                           text, header_breaks(text));
        else
            list_append(c->strip_headers, &c->strip_count, copy_of(r, span_of(text)));
    }
}

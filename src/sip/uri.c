/*
 * sip/uri: decodes SIP and SIPS URIs and writes their canonical forms.
 *
 * Called wherever a URI is looked at, on any thread. What passes here holds no
 * white space, control characters, quotes or angle brackets, so that it can be
 * written into another message as it is. Never allocates.
 */
#include "sip/uri.h"
#include "sip/scan.h"

/* More than anybody sends: keeps the comparison's two loops short. */
#define URI_PARAMS_MAX  32
#define URI_HEADERS_MAX 32

/* Skips characters of these classes and escapes: the first other byte, or NULL
 * at a bad escape. */
static const char *skip_escaped(const char *p, const char *end, unsigned classes)
{
    for (;;) {
        p = skip_class(p, end, classes);
        if (p == end || *p != '%')
            return p;
        if (end - p < 3 || ascii_hex(p[1]) < 0 || ascii_hex(p[2]) < 0)
            return NULL;
        p += 3;
    }
}

/* userinfo = user [ ":" password ] "@": returns what is behind it, or NULL. */
static const char *parse_userinfo(const char *p, const char *at, struct sip_uri *out)
{
    const char *user_end = skip_escaped(p, at, CHAR_USER);

    if (!user_end || user_end == p)
        return NULL;
    out->user = span_between(p, user_end);
    out->has_user = true;
    if (user_end < at) {
        if (*user_end != ':' || skip_escaped(user_end + 1, at, CHAR_PASSWORD) != at)
            return NULL;
        out->password = span_between(user_end + 1, at);
    }
    return at + 1;
}

/* host [ ":" port ]. An IPv6 reference may hold three colons: RFC 3261's own
 * grammar did (RFC 5118 4.10). */
static const char *parse_hostport(const char *p, const char *end, struct sip_uri *out)
{
    const char *stop;

    if (p < end && *p == '[') {
        stop = skip_class(p + 1, end, CHAR_IP6);
        if (stop == end || *stop != ']' || !memchr(p, ':', (size_t)(stop - p)))
            return NULL;
        stop++;
    } else {
        stop = skip_class(p, end, CHAR_HOST);
    }
    if (stop == p)
        return NULL;
    out->host = span_between(p, stop);
    if (stop == end || *stop != ':')
        return stop;
    p = stop + 1;
    while (++stop < end && ascii_digit(*stop))
        ;
    if (!span_u32(span_between(p, stop), &out->port) || out->port == 0 || out->port > 65535)
        return NULL;
    return stop;
}

/* *( ";" pname [ "=" pvalue ] ). A value may hold further '=': base64 does. */
static const char *parse_params(const char *p, const char *end, struct sip_uri *out)
{
    const char *from = p;

    for (unsigned count = 0; p < end && *p == ';'; count++) {
        const char *name = p + 1;

        p = skip_escaped(name, end, CHAR_PARAM);
        if (!p || p == name || count == URI_PARAMS_MAX)
            return NULL;
        while (p < end && *p == '=') {
            p = skip_escaped(p + 1, end, CHAR_PARAM);
            if (!p)
                return NULL;
        }
    }
    out->params = span_between(from, p);
    return p;
}

/* "?" hname "=" hvalue *( "&" hname "=" hvalue ) */
static const char *parse_headers(const char *p, const char *end, struct sip_uri *out)
{
    const char *from = p + 1;

    if (p == end || *p != '?')
        return p;
    for (unsigned count = 0; p < end && (count == 0 || *p == '&'); count++) {
        const char *name = p + 1;

        p = skip_escaped(name, end, CHAR_HEADER);
        if (!p || p == name || p == end || *p != '=' || count == URI_HEADERS_MAX)
            return NULL;
        p = skip_escaped(p + 1, end, CHAR_HEADER);
        if (!p)
            return NULL;
    }
    out->headers = span_between(from, p);
    return p;
}

/* scheme = ALPHA *( ALPHA / DIGIT / "+" / "-" / "." ): what is before the colon. */
static struct span parse_scheme(struct span text)
{
    const char *colon = text.n ? memchr(text.p, ':', text.n) : NULL;

    if (!colon || ascii_lower(text.p[0]) < 'a' || ascii_lower(text.p[0]) > 'z')
        return SPAN_NONE;
    for (const char *p = text.p; p < colon; p++)
        if (!char_is(*p, CHAR_HOST) && *p != '+')
            return SPAN_NONE;
    return span_between(text.p, colon);
}

/* Another scheme's text: nothing that could end it inside a SIP message. */
static bool is_opaque(struct span s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] <= ' ' || s.p[i] == 0x7f || s.p[i] == '<' || s.p[i] == '>' || s.p[i] == '"')
            return false;
    return s.n > 0;
}

bool sip_uri_parse(struct span text, struct sip_uri *out, struct sip_fault *fault)
{
    struct span scheme = parse_scheme(text);
    const char *end, *p;

    *out = (struct sip_uri){.text = text};
    if (scheme.n == 0)
        return fault_400(fault, "Bad URI Scheme");
    end = text.p + text.n;
    p = scheme.p + scheme.n + 1;
    if (span_ieq(scheme, SPAN("sip"))) {
        out->scheme = SIP_SCHEME_SIP;
    } else if (span_ieq(scheme, SPAN("sips"))) {
        out->scheme = SIP_SCHEME_SIPS;
    } else {
        out->scheme = span_ieq(scheme, SPAN("tel")) ? SIP_SCHEME_TEL : SIP_SCHEME_OTHER;
        return is_opaque(span_between(p, end)) || fault_400(fault, "Bad URI");
    }

    const char *at = p < end ? memchr(p, '@', (size_t)(end - p)) : NULL;

    if (at && !(p = parse_userinfo(p, at, out)))
        return fault_400(fault, "Bad User in URI");
    if (!(p = parse_hostport(p, end, out)))
        return fault_400(fault, "Bad Host in URI");
    if (!(p = parse_params(p, end, out)))
        return fault_400(fault, "Bad Parameter in URI");
    if (!(p = parse_headers(p, end, out)))
        return fault_400(fault, "Bad Headers in URI");
    return p == end || fault_400(fault, "Bad URI");
}

bool uri_param_next(struct span *params, struct span *name, struct span *value)
{
    if (params->n == 0)
        return false;

    const char *end = params->p + params->n;
    const char *from = params->p + 1;
    const char *stop = memchr(from, ';', (size_t)(end - from));

    if (!stop)
        stop = end;

    const char *equals = memchr(from, '=', (size_t)(stop - from));

    *name = span_between(from, equals ? equals : stop);
    *value = equals ? span_between(equals + 1, stop) : SPAN_NONE;
    *params = span_between(stop, end);
    return true;
}

void sip_put_request_uri(struct buf *out, const struct sip_uri *uri)
{
    struct span rest = uri->params;
    struct span name, value;

    if (uri->params.n == 0) {
        size_t headers = uri->headers.n ? uri->headers.n + 1 : 0; /* with the '?' */

        buf_put(out, uri->text.p, uri->text.n - headers);
        return;
    }
    buf_span(out, span_between(uri->text.p, uri->params.p));
    for (const char *from = rest.p; uri_param_next(&rest, &name, &value); from = rest.p)
        if (!escaped_equal(name, SPAN("method"), true))
            buf_span(out, span_between(from, rest.p));
}

bool sip_uri_param(const struct sip_uri *uri, struct span name, struct span *value)
{
    struct span params = uri->params;
    struct span found;

    while (uri_param_next(&params, &found, value))
        if (escaped_equal(found, name, true))
            return true;
    *value = SPAN_NONE;
    return false;
}

bool sip_host_address(struct span host, struct address *out)
{
    char copy[64];
    const char *colons = host.p && host.n < sizeof copy ? memmem(host.p, host.n, ":::", 3) : NULL;

    if (!colons)
        return address_parse_ip(host, out);

    size_t before = (size_t)(colons - host.p);

    memcpy(copy, host.p, before);
    memcpy(copy + before, colons + 1, host.n - before - 1);
    return address_parse_ip(span_make(copy, host.n - 1), out);
}

/* One character, unescaped, off the front of *text; -1: a bad escape. */
static int take_unescaped(struct span *text)
{
    const char *p = text->p;
    int high, low;

    if (*p != '%') {
        *text = span_make(p + 1, text->n - 1);
        return (uint8_t)*p;
    }
    if (text->n < 3 || (high = ascii_hex(p[1])) < 0 || (low = ascii_hex(p[2])) < 0)
        return -1;
    *text = span_make(p + 3, text->n - 3);
    return high << 4 | low;
}

bool sip_unescape(struct buf *out, struct span text)
{
    while (text.n) {
        int c = take_unescaped(&text);

        if (c < 0)
            return false;
        buf_char(out, (char)c);
    }
    return true;
}

bool sip_canonical_user(struct buf *out, struct span user)
{
    static const char hex[] = "0123456789ABCDEF";

    while (user.n) {
        int c = take_unescaped(&user);

        if (c < 0)
            return false;
        if (char_is((char)c, CHAR_USER) && c != '#') {
            buf_char(out, (char)c);
        } else {
            buf_char(out, '%');
            buf_char(out, hex[c >> 4]);
            buf_char(out, hex[c & 15]);
        }
    }
    return true;
}

bool sip_canonical_aor(struct buf *out, const struct sip_uri *uri)
{
    struct address ip;

    if (!uri->has_user || (uri->scheme != SIP_SCHEME_SIP && uri->scheme != SIP_SCHEME_SIPS))
        return false;
    buf_lit(out, "sip:");
    if (!sip_canonical_user(out, uri->user))
        return false;
    buf_char(out, '@');
    if (uri->host.p[0] == '[' && sip_host_address(uri->host, &ip)) {
        address_put_host(out, &ip);
        return true;
    }
    for (size_t i = 0; i < uri->host.n; i++)
        buf_char(out, ascii_lower(uri->host.p[i]));
    return true;
}

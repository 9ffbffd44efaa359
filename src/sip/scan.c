/*
 * sip/scan: character classes, quoted strings and comma-separated lists.
 *
 * Called by the decoders of this room, on any thread. Never reads past a span,
 * never recurses, never looks at a byte more than twice.
 */
#include "sip/scan.h"

#define T        CHAR_TOKEN
#define URI_ALL  (CHAR_USER | CHAR_PASSWORD | CHAR_PARAM | CHAR_HEADER)
#define V        CHAR_VALUE
#define ALPHANUM (T | V | URI_ALL | CHAR_HOST)
#define MARK     (T | V | URI_ALL) /* those of RFC 3261's mark that tokens hold too */
#define HEXDIGIT (ALPHANUM | CHAR_IP6)

const uint16_t sip_chars[256] = {
    ['0' ... '9'] = HEXDIGIT,
    ['a' ... 'f'] = HEXDIGIT,
    ['A' ... 'F'] = HEXDIGIT,
    ['g' ... 'z'] = ALPHANUM,
    ['G' ... 'Z'] = ALPHANUM,
    ['-'] = ALPHANUM,
    ['_'] = ALPHANUM,
    ['.'] = ALPHANUM | CHAR_IP6,
    ['!'] = MARK,
    ['~'] = MARK,
    ['*'] = MARK,
    ['\''] = MARK,
    ['('] = V | URI_ALL,
    [')'] = V | URI_ALL,
    ['%'] = T | V,
    ['`'] = T | V,
    ['#'] = V | CHAR_USER,
    ['+'] = T | V | URI_ALL | CHAR_RESERVED,
    ['$'] = V | URI_ALL | CHAR_RESERVED,
    ['&'] = V | CHAR_USER | CHAR_PASSWORD | CHAR_PARAM | CHAR_RESERVED,
    ['='] = V | CHAR_USER | CHAR_PASSWORD | CHAR_RESERVED,
    [','] = CHAR_USER | CHAR_PASSWORD | CHAR_RESERVED,
    [';'] = CHAR_USER | CHAR_RESERVED,
    ['?'] = V | CHAR_USER | CHAR_HEADER | CHAR_RESERVED,
    ['/'] = V | CHAR_USER | CHAR_PARAM | CHAR_HEADER | CHAR_RESERVED,
    [':'] = V | CHAR_PARAM | CHAR_HEADER | CHAR_IP6 | CHAR_RESERVED,
    ['['] = V | CHAR_PARAM | CHAR_HEADER,
    [']'] = V | CHAR_PARAM | CHAR_HEADER,
    ['@'] = V | CHAR_RESERVED,
    ['\\'] = V,
    ['^'] = V,
    ['{' ... '}'] = V,
    [0x80 ... 0xff] = V,
};

const char *skip_quoted(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p == '"')
            return p + 1;
        if (*p == '\\' && ++p == end)
            return NULL;
    }
    return NULL;
}

/* A comment (RFC 3261 25.1): p stands on '('. Comments nest. */
static const char *skip_comment(const char *p, const char *end)
{
    size_t depth = 0;

    while (p < end) {
        if (*p == '"') {
            p = skip_quoted(p, end);
            if (!p)
                return NULL;
            continue;
        }
        if (*p == '\\' && p + 1 < end)
            p++;
        else if (*p == '(')
            depth++;
        else if (*p == ')' && --depth == 0)
            return p + 1;
        p++;
    }
    return NULL;
}

/* One element from p on: its end, at a comma or at `end`, or NULL. */
static const char *skip_element(const char *p, const char *end)
{
    while (p && (p = scan_list(p, end)) < end && *p != ',') {
        if (*p == '"') {
            p = skip_quoted(p, end);
        } else if (*p == '<') {
            p = memchr(p, '>', (size_t)(end - p));
            p = p ? p + 1 : NULL;
        } else if (*p == '(') {
            p = skip_comment(p, end);
        } else {
            return NULL; /* '>' that nothing opened */
        }
    }
    return p;
}

int list_split(struct span *rest, struct span *value)
{
    if (rest->n == 0)
        return 0;

    const char *end = rest->p + rest->n;
    const char *stop = skip_element(rest->p, end);

    if (!stop)
        return -1;
    *value = span_trim(span_between(rest->p, stop));
    if (value->n == 0)
        return -1;
    if (stop == end) {
        *rest = span_make(end, 0);
        return 1;
    }
    *rest = span_between(stop + 1, end);
    return span_trim(*rest).n ? 1 : -1;
}

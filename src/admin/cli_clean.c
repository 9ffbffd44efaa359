/*
 * admin/cli_clean: texts of phones, made fit for a terminal.
 *
 * What a phone wrote may hold control characters, which would move the cursor of who
 * looks at it, or do worse. Called before and as it is printed.
 */
#include "admin/cli.h"

#include <stdlib.h>
#include <string.h>

/* The control character that begins here: how many bytes long (UTF-8), or 0: none. */
static size_t control_at(const unsigned char *p)
{
    if (*p < 0x20 || *p == 0x7f)
        return 1;
    return *p == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0 ? 2 : 0; /* U+0080 to U+009F */
}

static bool is_clean(const char *text)
{
    for (const unsigned char *p = (const unsigned char *)text; *p; p++)
        if (control_at(p))
            return false;
    return true;
}

/* "\x1b" for the escape character. */
static void clean_string(json_t *string)
{
    static const char digits[] = "0123456789abcdef";
    const char *text = json_string_value(string);
    char *out, *at;

    if (is_clean(text))
        return;
    at = out = malloc(strlen(text) * 4 + 1);
    for (const unsigned char *p = (const unsigned char *)text; out && *p;) {
        size_t n = control_at(p);

        if (n == 0) {
            *at++ = (char)*p++;
            continue;
        }
        p += n - 1;
        *at++ = '\\';
        *at++ = 'x';
        *at++ = digits[*p >> 4];
        *at++ = digits[*p & 15];
        p++;
    }
    if (out)
        *at = '\0';
    json_string_set(string, out ? out : "");
    free(out);
}

void cli_clean(json_t *value)
{
    const char *key;
    json_t *inner;
    size_t i;

    if (json_is_string(value))
        clean_string(value);
    json_array_foreach(value, i, inner) cli_clean(inner);
    json_object_foreach(value, key, inner) cli_clean(inner);
}

/* The library escapes control characters, but for DEL, which is within texts alone. */
static int put_some(const char *text, size_t n, void *to)
{
    const char *del;

    for (; (del = memchr(text, 0x7f, n)); n -= (size_t)(del + 1 - text), text = del + 1) {
        fwrite(text, 1, (size_t)(del - text), to);
        fputs("\\u007F", to);
    }
    fwrite(text, 1, n, to);
    return 0; /* who flushes it sees what went wrong */
}

void cli_put_json(const json_t *value, bool indent)
{
    json_dump_callback(value, put_some, stdout,
                       (indent ? JSON_INDENT(2) : JSON_COMPACT) | JSON_ENSURE_ASCII);
    putchar('\n');
}

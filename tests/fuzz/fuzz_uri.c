/*
 * Two URIs, one a line: their parts stay inside, comparison is symmetric, the
 * canonical form is a fixed point, and equal URIs have equal canonical AORs.
 */
#include "check.h"

static bool read_uri(struct span text, struct sip_uri *uri)
{
    struct sip_fault fault = {0};

    if (!sip_uri_parse(text, uri, &fault)) {
        CHECK(fault.status == 400 && fault.reason);
        return false;
    }
    CHECK(span_eq(uri->text, text));
    CHECK(within(uri->user, text) && within(uri->password, text) && within(uri->host, text));
    CHECK(within(uri->params, text) && within(uri->headers, text));
    CHECK(uri->port <= 65535);
    /* Whoever writes it into a field cannot be led out of it. */
    for (size_t i = 0; i < text.n; i++)
        CHECK(text.p[i] > ' ' && !memchr("<>\"\x7f", text.p[i], 4));
    return true;
}

/* The canonical AOR; empty if the URI has none. */
static struct span canonical(const struct sip_uri *uri, char *room)
{
    struct buf b = buf_make(room, ROOM * 3);

    return sip_canonical_aor(&b, uri) && !b.overflow ? buf_done(&b) : SPAN_NONE;
}

static void check_one(const struct sip_uri *uri)
{
    static char first[ROOM * 3], second[ROOM * 3];
    struct span aor = canonical(uri, first);
    struct sip_uri again;
    struct span value;

    CHECK(sip_uri_equal(uri, uri));
    (void)sip_uri_param(uri, SPAN("transport"), &value);
    if (aor.n == 0)
        return;
    CHECK(read_uri(aor, &again));
    CHECK(span_eq(canonical(&again, second), aor));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char room_a[ROOM * 3], room_b[ROOM * 3];
    struct span text = span_make((const char *)data, size);
    const char *line = size ? memchr(data, '\n', size) : NULL;
    struct span first = line ? span_between(text.p, line) : text;
    struct sip_uri a, b;

    if (!read_uri(first, &a))
        return 0;
    check_one(&a);
    if (!line || !read_uri(span_between(line + 1, text.p + size), &b))
        return 0;
    CHECK(sip_uri_equal(&a, &b) == sip_uri_equal(&b, &a));
    if (sip_uri_equal(&a, &b))
        CHECK(span_eq(canonical(&a, room_a), canonical(&b, room_b)));
    return 0;
}

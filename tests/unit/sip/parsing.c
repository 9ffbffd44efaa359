/*
 * parsing: what the sip room's tests share.
 */
#include "parsing.h"

static void *copies[8192];
static size_t copy_count;

static void *keep(void *p)
{
    assert_non_null(p);
    assert_true(copy_count < sizeof copies / sizeof *copies);
    copies[copy_count++] = p;
    return p;
}

int parsing_teardown(void **state)
{
    (void)state;
    while (copy_count)
        free(copies[--copy_count]);
    return 0;
}

struct span exact_span(struct span text)
{
    char *p = keep(malloc(text.n ? text.n : 1));

    if (text.n)
        memcpy(p, text.p, text.n);
    return span_make(p, text.n);
}

struct span exact(const char *text)
{
    return exact_span(span_of(text));
}

struct sip_message *parse_any(struct span text, enum sip_parsed *parsed, struct sip_fault *fault)
{
    struct sip_message *m = keep(malloc(sizeof *m));
    struct sip_fault f;
    enum sip_parsed result;

    memset(m, 0x5a, sizeof *m); /* nothing may depend on it */
    result = sip_parse(exact_span(text), m, &f);
    if (parsed)
        *parsed = result;
    if (fault)
        *fault = f;
    return m;
}

struct sip_message *parse(const char *text)
{
    enum sip_parsed parsed;
    struct sip_fault fault;
    struct sip_message *m = parse_any(span_of(text), &parsed, &fault);

    if (parsed != SIP_PARSED)
        fail_msg("refused with \"%s\":\n%s", fault.reason ? fault.reason : "not SIP", text);
    return m;
}

void assert_span(struct span got, const char *expected)
{
    if (!span_eq(got, span_of(expected)))
        fail_msg("got \"%.*s\", expected \"%s\"", (int)got.n, got.n ? got.p : "", expected);
}

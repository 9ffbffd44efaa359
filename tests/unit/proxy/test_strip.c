/*
 * proxy/strip: what phones may not say is gone, all else is byte for byte there.
 */
#include "proxy/strip.h"

#include "base/ports.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define START                                                                                      \
    "INVITE sip:b@example.com SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bKx\r\n"                   \
    "From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: c\r\n"                 \
    "CSeq: 1 INVITE\r\n"
#define END "Content-Length: 4\r\n\r\nP-As"

static char *strip_headers[] = {(char[]){"X-Secret-*"}, (char[]){"subject"}, (char[]){"Via"},
                                (char[]){"Referred-By"}};

static void strips(const char *text, const char *expected)
{
    struct config config = {.strip_count = 4};
    struct sip_message *m = calloc(2, sizeof *m);
    char *room = malloc(DATAGRAM_MAX);
    struct sip_fault fault;
    const struct sip_message *out;

    assert_true(m && room);
    memcpy(config.strip_headers, strip_headers, sizeof strip_headers);
    assert_int_equal(sip_parse(span_of(text), &m[0], &fault), SIP_PARSED);
    out = strip_phone_message(&config, &m[0], room, &m[1]);
    assert_non_null(out);
    assert_int_equal(out->raw.n, strlen(expected));
    assert_memory_equal(out->raw.p, expected, out->raw.n);
    assert_ptr_equal(out, strcmp(text, expected) == 0 ? &m[0] : &m[1]);
    free(room);
    free(m);
}

static void takes_identities_out(void **state)
{
    static const char *const lines[] = {
        "P-Asserted-Identity: <sip:boss@example.com>\r\n",
        "p-asserted-identity : \"B\" <sip:boss@example.com>, <tel:+1>\r\n",
        "P-Preferred-Identity: <sip:boss@example.com>\r\n",
        "Remote-Party-ID: <sip:boss@example.com>;party=calling\r\n",
        "REMOTE-PARTY-ID:\r\n <sip:boss@example.com>\r\n",
        "X-AUTH-IP: 10.0.0.1\r\n",
        "x-auth-: 1\r\n",
        "X-FS-Support: update_display\r\n",
        "X-Secret-Sauce: 1\r\n",
        "x-secret-: 1\r\n\tand more\r\n",
        "Subject: x\r\n",
        "s: x\r\n", /* by its short name */
        "b: <sip:boss@example.com>\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        char text[1024];

        snprintf(text, sizeof text, "%s%s%s", START, lines[i], END);
        strips(text, START END);
    }
}

static void leaves_all_else(void **state)
{
    (void)state;
    strips(START END, START END);
    strips(START "X-Authentic: 1\r\nP-Access-Network-Info: x\r\nX-F: 1\r\nX-Secre: 2\r\n" END,
           START "X-Authentic: 1\r\nP-Access-Network-Info: x\r\nX-F: 1\r\nX-Secre: 2\r\n" END);
    strips(START "X-A: 1\r\nX-FS-B: 2\r\nX-C: 3\r\nX-AUTH-D: 4\r\nP-Asserted-Identity: 5\r\nX-E: "
                 "6\r\n" END,
           START "X-A: 1\r\nX-C: 3\r\nX-E: 6\r\n" END);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_identities_out),
        cmocka_unit_test(leaves_all_else),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

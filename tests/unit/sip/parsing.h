/*
 * parsing: what the sip room's tests share.
 *
 * Texts are copied to memory of exactly their size, so that ASan sees a read
 * past the end. They live until the test program ends.
 */
#ifndef MIDREG_TESTS_SIP_PARSING_H
#define MIDREG_TESTS_SIP_PARSING_H

#include "sip/build.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A copy of exactly this size. */
struct span exact_span(struct span text);
struct span exact(const char *text);
/* cmocka's group teardown: frees all copies. */
int parsing_teardown(void **state);

/* Parses a text that must be well. */
struct sip_message *parse(const char *text);
/* Parses a text that may be bad; *parsed and *fault may be NULL. */
struct sip_message *parse_any(struct span text, enum sip_parsed *parsed, struct sip_fault *fault);

/* Fails with both texts when they differ. */
void assert_span(struct span got, const char *expected);
#define assert_built(buf, expected)                                                                \
    do {                                                                                           \
        assert_false((buf)->overflow);                                                             \
        assert_span(buf_done(buf), expected);                                                      \
    } while (0)

/* A request with these header lines (each with CRLF) after the five that must be. */
#define REQUEST(method, more)                                                                      \
    method " sip:example.com SIP/2.0\r\n"                                                          \
           "Via: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKa\r\n"                                    \
           "From: <sip:alice@example.com>;tag=f\r\n"                                               \
           "To: <sip:alice@example.com>\r\n"                                                       \
           "Call-ID: c1@10.0.0.1\r\n"                                                              \
           "CSeq: 7 " method "\r\n" more "\r\n"

#endif

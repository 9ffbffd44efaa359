/*
 * talk: transactions over a fake world, and the messages to try them with.
 *
 * For the tests of transaction/ alone. Messages are written with LF and "\n";
 * talk_message() makes CRLF of it, adds what every message needs, and parses.
 */
#ifndef MIDREG_TESTS_TALK_H
#define MIDREG_TESTS_TALK_H

#include "fake_ports.h"
#include "sip/header.h"
#include "transaction/client.h"
#include "transaction/server.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct talk {
    struct fake fake;
    struct transactions t;
    struct flow peer; /* 10.0.0.1:5060 */
    char text[65536];
    struct sip_message m;

    /* What the users of transactions were told. */
    int responses;
    int last_status;
    int timeouts;
    int cancelled;
    int ended;
};

extern const struct server_user talk_server_user;
extern const struct client_user talk_client_user;

int talk_setup(void **state);
/* Fails the test if a transaction, a timer or memory is left behind. */
int talk_teardown(void **state);

/* A request: method, Via value, further lines ("Name: value\n" each). From has
 * tag f, To none, Call-ID "call", CSeq 1. Parsed into talk->m. */
const struct sip_message *talk_request(struct talk *k, const char *method, const char *via,
                                       const char *to, const char *lines);
/* A response to the datagram that was sent (a request): its Via, From, Call-ID
 * and CSeq, To with tag "t". */
const struct sip_message *talk_response(struct talk *k, const struct fake_datagram *request,
                                        int status);
/* Does the datagram start with this? */
bool talk_starts(const struct fake_datagram *d, const char *start);

#define IN_TALK(test) cmocka_unit_test_setup_teardown(test, talk_setup, talk_teardown)

#endif

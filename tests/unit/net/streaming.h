/*
 * streaming: struct streams on real loopback sockets, with a clock that is set.
 *
 * The test plays the core: what it is told is kept. A phone is a plain blocking
 * socket of the test that waits two seconds at most.
 */
#ifndef MIDREG_TESTS_NET_STREAMING_H
#define MIDREG_TESTS_NET_STREAMING_H

#include "net/stream.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define NOTED_MAX 1024

struct hall {
    struct loop loop;
    struct log *log;
    struct streams streams;
    struct stream_limits limits;
    uint64_t now_ms;
    bool begun; /* hall_open() was called */

    char *messages[NOTED_MAX]; /* terminated copies */
    struct flow from[NOTED_MAX];
    unsigned received;
    struct flow gone[NOTED_MAX];
    unsigned closed;

    bool echo;       /* every message is sent back */
    bool close_then; /* ... and its connection closed */
    bool in_call;    /* the test is in a call of streams_: nothing may be told */
};

/* cmocka's fixtures; hall_open() is still to be called, after limits are changed. */
int hall_set_up(void **state);
int hall_tear_down(void **state);
/* Listens on 127.0.0.1 as listener 0 and on ::1 as listener 1. */
void hall_open(struct hall *h);

/* One turn: waits in real time for something to happen, 100 ms at the most. */
void hall_turn(struct hall *h);
/* ... for nothing. */
void hall_glance(struct hall *h);
/* Turns until nothing is left to do. */
void hall_settle(struct hall *h);
/* Moves the clock, then settles. */
void hall_advance(struct hall *h, uint64_t ms);
/* Turns until the number is reached; fails after two seconds. */
void hall_until(struct hall *h, const unsigned *number, unsigned reached);

/* A socket that is connected to a listener, and known to it. */
int phone_connect(struct hall *h, unsigned listener);
void phone_send(int fd, const char *text);
/* Reads `n` bytes and compares. */
void assert_phone_got(int fd, const char *text);
/* The other side has ended. */
void assert_phone_ended(int fd);
/* It has not, and nothing came. */
void assert_phone_silent(int fd);

/* The only connection there is. */
struct flow the_flow(struct hall *h);

#define MESSAGE      "OPTIONS sip:a SIP/2.0\r\nl: 0\r\n\r\n"
#define MESSAGE_BODY "MESSAGE sip:a SIP/2.0\r\nl: 4\r\n\r\nbody"

#endif

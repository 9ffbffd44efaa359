/*
 * event_stage: an event socket whose other end is in the hand of the test.
 */
#ifndef MIDREG_TESTS_EVENT_STAGE_H
#define MIDREG_TESTS_EVENT_STAGE_H

#include "fake_ports.h"
#include "upstream/event_socket.h"

#define UUID_1 "11111111-2222-3333-4444-555555555555"
#define UUID_2 "99999999-2222-3333-4444-555555555555"

#define AUTH_REQUEST "Content-Type: auth/request\n\n"
#define ACCEPTED     "Content-Type: command/reply\nReply-Text: +OK accepted\n\n"
#define REFUSED      "Content-Type: command/reply\nReply-Text: -ERR invalid\n\n"
#define BYE          "Content-Type: text/disconnect-notice\nContent-Length: 4\n\nBye\n"
#define DENIED       "Content-Type: text/rude-rejection\nContent-Length: 4\n\nNo!\n"

#define STEP_MS   10000u /* as event_socket.h promises */
#define ASK_MS    30000u
#define SILENT_MS 60000u
#define MAX_MS    30000u

struct event_stage {
    struct fake fake;
    struct config config;
    struct transactions transactions;
    struct upstreams upstreams;
    struct event_sockets sockets;

    /* What the user was told. */
    unsigned restarts, drops, flushes, flushes_refused, needless;
    uint64_t flushed_tag;
    char dropped[128];
    char uuid[64];          /* that it was told, */
    unsigned restarts_then; /* after so many restarts */

    bool is_needless;           /* flush_call_id() says no */
    unsigned flush_from_within; /* flushed() asks for so many more */
};

extern struct event_stage stage;

int stage_setup(void **state);
int stage_teardown(void **state);

const struct event_socket *it(void);
void assert_state(enum event_socket_state state);

/* The other end writes: bytes, an api/response, an event with these fields, a HEARTBEAT. */
void says(const char *text);
void answers(const char *text);
void tells(const char *fields);
void heartbeat(const char *uuid, unsigned uptime_s);
/* Its connection is gone. */
void cut(void);
/* Was this connection closed by us? */
bool is_closed(uint32_t connection);

/* How long it takes until it connects again. */
uint64_t pause_ms(void);
/* On to this state, from OFF or CONNECTING. */
void climb(enum event_socket_state state);
/* UP, its first question answered; what was sent and logged is forgotten. */
void climb_up(void);

#endif

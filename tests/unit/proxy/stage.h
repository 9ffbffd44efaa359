/*
 * stage: a proxy with everything around it, on the fake world, for unit tests.
 *
 * Messages in, datagrams out. Texts are written with "\n" and sent with CRLF. The
 * main registrar is at PBX, midreg at 127.0.0.1:5060; phones are bindings put
 * straight into the location table. stage_fini() lets all timers run out and
 * fails the test if a fork, a transaction or a timer is left.
 */
#ifndef MIDREG_TESTS_PROXY_STAGE_H
#define MIDREG_TESTS_PROXY_STAGE_H

#include "fake_ports.h"

#include "config/config.h"
#include "location/location.h"
#include "proxy/proxy.h"
#include "upstream/upstream.h"

#define PBX   "10.0.0.5:5080"
#define AL    "sip:al@example.com"
#define AL_1  "10.1.0.1:5060"
#define AL_2  "10.1.0.2:5060"
#define AL_3  "10.1.0.3:5060"
#define MAX_D 512

#define MAX_STREAMS 16

struct stage {
    struct fake fake;
    struct config config;
    struct location location;
    struct transactions transactions;
    struct upstreams upstreams;
    struct proxy *proxy;
    struct flow streams[MAX_STREAMS]; /* who talks over a connection */
    unsigned stream_count;
    bool taken[MAX_D];
    struct fake_datagram kept[MAX_D]; /* what was taken: stays in place */
    unsigned serial;
};

/* cmocka's set-up and tear-down: *state is the stage. */
int stage_init(void **state);
int stage_fini(void **state);

/* There is another main registrar, which is asked while the first is down. */
void stage_second_upstream(struct stage *s, const char *place);
/* The proxy ends in the middle of everything, and another begins. */
void stage_restart_proxy(struct stage *s);

/* This peer talks over a TCP connection of this number from now on: what comes
 * from it, and bindings that are made for it. */
void stage_connect(struct stage *s, const char *peer, uint32_t connection);
/* The peer's connection closes, and midreg is told. */
void stage_close(struct stage *s, const char *peer);
/* Any connection closes, and midreg is told. */
void stage_close_flow(struct stage *s, const struct flow *flow);

/* A live binding of the AOR at this address; the binding's id. */
uint32_t stage_phone(struct stage *s, const char *aor, const char *peer, unsigned q);
/* Takes it away. */
void stage_leave(struct stage *s, const char *aor, uint32_t id);
/* The binding with this id. */
struct binding *stage_binding(struct stage *s, const char *aor, uint32_t id);
/* It has moved to another address. */
void stage_move(struct stage *s, const char *aor, uint32_t id, const char *peer);
/* Our contact at the main registrar for this AOR; valid until the next call. */
const char *stage_contact(struct stage *s, const char *aor);

/* A message arrives from `peer`, as the core hands it on. */
void stage_receive(struct stage *s, const char *peer, const char *text);
void stage_receive_format(struct stage *s, const char *peer, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A request with a fresh branch; `fields` are whole lines with "\n". From is
 * sip:pbx@example.com if it is the PBX, else AL. Call-ID "call". */
void stage_request(struct stage *s, const char *peer, const char *method, const char *ruri,
                   const char *fields);
/* CANCEL of the last request that stage_request() sent, an INVITE. */
void stage_cancel(struct stage *s, const char *peer, const char *ruri, const char *fields);
/* The INVITE of the PBX to the contact of AL. */
void stage_call(struct stage *s);

/* The first message to `peer`, by whatever transport, not yet taken that starts
 * with `start`; the test fails if there is none. */
const struct fake_datagram *stage_take(struct stage *s, const char *peer, const char *start);
/* There is no such datagram. */
void stage_none(struct stage *s, const char *peer, const char *start);

/* The receiver of this request answers it; `fields` are whole lines with "\n". */
void stage_answer(struct stage *s, const struct fake_datagram *request, int status,
                  const char *fields);

uint64_t stage_count(const struct stage *s, enum counter which);
/* The datagram's field; fails the test if there is none. */
const char *stage_field(const struct fake_datagram *d, const char *name);
bool stage_has(const struct fake_datagram *d, const char *name);

/* Its Record-Route values as one Route field, top first; valid until the next call. */
const char *stage_routes(const struct fake_datagram *d);

#define IN_STAGE(test) cmocka_unit_test_setup_teardown(test, stage_init, stage_fini)

#endif

/*
 * world: a registrar with all it works with, phones and a main registrar in the hand
 * of the test.
 *
 * Nothing moves by itself but timers, while the clock is moved: the test says what
 * phones send and what the main registrar answers, and looks at each datagram once.
 */
#ifndef MIDREG_TESTS_REGISTRAR_WORLD_H
#define MIDREG_TESTS_REGISTRAR_WORLD_H

#include "fake_ports.h"
#include "registrar/registrar.h"
#include "transaction/server.h"

#define UPSTREAM "10.9.9.9:5080"
/* Two phones of anna, and somebody else. */
#define HOME  "10.0.0.1:5062"
#define DESK  "10.0.0.2:5060"
#define THIRD "10.0.0.3:7000"

struct world {
    struct fake fake;
    struct config config;
    struct location location;
    struct journal journal;
    struct transactions transactions;
    struct upstreams upstreams;
    struct registrar *registrar;
    struct sip_message message;
    char last_text[65536]; /* what a phone sent last */
    const char *last_from;
    unsigned branches;
    uint32_t connection; /* phones speak over this stream; 0: datagrams */
};

extern struct world world;

/* Defaults, which the test may change before world_start(). */
void world_open(enum config_auth auth);
/* Starts; answers the probe, if there is one, with 401. */
void world_start(void);
/* Starts and leaves the probe to the test. */
void world_start_unprobed(void);
void world_close(void);

/* From now on there is a store, which holds back what it is given. */
void store_opens(void);
/* The end of a turn: it is given what has changed, if it has nothing. */
void store_takes(void);
/* It has written what it was given before, and takes the next. */
void store_writes(void);

/* The flow that a phone uses now. */
struct flow phone_flow(const char *from);

/* A message arrives. */
void receive(const char *from, const char *text);

/* A REGISTER of anna (of `user`). `lines`: further fields. */
void phone(const char *flow, const char *call_id, unsigned cseq, const char *lines);
void phone_of(const char *user, const char *flow, const char *call_id, unsigned cseq,
              const char *lines);
/* A REGISTER whose domains are these. */
void phone_at(const char *domain, const char *flow, const char *call_id, unsigned cseq,
              const char *lines);
/* The last one again: a retransmission. */
void phone_again(void);

#define CONTACT_HOME "Contact: <sip:anna@10.0.0.1:5062>\r\n"
#define CONTACT_DESK "Contact: <sip:anna@10.0.0.2:5060>\r\n"
#define GONE_HOME    "Contact: <sip:anna@10.0.0.1:5062>;expires=0\r\n"
#define GONE_DESK    "Contact: <sip:anna@10.0.0.2:5060>;expires=0\r\n"
#define CREDENTIALS  "Authorization: Digest username=\"anna\", nonce=\"n\", nc=00000001\r\n"
#define STAR         "Contact: *\r\nExpires: 0\r\n"

/* The next datagram that went there and was not looked at; NULL: none. Copies of
 * one that was looked at are passed over. */
const char *to_upstream(void);
const char *to_phone(const char *flow);

/* The main registrar answers this REGISTER; `lines`: further fields. */
void upstream_answers(const char *request, int status, const char *lines);
/* 200 that lists our contact with this expiry. */
void upstream_grants(const char *request, unsigned expires);
/* The next REGISTER upstream must be there: it is granted as asked. */
const char *upstream_accepts(void);

void pass(uint64_t ms);

/* ---- what is asserted all the time ---- */

/* The status of an answer. */
int status_of(const char *answer);
/* The answer to this phone is there and has this status. Returns it. */
const char *assert_answer(const char *flow, int status);
void assert_no_answer(const char *flow);
/* Nothing new went upstream. */
void assert_upstream_quiet(void);
/* How many Contacts with this text an answer lists. */
unsigned count_of(const char *text, const char *needle);
/* The next REGISTER upstream is there; it asks for this many seconds. Returns it. */
const char *assert_register(unsigned expires);

struct aor *anna(void);
unsigned live_contacts(void);
uint64_t counted(enum counter which);

/* ---- a main registrar that answers by itself ---- */

struct pbx {
    uint32_t grant_s; /* the most; 0: as asked */
    bool silent;
    bool challenges; /* REGISTERs without credentials */
    int status;      /* 0: accepts */
    const char *lines;
    unsigned registers; /* without copies */
    unsigned removals;
    uint64_t held_until_ms; /* anna's contact */
};

/* Time passes, the main registrar answers. */
void run(struct pbx *pbx, uint64_t ms);

/* ---- a phone at HOME that lives on ---- */

struct caller {
    unsigned cseq;
    const char *lines;
};

/* It registers, with the next CSeq. */
void say(struct caller *c);
/* `ms` pass, and it refreshes every 60 s. False: one of them did not get 200. */
bool live_on(struct caller *c, struct pbx *pbx, uint64_t ms);

/* Lets everybody go and checks that nothing is left: no record, transaction,
 * errand, parked answer or timer (but the probe's). */
void assert_all_gone(struct pbx *pbx);

#endif

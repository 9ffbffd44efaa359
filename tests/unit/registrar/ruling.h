/*
 * ruling: the rules with a record, a REGISTER and what becomes of it.
 *
 * For the tests of registrar/rules alone. A test says what is there (have_...()),
 * what a phone asks (ask()), lets the rules decide, and looks at `out`.
 */
#ifndef MIDREG_TESTS_REGISTRAR_RULING_H
#define MIDREG_TESTS_REGISTRAR_RULING_H

#include "fake_ports.h"
#include "location/location.h"
#include "registrar/rules.h"

#define HOME  "10.0.0.1:5062" /* the flow of the binding that is there */
#define OTHER "10.0.0.9:6000"
#define CALL  "home@phone"

#define HOME_CONTACT "Contact: <sip:anna@10.0.0.1:5062>\r\n"
#define NEW_CONTACT  "Contact: <sip:anna@10.0.0.9:6000>\r\n"
#define GONE         "Contact: <sip:anna@10.0.0.1:5062>;expires=0\r\n"
#define STAR         "Contact: *\r\nExpires: 0\r\n"

extern struct fake fake;
extern struct location location;
extern struct config config;
extern struct aor *record; /* NULL: none */
extern struct register_request rq;
extern struct outcome out;

int ruling_setup(void **state);
int ruling_teardown(void **state);

/* The record of anna, with a lease by midreg's own means. */
void have_record(void);
/* A binding of hers, proved 20 s ago; from HOME with CALL, or from elsewhere. */
struct binding *have(const char *uri, const char *flow, const char *call_id, uint32_t cseq);
struct binding *have_home(void);
struct binding *have_desk(void);
void bury(uint32_t id, uint32_t cseq);

/* A REGISTER of anna. `lines`: further fields. */
void ask(const char *flow, const char *call_id, uint32_t cseq, const char *lines);
/* What the rules say to it; `dice`: their chance. */
void decide_with(enum proof proof, uint32_t dice);
/* With the proof that it has by itself. */
void decide(void);
void assert_refused(int status);

#define RULING(name) cmocka_unit_test_setup_teardown(name, ruling_setup, ruling_teardown)

#endif

/*
 * check: the invariants (design section 10) that a simulated day must keep.
 *
 * 0 midreg speaks SIP; 1 a binding exists only if its phone proved it; 2 the main
 * registrar believes what midreg has, within bounds after each fault; 3 it never
 * holds two contacts of ours; 4 phones ring once, and somebody rings; 5 all ends,
 * nothing leaks; 7 the pacer's rate; 8 no stranger changes anything; 9 a phone that
 * got its 200 is registered, and in calm times every phone gets one. (6, what was
 * answered 200 survives a crash, shows as 1 and 9 after one.) Of connections: a
 * binding outlives its own by flow-grace (1, 9), nothing is asked over a closed one
 * (4), none is noted for ever (5).
 */
#ifndef MIDREG_SIM_CHECK_H
#define MIDREG_SIM_CHECK_H

#include "base/address.h"

#define CHECK_SENT_MAX  4096
#define CHECK_SENT_WAYS 8

struct sim;
struct phone;
struct phone_call;
struct pbx_call;
struct pbx_dialog;
struct pbx_incoming;

struct check_failure {
    int invariant;
    int aor;
    uint64_t at_us;
    char text[256];
};

/* A REGISTER that midreg sent to the pbx. */
struct check_sent {
    uint64_t branch; /* its hash */
    uint64_t at_us;
};

/* What was seen of an AOR's bindings. */
struct check_seen {
    bool live;
    uint64_t since_us;
    uint64_t differ_us; /* since when the main registrar believes otherwise; 0: it agrees */
    uint64_t left_us;   /* its last phone left with a 200; 0: nothing to look at */
};

struct check {
    bool failed;
    struct check_failure failure; /* the first one */
    struct check_seen *seen;      /* as many as people */
    unsigned rounds;
    struct check_sent sent[CHECK_SENT_MAX][CHECK_SENT_WAYS];
    uint32_t paced_in_life;
    uint64_t paced_us;       /* when the bucket has its next place */
    uint64_t agreements;     /* how often invariant 2 was really looked at */
    uint64_t calls_expected; /* calls of which it was known whom they must reach */
};

/* False: no memory. */
bool check_init(struct sim *s);
void check_fini(struct sim *s);

/* An invariant is violated. The first is kept and ends the day. */
void check_fail(struct sim *s, int invariant, int aor, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* What midreg and the main registrar hold for an AOR, for the report. */
void check_print_record(const struct sim *s, int aor);

/* ---- registrations ---- */

void check_event(struct sim *s);
/* midreg sends a datagram. */
void check_sent(struct sim *s, const struct address *to, struct span datagram);
/* How many live bindings midreg has for the AOR. */
unsigned check_live(const struct sim *s, int aor);
/* A phone got its 200 to a removal; `alone`: it was the AOR's only one when it
 * sent it. */
void check_left(struct sim *s, int aor, bool alone);
/* All is quiet: nothing may be left. */
void check_quiet(struct sim *s);
void check_pinged(struct sim *s, int aor, int status);
void check_ping_lost(struct sim *s, int aor, uint64_t sent_us);

/* Has its AOR as many contacts as it may, and this phone none of them? */
bool check_is_full(const struct sim *s, const struct phone *p);

/* ---- calls ---- */

void check_call_begins(struct sim *s, struct pbx_call *c);
void check_rang(struct sim *s, const struct phone *p, uint32_t number);
/* Some seconds after the INVITE. */
void check_call_rings(struct sim *s, struct pbx_call *c);
void check_call_refused(struct sim *s, struct pbx_call *c);
void check_call_lost(struct sim *s, struct pbx_call *c);
/* `status` 0: nobody answered the BYE. */
void check_bye_ends(struct sim *s, const struct pbx_call *c, const struct pbx_dialog *d,
                    int status);
void check_phone_bye_ends(struct sim *s, const struct phone *p, const struct phone_call *c,
                          int status);
/* A phone gives up to repeat an answer or a BYE. */
void check_phone_call_stuck(struct sim *s, const struct phone *p, const struct phone_call *c);
/* A phone's own call ends: refused, hung up, or (`status` 0) without an answer. */
void check_dial_ends(struct sim *s, const struct phone *p, int status);
/* The same for the main registrar's side of it. */
void check_incoming_ends(struct sim *s, const struct pbx_incoming *c, int status);
/* Does a phone ring for a call that is over? */
void check_ghosts(struct sim *s);

#endif

/*
 * transaction/server: server transactions, RFC 3261 17.2, RFC 6026, RFC 4320.
 *
 * A server transaction keeps a copy of its request, until it has its final answer
 * and its user needs it no more, and its last answer. It lives until its timers end, which is after
 * the last answer: its user must keep the handle and look it up with server_get() each time. It
 * ends only in a timer, never within a call of its user. Core thread only.
 *
 *   INVITE:      Proceeding -> Completed (300-699, timers G, H) -> Confirmed (I) -> gone
 *                           -> Accepted (2xx, timer L) -> gone
 *   non-INVITE:  Trying -> Proceeding (1xx) -> Completed (timer J) -> gone
 */
#ifndef MIDREG_TRANSACTION_SERVER_H
#define MIDREG_TRANSACTION_SERVER_H

#include "sip/message.h"
#include "transaction/transaction.h"

enum server_state {
    SERVER_TRYING,
    SERVER_PROCEEDING,
    SERVER_COMPLETED,
    SERVER_CONFIRMED,
    SERVER_ACCEPTED,
};

struct server_tx;

/* What the user of a transaction is told. Any of them may be NULL. */
struct server_user {
    /* A CANCEL for this INVITE came (it has its 200 already), while no final
     * answer was sent. `cancel` is the CANCEL itself. */
    void (*cancelled)(void *self, struct server_tx *tx, const struct sip_message *cancel);
    /* The transaction ends now; its handle becomes stale. */
    void (*ended)(void *self, struct server_tx *tx);
};

struct server_tx {
    struct transactions *t;
    struct handle handle;
    enum server_state state;
    struct timer timer;
    const struct sip_message *request; /* own copy; NULL once nobody needs it: server_forget() */
    struct kept request_room;
    struct flow source;   /* where the request came from */
    struct flow reply_to; /* where answers go (RFC 3261 18.2.2, RFC 3581) */
    uint64_t key;
    uint64_t end_ms;      /* H, I, J, L */
    uint32_t interval_ms; /* G */
    int status;           /* of the last answer; 0: none yet */
    bool owed;            /* counted for its connection: server_owes() */
    bool cancelled;       /* the user was told */
    bool reopened;        /* `reply_to` is a connection of our own, the request's has gone */
    bool forgotten;       /* the user needs the request no more */
    bool is_invite;
    bool old; /* RFC 2543: its copies are told by the request's tags */
    uint16_t sent_by_port;
    struct kept answer; /* the last answer, for retransmissions */
    char to_tag[16];
    const struct server_user *user;
    void *self;
    uint64_t owner; /* the user's own */
};

/*
 * Looks for the transaction of a request. True: it was a retransmission, the
 * ACK of a final answer other than 2xx, or a CANCEL that matched an INVITE: all
 * is done. False: the request is new (an ACK for a 2xx or a CANCEL without a
 * match included).
 */
bool server_receive(struct transactions *t, const struct sip_message *request,
                    const struct flow *from);

/* A new transaction with a copy of the request, or NULL (no memory or room:
 * server_reject() with 503). INVITE: the caller sends 100 itself (server_reply()).
 * ACK and CANCEL have no transactions: NULL. */
struct server_tx *server_begin(struct transactions *t, const struct sip_message *request,
                               const struct flow *from, const struct server_user *user, void *self);

struct server_tx *server_get(struct transactions *t, struct handle h);

/*
 * Does a request that came over this connection wait for its final answer? If not,
 * one whose peer has ended its side is of no use any more and may be closed; else it
 * is closed here with the last of these answers.
 */
bool server_owes(const struct transactions *t, const struct flow *flow);

/* The user no longer wants to be told anything, nor to read the request, which goes
 * with the final answer, now or later: the transaction goes on alone. */
void server_forget(struct server_tx *tx);

/*
 * Sends an answer that was built elsewhere (proxied), keeps it for
 * retransmissions, moves the state. What does not fit the state is ignored: a
 * second final answer (but a further 2xx to an INVITE is sent, RFC 6026 7.1), a
 * provisional after the final one. To a non-INVITE, 101 to 199 are not sent, and
 * 408 ends it in silence (RFC 4320 4).
 */
void server_respond(struct server_tx *tx, int status, struct span answer);
/* Builds and sends an answer; `fields` are whole lines with CRLF or empty;
 * `reason` NULL: the usual phrase. */
void server_reply(struct server_tx *tx, int status, const char *reason, struct span fields);

/* An answer without a transaction (stateless): for refusals, bad messages and
 * absorbed REGISTERs. The To tag is derived from the request, so that a
 * retransmission gets the same. Nothing is sent to an ACK. */
void server_reject(struct runtime *rt, const struct sip_message *request, const struct flow *from,
                   int status, const char *reason, struct span fields);
/* The tag that server_reject() and the registrar's answers carry: a keyed hash
 * of Call-ID, From and CSeq in base32. */
struct span server_stateless_tag(struct runtime *rt, const struct sip_message *request,
                                 char room[16]);
/* Where an answer to this request goes. */
bool server_reply_flow(const struct sip_message *request, const struct flow *from,
                       struct flow *out);

#endif

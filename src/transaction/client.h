/*
 * transaction/client: client transactions, RFC 3261 17.1, RFC 6026.
 *
 * Make one with client_begin(), write the request with its branch in our Via,
 * give it to client_send(). Responses are matched by branch, which holds the
 * handle and 64 unpredictable bits. Core thread only.
 *
 *   INVITE:      Calling (A, B) -> Proceeding -> Accepted (2xx, timer M) -> gone
 *                                            -> Completed (300-699, ACK, timer D) -> gone
 *   non-INVITE:  Trying (E, F) -> Proceeding (E, F) -> Completed (K) -> gone
 */
#ifndef MIDREG_TRANSACTION_CLIENT_H
#define MIDREG_TRANSACTION_CLIENT_H

#include "sip/message.h"
#include "transaction/transaction.h"

enum client_state {
    CLIENT_UNSENT,
    CLIENT_CALLING, /* non-INVITE: Trying */
    CLIENT_PROCEEDING,
    CLIENT_COMPLETED,
    CLIENT_ACCEPTED,
};

#define CLIENT_BRANCH_SIZE 64

struct client_tx;

struct client_user {
    /* Each response the transaction passes up: every provisional, the final
     * one, for INVITE also further 2xx. May end the fork, never the tx. */
    void (*response)(void *self, struct client_tx *tx, const struct sip_message *response);
    /* Timer B or F, or no final answer 32 s after a CANCEL. No final came. */
    void (*timeout)(void *self, struct client_tx *tx);
    /* The transaction ends now; its handle becomes stale. May be NULL. */
    void (*ended)(void *self, struct client_tx *tx);
};

struct client_tx {
    struct transactions *t;
    struct handle handle;
    enum client_state state;
    enum sip_method method;
    struct timer timer;     /* TIMER_CLIENT: A and E */
    struct timer end_timer; /* TIMER_CLIENT_END: B, D, F, K, M */
    uint32_t interval_ms;
    struct flow flow;
    struct address sent_by; /* as our Via has it: the route may change meanwhile */
    struct client_tx *next; /* of those sent over the same connection: connections.c */
    struct client_tx *prev;
    uint64_t secret;                 /* the unpredictable bits of the branch */
    char branch[CLIENT_BRANCH_SIZE]; /* terminated */
    struct kept sent;                /* the request, for retransmissions, CANCEL and ACK */
    struct kept ack;                 /* for a final answer of 300 to 699 */
    int status;                      /* of the last response; 0: none */
    bool cancel_wanted;
    bool cancel_sent;
    struct handle cancel; /* the CANCEL's own transaction, which bears our branch */
    char *cancel_reason;  /* a Reason value, or NULL */
    const struct client_user *user;
    void *self;
    uint64_t owner;
};

/*
 * `loop_hash`: what routing depends on, for loop detection (RFC 5393 4.2.2); it
 * is carried in the branch, client_branch_loop() reads it back. 0: none.
 * NULL: no memory or room.
 */
struct client_tx *client_begin(struct transactions *t, enum sip_method method,
                               const struct flow *to, uint32_t loop_hash,
                               const struct client_user *user, void *self, uint64_t owner);
/* "SIP/2.0/UDP host:port;branch=...": our Via value for this transaction. */
void client_put_via(struct buf *out, const struct client_tx *tx);
/* Sends the request (copied) and starts the timers. False: no memory, more than
 * a datagram holds, or an INVITE that sip_parse() would refuse (too many fields:
 * no CANCEL or ACK could be made); the transaction is gone then, nobody is told. */
bool client_send(struct client_tx *tx, struct span request);
/* Ends a transaction at once: nobody is told. One that was never sent, or whose answer
 * nobody needs and nobody need be told that: no INVITE. */
void client_abandon(struct client_tx *tx);
struct client_tx *client_get(struct transactions *t, struct handle h);

/* Sends CANCEL as soon as a provisional answer allows it (RFC 3261 9.1);
 * `reason` is a Reason value or empty. Once is enough. Nothing happens to other
 * methods, and once a final answer came. */
void client_cancel(struct client_tx *tx, struct span reason);

/* Tells the transaction that its user no longer wants its responses: it goes on
 * alone (absorbs, ACKs, ends; an INVITE that rings on ends after 181 s). A 2xx to
 * a forgotten INVITE is dropped: who wants a late one must not forget. */
void client_forget(struct client_tx *tx);

/* Its receiver is gone, and its user goes elsewhere: no more copies. An INVITE that reached
 * it all the same is cancelled at its first provisional answer. Nobody is told. */
void client_withdraw(struct client_tx *tx);

/* True: the response belonged to a transaction. `from` decides nothing: the
 * unpredictable bits of the branch prove that the request's receiver wrote it. */
bool client_receive(struct transactions *t, const struct sip_message *response,
                    const struct flow *from);

/* A stream connection is gone: its transactions without a final answer time out
 * in this turn (RFC 3261 17.1.4, 18.4). Looks at no others. */
void client_flow_closed(struct transactions *t, const struct flow *flow);

/* The loop hash in a branch of ours. False: not of our form (it is not proved:
 * the hash is keyed, a foreign branch does not hold it but by chance). */
bool client_branch_loop(struct span branch, uint32_t *loop_hash);

#endif

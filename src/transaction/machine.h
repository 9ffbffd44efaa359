/*
 * transaction/machine: what the files of this room share. Not for other rooms.
 */
#ifndef MIDREG_TRANSACTION_MACHINE_H
#define MIDREG_TRANSACTION_MACHINE_H

#include "transaction/client.h"
#include "transaction/server.h"

/* The struct that holds the timer which fired. */
#define TIMER_HOLDER(timer, type, member) ((type *)(void *)((char *)(timer)-offsetof(type, member)))

/* RFC 3261 17: over these nothing is sent again, and D, I, J, K are zero. */
static inline bool flow_reliable(const struct flow *f)
{
    return transport_is_stream(f->transport);
}

/* Register the timers. */
void server_init(struct transactions *t);
void client_init(struct transactions *t);
/* Free without telling anybody. */
void server_free(struct server_tx *tx);
void client_free(struct client_tx *tx);

/*
 * match.c: the key of a request's server transaction (RFC 3261 17.2.3); an ACK
 * and a CANCEL have the key of their INVITE. `*old`: without the magic cookie,
 * by the rules of RFC 2543; then server_match_tags() must agree as well. False:
 * the fields that matter are malformed.
 */
bool server_match_key(struct runtime *rt, const struct sip_message *request, uint64_t *key,
                      bool *old);
bool server_match_tags(const struct server_tx *tx, const struct sip_message *request);

/*
 * connections.c: the transactions of each connection, in the order of sending.
 * Without memory one may be in no list: then its timers end it, later.
 */
void connection_join(struct client_tx *tx);
void connection_leave(struct client_tx *tx);
struct client_tx *connection_first(const struct transactions *t, const struct flow *flow);
/* A request that came over a connection: it owes an answer from now on; it has been
 * paid, or never will be. Without memory it is not counted, and its answer may need
 * another connection. */
void connection_owe(struct server_tx *tx);
void connection_pay(struct server_tx *tx);

/* branch.c */
struct branch {
    struct handle handle;
    uint64_t secret;
    uint32_t loop_hash;
};

void branch_write(const struct branch *b, char out[CLIENT_BRANCH_SIZE]);
bool branch_read(struct span text, struct branch *out);
/* Does the branch have the magic cookie (RFC 3261 8.1.1.7)? */
bool branch_has_cookie(struct span text);

#endif

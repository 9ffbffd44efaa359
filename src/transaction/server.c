/*
 * transaction/server: the two server machines.
 *
 * Called by the core (server_receive) and by the users of transactions, on the
 * core thread. A transaction ends in its timer and nowhere else, so no call of a
 * user ever pulls it away; what is due at once waits for the next tick.
 *
 *   event                      function
 *   retransmission, ACK        server_again(), server_ack()
 *   CANCEL                     server_cancel()
 *   answer of the user         server_respond() -> provisional / accept / complete
 *   G, H, I, J, L              server_fire()
 */
#include "sip/build.h"
#include "transaction/kept.h"
#include "transaction/machine.h"

/*
 * The connection that the request came over has closed: RFC 3261 18.2.2 wants
 * one opened to where the request came from, at the port of sent-by. Tried once;
 * behind NAT it fails, and the answer is lost like any datagram.
 */
static void server_reopen(struct server_tx *tx)
{
    const struct ports *ports = tx->t->rt->ports;
    struct address peer = tx->source.peer;
    struct flow opened;

    tx->reopened = true;
    peer.port = tx->sent_by_port;
    if (ports->stream_open(ports->world, &peer, tx->source.transport, &opened))
        tx->reply_to = opened;
}

/* Nothing to send: the answer outgrew a datagram, or could not be kept. */
static void server_send(struct server_tx *tx, struct span answer)
{
    if (answer.n == 0)
        return;
    if (!tx->reopened && !flow_alive(tx->t->rt->ports, &tx->reply_to))
        server_reopen(tx);
    ports_send(tx->t->rt->ports, &tx->reply_to, answer);
    /* The peer may have closed its side alone and still read: over the old
     * connection, too. Who gets both absorbs one. */
    if (transport_is_stream(tx->source.transport) && !flow_equal(&tx->reply_to, &tx->source))
        ports_send(tx->t->rt->ports, &tx->source, answer);
}

static void server_send_again(struct server_tx *tx)
{
    if (!tx->answer.p)
        return;
    runtime_count(tx->t->rt, COUNTER_RETRANSMIT_OUT);
    server_send(tx, kept_span(&tx->answer));
}

static void drop_answer(struct server_tx *tx)
{
    kept_drop(tx->t, &tx->answer);
}

/* The request is most of what a transaction holds, and its copies are known by the
 * key alone. */
static void drop_request(struct server_tx *tx)
{
    if (!tx->forgotten || tx->status < 200 || tx->old)
        return;
    kept_drop(tx->t, &tx->request_room);
    tx->request = NULL;
}

/* ---- timers ---------------------------------------------------------------- */

static void server_arm(struct server_tx *tx)
{
    uint64_t due = tx->end_ms;
    uint64_t again = tx->t->rt->now_ms + tx->interval_ms;

    if (tx->interval_ms && again < due)
        due = again;
    wheel_arm(&tx->t->rt->wheel, &tx->timer, TIMER_SERVER, due);
}

/* The transaction lives for `ms` more. */
static void server_end_in(struct server_tx *tx, uint64_t ms)
{
    tx->end_ms = tx->t->rt->now_ms + ms;
    server_arm(tx);
}

static void server_fire(void *self, struct timer *timer)
{
    struct server_tx *tx = TIMER_HOLDER(timer, struct server_tx, timer);

    (void)self;
    if (tx->t->rt->now_ms >= tx->end_ms) {
        if (tx->user && tx->user->ended)
            tx->user->ended(tx->self, tx);
        server_free(tx);
        return;
    }
    server_send_again(tx); /* timer G */
    tx->interval_ms = tx->interval_ms * 2 < SIP_T2_MS ? tx->interval_ms * 2 : SIP_T2_MS;
    server_arm(tx);
}

void server_init(struct transactions *t)
{
    wheel_handler(&t->rt->wheel, TIMER_SERVER, server_fire, t);
}

/* ---- life ------------------------------------------------------------------ */

struct server_tx *server_begin(struct transactions *t, const struct sip_message *request,
                               const struct flow *from, const struct server_user *user, void *self)
{
    struct handle handle;
    struct server_tx *tx;
    struct flow reply_to;
    uint64_t key;
    bool old;

    if (request->method == SIP_ACK || request->method == SIP_CANCEL)
        return NULL; /* they share their INVITE's key and have no machine of their own */
    if (!server_match_key(t->rt, request, &key, &old) || table_find(&t->server_keys, key) ||
        !server_reply_flow(request, from, &reply_to))
        return NULL;
    tx = slab_new(&t->servers, &handle);
    if (!tx)
        return NULL;
    *tx = (struct server_tx){
        .t = t,
        .handle = handle,
        .state = request->method == SIP_INVITE ? SERVER_PROCEEDING : SERVER_TRYING,
        .source = *from,
        .reply_to = reply_to,
        .key = key,
        .is_invite = request->method == SIP_INVITE,
        .old = old,
        .sent_by_port = request->via.port ? (uint16_t)request->via.port : SIP_PORT,
        .user = user,
        .self = self,
    };
    void *room = kept_room(t, &tx->request_room, sip_message_copy_size(request));

    if (!room || !table_put(&t->server_keys, key, tx)) {
        kept_drop(t, &tx->request_room);
        slab_free(&t->servers, handle);
        return NULL;
    }
    tx->request = sip_message_copy(room, request);
    server_stateless_tag(t->rt, request, tx->to_tag);
    connection_owe(tx);
    return tx;
}

void server_free(struct server_tx *tx)
{
    wheel_disarm(&tx->t->rt->wheel, &tx->timer);
    table_remove(&tx->t->server_keys, tx->key);
    connection_pay(tx);
    drop_answer(tx);
    kept_drop(tx->t, &tx->request_room);
    slab_free(&tx->t->servers, tx->handle);
}

struct server_tx *server_get(struct transactions *t, struct handle h)
{
    return slab_get(&t->servers, h);
}

void server_forget(struct server_tx *tx)
{
    tx->user = NULL;
    tx->self = NULL;
    tx->forgotten = true;
    drop_request(tx);
}

/* ---- requests -------------------------------------------------------------- */

/* RFC 3261 17.2.1 and 17.2.2: the last answer again; RFC 6026 7.1: in Accepted
 * nothing, the 2xx is repeated by who made it. */
static void server_again(struct server_tx *tx)
{
    runtime_count(tx->t->rt, COUNTER_RETRANSMIT_IN);
    if (tx->state == SERVER_PROCEEDING || tx->state == SERVER_COMPLETED)
        server_send_again(tx);
}

/* False: the ACK is for a 2xx, which is not this machine's (RFC 6026 7.1). */
static bool server_ack(struct server_tx *tx)
{
    if (tx->state == SERVER_ACCEPTED)
        return false;
    if (tx->state == SERVER_COMPLETED) {
        tx->state = SERVER_CONFIRMED;
        tx->interval_ms = 0;
        drop_answer(tx);
        server_end_in(tx, flow_reliable(&tx->source) ? 0 : SIP_T4_MS); /* timer I */
    }
    return true;
}

/* RFC 3261 9.2. The CANCEL has no transaction of its own: each copy gets the same
 * 200, the user hears of the first. */
static void server_cancel(struct server_tx *tx, const struct sip_message *cancel,
                          const struct flow *from)
{
    struct buf out = buf_make(tx->t->scratch, DATAGRAM_MAX);
    struct flow to;

    if (!server_reply_flow(cancel, from, &to))
        return;
    sip_reply_begin(&out, cancel, 200, NULL, span_of(tx->to_tag), &from->peer);
    sip_put_end(&out, SPAN_NONE);
    if (!out.overflow)
        ports_send(tx->t->rt->ports, &to, buf_done(&out));
    if (tx->cancelled)
        runtime_count(tx->t->rt, COUNTER_RETRANSMIT_IN);
    if (tx->state != SERVER_PROCEEDING || tx->cancelled)
        return;
    tx->cancelled = true;
    if (tx->user && tx->user->cancelled)
        tx->user->cancelled(tx->self, tx, cancel);
}

bool server_receive(struct transactions *t, const struct sip_message *request,
                    const struct flow *from)
{
    struct server_tx *tx;
    uint64_t key;
    bool old;

    if (t->servers.used == 0 || !server_match_key(t->rt, request, &key, &old))
        return false;
    tx = table_find(&t->server_keys, key);
    if (!tx || (old && !server_match_tags(tx, request)))
        return false;
    if (request->method == SIP_ACK)
        return server_ack(tx);
    /* RFC 3261 9.2 compares fields that everybody who was called has seen: who
     * cancels must be where the INVITE came from as well. */
    if (request->method == SIP_CANCEL && !address_same_host(&from->peer, &tx->source.peer))
        return false;
    if (request->method == SIP_CANCEL)
        server_cancel(tx, request, from);
    else
        server_again(tx);
    return true;
}

/* ---- answers --------------------------------------------------------------- */

/* Sends the answer and keeps a copy; without memory it is sent but once. */
static void server_keep(struct server_tx *tx, struct span answer)
{
    drop_answer(tx);
    server_send(tx, answer);
    if (answer.n && !kept_set(tx->t, &tx->answer, answer))
        runtime_count(tx->t->rt, COUNTER_OUT_OF_MEMORY);
}

static void server_provisional(struct server_tx *tx, int status, struct span answer)
{
    /* RFC 4320 4.1: to a non-INVITE, 100 and no other. */
    if (!tx->is_invite && status != 100)
        return;
    tx->state = SERVER_PROCEEDING;
    tx->status = status;
    server_keep(tx, answer);
}

/* RFC 6026 7.1: to Accepted, where further 2xx are sent and none is kept. */
static void server_accept(struct server_tx *tx, int status, struct span answer)
{
    drop_answer(tx);
    server_send(tx, answer);
    if (tx->state == SERVER_ACCEPTED)
        return;
    tx->state = SERVER_ACCEPTED;
    tx->status = status;
    server_end_in(tx, SIP_T64_MS); /* timer L */
}

static void server_complete(struct server_tx *tx, int status, struct span answer)
{
    bool reliable = flow_reliable(&tx->source);

    tx->state = SERVER_COMPLETED;
    tx->status = status;
    if (tx->is_invite) {
        server_keep(tx, answer);
        tx->interval_ms = reliable ? 0 : SIP_T1_MS; /* timer G */
        server_end_in(tx, SIP_T64_MS);              /* timer H */
        return;
    }
    /* RFC 4320 4.2: who sends 408 to a non-INVITE only adds to the storm, the
     * client has given up by itself. */
    server_keep(tx, status == 408 ? SPAN_NONE : answer);
    server_end_in(tx, reliable ? 0 : SIP_T64_MS); /* timer J */
}

/* The final answer is on its way. Was it the last for a peer that has ended its
 * side? Then nothing more can come or go. */
static void server_pay(struct server_tx *tx)
{
    const struct ports *ports = tx->t->rt->ports;

    if (!tx->owed)
        return;
    connection_pay(tx);
    if (!server_owes(tx->t, &tx->source) && !flow_alive(ports, &tx->source))
        ports->stream_close(ports->world, &tx->source);
}

void server_respond(struct server_tx *tx, int status, struct span answer)
{
    bool open = tx->state == SERVER_TRYING || tx->state == SERVER_PROCEEDING;
    bool accepts = tx->is_invite && status >= 200 && status < 300;

    if (accepts && (open || tx->state == SERVER_ACCEPTED))
        server_accept(tx, status, answer);
    else if (open && status >= 200)
        server_complete(tx, status, answer);
    else if (open)
        server_provisional(tx, status, answer);
    if (status < 200)
        return;
    server_pay(tx);
    drop_request(tx);
}

void server_reply(struct server_tx *tx, int status, const char *reason, struct span fields)
{
    struct buf out = buf_make(tx->t->scratch, DATAGRAM_MAX);

    if (!tx->request) /* it has its final answer */
        return;
    sip_reply_begin(&out, tx->request, status, reason,
                    status == 100 ? SPAN_NONE : span_of(tx->to_tag), &tx->source.peer);
    buf_span(&out, fields);
    sip_put_end(&out, SPAN_NONE);
    server_respond(tx, status, out.overflow ? SPAN_NONE : buf_done(&out));
}

/*
 * transaction/client: the two client machines, and CANCEL.
 *
 * Called by the core (client_receive) and by the users of transactions, on the
 * core thread. A transaction that was sent ends in its timer and nowhere else.
 * The machine has moved before its user is told.
 *
 *   event                      function
 *   1xx, 2xx, 300-699          invite_response(), other_response()
 *   A, E                       client_fire()
 *   B, D, F, K, M              client_fire_end()
 *   CANCEL of the user         client_cancel() -> send_cancel()
 */
#include "sip/build.h"
#include "transaction/kept.h"
#include "transaction/machine.h"

#include <stdlib.h>

/* A forgotten INVITE that rings has no timer C of its user (RFC 3261 16.6, 11:
 * more than three minutes). */
#define CLIENT_ALONE_MS 181000

static struct runtime *runtime_of(const struct client_tx *tx)
{
    return tx->t->rt;
}

/* ---- timers ---------------------------------------------------------------- */

static void arm_again(struct client_tx *tx, uint32_t interval_ms)
{
    tx->interval_ms = interval_ms;
    if (!flow_reliable(&tx->flow))
        wheel_arm(&runtime_of(tx)->wheel, &tx->timer, TIMER_CLIENT,
                  runtime_of(tx)->now_ms + interval_ms);
}

static void stop_again(struct client_tx *tx)
{
    wheel_disarm(&runtime_of(tx)->wheel, &tx->timer);
}

static void end_in(struct client_tx *tx, uint64_t ms)
{
    wheel_arm(&runtime_of(tx)->wheel, &tx->end_timer, TIMER_CLIENT_END,
              runtime_of(tx)->now_ms + ms);
}

static void client_fire(void *self, struct timer *timer)
{
    struct client_tx *tx = TIMER_HOLDER(timer, struct client_tx, timer);
    uint32_t next = tx->interval_ms * 2;

    (void)self;
    runtime_count(runtime_of(tx), COUNTER_RETRANSMIT_OUT);
    ports_send(runtime_of(tx)->ports, &tx->flow, kept_span(&tx->sent));
    if (tx->method != SIP_INVITE && (tx->state == CLIENT_PROCEEDING || next > SIP_T2_MS))
        next = SIP_T2_MS; /* RFC 3261 17.1.2.2, timer E; timer A has no such bound */
    arm_again(tx, next);
}

static void client_fire_end(void *self, struct timer *timer)
{
    struct client_tx *tx = TIMER_HOLDER(timer, struct client_tx, end_timer);
    bool open = tx->state == CLIENT_CALLING || tx->state == CLIENT_PROCEEDING;

    (void)self;
    stop_again(tx);
    if (open && tx->user)
        tx->user->timeout(tx->self, tx);
    if (tx->user && tx->user->ended)
        tx->user->ended(tx->self, tx);
    client_free(tx);
}

void client_init(struct transactions *t)
{
    wheel_handler(&t->rt->wheel, TIMER_CLIENT, client_fire, t);
    wheel_handler(&t->rt->wheel, TIMER_CLIENT_END, client_fire_end, t);
}

/* ---- life ------------------------------------------------------------------ */

struct client_tx *client_begin(struct transactions *t, enum sip_method method,
                               const struct flow *to, uint32_t loop_hash,
                               const struct client_user *user, void *self, uint64_t owner)
{
    struct handle handle;
    struct client_tx *tx = slab_new(&t->clients, &handle);

    if (!tx)
        return NULL;
    *tx = (struct client_tx){
        .t = t,
        .handle = handle,
        .state = CLIENT_UNSENT,
        .method = method,
        .flow = *to,
        .user = user,
        .self = self,
        .owner = owner,
    };
    t->rt->ports->local_address(t->rt->ports->world, to, &tx->sent_by);
    t->rt->ports->random(t->rt->ports->world, &tx->secret, sizeof tx->secret);
    branch_write(&(struct branch){handle, tx->secret, loop_hash}, tx->branch);
    return tx;
}

void client_put_via(struct buf *out, const struct client_tx *tx)
{
    buf_lit(out, "SIP/2.0/");
    buf_str(out, transport_via_name(tx->flow.transport));
    buf_char(out, ' ');
    address_put(out, &tx->sent_by);
    buf_lit(out, ";branch=");
    buf_str(out, tx->branch);
}

static void drop_sent(struct client_tx *tx)
{
    kept_drop(tx->t, &tx->sent);
}

void client_free(struct client_tx *tx)
{
    stop_again(tx);
    wheel_disarm(&runtime_of(tx)->wheel, &tx->end_timer);
    connection_leave(tx);
    drop_sent(tx);
    kept_drop(tx->t, &tx->ack);
    free(tx->cancel_reason);
    slab_free(&tx->t->clients, tx->handle);
}

/* Can CANCEL and ACK be made from it? */
static bool is_sound(struct span request)
{
    struct sip_message m;
    struct sip_fault fault;

    return sip_parse(request, &m, &fault) == SIP_PARSED && m.is_request;
}

bool client_send(struct client_tx *tx, struct span request)
{
    if (request.n > DATAGRAM_MAX || (tx->method == SIP_INVITE && !is_sound(request)) ||
        !kept_set(tx->t, &tx->sent, request)) {
        client_free(tx);
        return false;
    }
    tx->state = CLIENT_CALLING;
    if (flow_reliable(&tx->flow))
        connection_join(tx);
    ports_send(runtime_of(tx)->ports, &tx->flow, kept_span(&tx->sent));
    arm_again(tx, SIP_T1_MS);
    /* Timers B, F; over a dead connection nothing will ever come (17.1.4). */
    end_in(tx, flow_alive(runtime_of(tx)->ports, &tx->flow) ? SIP_T64_MS : 0);
    return true;
}

void client_flow_closed(struct transactions *t, const struct flow *flow)
{
    for (struct client_tx *tx = connection_first(t, flow); tx; tx = tx->next)
        if (tx->state == CLIENT_CALLING || tx->state == CLIENT_PROCEEDING)
            end_in(tx, 0);
}

void client_abandon(struct client_tx *tx)
{
    client_free(tx);
}

struct client_tx *client_get(struct transactions *t, struct handle h)
{
    return slab_get(&t->clients, h);
}

/* An INVITE that rings ends by a final answer, by its user's timer C, or, when
 * it has no user, here. */
static void bound_alone(struct client_tx *tx)
{
    if (!tx->user && tx->method == SIP_INVITE && tx->state == CLIENT_PROCEEDING && !tx->cancel_sent)
        end_in(tx, CLIENT_ALONE_MS);
}

void client_forget(struct client_tx *tx)
{
    if (!tx->user)
        return;
    tx->user = NULL;
    tx->self = NULL;
    bound_alone(tx);
}

/* ---- CANCEL and ACK -------------------------------------------------------- */

/* A transaction of its own, with the INVITE's branch (RFC 3261 9.1): it is found
 * through the INVITE's. */
static void send_cancel(struct client_tx *tx)
{
    struct buf out = buf_make(tx->t->scratch, DATAGRAM_MAX);
    struct span reason = tx->cancel_reason ? span_of(tx->cancel_reason) : SPAN_NONE;
    struct sip_message invite;
    struct sip_fault fault;
    struct client_tx *cancel;

    tx->cancel_sent = true;
    /* RFC 3261 9.1: without a final answer by then, it is over. */
    end_in(tx, SIP_T64_MS);
    if (sip_parse(kept_span(&tx->sent), &invite, &fault) != SIP_PARSED)
        return;
    sip_build_cancel(&out, &invite, reason);
    if (out.overflow)
        return;
    cancel = client_begin(tx->t, SIP_CANCEL, &tx->flow, 0, NULL, NULL, 0);
    if (cancel) {
        tx->cancel = cancel->handle;
        if (client_send(cancel, buf_done(&out)))
            return;
    }
    runtime_count(runtime_of(tx), COUNTER_OUT_OF_MEMORY);
    ports_send(runtime_of(tx)->ports, &tx->flow, buf_done(&out)); /* once, then */
}

void client_cancel(struct client_tx *tx, struct span reason)
{
    if (tx->method != SIP_INVITE || tx->cancel_wanted || tx->state > CLIENT_PROCEEDING)
        return;
    tx->cancel_wanted = true;
    if (reason.n)
        tx->cancel_reason = strndup(reason.p, reason.n); /* NULL: without, then */
    if (tx->state == CLIENT_PROCEEDING)
        send_cancel(tx);
}

void client_withdraw(struct client_tx *tx)
{
    if (tx->method != SIP_INVITE) {
        client_free(tx);
        return;
    }
    client_cancel(tx, SPAN_NONE);
    if (tx->state == CLIENT_CALLING)
        stop_again(tx);
    client_forget(tx);
}

/* RFC 3261 17.1.1.3: to where the INVITE went, and kept for the answer's copies. */
static void send_ack(struct client_tx *tx, const struct sip_message *response)
{
    struct buf out = buf_make(tx->t->scratch, DATAGRAM_MAX);
    struct sip_message invite;
    struct sip_fault fault;

    if (sip_parse(kept_span(&tx->sent), &invite, &fault) != SIP_PARSED)
        return;
    sip_build_ack(&out, &invite, response);
    if (out.overflow)
        return;
    ports_send(runtime_of(tx)->ports, &tx->flow, buf_done(&out));
    if (!kept_set(tx->t, &tx->ack, buf_done(&out)))
        runtime_count(runtime_of(tx), COUNTER_OUT_OF_MEMORY);
}

/* ---- responses ------------------------------------------------------------- */

/* True: it goes up to the user. */
static bool invite_response(struct client_tx *tx, const struct sip_message *response)
{
    int status = response->status;

    switch (tx->state) {
    case CLIENT_CALLING:
    case CLIENT_PROCEEDING:
        break;
    case CLIENT_ACCEPTED:
        return status >= 200 && status < 300;
    case CLIENT_COMPLETED:
        if (status >= 300 && tx->ack.p) {
            runtime_count(runtime_of(tx), COUNTER_RETRANSMIT_OUT);
            ports_send(runtime_of(tx)->ports, &tx->flow, kept_span(&tx->ack));
        }
        return false;
    case CLIENT_UNSENT:
        return false;
    }
    stop_again(tx);
    if (status < 200) {
        if (tx->state == CLIENT_CALLING) {
            tx->state = CLIENT_PROCEEDING;
            wheel_disarm(&runtime_of(tx)->wheel, &tx->end_timer); /* timer B */
            bound_alone(tx);
        }
        if (tx->cancel_wanted && !tx->cancel_sent)
            send_cancel(tx);
        return true;
    }
    if (status < 300) {
        tx->state = CLIENT_ACCEPTED;
        end_in(tx, SIP_T64_MS); /* timer M, RFC 6026 7.2 */
    } else {
        tx->state = CLIENT_COMPLETED;
        send_ack(tx, response);
        end_in(tx, flow_reliable(&tx->flow) ? 0 : SIP_T64_MS); /* timer D */
    }
    drop_sent(tx);
    return true;
}

static bool other_response(struct client_tx *tx, const struct sip_message *response)
{
    if (tx->state != CLIENT_CALLING && tx->state != CLIENT_PROCEEDING)
        return false;
    if (response->status < 200) {
        tx->state = CLIENT_PROCEEDING;
        return true;
    }
    tx->state = CLIENT_COMPLETED;
    stop_again(tx);
    drop_sent(tx);
    end_in(tx, flow_reliable(&tx->flow) ? 0 : SIP_T4_MS); /* timer K */
    return true;
}

/* RFC 3261 18.1.2: what bears another sent-by than we wrote is not for us. */
static bool is_our_sent_by(const struct client_tx *tx, const struct sip_via *via)
{
    struct address sent_by;

    return sip_host_address(via->host, &sent_by) && address_same_host(&sent_by, &tx->sent_by) &&
           (via->port ? via->port : SIP_PORT) == tx->sent_by.port;
}

/* RFC 3261 17.1.3: by branch and by the method of CSeq. */
static struct client_tx *client_match(struct transactions *t, const struct sip_message *response)
{
    struct sip_via via;
    struct sip_fault fault;
    struct branch branch;
    struct client_tx *tx;

    if (!sip_via_top(response, &via, &fault) || !branch_read(via.branch, &branch))
        return NULL;
    tx = client_get(t, branch.handle);
    if (!tx || tx->secret != branch.secret || !is_our_sent_by(tx, &via))
        return NULL;
    if (tx->method == SIP_INVITE && response->method == SIP_CANCEL)
        tx = client_get(t, tx->cancel);
    return tx && tx->method == response->method ? tx : NULL;
}

bool client_receive(struct transactions *t, const struct sip_message *response,
                    const struct flow *from)
{
    struct client_tx *tx = client_match(t, response);
    bool up;

    (void)from;
    if (!tx || tx->state == CLIENT_UNSENT)
        return false;
    up = tx->method == SIP_INVITE ? invite_response(tx, response) : other_response(tx, response);
    if (up) {
        tx->status = response->status;
        if (tx->user)
            tx->user->response(tx->self, tx, response);
    }
    return true;
}

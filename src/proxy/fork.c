/*
 * proxy/fork: see fork.h.
 *
 * Called by inbound.c, outbound.c and dialog.c to begin, then by the transactions
 * and the timers. Core thread; a fork ends itself, nobody waits for it.
 *
 *   OPEN ----first 2xx---------------------> WON      fork_pick_winner()
 *   OPEN ----6xx, the caller's CANCEL------> CLOSING  fork_close()
 *   CLOSING -first 2xx (a race)------------> WON      fork_pick_winner()
 *   OPEN, CLOSING -no branch is left-------> gone     fork_answer_best()
 *   WON -----no 2xx can come any more------> gone     fork_settle()
 */
#include "proxy/fork.h"

#include "proxy/best.h"
#include "proxy/branch.h"
#include "proxy/strip.h"
#include "sip/build.h"

/* RFC 4320 4.1: when a client of a non-INVITE has come to T2 with its copies. */
#define TRYING_AFTER_MS 3500

/* RFC 3326; this text is what phones look for to log no missed call. */
#define REASON_ELSEWHERE SPAN("SIP;cause=200;text=\"Call completed elsewhere\"")

static void fork_cancelled(void *self, struct server_tx *tx, const struct sip_message *cancel);

static const struct server_user fork_server_user = {.cancelled = fork_cancelled};

/* ---- life ------------------------------------------------------------------- */

static void fork_arm(struct fork *f)
{
    uint64_t due = f->turn_ms;

    if (f->trying_ms && (!due || f->trying_ms < due))
        due = f->trying_ms;
    if (due)
        wheel_arm(&f->proxy->rt->wheel, &f->timer, TIMER_FORK, due);
    else
        wheel_disarm(&f->proxy->rt->wheel, &f->timer);
}

/* NULL: no memory or room; the request is answered. */
static struct fork *fork_new(struct proxy *p, const struct sip_message *request,
                             const struct flow *from, const struct fork_order *order)
{
    struct handle handle = HANDLE_NONE;
    struct fork *f = slab_new(&p->forks, &handle);
    struct server_tx *tx =
        f ? server_begin(p->transactions, request, from, &fork_server_user, p) : NULL;

    if (!tx) {
        slab_free(&p->forks, handle);
        runtime_count(p->rt, COUNTER_OUT_OF_MEMORY);
        server_reject(p->rt, request, from, 503, NULL, SPAN_NONE);
        return NULL;
    }
    f->proxy = p;
    f->handle = handle;
    f->server = tx->handle;
    f->order = *order;
    f->method = tx->request->method;
    f->state = FORK_OPEN;
    arena_init(&f->arena);
    tx->owner = handle_pack(handle);
    if (f->method == SIP_INVITE) /* at once: RFC 3261 16.2 */
        server_reply(tx, 100, NULL, SPAN_NONE);
    else
        f->trying_ms = p->rt->now_ms + TRYING_AFTER_MS;
    fork_arm(f);
    return f;
}

static void fork_free(struct fork *f)
{
    struct proxy *p = f->proxy;
    struct server_tx *server = server_get(p->transactions, f->server);

    if (server)
        server_forget(server);
    for (struct branch *b = f->branches; b; b = b->next)
        branch_forget(b);
    wheel_disarm(&p->rt->wheel, &f->timer);
    arena_fini(&f->arena);
    slab_free(&p->forks, f->handle);
}

/* A branch in its place by q, behind those of the same q. NULL: no memory. */
static struct branch *fork_add_branch(struct fork *f, uint16_t q)
{
    struct branch *b = arena_alloc(&f->arena, sizeof *b);
    struct branch **at = &f->branches;

    if (!b) {
        f->no_memory = true;
        return NULL;
    }
    memset(b, 0, sizeof *b);
    b->fork = f;
    b->q = q;
    while (*at && (*at)->q >= q)
        at = &(*at)->next;
    b->next = *at;
    *at = b;
    return b;
}

static bool fork_has(const struct fork *f, enum branch_state state)
{
    for (const struct branch *b = f->branches; b; b = b->next)
        if (b->state == state)
            return true;
    return false;
}

/* ---- answers ---------------------------------------------------------------- */

/* Sends a response back as it came, without our Via (16.7 steps 3 and 9). */
static void fork_pass_back(struct fork *f, const struct sip_message *response)
{
    struct server_tx *server = server_get(f->proxy->transactions, f->server);
    struct buf out = buf_make(f->proxy->message, DATAGRAM_MAX);

    if (!server)
        return;
    sip_forward_response(&out, response);
    if (!out.overflow)
        server_respond(server, response->status, buf_done(&out));
}

static void keep_challenges(struct fork *f, const struct branch *b,
                            const struct sip_message *response)
{
    struct buf lines = buf_make(f->proxy->fields, DATAGRAM_MAX);
    struct fork_challenge *c = arena_alloc(&f->arena, sizeof *c);

    for (unsigned i = 0; i < response->header_count; i++) {
        const struct sip_header *h = &response->header[i];

        if (h->id == SIP_H_WWW_AUTHENTICATE || h->id == SIP_H_PROXY_AUTHENTICATE)
            buf_span(&lines, h->line);
    }
    if (!c || lines.overflow)
        return;
    *c = (struct fork_challenge){f->challenges, arena_copy(&f->arena, buf_done(&lines)), b};
    f->challenges = c;
}

/* A final answer other than 2xx; `response` NULL: one of our own making. */
static void fork_note_failure(struct fork *f, struct branch *b, int status,
                              const struct sip_message *response)
{
    struct buf out = buf_make(f->proxy->message, DATAGRAM_MAX);
    struct span text = SPAN_NONE;

    if (response && best_is_challenge(status))
        keep_challenges(f, b, response);
    if (!best_prefers(status, f->best.status))
        return;
    if (response) {
        sip_forward_response(&out, response);
        if (!out.overflow)
            text = arena_copy(&f->arena, buf_done(&out));
    }
    f->best = (struct fork_best){status, text, response ? response->body.n : 0, b};
}

/* The best answer with the challenges of all other branches: 16.7 step 7. */
static struct span fork_with_challenges(struct fork *f)
{
    struct buf out = buf_make(f->proxy->message, DATAGRAM_MAX);
    size_t head = f->best.text.n - f->best.body_n - 2; /* up to the empty line */

    buf_put(&out, f->best.text.p, head);
    for (const struct fork_challenge *c = f->challenges; c; c = c->next)
        if (c->from != f->best.from)
            buf_span(&out, c->lines);
    buf_put(&out, f->best.text.p + head, f->best.text.n - head);
    return out.overflow ? f->best.text : buf_done(&out);
}

/* All branches have failed: 16.7 step 6. */
static void fork_answer_best(struct fork *f)
{
    struct server_tx *server = server_get(f->proxy->transactions, f->server);
    int best = f->best.status;
    int sent = best_sent(best, f->order.call);

    if (!server)
        return;
    if (f->caller_gone && best < 600) /* what it waits for: RFC 3261 9.2, 16.10 */
        server_reply(server, 487, NULL, SPAN_NONE);
    else if (best == 0) /* no branch was ever sent */
        server_reply(server, f->no_memory ? 503 : 480, NULL, SPAN_NONE);
    else if (f->best.text.n == 0 || sent != best)
        server_reply(server, sent, NULL, SPAN_NONE);
    else if (best_is_challenge(best))
        server_respond(server, best, fork_with_challenges(f));
    else
        server_respond(server, best, f->best.text);
}

/* ---- branches --------------------------------------------------------------- */

static void fork_start_branch(struct fork *f, struct branch *b, const struct server_tx *server)
{
    switch (branch_start(b, server)) {
    case BRANCH_SENT:
        if (f->order.call && f->method == SIP_INVITE)
            runtime_count(f->proxy->rt, COUNTER_BRANCHES);
        break;
    case BRANCH_NO_TARGET:
        break;
    case BRANCH_TOO_BIG:
        fork_note_failure(f, b, 513, NULL);
        break;
    case BRANCH_NO_MEMORY:
        f->no_memory = true;
        runtime_count(f->proxy->rt, COUNTER_OUT_OF_MEMORY);
        break;
    }
}

/* Starts the waiting branches of the highest q, and the clock for those below. */
static void fork_start_group(struct fork *f)
{
    struct proxy *p = f->proxy;
    struct server_tx *server = server_get(p->transactions, f->server);
    struct branch *b = f->branches;

    while (b && b->state != BRANCH_WAITING)
        b = b->next;
    f->starting = true;
    for (uint16_t q = b ? b->q : 0; server && b && b->q == q; b = b->next)
        if (b->state == BRANCH_WAITING)
            fork_start_branch(f, b, server);
    f->starting = false;
    f->turn_ms = 0;
    if (server && fork_has(f, BRANCH_WAITING))
        f->turn_ms = p->rt->now_ms + p->config->fork_timeout_ms;
    fork_arm(f);
}

/* Cancels what has no final answer yet: 16.7 step 10, 16.10. */
static void fork_cancel_branches(struct fork *f, struct span reason)
{
    f->turn_ms = 0;
    fork_arm(f);
    if (f->method != SIP_INVITE) /* RFC 3261 9.1: nothing else is cancelled */
        return;
    for (struct branch *b = f->branches; b; b = b->next)
        branch_cancel(b, reason);
}

/* Nothing new starts, all that runs is cancelled. Not where somebody has won. */
static void fork_close(struct fork *f, struct span reason)
{
    if (f->state != FORK_OPEN)
        return;
    f->state = FORK_CLOSING;
    fork_cancel_branches(f, reason);
}

/*
 * Picks the winner of a fork: the branch whose 2xx is the first to arrive. True:
 * it is this one; the others are cancelled. False: there is a winner already, a
 * second 2xx was on its way when the cancel was (its caller will say BYE).
 */
static bool fork_pick_winner(struct fork *f, struct branch *b)
{
    if (f->winner)
        return false;
    f->winner = b;
    f->state = FORK_WON;
    fork_cancel_branches(f, REASON_ELSEWHERE);
    return true;
}

/*
 * After every event: is there more to try, or is it time to answer, or to end?
 * Frees the fork where it ends.
 */
static void fork_settle(struct fork *f)
{
    if (f->starting || fork_has(f, BRANCH_RUNNING))
        return;
    while (f->state == FORK_OPEN && fork_has(f, BRANCH_WAITING) &&
           server_get(f->proxy->transactions, f->server)) {
        fork_start_group(f);
        if (fork_has(f, BRANCH_RUNNING))
            return;
    }
    if (f->state == FORK_WON) {
        if (f->method == SIP_INVITE && fork_has(f, BRANCH_FINAL))
            return; /* a 2xx may be repeated until timer M: RFC 6026 */
    } else {
        fork_answer_best(f);
    }
    fork_free(f);
}

/* ---- what the transactions tell --------------------------------------------- */

static struct fork *fork_of(struct proxy *p, uint64_t owner)
{
    return slab_get(&p->forks, handle_unpack(owner));
}

static struct branch *branch_of(const struct fork *f, const struct client_tx *tx)
{
    for (struct branch *b = f ? f->branches : NULL; b; b = b->next)
        if (b->state != BRANCH_WAITING && handle_pack(b->client) == handle_pack(tx->handle))
            return b;
    return NULL;
}

static void fork_on_provisional(struct fork *f, struct branch *b,
                                const struct sip_message *response)
{
    if (response->status == 100) /* 16.7 step 5 */
        return;
    branch_extend(b);
    fork_pass_back(f, response);
}

static void fork_on_success(struct fork *f, struct branch *b, const struct sip_message *response)
{
    if (f->method != SIP_INVITE && f->winner)
        return;
    b->state = BRANCH_FINAL;
    wheel_disarm(&f->proxy->rt->wheel, &b->timer);
    fork_pass_back(f, response); /* each 2xx of an INVITE: 16.7 step 5 */
    if (fork_pick_winner(f, b) && f->order.call && f->method == SIP_INVITE)
        runtime_count(f->proxy->rt, COUNTER_ANSWERED);
    if (f->method != SIP_INVITE) /* the others' answers are of no use any more */
        fork_free(f);
    else
        fork_settle(f);
}

static void fork_on_failure(struct fork *f, struct branch *b, int status,
                            const struct sip_message *response)
{
    char reason[32];
    struct buf text = buf_make(reason, sizeof reason);

    fork_note_failure(f, b, status, response);
    b->state = BRANCH_FINAL;
    branch_forget(b);
    if (status >= 600) { /* 16.7 step 5 */
        buf_lit(&text, "SIP;cause=");
        buf_u64(&text, (uint64_t)status);
        fork_close(f, buf_done(&text));
        if (f->method != SIP_INVITE) { /* nothing to cancel, so nothing to wait for */
            fork_answer_best(f);
            fork_free(f);
            return;
        }
    }
    fork_settle(f);
}

/* Without a Via behind ours it must not be forwarded (RFC 3261 16.7 step 3). */
static bool is_for_nobody(const struct sip_message *response)
{
    const struct sip_header *via = sip_first(response, SIP_H_VIA);

    return response->via_rest.n == 0 && (!via || !via->next);
}

static void fork_response(void *self, struct client_tx *tx, const struct sip_message *response)
{
    struct proxy *p = self;
    struct fork *f = fork_of(p, tx->owner);
    struct branch *b = branch_of(f, tx);
    struct sip_message clean;

    if (!b)
        return;
    branch_note_cancel(b, tx);
    if (f->order.to_phones)
        response = strip_phone_message(p->config, response, p->clean, &clean);
    if (!response)
        return; /* the transaction's end will count as no answer */
    bool lost = is_for_nobody(response);

    if (response->status < 200) {
        if (!lost)
            fork_on_provisional(f, b, response);
    } else if (lost)
        fork_on_failure(f, b, 502, NULL);
    else if (response->status < 300)
        fork_on_success(f, b, response);
    else
        fork_on_failure(f, b, response->status, response);
}

/* What a branch without a final answer counts as: 408 (16.8, 17.1.1.2), or the
 * 487 that a caller who cancelled waits for; where its connection has closed, 430
 * of a phone (RFC 5626 5.3) and 503 of an upstream (16.9). */
static int silence_status(const struct fork *f, const struct client_tx *tx)
{
    if (f->caller_gone)
        return 487;
    if (flow_alive(f->proxy->rt->ports, &tx->flow))
        return 408;
    return f->order.to_phones ? 430 : 503;
}

/* A branch times out, or ends. */
static void fork_no_answer(void *self, struct client_tx *tx)
{
    struct proxy *p = self;
    struct fork *f = fork_of(p, tx->owner);
    struct branch *b = branch_of(f, tx);

    if (!b)
        return;
    branch_note_cancel(b, tx);
    if (f->state == FORK_OPEN && branch_falls_back(b, tx)) {
        fork_start_group(f);
        fork_settle(f);
        return;
    }
    if (b->state == BRANCH_RUNNING) {
        fork_on_failure(f, b, silence_status(f, tx), NULL);
        return;
    }
    b->state = BRANCH_GONE;
    fork_settle(f);
}

/* The caller's CANCEL: 16.10; its Reason goes on to the phones (RFC 3326). */
static void fork_cancelled(void *self, struct server_tx *tx, const struct sip_message *cancel)
{
    struct fork *f = fork_of(self, tx->owner);

    if (!f)
        return;
    struct buf reasons = buf_make(f->proxy->fields, DATAGRAM_MAX);

    for (const struct sip_header *h = sip_first(cancel, SIP_H_REASON); h; h = sip_next(cancel, h)) {
        if (reasons.n)
            buf_lit(&reasons, ", ");
        buf_span(&reasons, h->value);
    }
    f->caller_gone = true;
    fork_close(f, buf_done(&reasons));
    fork_settle(f);
}

const struct client_user fork_branch_user = {
    .response = fork_response,
    .timeout = fork_no_answer,
    .ended = fork_no_answer,
};

/* ---- timers ----------------------------------------------------------------- */

static void fork_fire(void *self, struct timer *t)
{
    struct fork *f = (struct fork *)((char *)t - offsetof(struct fork, timer));
    struct proxy *p = self;
    struct server_tx *server = server_get(p->transactions, f->server);

    if (f->trying_ms && p->rt->now_ms >= f->trying_ms) {
        f->trying_ms = 0;
        if (server)
            server_reply(server, 100, NULL, SPAN_NONE);
    }
    if (f->turn_ms && p->rt->now_ms >= f->turn_ms) { /* fork-timeout: those before ring on */
        fork_start_group(f);
        fork_settle(f);
    } else {
        fork_arm(f);
    }
}

/* Timer C: 16.8. The CANCEL brings a final answer, or the branch times out. */
static void fork_timer_c(void *self, struct timer *t)
{
    struct proxy *p = self;
    struct branch *b = (struct branch *)((char *)t - offsetof(struct branch, timer));

    if (b->timer_c_ms > p->rt->now_ms)
        wheel_arm(&p->rt->wheel, t, TIMER_BRANCH, b->timer_c_ms);
    else
        branch_cancel(b, SPAN_NONE);
}

/* ---- the room's side -------------------------------------------------------- */

void forks_init(struct proxy *p)
{
    slab_init(&p->forks, sizeof(struct fork), FORKS_MAX);
    wheel_handler(&p->rt->wheel, TIMER_FORK, fork_fire, p);
    wheel_handler(&p->rt->wheel, TIMER_BRANCH, fork_timer_c, p);
}

void forks_fini(struct proxy *p)
{
    struct handle h = HANDLE_NONE;
    struct fork *f;

    while ((f = slab_next(&p->forks, h.slot, &h)))
        fork_free(f);
    slab_fini(&p->forks);
}

void fork_to_bindings(struct proxy *p, const struct sip_message *request, const struct flow *from,
                      const struct fork_order *order)
{
    const struct aor *a = location_find(p->location, order->token.aor_hash);
    struct fork *f = fork_new(p, request, from, order);

    if (!f)
        return;
    for (const struct binding *b = a ? aor_first(a) : NULL; b; b = aor_next(a, b)) {
        uint16_t q = order->at_once ? 0 : b->q;
        struct branch *branch = binding_live(b, p->rt->now_ms) ? fork_add_branch(f, q) : NULL;

        if (branch)
            branch->binding_id = b->id;
    }
    fork_settle(f);
}

bool fork_join(struct proxy *p, struct handle fork, uint32_t binding_id)
{
    struct fork *f = slab_get(&p->forks, fork);
    struct server_tx *server = f ? server_get(p->transactions, f->server) : NULL;
    struct branch *joined;

    if (!server || f->state != FORK_OPEN || !f->order.call)
        return false;
    for (const struct branch *b = f->branches; b; b = b->next)
        if (b->binding_id == binding_id)
            return false;
    joined = fork_add_branch(f, 0);
    if (!joined)
        return false;
    joined->binding_id = binding_id;
    fork_start_branch(f, joined, server);
    fork_settle(f);
    return true;
}

void fork_to_flow(struct proxy *p, const struct sip_message *request, const struct flow *from,
                  const struct fork_order *order, const struct flow *to)
{
    struct fork *f = fork_new(p, request, from, order);
    struct branch *branch = f ? fork_add_branch(f, 0) : NULL;

    if (branch)
        branch->flow = *to;
    if (f)
        fork_settle(f);
}

/* Who serves its caller now, if that is another one that is up. A stranger's request was
 * let pass to one that challenges him, and to no other. */
static struct upstream *other_upstream(const struct fork *f, const struct upstream *gone)
{
    const struct flow_token *token = &f->order.token;
    struct proxy *p = f->proxy;
    const struct aor *a = location_find(p->location, token->aor_hash);
    struct upstream *u;

    if (!f->order.movable || f->state != FORK_OPEN || !a || !token->binding_id ||
        &p->upstreams->list[token->upstream] != gone)
        return NULL;
    u = upstreams_of(p->upstreams, aor_text(a), a->hash);
    return u != gone && upstream_is_up(u) ? u : NULL;
}

void forks_divert(struct proxy *p, const struct upstream *gone)
{
    struct handle h;
    struct fork *f;

    for (uint32_t slot = 0; (f = slab_next(&p->forks, slot, &h)); slot = h.slot + 1) {
        struct upstream *u = f->branches ? other_upstream(f, gone) : NULL;

        if (!u || !branch_divert(f->branches, &u->flow))
            continue;
        f->order.token.upstream = (uint8_t)(u - p->upstreams->list);
        fork_start_group(f);
        fork_settle(f);
    }
}

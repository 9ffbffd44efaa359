/*
 * proxy/fork: the response context of one request that is sent on.
 *
 * One or many branches; the first 2xx wins, otherwise the best answer goes back.
 * Requests within a dialog and calls of phones are forks with one branch. A fork
 * knows its server transaction and its branches' client transactions by handle
 * only and looks them up each time. Core thread only. RFC 3261 16.6 to 16.10.
 */
#ifndef MIDREG_PROXY_FORK_H
#define MIDREG_PROXY_FORK_H

#include "base/arena.h"
#include "proxy/inside.h"
#include "proxy/routes.h"
#include "transaction/client.h"
#include "transaction/server.h"

/* How a request goes on. Plain values: kept for the branches that start later. */
struct fork_order {
    bool to_phones;   /* else up */
    bool call;        /* an upstream's call to an AOR: counted */
    bool at_once;     /* all bindings at once, whatever their q */
    bool drop_routes; /* no Route of the sender's is passed on */
    bool movable;     /* up, outside of dialogs: whoever serves the caller may have it */
    struct routes routes;
    struct flow_token token; /* who is on both sides; `leg_id` is chosen here, and with
                                fork_to_bindings() also binding and flow */
    uint32_t loop_hash;
    uint32_t max_forwards; /* to be written */
};

enum fork_state {
    FORK_OPEN,    /* further groups may start */
    FORK_CLOSING, /* a 6xx or the caller's CANCEL: all cancelled, nothing new starts */
    FORK_WON,     /* a 2xx went back: all others cancelled; more 2xx may follow */
};

struct branch;

/* The best final answer but a 2xx so far, as it would go back. */
struct fork_best {
    int status;       /* 0: none yet */
    struct span text; /* empty: one of our own making */
    size_t body_n;    /* how much of `text` is body */
    const struct branch *from;
};

/* Challenges of one 401 or 407 (RFC 3261 16.7 step 7). */
struct fork_challenge {
    struct fork_challenge *next;
    struct span lines; /* whole fields with CRLF */
    const struct branch *from;
};

struct fork {
    struct proxy *proxy;
    struct handle handle;
    struct handle server;
    struct arena arena; /* branches and answers that are kept */
    struct timer timer; /* TIMER_FORK: the earlier one of the two below */
    uint64_t turn_ms;   /* the next group's turn; 0: none waits */
    uint64_t trying_ms; /* 100 is due, if nothing was answered until then; 0: no more */
    struct fork_order order;
    struct branch *branches; /* by falling q */
    struct branch *winner;
    struct fork_best best;
    struct fork_challenge *challenges;
    enum sip_method method;
    enum fork_state state;
    bool starting;    /* branches are being started: do not conclude anything yet */
    bool caller_gone; /* the caller sent CANCEL */
    bool no_memory;   /* a branch could not be made for lack of memory */
};

/* Registers the timers of forks and branches. */
void forks_init(struct proxy *p);
void forks_fini(struct proxy *p);

/* The user of branches' client transactions; its `self` is the proxy. */
extern const struct client_user fork_branch_user;

/*
 * Sends a request to all live bindings of the AOR order->token.aor_hash, by q:
 * equal ones at once, the next when those before failed or, at the latest, after
 * fork-timeout. Begins the server transaction and answers it, whatever happens.
 */
void fork_to_bindings(struct proxy *p, const struct sip_message *request, const struct flow *from,
                      const struct fork_order *order);

/*
 * A binding of the fork's AOR that came while the fork runs gets a branch at once,
 * whatever its q. Once per binding and call: false where it has one, and where the
 * fork is over or nobody new may start (a 2xx, a 6xx, the caller's CANCEL).
 */
bool fork_join(struct proxy *p, struct handle fork, uint32_t binding_id);

/* The same with one branch, over `to`; Request-URI as the Routes say. Up, a large
 * request may leave by a connection instead (upstream/stream.h). */
void fork_to_flow(struct proxy *p, const struct sip_message *request, const struct flow *from,
                  const struct fork_order *order, const struct flow *to);

/* This main registrar went: requests of registered phones that it has not answered in any
 * way go to the one that serves their callers now (RFC 3263 4.3). */
void forks_divert(struct proxy *p, const struct upstream *gone);

#endif

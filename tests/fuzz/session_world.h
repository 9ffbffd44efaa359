/*
 * session_world: the world of the session fuzzer: a clock that is set, a few
 * peers, what midreg sent to each of them, and the rules for what it may send.
 *
 * fuzz_session.c plays a script in it, session_talk.c writes the peers' messages.
 * One world per script, on one thread. Chance is a fixed sequence: the same script
 * does the same thing again. A broken rule aborts (CHECK).
 */
#ifndef MIDREG_TESTS_FUZZ_SESSION_WORLD_H
#define MIDREG_TESTS_FUZZ_SESSION_WORLD_H

#include "check.h"
#include "core.h"
#include "disk.h"
#include "sip/framer.h"

#define PEERS_FIXED  10
#define PEERS_OPENED 16 /* connections that midreg may open at a time */
#define PEERS        (PEERS_FIXED + PEERS_OPENED)
#define GOT_MAX      4

struct text {
    char *p; /* NULL: none */
    size_t n;
};

/* Somebody at the other end of a flow. */
struct peer {
    struct flow flow;   /* streams: of the connection that there is, or was last */
    struct address own; /* where others find it */
    const char *user;
    bool there;     /* is this place taken? */
    bool upstream;  /* what comes from it is the main registrar's word */
    bool spoke;     /* it has sent something */
    bool connected; /* streams */
    bool cut;       /* the connection is gone, and the core was not told yet */
    struct framer framer;

    struct text got[GOT_MAX]; /* requests but ACK that it was sent, the latest first */
    struct text answer;       /* the last response that it was sent */
    struct text latest;       /* the last message with a Contact, of either kind */
    struct text sent;         /* what it sent last */
    struct text invite;       /* the last INVITE that it sent */
    uint32_t cseq;            /* of what it sent last */
    char via[160];            /* likewise */
};

/* A REGISTER that went up. */
struct asked {
    uint64_t branch; /* hashed */
    uint64_t aor;
    unsigned accepted; /* how often the main registrar said 2xx */
};

/* A place that was told 200 for an AOR. */
struct told {
    uint64_t aor;
    struct flow to; /* without port: answers go where Via wants them */
};

#define ASKED_MAX    512
#define ANSWERED_MAX 64
#define EDGES_MAX    64
#define TOLD_MAX     128

/* An answer that the main registrar gives by itself. */
struct saying {
    struct peer *from;
    struct text text;
};

#define SAYINGS_MAX 64

/* What the main registrar does by itself. */
enum pbx_habit { PBX_SILENT, PBX_ACCEPTS, PBX_CHALLENGES };

struct session_world {
    struct core *core;
    const struct config *config;
    struct ports ports;
    struct peer peers[PEERS];
    uint64_t now_ms;
    uint64_t next_ms; /* what core_end() said */
    uint64_t random;
    uint32_t connections; /* numbers given out */
    uint32_t numbers;     /* for fresh branches and the like */
    enum pbx_habit habit;
    struct saying saying[SAYINGS_MAX]; /* answers that wait for the next turn */
    unsigned sayings;

    bool journal_held;
    bool store_behind;  /* the alarm is up: answers do not wait for the disk */
    struct span images; /* that are being written */
    struct disk disk;
    bool streams_refused;

    struct asked asked[ASKED_MAX];
    unsigned asked_count;
    struct told told[TOLD_MAX];
    unsigned told_count;
    struct address edges[EDGES_MAX]; /* of edge proxies that a phone registered through */
    unsigned edge_count;
    uint64_t answered[ANSWERED_MAX]; /* the last 200s to REGISTERs, hashed */
    unsigned answered_at;
    char contact[256]; /* our contact in the last REGISTER that went up */
    char token[256];   /* the user part of the last Record-Route */

    /* The message that is being handled. */
    struct {
        bool any;
        bool bad;
        bool request;
        bool from_upstream;
        enum sip_method method;
        struct flow flow;
        uint64_t branch; /* of the topmost Via, hashed */
        uint64_t caller; /* the AOR of From */
        bool in_dialog;  /* To has a tag */
    } in;
    unsigned sent_in_turn;
    uint64_t sent_count;
    bool traced; /* FUZZ_TRACE is set: who says what goes to stderr */
    char *room;  /* of datagram_reserve() */
};

void world_begin(struct session_world *w, const struct config *config);
/* Ends the core; nothing may be left behind. */
void world_end(struct session_world *w);

/* '0' to '9', 'T': midreg's connection to the main registrar, 'O': the last one
 * that it opened to anybody else. NULL: there is none. */
struct peer *world_peer(struct session_world *w, char letter);

/* The peer sends these bytes; on a stream they are cut into messages, and a new
 * connection is made where the old one has gone. */
void world_send(struct session_world *w, struct peer *p, struct span bytes);
/* The connection is gone; `told`: and the core hears of it now, not in a later turn. */
void world_cut(struct session_world *w, struct peer *p, bool told);
/* What was given to the journal is durable now. */
void world_release(struct session_world *w);
/* Time goes by, from deadline to deadline. */
void world_advance(struct session_world *w, uint64_t ms);

void text_set(struct text *t, struct span value);

static inline struct span text_span(const struct text *t)
{
    return span_make(t->p, t->n);
}

/* session_rules.c: whether midreg may send this at this moment; notes what the
 * rules need to know later. */
void rules_sent(struct session_world *w, const struct flow *to, struct span message);
/* A message is about to be handled. */
void rules_received(struct session_world *w, const struct peer *p, struct span message);
/* What must hold after every event. */
void rules_between(struct session_world *w);

#endif

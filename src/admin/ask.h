/*
 * admin/ask: what the admin thread asks of the core thread, and the queue between them.
 *
 * An ask belongs to whoever has it in his hands: the admin thread makes it and puts
 * it in, the core takes it, puts it back when it needs another turn, and gives it
 * back answered. Nobody waits for anybody: each side has a descriptor that is
 * readable while something is there. Bounded. Any function that names no thread may
 * be called on both.
 */
#ifndef MIDREG_ADMIN_ASK_H
#define MIDREG_ADMIN_ASK_H

#include "admin/facts.h"
#include "base/arena.h"

#define ASKS_MAX 64

enum ask_kind {
    ASK_FACTS,
    ASK_LIST,
    ASK_SHOW,
    ASK_KICK,
    ASK_RELOAD,      /* of an upstream, or of all */
    ASK_RELOAD_STOP, /* likewise */
    ASK_RELOAD_AOR,
};

enum ask_result {
    ASK_DONE,
    ASK_BAD_AOR,     /* the text is none */
    ASK_NO_AOR,      /* nobody is registered there */
    ASK_NO_CONTACT,  /* the AOR has no such contact */
    ASK_NO_UPSTREAM, /* there is none of this name */
    ASK_DOWN,        /* the upstream does not answer */
    ASK_RUNNING,     /* a reload of it is running */
    ASK_NO_MEMORY,
};

struct ask {
    struct ask *next;
    void *user; /* the admin thread's */
    struct arena arena;
    enum ask_kind kind;
    bool given_up; /* nobody waits for it any more; under the lock */

    /* The question; texts lie in the arena. */
    struct span text;     /* ASK_LIST: to be found, in lower case, or empty; else an AOR as people
                             write it */
    struct span contact;  /* ASK_KICK; p NULL: all */
    uint64_t after;       /* ASK_LIST: 0, or of the page before */
    unsigned limit;       /* ASK_LIST */
    struct span upstream; /* ASK_RELOAD, ASK_RELOAD_STOP: its name; p NULL: all */
    uint32_t rate;        /* ASK_RELOAD: at most so many a second; 0: as the pacer lets them */
    bool dry;             /* ASK_RELOAD: only counts */

    /* The core's while it works on it. */
    uint64_t since_us; /* it was begun; 0: it was not */
    uint64_t sequence; /* ASK_KICK: what must be durable */

    /* The answer. */
    enum ask_result result;
    struct facts *facts;     /* ASK_FACTS, and what is done with reloads */
    struct facts_page *page; /* ASK_LIST, ASK_SHOW: one, or none */
    unsigned kicked;
};

struct ask *ask_new(enum ask_kind kind);
/* NULL is fine. */
void ask_free(struct ask *a);

struct asks;

/* NULL: the system refuses. */
struct asks *asks_new(void);
/* Both threads are through with it. What is in it is freed. NULL is fine. */
void asks_free(struct asks *q);

/* ---- the admin thread ---- */

/* False: too many are there already. */
bool asks_put(struct asks *q, struct ask *a);
/* The next one that is answered; NULL: none. */
struct ask *asks_next_answered(struct asks *q);
/* Becomes readable when one is. */
int asks_answered_fd(const struct asks *q);
/* Waits no longer for it: it may not be touched any more. */
void asks_give_up(struct asks *q, struct ask *a);

/* ---- the core thread ---- */

/* The next one to work on; NULL: none. */
struct ask *asks_take(struct asks *q);
/* It needs more time: behind the others. */
void asks_put_back(struct asks *q, struct ask *a);
void asks_answer(struct asks *q, struct ask *a);
/* Readable while asks_take() would give one. */
int asks_fd(const struct asks *q);

#endif

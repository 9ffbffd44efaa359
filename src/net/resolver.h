/*
 * net/resolver: finds out where a host name leads, in the loop of the core thread.
 *
 * RFC 3263 4 for SIP over UDP: with a port the name's A and AAAA records; without one
 * the SRV records that its NAPTR records lead to, or those of _sip._udp.NAME, and their
 * targets' addresses, or, where there are none, the name's own and port 5060. The hosts
 * file counts. Never blocks, never calls
 * back from resolver_ask(). Core thread only. Design 8, 12.
 */
#ifndef MIDREG_NET_RESOLVER_H
#define MIDREG_NET_RESOLVER_H

#include "base/resolved.h"
#include "config/config.h"
#include "net/loop.h"
#include "net/naptr.h"
#include "net/srv.h"

/* Each asker has a number of its own below this. */
#define RESOLVER_ASKERS  CONFIG_UPSTREAMS_MAX
#define RESOLVER_SOCKETS 16

/* What is believed at least, and at most. */
#define RESOLVER_TTL_MIN_S 5
#define RESOLVER_TTL_MAX_S 3600

struct resolver_settings {
    struct address server; /* who is asked; family ADDRESS_NONE: as resolv.conf says */
    bool ip4, ip6;         /* addresses that are of use */
    uint32_t try_ms;       /* the first wait for an answer; a second try takes twice that */
    uint32_t within_ms;    /* what is not known by then is not found out */
};

struct resolver_handler {
    void *self;
    /* In resolver_turn(). */
    void (*resolved)(void *self, unsigned asker, const struct resolved *answer);
    /* A number from 0 to below - 1. */
    uint32_t (*chance)(void *self, uint32_t below);
};

struct resolver;
struct ares_channeldata;

struct resolver_socket {
    struct watch watch; /* fd < 0: not used */
    struct resolver_ask *ask;
};

/*
 *   IDLE --resolver_ask()---------------------------> WANTED
 *   WANTED --resolver_turn()------------------------> ASKING   begin()
 *   ASKING --the last answer, or too late-----------> DONE     finish()
 *   DONE --resolver_turn(): the asker is told-------> IDLE     tell()
 */
enum resolver_state { RESOLVER_IDLE, RESOLVER_WANTED, RESOLVER_ASKING, RESOLVER_DONE };

struct resolver_ask {
    struct resolver *resolver;
    enum resolver_state state;
    const char *name;
    uint16_t port; /* 0: NAPTR and SRV */
    uint64_t until_ms;
    struct ares_channeldata *channel; /* one for each question: resolv.conf is read anew */
    struct resolver_socket sockets[RESOLVER_SOCKETS];
    struct naptr_list services;
    uint64_t naptr_until_ms; /* they are not waited for longer; 0: nobody waits */
    unsigned service;        /* whose SRV records are asked for; `services.count`: the name's own */
    bool had_services;       /* when its NAPTR records were known last, there were some */
    struct srv_list targets;
    unsigned target; /* whose addresses are asked for; `targets.count`: the name's own */
    bool failed;     /* nobody who knew answered one of the questions */
    struct resolved answer;
    struct resolved last; /* what was found last */
};

struct resolver {
    struct resolver_settings settings;
    struct resolver_handler handler;
    struct loop *loop;
    unsigned busy; /* asks that are not IDLE */
    struct resolver_ask asks[RESOLVER_ASKERS];
};

/* The settings that midreg runs with. */
struct resolver_settings resolver_settings_of(const struct config *c);

/* False: the library cannot be used. `loop` outlives it. */
bool resolver_init(struct resolver *r, struct loop *loop, const struct resolver_settings *settings,
                   const struct resolver_handler *handler);
void resolver_fini(struct resolver *r);

/* Asks, unless it is being asked: the handler is told once what came of it. `name`, no
 * longer than a host name may be, stays as it is until then; `port` 0: NAPTR and SRV. */
void resolver_ask(struct resolver *r, unsigned asker, const char *name, uint16_t port);

/* Once in each turn, after what became ready: begins, gives up, tells. */
void resolver_turn(struct resolver *r, uint64_t now_ms);
/* When the next turn must happen at the latest; UINT64_MAX: none. */
uint64_t resolver_next_ms(const struct resolver *r, uint64_t now_ms);

/* Was this address in what this asker was told last? */
bool resolver_told(const struct resolver *r, unsigned asker, const struct address *a);

#endif

/*
 * proxy/proxy: everything that is not a REGISTER.
 *
 * proxy_receive() is the dispatch: who sent it, what is it for, where does it
 * go. Calls from an upstream to our contact fork (fork.h); calls from phones go
 * up; requests within a dialog follow their flow token (token.h). Core thread
 * only. Design section 4, RFC 3261 16.
 */
#ifndef MIDREG_PROXY_PROXY_H
#define MIDREG_PROXY_PROXY_H

#include "config/config.h"
#include "location/location.h"
#include "upstream/upstream.h"

struct proxy;

struct proxy_parts {
    struct runtime *rt;
    const struct config *config;
    const struct location *location;
    struct transactions *transactions;
    struct upstreams *upstreams;
};

/* NULL: no memory. Registers its timers. */
struct proxy *proxy_new(const struct proxy_parts *parts);
void proxy_free(struct proxy *p);

/* A request other than REGISTER that matches no running server transaction
 * (ACKs for 2xx among them). */
void proxy_receive(struct proxy *p, const struct sip_message *request, const struct flow *from);

/* A phone has registered anew, and its 200 is on its way: it gets what it missed. */
void proxy_binding_added(struct proxy *p, uint64_t aor_hash, uint32_t binding_id);
/* The AOR has gone, or the main registrar has forgotten it: what that one told its
 * phones it will tell again. */
void proxy_aor_left(struct proxy *p, uint64_t aor_hash);

/* Could the phone of this binding be called now? */
bool proxy_reaches(const struct proxy *p, const struct binding *b);

/* Forks that are running; for checks. */
unsigned proxy_pending(const struct proxy *p);

#endif

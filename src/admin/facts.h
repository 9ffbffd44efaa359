/*
 * admin/facts: what the core answers, as copies: plain data, no pointer into the core.
 *
 * Made by desk.c on the core thread in the memory of the ask; read by view.c and
 * metrics.c on the admin thread.
 */
#ifndef MIDREG_ADMIN_FACTS_H
#define MIDREG_ADMIN_FACTS_H

#include "base/counters.h"
#include "config/config.h"
#include "location/record.h"
#include "net/world.h"
#include "registrar/reload.h"
#include "registrar/report.h"

struct facts_upstream {
    const char *name;
    const char *host;       /* the name that its address comes from; NULL: it is configured */
    struct address address; /* family ADDRESS_NONE: not known yet */
    struct address contact; /* ours, as it is told */
    enum upstream_openness openness;
    enum health_state state;
    uint64_t state_s; /* in this state since so many seconds */
    uint32_t rtt_ms;  /* of its last answered ping */
    bool lost;        /* it may have lost registrations that it has not got back */
    bool has_events;  /* an event socket is configured */
    bool events_up;   /* and connected */
    struct report_upstream registrar;
    struct reload reload; /* its timer means nothing */
    uint64_t reload_s;    /* so many seconds it has taken, or took */
};

/* All but the AORs. */
struct facts {
    struct counters counters;
    uint64_t world[WORLD_COUNTS];
    uint64_t aors;
    uint64_t bindings;
    uint64_t location_bytes;
    uint64_t transactions;
    uint64_t waiting; /* REGISTERs that wait or are on their way */
    bool kept;        /* there is a store */
    bool behind;      /* not everything is with the disk yet */
    bool alarm;       /* for too long */
    enum config_auth auth;
    unsigned upstreams;
    struct facts_upstream upstream[CONFIG_UPSTREAMS_MAX];
};

/* What report_lease() says of a lease. */
struct facts_lease {
    const char *upstream;
    enum report_action action;
    uint64_t action_ms;
};

/* A record as it was. A binding that cannot be reached has BINDING_UNREACHABLE. */
struct facts_aor {
    struct facts_aor *next;
    struct aor *record;        /* its timer means nothing */
    struct facts_lease *lease; /* of each of its leases (aor_lease()); the first one's
                                  upstream is its home */
};

struct facts_page {
    uint64_t now_ms; /* the core's clock, which the records' times are of */
    struct facts_aor *first;
    struct facts_aor *last;
    unsigned count;
    bool more;      /* there may be more behind: */
    uint64_t after; /* where the next page begins */
};

#endif

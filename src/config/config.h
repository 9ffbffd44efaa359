/*
 * config/config: what the operator configured, checked and complete.
 *
 * config_load() reads a libconfig file against one option table (options.c);
 * every mistake is told with file, line and remedy. The result is const. Not
 * used by handlers except to read. Main thread only. Design section 13.
 */
#ifndef MIDREG_CONFIG_CONFIG_H
#define MIDREG_CONFIG_CONFIG_H

#include "base/address.h"

#include <stdio.h>

#define CONFIG_LISTENERS_MAX 16
#define CONFIG_DOMAINS_MAX   256
#define CONFIG_UPSTREAMS_MAX 16
#define CONFIG_STRIP_MAX     32
#define CONFIG_ALIASES_MAX   256
#define CONFIG_SOURCES_MAX   32
/* Listen addresses of an upstream's own. */
#define CONFIG_UPSTREAM_LISTEN_MAX 8
#define CONFIG_ADMIN_MAX           8

enum config_auth { AUTH_UPSTREAM, AUTH_NONE };
enum config_mode { MODE_AOR };
enum config_policy { POLICY_HASH, POLICY_FAILOVER, POLICY_ALL };
enum config_store { STORE_MEMORY, STORE_SQLITE };
enum config_means { CONFIG_MEANS_AUTO, CONFIG_MEANS_ACL, CONFIG_MEANS_NONE };

struct config_listener {
    enum transport transport;
    struct address address;
};

/* An address, or all whose first `bits` bits are the same. */
struct config_network {
    struct address address;
    uint8_t bits;
};

/* FreeSWITCH's event socket; family ADDRESS_NONE: not used. */
struct config_event_socket {
    struct address address;
    char *password; /* one line; never logged */
    char *profile;  /* of mod_sofia, that our contacts are registered at: one word */
};

struct config_upstream {
    char *name;
    struct address address;    /* the main registrar; family ADDRESS_NONE: it has a name: */
    char *host;                /* lower case; NULL */
    uint16_t host_port;        /* 0: SRV records tell */
    struct address contact;    /* family ADDRESS_NONE: our address on the route to it */
    uint32_t rate;             /* REGISTERs a second to begin with; 0: unlimited */
    uint32_t rate_max;         /* it may climb to; below `rate`: it does not climb */
    uint32_t weight;           /* its share of the AORs beside others */
    uint64_t ping_interval_ms; /* 0: no pings */
    enum config_means means;
    bool challenges_calls; /* it challenges INVITEs: calls of any phone may pass */
    /* Where it may send from as well, from any port; on its own listeners alone. */
    struct config_network sources[CONFIG_SOURCES_MAX];
    unsigned source_count;
    struct config_listener own[CONFIG_UPSTREAM_LISTEN_MAX];
    unsigned own_count;
    uint32_t listeners; /* the bits of `own` in config.listen */
    struct config_event_socket event_socket;
};

/* A name that phones use for one of our domains. */
struct config_alias {
    char *name;   /* lower case, as in URIs */
    char *domain; /* lower case */
};

/* Who serves the identities of one domain. */
struct config_domain_policy {
    char *domain; /* lower case */
    enum config_policy policy;
};

/* Where the admin surface is reached. */
struct config_admin {
    char *path;             /* of a Unix socket; NULL: */
    struct address address; /* on loopback */
};

struct config {
    struct config_listener listen[CONFIG_LISTENERS_MAX];
    unsigned listen_count;
    uint32_t own_listeners;            /* bits: those that are an upstream's own, not phones' */
    struct address advertise;          /* family ADDRESS_NONE: by route; port 0: the listener's */
    char *domains[CONFIG_DOMAINS_MAX]; /* lower case */
    unsigned domain_count;             /* 0: every domain is served (loopback listeners only) */
    struct config_alias alias[CONFIG_ALIASES_MAX];
    unsigned alias_count;
    char *force_domain; /* lower case: what every domain of a phone stands for; NULL */
    enum config_mode mode;
    enum config_auth auth;
    bool allow_open_upstream;
    uint32_t phone_expires_s;
    uint32_t min_expires_s;
    uint32_t upstream_expires_s;
    uint32_t expires_jitter; /* percent */
    uint32_t max_contacts;
    uint64_t fork_timeout_ms;
    uint64_t timer_c_ms;
    uint64_t forward_timeout_ms;
    uint64_t forward_timeout_new_ms;
    uint64_t survive_max_ms;
    uint64_t retry_max_ms;
    uint64_t flow_grace_ms;
    char *strip_headers[CONFIG_STRIP_MAX]; /* "X-Foo"; a last '*' makes it a prefix */
    unsigned strip_count;
    char *state_dir;
    enum config_store store;
    char *store_path; /* NULL: "midreg.db" in the state directory */
    struct config_admin admin[CONFIG_ADMIN_MAX];
    unsigned admin_count;
    bool admin_chosen;       /* false: it is the default, without which midreg runs, too */
    struct address resolver; /* who is asked for names; family ADDRESS_NONE: the system's */
    enum log_verbosity { LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG } log_level;
    enum config_policy policy; /* of the domains that are not among these: */
    struct config_domain_policy domain_policy[CONFIG_DOMAINS_MAX];
    unsigned domain_policy_count;
    struct config_upstream upstream[CONFIG_UPSTREAMS_MAX];
    unsigned upstream_count;
};

/*
 * Reads and checks `path`. On success a new config. Otherwise NULL, and each
 * mistake is on `errors` as "FILE:LINE: what is wrong; what to do" ("FILE: ..."
 * where something is missing altogether).
 */
struct config *config_load(const char *path, FILE *errors);
/* The same from text; `name` stands for the file in messages. For tests. */
struct config *config_parse(const char *text, const char *name, FILE *errors);
void config_free(struct config *c);

/* Every option with its default and meaning, as a commented configuration. */
void config_print_defaults(FILE *out);

/* What phones are told of this local address: `advertise`, if it is set. */
void config_advertised(const struct config *c, struct address *local);

enum config_place {
    PLACE_GOOD,
    PLACE_OWN,           /* it is one of our own: midreg would register at itself */
    PLACE_BEYOND,        /* no udp: listener can send there */
    PLACE_BEYOND_LISTEN, /* none of the upstream's own can, which its contacts would name */
};

/* May this upstream be at that address? */
enum config_place config_place_of(const struct config *c, const struct config_upstream *up,
                                  const struct address *to);

/* Is the address, whatever its port, in that network? */
bool config_network_holds(const struct config_network *n, const struct address *a);

/* Is this host (any case) one of our domains, or an alias of one? */
bool config_serves(const struct config *c, struct span host);

/* The domain that this host (any case) stands for in an AOR: `force-domain`, the
 * domain of an alias, or the host itself. */
struct span config_domain(const struct config *c, struct span host);

/* Who serves the identities of this domain, as it stands in their AORs. */
enum config_policy config_policy_of(const struct config *c, struct span domain);
/* Is it the policy of any domain? */
bool config_may_policy(const struct config *c, enum config_policy policy);

#endif

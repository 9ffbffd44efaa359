/*
 * config/options: the one table of options.
 *
 * Parsing, the messages of `midreg check` and the output of `midreg defaults`
 * are all made from it: an option exists here or not at all. Used inside this
 * room only. Constant data; main thread.
 */
#ifndef MIDREG_CONFIG_OPTIONS_H
#define MIDREG_CONFIG_OPTIONS_H

#include "config/config.h"

enum option_type {
    OPTION_BOOL,      /* bool */
    OPTION_NUMBER,    /* uint32_t, from min to max */
    OPTION_SECONDS,   /* uint32_t, whole seconds; min and max in ms */
    OPTION_MILLIS,    /* uint64_t; min and max in ms */
    OPTION_CHOICE,    /* an enum: one of `choices` */
    OPTION_TEXT,      /* char *, not empty */
    OPTION_LINE,      /* char *, not empty, without control characters */
    OPTION_STORE,     /* config.store and store_path */
    OPTION_ADDRESS,   /* struct address; `port` where none is written */
    OPTION_PLACE,     /* config_upstream.address, or host and host_port */
    OPTION_LISTENERS, /* config.listen */
    OPTION_DOMAINS,   /* config.domains */
    OPTION_ALIASES,   /* config.alias */
    OPTION_POLICIES,  /* config.domain_policy */
    OPTION_DOMAIN,    /* char *: one domain */
    OPTION_HEADERS,   /* config.strip_headers */
    OPTION_UPSTREAMS, /* config.upstream */
    OPTION_ADMIN,     /* config.admin */
    OPTION_SOURCES,   /* config_upstream.sources */
    OPTION_OWN,       /* config_upstream.own */
    OPTION_EVENTS,    /* config_upstream.event_socket */
};

struct option_choice {
    const char *name; /* NULL ends the list */
    int value;        /* of the enum, or OPTION_NOT_BUILT */
};

#define OPTION_NOT_BUILT (-1)

struct option {
    const char *name;
    enum option_type type;
    uint16_t port;
    bool live;            /* a plain value that is read where it is needed: SIGHUP changes it */
    size_t field;         /* offset in struct config or struct config_upstream */
    const char *fallback; /* the default as one writes it in the file; NULL: none */
    const char *example;  /* where there is no default: what one could write */
    uint64_t min, max;
    const struct option_choice *choices;
    const char *meaning;
};

struct option_table {
    const struct option *options;
    unsigned count;
};

extern const struct option_table config_options;
/* The values of `policy`. */
extern const struct option_choice config_policies[];
/* What stands in each upstream = { NAME = { ... } }. */
extern const struct option_table config_upstream_options;
/* What stands in its event-socket = { ... }. */
extern const struct option_table config_event_options;

/* The option of this name, or NULL. */
const struct option *option_find(const struct option_table *table, const char *name);
/* The known option that `name` most likely means, or NULL. */
const struct option *option_nearest(const struct option_table *table, const char *name);

/* A duration as one writes it: "500ms", "2m", "1h". Milliseconds. */
struct duration_text {
    char text[24];
};
const char *duration_format(struct duration_text *room, uint64_t ms);

#endif

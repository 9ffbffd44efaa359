/*
 * config/reader: one reading of a configuration file.
 *
 * Carries what the steps of a reading share: read each setting by its row of
 * the option table (config.c, value.c), then look for contradictions between
 * them (check.c). Mistakes are told at once and counted. Used inside this room
 * only. Main thread.
 */
#ifndef MIDREG_CONFIG_READER_H
#define MIDREG_CONFIG_READER_H

#include "config/options.h"

#include <libconfig.h>

struct reader {
    struct config *config;
    const config_setting_t *root;
    const char *name; /* of the file, for messages */
    FILE *errors;
    unsigned mistakes;
};

/* Tells a mistake: "FILE:LINE: ...", or "FILE: ..." without a setting. */
void reader_mistake(struct reader *r, const config_setting_t *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Is this a host name (RFC 1123), or an IP address as it stands in a URI? */
bool reader_domain_valid(struct span text);

/* A copy in lower case, which the caller frees; NULL: no memory, which is told. */
char *reader_lower_copy(struct reader *r, struct span text);

/* Reads the setting by its row into the struct at `base`. */
void reader_value(struct reader *r, const struct option *o, config_setting_t *s, void *base);
/* Reads a host name with an optional port. False: it is none; nothing is told. */
bool reader_place(struct reader *r, const struct option *o, const config_setting_t *s,
                  struct config_upstream *up);
/* The lists. What was read before is replaced. */
void reader_listeners(struct reader *r, config_setting_t *s);
void reader_domains(struct reader *r, config_setting_t *s);
void reader_aliases(struct reader *r, config_setting_t *s);
void reader_domain_policies(struct reader *r, config_setting_t *s);
void reader_headers(struct reader *r, config_setting_t *s);
void reader_admin(struct reader *r, config_setting_t *s);
/* A group of options: first the table's defaults, then what stands there, into the struct
 * at `base`. `where` is for messages: " in upstream pbx". */
void reader_group(struct reader *r, const struct option_table *table, const config_setting_t *group,
                  const char *where, void *base);
/* The upstreams, each a group of its own options. */
void reader_upstreams(struct reader *r, config_setting_t *s);
/* An upstream's event-socket, a group again. */
void reader_event_socket(struct reader *r, const config_setting_t *s, struct config_upstream *up);

/* What an upstream has of its own: `sources` and `listen`. */
void reader_sources(struct reader *r, config_setting_t *s, struct config_upstream *up);
void reader_upstream_listen(struct reader *r, config_setting_t *s, struct config_upstream *up);
/* When all is read: the listen addresses of the upstreams become listeners. */
void reader_join_listeners(struct reader *r);

/* The strings of a list setting, one after the other. */
struct list_walk {
    struct reader *r;
    const config_setting_t *list;
    const char *name;
    const char *example;
    unsigned max;
    unsigned at;
};

/* False: it is no list, or too long. */
bool reader_list_begin(struct list_walk *w);
/* The next string, or NULL at the end; `element` is where it stands. */
const char *reader_list_next(struct list_walk *w, const config_setting_t **element);

/* Reads "udp:10.0.0.5:5060". */
bool reader_listener(struct reader *r, const config_setting_t *at, const char *text,
                     struct config_listener *out);
/* Would the second of these be refused by the system? */
bool reader_listeners_collide(const struct config_listener *a, const struct config_listener *b);

/* Contradictions between settings that are each right. */
void reader_check(struct reader *r);
/* Those between domains and what is said of them. */
void reader_check_aliases(struct reader *r);
void reader_check_policies(struct reader *r);

#endif

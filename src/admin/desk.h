/*
 * admin/desk: where the core answers what the admin thread asks.
 *
 * In slices: what takes long, a search through a million AORs, goes on turn by turn
 * between the messages, and never holds the core for longer than DESK_SLICE_US.
 * Core thread only.
 */
#ifndef MIDREG_ADMIN_DESK_H
#define MIDREG_ADMIN_DESK_H

#include "admin/ask.h"
#include "proxy/proxy.h"

/* Of one turn. */
#define DESK_SLICE_US 300
/* A page that is not full by then is given as it is: there may be more behind. */
#define DESK_PAGE_US 2000000
/* It is full, too, with so many bytes of records. */
#define DESK_PAGE_BYTES (1024 * 1024)

/* What it looks at; all of it outlives the desk. */
struct desk_parts {
    struct asks *asks;
    struct registrar *registrar;
    const struct proxy *proxy;
    const struct world *world; /* NULL: nothing is counted there (tests) */
};

struct desk {
    struct desk_parts at;
    const struct registrar_parts *core;
    struct ask *stored; /* answered when what they changed is durable */
};

void desk_init(struct desk *d, const struct desk_parts *parts);
void desk_fini(struct desk *d);

/* While asks_fd() is readable, once a turn. */
void desk_work(struct desk *d);
/* At the end of each turn. */
void desk_end_turn(struct desk *d);

#endif

/*
 * admin/admin: the admin surface of a running midreg.
 *
 * Made, told of turns and ended by run.c on the core thread; works on a thread of its
 * own (http.h), which never touches what is the core's (ask.h, desk.h).
 */
#ifndef MIDREG_ADMIN_ADMIN_H
#define MIDREG_ADMIN_ADMIN_H

#include "net/world.h"
#include "proxy/proxy.h"
#include "registrar/registrar.h"

#include <stdio.h>

struct admin;

/*
 * Opens the addresses of the option `admin`. What is the default and cannot be opened
 * is left out, and the log says so; what was chosen must be had: NULL, with one line
 * on `errors`. All parameters outlive it.
 */
struct admin *admin_open(const struct config *config, struct world *world,
                         struct registrar *registrar, const struct proxy *proxy, FILE *errors);
/* Starts to answer; before world_run(). False, with one line on `errors`: the system
 * refuses. */
bool admin_begin(struct admin *a, FILE *errors);
/* At the end of each turn. */
void admin_end_turn(struct admin *a);
/* NULL is fine. */
void admin_close(struct admin *a);

#endif

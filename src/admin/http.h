/*
 * admin/http: the admin thread: HTTP on all doors, and asks to the core.
 *
 * Started and ended on the core thread. While an ask is with the core its connection
 * is put aside, so that nobody waits for anybody; an ask that is not answered in time
 * gets 503.
 */
#ifndef MIDREG_ADMIN_HTTP_H
#define MIDREG_ADMIN_HTTP_H

#include "admin/ask.h"
#include "admin/door.h"

#define HTTP_ANSWER_MS 5000
/* On each door. */
#define HTTP_CONNECTIONS 64
/* A connection on which nothing moves is ended after. */
#define HTTP_IDLE_S 30

struct http;

/* Serves the doors, whose descriptors are the server's from now on. NULL: the system
 * refuses. */
struct http *http_new(struct door *doors, unsigned count, struct asks *asks);
/* Ends the thread and all connections. NULL is fine. */
void http_free(struct http *s);

#endif

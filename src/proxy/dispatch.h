/*
 * proxy/dispatch: the three ways a request may take after proxy.c has judged it.
 *
 * Each answers the request itself or sends it on. Core thread only.
 */
#ifndef MIDREG_PROXY_DISPATCH_H
#define MIDREG_PROXY_DISPATCH_H

#include "proxy/inside.h"
#include "proxy/inspect.h"

/* A request with all that is known about it. */
struct arrival {
    struct inspected request;
    const struct flow *from;
    struct upstream *sender; /* NULL: not an upstream, so a phone or a stranger */
    uint32_t loop_hash;
};

/* inbound.c: from an upstream, outside a dialog, to our contact or an AOR. */
void inbound_receive(struct proxy *p, const struct arrival *a);
/* outbound.c: from a phone, outside a dialog: up, if it may. */
void outbound_receive(struct proxy *p, const struct arrival *a);
/* dialog.c: with a To-tag: where its flow token says. */
void dialog_receive(struct proxy *p, const struct arrival *a);

/* options.c: an OPTIONS to ourselves, or to an AOR that midreg stands for. */
void options_answer(struct proxy *p, const struct arrival *a);

/* proxy.c: refuses, without a transaction; `reason` NULL: the usual phrase. */
void dispatch_refuse(struct proxy *p, const struct arrival *a, int status, const char *reason);

#endif

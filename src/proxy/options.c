/*
 * proxy/options: what midreg says about itself.
 *
 * Called by proxy.c and inbound.c on the core thread. RFC 3261 11.2.
 */
#include "proxy/dispatch.h"
#include "transaction/server.h"

void options_answer(struct proxy *p, const struct arrival *a, int status)
{
    static const char fields[] = "Allow: INVITE, ACK, BYE, CANCEL, REGISTER, OPTIONS, MESSAGE, "
                                 "NOTIFY, SUBSCRIBE, INFO, UPDATE, PRACK, REFER, PUBLISH\r\n"
                                 "Accept: */*\r\n"
                                 "Supported:\r\n";

    server_reject(p->rt, a->request.m, a->from, status, NULL, SPAN(fields));
}

/*
 * proxy/options: what midreg says about itself.
 *
 * Called by proxy.c and inbound.c on the core thread. RFC 3261 11.2.
 */
#include "proxy/dispatch.h"
#include "transaction/server.h"

void options_answer(struct proxy *p, const struct arrival *a)
{
    static const char fields[] = "Allow: INVITE, ACK, BYE, CANCEL, REGISTER, OPTIONS, MESSAGE, "
                                 "NOTIFY, SUBSCRIBE, INFO, UPDATE, PRACK, REFER, PUBLISH\r\n"
                                 "Accept: */*\r\n"
                                 "Supported:\r\n";
    struct buf unsupported = buf_make(p->fields, DATAGRAM_MAX);
    const struct sip_message *m = a->request.m;

    if (inspect_put_unsupported(&unsupported, m, SIP_H_REQUIRE)) /* RFC 3261 8.2.2.3 */
        server_reject(p->rt, m, a->from, 420, NULL, buf_done(&unsupported));
    else
        server_reject(p->rt, m, a->from, 200, NULL, SPAN(fields));
}

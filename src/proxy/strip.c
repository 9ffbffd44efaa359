/*
 * proxy/strip: see strip.h.
 *
 * Called by proxy.c for each request that is not from an upstream, and by fork.c
 * for each response of a phone, before anything else reads them. Core thread;
 * keeps nothing.
 */
#include "proxy/strip.h"

#include "base/ports.h"

/* What no message can do without stays, whatever the configuration says. */
#define STRIP_NEVER                                                                                \
    (SIP_SET(SIP_H_VIA) | SIP_SET(SIP_H_FROM) | SIP_SET(SIP_H_TO) | SIP_SET(SIP_H_CALL_ID) |       \
     SIP_SET(SIP_H_CSEQ) | SIP_SET(SIP_H_CONTENT_LENGTH))

#define STRIP_ALWAYS                                                                               \
    (SIP_SET(SIP_H_P_ASSERTED_IDENTITY) | SIP_SET(SIP_H_P_PREFERRED_IDENTITY) |                    \
     SIP_SET(SIP_H_REMOTE_PARTY_ID))

static bool forbidden(const struct config *config, const struct sip_header *h)
{
    sip_header_set id = SIP_SET(h->id);

    if (id & STRIP_ALWAYS)
        return true;
    if (id & STRIP_NEVER)
        return false;
    /* FreeSWITCH believes these from a trusted address. */
    if (sip_name_matches(h->name, SPAN("X-AUTH-*")) || sip_name_matches(h->name, SPAN("X-FS-*")))
        return true;
    for (unsigned i = 0; i < config->strip_count; i++)
        if (sip_name_matches(h->name, span_of(config->strip_headers[i])))
            return true;
    return false;
}

const struct sip_message *strip_phone_message(const struct config *config,
                                              const struct sip_message *m, char *room,
                                              struct sip_message *clean)
{
    struct buf out = buf_make(room, DATAGRAM_MAX);
    const char *kept = m->raw.p; /* all before it is written or left out */
    bool found = false;
    struct sip_fault fault;

    for (unsigned i = 0; i < m->header_count; i++) {
        const struct sip_header *h = &m->header[i];

        if (!forbidden(config, h))
            continue;
        found = true;
        buf_span(&out, span_between(kept, h->line.p));
        kept = h->line.p + h->line.n;
    }
    if (!found)
        return m;
    buf_span(&out, span_between(kept, m->raw.p + m->raw.n));
    if (out.overflow || sip_parse(buf_done(&out), clean, &fault) != SIP_PARSED)
        return NULL;
    return clean;
}

/*
 * registrar/request: a REGISTER, decoded into what the rules look at.
 *
 * Points into the message; the canonical AOR and the contacts' stored
 * parameters are written into the struct's own room. Pure. RFC 3261 10.2, 10.3.
 */
#ifndef MIDREG_REGISTRAR_REQUEST_H
#define MIDREG_REGISTRAR_REQUEST_H

#include "config/config.h"
#include "sip/header.h"

/* Contacts in one REGISTER; more are refused with 403. */
#define REQUEST_CONTACTS_MAX 32
#define REQUEST_ROOM         4096
/* The Path vector of one REGISTER (RFC 3327); more is refused with 400. */
#define REQUEST_PATH_MAX      1024
#define REQUEST_PATH_URIS_MAX 8
/* The longest contact URI: all contacts of an AOR are listed in one answer. */
#define REQUEST_URI_MAX 2048
/* What a phone gets that asks for nothing, or for something unreadable
 * (RFC 3261 10.2.1.1, 20.19), before the limits apply. */
#define REQUEST_EXPIRES_DEFAULT_S 3600

struct register_contact {
    struct span uri_text;
    struct sip_uri uri;
    struct span params; /* header parameters but q and expires, as ";a=b;c" */
    uint32_t expires_s; /* asked for; 0: remove */
    uint16_t q;
    bool q_given;
};

struct register_request {
    struct span aor; /* canonical */
    uint64_t hash;   /* of the AOR; set by the driver */
    struct span to_uri;
    struct span call_id;
    struct span path; /* as one Route value "<uri>, <uri>"; empty: none */
    uint32_t cseq;
    struct flow flow;
    bool star;        /* Contact: * with Expires: 0 */
    bool credentials; /* Authorization or Proxy-Authorization is there */
    bool direct;      /* straight from the phone: one Via, no Path */
    unsigned contacts;
    struct register_contact contact[REQUEST_CONTACTS_MAX];
    size_t room_used;
    char room[REQUEST_ROOM];
};

/* Asks only; neither adds nor removes. */
static inline bool request_is_query(const struct register_request *rq)
{
    return rq->contacts == 0 && !rq->star;
}

/* `config`: what domains stand for. False: `fault` has the status and reason of
 * the answer. */
bool request_decode(const struct config *config, const struct sip_message *m,
                    const struct flow *from, struct register_request *out, struct sip_fault *fault);

#endif

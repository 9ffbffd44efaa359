/*
 * registrar/outgoing: the REGISTER of a lease, as the main registrar gets it.
 *
 * midreg's own registration: a Call-ID, From tag and contact that stay the same
 * for the life of the AOR, also after a restart. Core thread only. Design 3.4.
 */
#ifndef MIDREG_REGISTRAR_OUTGOING_H
#define MIDREG_REGISTRAR_OUTGOING_H

#include "registrar/driver.h"
#include "transaction/client.h"

struct outgoing {
    struct registrar *r;
    struct aor *aor;
    unsigned upstream;
    uint32_t expires_s;              /* 0 removes our contact */
    const struct sip_message *phone; /* on whose behalf it goes; NULL: midreg's own */
    const struct client_user *user;  /* of the transaction, with the registrar as its self */
    uint64_t owner;
};

/* The Call-ID of this AOR's lease at this upstream. */
void outgoing_put_call_id(struct buf *out, const struct registrar *r, const struct aor *a,
                          unsigned upstream);

/*
 * A transaction for it, and the whole request in *out, to be given to
 * client_send() at once. Takes the lease's next CSeq. More than 1300 bytes go over
 * a connection, where the upstream takes one (RFC 3261 18.1.1). NULL: no memory,
 * or more than a datagram holds.
 */
struct client_tx *outgoing_prepare(const struct outgoing *o, struct buf *out);

#endif

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

/*
 * Writes the whole request; takes the lease's next CSeq. `expires_s` 0 removes
 * our contact. `phone`: the REGISTER on whose behalf it goes, or NULL.
 */
void outgoing_build(struct buf *out, struct registrar *r, struct aor *a, const struct client_tx *tx,
                    uint32_t expires_s, const struct sip_message *phone);

#endif

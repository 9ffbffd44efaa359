/*
 * proxy/strip: what phones may not say.
 *
 * A main registrar that trusts midreg's address would believe P-Asserted-Identity
 * and its like in anything that we pass on: they are taken out of all requests
 * and responses of phones, with the operator's `strip-headers`. Design section 4,
 * RFC 3325 5. Pure.
 */
#ifndef MIDREG_PROXY_STRIP_H
#define MIDREG_PROXY_STRIP_H

#include "config/config.h"
#include "sip/message.h"

/*
 * The message without those fields: `m` itself where it has none of them, else
 * *clean, whose bytes are in `room` (DATAGRAM_MAX bytes). NULL: what is left is
 * no message; drop it.
 */
const struct sip_message *strip_phone_message(const struct config *config,
                                              const struct sip_message *m, char *room,
                                              struct sip_message *clean);

#endif

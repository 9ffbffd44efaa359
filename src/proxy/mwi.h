/*
 * proxy/mwi: the message-waiting indication of each AOR, for phones that come later.
 *
 * A main registrar sends its message-summary NOTIFY (RFC 3842) when an identity
 * registers for the first time. Phones whose REGISTERs midreg absorbs never get
 * one, so the last one of each AOR is kept, as long as the AOR has a record, and
 * given to every phone that registers anew. Core thread only. Design section 4.
 */
#ifndef MIDREG_PROXY_MWI_H
#define MIDREG_PROXY_MWI_H

#include "base/table.h"
#include "location/record.h"
#include "sip/message.h"

/* What is kept of one NOTIFY, in bytes; a longer one is passed on but not kept. */
#define MWI_TEXT_MAX 2048
/* All together; beyond it the oldest go. */
#define MWI_BYTES_MAX (64u << 20)

struct mwi;
struct proxy;

struct mwi_store {
    struct table kept; /* AOR hash -> struct mwi */
    struct mwi *oldest;
    struct mwi *newest;
    size_t bytes;
};

void mwi_init(struct mwi_store *s);
void mwi_fini(struct mwi_store *s);

/* Is this request one? */
bool mwi_is(const struct sip_message *m);

/* Keeps it as the AOR's last one. */
void mwi_keep(struct proxy *p, uint64_t aor_hash, const struct sip_message *notify);

/* Sends the AOR's last one, if there is one, to a phone that came after it. Its
 * answer is nobody's business. */
void mwi_give(struct proxy *p, uint64_t aor_hash, const struct binding *b);

/* The AOR has left. */
void mwi_forget(struct mwi_store *s, uint64_t aor_hash);

#endif

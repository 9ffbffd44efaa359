/*
 * location/location: the table of AORs, where registrar and proxy meet.
 *
 * Owns all records. The registrar changes them, the proxy reads them. Every
 * function that takes `struct aor **` may move the record and writes the new
 * place back. Core thread only; nothing here blocks.
 */
#ifndef MIDREG_LOCATION_LOCATION_H
#define MIDREG_LOCATION_LOCATION_H

#include "base/runtime.h"
#include "base/table.h"
#include "location/flows.h"
#include "location/news.h"
#include "location/record.h"

struct location {
    struct runtime *rt;
    struct table aors;  /* hash -> struct aor */
    struct flows flows; /* connection -> AORs with a binding on it */
    struct news news;   /* for the proxy: core.c passes it on */
    uint64_t bindings;  /* tombstones not included */
    uint64_t bytes;     /* of all records */
};

void location_init(struct location *l, struct runtime *rt);
void location_fini(struct location *l);

/* The keyed hash of a canonical AOR: key of the table and token of the contact. */
uint64_t location_hash(const struct location *l, struct span aor);
struct aor *location_find(const struct location *l, uint64_t hash);

enum location_added { LOCATION_OK, LOCATION_COLLISION, LOCATION_NO_MEMORY };

/*
 * Finds or makes the record of a canonical AOR. `to_uri` is stored when it is
 * made. A different AOR with the same hash is a collision: *out is NULL and the
 * caller refuses and raises the alarm.
 */
enum location_added location_ensure(struct location *l, struct span aor, struct span to_uri,
                                    struct aor **out);

/*
 * Puts a stored record (location/image.h) back, before anything is received; times
 * are turned from the wall's clock to the machine's. Its connections are gone:
 * what lay on them cannot be reached. Its number is of our secret. NULL: no memory, a
 * collision, or it is there already.
 */
struct aor *location_restore(struct location *l, const struct aor *image);

/* What a binding is made from; the texts are copied. */
struct binding_spec {
    struct span uri;
    struct span params;
    struct span call_id;
    struct span path;
    struct flow flow;
    uint64_t expires_ms;
    uint64_t proved_ms;
    uint32_t granted_s;
    uint32_t cseq;
    uint16_t restart_s;
    uint16_t q;
    bool q_given;
    uint8_t flags;
};

/* Adds a binding and gives it an id. NULL: no memory, or a text over 65,535
 * bytes; nothing has changed then. */
struct binding *location_bind(struct location *l, struct aor **a, const struct binding_spec *spec);
/* Replaces a binding's content; its id stays. NULL as above. */
struct binding *location_rebind(struct location *l, struct aor **a, uint32_t id,
                                const struct binding_spec *spec);
/* Makes a tombstone of it until `until_ms` with this CSeq. False: not there. */
bool location_bury(struct location *l, struct aor *a, uint32_t id, uint32_t cseq,
                   uint64_t until_ms);
/* Takes a binding or a tombstone away. */
void location_unbind(struct location *l, struct aor **record, uint32_t id);
/* Adds a lease at another main registrar than the record has leases at, nothing granted.
 * NULL: no memory, nothing has changed. */
struct lease *location_add_lease(struct location *l, struct aor **record, unsigned upstream);
/* Takes a lease away that is not at its home. */
void location_drop_lease(struct location *l, struct aor **record, unsigned upstream);
/* The binding with this id, tombstones included, or NULL. */
struct binding *location_binding(const struct aor *a, uint32_t id);

/* Takes the record out of the table and frees it; its timer is disarmed. News. */
void location_delete(struct location *l, struct aor *a);

/* Iterates over all records in table order (checks and shutdown only). */
struct aor *location_next(const struct location *l, size_t *at);

#endif

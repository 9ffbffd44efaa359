/*
 * location/record: the packed record of one AOR.
 *
 * One allocation holds the header, the AOR's text and all bindings, each a
 * fixed part followed by its texts. Everybody reads it through the accessors
 * here; only location.c changes its shape. A record may move in memory on any
 * change: keep the hash, not the pointer. A million of them are kept, so times
 * share their words with small fields. Core thread only.
 *
 *   struct aor | texts | pad | struct lease | ... | struct binding | texts | pad | ...
 *
 * The leases there are those at other main registrars than its home, whose lease is in
 * struct aor: most AORs have none.
 */
#ifndef MIDREG_LOCATION_RECORD_H
#define MIDREG_LOCATION_RECORD_H

#include "base/address.h"
#include "base/wheel.h"

/* How midreg can register a lease by itself. */
enum lease_means { MEANS_UNKNOWN, MEANS_ACL, MEANS_NONE };

/* May it hold a contact at an earlier address of ours? */
enum lease_stale {
    STALE_NOT,
    STALE_ALONE, /* nothing else */
    STALE_BESIDE /* beside the present one */
};

/*
 * What a main registrar holds for this AOR, as far as we know (design 3.4). It
 * surely holds our contact until `until_ms`; it may hold it until `may_ms`, which
 * is later where an answer was lost.
 */
struct lease {
    uint64_t until_ms : 48;   /* 0: nothing granted */
    uint64_t means : 6;       /* enum lease_means */
    uint64_t stale : 2;       /* enum lease_stale */
    uint64_t failures : 8;    /* own attempts that failed in a row */
    uint64_t may_ms : 48;     /* never before until_ms */
    uint64_t refused : 8;     /* own refreshes refused (403, 404) in a row */
    uint64_t upstream : 8;    /* which main registrar: its index in the configuration */
    uint64_t next_ms : 48;    /* midreg does not act on it before; 0: at once */
    uint64_t refused_in : 16; /* the minute in which it was counted among the refused */
    uint32_t granted_s;
    uint32_t cseq; /* the last one used */
};

static inline bool lease_held(const struct lease *l, uint64_t now_ms)
{
    return l->until_ms > now_ms;
}

static inline bool lease_possible(const struct lease *l, uint64_t now_ms)
{
    return l->may_ms > now_ms;
}

enum binding_flag {
    BINDING_TOMBSTONE = 1,   /* removed; kept 32 s so that a late copy changes nothing */
    BINDING_UNREACHABLE = 4, /* its connection has closed */
    BINDING_FLOW_PROVED = 2, /* `flow` is where the last proved REGISTER came from */
    BINDING_RESTORED = 8,    /* not refreshed since the restart: before it a 200 that is not stored
                                may have granted it all its time. A tombstone: its flow is not
                                known, as it is not stored */
};

struct binding {
    uint64_t expires_ms : 44; /* monotonic; a tombstone's end for a tombstone */
    uint64_t flags : 4;       /* enum binding_flag */
    uint64_t restart_s : 16;  /* a restart gives it so long: what the phone asked for, at
                                 most phone-expires. No grant that is longer was given
                                 without being stored */
    uint64_t proved_ms : 44;  /* when somebody last proved it */
    uint64_t q_given : 4;     /* the phone wrote a q */
    uint64_t path_n : 16;
    struct flow flow;
    uint32_t granted_s;
    uint32_t cseq;
    uint32_t id; /* unique within the AOR, not used again, also by a record that is
                  made anew for this AOR */
    uint16_t q;  /* thousandths; 1000 where none was given */
    uint16_t uri_n;
    uint16_t params_n; /* contact header parameters but q and expires */
    uint16_t call_id_n;
    /* texts: uri, params, call_id, path */
};

struct aor {
    struct timer timer; /* TIMER_AOR: the earliest of all deadlines below */
    uint64_t hash;
    struct lease lease; /* at its home */
    uint64_t sequence;  /* of the last change given to the journal */
    uint32_t size;      /* of the whole record */
    uint32_t next_binding_id;
    uint16_t text_n;   /* of the AOR's canonical text */
    uint16_t bindings; /* tombstones included */
    uint16_t to_n;     /* of the To URI as the phone wrote it (the realm depends on it);
                          0: it is the canonical text */
    uint8_t further;   /* leases at other main registrars */
    uint8_t busy;      /* REGISTERs of its leases waiting or in flight */
    /* texts: AOR, To URI; then the further leases; then the bindings */
};

static inline struct span aor_text(const struct aor *a)
{
    return span_make((const char *)(a + 1), a->text_n);
}

/* The To URI as the first phone wrote it: what goes upstream. */
static inline struct span aor_to_uri(const struct aor *a)
{
    if (a->to_n == 0)
        return aor_text(a);
    return span_make((const char *)(a + 1) + a->text_n, a->to_n);
}

static inline size_t record_pad(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

/* The leases at other main registrars than its home, `further` of them. */
static inline struct lease *aor_further(const struct aor *a)
{
    return (struct lease *)((uintptr_t)a + record_pad(sizeof *a + a->text_n + a->to_n));
}

/* All its leases, 0 to `further`: at its home, then the others. */
static inline struct lease *aor_lease(struct aor *a, unsigned i)
{
    return i == 0 ? &a->lease : &aor_further(a)[i - 1];
}

/* Its lease at this main registrar, or NULL. */
static inline struct lease *aor_lease_at(struct aor *a, unsigned upstream)
{
    for (unsigned i = 0; i <= a->further; i++)
        if (aor_lease(a, i)->upstream == upstream)
            return aor_lease(a, i);
    return NULL;
}

/* How long the record is before its first binding. */
static inline size_t aor_head_size(const struct aor *a)
{
    return record_pad(sizeof *a + a->text_n + a->to_n) + a->further * sizeof(struct lease);
}

/* Of a binding with its texts: the step to the next. */
static inline size_t binding_size(const struct binding *b)
{
    return record_pad(sizeof *b + b->uri_n + b->params_n + b->call_id_n + b->path_n);
}

/* The first binding, or NULL. Tombstones are among them. */
static inline struct binding *aor_first(const struct aor *a)
{
    if (a->bindings == 0)
        return NULL;
    return (struct binding *)((uintptr_t)a + aor_head_size(a));
}

static inline struct binding *aor_next(const struct aor *a, const struct binding *b)
{
    uintptr_t next = (uintptr_t)b + binding_size(b);

    return next < (uintptr_t)a + a->size ? (struct binding *)next : NULL;
}

static inline struct span binding_uri(const struct binding *b)
{
    return span_make((const char *)(b + 1), b->uri_n);
}

static inline struct span binding_params(const struct binding *b)
{
    return span_make((const char *)(b + 1) + b->uri_n, b->params_n);
}

static inline struct span binding_call_id(const struct binding *b)
{
    return span_make((const char *)(b + 1) + b->uri_n + b->params_n, b->call_id_n);
}

/* The Path vector it was registered with, as a Route value "<uri>, <uri>" in
 * order; empty: none (RFC 3327). */
static inline struct span binding_path(const struct binding *b)
{
    return span_make((const char *)(b + 1) + b->uri_n + b->params_n + b->call_id_n, b->path_n);
}

/* Counts as registered at this moment? */
static inline bool binding_live(const struct binding *b, uint64_t now_ms)
{
    return !(b->flags & BINDING_TOMBSTONE) && b->expires_ms > now_ms;
}

static inline unsigned aor_live_count(const struct aor *a, uint64_t now_ms)
{
    unsigned n = 0;

    for (const struct binding *b = aor_first(a); b; b = aor_next(a, b))
        n += binding_live(b, now_ms);
    return n;
}

#endif

/*
 * check: the invariants of registration.
 *
 * Called by everything in the simulation; looks at midreg's records through
 * core_location() and changes nothing.
 */
#include "sim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define ROUND         (5 * SECOND)
#define DEEP_ROUNDS   6 /* every so many rounds each binding is looked at */
#define FAULT_BOUND   (120 * SECOND)
#define LEASE_BOUND   (UPSTREAM_EXPIRES_S * SECOND + 15 * SECOND)
#define STABLE        (10 * SECOND)
#define PHONE_BOUND   (240 * SECOND)
#define REGISTER_MOST (T64_US + 3 * SECOND) /* until one is answered */
#define PENDING_EACH  30                    /* transactions for each phone, at the very most */

void check_fail(struct sim *s, int invariant, int aor, const char *format, ...)
{
    struct check_failure *f = &s->check.failure;
    va_list args;

    if (s->check.failed)
        return;
    s->check.failed = true;
    f->invariant = invariant;
    f->aor = aor;
    f->at_us = s->now_us;
    va_start(args, format);
    vsnprintf(f->text, sizeof f->text, format, args);
    va_end(args);
}

static const struct aor *record(const struct sim *s, int aor)
{
    return location_find(core_location(s->world.core), s->people.list[aor].hash);
}

static void print_binding(const struct sim *s, const struct binding *b)
{
    char room[64];
    struct buf flow = buf_make(room, sizeof room);
    struct span uri = binding_uri(b);

    address_put(&flow, &b->flow.peer);
    printf("    midreg has %.*s by %.*s for %lld ms, q %u, CSeq %u%s\n", (int)uri.n, uri.p,
           (int)flow.n, room, (long long)(b->expires_ms - world_core_ms(s)), b->q, b->cseq,
           b->flags & BINDING_TOMBSTONE ? ", buried" : "");
}

void check_print_record(const struct sim *s, int aor)
{
    const struct aor *a = aor == NO_AOR ? NULL : record(s, aor);

    if (aor == NO_AOR)
        return;
    for (const struct binding *b = a ? aor_first(a) : NULL; b; b = aor_next(a, b))
        print_binding(s, b);
    if (a)
        printf("    its lease: %lld ms of %u s, means %u, busy %u\n",
               (long long)(a->lease.until_ms - world_core_ms(s)), a->lease.granted_s,
               a->lease.means, a->busy);
    printf("    the main registrar %s it registered\n",
           pbx_believes(s, aor) ? "believes" : "does not believe");
}

bool check_init(struct sim *s)
{
    s->check.seen = calloc(s->people.count, sizeof *s->check.seen);
    queue_push(&s->queue, ROUND, EVENT_CHECK, 0, NULL);
    return s->check.seen != NULL;
}

void check_fini(struct sim *s)
{
    free(s->check.seen);
}

unsigned check_live(const struct sim *s, int aor)
{
    const struct aor *a = record(s, aor);

    return a ? aor_live_count(a, world_core_ms(s)) : 0;
}

/* ---- 7: the pacer ------------------------------------------------------------------------ */

static struct span branch_of(struct span datagram)
{
    const char *at = memmem(datagram.p, datagram.n, "branch=", 7);
    const char *end = at ? memchr(at, '\r', (size_t)(datagram.p + datagram.n - at)) : NULL;

    return end ? span_between(at, end) : SPAN_NONE;
}

/* Notes it in the place of the oldest. */
static bool sent_before(struct sim *s, uint64_t branch)
{
    struct check_sent *ways = s->check.sent[branch % CHECK_SENT_MAX];
    struct check_sent *oldest = &ways[0];

    for (unsigned i = 0; i < CHECK_SENT_WAYS; i++) {
        if (ways[i].branch == branch)
            return true;
        if (ways[i].at_us < oldest->at_us)
            oldest = &ways[i];
    }
    *oldest = (struct check_sent){branch, s->now_us};
    return false;
}

void check_sent(struct sim *s, const struct address *to, struct span datagram)
{
    struct check *c = &s->check;
    struct span branch;
    uint64_t key, burst_us, each_us, now_us;

    if (!address_equal(to, &s->pbx.address) || datagram.n < 9 ||
        memcmp(datagram.p, "REGISTER ", 9) != 0 || s->world.rate == 0)
        return;
    branch = branch_of(datagram);
    key = XXH3_64bits(branch.p, branch.n);
    if (sent_before(s, key) || memmem(datagram.p, datagram.n, "midreg-probe", 12))
        return;
    burst_us = SECOND / 10;
    each_us = SECOND / s->world.rate;
    now_us = s->world.clock_us + s->now_us;
    if (c->paced_us + burst_us < now_us)
        c->paced_us = now_us - burst_us;
    if (c->paced_in_life != s->world.life) /* another bucket */
        c->paced_us = now_us - burst_us;
    c->paced_in_life = s->world.life;
    c->paced_us += each_us;
    if (c->paced_us > now_us + each_us + 2000)
        check_fail(s, 7, NO_AOR, "more than %u REGISTERs a second", s->world.rate);
}

/* ---- 1, 8: who is bound ---------------------------------------------------------------------- */

/* The value of ";line=" in a contact. */
static struct span line_of(struct span uri)
{
    const char *at = memrchr(uri.p, ';', uri.n);

    return at && uri.p + uri.n - at > 6 && memcmp(at, ";line=", 6) == 0
               ? span_between(at + 6, uri.p + uri.n)
               : SPAN_NONE;
}

static bool sent_from(const struct phone *p, const struct address *peer)
{
    for (unsigned i = 0; i < PHONE_FLOWS; i++)
        if (address_equal(&p->flows[i], peer))
            return true;
    return false;
}

/* Is what midreg granted longer than any REGISTER of the phone allows? */
static bool too_long(const struct sim *s, const struct binding *b, const struct contact_truth *c)
{
    uint64_t since_us = c->added_us > s->world.crashed_us ? c->added_us : s->world.crashed_us;
    uint64_t latest_us = since_us + (PHONE_EXPIRES_S + 60) * SECOND;

    return b->expires_ms > (s->world.clock_us + latest_us) / 1000;
}

/* Its connection is closed, midreg knows, and flow-grace is over. It begins anew for
 * a REGISTER that came over that connection and waited for the main registrar. */
static bool stays_too_long(const struct sim *s, const struct binding *b)
{
    uint64_t ended_us = wire_ended_us(s, b->flow.connection);

    return ended_us && s->now_us > ended_us + FLOW_GRACE_S * SECOND + REGISTER_MOST;
}

static void check_binding(struct sim *s, int aor, const struct binding *b)
{
    struct span uri = binding_uri(b);
    const struct contact_truth *c;
    uint32_t index, line;

    if (!phone_of_line(s, line_of(uri), &index, &line) || s->phones.list[index].aor != aor) {
        check_fail(s, 8, aor, "bound to a stranger's %.*s", (int)uri.n, uri.p);
        return;
    }
    c = &s->phones.list[index].contacts[line % PHONE_CONTACTS];
    if (c->line != line)
        return;
    if (c->added_us == 0 || c->removed_us > c->added_us)
        check_fail(s, 1, aor, "%.*s is bound, but was removed with a 200 at %llu ms", (int)uri.n,
                   uri.p, (unsigned long long)(c->removed_us / 1000));
    else if (s->auth == AUTH_UPSTREAM && c->proved_us <= c->removed_us)
        check_fail(s, 1, aor,
                   "%.*s is bound, but the main registrar accepted no credentials "
                   "for it",
                   (int)uri.n, uri.p);
    else if (!sent_from(&s->phones.list[index], &b->flow.peer))
        check_fail(s, 8, aor, "%.*s is bound to a flow that is not its phone's", (int)uri.n, uri.p);
    else if (stays_too_long(s, b))
        check_fail(s, 1, aor, "%.*s is bound, although its connection %u was closed at %llu ms",
                   (int)uri.n, uri.p, b->flow.connection,
                   (unsigned long long)(wire_ended_us(s, b->flow.connection) / 1000));
    else if (too_long(s, b, c))
        check_fail(s, 1, aor, "%.*s is bound for longer than it asked for", (int)uri.n, uri.p);
}

static void check_bindings(struct sim *s, int aor)
{
    const struct aor *a = record(s, aor);
    uint64_t now_ms = world_core_ms(s);

    for (const struct binding *b = a ? aor_first(a) : NULL; b; b = aor_next(a, b)) {
        if (!binding_live(b, now_ms))
            continue;
        check_binding(s, aor, b);
        for (const struct binding *o = aor_next(a, b); o; o = aor_next(a, o))
            if (binding_live(o, now_ms) && span_eq(binding_uri(o), binding_uri(b)))
                check_fail(s, 1, aor, "%.*s is bound twice", (int)binding_uri(b).n,
                           binding_uri(b).p);
    }
}

/* ---- 9: what phones were told ------------------------------------------------------------------
 */

static bool is_bound(const struct sim *s, const struct phone *p)
{
    const struct aor *a = record(s, p->aor);
    uint64_t now_ms = world_core_ms(s);

    for (const struct binding *b = a ? aor_first(a) : NULL; b; b = aor_next(a, b)) {
        uint32_t index, line;

        if (binding_live(b, now_ms) && phone_of_line(s, line_of(binding_uri(b)), &index, &line) &&
            index == p->index && line == p->view.line)
            return true;
    }
    return false;
}

/* As many contacts as an AOR may have: the old one of a phone that has moved takes its place
 * until it expires, and another phone is refused meanwhile. */
bool check_is_full(const struct sim *s, const struct phone *p)
{
    const struct aor *a = record(s, p->aor);

    return a && aor_live_count(a, world_core_ms(s)) >= s->world.config->max_contacts &&
           !is_bound(s, p);
}

static void check_phone(struct sim *s, const struct phone *p)
{
    const struct person *person = &s->people.list[p->aor];

    if (phone_registered(s, p) && !is_bound(s, p)) {
        check_fail(s, 9, p->aor, "phone %u got its 200, but is not bound", p->index);
        return;
    }
    if (p->mind != PHONE_ON || !faults_calm_for(s, PHONE_BOUND) ||
        p->changed_us + PHONE_BOUND > s->now_us ||
        (person->refused_us && person->refused_us + PHONE_BOUND > s->now_us) ||
        (person->full_us && person->full_us + PHONE_BOUND > s->now_us))
        return;
    if (!p->view.valid || p->view.until_us + 5 * SECOND < s->now_us)
        check_fail(s, 9, p->aor, "phone %u cannot register although nothing is wrong", p->index);
}

/* ---- 2: the main registrar believes what midreg has
 * ---------------------------------------------- */

static bool long_ago(const struct sim *s, uint64_t at_us, uint64_t bound_us)
{
    return at_us == 0 || s->now_us >= at_us + bound_us;
}

static bool is_live(const struct sim *s, int aor)
{
    const struct aor *a = record(s, aor);
    uint64_t now_ms = world_core_ms(s);

    for (const struct binding *b = a ? aor_first(a) : NULL; b; b = aor_next(a, b))
        if (binding_live(b, now_ms))
            return true;
    return false;
}

static bool must_agree(const struct sim *s, int aor, bool live)
{
    const struct person *person = &s->people.list[aor];

    return faults_calm_for(s, FAULT_BOUND) && long_ago(s, s->faults.lost_us, LEASE_BOUND) &&
           long_ago(s, person->disturbed_us, LEASE_BOUND) &&
           /* It may also have refused to be told that nobody is left. */
           long_ago(s, person->refused_us, live ? FAULT_BOUND : LEASE_BOUND);
}

static void check_agreement(struct sim *s, int aor)
{
    struct check_seen *seen = &s->check.seen[aor];
    bool live = is_live(s, aor);
    bool believed = pbx_believes(s, aor);

    if (live != seen->live) {
        seen->live = live;
        seen->since_us = s->now_us;
    }
    if (seen->left_us && seen->left_us + ROUND <= s->now_us) {
        const struct aor *a = record(s, aor);

        /* A phone that has just come back may have been told to it already. */
        if (!live && believed && !(a && a->busy) && faults_calm_for(s, MINUTE))
            check_fail(s, 2, aor,
                       "its last phone left with a 200, the main registrar was not "
                       "told");
        seen->left_us = 0;
    }
    if (live == believed || seen->since_us == s->now_us)
        seen->differ_us = live == believed ? 0 : s->now_us;
    else if (seen->differ_us == 0)
        seen->differ_us = s->now_us;
    if (!must_agree(s, aor, live))
        return;
    s->check.agreements++;
    if (seen->differ_us == 0 || s->now_us < seen->differ_us + STABLE)
        return;
    if (live)
        check_fail(s, 2, aor, "it has a binding, but the main registrar does not know");
    else if (s->auth == AUTH_NONE) /* without means midreg may let the lease lapse */
        check_fail(s, 2, aor, "it has no binding, but the main registrar believes it has");
}

void check_left(struct sim *s, int aor, bool alone)
{
    check_bindings(s, aor);
    if (alone && check_live(s, aor) == 0)
        s->check.seen[aor].left_us = s->now_us;
}

void check_pinged(struct sim *s, int aor, int status)
{
    const struct check_seen *seen = &s->check.seen[aor];
    bool live = check_live(s, aor) > 0;

    if (!faults_calm_for(s, MINUTE) || live != seen->live || s->now_us < seen->since_us + STABLE)
        return;
    if ((status == 200) != live)
        check_fail(s, 2, aor, "an OPTIONS to its contact got %d, and it has %s", status,
                   live ? "a binding" : "none");
}

void check_ping_lost(struct sim *s, int aor, uint64_t sent_us)
{
    if (faults_calm_for(s, s->now_us - sent_us + SECOND) && s->now_us > sent_us + SECOND)
        check_fail(s, 5, aor, "an OPTIONS to its contact got no answer");
}

/* ---- 5: all ends
 * ------------------------------------------------------------------------------------ */

static size_t noted_connections(const struct sim *s)
{
    return core_location(s->world.core)->flows.connections.used;
}

static void check_bounds(struct sim *s)
{
    unsigned pending = core_pending(s->world.core);
    size_t records = core_location(s->world.core)->aors.used;

    if (pending > s->phones.count * PENDING_EACH)
        check_fail(s, 5, NO_AOR, "%u transactions are pending", pending);
    if (records > s->people.count + 64)
        check_fail(s, 5, NO_AOR, "%zu records for %u AORs", records, s->people.count);
    if (noted_connections(s) > wires_held(s))
        check_fail(s, 5, NO_AOR, "AORs are noted for %zu connections, of which %u are there",
                   noted_connections(s), wires_held(s));
}

void check_quiet(struct sim *s)
{
    unsigned pending = core_pending(s->world.core);
    size_t records = core_location(s->world.core)->aors.used;

    if (pending)
        check_fail(s, 5, NO_AOR, "all is quiet, and %u transactions are pending", pending);
    if (noted_connections(s))
        check_fail(s, 5, NO_AOR, "no connection is left, and AORs are noted for %zu",
                   noted_connections(s));
    if (records) {
        size_t at = 0;
        struct span text = aor_text(location_next(core_location(s->world.core), &at));

        check_fail(s, 5, people_find(s, span_make(text.p, text.n - sizeof DOMAIN)),
                   "nobody is there, and %zu records are left: %.*s", records, (int)text.n, text.p);
    }
}

/* ---- rounds
 * ------------------------------------------------------------------------------------------- */

void check_event(struct sim *s)
{
    bool deep = ++s->check.rounds % DEEP_ROUNDS == 0;

    queue_push(&s->queue, s->now_us + ROUND, EVENT_CHECK, 0, NULL);
    for (unsigned i = 0; i < s->people.count; i++) {
        check_agreement(s, (int)i);
        if (deep)
            check_bindings(s, (int)i);
    }
    check_ghosts(s);
    if (!deep)
        return;
    check_bounds(s);
    for (unsigned i = 0; i < s->phones.count; i++)
        check_phone(s, &s->phones.list[i]);
}

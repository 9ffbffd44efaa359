/*
 * admin/desk: see the header.
 *
 * Called by admin.c on the core thread. Copies what is asked for into the ask's own
 * memory; turns nothing into text, and waits for nothing.
 */
#include "admin/desk.h"

#include "registrar/kick.h"
#include "sip/uri.h"
#include "upstream/event_socket.h"

/* The clock is read once in so many steps of a search. */
#define STEPS_A_LOOK 16
#define AOR_MAX      1024
/* The longest contact a peer's address can be. */
#define PEER_MAX 64

void desk_init(struct desk *d, const struct desk_parts *parts)
{
    *d = (struct desk){.at = *parts, .core = registrar_parts(parts->registrar)};
}

void desk_fini(struct desk *d)
{
    while (d->stored) {
        struct ask *a = d->stored;

        d->stored = a->next;
        ask_free(a);
    }
}

static uint64_t clock_us(const struct desk *d)
{
    const struct ports *ports = d->core->rt->ports;

    return ports->now_us(ports->world);
}

/* ---- facts --------------------------------------------------------------------- */

static const char *copy_text(struct arena *arena, const char *text)
{
    return arena_copy(arena, span_make(text, strlen(text) + 1)).p;
}

static bool put_upstream(const struct desk *d, struct ask *a, unsigned i)
{
    const struct upstream *u = &d->core->upstreams->list[i];
    struct facts_upstream *out = &a->facts->upstream[i];
    const struct reload *reload = registrar_reload(d->at.registrar, u);
    uint64_t now_ms = d->core->rt->now_ms;

    *out = (struct facts_upstream){
        .name = copy_text(&a->arena, u->config->name),
        .host = u->config->host ? copy_text(&a->arena, u->config->host) : NULL,
        .address = u->flow.peer,
        .contact = u->contact,
        .openness = u->openness,
    };
    out->state = u->health.state;
    out->state_s = (now_ms - u->health.since_ms) / 1000;
    out->rtt_ms = u->health.rtt_ms;
    out->lost = journal_is_lost(d->core->journal, i);
    out->has_events = u->config->event_socket.address.family != ADDRESS_NONE;
    out->events_up = d->core->events && event_socket_is_up(d->core->events, u);
    report_upstream(d->at.registrar, i, &out->registrar);
    out->reload = *reload;
    if (reload->number)
        out->reload_s =
            ((reload->state == RELOAD_IDLE ? reload->ended_ms : now_ms) - reload->began_ms) / 1000;
    return out->name && (out->host || !u->config->host);
}

static enum ask_result answer_facts(const struct desk *d, struct ask *a)
{
    const struct registrar_parts *core = d->core;
    struct facts *f = arena_alloc(&a->arena, sizeof *f);

    if (!f)
        return ASK_NO_MEMORY;
    *f = (struct facts){
        .counters = core->rt->counters,
        .aors = core->location->aors.used,
        .bindings = core->location->bindings,
        .location_bytes = core->location->bytes,
        .transactions = core->transactions->servers.used + core->transactions->clients.used,
        .waiting = registrar_pending(d->at.registrar),
        .kept = core->journal->kept,
        .behind = journal_is_behind(core->journal),
        .alarm = journal_owes(core->journal),
        .auth = core->config->auth,
        .upstreams = core->upstreams->count,
    };
    a->facts = f;
    if (d->at.world)
        world_counts(d->at.world, f->world);
    for (unsigned i = 0; i < f->upstreams; i++)
        if (!put_upstream(d, a, i))
            return ASK_NO_MEMORY;
    return ASK_DONE;
}

/* ---- records ------------------------------------------------------------------- */

static bool page_begin(const struct desk *d, struct ask *a)
{
    a->page = arena_alloc(&a->arena, sizeof *a->page);
    if (a->page)
        *a->page = (struct facts_page){.now_ms = d->core->rt->now_ms, .after = a->after};
    return a->page != NULL;
}

/* NULL: no memory. */
static struct facts_lease *leases_of(const struct desk *d, struct ask *a, struct aor *record)
{
    struct facts_lease *all = arena_alloc(&a->arena, (record->further + 1u) * sizeof *all);

    for (unsigned i = 0; all && i <= record->further; i++) {
        const struct lease *l = aor_lease(record, i);

        all[i].upstream = copy_text(&a->arena, d->core->upstreams->list[l->upstream].config->name);
        all[i].action = report_lease(d->at.registrar, record, l, &all[i].action_ms);
        if (!all[i].upstream)
            return NULL;
    }
    return all;
}

/* False: no memory. */
static bool page_add(const struct desk *d, struct ask *a, struct aor *record)
{
    struct facts_aor *one = arena_alloc(&a->arena, sizeof *one);
    struct aor *copy = arena_alloc(&a->arena, record->size);
    const struct binding *b = aor_first(record);

    if (!one || !copy)
        return false;
    memcpy(copy, record, record->size);
    for (struct binding *to = aor_first(copy); to; to = aor_next(copy, to), b = aor_next(record, b))
        if (!proxy_reaches(d->at.proxy, b))
            to->flags |= BINDING_UNREACHABLE;
    *one = (struct facts_aor){.record = copy, .lease = leases_of(d, a, record)};
    if (!one->lease)
        return false;
    if (a->page->last)
        a->page->last->next = one;
    else
        a->page->first = one;
    a->page->last = one;
    a->page->count++;
    return true;
}

/* Is there anything to be told of it? An empty record may be of a phone that is just
 * about to be refused. */
static bool is_known(struct aor *a, uint64_t now_ms)
{
    for (unsigned i = 0; i <= a->further; i++)
        if (lease_possible(aor_lease(a, i), now_ms))
            return true;
    return aor_live_count(a, now_ms) > 0;
}

static bool contains(struct span text, struct span needle)
{
    for (size_t i = 0; i + needle.n <= text.n; i++)
        if (span_ieq(span_make(text.p + i, needle.n), needle))
            return true;
    return false;
}

static bool is_found(struct aor *a, struct span needle, uint64_t now_ms)
{
    if (!is_known(a, now_ms))
        return false;
    if (needle.n == 0 || contains(aor_text(a), needle))
        return true;
    for (const struct binding *b = aor_first(a); b; b = aor_next(a, b)) {
        char room[PEER_MAX];
        struct buf peer = buf_make(room, sizeof room);

        if (!binding_live(b, now_ms))
            continue;
        address_put(&peer, &b->flow.peer);
        if (contains(binding_uri(b), needle) || contains(buf_done(&peer), needle))
            return true;
    }
    return false;
}

/* Goes on with a list until `until_us`. False: it is not done then. */
static bool list_on(const struct desk *d, struct ask *a, uint64_t until_us)
{
    struct facts_page *page = a->page;
    uint64_t now_ms = d->core->rt->now_ms;

    for (unsigned steps = 1;; steps++) {
        uint64_t at = page->after;
        void *record;

        if (!table_walk(&d->core->location->aors, &at, &record))
            break;
        if (record && is_found(record, a->text, now_ms)) {
            if (page->count == a->limit || arena_size(&a->arena) >= DESK_PAGE_BYTES) {
                page->more = true;
                break;
            }
            if (!page_add(d, a, record)) {
                a->result = ASK_NO_MEMORY;
                return true;
            }
            steps = STEPS_A_LOOK; /* copying takes longer than looking */
        }
        page->after = at;
        if (steps % STEPS_A_LOOK)
            continue;
        uint64_t now_us = clock_us(d);
        if (now_us - a->since_us >= DESK_PAGE_US) {
            page->more = true;
            break;
        }
        if (now_us >= until_us)
            return false;
    }
    a->result = ASK_DONE;
    return true;
}

/* ---- one AOR ------------------------------------------------------------------- */

/* "al", "al@example.com" or "sip:al@example.com" as the AOR's canonical text. */
static bool put_aor(const struct config *c, struct buf *out, struct span text)
{
    char room[AOR_MAX];
    struct buf full = buf_make(room, sizeof room);
    bool has_scheme = text.n > 4 && (span_ieq(span_make(text.p, 4), SPAN("sip:")) ||
                                     span_ieq(span_make(text.p, 5), SPAN("sips:")));
    const char *domain = c->force_domain ? c->force_domain : c->domains[0];
    struct sip_fault fault;
    struct sip_uri uri;

    if (!has_scheme)
        buf_lit(&full, "sip:");
    buf_span(&full, text);
    if (!text.n || (!memchr(text.p, '@', text.n) && !c->force_domain && c->domain_count != 1))
        return false;
    if (!memchr(text.p, '@', text.n)) {
        buf_char(&full, '@');
        buf_str(&full, domain);
    }
    if (full.overflow || !sip_uri_parse(buf_done(&full), &uri, &fault) ||
        (uri.scheme != SIP_SCHEME_SIP && uri.scheme != SIP_SCHEME_SIPS))
        return false;
    uri.host = config_domain(c, uri.host);
    return sip_canonical_aor(out, &uri) && !out->overflow;
}

static enum ask_result find(const struct desk *d, const struct ask *a, struct aor **out)
{
    char room[AOR_MAX];
    struct buf aor = buf_make(room, sizeof room);

    if (!put_aor(d->core->config, &aor, a->text))
        return ASK_BAD_AOR;
    *out = location_find(d->core->location, location_hash(d->core->location, buf_done(&aor)));
    if (*out && span_eq(aor_text(*out), buf_done(&aor)) && is_known(*out, d->core->rt->now_ms))
        return ASK_DONE;
    return ASK_NO_AOR;
}

static enum ask_result answer_show(const struct desk *d, struct ask *a)
{
    struct aor *record;
    enum ask_result found = find(d, a, &record);

    if (found != ASK_DONE)
        return found;
    return page_begin(d, a) && page_add(d, a, record) ? ASK_DONE : ASK_NO_MEMORY;
}

static enum ask_result answer_kick(const struct desk *d, struct ask *a)
{
    struct aor *record;
    enum ask_result found = find(d, a, &record);

    if (found != ASK_DONE)
        return found;
    if (aor_live_count(record, d->core->rt->now_ms) == 0)
        return ASK_NO_AOR;
    a->kicked = registrar_kick(d->at.registrar, record->hash, a->contact, &a->sequence);
    return a->kicked ? ASK_DONE : ASK_NO_CONTACT;
}

/* ---- reloads ------------------------------------------------------------------- */

static bool is_asked(const struct ask *a, const struct upstream *u)
{
    return !a->upstream.p || span_eq(a->upstream, span_of(u->config->name));
}

/* Of all that are asked for, or of none. */
static enum ask_result check_reload(const struct desk *d, const struct ask *a)
{
    const struct upstreams *all = d->core->upstreams;
    unsigned asked = 0;

    for (unsigned i = 0; i < all->count; i++) {
        const struct upstream *u = &all->list[i];

        if (!is_asked(a, u))
            continue;
        asked++;
        if (a->kind == ASK_RELOAD && !upstream_is_up(u))
            return ASK_DOWN;
        if (a->kind == ASK_RELOAD && registrar_reload(d->at.registrar, u)->state != RELOAD_IDLE)
            return ASK_RUNNING;
    }
    return asked ? ASK_DONE : ASK_NO_UPSTREAM;
}

static enum ask_result answer_reload(const struct desk *d, struct ask *a)
{
    const struct reload_order order = {.dry = a->dry, .rate = a->rate, .why = "asked for"};
    struct upstreams *all = d->core->upstreams;
    enum ask_result checked = check_reload(d, a);

    if (checked != ASK_DONE)
        return checked;
    for (unsigned i = 0; i < all->count; i++) {
        if (is_asked(a, &all->list[i]) && a->kind == ASK_RELOAD)
            reload_begin(d->at.registrar, &all->list[i], &order);
        else if (is_asked(a, &all->list[i]))
            reload_stop(d->at.registrar, &all->list[i]);
    }
    return answer_facts(d, a);
}

static enum ask_result answer_reload_aor(const struct desk *d, struct ask *a)
{
    struct aor *record;
    enum ask_result found = find(d, a, &record);

    if (found != ASK_DONE)
        return found;
    if (!upstream_is_up(upstreams_of(d->core->upstreams, aor_text(record), record->hash)))
        return ASK_DOWN;
    (void)registrar_reload_one(d->at.registrar, record->hash);
    return answer_facts(d, a);
}

/* ---- turns --------------------------------------------------------------------- */

/* False: it is not done yet. */
static bool work_on(struct desk *d, struct ask *a, uint64_t until_us)
{
    bool begins = a->since_us == 0;

    if (begins)
        a->since_us = clock_us(d);
    switch (a->kind) {
    case ASK_FACTS:
        a->result = answer_facts(d, a);
        return true;
    case ASK_LIST:
        if (begins && !page_begin(d, a)) {
            a->result = ASK_NO_MEMORY;
            return true;
        }
        return list_on(d, a, until_us);
    case ASK_SHOW:
        a->result = answer_show(d, a);
        return true;
    case ASK_KICK:
        a->result = answer_kick(d, a);
        return true;
    case ASK_RELOAD:
    case ASK_RELOAD_STOP:
        a->result = answer_reload(d, a);
        return true;
    case ASK_RELOAD_AOR:
        a->result = answer_reload_aor(d, a);
        return true;
    }
    return true;
}

void desk_work(struct desk *d)
{
    uint64_t until_us = clock_us(d) + DESK_SLICE_US;
    struct ask *a;

    do {
        a = asks_take(d->at.asks);
        if (!a)
            return;
        if (!work_on(d, a, until_us)) {
            asks_put_back(d->at.asks, a);
        } else if (a->kind == ASK_KICK && a->result == ASK_DONE) {
            a->next = d->stored;
            d->stored = a;
        } else {
            asks_answer(d->at.asks, a);
        }
    } while (clock_us(d) < until_us);
}

void desk_end_turn(struct desk *d)
{
    struct ask **link = &d->stored;

    while (*link) {
        struct ask *a = *link;

        if (!journal_is_durable(d->core->journal, a->sequence)) {
            link = &a->next;
            continue;
        }
        *link = a->next;
        asks_answer(d->at.asks, a);
    }
}

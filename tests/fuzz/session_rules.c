/*
 * session_rules: what midreg may never do, whatever it was sent.
 *
 * Called by session_world.c for each message that midreg sends and after each
 * event. Aborts where a rule is broken.
 */
#include "session_world.h"

#include "location/location.h"
#include "sip/header.h"
#include "upstream/contact.h"

static struct sip_message sent; /* the one being looked at */

static const struct peer *peer_at(const struct session_world *w, const struct flow *flow)
{
    for (unsigned i = 0; i < PEERS; i++)
        if (w->peers[i].there && flow_equal(&w->peers[i].flow, flow))
            return &w->peers[i];
    return NULL;
}

/* ---- what a message says -------------------------------------------------- */

/* The hash of the AOR in From or To; *served: is its domain ours? */
static uint64_t aor_of(const struct session_world *w, const struct sip_message *m,
                       enum sip_header_id id, bool *served)
{
    static char room[ROOM * 3];
    struct buf aor = buf_make(room, sizeof room);
    struct sip_nameaddr to;
    struct sip_fault fault;

    *served = false;
    if (!sip_nameaddr_parse(sip_value(m, id), &to, &fault) || !sip_canonical_aor(&aor, &to.uri) ||
        aor.overflow)
        return 0;
    *served = config_serves(w->config, to.uri.host);
    return location_hash(core_location(w->core), buf_done(&aor));
}

/* FNV-1a, without regard to case. */
static uint64_t fnv(struct span text)
{
    uint64_t hash = 14695981039346656037ULL;

    for (size_t i = 0; i < text.n; i++)
        hash = (hash ^ (uint8_t)ascii_lower(text.p[i])) * 1099511628211ULL;
    return hash;
}

static uint64_t branch_hash(const struct sip_message *m)
{
    struct sip_fault fault;
    struct sip_via via;

    return sip_via_top(m, &via, &fault) ? fnv(via.branch) : 0;
}

/* ---- whom it may write to --------------------------------------------------- */

/* Where phones are reached that registered through an edge proxy (RFC 3327). */
static void note_path(struct session_world *w, struct span path)
{
    const char *end = path.p + path.n;
    const char *at = path.n ? memchr(path.p, '<', path.n) : NULL;

    for (; at && w->edge_count < EDGES_MAX; at = memchr(at + 1, '<', (size_t)(end - at - 1))) {
        const char *close = memchr(at, '>', (size_t)(end - at));
        struct address edge;
        struct sip_fault fault;
        struct sip_uri uri;
        bool known = false;

        if (!close || !sip_uri_parse(span_between(at + 1, close), &uri, &fault) ||
            !sip_host_address(uri.host, &edge))
            continue;
        edge.port = uri.port ? (uint16_t)uri.port : 5060;
        for (unsigned i = 0; i < w->edge_count; i++)
            known |= address_equal(&w->edges[i], &edge);
        if (!known)
            w->edges[w->edge_count++] = edge;
    }
}

static bool is_edge(struct session_world *w, const struct flow *to)
{
    const struct location *l = core_location(w->core);
    const struct aor *a;
    size_t at = 0;

    while ((a = location_next(l, &at)))
        for (const struct binding *b = aor_first(a); b; b = aor_next(a, b))
            note_path(w, binding_path(b));
    for (unsigned i = 0; i < w->edge_count; i++)
        if (address_equal(&w->edges[i], &to->peer))
            return to->transport == TRANSPORT_UDP;
    return w->edge_count == EDGES_MAX;
}

/* An answer goes to a host that has asked; a request to the main registrar, to
 * a peer that has registered or called, exactly where it did so, or to the edge
 * proxy that a phone has registered through. */
static void check_receiver(struct session_world *w, const struct flow *to)
{
    const struct peer *p = peer_at(w, to);
    bool asked = false;

    if (sent.is_request && is_edge(w, to))
        return;
    for (unsigned i = 0; i < PEERS; i++)
        asked |= (w->peers[i].spoke || w->peers[i].upstream) &&
                 address_same_host(&to->peer, &w->peers[i].own);
    CHECK(asked);
    CHECK(!sent.is_request || p || transport_is_stream(to->transport));
    CHECK(!sent.is_request || !p || p->upstream || p->spoke);
}

/* Is the peer that is being heard registered, where it is, as who it says it is? */
static bool caller_is_known(const struct session_world *w)
{
    const struct aor *a = location_find(core_location(w->core), w->in.caller);

    for (const struct binding *b = a ? aor_first(a) : NULL; b; b = aor_next(a, b))
        if (binding_live(b, w->now_ms) && flow_equal(&b->flow, &w->in.flow))
            return true;
    return false;
}

/* A phone may call as somebody that it has registered, anybody else where calls
 * are challenged; our own contact is not theirs to call. Within a dialog there
 * must have been a token. */
static void check_may_go_up(const struct session_world *w)
{
    struct sip_fault fault;
    struct sip_uri ruri;
    uint64_t hash;

    if (w->in.in_dialog) {
        CHECK(w->token[0]);
        return;
    }
    CHECK(w->in.method == SIP_CANCEL || caller_is_known(w) ||
          w->config->upstream[0].challenges_calls);
    CHECK(!sip_uri_parse(sent.ruri, &ruri, &fault) || !contact_token(&ruri, &hash));
}

/* What phones and strangers ask goes up or nowhere. */
static void check_no_relay(const struct session_world *w, const struct peer *to)
{
    bool asked = w->in.any && w->in.request && !w->in.from_upstream && !w->in.bad;

    if (!asked || w->in.method == SIP_REGISTER || !sent.is_request)
        return;
    CHECK(to && to->upstream);
    check_may_go_up(w);
}

/* RFC 3261 17: an ACK is never answered, and nobody answers an answer. */
static void check_answer_is_due(const struct session_world *w)
{
    if (sent.is_request)
        return;
    CHECK(sent.method != SIP_ACK || (w->in.any && w->in.bad)); /* CSeq may say anything then */
    if (w->in.any && w->in.request)
        CHECK(w->in.method != SIP_ACK);
    if (w->in.any && !w->in.request && w->in.branch) /* it goes back without our Via */
        CHECK(branch_hash(&sent) != w->in.branch);
}

/* ---- its form --------------------------------------------------------------- */

/* To what is malformed the answer can be no better in the fields that it copies. */
static void check_form(const struct session_world *w, const struct flow *to, struct span message)
{
    struct sip_fault fault = {0};
    enum sip_parsed parsed = sip_parse(message, &sent, &fault);
    struct sip_via via;

    CHECK(parsed != SIP_NOT_SIP);
    if (parsed == SIP_BAD) {
        CHECK(w->in.any && w->in.bad && !sent.is_request);
        CHECK(strcmp(fault.reason, "Bad CSeq") == 0 || strcmp(fault.reason, "Bad Call-ID") == 0 ||
              strcmp(fault.reason, "Too Many Header Fields") == 0);
        return;
    }
    CHECK(sent.raw.n == message.n);
    CHECK(sip_has(&sent, SIP_H_CONTENT_LENGTH) || !transport_is_stream(to->transport));
    /* The Vias of an answer that is passed back are its sender's. */
    if (!sent.is_request && w->in.any && w->in.request && !w->in.bad)
        CHECK(sip_via_top(&sent, &via, &fault));
}

static void check_request(const struct session_world *w, const struct flow *to)
{
    const struct address *own = &w->config->listen[to->listener].address;
    struct sip_fault fault;
    struct address host;
    struct sip_via via;

    if (!sent.is_request)
        return;
    CHECK(sip_via_top(&sent, &via, &fault));
    CHECK(via.branch.n > 7 && memcmp(via.branch.p, "z9hG4bK", 7) == 0);
    CHECK(span_eq(via.transport, span_of(transport_via_name(to->transport))));
    CHECK(sip_host_address(via.host, &host) && address_same_host(&host, own));
    CHECK(via.port == own->port);
    CHECK(sip_has(&sent, SIP_H_MAX_FORWARDS));
}

/* A main registrar that trusts our address would believe these. */
static void check_identity(const struct peer *to)
{
    if (!to || !to->upstream)
        return;
    CHECK(!sip_has(&sent, SIP_H_P_ASSERTED_IDENTITY) &&
          !sip_has(&sent, SIP_H_P_PREFERRED_IDENTITY) && !sip_has(&sent, SIP_H_REMOTE_PARTY_ID));
    for (unsigned i = 0; i < sent.header_count; i++)
        CHECK(!sip_name_matches(sent.header[i].name, SPAN("X-FS-*")) &&
              !sip_name_matches(sent.header[i].name, SPAN("X-AUTH-*")));
}

/* ---- registrations ---------------------------------------------------------- */

/* Was this very answer sent before? Then it comes from its transaction. */
static bool is_repeated(struct session_world *w, struct span message)
{
    uint64_t hash = fnv(message);
    bool again = false;

    for (unsigned i = 0; i < ANSWERED_MAX; i++)
        again |= w->answered[i] == hash;
    w->answered[w->answered_at++ % ANSWERED_MAX] = hash;
    return again;
}

static unsigned times_accepted(const struct session_world *w, uint64_t aor)
{
    unsigned n = 0;

    for (unsigned i = 0; i < w->asked_count; i++)
        if (w->asked[i].aor == aor)
            n += w->asked[i].accepted;
    return w->asked_count == ASKED_MAX ? TOLD_MAX : n;
}

/* How many places were told 200 for this AOR, with this one. */
static unsigned places_told(struct session_world *w, uint64_t aor, const struct flow *to)
{
    struct told now = {aor, *to};
    unsigned n = 0;
    bool known = false;

    now.to.peer.port = 0;
    for (unsigned i = 0; i < w->told_count; i++) {
        n += w->told[i].aor == aor;
        known |= w->told[i].aor == aor && flow_equal(&w->told[i].to, &now.to);
    }
    if (known || w->told_count == TOLD_MAX)
        return n;
    w->told[w->told_count++] = now;
    return n + 1;
}

/* Does the disk hold this binding of the other record? */
static bool holds(const struct aor *a, const struct binding *which)
{
    for (const struct binding *b = a ? aor_first(a) : NULL; b; b = aor_next(a, b))
        if (b->id == which->id && !(b->flags & BINDING_TOMBSTONE))
            return span_eq(binding_uri(b), binding_uri(which)) &&
                   span_eq(binding_call_id(b), binding_call_id(which));
    return false;
}

/* A 200 says what is durable: what was added, and that what was removed is gone. */
static bool is_stored(const struct session_world *w, const struct aor *a)
{
    const struct aor *image = disk_find(&w->disk, a->hash);

    for (const struct binding *b = aor_first(a); b; b = aor_next(a, b))
        if (!(b->flags & BINDING_TOMBSTONE) && !holds(image, b))
            return false;
    for (const struct binding *b = image ? aor_first(image) : NULL; b; b = aor_next(image, b))
        if (!(b->flags & BINDING_TOMBSTONE) && !holds(a, b))
            return false;
    return true;
}

/* A phone is told 200 for AORs that we serve, once the change is durable (or the alarm
 * says that it is not), and, where the main registrar proves, once that one has said so:
 * once for each place. */
static void check_registered(struct session_world *w, const struct flow *flow,
                             const struct peer *to)
{
    bool served;
    uint64_t aor;
    const struct aor *a;

    if (sent.is_request || sent.method != SIP_REGISTER || sent.status < 200 || sent.status > 299)
        return;
    CHECK(!to || !to->upstream);
    aor = aor_of(w, &sent, SIP_H_TO, &served);
    CHECK(served);
    if (is_repeated(w, sent.raw) || !sip_has(&sent, SIP_H_CONTACT))
        return;
    a = location_find(core_location(w->core), aor);
    CHECK(a && (w->store_behind || is_stored(w, a)));
    CHECK(w->config->auth != AUTH_UPSTREAM || places_told(w, aor, flow) <= times_accepted(w, aor));
}

/* ---- what is noted ---------------------------------------------------------- */

static void copy_text(char *room, size_t size, struct span text)
{
    size_t n = text.n < size - 1 ? text.n : size - 1;

    memcpy(room, text.p, n);
    room[n] = 0;
}

static void note_asked(struct session_world *w)
{
    struct sip_nameaddr contact;
    struct sip_fault fault;
    bool served;

    if (sip_nameaddr_parse(sip_value(&sent, SIP_H_CONTACT), &contact, &fault))
        copy_text(w->contact, sizeof w->contact, contact.uri_text);
    /* Who accepts REGISTERs without credentials proves nothing (design 3.2). */
    if (!w->config->allow_open_upstream && !sip_has(&sent, SIP_H_AUTHORIZATION) &&
        !sip_has(&sent, SIP_H_PROXY_AUTHORIZATION))
        return;
    if (w->asked_count < ASKED_MAX)
        w->asked[w->asked_count++] =
            (struct asked){branch_hash(&sent), aor_of(w, &sent, SIP_H_TO, &served), 0};
}

static void note(struct session_world *w, const struct peer *to)
{
    struct sip_nameaddr route;
    struct sip_fault fault;

    if (!sent.is_request || !to)
        return;
    if (to->upstream && sent.method == SIP_REGISTER)
        note_asked(w);
    if (sip_nameaddr_parse(sip_value(&sent, SIP_H_RECORD_ROUTE), &route, &fault) &&
        route.uri.has_user)
        copy_text(w->token, sizeof w->token, route.uri.user);
}

/* ---- from outside ----------------------------------------------------------- */

void rules_sent(struct session_world *w, const struct flow *to, struct span message)
{
    const struct peer *p = peer_at(w, to);

    check_form(w, to, message);
    check_receiver(w, to);
    check_no_relay(w, p);
    check_answer_is_due(w);
    check_request(w, to);
    check_identity(p);
    check_registered(w, to, p);
    note(w, p);
    /* One message leads to a few: a fork to all contacts, each cancelled. */
    CHECK(w->sent_in_turn <= 64 + 2 * w->config->max_contacts || !w->in.any);
}

void rules_received(struct session_world *w, const struct peer *p, struct span message)
{
    static struct sip_message m;
    struct sip_fault fault;
    enum sip_parsed parsed = sip_parse(message, &m, &fault);
    struct sip_nameaddr to;
    struct sip_via via;
    bool served;

    w->in.any = true;
    w->in.bad = parsed != SIP_PARSED || !sip_via_top(&m, &via, &fault);
    w->in.request = m.is_request;
    w->in.method = m.method;
    w->in.from_upstream = p->upstream;
    w->in.flow = p->flow;
    w->in.branch = branch_hash(&m);
    w->in.caller = aor_of(w, &m, SIP_H_FROM, &served);
    w->in.in_dialog =
        !w->in.bad && sip_nameaddr_parse(sip_value(&m, SIP_H_TO), &to, &fault) && sip_tag(&to).n;
    if (parsed != SIP_PARSED || m.is_request || !p->upstream || m.method != SIP_REGISTER ||
        m.status < 200 || m.status > 299)
        return;
    for (unsigned i = 0; i < w->asked_count; i++)
        w->asked[i].accepted += w->asked[i].branch == w->in.branch;
}

void rules_between(struct session_world *w)
{
    const struct location *l = core_location(w->core);
    const struct aor *a;
    uint64_t bindings = 0;
    size_t at = 0;

    while ((a = location_next(l, &at))) {
        unsigned mine = 0;

        for (const struct binding *b = aor_first(a); b; b = aor_next(a, b)) {
            mine += !(b->flags & BINDING_TOMBSTONE);
            note_path(w, binding_path(b));
        }
        CHECK(mine <= w->config->max_contacts);
        bindings += mine;
        if (mine && w->config->auth == AUTH_UPSTREAM)
            CHECK(times_accepted(w, a->hash));
    }
    CHECK(bindings == l->bindings);
}

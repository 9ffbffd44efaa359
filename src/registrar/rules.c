/*
 * registrar/rules: the pure rules of registration.
 *
 * Called by the driver on the core thread. Never allocates, never changes the
 * record, knows no clock but the one it is given.
 */
#include "registrar/rules.h"

#include <assert.h>

static void refuse(struct outcome *out, int status, const char *reason)
{
    out->verdict = REG_REFUSED;
    out->status = status;
    out->reason = reason;
    out->changes = 0;
}

/* Has an earlier contact of this request changed it? */
static bool is_claimed(const struct outcome *out, const struct binding *b)
{
    for (unsigned i = 0; out && i < out->changes; i++)
        if (out->change[i].kind != CHANGE_ADD && out->change[i].binding_id == b->id)
            return true;
    return false;
}

static bool equals(const struct binding *b, const struct register_contact *c)
{
    struct sip_uri uri;
    struct sip_fault fault;

    return sip_uri_parse(binding_uri(b), &uri, &fault) && sip_uri_equal(&uri, &c->uri);
}

/*
 * The binding that this contact means: URI equality, RFC 3261 19.1.4. As that is
 * not transitive, several may be equal: the same text is preferred, and none is
 * taken twice. `out` NULL: nothing is changed yet.
 */
static const struct binding *find_binding(const struct aor *a, const struct register_contact *c,
                                          const struct outcome *out)
{
    if (!a)
        return NULL;
    for (const struct binding *b = aor_first(a); b; b = aor_next(a, b))
        if (span_eq(binding_uri(b), c->uri_text) && !is_claimed(out, b))
            return b;
    for (const struct binding *b = aor_first(a); b; b = aor_next(a, b))
        if (!is_claimed(out, b) && equals(b, c))
            return b;
    return NULL;
}

static bool same_call(const struct binding *b, const struct register_request *rq)
{
    return span_eq(binding_call_id(b), rq->call_id);
}

/* Equal in all that is stored with the contact? */
static bool same_contact(const struct binding *b, const struct register_contact *c)
{
    return span_eq(binding_uri(b), c->uri_text) && span_eq(binding_params(b), c->params) &&
           b->q == c->q && (b->q_given != 0) == c->q_given;
}

/* Same flow and Call-ID as the last proved REGISTER of a live binding? */
static bool flow_matches(const struct binding *b, const struct register_request *rq,
                         uint64_t now_ms)
{
    return binding_live(b, now_ms) && (b->flags & BINDING_FLOW_PROVED) &&
           flow_equal(&b->flow, &rq->flow) && same_call(b, rq) &&
           span_eq(binding_path(b), rq->path);
}

/*
 * Design 3.2: a flow proves a refresh by the phone that was proved on it. It
 * does not prove a removal. Behind an edge proxy many phones share a flow: there
 * an identical Path is asked for too, and without Path it proves nothing.
 */
static bool flow_proves(const struct aor *record, const struct register_request *rq,
                        uint64_t now_ms)
{
    if (!record || (!rq->direct && rq->path.n == 0) || rq->star)
        return false;
    if (rq->contacts == 0) { /* a query: any binding of that phone will do */
        for (const struct binding *b = aor_first(record); b; b = aor_next(record, b))
            if (flow_matches(b, rq, now_ms))
                return true;
        return false;
    }
    for (unsigned i = 0; i < rq->contacts; i++) {
        const struct binding *b = find_binding(record, &rq->contact[i], NULL);

        if (!b || rq->contact[i].expires_s == 0 || !flow_matches(b, rq, now_ms) ||
            rq->cseq < b->cseq)
            return false;
    }
    return true;
}

enum proof rules_proof(const struct aor *record, const struct register_request *rq, uint64_t now_ms,
                       const struct config *config)
{
    if (config->auth == AUTH_NONE)
        return PROOF_TRUSTED;
    return flow_proves(record, rq, now_ms) ? PROOF_FLOW : PROOF_ABSENT;
}

bool rules_lease_due(const struct lease *l, uint64_t now_ms)
{
    if (l->means != MEANS_NONE)
        return false;
    return !lease_held(l, now_ms) || l->until_ms - now_ms <= (uint64_t)l->granted_s * 500;
}

/*
 * What the phone gets: at most `phone-expires`, up to `expires-jitter` percent
 * less, so that phones that started together drift apart. Where, as far as we
 * know, only phones' REGISTERs can hold the lease, they must come often enough:
 * it is due from its half on (rules_lease_due()), and the next REGISTER has to
 * fall into the other half.
 */
static uint32_t grant(const struct rules_input *in, uint32_t asked_s)
{
    const struct config *c = in->config;
    uint32_t most = asked_s < c->phone_expires_s ? asked_s : c->phone_expires_s;
    uint32_t spread = (uint32_t)((uint64_t)most * c->expires_jitter / 100);
    uint32_t granted = most - (spread ? in->dice % (spread + 1) : 0);

    if (granted < c->min_expires_s && most >= c->min_expires_s)
        granted = c->min_expires_s;
    if (in->record) {
        const struct lease *l = &in->record->lease;

        if (l->means != MEANS_ACL && l->granted_s && l->granted_s / 2 < granted)
            granted = l->granted_s / 2;
    }
    return granted ? granted : 1;
}

enum checked { CHECK_OK, CHECK_RETRANSMISSION, CHECK_STOP };

/* Is this binding what a copy of the REGISTER that made it asks for? */
static bool is_copy(const struct binding *b, const struct register_contact *c, uint64_t now_ms)
{
    bool live = binding_live(b, now_ms);

    return c->expires_s == 0 ? !live : live && same_contact(b, c);
}

/* Where from what is stored as removed was removed is not stored with it. */
static bool may_be_flow_of(const struct binding *b, const struct register_request *rq)
{
    return flow_equal(&b->flow, &rq->flow) ||
           ((b->flags & BINDING_TOMBSTONE) && (b->flags & BINDING_RESTORED));
}

/* RFC 3261 10.3 step 7: the same Call-ID needs a higher CSeq. */
static enum checked check_order(const struct binding *b, const struct register_request *rq,
                                struct outcome *out)
{
    if (!same_call(b, rq) || rq->cseq > b->cseq)
        return CHECK_OK;
    /* Anybody may have left this one, who knew the Call-ID. */
    if ((b->flags & BINDING_TOMBSTONE) && !(b->flags & BINDING_FLOW_PROVED) &&
        !flow_equal(&b->flow, &rq->flow))
        return CHECK_OK;
    if (rq->cseq == b->cseq && may_be_flow_of(b, rq))
        return CHECK_RETRANSMISSION;
    refuse(out, 500, "CSeq Out of Order");
    return CHECK_STOP;
}

static void plan_removal(const struct rules_input *in, const struct binding *b, unsigned contact,
                         struct outcome *out)
{
    const struct register_request *rq = in->request;

    out->change[out->changes++] =
        (struct change){.kind = CHANGE_REMOVE,
                        .binding_id = b->id,
                        .contact = contact,
                        .cseq = same_call(b, rq) && rq->cseq > b->cseq ? rq->cseq : b->cseq};
}

/*
 * `b`: a tombstone of this contact, or NULL. Only in a record that is there: who
 * makes up names shall leave nothing.
 */
static void plan_note(const struct rules_input *in, const struct binding *b, unsigned contact,
                      struct outcome *out)
{
    const struct register_request *rq = in->request;
    bool is_his =
        !b || (same_call(b, rq) && (in->proof != PROOF_ABSENT || flow_equal(&b->flow, &rq->flow)));

    if (in->record && is_his)
        out->change[out->changes++] = (struct change){
            .kind = CHANGE_NOTE, .binding_id = b ? b->id : 0, .contact = contact, .cseq = rq->cseq};
}

static enum checked plan_contact(const struct rules_input *in, unsigned i, struct outcome *out)
{
    const struct register_request *rq = in->request;
    const struct register_contact *c = &rq->contact[i];
    const struct binding *b = find_binding(in->record, c, out);
    bool live = b && binding_live(b, in->now_ms);

    if (b) {
        enum checked checked = check_order(b, rq, out);

        /* Another request under a used number; or a copy of what added a binding
         * that has ended since: a 200 would tell its phone that it is registered. */
        if (checked == CHECK_RETRANSMISSION && !is_copy(b, c, in->now_ms)) {
            refuse(out, 500, "CSeq Out of Order");
            return CHECK_STOP;
        }
        if (checked != CHECK_OK)
            return checked;
    }
    if (c->expires_s == 0) {
        if (live)
            plan_removal(in, b, i, out);
        else
            plan_note(in, b, i, out);
        return CHECK_OK; /* removing what is not there is no error */
    }
    if (c->expires_s < in->config->min_expires_s) {
        refuse(out, 423, NULL);
        out->too_brief = true;
        return CHECK_STOP;
    }
    struct change *change = &out->change[out->changes++];

    *change = (struct change){.contact = i, .granted_s = grant(in, c->expires_s)};
    if (!b) {
        change->kind = CHANGE_ADD;
        return CHECK_OK;
    }
    change->binding_id = b->id;
    change->kind = live && same_contact(b, c) && same_call(b, rq) &&
                           flow_equal(&b->flow, &rq->flow) && span_eq(binding_path(b), rq->path)
                       ? CHANGE_REFRESH
                       : CHANGE_REPLACE;
    return CHECK_OK;
}

static enum checked plan_star(const struct rules_input *in, struct outcome *out)
{
    enum checked checked;

    if (!in->record)
        return CHECK_OK;
    /* A copy: of what it removed, some tombstone bears its number. Who has
     * registered since then stays. */
    for (const struct binding *b = aor_first(in->record); b; b = aor_next(in->record, b))
        if (!binding_live(b, in->now_ms) && (checked = check_order(b, in->request, out)))
            return checked;
    for (const struct binding *b = aor_first(in->record); b; b = aor_next(in->record, b)) {
        if (!binding_live(b, in->now_ms))
            continue;
        if (check_order(b, in->request, out) != CHECK_OK) {
            refuse(out, 500, "CSeq Out of Order");
            return CHECK_STOP;
        }
        if (out->changes == RULES_CHANGES_MAX) {
            refuse(out, 500, "Too Many Bindings");
            return CHECK_STOP;
        }
        plan_removal(in, b, 0, out);
    }
    return CHECK_OK;
}

static bool changes_something(const struct outcome *out)
{
    for (unsigned i = 0; i < out->changes; i++)
        if (out->change[i].kind != CHANGE_NOTE)
            return true;
    return false;
}

/* All or nothing (RFC 3261 10.3): stops at the first contact that is refused. */
static enum checked plan_changes(const struct rules_input *in, struct outcome *out)
{
    const struct register_request *rq = in->request;
    unsigned repeated = 0;

    if (rq->star)
        return plan_star(in, out);
    for (unsigned i = 0; i < rq->contacts; i++) {
        enum checked checked = plan_contact(in, i, out);

        if (checked == CHECK_STOP)
            return checked;
        repeated += checked == CHECK_RETRANSMISSION;
    }
    if (repeated && changes_something(out)) { /* the number was used for another request */
        refuse(out, 500, "CSeq Out of Order");
        return CHECK_STOP;
    }
    return repeated ? CHECK_RETRANSMISSION : CHECK_OK;
}

/* Counts live bindings before and after the changes. */
static void count_changes(const struct rules_input *in, const struct outcome *out, unsigned *before,
                          unsigned *after)
{
    *before = in->record ? aor_live_count(in->record, in->now_ms) : 0;
    *after = *before;
    for (unsigned i = 0; i < out->changes; i++) {
        const struct change *c = &out->change[i];
        const struct binding *b = NULL;

        if (c->kind == CHANGE_REMOVE)
            --*after;
        if (c->kind == CHANGE_ADD)
            ++*after;
        if (c->kind != CHANGE_REPLACE)
            continue;
        assert(in->record); /* only what is there is replaced */
        for (b = aor_first(in->record); b && b->id != c->binding_id;)
            b = aor_next(in->record, b);
        if (b && !binding_live(b, in->now_ms))
            ++*after; /* a tombstone comes back to life */
    }
}

static bool is_changed(const struct outcome *out, uint32_t binding_id)
{
    for (unsigned i = 0; i < out->changes; i++)
        if (out->change[i].kind != CHANGE_ADD && out->change[i].binding_id == binding_id)
            return true;
    return false;
}

/* At `max-contacts` a new contact takes the place of the one that cannot be
 * reached for the longest time (design 3.5). False: all can be reached. */
static bool replace_unreachable(const struct rules_input *in, struct outcome *out)
{
    const struct binding *oldest = NULL;

    if (!in->record || out->changes == RULES_CHANGES_MAX)
        return false;
    for (const struct binding *b = aor_first(in->record); b; b = aor_next(in->record, b))
        if (binding_live(b, in->now_ms) && (b->flags & BINDING_UNREACHABLE) &&
            !is_changed(out, b->id) && (!oldest || b->expires_ms < oldest->expires_ms))
            oldest = b;
    if (!oldest)
        return false;
    plan_removal(in, oldest, 0, out);
    return true;
}

static bool all_refreshes(const struct outcome *out)
{
    for (unsigned i = 0; i < out->changes; i++)
        if (out->change[i].kind != CHANGE_REFRESH && out->change[i].kind != CHANGE_NOTE)
            return false;
    return true;
}

/* Was every binding that is refreshed proved within the lease (design 3.2)? */
static bool proved_lately(const struct rules_input *in, const struct outcome *out)
{
    uint64_t lease_ms = (uint64_t)in->record->lease.granted_s * 1000;

    for (unsigned i = 0; i < out->changes; i++)
        for (const struct binding *b = aor_first(in->record); b; b = aor_next(in->record, b))
            if (change_binds(&out->change[i]) && b->id == out->change[i].binding_id &&
                in->now_ms - b->proved_ms >= lease_ms)
                return false;
    return true;
}

/* Accepted bindings outlive their lease while the upstream is gone, but not
 * for ever (design 3.4). */
static bool outlived(const struct rules_input *in)
{
    const struct lease *l = &in->record->lease;

    return in->now_ms > l->until_ms + in->config->survive_max_ms;
}

/*
 * Absorb or forward: the table of design 3.2. The first binding of an AOR goes
 * up whoever asks; after that `auth` decides, and whether the lease is due.
 */
static enum verdict absorb_or_forward(const struct rules_input *in, struct outcome *out,
                                      unsigned before)
{
    if (in->proof == PROOF_UPSTREAM)
        return REG_ABSORBED;
    bool adds = outcome_binds(out);

    if (in->proof == PROOF_ABSENT)
        return REG_FORWARD;
    if (before == 0)
        return adds ? REG_FORWARD : REG_ABSORBED;
    if (in->proof == PROOF_FLOW && !(adds && all_refreshes(out)))
        return REG_FORWARD;
    if (!adds)
        return REG_ABSORBED;
    if (outlived(in))
        return REG_FORWARD;
    if (in->proof == PROOF_FLOW && !proved_lately(in, out)) {
        out->survives = true;
        return REG_FORWARD;
    }
    if (rules_lease_due(&in->record->lease, in->now_ms)) {
        out->survives = true;
        return REG_FORWARD;
    }
    return REG_ABSORBED;
}

/* A query or a retransmission: nothing changes, but not everybody may know. */
static enum verdict answer_unchanged(const struct rules_input *in, struct outcome *out,
                                     unsigned before)
{
    if (in->proof == PROOF_ABSENT && before > 0) {
        if (!request_is_query(in->request))
            return REG_FORWARD;
        refuse(out, 403, "Forbidden (query from another flow)");
        return out->verdict;
    }
    return out->changes ? REG_ABSORBED : REG_ANSWERED; /* notes */
}

/* Not the changes, which are counted: clearing all of them would cost more than
 * most decisions. */
static void outcome_begin(struct outcome *out)
{
    out->verdict = REG_ANSWERED;
    out->status = 0;
    out->reason = NULL;
    out->too_brief = out->empties = out->survives = false;
    out->changes = 0;
}

void rules_decide(const struct rules_input *in, struct outcome *out)
{
    unsigned before, after;

    outcome_begin(out);
    enum checked checked = plan_changes(in, out);
    if (checked == CHECK_STOP)
        return;
    count_changes(in, out, &before, &after);
    if (checked == CHECK_RETRANSMISSION)
        out->changes = 0;
    if (!changes_something(out)) {
        out->verdict = answer_unchanged(in, out, before);
        return;
    }
    while (after > in->config->max_contacts && after > before && replace_unreachable(in, out))
        after--;
    if (after > in->config->max_contacts && after > before) {
        refuse(out, 403, "Too Many Contacts");
        return;
    }
    out->empties = after == 0;
    out->verdict = absorb_or_forward(in, out, before);
}

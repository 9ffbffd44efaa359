/*
 * admin/view: see the header.
 *
 * What phones wrote may be no UTF-8: the bytes that are none are replaced.
 */
#include "admin/view.h"

#include <errno.h>
#include <stdlib.h>

/* U+FFFD, the replacement character. */
#define REPLACED "\xef\xbf\xbd"

static json_t *text(struct span s)
{
    json_t *good = json_stringn(s.n ? s.p : "", s.n);
    char *room;
    struct buf out;

    if (good || s.n == 0)
        return good;
    room = malloc(s.n * strlen(REPLACED));
    if (!room)
        return NULL;
    out = buf_make(room, s.n * strlen(REPLACED));
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x80)
            buf_char(&out, s.p[i]);
        else
            buf_lit(&out, REPLACED);
    good = json_stringn(room, out.n);
    free(room);
    return good;
}

static json_t *address(const struct address *a)
{
    char room[80];
    struct buf out = buf_make(room, sizeof room);

    if (a->family == ADDRESS_NONE)
        return json_null();
    address_put(&out, a);
    return text(buf_done(&out));
}

static json_t *number(uint64_t value)
{
    return json_integer((json_int_t)value);
}

/* Until `until_ms`, in seconds; 0 if that has passed. */
static json_t *left(uint64_t until_ms, uint64_t now_ms)
{
    return number(until_ms > now_ms ? (until_ms - now_ms + 999) / 1000 : 0);
}

/* ---- status -------------------------------------------------------------------- */

const char *view_openness(enum upstream_openness o)
{
    switch (o) {
    case UPSTREAM_CLOSED:
        return "challenges";
    case UPSTREAM_DOUBTED:
        return "doubted";
    case UPSTREAM_OPEN:
        return "open";
    case UPSTREAM_UNKNOWN:
        break;
    }
    return "unknown";
}

static const char *reload_state(const struct reload *r)
{
    switch (r->state) {
    case RELOAD_WALKING:
        return "running";
    case RELOAD_ENDING:
        return "ending";
    case RELOAD_IDLE:
        break;
    }
    return "idle";
}

static json_t *reload(const struct facts_upstream *u)
{
    const struct reload *r = &u->reload;

    return json_pack("{s:s, s:o, s:b, s:b, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "state",
                     reload_state(r), "number", number(r->number), "lost", (int)r->lost, "dry_run",
                     (int)r->dry, "total", number(r->total), "seen", number(r->seen), "done",
                     number(r->done), "failed", number(r->failed), "due", number(r->marked),
                     "pending", number(r->pending), "seconds", number(u->reload_s));
}

static const char *events(const struct facts_upstream *u)
{
    if (!u->has_events)
        return "not configured";
    return u->events_up ? "up" : "down";
}

static json_t *upstream(const struct facts_upstream *u)
{
    return json_pack(
        "{s:s, s:s?, s:s, s:o, s:o, s:b, s:s, s:o, s:o, s:o, s:s, s:o, s:f, s:o, s:o, s:o}", "name",
        u->name, "host", u->host, "state", u->state == HEALTH_UP ? "up" : "down", "state_s",
        number(u->state_s), "rtt_ms", number(u->rtt_ms), "lost", (int)u->lost, "event_socket",
        events(u), "reload", reload(u), "address", address(&u->address), "contact",
        address(&u->contact), "openness", view_openness(u->openness), "rate",
        number(u->registrar.rate), "needed", (double)u->registrar.needed_milli / 1000, "expires",
        number(u->registrar.expires_s), "waiting", number(u->registrar.waiting), "storm",
        number(u->registrar.storm_s));
}

static json_t *upstreams(const struct facts *f)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < f->upstreams; i++)
        json_array_append_new(list, upstream(&f->upstream[i]));
    return list;
}

static json_t *counters(const struct facts *f)
{
    json_t *all = json_object();

    for (unsigned i = 0; i < COUNTERS; i++)
        json_object_set_new(all, counter_name(i), number(f->counters.value[i]));
    for (unsigned i = 0; i < WORLD_COUNTS; i++)
        json_object_set_new(all, world_count_name(i)->name, number(f->world[i]));
    return all;
}

json_t *view_status(const struct facts *f, const struct self *self)
{
    return json_pack(
        "{s:s, s:o, s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:{s:s, s:b, s:b, s:o}, s:o, s:o}",
        "version", MIDREG_VERSION, "pid", number((uint64_t)self->pid), "uptime",
        number(self->uptime_s), "auth", f->auth == AUTH_NONE ? "none" : "upstream", "aors",
        number(f->aors), "contacts", number(f->bindings), "location_bytes",
        number(f->location_bytes), "resident_bytes", number(self->resident_bytes), "transactions",
        number(f->transactions), "waiting", number(f->waiting), "store", "kind",
        f->kept ? "sqlite" : "memory", "behind", (int)f->behind, "alarm", (int)f->alarm,
        "undurable", number(f->counters.value[COUNTER_UNDURABLE]), "upstreams", upstreams(f),
        "counters", counters(f));
}

json_t *view_upstreams(const struct facts *f)
{
    return json_pack("{s:o}", "upstreams", upstreams(f));
}

/* ---- AORs ---------------------------------------------------------------------- */

static const char *means_name(const struct lease *l)
{
    switch (l->means) {
    case MEANS_ACL:
        return "acl";
    case MEANS_NONE:
        return "none";
    default:
        return "unknown";
    }
}

static const char *action_name(enum report_action action)
{
    switch (action) {
    case REPORT_BUSY:
        return "on its way";
    case REPORT_PHONE:
        return "a phone's REGISTER";
    case REPORT_REGISTERS:
        return "register";
    case REPORT_REFRESHES:
        return "refresh";
    case REPORT_REMOVES:
        return "remove";
    case REPORT_DOWN:
        return "nothing until it is up";
    case REPORT_NOTHING:
        break;
    }
    return "nothing";
}

static const char *lease_state(const struct lease *l, uint64_t now_ms)
{
    if (lease_held(l, now_ms))
        return "held";
    return lease_possible(l, now_ms) ? "perhaps" : "none";
}

static json_t *lease(const struct facts_lease *facts, const struct lease *l, uint64_t now_ms)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:s, s:o, s:o, s:s, s:o}", "state",
                     lease_state(l, now_ms), "held", left(l->until_ms, now_ms), "perhaps",
                     left(l->may_ms, now_ms), "granted", number(l->granted_s), "means",
                     means_name(l), "failures", number(l->failures), "refused", number(l->refused),
                     "next", action_name(facts->action), "next_in", left(facts->action_ms, now_ms));
}

/* At main registrars that are not its home. */
static json_t *other_leases(const struct facts_aor *a, uint64_t now_ms)
{
    json_t *all = json_array();

    for (unsigned i = 1; i <= a->record->further; i++) {
        json_t *one = lease(&a->lease[i], aor_lease(a->record, i), now_ms);

        json_object_set_new(one, "upstream", json_string(a->lease[i].upstream));
        json_array_append_new(all, one);
    }
    return all;
}

static json_t *binding(const struct binding *b, uint64_t now_ms)
{
    return json_pack("{s:o, s:o, s:s, s:o, s:b, s:o, s:o, s:f, s:o, s:o, s:o, s:o}", "contact",
                     text(binding_uri(b)), "params", text(binding_params(b)), "transport",
                     transport_name(b->flow.transport), "peer", address(&b->flow.peer), "reachable",
                     !(b->flags & BINDING_UNREACHABLE), "expires", left(b->expires_ms, now_ms),
                     "granted", number(b->granted_s), "q", (double)b->q / 1000, "call_id",
                     text(binding_call_id(b)), "cseq", number(b->cseq), "path",
                     text(binding_path(b)), "proved",
                     number((now_ms - (b->proved_ms < now_ms ? b->proved_ms : now_ms)) / 1000));
}

/* `all`: with its contacts. */
static json_t *aor(const struct facts_aor *a, uint64_t now_ms, bool all)
{
    json_t *bindings = json_array();
    uint64_t last_ms = 0;
    unsigned contacts = 0;
    unsigned reachable = 0;
    json_t *out;

    for (const struct binding *b = aor_first(a->record); b; b = aor_next(a->record, b)) {
        if (!binding_live(b, now_ms))
            continue;
        contacts++;
        reachable += !(b->flags & BINDING_UNREACHABLE);
        last_ms = b->expires_ms > last_ms ? b->expires_ms : last_ms;
        if (all)
            json_array_append_new(bindings, binding(b, now_ms));
    }
    out = json_pack("{s:o, s:o, s:o, s:o, s:s, s:o, s:o}", "aor", text(aor_text(a->record)),
                    "contacts", number(contacts), "reachable", number(reachable), "expires",
                    left(last_ms, now_ms), "upstream", a->lease->upstream, "lease",
                    lease(a->lease, &a->record->lease, now_ms), "other_leases",
                    other_leases(a, now_ms));
    if (out && all)
        json_object_set(out, "bindings", bindings);
    json_decref(bindings);
    return out;
}

json_t *view_list(const struct facts_page *page)
{
    json_t *list = json_array();
    struct view_cursor room;

    for (const struct facts_aor *a = page->first; a; a = a->next)
        json_array_append_new(list, aor(a, page->now_ms, false));
    return json_pack("{s:o, s:o}", "aors", list, "next",
                     page->more ? json_string(view_put_cursor(&room, page->after)) : json_null());
}

json_t *view_aor(const struct facts_page *page)
{
    return aor(page->first, page->now_ms, true);
}

json_t *view_kicked(unsigned kicked)
{
    return json_pack("{s:o}", "kicked", number(kicked));
}

json_t *view_error(const char *error, const char *remedy)
{
    return json_pack("{s:s, s:s}", "error", error, "remedy", remedy);
}

/* ---- cursors ------------------------------------------------------------------- */

const char *view_put_cursor(struct view_cursor *room, uint64_t after)
{
    snprintf(room->text, sizeof room->text, "%016llx", (unsigned long long)after);
    return room->text;
}

bool view_read_cursor(const char *text, uint64_t *after)
{
    if (strlen(text) != 16 || strspn(text, "0123456789abcdef") != 16)
        return false;
    *after = strtoull(text, NULL, 16);
    return true;
}

/*
 * admin/route: see the header.
 *
 * Over TCP whoever is on this machine may ask, so may the browser of somebody who
 * has a bad page open: such a page can neither name a host of ours (its name would be
 * its own) nor send the field X-Midreg to another origin without asking first.
 */
#include "admin/route.h"

#include "admin/metrics.h"
#include "admin/view.h"

#include <stdlib.h>

enum {
    HTTP_OK = 200,
    HTTP_ACCEPTED = 202,
    HTTP_CONFLICT = 409,
    HTTP_BAD = 400,
    HTTP_FORBIDDEN = 403,
    HTTP_NOT_FOUND = 404
};
enum { HTTP_METHOD = 405, HTTP_INTERNAL = 500, HTTP_UNAVAILABLE = 503 };

/* Of a reload, REGISTERs a second; what the option rate takes, too. */
#define RATE_MAX 100000

struct endpoint {
    const char *path;   /* all of it, or what an AOR stands behind: */
    const char *behind; /* and what stands behind the AOR; NULL: there is none */
    const char *method;
    enum ask_kind kind;
    unsigned parameters;                                           /* bits */
    json_t *(*view)(const struct ask *a, const struct self *self); /* NULL: metrics */
};

static const char *const parameter_names[ROUTE_PARAMETERS] = {
    "search", "after", "limit", "contact", "upstream", "rate", "dry-run"};

enum route_parameter route_parameter_of(const char *name)
{
    unsigned i = 0;

    while (i < ROUTE_PARAMETERS && strcmp(parameter_names[i], name) != 0)
        i++;
    return (enum route_parameter)i;
}

/* ---- the endpoints ------------------------------------------------------------- */

static json_t *status(const struct ask *a, const struct self *self)
{
    return view_status(a->facts, self);
}

static json_t *upstreams(const struct ask *a, const struct self *self)
{
    (void)self;
    return view_upstreams(a->facts);
}

static json_t *list(const struct ask *a, const struct self *self)
{
    (void)self;
    return view_list(a->page);
}

static json_t *show(const struct ask *a, const struct self *self)
{
    (void)self;
    return view_aor(a->page);
}

static json_t *kick(const struct ask *a, const struct self *self)
{
    (void)self;
    return view_kicked(a->kicked);
}

static const struct endpoint endpoints[] = {
    {"/metrics", NULL, "GET", ASK_FACTS, 0, NULL},
    {"/api/status", NULL, "GET", ASK_FACTS, 0, status},
    {"/api/upstreams", NULL, "GET", ASK_FACTS, 0, upstreams},
    {"/api/aors", NULL, "GET", ASK_LIST, 1 << ROUTE_SEARCH | 1 << ROUTE_AFTER | 1 << ROUTE_LIMIT,
     list},
    {"/api/reload", NULL, "POST", ASK_RELOAD,
     1 << ROUTE_UPSTREAM | 1 << ROUTE_RATE | 1 << ROUTE_DRY_RUN, upstreams},
    {"/api/reload/stop", NULL, "POST", ASK_RELOAD_STOP, 1 << ROUTE_UPSTREAM, upstreams},
    {"/api/aors/", "/reload", "POST", ASK_RELOAD_AOR, 0, upstreams},
    {"/api/aors/", "/kick", "POST", ASK_KICK, 1 << ROUTE_CONTACT, kick},
    {"/api/aors/", "", "GET", ASK_SHOW, 0, show},
};

/* Is this path the endpoint's? *aor is what stands in it. */
static bool leads_to(const struct endpoint *e, const char *path, struct span *aor)
{
    size_t before = strlen(e->path);
    size_t behind = e->behind ? strlen(e->behind) : 0;
    size_t n = strlen(path);

    *aor = SPAN_NONE;
    if (!e->behind)
        return strcmp(path, e->path) == 0;
    if (n <= before + behind || strncmp(path, e->path, before) != 0 ||
        strcmp(path + n - behind, e->behind) != 0)
        return false;
    *aor = span_make(path + before, n - before - behind);
    return true;
}

/* ---- replies ------------------------------------------------------------------- */

static void reply_json(struct route_reply *reply, unsigned status, json_t *what)
{
    *reply = (struct route_reply){.status = status, .type = "application/json"};
    if (what)
        reply->body = json_dumps(what, JSON_COMPACT | JSON_REAL_PRECISION(9));
    if (reply->body)
        reply->n = strlen(reply->body);
    json_decref(what);
}

static bool refuse(struct route_reply *reply, unsigned status, const char *error,
                   const char *remedy)
{
    reply_json(reply, status, view_error(error, remedy));
    return false;
}

void route_busy(struct route_reply *reply)
{
    (void)refuse(reply, HTTP_UNAVAILABLE, "too many requests at once", "ask again in a second");
}

/* ---- who may ask --------------------------------------------------------------- */

/* "localhost", "127.0.0.1" or "[::1]", with or without a port. */
static bool is_loopback(const char *host)
{
    size_t name = host ? strcspn(host, ":") : 0;
    struct address a;

    if (!host)
        return false;
    if (span_ieq(span_make(host, name), SPAN("localhost")))
        return true;
    return address_parse(span_of(host), 1, &a) && address_is_loopback(&a);
}

static bool may_ask(const struct endpoint *e, const struct route_request *rq,
                    struct route_reply *reply)
{
    if (rq->is_unix)
        return true;
    if (!is_loopback(rq->host))
        return refuse(reply, HTTP_FORBIDDEN, "the Host field names no loopback address",
                      "ask at http://127.0.0.1:PORT; a proxy before it must send that as Host");
    if (strcmp(e->method, "GET") != 0 && (!rq->guard || strcmp(rq->guard, "1") != 0))
        return refuse(reply, HTTP_FORBIDDEN, "the field X-Midreg: 1 is missing",
                      "send it with whatever changes something (curl -H 'X-Midreg: 1'), so that "
                      "no page of another site can");
    return true;
}

/* ---- the question -------------------------------------------------------------- */

static bool read_parameters(const struct endpoint *e, const struct route_request *rq, struct ask *a,
                            struct route_reply *reply)
{
    const char *limit = rq->parameter[ROUTE_LIMIT];
    const char *after = rq->parameter[ROUTE_AFTER];
    const char *rate = rq->parameter[ROUTE_RATE];
    const char *dry = rq->parameter[ROUTE_DRY_RUN];
    uint32_t count = ROUTE_LIMIT_DEFAULT;

    for (unsigned i = 0; i < ROUTE_PARAMETERS; i++)
        if (rq->unknown || (rq->parameter[i] && !(e->parameters >> i & 1)))
            return refuse(reply, HTTP_BAD, "a parameter that is not known here, or stands twice",
                          "/api/aors takes search, after and limit, kick takes contact, reload "
                          "takes upstream, rate and dry-run");
    if (limit && (!span_u32(span_of(limit), &count) || count < 1 || count > ROUTE_LIMIT_MAX))
        return refuse(reply, HTTP_BAD, "limit is no number from 1 to 1000",
                      "leave it out for 100, and page on with after");
    if (after && !view_read_cursor(after, &a->after))
        return refuse(reply, HTTP_BAD, "after is no cursor",
                      "give the value of next of the page before, or leave it out");
    if (rate && (!span_u32(span_of(rate), &a->rate) || a->rate < 1 || a->rate > RATE_MAX))
        return refuse(reply, HTTP_BAD, "rate is no number from 1 to 100000",
                      "leave it out to reload as fast as the upstream takes it");
    if (dry && strcmp(dry, "0") != 0 && strcmp(dry, "1") != 0)
        return refuse(reply, HTTP_BAD, "dry-run is neither 0 nor 1", "write dry-run=1");
    a->dry = dry && *dry == '1';
    a->limit = count;
    return true;
}

/* False: no memory. */
static bool copy_texts(const struct route_request *rq, struct span aor, struct ask *a)
{
    const char *search = rq->parameter[ROUTE_SEARCH];
    const char *contact = rq->parameter[ROUTE_CONTACT];
    const char *upstream = rq->parameter[ROUTE_UPSTREAM];

    if (search)
        aor = span_of(search);
    if (aor.p)
        a->text = arena_copy(&a->arena, aor);
    if (contact)
        a->contact = arena_copy(&a->arena, span_of(contact));
    if (upstream)
        a->upstream = arena_copy(&a->arena, span_of(upstream));
    return (!aor.p || a->text.p) && (!contact || a->contact.p) && (!upstream || a->upstream.p);
}

static const struct endpoint *find(const struct route_request *rq, struct span *aor,
                                   struct route_reply *reply)
{
    const bool head = strcmp(rq->method, "HEAD") == 0;

    for (unsigned i = 0; i < sizeof endpoints / sizeof endpoints[0]; i++) {
        const struct endpoint *e = &endpoints[i];

        if (!leads_to(e, rq->path, aor))
            continue;
        if (strcmp(e->method, head ? "GET" : rq->method) == 0)
            return e;
        (void)refuse(reply, HTTP_METHOD, "this path does not know this method",
                     strcmp(e->method, "GET") == 0 ? "use GET" : "use POST");
        reply->allow = strcmp(e->method, "GET") == 0 ? "GET, HEAD" : e->method;
        return NULL;
    }
    (void)refuse(reply, HTTP_NOT_FOUND, "there is no such path",
                 "there are /metrics, /api/status, /api/upstreams, /api/aors, /api/aors/AOR, "
                 "/api/aors/AOR/kick, /api/aors/AOR/reload, /api/reload and /api/reload/stop");
    return NULL;
}

bool route_ask(const struct route_request *rq, const struct endpoint **at, struct ask **ask,
               struct route_reply *reply)
{
    struct span aor;
    const struct endpoint *e = find(rq, &aor, reply);
    struct ask *a;

    if (!e || !may_ask(e, rq, reply))
        return false;
    a = ask_new(e->kind);
    if (!a)
        return refuse(reply, HTTP_UNAVAILABLE, "out of memory", "ask again later");
    if (!read_parameters(e, rq, a, reply)) {
        ask_free(a);
        return false;
    }
    if (!copy_texts(rq, aor, a)) {
        ask_free(a);
        return refuse(reply, HTTP_UNAVAILABLE, "out of memory", "ask again later");
    }
    *at = e;
    *ask = a;
    return true;
}

/* ---- the answer ---------------------------------------------------------------- */

static void answer_metrics(const struct ask *a, const struct self *self, struct route_reply *reply)
{
    *reply = (struct route_reply){.status = HTTP_OK, .type = "text/plain; version=0.0.4"};
    reply->body = metrics_text(a->facts, self, &reply->n);
}

void route_answer(const struct endpoint *at, const struct ask *ask, const struct self *self,
                  struct route_reply *reply)
{
    if (!ask) {
        (void)refuse(reply, HTTP_UNAVAILABLE, "midreg did not answer within 5 seconds",
                     "it is very busy: ask again later; what was to be changed may have been");
        return;
    }
    switch (ask->result) {
    case ASK_DONE:
        if (at->view)
            reply_json(reply, ask->kind >= ASK_RELOAD ? HTTP_ACCEPTED : HTTP_OK,
                       at->view(ask, self));
        else
            answer_metrics(ask, self, reply);
        break;
    case ASK_BAD_AOR:
        (void)refuse(reply, HTTP_BAD, "that is no address of record",
                     "write user@domain; the user alone does where midreg serves one domain");
        break;
    case ASK_NO_AOR:
        (void)refuse(reply, HTTP_NOT_FOUND, "nobody is registered there",
                     "`midreg list SEARCH`, or /api/aors?search=, finds who is");
        break;
    case ASK_NO_CONTACT:
        (void)refuse(reply, HTTP_NOT_FOUND, "it has no such contact",
                     "`midreg show AOR`, or /api/aors/AOR, lists its contacts");
        break;
    case ASK_NO_UPSTREAM:
        (void)refuse(reply, HTTP_NOT_FOUND, "there is no upstream of this name",
                     "/api/upstreams lists them");
        break;
    case ASK_DOWN:
        (void)refuse(reply, HTTP_CONFLICT, "the upstream does not answer",
                     "nothing to do: its leases are registered again when it is back");
        break;
    case ASK_RUNNING:
        (void)refuse(reply, HTTP_CONFLICT, "a reload of this upstream is running",
                     "wait for its end, or stop it with /api/reload/stop");
        break;
    case ASK_NO_MEMORY:
        (void)refuse(reply, HTTP_UNAVAILABLE, "out of memory", "ask again later");
        break;
    }
    if (!reply->body)
        reply->status = HTTP_INTERNAL;
}

/*
 * upstream/upstream: who is a main registrar, where it is, what it proves.
 *
 * Openness: under auth = "upstream" midreg believes what the main registrar
 * believes, so it asks at start and hourly whether that one challenges at all.
 * Called by core.c and by its timer, on the core thread. Design 3.2.
 */
#include "upstream/upstream.h"

#include "upstream/probe.h"

#include <assert.h>
#include <math.h>

#define PROBE_EVERY_MS 3600000u
#define PROBE_AGAIN_MS 30000u

/* The UDP listener that requests to this upstream leave by: its own where it has
 * one, of its family, and on loopback if and only if the upstream is, where there
 * is a choice. */
static unsigned choose_listener(const struct config *c, const struct config_upstream *up,
                                const struct address *to)
{
    unsigned best = 0;
    int best_score = -1;

    for (unsigned i = 0; i < c->listen_count; i++) {
        const struct address *own = &c->listen[i].address;
        int score = 0;

        if (c->listen[i].transport != TRANSPORT_UDP || own->family != to->family)
            continue;
        if (address_is_loopback(own) == address_is_loopback(to))
            score = 2;
        else if (address_is_any(own))
            score = 1;
        if (up->listeners >> i & 1)
            score += 3;
        if (score > best_score) {
            best = i;
            best_score = score;
        }
    }
    return best;
}

void upstream_place(struct upstream *u, const struct address *at)
{
    u->flow.peer = *at;
    u->flow.listener = (uint8_t)choose_listener(u->all->config, u->config, at);
}

static void probe(struct upstream *u);
static void forget_probe(struct upstream *u);

static void on_timer(void *self, struct timer *t)
{
    (void)self;
    probe((struct upstream *)((char *)t - offsetof(struct upstream, timer)));
}

void upstreams_init(struct upstreams *u, struct runtime *rt, const struct config *config,
                    struct transactions *transactions)
{
    *u = (struct upstreams){.rt = rt, .config = config, .transactions = transactions};
    u->count = config->upstream_count;
    for (unsigned i = 0; i < u->count; i++) {
        struct upstream *up = &u->list[i];

        up->config = &config->upstream[i];
        up->all = u;
        up->flow.transport = TRANSPORT_UDP;
        upstream_place(up, &up->config->address);
    }
    wheel_handler(&rt->wheel, TIMER_UPSTREAM, on_timer, u);
    health_init(u);
    names_init(u);
}

void upstreams_tell(struct upstreams *u, const struct upstream_user *user, void *self)
{
    assert(u->user_count < UPSTREAM_USERS_MAX);
    u->users[u->user_count].user = user;
    u->users[u->user_count++].self = self;
}

void upstream_tell_down(struct upstream *u)
{
    const struct upstreams *all = u->all;

    for (unsigned i = 0; i < all->user_count; i++)
        if (all->users[i].user->down)
            all->users[i].user->down(all->users[i].self, u);
}

void upstream_tell_returned(struct upstream *u)
{
    const struct upstreams *all = u->all;

    for (unsigned i = 0; i < all->user_count; i++)
        if (all->users[i].user->returned)
            all->users[i].user->returned(all->users[i].self, u);
}

/* How it reaches us, and whether it challenges, where it is now. */
static void begin_there(struct upstream *u)
{
    const struct ports *ports = u->all->rt->ports;
    const struct config *c = u->all->config;

    u->contact = u->config->contact;
    if (u->contact.family == ADDRESS_NONE)
        ports->local_address(ports->world, &u->flow, &u->contact);
    if (c->auth == AUTH_UPSTREAM && !c->allow_open_upstream)
        probe(u);
}

void upstreams_start(struct upstreams *u)
{
    for (unsigned i = 0; i < u->count; i++) {
        struct upstream *up = &u->list[i];

        if (upstream_is_placed(up)) {
            begin_there(up);
            health_start(up);
        } else {
            up->health.state = HEALTH_DOWN;
        }
        name_start(up);
    }
}

void upstream_move(struct upstream *u, const struct address *to)
{
    upstream_drop_stream(u);
    upstream_place(u, to);
    forget_probe(u);
    begin_there(u);
    health_restarted(u);
}

/* From one of its sources, on a listen address of its own? (A connection that we
 * opened may bear the number of a datagram listener.) */
static bool is_source(const struct config *c, const struct config_upstream *up,
                      const struct flow *from)
{
    if (!(up->listeners >> from->listener & 1) ||
        c->listen[from->listener].transport != from->transport)
        return false;
    for (unsigned i = 0; i < up->source_count; i++)
        if (config_network_holds(&up->sources[i], &from->peer))
            return true;
    return false;
}

struct upstream *upstreams_sender(struct upstreams *u, const struct flow *from)
{
    bool stream = transport_is_stream(from->transport);

    for (unsigned i = 0; i < u->count; i++) {
        struct upstream *up = &u->list[i];

        if (stream ? upstream_owns_stream(up, from)
                   : address_equal(&up->flow.peer, &from->peer) || name_holds(up, &from->peer))
            return up;
        if (is_source(u->config, up->config, from))
            return up;
    }
    return NULL;
}

bool upstreams_at(const struct upstreams *u, const struct flow *to)
{
    for (unsigned i = 0; i < u->count; i++)
        if (address_equal(&u->list[i].flow.peer, &to->peer))
            return true;
    return false;
}

unsigned upstreams_pinged(const struct upstreams *u)
{
    unsigned pinged = 0;

    for (unsigned i = 0; i < u->count; i++)
        pinged += client_get(u->transactions, u->list[i].health.asked) != NULL;
    return pinged;
}

void upstreams_refused(struct upstreams *u, const struct address *to)
{
    for (unsigned i = 0; i < u->count; i++)
        if (address_equal(&u->list[i].flow.peer, to))
            health_refused(&u->list[i]);
}

/* ---- who serves whom ------------------------------------------------------------ */

/* A number between 0 and 1 that is this AOR's and this upstream's own, and the same at
 * every start, whatever others there are. */
static double lot(const struct upstreams *u, unsigned i, uint64_t aor_hash)
{
    uint64_t h = hash64_pair(&u->rt->hasher, span_of(u->list[i].config->name),
                             span_make((const char *)&aor_hash, sizeof aor_hash));

    return ((double)(h >> 11) + 0.5) / (double)(UINT64_C(1) << 53);
}

/* Rendezvous hashing with weights: the least of -ln(lot) / weight. */
static struct upstream *draw(struct upstreams *u, uint64_t aor_hash, bool only_up)
{
    struct upstream *best = NULL;
    double best_score = 0;

    for (unsigned i = 0; i < u->count; i++) {
        double score;

        if (only_up && !upstream_is_up(&u->list[i]))
            continue;
        score = -log(lot(u, i, aor_hash)) / u->list[i].config->weight;
        if (!best || score < best_score) {
            best = &u->list[i];
            best_score = score;
        }
    }
    return best;
}

static const struct upstream *first_up(const struct upstreams *u)
{
    for (unsigned i = 0; i < u->count; i++)
        if (upstream_is_up(&u->list[i]))
            return &u->list[i];
    return u->list;
}

enum config_policy upstreams_policy(const struct upstreams *u, struct span aor)
{
    size_t host = aor.n;

    if (u->config->domain_policy_count == 0)
        return u->config->policy;
    /* A canonical AOR ends with its host, in which there is no '@'. */
    while (host && aor.p[host - 1] != '@')
        host--;
    return config_policy_of(u->config, span_make(aor.p + host, aor.n - host));
}

struct upstream *upstreams_of(struct upstreams *u, struct span aor, uint64_t aor_hash)
{
    struct upstream *chosen;

    if (u->count == 1)
        return u->list;
    if (upstreams_policy(u, aor) == POLICY_FAILOVER)
        return &u->list[first_up(u) - u->list];
    chosen = draw(u, aor_hash, true);
    return chosen ? chosen : draw(u, aor_hash, false);
}

double upstreams_share(const struct upstreams *u, enum config_policy policy, unsigned upstream)
{
    double weights = 0;
    unsigned up = 0;

    if (u->count == 1 || policy == POLICY_ALL)
        return 1;
    if (policy == POLICY_FAILOVER)
        return first_up(u) == &u->list[upstream];
    for (unsigned i = 0; i < u->count; i++)
        up += upstream_is_up(&u->list[i]);
    for (unsigned i = 0; i < u->count; i++)
        weights += up == 0 || upstream_is_up(&u->list[i]) ? u->list[i].config->weight : 0;
    if (up && !upstream_is_up(&u->list[upstream]))
        return 0;
    return u->list[upstream].config->weight / weights;
}

/* ---- the probe --------------------------------------------------------------- */

static void set_openness(struct upstream *u, enum upstream_openness openness)
{
    struct runtime *rt = u->all->rt;

    if (openness == UPSTREAM_OPEN && u->openness != UPSTREAM_OPEN)
        runtime_log(rt, LOG_ERROR, "upstream_open",
                    "upstream=%s remedy=\"it accepts REGISTERs without credentials, so nobody "
                    "proves who he is: let it challenge, or set auth = \\\"none\\\" or "
                    "allow-open-upstream = true if the network is trusted\"",
                    u->config->name);
    if (openness == UPSTREAM_CLOSED && u->openness == UPSTREAM_OPEN)
        runtime_log(rt, LOG_WARN, "upstream_challenges", "upstream=%s", u->config->name);
    u->openness = openness;
}

static void again(struct upstream *u, uint64_t after_ms)
{
    wheel_arm(&u->all->rt->wheel, &u->timer, TIMER_UPSTREAM, u->all->rt->now_ms + after_ms);
}

static void end_doubt(struct upstream *u)
{
    if (u->openness == UPSTREAM_DOUBTED)
        u->openness = u->before_doubt;
}

static struct upstream *probed(void *self, const struct client_tx *tx)
{
    struct upstreams *all = self;

    return &all->list[tx->owner];
}

static void on_response(void *self, struct client_tx *tx, const struct sip_message *response)
{
    struct upstream *u = probed(self, tx);

    if (response->status < 200)
        return;
    end_doubt(u);
    if (response->status < 300)
        set_openness(u, UPSTREAM_OPEN);
    else if (response->status == 401 || response->status == 407)
        set_openness(u, UPSTREAM_CLOSED);
    /* Anything else says nothing about what it would do for a real user. While it
     * is open nobody new gets in: who mends it shall not wait for an hour. */
    again(u, response->status == 401 || response->status == 407 ? PROBE_EVERY_MS : PROBE_AGAIN_MS);
}

static void on_timeout(void *self, struct client_tx *tx)
{
    end_doubt(probed(self, tx));
    again(probed(self, tx), PROBE_AGAIN_MS);
}

static const struct client_user probe_user = {.response = on_response, .timeout = on_timeout};

static void probe(struct upstream *u)
{
    struct client_tx *tx = probe_send(u, &probe_user);

    u->probed = tx ? tx->handle : HANDLE_NONE;
    if (!tx)
        again(u, PROBE_AGAIN_MS);
}

/* What is answered elsewhere says nothing any more. */
static void forget_probe(struct upstream *u)
{
    struct client_tx *tx = client_get(u->all->transactions, u->probed);

    if (tx)
        client_abandon(tx);
    u->probed = HANDLE_NONE;
    u->openness = UPSTREAM_UNKNOWN;
}

void upstream_doubt(struct upstream *u)
{
    uint64_t now_ms = u->all->rt->now_ms;

    if (upstream_may_be_open(u) || now_ms < u->doubt_after_ms)
        return;
    u->doubt_after_ms = now_ms + PROBE_AGAIN_MS;
    u->before_doubt = u->openness;
    u->openness = UPSTREAM_DOUBTED;
    probe(u);
}

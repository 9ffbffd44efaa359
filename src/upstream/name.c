/*
 * upstream/name: see name.h.
 *
 * Called by upstream.c, by core.c with answers, and by its timer, on the core thread.
 * Never waits: the world looks names up and answers in a later turn. One question is on
 * its way at a time.
 */
#include "upstream/name.h"

#include "upstream/upstream.h"

/* Without an answer that is of use: 5 s, 10 s, 20 s, and then each minute. */
#define AGAIN_FIRST_MS 5000u
#define AGAIN_MAX_MS   60000u
/* Calls that began where it was before may last so long. */
#define LEFT_MS 3600000u

static struct upstream *upstream_of(struct timer *t)
{
    struct upstream_name *n =
        (struct upstream_name *)((char *)t - offsetof(struct upstream_name, timer));

    return (struct upstream *)((char *)n - offsetof(struct upstream, name));
}

static void ask(struct upstream *u)
{
    const struct ports *ports = u->all->rt->ports;

    u->name.asked_ms = u->all->rt->now_ms;
    ports->resolve(ports->world, (unsigned)(u - u->all->list), u->config->host,
                   u->config->host_port);
}

static void ask_again(struct upstream *u, uint64_t after_ms)
{
    wheel_arm(&u->all->rt->wheel, &u->name.timer, TIMER_NAME, u->all->rt->now_ms + after_ms);
}

static void on_timer(void *self, struct timer *t)
{
    (void)self;
    ask(upstream_of(t));
}

/* ---- answers ---------------------------------------------------------------------------- */

static uint64_t pause_ms(const struct upstream_name *n)
{
    uint64_t wait_ms = AGAIN_FIRST_MS;

    for (unsigned i = 1; i < n->failures && wait_ms < AGAIN_MAX_MS; i++)
        wait_ms *= 2;
    return wait_ms < AGAIN_MAX_MS ? wait_ms : AGAIN_MAX_MS;
}

/* Once for each trouble; the last address that was known is used on. */
static void complain(struct upstream *u, const char *trouble, const char *remedy)
{
    enum log_level level = u->name.trouble == trouble ? LOG_DEBUG : LOG_WARN;
    bool placed = upstream_is_placed(u);
    char room[64];
    struct buf text = buf_make(room, sizeof room - 1);

    u->name.trouble = trouble;
    if (placed)
        address_put(&text, &u->flow.peer);
    room[text.n] = '\0';
    runtime_log(u->all->rt, level, "name_unknown",
                "upstream=%s host=%s reason=\"%s\" %s%s remedy=\"%s; it is asked for again by "
                "itself\"",
                u->config->name, u->config->host, trouble,
                placed ? "goes_on_with=" : "the upstream counts as down until it is known", room,
                remedy);
}

static void found_nothing(struct upstream *u, const char *trouble, const char *remedy)
{
    complain(u, trouble, remedy);
    if (u->name.failures < UINT8_MAX)
        u->name.failures++;
    ask_again(u, pause_ms(&u->name));
}

/* Those that the upstream may be at. */
static unsigned usable(const struct upstream *u, const struct resolved *answer,
                       struct address out[RESOLVED_MAX])
{
    unsigned count = 0;

    for (unsigned i = 0; i < answer->count; i++)
        if (config_place_of(u->all->config, u->config, &answer->list[i]) == PLACE_GOOD)
            out[count++] = answer->list[i];
    return count;
}

static void move(struct upstream *u, const struct address *to, enum log_level level,
                 const char *why)
{
    struct upstream_name *n = &u->name;
    char room[2][64];
    struct buf from_text = buf_make(room[0], sizeof room[0] - 1);
    struct buf to_text = buf_make(room[1], sizeof room[1] - 1);

    if (upstream_is_placed(u))
        address_put(&from_text, &u->flow.peer);
    else
        buf_lit(&from_text, "nowhere");
    address_put(&to_text, to);
    room[0][from_text.n] = '\0';
    room[1][to_text.n] = '\0';
    runtime_log(u->all->rt, level, "upstream_moved",
                "upstream=%s host=%s from=%s to=%s reason=\"%s\"", u->config->name, u->config->host,
                room[0], room[1], why);
    if (upstream_is_up(u)) {
        n->left = u->flow.peer;
        n->left_until_ms = u->all->rt->now_ms + LEFT_MS;
    }
    upstream_move(u, to);
}

/* Where this address stands among those that are known; `count`: nowhere. */
static unsigned place_of(const struct upstream_name *n, const struct address *a)
{
    unsigned i = 0;

    while (i < n->count && !address_equal(&n->known[i], a))
        i++;
    return i;
}

/* A list that is not whole does not say that an address is gone. */
static void follow(struct upstream *u, bool whole)
{
    const struct upstream_name *n = &u->name;

    if (place_of(n, &u->flow.peer) < n->count || (upstream_is_placed(u) && !whole))
        return;
    if (upstream_is_placed(u))
        move(u, &n->known[0], LOG_WARN, "the name leads elsewhere");
    else
        move(u, &n->known[0], LOG_INFO, "the name is known");
}

void name_resolved(struct upstream *u, const struct resolved *answer)
{
    struct upstream_name *n = &u->name;
    struct address found[RESOLVED_MAX];
    unsigned count;

    if (answer->end == RESOLVED_FAILED) {
        found_nothing(u, "no DNS server answers",
                      "see /etc/resolv.conf, or `resolver` in midreg's configuration");
        return;
    }
    if (answer->end == RESOLVED_NONE) {
        found_nothing(u, "the name has no addresses", "is it spelt rightly, and in the DNS?");
        return;
    }
    count = usable(u, answer, found);
    if (count == 0) {
        found_nothing(u, "none of its addresses can be used",
                      "they are midreg's own, or no udp: listener can send to them");
        return;
    }
    memcpy(n->known, found, count * sizeof found[0]);
    n->count = (uint8_t)count;
    n->failures = 0;
    if (n->trouble)
        runtime_log(u->all->rt, LOG_INFO, "name_known", "upstream=%s host=%s", u->config->name,
                    u->config->host);
    n->trouble = NULL;
    follow(u, answer->whole);
    ask_again(u, answer->ttl_s * UINT64_C(1000));
}

/* ---- the room's side ---------------------------------------------------------------------- */

void names_init(struct upstreams *all)
{
    wheel_handler(&all->rt->wheel, TIMER_NAME, on_timer, all);
}

void name_was(struct upstream *u, const struct address *was)
{
    if (u->config->host && config_place_of(u->all->config, u->config, was) == PLACE_GOOD)
        upstream_place(u, was);
}

void name_start(struct upstream *u)
{
    if (!u->config->host)
        return;
    if (!upstream_is_placed(u))
        runtime_log(u->all->rt, LOG_INFO, "name_awaited",
                    "upstream=%s host=%s until=\"its address is known; until then it counts as "
                    "down\"",
                    u->config->name, u->config->host);
    ask(u);
}

void name_silent(struct upstream *u)
{
    struct upstream_name *n = &u->name;
    unsigned next = place_of(n, &u->flow.peer) + 1;

    if (!u->config->host)
        return;
    if (u->all->rt->now_ms >= n->asked_ms + AGAIN_FIRST_MS)
        ask(u);
    if (n->count == 0 || (n->count == 1 && next == 1))
        return;
    /* Told once for each address, not for each round. */
    move(u, &n->known[next < n->count ? next : 0], n->tried < n->count ? LOG_WARN : LOG_DEBUG,
         "it is silent there");
    if (n->tried < UINT8_MAX)
        n->tried++;
}

bool name_holds(const struct upstream *u, const struct address *a)
{
    const struct upstream_name *n = &u->name;

    return place_of(n, a) < n->count ||
           (u->all->rt->now_ms < n->left_until_ms && address_equal(&n->left, a));
}

bool name_hosts(const struct upstream *u, const struct address *a)
{
    const struct upstream_name *n = &u->name;

    for (unsigned i = 0; i < n->count; i++)
        if (address_same_host(&n->known[i], a))
            return true;
    return address_same_host(&u->flow.peer, a);
}

void name_target(const struct upstream *u, const struct sip_uri *uri, struct address *out)
{
    struct address target = {0};

    *out = u->flow.peer;
    if (!u->config->host || !sip_host_address(uri->host, &target))
        return;
    target.port = uri->port ? (uint16_t)uri->port : SIP_PORT;
    if (target.family == out->family && name_holds(u, &target))
        *out = target;
}

/*
 * config/options: the table itself, looking options up, and `midreg defaults`.
 *
 * To add an option: a field in config.h, a row here. Main thread only; knows
 * nothing of libconfig.
 */
#include "config/options.h"

#define SECOND 1000ULL
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define DAY    (24 * HOUR)
#define WEEK   (7 * DAY)

#define FIELD(name)    offsetof(struct config, name)
#define UPSTREAM(name) offsetof(struct config_upstream, name)
#define EVENTS(name)   offsetof(struct config_event_socket, name)
#define COUNT(array)   (sizeof(array) / sizeof(array)[0])

static const struct option_choice modes[] = {
    {"aor", MODE_AOR}, {"contact", OPTION_NOT_BUILT}, {"mirror", OPTION_NOT_BUILT}, {NULL, 0}};

static const struct option_choice auths[] = {
    {"upstream", AUTH_UPSTREAM}, {"none", AUTH_NONE}, {"local", OPTION_NOT_BUILT}, {NULL, 0}};

static const struct option_choice log_levels[] = {
    {"warn", LOG_LEVEL_WARN}, {"info", LOG_LEVEL_INFO}, {"debug", LOG_LEVEL_DEBUG}, {NULL, 0}};

const struct option_choice config_policies[] = {
    {"hash", POLICY_HASH}, {"failover", POLICY_FAILOVER}, {"all", POLICY_ALL}, {NULL, 0}};

static const struct option_choice means[] = {{"auto", CONFIG_MEANS_AUTO},
                                             {"acl", CONFIG_MEANS_ACL},
                                             {"none", CONFIG_MEANS_NONE},
                                             {"ha1", OPTION_NOT_BUILT},
                                             {NULL, 0}};

static const struct option options[] = {
    {.name = "listen",
     .type = OPTION_LISTENERS,
     .fallback = "[ \"udp:0.0.0.0:5060\", \"tcp:0.0.0.0:5060\" ]",
     .meaning = "Where SIP is received: TRANSPORT:ADDRESS:PORT; an IPv6 address in brackets."},
    {.name = "advertise",
     .type = OPTION_ADDRESS,
     .field = FIELD(advertise),
     .example = "\"203.0.113.7\"",
     .meaning = "The address that phones are told, where it is not the local address of the "
                "route to them; with the listener's port unless one is given."},
    {.name = "domains",
     .type = OPTION_DOMAINS,
     .example = "[ \"example.com\" ]",
     .meaning = "The domains that are served; requests for others get 404. Required unless all "
                "listeners are on loopback, where without it every domain is served."},
    {.name = "domain-alias",
     .type = OPTION_ALIASES,
     .fallback = "[ ]",
     .meaning = "Other names of our domains, each as \"NAME=DOMAIN\": for example "
                "[ \"pbx.example.com=example.com\" ]. A phone that registers at either is the "
                "same identity."},
    {.name = "force-domain",
     .type = OPTION_DOMAIN,
     .field = FIELD(force_domain),
     .example = "\"example.com\"",
     .meaning = "All phones belong to this one of our domains, whatever domain they write (as "
                "FreeSWITCH's force-register-domain)."},
    {.name = "mode",
     .type = OPTION_CHOICE,
     .field = FIELD(mode),
     .fallback = "\"aor\"",
     .choices = modes,
     .meaning = "What the main registrar sees. aor: one contact of ours for each identity."},
    {.name = "auth",
     .type = OPTION_CHOICE,
     .field = FIELD(auth),
     .fallback = "\"upstream\"",
     .choices = auths,
     .meaning = "Who proves a REGISTER. upstream: new contacts, changes and removals are checked "
                "by the main registrar. none: every REGISTER is believed (trusted networks "
                "only)."},
    {.name = "allow-open-upstream",
     .type = OPTION_BOOL,
     .field = FIELD(allow_open_upstream),
     .fallback = "false",
     .meaning = "Under auth = \"upstream\": go on although the main registrar challenges nobody "
                "and so proves nothing."},
    {.name = "phone-expires",
     .type = OPTION_SECONDS,
     .live = true,
     .field = FIELD(phone_expires_s),
     .fallback = "120",
     .min = SECOND,
     .max = DAY,
     .meaning = "The longest registration that a phone is granted."},
    {.name = "min-expires",
     .type = OPTION_SECONDS,
     .live = true,
     .field = FIELD(min_expires_s),
     .fallback = "60",
     .min = SECOND,
     .max = DAY,
     .meaning = "A phone that asks for less gets 423 with this as Min-Expires."},
    {.name = "upstream-expires",
     .type = OPTION_SECONDS,
     .field = FIELD(upstream_expires_s),
     .fallback = "\"1h\"",
     .min = 2 * SECOND,
     .max = WEEK,
     .meaning = "The registration that midreg asks of the main registrar."},
    {.name = "expires-jitter",
     .type = OPTION_NUMBER,
     .live = true,
     .field = FIELD(expires_jitter),
     .fallback = "10",
     .max = 50,
     .meaning = "Percent: phones are granted up to this much less, at random, so that they do "
                "not come back all at once."},
    {.name = "max-contacts",
     .type = OPTION_NUMBER,
     .live = true,
     .field = FIELD(max_contacts),
     .fallback = "10",
     .min = 1,
     .max = 100,
     .meaning = "How many contacts an identity may have."},
    {.name = "fork-timeout",
     .type = OPTION_MILLIS,
     .live = true,
     .field = FIELD(fork_timeout_ms),
     .fallback = "20",
     .min = SECOND,
     .max = 10 * MINUTE,
     .meaning = "How long the phones of the best q ring before those of the next q join."},
    {.name = "timer-c",
     .type = OPTION_MILLIS,
     .live = true,
     .field = FIELD(timer_c_ms),
     .fallback = "181",
     .min = SECOND,
     .max = HOUR,
     .meaning = "How long a phone may ring without a final answer (RFC 3261 16.6: more than 3 "
                "minutes)."},
    {.name = "forward-timeout",
     .type = OPTION_MILLIS,
     .live = true,
     .field = FIELD(forward_timeout_ms),
     .fallback = "3",
     .min = SECOND / 10,
     .max = 32 * SECOND,
     .meaning = "How long a known phone's refresh waits for a silent main registrar before it is "
                "answered here."},
    {.name = "forward-timeout-new",
     .type = OPTION_MILLIS,
     .live = true,
     .field = FIELD(forward_timeout_new_ms),
     .fallback = "16",
     .min = SECOND / 10,
     .max = 32 * SECOND,
     .meaning = "How long any other REGISTER waits for a silent main registrar before it gets "
                "503."},
    {.name = "survive-max",
     .type = OPTION_MILLIS,
     .live = true,
     .field = FIELD(survive_max_ms),
     .fallback = "\"1h\"",
     .max = WEEK,
     .meaning = "How long beyond their lease accepted phones are kept while the main registrar "
                "fails."},
    {.name = "retry-max",
     .type = OPTION_MILLIS,
     .live = true,
     .field = FIELD(retry_max_ms),
     .fallback = "30",
     .min = SECOND,
     .max = HOUR,
     .meaning = "The longest pause between two attempts to register a lease, whatever "
                "Retry-After says."},
    {.name = "flow-grace",
     .type = OPTION_MILLIS,
     .live = true,
     .field = FIELD(flow_grace_ms),
     .fallback = "30",
     .min = 0,
     .max = HOUR,
     .meaning = "How long a phone whose connection closed stays registered, unreachable, before "
                "it is dropped."},
    {.name = "strip-headers",
     .type = OPTION_HEADERS,
     .fallback = "[ ]",
     .meaning = "More headers to remove from requests of phones; a last * makes a prefix of a "
                "name. The identity headers that a PBX may believe are always removed."},
    {.name = "state-dir",
     .type = OPTION_TEXT,
     .field = FIELD(state_dir),
     .fallback = "\"/var/lib/midreg\"",
     .meaning = "Where the installation's secret, the lock file and the store are kept."},
    {.name = "store",
     .type = OPTION_STORE,
     .fallback = "\"sqlite\"",
     .meaning = "Where registrations are kept: \"sqlite\" (the file midreg.db in state-dir), "
                "\"sqlite:FILE\" (another file), or \"memory\" (they are lost at a restart)."},
    {.name = "admin",
     .type = OPTION_ADMIN,
     .fallback = "[ \"unix:/run/midreg/admin.sock\", \"127.0.0.1:8060\" ]",
     .meaning =
         "Where midreg is asked over HTTP (/metrics, /api): \"unix:PATH\", "
         "which only its own user and root may use, or an address on loopback, which every "
         "user of this machine may. Of the default, what cannot be opened is left out with a "
         "warning; [ ]: nowhere."},
    {.name = "resolver",
     .type = OPTION_ADDRESS,
     .port = 53,
     .field = FIELD(resolver),
     .example = "\"127.0.0.1:53\"",
     .meaning = "The DNS server that is asked for the addresses of upstreams with a name, where it "
                "is not one of /etc/resolv.conf."},
    {.name = "log-level",
     .type = OPTION_CHOICE,
     .field = FIELD(log_level),
     .fallback = "\"info\"",
     .choices = log_levels,
     .meaning = "The least important line that is logged: warn, info or debug."},
    {.name = "policy",
     .type = OPTION_CHOICE,
     .field = FIELD(policy),
     .fallback = "\"hash\"",
     .choices = config_policies,
     .meaning = "With several main registrars, who serves an identity. hash: each its share, by "
                "weight. failover: the first that is up. all: as hash, and it is registered at "
                "all of them."},
    {.name = "domain-policy",
     .type = OPTION_POLICIES,
     .fallback = "[ ]",
     .meaning = "Another policy for some of our domains, each as \"DOMAIN=POLICY\": for example "
                "[ \"example.com=failover\" ]."},
    {.name = "upstream",
     .type = OPTION_UPSTREAMS,
     .example = "{ pbx = { address = \"10.0.0.5:5080\" } }",
     .meaning = "The main registrars, each under a name of your choice. Required."},
};

static const struct option upstream_options[] = {
    {.name = "address",
     .type = OPTION_PLACE,
     .port = 5060,
     .field = UPSTREAM(address),
     .example = "\"10.0.0.5:5080\"",
     .meaning = "Where the main registrar is: an IP address with its UDP port (5060 where none is "
                "written), or a host name. Of a name with a port the A and AAAA records count, of "
                "one without the SRV records of _sip._udp, if there are any. Required."},
    {.name = "contact",
     .type = OPTION_ADDRESS,
     .port = 5060,
     .field = UPSTREAM(contact),
     .example = "\"10.0.0.9:5060\"",
     .meaning = "The address that this main registrar is told for its calls to us, where it is "
                "not the local address of the route to it."},
    {.name = "rate",
     .type = OPTION_NUMBER,
     .field = UPSTREAM(rate),
     .fallback = "100",
     .max = 100000,
     .meaning = "REGISTERs a second that it gets to begin with; 0: unlimited."},
    {.name = "rate-max",
     .type = OPTION_NUMBER,
     .field = UPSTREAM(rate_max),
     .fallback = "900",
     .max = 100000,
     .meaning = "The rate climbs up to this while REGISTERs have to wait and are answered quickly, "
                "and is halved while many fail. Not above rate: it does not climb."},
    {.name = "means",
     .type = OPTION_CHOICE,
     .field = UPSTREAM(means),
     .fallback = "\"auto\"",
     .choices = means,
     .meaning = "How midreg can register by itself. acl: the main registrar trusts our address. "
                "none: only with a phone's credentials. auto: learned."},
    {.name = "weight",
     .type = OPTION_NUMBER,
     .field = UPSTREAM(weight),
     .fallback = "1",
     .min = 1,
     .max = 1000,
     .meaning = "Its share of the identities, where there are several main registrars."},
    {.name = "ping-interval",
     .type = OPTION_MILLIS,
     .field = UPSTREAM(ping_interval_ms),
     .fallback = "5",
     .max = HOUR,
     .meaning = "How often it is asked by OPTIONS whether it is there. Two pings without an "
                "answer: it is down. 0: never, and that it was away is not noticed."},
    {.name = "challenges-calls",
     .type = OPTION_BOOL,
     .field = UPSTREAM(challenges_calls),
     .fallback = "false",
     .meaning = "It challenges INVITEs: calls of any phone may pass to it."},
    {.name = "sources",
     .type = OPTION_SOURCES,
     .example = "[ \"10.0.0.5\" ]",
     .meaning = "Addresses or networks (\"10.0.0.0/29\") that this main registrar sends from with "
                "any port: over connections that it opens to us for what is too large for a "
                "datagram. They count on its own listen addresses alone."},
    {.name = "listen",
     .type = OPTION_OWN,
     .example = "[ \"udp:10.0.0.9:5090\", \"tcp:10.0.0.9:5090\" ]",
     .meaning = "Listen addresses that only this main registrar sends to; phones must not reach "
                "them. Its contacts name the udp: one. Needed with sources."},
    {.name = "event-socket",
     .type = OPTION_EVENTS,
     .example = "{ address = \"10.0.0.5:8021\"; password = \"...\"; }",
     .meaning = "FreeSWITCH's event socket (mod_event_socket), which tells at once that it was "
                "restarted or has dropped registrations, and takes our contact away where "
                "midreg has no means to de-register. None: such things heal in time."},
};

static const struct option event_options[] = {
    {.name = "address",
     .type = OPTION_ADDRESS,
     .port = 8021,
     .field = EVENTS(address),
     .example = "\"10.0.0.5:8021\"",
     .meaning = "IP address and TCP port of the event socket. Required."},
    {.name = "password",
     .type = OPTION_LINE,
     .field = EVENTS(password),
     .example = "\"...\"",
     .meaning = "The password in event_socket.conf.xml. Required."},
    {.name = "profile",
     .type = OPTION_LINE,
     .field = EVENTS(profile),
     .fallback = "\"internal\"",
     .meaning = "The SIP profile (of mod_sofia) whose port is the upstream's address."},
};

const struct option_table config_options = {options, COUNT(options)};
const struct option_table config_upstream_options = {upstream_options, COUNT(upstream_options)};
const struct option_table config_event_options = {event_options, COUNT(event_options)};

const struct option *option_find(const struct option_table *table, const char *name)
{
    for (unsigned i = 0; i < table->count; i++)
        if (strcmp(table->options[i].name, name) == 0)
            return &table->options[i];
    return NULL;
}

#define NAME_MAX_COMPARED 40

static unsigned least(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;

    return ab < c ? ab : c;
}

/* Letters to insert, delete, replace or swap with their neighbour until `a` is
 * `b` (optimal string alignment); '_' counts as '-'. */
static unsigned name_distance(const char *a, const char *b)
{
    unsigned rows[3][NAME_MAX_COMPARED + 1];
    size_t n = strlen(b);

    if (n > NAME_MAX_COMPARED || strlen(a) > NAME_MAX_COMPARED)
        return UINT32_MAX;
    for (size_t j = 0; j <= n; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; a[i - 1]; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *second = rows[(i + 1) % 3];
        char letter = a[i - 1] == '_' ? '-' : ascii_lower(a[i - 1]);

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= n; j++) {
            row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + (letter != b[j - 1]));
            if (i > 1 && j > 1 && letter == b[j - 2] && ascii_lower(a[i - 2]) == b[j - 1] &&
                second[j - 2] + 1 < row[j])
                row[j] = second[j - 2] + 1;
        }
    }
    return rows[strlen(a) % 3][n];
}

const struct option *option_nearest(const struct option_table *table, const char *name)
{
    const struct option *best = NULL;
    unsigned best_distance = 2 + (unsigned)strlen(name) / 3; /* farther is no typing error */

    for (unsigned i = 0; i < table->count; i++) {
        unsigned distance = name_distance(name, table->options[i].name);

        if (distance < best_distance) {
            best = &table->options[i];
            best_distance = distance;
        }
    }
    return best;
}

const char *duration_format(struct duration_text *room, uint64_t ms)
{
    static const struct {
        uint64_t ms;
        const char *unit;
    } units[] = {{WEEK, "w"}, {DAY, "d"}, {HOUR, "h"}, {MINUTE, "m"}, {SECOND, "s"}};

    for (unsigned i = 0; i < COUNT(units); i++)
        if (ms && ms % units[i].ms == 0) {
            snprintf(room->text, sizeof room->text, "%llu%s",
                     (unsigned long long)(ms / units[i].ms), units[i].unit);
            return room->text;
        }
    snprintf(room->text, sizeof room->text, "%llums", (unsigned long long)ms);
    return room->text;
}

#define TEXT_COLUMNS 88

/* Prints a meaning as comment lines. */
static void print_comment(FILE *out, const char *indent, const char *text)
{
    while (*text) {
        size_t n = strlen(text);

        if (n > TEXT_COLUMNS)
            for (n = TEXT_COLUMNS; n && text[n] != ' ';)
                n--;
        fprintf(out, "%s# %.*s\n", indent, (int)n, text);
        text += n;
        while (*text == ' ')
            text++;
    }
}

static void print_range(FILE *out, const char *indent, const struct option *o)
{
    struct duration_text min, max;

    if (o->type == OPTION_NUMBER)
        fprintf(out, "%s# From %llu to %llu.\n", indent, (unsigned long long)o->min,
                (unsigned long long)o->max);
    if (o->type == OPTION_SECONDS || o->type == OPTION_MILLIS)
        fprintf(out, "%s# From %s to %s.\n", indent, duration_format(&min, o->min),
                duration_format(&max, o->max));
}

static void print_option(FILE *out, const char *indent, const struct option *o)
{
    print_comment(out, indent, o->meaning);
    print_range(out, indent, o);
    if (o->live)
        fprintf(out, "%s# SIGHUP changes it while midreg runs.\n", indent);
    fprintf(out, "%s%s%s = %s\n\n", indent, o->fallback ? "" : "# ", o->name,
            o->fallback ? o->fallback : o->example);
}

void config_print_defaults(FILE *out)
{
    fprintf(
        out,
        "# Every option of midreg %s with its default; what is commented out has none.\n"
        "# A duration is a number of seconds or a string: \"500ms\", \"2m\", \"1h\", \"1w\".\n\n",
        MIDREG_VERSION);
    for (unsigned i = 0; i < config_options.count; i++)
        print_option(out, "", &config_options.options[i]);
    fprintf(out, "# In each upstream:\n\n");
    for (unsigned i = 0; i < config_upstream_options.count; i++)
        print_option(out, "#   ", &config_upstream_options.options[i]);
    fprintf(out, "# In each event-socket:\n\n");
    for (unsigned i = 0; i < config_event_options.count; i++)
        print_option(out, "#   ", &config_event_options.options[i]);
}

/*
 * Whole sessions: a script (README.md tells how to read it) is played to the real
 * core, with peers, a main registrar, connections, a journal and time. Whatever
 * happened: when all is over nothing is pending, no binding is left, and midreg is
 * silent.
 */
#include "session_talk.h"
#include "session_world.h"

#define LINES_MAX    200u     /* commands of one script */
#define WAIT_MAX_MS  600000u  /* one wait */
#define TOTAL_MAX_MS 7200000u /* all waits together */

static const char commands[] = "><=+!/^~%?;";

struct script {
    struct span rest;
    uint64_t waited_ms;
};

/* ---- configurations ----------------------------------------------------------- */

static const char configuration[] = "listen = [ \"udp:10.0.0.1:5060\" ]\n"
                                    "domains = [ \"example.com\" ]\n"
                                    "max-contacts = 4\n"
                                    "upstream = { pbx = { address = \"10.0.0.5:5080\" } }\n";

static void set_listener(struct config *c, unsigned i, enum transport transport, const char *text)
{
    c->listen[i].transport = transport;
    CHECK(address_parse(span_of(text), 0, &c->listen[i].address));
    if (c->listen_count <= i)
        c->listen_count = i + 1;
}

/* 'n': everybody is believed; 'a': the same, and means are configured; 'u': the
 * main registrar proves; 'o': though it be open; 'c': it challenges calls too;
 * 'r': everybody is believed, and one REGISTER a second goes up. */
static const struct config *configure(char kind)
{
    static const char kinds[] = "nauocr";
    static struct config *made[sizeof kinds - 1];
    const char *found = kind ? strchr(kinds, kind) : NULL;
    size_t i = found ? (size_t)(found - kinds) : (uint8_t)kind % (sizeof kinds - 1);
    struct config *c = made[i];

    if (c)
        return c;
    made[i] = c = config_parse(configuration, "fuzz", stderr);
    CHECK(c);
    set_listener(c, 1, TRANSPORT_TCP, "10.0.0.1:5060");
    set_listener(c, 2, TRANSPORT_UDP, "[2001:db8::1]:5060");
    kind = kinds[i];
    c->auth = strchr("uoc", kind) ? AUTH_UPSTREAM : AUTH_NONE;
    c->allow_open_upstream = kind == 'o';
    c->upstream[0].challenges_calls = kind == 'c';
    c->upstream[0].means = kind == 'a' ? CONFIG_MEANS_ACL : CONFIG_MEANS_AUTO;
    if (kind == 'r')
        c->upstream[0].rate = 1;
    return c;
}

/* ---- scripts -------------------------------------------------------------------- */

/* The next command with all lines that belong to it, without its last line end. */
static bool next_command(struct script *s, struct span *out)
{
    const char *at = s->rest.p;
    const char *end = at + s->rest.n;

    if (s->rest.n == 0)
        return false;
    for (at++; at < end; at++)
        if (at[-1] == '\n' && memchr(commands, *at, sizeof commands - 1))
            break;
    *out = span_between(s->rest.p, at);
    s->rest = span_between(at, end);
    if (out->p[out->n - 1] == '\n')
        out->n--;
    return true;
}

static uint64_t number(struct span *text)
{
    uint64_t n = 0;

    while (text->n && ascii_digit(text->p[0])) {
        n = n > WAIT_MAX_MS ? n : n * 10 + (uint64_t)(text->p[0] - '0');
        text->p++, text->n--;
    }
    return n;
}

static void skip(struct span *text, char c)
{
    if (text->n && text->p[0] == c)
        text->p++, text->n--;
}

static void wait_for(struct session_world *w, struct script *s, uint64_t ms)
{
    if (ms > WAIT_MAX_MS)
        ms = WAIT_MAX_MS;
    if (s->waited_ms + ms > TOTAL_MAX_MS)
        return;
    s->waited_ms += ms;
    world_advance(w, ms);
}

static void answer(struct session_world *w, struct peer *p, struct span text)
{
    unsigned back = 0;

    if (text.n && text.p[0] == '-') {
        skip(&text, '-');
        back = (unsigned)number(&text);
    }
    skip(&text, ' ');
    if (text.n)
        talk_answer(w, p, back, text);
}

static void say(struct session_world *w, struct peer *p, struct span text)
{
    bool raw = text.n && text.p[0] == '#';

    skip(&text, '#');
    skip(&text, ' ');
    if (text.n)
        talk_send(w, p, text, raw);
}

/* Commands that somebody carries out. */
static void play_peer(struct session_world *w, char what, struct span text)
{
    struct peer *p = text.n ? world_peer(w, text.p[0]) : NULL;

    if (!p)
        return;
    text = span_make(text.p + 1, text.n - 1);
    switch (what) {
    case '>':
        say(w, p, text);
        break;
    case '=':
        answer(w, p, text);
        break;
    case '<':
        skip(&text, ' ');
        talk_relay(w, p, text);
        break;
    case '^':
        world_send(w, p, text_span(&p->sent));
        break;
    case '!':
    case '/':
        if (transport_is_stream(p->flow.transport))
            world_cut(w, p, what == '!');
        break;
    }
}

static void set_habit(struct session_world *w, struct span text)
{
    char what = text.n ? text.p[0] : 's';

    w->habit = what == 'a' ? PBX_ACCEPTS : what == 'c' ? PBX_CHALLENGES : PBX_SILENT;
}

static void play(struct session_world *w, struct script *s, struct span command)
{
    struct span text = span_make(command.p + 1, command.n - 1);

    switch (command.p[0]) {
    case '+':
        wait_for(w, s, number(&text));
        break;
    case '~':
        if (w->journal_held)
            world_release(w);
        else
            w->journal_held = true;
        break;
    case '%':
        w->streams_refused = !w->streams_refused;
        break;
    case '?':
        set_habit(w, text);
        break;
    case ';':
        break;
    default:
        play_peer(w, command.p[0], text);
    }
}

/* ---- the end -------------------------------------------------------------------- */

static void check_status(const struct session_world *w)
{
    char room[4096];
    struct buf out = buf_make(room, sizeof room);

    core_put_status(&out, w->core);
    CHECK(out.n && !out.overflow);
}

/* Everybody is gone but the main registrar: within minutes all has ended. */
static void check_end(struct session_world *w)
{
    uint64_t sent;

    world_release(w);
    w->streams_refused = false;
    w->habit = PBX_ACCEPTS;
    world_advance(w, 900000);
    for (unsigned s = 0; s < 60 && core_pending(w->core); s++)
        world_advance(w, 1000); /* the probe of the main registrar, perhaps */
    CHECK(core_pending(w->core) == 0);
    CHECK(core_location(w->core)->bindings == 0);
    CHECK(core_location(w->core)->aors.used == 0);
    check_status(w);
    sent = w->sent_count;
    world_advance(w, 120000);
    CHECK(w->sent_count <= sent + 8 + 120 / 5 + 1); /* the probe again, and pings */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct session_world world;
    struct script s = {.rest = span_make((const char *)data, size)};
    struct span command;

    if (size < 2)
        return 0;
    world_begin(&world, configure(s.rest.p[0]));
    (void)next_command(&s, &command); /* the first line has told the configuration */
    for (unsigned i = 0; i < LINES_MAX && next_command(&s, &command); i++)
        play(&world, &s, command);
    check_end(&world);
    world_end(&world);
    return 0;
}

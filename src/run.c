/*
 * run: puts the program together, runs it and takes it apart.
 *
 * Called by main.c, on the main thread, which becomes the core thread. Order:
 * configuration, state directory, lock, secret, world, core (complete before any
 * socket is open), sockets, turns. What fails says so on stderr in one line;
 * from then on there is only the log.
 */
#include "run.h"

#include "admin/admin.h"
#include "config/diff.h"
#include "core.h"
#include "keep.h"
#include "net/lock.h"
#include "net/secret.h"
#include "net/state.h"
#include "net/world.h"

#include <malloc.h>
#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#define STATUS_MAX 4096
#define SAID_MAX   1024
/* What is slower, the store or a main registrar, is not waited for. */
#define STOP_MS      2000
#define STOP_LOOK_MS 20

/* malloc maps what is larger, and free gives it back: slab pages and the large tables.
 * Said explicitly, because glibc otherwise raises it to the largest that was freed. */
#define MAPPED_BYTES (128 * 1024)

struct program {
    const char *config_path;
    struct config *config;
    int state_dir;
    int lock;
    uint8_t secret[HASH_SECRET_SIZE];
    struct world *world;
    struct core *core;
    struct keep *keep; /* NULL: store = "memory" */
    struct admin *admin;
    bool stopping;
    uint64_t stop_by_ms;
};

/* ---- the log ---- */

__attribute__((format(printf, 3, 4))) static void say(const struct program *p, enum log_level level,
                                                      const char *format, ...)
{
    const struct ports *ports = world_ports(p->world);
    char line[SAID_MAX];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (n > 0)
        ports->log(ports->world, level,
                   span_make(line, (size_t)n < sizeof line ? (size_t)n : sizeof line - 1));
}

/* As it is configured: a name is not looked up yet. */
static void put_place(struct buf *out, const struct config_upstream *up)
{
    if (!up->host) {
        address_put(out, &up->address);
        return;
    }
    buf_str(out, up->host);
    if (up->host_port) {
        buf_char(out, ':');
        buf_u64(out, up->host_port);
    }
}

static void say_started(const struct program *p)
{
    const struct config *c = p->config;
    char line[SAID_MAX];
    struct buf out = buf_make(line, sizeof line - 1);

    for (unsigned i = 0; i < c->listen_count; i++) {
        struct address bound = world_bound(p->world, i);

        buf_str(&out, i ? "," : "listen=");
        buf_str(&out, transport_name(c->listen[i].transport));
        buf_char(&out, ':');
        address_put(&out, &bound);
    }
    for (unsigned i = 0; i < c->upstream_count; i++) {
        buf_str(&out, i ? "," : " upstream=");
        buf_str(&out, c->upstream[i].name);
        buf_char(&out, '@');
        put_place(&out, &c->upstream[i]);
    }
    line[out.n] = 0;
    say(p, LOG_INFO, "event=started version=" MIDREG_VERSION " pid=%ld auth=%s %s", (long)getpid(),
        c->auth == AUTH_NONE ? "none" : "upstream", line);
}

static void say_status(const struct program *p)
{
    char line[STATUS_MAX];
    struct buf out = buf_make(line, sizeof line);

    buf_lit(&out, "event=status ");
    core_put_status(&out, p->core);
    buf_char(&out, ' ');
    world_put_status(&out, p->world);
    world_answer(p->world, buf_done(&out));
}

/* ---- what the world tells the core ---- */

static void on_begin(void *self)
{
    struct program *p = self;

    core_begin(p->core);
}

static void on_receive(void *self, const struct flow *from, struct span message)
{
    struct program *p = self;

    core_receive(p->core, from, message);
}

static void on_refused(void *self, const struct address *to)
{
    struct program *p = self;

    core_refused(p->core, to);
}

static void on_closed(void *self, const struct flow *flow)
{
    struct program *p = self;

    core_flow_closed(p->core, flow);
}

static void on_resolved(void *self, unsigned asker, const struct resolved *answer)
{
    struct program *p = self;

    core_resolved(p->core, asker, answer);
}

/* What is still to be written before the end has until then. */
static void begin_stop(struct program *p)
{
    const struct ports *ports = world_ports(p->world);

    if (!p->stopping)
        p->stop_by_ms = ports->now_us(ports->world) / 1000 + STOP_MS;
    p->stopping = true;
    core_drain(p->core);
}

static uint64_t on_end(void *self)
{
    struct program *p = self;
    const struct ports *ports = world_ports(p->world);
    uint64_t due_ms = core_end(p->core);

    admin_end_turn(p->admin);

    if (!p->stopping)
        return due_ms;
    uint64_t now_ms = ports->now_us(ports->world) / 1000;

    if (core_is_drained(p->core) || now_ms >= p->stop_by_ms)
        world_stop(p->world);
    return now_ms + STOP_LOOK_MS < due_ms ? now_ms + STOP_LOOK_MS : due_ms;
}

static void tell_change(void *self, const struct config_change *c)
{
    say(self, c->applied ? LOG_INFO : LOG_WARN,
        "event=option_changed option=%s%s%s%s%s%s%s applied=%s", c->option,
        c->upstream ? " upstream=" : "", c->upstream ? c->upstream : "",
        *c->before ? " before=" : "", c->before, *c->now ? " now=" : "", c->now,
        c->applied ? "yes" : "no remedy=\"restart midreg\"");
}

/* Each line that config_load() wrote. */
static void say_mistakes(const struct program *p, char *text)
{
    char *rest = NULL;

    for (char *quote = strchr(text, '"'); quote; quote = strchr(quote, '"'))
        *quote = '\''; /* it stands within quotes */
    for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        say(p, LOG_ERROR,
            "event=configuration_bad mistake=\"%s\" remedy=\"mend it; midreg runs on "
            "as before\"",
            line);
}

/* SIGHUP. Reading a file takes well under a millisecond. */
static void read_again(struct program *p)
{
    char *text = NULL;
    size_t n = 0;
    FILE *errors = open_memstream(&text, &n);
    struct config *read;

    if (!errors)
        return;
    read = config_load(p->config_path, errors);
    fclose(errors);
    if (read)
        say(p, LOG_INFO, "event=configuration_read changes=%u",
            config_apply(p->config, read, tell_change, p));
    else if (text)
        say_mistakes(p, text);
    config_free(read);
    free(text);
}

static void on_signal(void *self, int number)
{
    struct program *p = self;

    switch (number) {
    case SIGUSR1:
        say_status(p);
        break;
    case SIGHUP:
        read_again(p);
        break;
    default:
        say(p, LOG_INFO, "event=stopping signal=%s", number == SIGINT ? "INT" : "TERM");
        begin_stop(p);
    }
}

/* ---- life ---- */

static bool start(struct program *p, const char *config_path)
{
    p->config = config_load(config_path, stderr);
    if (!p->config)
        return false;
    p->state_dir = state_dir_open(p->config->state_dir, stderr);
    if (p->state_dir < 0)
        return false;
    p->lock = lock_take(p->state_dir, p->config->state_dir, stderr);
    if (p->lock < 0 || !secret_load(p->state_dir, p->config->state_dir, p->secret, stderr))
        return false;
    p->world = world_new(p->config, STDERR_FILENO, stderr);
    if (!p->world)
        return false;
    p->core = core_new(p->config, world_ports(p->world), p->secret);
    if (!p->core) {
        fprintf(stderr, "out of memory\n");
        return false;
    }
    if (p->config->store != STORE_MEMORY) {
        p->keep = keep_open(p->config, p->world, p->core, stderr);
        if (!p->keep)
            return false;
    }
    p->admin =
        admin_open(p->config, p->world, core_registrar(p->core), core_proxy(p->core), stderr);
    return p->admin && world_open(p->world, stderr);
}

static void finish(struct program *p)
{
    admin_close(p->admin);
    keep_close(p->keep);
    core_free(p->core);
    world_free(p->world);
    if (p->lock >= 0)
        close(p->lock);
    if (p->state_dir >= 0)
        close(p->state_dir);
    explicit_bzero(p->secret, sizeof p->secret);
    config_free(p->config);
}

bool run_midreg(const char *config_path)
{
    struct program p = {.config_path = config_path, .state_dir = -1, .lock = -1};
    bool ok;

    mallopt(M_MMAP_THRESHOLD, MAPPED_BYTES);
    ok = start(&p, config_path);

    if (ok) {
        const struct world_handler handler = {.self = &p,
                                              .begin = on_begin,
                                              .receive = on_receive,
                                              .refused = on_refused,
                                              .closed = on_closed,
                                              .resolved = on_resolved,
                                              .signal = on_signal,
                                              .end = on_end};

        say_started(&p);
        core_start(p.core);
        ok = (!p.keep || keep_begin(p.keep, stderr)) && admin_begin(p.admin, stderr);
        if (ok)
            world_run(p.world, &handler);
        /* Who asks again shall not hear that it was killed: it ends. */
        signal(SIGTERM, SIG_IGN);
        signal(SIGINT, SIG_IGN);
        say_status(&p);
        say(&p, LOG_INFO, "event=stopped");
    }
    finish(&p);
    return ok;
}

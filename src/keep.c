/*
 * keep: see the header.
 *
 * The thread works on a batch that belongs to the core's journal; the core is told
 * of its end within a turn, and never waits for it.
 */
#include "keep.h"

#include "location/writer.h"
#include "net/lock.h"

#include <limits.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define FILE_NAME   "midreg.db"
#define NAME_ROOM   80
#define LINE_ROOM   512
#define MS_A_SECOND 1000

struct keep {
    const struct config *config;
    struct world *world;
    struct core *core;
    struct store *store;
    struct writer *writer;
    int lock; /* of a file outside of state-dir; -1: none */
    struct store_names names;
    const char *name[CONFIG_LISTENERS_MAX];
    const char *upstream[CONFIG_UPSTREAMS_MAX];
    char room[CONFIG_LISTENERS_MAX][NAME_ROOM];
};

/* As configured: "udp:0.0.0.0:5060". */
static void name_all(struct keep *k, const struct config *c)
{
    for (unsigned i = 0; i < c->listen_count; i++) {
        struct buf out = buf_make(k->room[i], NAME_ROOM - 1);

        buf_str(&out, transport_name((enum transport)c->listen[i].transport));
        buf_char(&out, ':');
        address_put(&out, &c->listen[i].address);
        k->room[i][out.n] = '\0';
        k->name[i] = k->room[i];
    }
    for (unsigned i = 0; i < c->upstream_count; i++)
        k->upstream[i] = c->upstream[i].name;
    k->names = (struct store_names){c->listen_count, k->name, c->upstream_count, k->upstream};
}

bool keep_path(const struct config *c, char *path, FILE *errors)
{
    int n = c->store_path ? snprintf(path, PATH_MAX, "%s", c->store_path)
                          : snprintf(path, PATH_MAX, "%s/" FILE_NAME, c->state_dir);

    if (n >= 0 && n < PATH_MAX)
        return true;
    fprintf(errors, "%s: the path is too long\n", c->store_path ? "store" : "state-dir");
    return false;
}

static struct store *open_store(struct keep *k, const struct config *c, FILE *errors)
{
    char path[PATH_MAX];

    if (!keep_path(c, path, errors))
        return NULL;
    if (c->store_path) {
        k->lock = lock_take_store(path, errors);
        if (k->lock < 0)
            return NULL;
    }
    return store_open(path, &k->names, errors);
}

static void say(const struct keep *k, enum log_level level, const char *line)
{
    const struct ports *ports = world_ports(k->world);

    ports->log(ports->world, level, span_of(line));
}

static uint64_t now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * MS_A_SECOND + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- whose numbers the file has ------------------------------------------------- */

static uint64_t number_of(void *self, struct span aor)
{
    const struct keep *k = self;

    return core_hash(k->core, aor);
}

/* Other numbers are of another secret: imported, or the secret is another one now. To look at
 * each number would make every start a fifth longer. */
static bool number_all(struct keep *k, FILE *errors)
{
    char before[STORE_NOTE_MAX], now[STORE_NOTE_MAX];

    snprintf(now, sizeof now, "%016llx", (unsigned long long)core_hash(k->core, SPAN("midreg")));
    store_note(k->store, STORE_NOTE_KEYED, before);
    if (strcmp(before, now) == 0)
        return true;
    if (!store_number(k->store, number_of, k, errors))
        return false;
    if (!store_set_note(k->store, STORE_NOTE_KEYED, now)) /* once more at the next start */
        say(k, LOG_ERROR, "event=store_failed reason=\"a note could not be written\"");
    return true;
}

/* ---- all records ---------------------------------------------------------------- */

static bool take(void *self, const struct aor *image)
{
    const struct keep *k = self;

    return core_restore(k->core, image);
}

static void take_removed(void *self, uint64_t hash, struct binding_spec *removed, uint64_t until_ms)
{
    const struct keep *k = self;

    core_restore_removed(k->core, hash, removed, until_ms);
}

static bool load(struct keep *k, FILE *errors)
{
    uint64_t begin_ms = now_ms();
    struct store_loaded loaded;
    char line[LINE_ROOM];

    if (!store_load(k->store, take, k, &loaded, errors))
        return false;
    store_load_removed(k->store, (uint64_t)time(NULL) * MS_A_SECOND, take_removed, k);
    snprintf(line, sizeof line, "event=store_loaded aors=%llu bindings=%llu refused=%llu ms=%llu",
             (unsigned long long)loaded.aors, (unsigned long long)loaded.bindings,
             (unsigned long long)loaded.refused, (unsigned long long)(now_ms() - begin_ms));
    say(k, LOG_INFO, line);
    return true;
}

/* ---- what is known of main registrars --------------------------------------------- */

static void set(const struct keep *k, unsigned upstream, enum store_fact which, const char *value)
{
    if (!store_set_fact(k->store, upstream, which, value))
        say(k, LOG_ERROR, "event=store_failed reason=\"a note could not be written\"");
}

/* "10.0.0.5:5080", or of one with a name "10.0.0.5:5080 pbx.example.com:0": the leases are
 * there, and so it was called. `at` NULL: nobody knows where. */
static void put_place(char room[STORE_NOTE_MAX], const struct address *at,
                      const struct config_upstream *up)
{
    char text[NAME_ROOM];
    struct buf out = buf_make(text, sizeof text - 1);

    if (at)
        address_put(&out, at);
    else
        buf_char(&out, '-');
    text[out.n] = '\0';
    if (up->host) /* of a very long name the first part must do */
        snprintf(room, STORE_NOTE_MAX, "%.60s %.50s:%u", text, up->host, up->host_port);
    else
        snprintf(room, STORE_NOTE_MAX, "%s", text);
}

/* Where it was when midreg ended, if it has a name, and is called so still. */
static void recall_name(struct keep *k, unsigned upstream, const char *before)
{
    const struct config_upstream *up = &k->config->upstream[upstream];
    char same[STORE_NOTE_MAX];
    struct address was;

    if (!address_parse(span_make(before, strcspn(before, " ")), 0, &was))
        return;
    put_place(same, &was, up);
    if (strcmp(before, same) == 0)
        core_place(k->core, upstream, &was);
}

/* Another address in the configuration is another main registrar, which holds nothing of
 * ours, or not surely. A file of an older midreg does not say where it was. */
static void recall_address(struct keep *k, unsigned upstream, const char *before)
{
    const struct config_upstream *up = &k->config->upstream[upstream];
    char now[STORE_NOTE_MAX];
    char line[LINE_ROOM];

    put_place(now, &up->address, up);
    if (before[0] && strcmp(before, now) != 0) {
        set(k, upstream, STORE_LOST, "1");
        snprintf(line, sizeof line,
                 "event=address_changed upstream=%s before=\"%s\" now=%s remedy=\"none needed: all "
                 "leases are registered there\"",
                 up->name, before, now);
        say(k, LOG_WARN, line);
    }
    set(k, upstream, STORE_PLACE, now);
}

/* What the last end has left. */
static void recall_upstream(struct keep *k, unsigned upstream)
{
    char fact[STORE_NOTE_MAX];

    store_fact(k->store, upstream, STORE_PLACE, fact);
    if (k->config->upstream[upstream].host)
        recall_name(k, upstream, fact);
    else
        recall_address(k, upstream, fact);
    store_fact(k->store, upstream, STORE_LOST, fact);
    if (strcmp(fact, "1") == 0)
        core_was_lost(k->core, upstream);
    store_fact(k->store, upstream, STORE_RUN, fact);
    core_run_was(k->core, upstream, span_of(fact));
}

/* Until the end it is not known what holds then. */
static void forget_place(struct keep *k, unsigned upstream)
{
    char nowhere[STORE_NOTE_MAX];

    put_place(nowhere, NULL, &k->config->upstream[upstream]);
    if (k->config->upstream[upstream].host)
        set(k, upstream, STORE_PLACE, nowhere);
}

/* Our contact there. False: it has none yet. */
static bool contact_now(const struct keep *k, unsigned upstream, char now[STORE_NOTE_MAX])
{
    struct buf out = buf_make(now, STORE_NOTE_MAX - 1);

    if (!core_contact_at(k->core, upstream, &out))
        return false;
    now[out.n] = '\0';
    return true;
}

/* Without it all leases are registered anew at the next start. */
static void note_place(struct keep *k, unsigned upstream)
{
    const struct config_upstream *up = &k->config->upstream[upstream];
    char now[STORE_NOTE_MAX];
    struct address at;

    if (!core_place_at(k->core, upstream, &at))
        return;
    put_place(now, &at, up);
    set(k, upstream, STORE_PLACE, now);
    if (contact_now(k, upstream, now)) /* another one than at start, if it has moved */
        set(k, upstream, STORE_CONTACT, now);
}

/* ---- what the world and the thread say to each other --------------------------- */

static void give(void *self, struct span images)
{
    struct keep *k = self;

    writer_give(k->writer, images);
}

static void ready(void *self)
{
    struct keep *k = self;
    char why[STORE_WHY_MAX];
    char line[LINE_ROOM];
    bool ok;

    if (!writer_done(k->writer, &ok, why))
        return;
    if (!ok) {
        snprintf(line, sizeof line, "event=store_failed reason=\"%s\"", why);
        say(k, LOG_ERROR, line);
    }
    core_written(k->core, ok);
}

/* ---- life ---------------------------------------------------------------------- */

struct keep *keep_open(const struct config *config, struct world *world, struct core *core,
                       FILE *errors)
{
    struct keep *k = calloc(1, sizeof *k);

    if (!k) {
        fprintf(errors, "out of memory\n");
        return NULL;
    }
    k->lock = -1;
    k->config = config;
    k->world = world;
    k->core = core;
    name_all(k, config);
    k->store = open_store(k, config, errors);
    if (!k->store || !number_all(k, errors) || !load(k, errors)) {
        keep_close(k);
        return NULL;
    }
    for (unsigned i = 0; i < config->upstream_count; i++)
        recall_upstream(k, i);
    return k;
}

/* Is our contact at this upstream the one that the stored leases are for? What it was is
 * forgotten when none can be for that any more (IMAGE_KNOWN). */
static void compare_contact(struct keep *k, unsigned upstream)
{
    char now[STORE_NOTE_MAX];
    char before[STORE_NOTE_MAX];
    struct address was;

    store_fact(k->store, upstream, STORE_CONTACT, before);
    if (!contact_now(k, upstream, now)) {
        if (address_parse(span_of(before), 0, &was))
            core_contact_was(k->core, upstream, &was);
        return;
    }
    if (before[0] && strcmp(before, now) != 0) { /* in this order */
        set(k, upstream, STORE_LOST, "1");
        set(k, upstream, STORE_CONTACT_BEFORE, before);
    }
    set(k, upstream, STORE_CONTACT, now);
    if (address_parse(span_of(now), 0, &was))
        core_contact_was(k->core, upstream, &was);
    store_fact(k->store, upstream, STORE_CONTACT_BEFORE, before);
    if (before[0] && address_parse(span_of(before), 0, &was))
        core_contact_moved(k->core, upstream, &was);
}

bool keep_begin(struct keep *k, FILE *errors)
{
    for (unsigned i = 0; i < k->config->upstream_count; i++) {
        compare_contact(k, i);
        forget_place(k, i);
    }
    k->writer = writer_new(k->store);
    if (k->writer &&
        world_keep(k->world, &(struct world_store){k, give, writer_fd(k->writer), ready}))
        return true;
    fprintf(errors, "the system refuses a thread for the store\n");
    return false;
}

void keep_close(struct keep *k)
{
    if (!k)
        return;
    if (k->writer) {
        writer_free(k->writer);
        for (unsigned i = 0; i < k->config->upstream_count; i++)
            note_place(k, i);
    }
    store_close(k->store);
    if (k->lock >= 0)
        close(k->lock);
    free(k);
}

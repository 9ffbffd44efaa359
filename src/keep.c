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
    bool keyed;   /* the numbers in the file are of our secret */
    bool foreign; /* one is not: it is being written anew */
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

static bool take(void *self, const struct aor *image)
{
    struct keep *k = self;

    uint64_t hash = k->keyed ? image->hash : core_hash(k->core, aor_text(image));

    k->foreign |= hash != image->hash;
    return core_restore(k->core, image, hash);
}

/* ---- whose numbers the file has ------------------------------------------------- */

/* To look at each would make a start a fifth longer. */
static void our_key(const struct keep *k, char room[STORE_NOTE_MAX])
{
    snprintf(room, STORE_NOTE_MAX, "%016llx",
             (unsigned long long)core_hash(k->core, SPAN("midreg")));
}

static void recall_key(struct keep *k)
{
    char before[STORE_NOTE_MAX], now[STORE_NOTE_MAX];

    our_key(k, now);
    store_note(k->store, STORE_NOTE_KEYED, before);
    k->keyed = strcmp(before, now) == 0;
}

/* Not while numbers of another secret may be in the file still: then the next start looks
 * again. */
static void note_key(struct keep *k)
{
    char now[STORE_NOTE_MAX];

    our_key(k, now);
    if (!store_set_note(k->store, STORE_NOTE_KEYED, k->foreign ? "" : now))
        say(k, LOG_ERROR, "event=store_failed reason=\"a note could not be written\"");
}

/* ---- all records ---------------------------------------------------------------- */

static bool load(struct keep *k, FILE *errors)
{
    uint64_t begin_ms = now_ms();
    struct store_loaded loaded;
    char line[LINE_ROOM];

    if (!store_load(k->store, take, k, &loaded, errors))
        return false;
    snprintf(line, sizeof line, "event=store_loaded aors=%llu bindings=%llu refused=%llu ms=%llu",
             (unsigned long long)loaded.aors, (unsigned long long)loaded.bindings,
             (unsigned long long)loaded.refused, (unsigned long long)(now_ms() - begin_ms));
    say(k, LOG_INFO, line);
    return true;
}

/* ---- where main registrars with a name are ---------------------------------------- */

/* "10.0.0.5:5080 pbx.example.com:0": the leases are there, and so it was called. */
static void put_place(char room[STORE_NOTE_MAX], const struct address *at,
                      const struct config_upstream *up)
{
    char text[NAME_ROOM];
    struct buf out = buf_make(text, sizeof text - 1);

    address_put(&out, at);
    text[out.n] = '\0';
    /* Of a very long name the first part must do. */
    snprintf(room, STORE_NOTE_MAX, "%.60s %.50s:%u", text, up->host, up->host_port);
}

static const char *place_name(char room[NAME_ROOM + 8], const struct config_upstream *up)
{
    snprintf(room, NAME_ROOM + 8, "place:%s", up->name);
    return room;
}

/* What the last end has left. */
static void recall_place(struct keep *k, unsigned upstream)
{
    const struct config_upstream *up = &k->config->upstream[upstream];
    char name[NAME_ROOM + 8];
    char before[STORE_NOTE_MAX];
    char same[STORE_NOTE_MAX];
    struct address was;

    store_note(k->store, place_name(name, up), before);
    if (up->host && address_parse(span_make(before, strcspn(before, " ")), 0, &was)) {
        put_place(same, &was, up);
        if (strcmp(before, same) == 0)
            core_place(k->core, upstream, &was);
    }
}

/* Until the end it is not known what holds then. */
static void forget_place(struct keep *k, unsigned upstream)
{
    char name[NAME_ROOM + 8];

    if (!store_set_note(k->store, place_name(name, &k->config->upstream[upstream]), ""))
        say(k, LOG_ERROR, "event=store_failed reason=\"a note could not be written\"");
}

/* Our contact there, and what its note is called. False: it has none yet. */
static bool contact_now(const struct keep *k, unsigned upstream, char name[NAME_ROOM + 8],
                        char now[STORE_NOTE_MAX])
{
    struct buf out = buf_make(now, STORE_NOTE_MAX - 1);

    if (!core_contact_at(k->core, upstream, &out))
        return false;
    now[out.n] = '\0';
    snprintf(name, NAME_ROOM + 8, "contact:%s", k->config->upstream[upstream].name);
    return true;
}

/* Without it all leases are registered anew at the next start. */
static void note_place(struct keep *k, unsigned upstream)
{
    const struct config_upstream *up = &k->config->upstream[upstream];
    char name[NAME_ROOM + 8];
    char now[STORE_NOTE_MAX];
    struct address at;

    if (!core_place_at(k->core, upstream, &at))
        return;
    put_place(now, &at, up);
    (void)store_set_note(k->store, place_name(name, up), now);
    if (contact_now(k, upstream, name, now)) /* another one than at start, if it has moved */
        (void)store_set_note(k->store, name, now);
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
    if (k->store)
        recall_key(k);
    if (!k->store || !load(k, errors)) {
        keep_close(k);
        return NULL;
    }
    for (unsigned i = 0; i < config->upstream_count; i++) {
        recall_place(k, i);
        if (store_was_lost(k->store, i))
            core_was_lost(k->core, i);
    }
    return k;
}

/* Is our contact at this upstream the one that the stored leases are for? */
static void compare_contact(struct keep *k, unsigned upstream)
{
    char name[NAME_ROOM + 8];
    char now[STORE_NOTE_MAX];
    char before[STORE_NOTE_MAX];
    char line[LINE_ROOM];
    struct address was;

    if (!contact_now(k, upstream, name, now))
        return;
    store_note(k->store, name, before);
    if (before[0] && strcmp(before, now) != 0) {
        if (!address_parse(span_of(before), 0, &was))
            was = (struct address){0};
        core_contact_moved(k->core, upstream, &was);
        snprintf(
            line, sizeof line,
            "event=contact_moved upstream=%s before=%s now=%s remedy=\"none needed: all leases "
            "are registered anew, and the old contacts removed\"",
            k->config->upstream[upstream].name, before, now);
        say(k, LOG_WARN, line);
    }
    if (!store_set_note(k->store, name, now))
        say(k, LOG_ERROR, "event=store_failed reason=\"a note could not be written\"");
}

bool keep_begin(struct keep *k, FILE *errors)
{
    note_key(k);
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

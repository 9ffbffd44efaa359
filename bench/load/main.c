/*
 * load: the session: arguments, and one command a line on stdin.
 *
 *   load --server PORT --upstream PORT --ports PORT --aors N [--pids 1,2]
 *
 *   register [contact=0] [expires=3600] COMMON    REGISTERs of this contact
 *   call [contacts=2] COMMON                      whole calls
 *   storm [contacts=10] COMMON                    calls that all ring at once
 *   floor script=560:420 COMMON                   sizes alone, against bench/floor
 *   pss                                           memory of the server
 *   COMMON: count=N [warm=N] [first=N] [range=N] [rate=N] [window=N] [in_order=1]
 *
 * Each command is answered with one line of JSON; what is wrong ends the session.
 */
#include "load.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdlib.h>

#define COMMAND_MAX 1024

static bool fail(const char *what, const char *text)
{
    fprintf(stderr, "load: %s: %s\n", what, text);
    return false;
}

/* ---- commands ---- */

static const struct {
    const char *name;
    const struct work *work;
} works[] = {{"register", &work_register},
             {"call", &work_call},
             {"storm", &work_storm},
             {"floor", &work_floor}};

static bool set_number(struct order *o, const char *name, uint64_t value)
{
    if (strcmp(name, "count") == 0)
        o->count = value;
    else if (strcmp(name, "warm") == 0)
        o->warm = value;
    else if (strcmp(name, "first") == 0)
        o->first = value;
    else if (strcmp(name, "range") == 0)
        o->range = value;
    else if (strcmp(name, "rate") == 0)
        o->rate = value;
    else if (strcmp(name, "window") == 0)
        o->window = (uint32_t)value;
    else if (strcmp(name, "contact") == 0)
        o->contact = (uint32_t)value;
    else if (strcmp(name, "contacts") == 0)
        o->contacts = (uint32_t)value;
    else if (strcmp(name, "expires") == 0)
        o->expires_s = (uint32_t)value;
    else if (strcmp(name, "in_order") == 0)
        o->in_order = value != 0;
    else
        return false;
    return true;
}

static bool read_setting(struct order *o, char *word)
{
    char *value = strchr(word, '=');
    char *end;
    uint64_t number;

    if (!value)
        return fail("not NAME=VALUE", word);
    *value++ = 0;
    if (strcmp(word, "script") == 0) {
        o->script = value;
        return true;
    }
    number = strtoull(value, &end, 10);
    if (end == value || *end || !set_number(o, word, number))
        return fail("no such setting", word);
    return true;
}

static bool check_order(const struct load *l, struct order *o)
{
    if (!o->window)
        o->window = o->rate ? SLOTS_MAX : WINDOW;
    if (!o->range)
        o->range = l->aors - o->first;
    if (o->first + o->range > l->aors || o->range == 0 || o->count == 0 || o->window > SLOTS_MAX ||
        o->contact >= CONTACTS_MAX || o->contacts > CONTACTS_MAX || o->contacts == 0)
        return fail("out of range", "an order");
    return true;
}

static bool read_order(struct load *l, char *line)
{
    struct order *o = &l->order;
    char *rest;
    char *word = strtok_r(line, " \n", &rest);

    *o = (struct order){.contacts = 2, .expires_s = 3600};
    for (size_t i = 0; word && i < sizeof works / sizeof works[0]; i++)
        if (strcmp(works[i].name, word) == 0)
            o->work = works[i].work;
    if (!o->work)
        return fail("no such command", word ? word : "");
    if (o->work == &work_storm)
        o->contacts = 10;
    while ((word = strtok_r(NULL, " \n", &rest)))
        if (!read_setting(o, word))
            return false;
    return check_order(l, o);
}

static bool prepare(struct load *l)
{
    const struct order *o = &l->order;

    if (o->work == &work_floor)
        return (o->script && floor_prepare(l, o->script)) || fail("no good script", "floor");
    if (o->work == &work_call || o->work == &work_storm)
        return call_prepare(l) || fail("no memory", "calls");
    if (!l->cseq[o->contact])
        l->cseq[o->contact] = calloc(l->aors, sizeof *l->cseq[0]);
    return l->cseq[o->contact] || fail("no memory", "CSeqs");
}

static bool obey(struct load *l, char *line)
{
    if (strcmp(line, "pss\n") == 0) {
        printf("{\"pss\": %" PRIu64 "}\n", usage_pss(&l->server));
        fflush(stdout);
        return true;
    }
    return read_order(l, line) && prepare(l) && engine_run(l);
}

/* ---- the session ---- */

struct arguments {
    uint16_t server, upstream, ports;
    uint64_t aors;
};

static bool read_arguments(int argc, char **argv, struct load *l, struct arguments *a)
{
    for (int i = 1; i + 1 < argc; i += 2) {
        const char *name = argv[i], *value = argv[i + 1];

        if (strcmp(name, "--server") == 0)
            a->server = (uint16_t)atoi(value);
        else if (strcmp(name, "--upstream") == 0)
            a->upstream = (uint16_t)atoi(value);
        else if (strcmp(name, "--ports") == 0)
            a->ports = (uint16_t)atoi(value);
        else if (strcmp(name, "--aors") == 0)
            a->aors = strtoull(value, NULL, 10);
        else if (strcmp(name, "--pids") != 0 || !usage_parse(value, &l->server))
            return fail("no such argument", name);
    }
    return (argc % 2 && a->server && a->upstream && a->ports && a->aors) ||
           fail("usage", "load --server PORT --upstream PORT --ports PORT --aors N [--pids N,N]");
}

static bool session_begin(struct load *l, const struct arguments *a)
{
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(a->server)};

    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    l->aors = a->aors;
    l->bound = calloc(l->aors, sizeof *l->bound);
    l->target = calloc(l->aors, sizeof *l->target);
    if (!l->bound || !l->target)
        return fail("no memory", "AORs");
    return wire_init(&l->wire, server, a->ports, a->upstream);
}

static void session_end(struct load *l)
{
    wire_fini(&l->wire);
    call_finish(l);
    for (unsigned i = 0; i < CONTACTS_MAX; i++)
        free(l->cseq[i]);
    free(l->floor);
    free(l->bound);
    free(l->target);
    free(l);
}

int main(int argc, char **argv)
{
    struct load *l = calloc(1, sizeof *l);
    struct arguments a = {0};
    char line[COMMAND_MAX];
    bool ok;

    if (!l)
        return 1;
    ok = read_arguments(argc, argv, l, &a) && session_begin(l, &a);
    while (ok && fgets(line, sizeof line, stdin))
        ok = obey(l, line);
    session_end(l);
    return ok ? 0 : 1;
}

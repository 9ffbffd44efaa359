/*
 * main: midreg-drive, the core at the end of a pipe (README.md).
 *
 * Reads commands from stdin until it ends and writes what comes of them to stdout.
 * Exit status: 0 done, 1 could not (stderr says why), 2 wrongly called.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

#define LINE_MAX_BYTES 256
#define PLACE_MAX      63
#define STATUS_MAX     4096
#define ADVANCE_MAX_MS 100000000000u /* three years */

enum { EXIT_USAGE = 2 };

struct driver {
    struct world world;
    char line[LINE_MAX_BYTES]; /* of the command */
    char *bytes;               /* of its datagram */
};

static bool fault(const struct driver *d, const char *why)
{
    fprintf(stderr, "midreg-drive: %s: %s", why, d->line);
    return false;
}

static bool command_datagram(struct driver *d)
{
    char from_text[PLACE_MAX + 1], to_text[PLACE_MAX + 1];
    struct address from, to;
    size_t n;

    if (sscanf(d->line, "datagram %63s %63s %zu", from_text, to_text, &n) != 3 ||
        !address_parse(span_of(from_text), 0, &from) || !address_parse(span_of(to_text), 0, &to))
        return fault(d, "not FROM TO LENGTH");
    if (n > DATAGRAM_MAX)
        return fault(d, "no datagram is so long");
    if (fread(d->bytes, 1, n, stdin) != n)
        return fault(d, "its bytes are missing");
    return world_receive(&d->world, &from, &to, span_make(d->bytes, n)) ||
           fault(d, "midreg does not listen there");
}

static bool command_advance(struct driver *d)
{
    uint64_t ms;

    if (sscanf(d->line, "advance %lu", &ms) != 1 || ms > ADVANCE_MAX_MS)
        return fault(d, "not MILLISECONDS");
    world_advance(&d->world, ms);
    return true;
}

static bool command_status(struct driver *d)
{
    char line[STATUS_MAX];
    struct buf out = buf_make(line, sizeof line);

    core_put_status(&out, d->world.core);
    printf("status %.*s\n", (int)out.n, line);
    return true;
}

static const struct {
    const char *name;
    bool (*run)(struct driver *d);
} commands[] = {
    {"datagram ", command_datagram},
    {"advance ", command_advance},
    {"status\n", command_status},
};

static bool obey(struct driver *d)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strncmp(d->line, commands[i].name, strlen(commands[i].name)) == 0)
            return commands[i].run(d);
    return fault(d, "there is no command");
}

/* Everything that came of a command stands before its "done". */
static bool say_done(const struct driver *d)
{
    printf("done %lu\n", world_time_ms(&d->world));
    return fflush(stdout) == 0;
}

static bool drive(struct driver *d)
{
    bool ok = say_done(d);

    while (ok && fgets(d->line, sizeof d->line, stdin))
        ok = obey(d) && say_done(d);
    return ok;
}

int main(int argc, char **argv)
{
    struct driver d = {0};
    bool ok;

    if (argc != 2) {
        fprintf(stderr, "usage: midreg-drive FILE, a configuration\n");
        return EXIT_USAGE;
    }
    d.bytes = malloc(DATAGRAM_MAX);
    ok = world_init(&d.world, argv[1], stdout, stderr) && d.bytes && drive(&d);
    world_fini(&d.world);
    free(d.bytes);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

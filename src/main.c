/*
 * main: the command line.
 *
 * Reads the sub-command and hands over; what fails is said in one line on stderr
 * with the remedy. Exit status: 0 done, 1 could not, 2 wrongly called.
 */
#include "admin/cli.h"
#include "config/config.h"
#include "exchange.h"
#include "run.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_CONFIG "/etc/midreg/midreg.conf"

enum { EXIT_USAGE = 2 };

static const char usage[] =
    "midreg, a SIP mid-registrar\n"
    "\n"
    "  midreg run [-c FILE]   run in the foreground; log on stderr\n"
    "  midreg check [FILE]    check a configuration, tell every mistake with its line\n"
    "  midreg defaults        print every option with its default and meaning\n"
    "  midreg status          what a running midreg does, and how its upstreams are\n"
    "  midreg top             the same, and what is done a second, until q; --interval S,\n"
    "                         --once\n"
    "  midreg list [SEARCH]   who is registered; --limit N\n"
    "  midreg show AOR        one identity: its contacts and its lease upstream\n"
    "  midreg kick AOR [CONTACT]   remove its contacts, or one\n"
    "  midreg reload          register the leases again, paced, and show how far it is;\n"
    "                         --upstream NAME, --aor AOR, --rate N a second, --dry-run,\n"
    "                         --stop. Ctrl-C ends the showing only\n"
    "  midreg export [FILE]   write all registrations as JSON lines, to FILE or stdout\n"
    "  midreg import FILE     read them, while midreg does not run; --replace\n"
    "  midreg version         print the version\n"
    "  midreg help            print this\n"
    "\n"
    "FILE is " DEFAULT_CONFIG " where none is given. status to reload take -c FILE, which\n"
    "names the socket, or --socket PATH, and --json.\n"
    "Signals: TERM and INT end midreg, USR1 logs its counters, HUP reads FILE again.\n"
    "Exit status: 0 done, 1 could not (stderr says why), 2 wrong usage.\n";

static int wrong_usage(const char *what, const char *argument)
{
    fprintf(stderr, "midreg: %s%s%s; see `midreg help`\n", what, argument ? " " : "",
            argument ? argument : "");
    return EXIT_USAGE;
}

/* What was written to stdout has reached it? */
static int done(void)
{
    if (fflush(stdout) == 0)
        return EXIT_SUCCESS;
    perror("midreg: stdout");
    return EXIT_FAILURE;
}

static int command_run(int count, char **arguments)
{
    const char *path = DEFAULT_CONFIG;

    if (count >= 1 && strcmp(arguments[0], "-c") != 0)
        return wrong_usage("run knows no", arguments[0]);
    if (count == 1)
        return wrong_usage("-c needs a file", NULL);
    if (count > 2)
        return wrong_usage("run takes one file, not also", arguments[2]);
    if (count == 2)
        path = arguments[1];
    return run_midreg(path) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int command_check(int count, char **arguments)
{
    const char *path = DEFAULT_CONFIG;
    struct config *c;

    if (count >= 1 && strcmp(arguments[0], "-c") == 0) {
        count--, arguments++;
        if (count == 0)
            return wrong_usage("-c needs a file", NULL);
    }
    if (count >= 1 && arguments[0][0] == '-')
        return wrong_usage("check knows no", arguments[0]);
    if (count > 1)
        return wrong_usage("check takes one file, not also", arguments[1]);
    if (count == 1)
        path = arguments[0];
    c = config_load(path, stderr);
    if (!c)
        return EXIT_FAILURE;
    config_free(c);
    printf("%s: good\n", path);
    return done();
}

static int command_defaults(int count, char **arguments)
{
    if (count)
        return wrong_usage("defaults takes nothing, not", arguments[0]);
    config_print_defaults(stdout);
    return done();
}

/* -c FILE and words, of which `*word` takes one. 0, or what it ends with. */
static int read_words(const char *name, int count, char **arguments, const char **path,
                      const char **word, bool *replace)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(arguments[i], "-c") == 0 && i + 1 == count)
            return wrong_usage("-c needs a file", NULL);
        if (strcmp(arguments[i], "-c") == 0)
            *path = arguments[++i];
        else if (replace && strcmp(arguments[i], "--replace") == 0)
            *replace = true;
        else if (arguments[i][0] == '-' && arguments[i][1])
            return wrong_usage("this command knows no", arguments[i]);
        else if (*word)
            return wrong_usage("that is one argument too many:", arguments[i]);
        else
            *word = arguments[i];
    }
    return replace && !*word ? wrong_usage("a file is missing after", name) : 0;
}

static int command_export(int count, char **arguments)
{
    const char *path = DEFAULT_CONFIG;
    const char *out = NULL;
    int code = read_words("export", count, arguments, &path, &out, NULL);

    if (code)
        return code;
    return exchange_export(path, out) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int command_import(int count, char **arguments)
{
    const char *path = DEFAULT_CONFIG;
    const char *in = NULL;
    bool replace = false;
    int code = read_words("import", count, arguments, &path, &in, &replace);

    if (code)
        return code;
    return exchange_import(path, in, replace) ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int command_version(int count, char **arguments)
{
    if (count)
        return wrong_usage("version takes nothing, not", arguments[0]);
    puts("midreg " MIDREG_VERSION);
    return done();
}

static int command_help(int count, char **arguments)
{
    (void)count;
    (void)arguments;
    fputs(usage, stdout);
    return done();
}

static const struct {
    const char *name;
    int (*run)(int count, char **arguments);
} commands[] = {
    {"run", command_run},       {"check", command_check},       {"defaults", command_defaults},
    {"export", command_export}, {"import", command_import},     {"version", command_version},
    {"help", command_help},     {"--version", command_version}, {"--help", command_help},
    {"-h", command_help},
};

int main(int argc, char **argv)
{
    if (argc < 2) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 2, argv + 2);
    if (cli_knows(argv[1]))
        return cli_run(argv[1], argc - 2, argv + 2, DEFAULT_CONFIG);
    return wrong_usage("there is no command", argv[1]);
}

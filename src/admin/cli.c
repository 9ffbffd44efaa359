/*
 * admin/cli: the sub-commands themselves.
 *
 * Called by main.c. Reads the arguments, asks (cli_ask.c), prints (cli_print.c). What
 * watches a reload ends with it, or with Ctrl-C, which ends the watching alone.
 */
#include "admin/cli.h"

#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PATH_ROOM     6144
#define LOOK_MS       500
#define TOP_EVERY_S   2
#define PLAIN_EVERY_S 5 /* a line, where no terminal shows progress */

enum { DONE = 0, COULD_NOT = 1, WRONG_USAGE = 2 };

#define WORDS_MAX 2

/* What was typed. */
struct order {
    const char *name;
    const char *config;
    const char *socket;
    const char *upstream, *aor, *rate, *limit, *interval;
    bool json, dry, stop, once;
    const char *words[WORDS_MAX];
    unsigned word_count;
};

static int wrong(const char *what, const char *argument)
{
    fprintf(stderr, "midreg: %s%s%s; see `midreg help`\n", what, argument ? " " : "",
            argument ? argument : "");
    return WRONG_USAGE;
}

static void sleep_ms(unsigned ms)
{
    const struct timespec t = {ms / 1000, (long)(ms % 1000) * 1000000};

    nanosleep(&t, NULL);
}

/* What reached stdout. */
static int flushed(int code)
{
    if (fflush(stdout) == 0)
        return code;
    perror("midreg: stdout");
    return COULD_NOT;
}

/* Prints it whole, or gives it to `print`. */
static int show_answer(const struct order *o, json_t *answer,
                       void (*print)(FILE *out, const json_t *answer))
{
    if (!answer)
        return COULD_NOT;
    if (o->json) {
        cli_put_json(answer, true);
    } else {
        cli_clean(answer);
        print(stdout, answer);
    }
    json_decref(answer);
    return flushed(DONE);
}

/* "/api/aors/AOR" and what follows; false: no memory. */
static bool aor_path(struct cli *c, const char *aor, const char *behind, char *path)
{
    char *escaped = cli_escape(c, aor);
    bool fits =
        escaped && (size_t)snprintf(path, PATH_ROOM, "/api/aors/%s%s", escaped, behind) < PATH_ROOM;

    if (!fits)
        fputs("midreg: that is too long\n", stderr);
    free(escaped);
    return fits;
}

/* Adds "?name=value" or "&name=value" where there is a value. */
static bool add_parameter(struct cli *c, char *path, const char *name, const char *value)
{
    char *escaped = value ? cli_escape(c, value) : NULL;
    size_t n = strlen(path);
    bool fits = !value || (escaped && (size_t)snprintf(path + n, PATH_ROOM - n, "%c%s=%s",
                                                       strchr(path, '?') ? '&' : '?', name,
                                                       escaped) < PATH_ROOM - n);

    if (!fits)
        fputs("midreg: that is too long\n", stderr);
    free(escaped);
    return fits;
}

/* ---- status, list, show, kick --------------------------------------------------------- */

static int run_status(struct cli *c, const struct order *o)
{
    return show_answer(o, cli_ask(c, "GET", "/api/status"), cli_print_status);
}

static int run_top(struct cli *c, const struct order *o)
{
    struct cli_top top = {.interval_ms = TOP_EVERY_S * 1000.0, .once = o->once, .json = o->json};
    char *end = NULL;

    if (o->interval) {
        double seconds = strtod(o->interval, &end);

        if (!*o->interval || *end || !(seconds >= 0.1 && seconds <= 3600))
            return wrong("--interval takes seconds from 0.1 to 3600, not", o->interval);
        top.interval_ms = seconds * 1000;
    }
    return cli_top(c, &top) ? flushed(DONE) : COULD_NOT;
}

static int run_show(struct cli *c, const struct order *o)
{
    char path[PATH_ROOM];

    if (!aor_path(c, o->words[0], "", path))
        return COULD_NOT;
    return show_answer(o, cli_ask(c, "GET", path), cli_print_aor);
}

static void print_kicked(FILE *out, const json_t *answer)
{
    json_int_t kicked = json_integer_value(json_object_get(answer, "kicked"));

    fprintf(out, "%lld contact%s removed\n", (long long)kicked, kicked == 1 ? "" : "s");
}

static int run_kick(struct cli *c, const struct order *o)
{
    char path[PATH_ROOM];

    if (!aor_path(c, o->words[0], "/kick", path) ||
        !add_parameter(c, path, "contact", o->word_count > 1 ? o->words[1] : NULL))
        return COULD_NOT;
    return show_answer(o, cli_ask(c, "POST", path), print_kicked);
}

/* Page by page, up to `left`. With --json one object a line. */
static int print_pages(struct cli *c, const struct order *o, json_int_t left)
{
    char after[32] = "";

    for (bool first = true; left > 0; first = false) {
        char path[PATH_ROOM] = "/api/aors";
        char limit[16];
        const char *next;
        json_t *page, *aors, *a;
        size_t i;

        snprintf(limit, sizeof limit, "%lld", (long long)(left < 1000 ? left : 1000));
        if (!add_parameter(c, path, "limit", limit) ||
            !add_parameter(c, path, "search", o->word_count ? o->words[0] : NULL) ||
            !add_parameter(c, path, "after", *after ? after : NULL))
            return COULD_NOT;
        page = cli_ask(c, "GET", path);
        if (!page)
            return COULD_NOT;
        aors = json_object_get(page, "aors");
        left -= (json_int_t)json_array_size(aors);
        if (!o->json) {
            cli_clean(page);
            cli_print_list(stdout, page, first);
        } else {
            json_array_foreach(aors, i, a) cli_put_json(a, false);
        }
        next = json_string_value(json_object_get(page, "next"));
        snprintf(after, sizeof after, "%s", next ? next : "");
        json_decref(page);
        if (!*after)
            break;
    }
    return flushed(DONE);
}

static int run_list(struct cli *c, const struct order *o)
{
    char *end = NULL;
    long long limit = o->limit ? strtoll(o->limit, &end, 10) : INT64_MAX;

    if (o->limit && (*end || limit < 1))
        return wrong("--limit takes a number from 1, not", o->limit);
    return print_pages(c, o, limit);
}

/* ---- reload ----------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    (void)number;
    interrupted = 1;
}

static bool is_idle(const json_t *upstream)
{
    const char *state =
        json_string_value(json_object_get(json_object_get(upstream, "reload"), "state"));

    return !state || strcmp(state, "idle") == 0;
}

static json_int_t reload_number(const json_t *upstream, const char *name)
{
    return json_integer_value(json_object_get(json_object_get(upstream, "reload"), name));
}

/* Of all upstreams, or of the one that was named. */
static bool is_meant(const struct order *o, const json_t *upstream)
{
    const char *name = json_string_value(json_object_get(upstream, "name"));

    return !o->upstream || (name && strcmp(name, o->upstream) == 0);
}

/* Returns how many are not idle yet; *failed: leases that were refused. */
static unsigned show_progress(const struct order *o, const json_t *answer, double seconds,
                              json_int_t *before, json_int_t *failed)
{
    const char *end = isatty(STDOUT_FILENO) ? "\033[K\r" : "\n";
    unsigned running = 0;
    json_int_t done = 0;
    const json_t *u;
    size_t i;

    *failed = 0;
    json_array_foreach(json_object_get(answer, "upstreams"), i, u) if (is_meant(o, u)) done +=
        reload_number(u, "done");
    json_array_foreach(json_object_get(answer, "upstreams"), i, u)
    {
        if (!is_meant(o, u))
            continue;
        running += !is_idle(u);
        *failed += reload_number(u, "failed");
        cli_print_reload(stdout, u, seconds > 0 ? (double)(done - *before) / seconds : 0);
        fputs(is_idle(u) && isatty(STDOUT_FILENO) ? "\033[K\n" : end, stdout);
    }
    fflush(stdout);
    *before = done;
    return running;
}

/* Until it has ended, or Ctrl-C. */
static int watch(struct cli *c, const struct order *o)
{
    const unsigned pause_ms = isatty(STDOUT_FILENO) ? LOOK_MS : PLAIN_EVERY_S * 1000;
    struct sigaction act = {.sa_handler = on_interrupt};
    json_int_t before = 0, failed = 0;
    unsigned waited_ms = 0;
    bool first = true;

    sigaction(SIGINT, &act, NULL);
    for (;;) {
        json_t *answer = cli_ask(c, "GET", "/api/upstreams");
        bool idle = true;
        const json_t *u;
        size_t i;

        if (!answer)
            return COULD_NOT;
        json_array_foreach(json_object_get(answer, "upstreams"), i, u) idle =
            idle && (!is_meant(o, u) || is_idle(u));
        if (idle || waited_ms >= pause_ms || (first && !idle)) {
            (void)show_progress(o, answer, first ? 0 : waited_ms / 1000.0, &before, &failed);
            waited_ms = 0;
            first = false;
        }
        json_decref(answer);
        if (idle)
            return flushed(failed ? COULD_NOT : DONE);
        if (interrupted) {
            fputs("\nThe reload goes on; `midreg reload --stop` ends it.\n", stdout);
            return flushed(DONE);
        }
        sleep_ms(LOOK_MS / 5);
        waited_ms += LOOK_MS / 5;
    }
}

static void print_nothing(FILE *out, const json_t *answer)
{
    (void)answer;
    fputs("done\n", out);
}

static void print_one(FILE *out, const json_t *answer)
{
    (void)answer;
    fputs("its lease is registered again, or left to its phone's next REGISTER where midreg has "
          "no means;\n`midreg show` tells what came of it\n",
          out);
}

static int run_reload(struct cli *c, const struct order *o)
{
    char path[PATH_ROOM];
    json_t *answer;

    if (o->aor && (o->upstream || o->rate || o->dry || o->stop))
        return wrong("--aor goes alone", NULL);
    if (o->stop && (o->rate || o->dry))
        return wrong("--stop takes --upstream alone", NULL);
    if (o->aor)
        return aor_path(c, o->aor, "/reload", path)
                   ? show_answer(o, cli_ask(c, "POST", path), print_one)
                   : COULD_NOT;
    snprintf(path, sizeof path, "%s", o->stop ? "/api/reload/stop" : "/api/reload");
    if (!add_parameter(c, path, "upstream", o->upstream) ||
        !add_parameter(c, path, "rate", o->rate) ||
        !add_parameter(c, path, "dry-run", o->dry ? "1" : NULL))
        return COULD_NOT;
    answer = cli_ask(c, "POST", path);
    if (o->stop || o->json)
        return show_answer(o, answer, print_nothing);
    if (!answer)
        return COULD_NOT;
    json_decref(answer);
    if (o->dry)
        puts("dry run: nothing is sent; this is what would be done");
    return watch(c, o);
}

/* ---- the command line --------------------------------------------------------------------- */

static const struct command {
    const char *name;
    unsigned least, most; /* words */
    int (*run)(struct cli *c, const struct order *o);
    const char *options; /* beside -c, --socket and --json */
} commands[] = {
    {"status", 0, 0, run_status, ""},
    {"top", 0, 0, run_top, " --interval --once "},
    {"list", 0, 1, run_list, " --limit "},
    {"show", 1, 1, run_show, ""},
    {"kick", 1, 2, run_kick, ""},
    {"reload", 0, 0, run_reload, " --upstream --aor --rate --dry-run --stop "},
};

static const struct command *find(const char *name)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

bool cli_knows(const char *name)
{
    return find(name) != NULL;
}

/* Where the value of this option goes; NULL: it has none. */
static const char **value_of(struct order *o, const char *option)
{
    const struct {
        const char *name;
        const char **value;
    } options[] = {{"-c", &o->config},           {"--socket", &o->socket},
                   {"--upstream", &o->upstream}, {"--aor", &o->aor},
                   {"--rate", &o->rate},         {"--limit", &o->limit},
                   {"--interval", &o->interval}};

    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (strcmp(options[i].name, option) == 0)
            return options[i].value;
    return NULL;
}

static bool *flag_of(struct order *o, const char *option)
{
    if (strcmp(option, "--json") == 0)
        return &o->json;
    if (strcmp(option, "--dry-run") == 0)
        return &o->dry;
    if (strcmp(option, "--once") == 0)
        return &o->once;
    return strcmp(option, "--stop") == 0 ? &o->stop : NULL;
}

/* Does this command take the option? */
static bool takes(const struct command *k, const char *option)
{
    char padded[32];

    if (strcmp(option, "-c") == 0 || strcmp(option, "--socket") == 0 ||
        strcmp(option, "--json") == 0)
        return true;
    snprintf(padded, sizeof padded, " %s ", option);
    return strstr(k->options, padded) != NULL;
}

/* 0, or what it ends with. */
static int parse(const struct command *k, int count, char **arguments, struct order *o)
{
    for (int i = 0; i < count; i++) {
        const char **value = value_of(o, arguments[i]);
        bool *flag = flag_of(o, arguments[i]);

        if (arguments[i][0] == '-' && (!(value || flag) || !takes(k, arguments[i])))
            return wrong("this command knows no", arguments[i]);
        if (value && i + 1 == count)
            return wrong("a value is missing after", arguments[i]);
        if (value)
            *value = arguments[++i];
        else if (flag)
            *flag = true;
        else if (o->word_count == k->most)
            return wrong("that is one argument too many:", arguments[i]);
        else
            o->words[o->word_count++] = arguments[i];
    }
    return o->word_count < k->least ? wrong("an argument is missing after", k->name) : 0;
}

int cli_run(const char *name, int count, char **arguments, const char *config_path)
{
    const struct command *k = find(name);
    struct order o = {.name = name, .config = config_path};
    int code = k ? parse(k, count, arguments, &o) : WRONG_USAGE;
    struct cli *c = code ? NULL : cli_open(o.config, o.socket);

    if (code || !c)
        return code ? code : COULD_NOT;
    code = k->run(c, &o);
    cli_close(c);
    return code;
}

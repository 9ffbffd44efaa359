/*
 * midreg-sim: lives simulated days, one for each seed, and says which went wrong.
 *
 * The seeds are dealt to several processes. Ends with "N passed, N failed"; exits
 * 1 if one failed, 2 if it was called wrongly.
 */
#include "sim.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 64

struct plan {
    struct sim_options options;
    uint64_t first;
    uint64_t last;
    unsigned jobs;
    bool twice; /* --check-determinism */
    bool stats;
    char more[96]; /* options that a replay needs */
};

static const char usage[] =
    "usage: midreg-sim [--seeds A-B | --seed N] [--phones 200] [--hours 24]\n"
    "                  [--auth none|upstream] [--jobs N] [--check-determinism]\n"
    "                  [--stats] [--verbose [--aor N]]\n";

static void print_failure(const struct sim *s, const char *more)
{
    const struct check_failure *f = &s->check.failure;
    uint64_t ms = f->at_us / 1000;

    printf("seed %llu FAILED at %02u:%02u:%02u.%03u, auth %s: invariant %d",
           (unsigned long long)s->options->seed, (unsigned)(ms / 3600000),
           (unsigned)(ms / 60000 % 60), (unsigned)(ms / 1000 % 60), (unsigned)(ms % 1000),
           s->auth == AUTH_NONE ? "none" : "upstream", f->invariant);
    if (f->aor != NO_AOR)
        printf(", AOR %d %s", f->aor, s->people.list[f->aor].written[0]);
    printf(": %s\n  the last about it:\n", f->text);
    trace_print_history(s);
    check_print_record(s, f->aor);
    printf("  replay: midreg-sim --seed %llu%s --verbose", (unsigned long long)s->options->seed,
           more);
    if (f->aor != NO_AOR)
        printf(" --aor %d", f->aor);
    putchar('\n');
}

/* The same day once more, with the history of that AOR kept. */
static void tell(const struct plan *plan, const struct sim_options *options,
                 const struct check_failure *failure)
{
    struct sim_options again = *options;
    struct sim *s;

    again.trace.history = true;
    again.trace.aor = failure->aor;
    s = sim_new(&again);
    if (!s)
        return;
    if (sim_run(s) || s->check.failure.at_us != failure->at_us)
        printf("seed %llu is NOT REPRODUCIBLE\n", (unsigned long long)options->seed);
    print_failure(s, plan->more);
    sim_free(s);
}

static void print_stats(const struct sim *s)
{
    char room[4096];
    struct buf out = buf_make(room, sizeof room);

    core_put_status(&out, s->world.core);
    printf("seed %llu auth=%s mode=%d rate=%u journal_us=%u datagrams=%llu calls=%u expected=%llu "
           "agreements=%llu "
           "pbx_registers=%llu streams=%u%% wires=%llu cut=%llu pbx_by_wire=%llu hash=%016llx\n"
           "  %.*s\n",
           (unsigned long long)s->options->seed, s->auth == AUTH_NONE ? "none" : "upstream",
           (int)s->pbx.mode, s->world.rate, s->world.journal_us,
           (unsigned long long)s->trace.datagrams, s->pbx.call_last,
           (unsigned long long)s->check.calls_expected, (unsigned long long)s->check.agreements,
           (unsigned long long)s->pbx.registers, s->phones.stream_percent,
           (unsigned long long)s->wires.opened, (unsigned long long)s->wires.cut,
           (unsigned long long)s->pbx.by_wire, (unsigned long long)s->trace.hash, (int)out.n,
           out.p);
}

/* Lives the day of one seed; *hash: over all that was sent. */
static bool run_once(const struct plan *plan, const struct sim_options *options, uint64_t *hash)
{
    struct sim *s = sim_new(options);
    bool ok;

    if (!s) {
        fprintf(stderr, "the world could not be made\n");
        exit(2);
    }
    ok = sim_run(s);
    *hash = s->trace.hash;
    if (plan->stats)
        print_stats(s);
    if (!ok && options->trace.say)
        print_failure(s, plan->more);
    else if (!ok)
        tell(plan, options, &s->check.failure);
    sim_free(s);
    return ok;
}

static bool run_seed(const struct plan *plan, uint64_t seed)
{
    struct sim_options options = plan->options;
    uint64_t hash, again;
    bool ok;

    options.seed = seed;
    ok = run_once(plan, &options, &hash);
    if (ok && plan->twice) {
        ok = run_once(plan, &options, &again) && hash == again;
        if (!ok)
            printf("seed %llu FAILED: two runs differ\n", (unsigned long long)seed);
    }
    fflush(stdout);
    return ok;
}

/* One process's share: every jobs-th seed. The number of those that failed. */
static uint64_t run_share(const struct plan *plan, unsigned job)
{
    uint64_t failed = 0;

    for (uint64_t seed = plan->first + job; seed <= plan->last; seed += plan->jobs)
        failed += !run_seed(plan, seed);
    return failed;
}

/* The same in a child; the number comes through a pipe. -1: no child. */
static int start_share(const struct plan *plan, unsigned job)
{
    int ends[2];
    pid_t child;

    fflush(stdout);
    if (pipe(ends) != 0 || (child = fork()) < 0) {
        perror("midreg-sim");
        return -1;
    }
    if (child == 0) {
        uint64_t failed = run_share(plan, job);
        bool told = write(ends[1], &failed, sizeof failed) == (ssize_t)sizeof failed;

        fflush(stdout);
        _exit(told ? 0 : 2);
    }
    close(ends[1]);
    return ends[0];
}

static uint64_t run_all(const struct plan *plan)
{
    uint64_t failed = 0;
    int from[JOBS_MAX];

    if (plan->jobs == 1)
        return run_share(plan, 0);
    for (unsigned i = 0; i < plan->jobs; i++)
        from[i] = start_share(plan, i);
    for (unsigned i = 0; i < plan->jobs; i++) {
        uint64_t share = 0;

        /* A process that died has not passed: each of its seeds counts. */
        if (from[i] < 0 || read(from[i], &share, sizeof share) != (ssize_t)sizeof share) {
            printf("FAILED: process %u of %u died (seeds %llu, and every %u-th after it)\n", i,
                   plan->jobs, (unsigned long long)(plan->first + i), plan->jobs);
            share = (plan->last - plan->first - i) / plan->jobs + 1;
        }
        if (from[i] >= 0)
            close(from[i]);
        failed += share;
    }
    while (wait(NULL) > 0)
        continue;
    return failed;
}

/* ---- the command line -------------------------------------------------------------------------
 */

static bool read_seeds(const char *text, struct plan *plan)
{
    char *end;

    plan->first = strtoull(text, &end, 10);
    plan->last = *end == '-' ? strtoull(end + 1, &end, 10) : plan->first;
    return *end == '\0' && end != text && plan->first <= plan->last;
}

static bool read_auth(const char *text, struct sim_options *o)
{
    o->auth_given = true;
    o->auth = strcmp(text, "none") == 0 ? AUTH_NONE : AUTH_UPSTREAM;
    return strcmp(text, "none") == 0 || strcmp(text, "upstream") == 0;
}

/* An option that makes it another day. */
static bool remember(struct plan *plan, const char *name)
{
    size_t n = strlen(plan->more);

    return (size_t)snprintf(plan->more + n, sizeof plan->more - n, " --%s %s", name, optarg) <
           sizeof plan->more - n;
}

static bool take_option(int option, struct plan *plan)
{
    struct sim_options *o = &plan->options;

    switch (option) {
    case 's':
        return read_seeds(optarg, plan);
    case 'p':
        o->phones = (unsigned)atoi(optarg);
        return o->phones >= 2 && o->phones <= 20000 && remember(plan, "phones");
    case 'h':
        o->day_us = (uint64_t)(atof(optarg) * (double)HOUR);
        return o->day_us >= HOUR && remember(plan, "hours");
    case 'a':
        return read_auth(optarg, o) && remember(plan, "auth");
    case 'j':
        plan->jobs = (unsigned)atoi(optarg);
        return plan->jobs >= 1 && plan->jobs <= JOBS_MAX;
    case 'v':
        return o->trace.say = true;
    case 'o':
        o->trace.aor = atoi(optarg);
        return o->trace.aor >= 0;
    case 'd':
        return plan->twice = true;
    case 't':
        return plan->stats = true;
    default:
        return false;
    }
}

static bool read_options(int argc, char **argv, struct plan *plan)
{
    static const struct option options[] = {{"seeds", required_argument, NULL, 's'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"phones", required_argument, NULL, 'p'},
                                            {"hours", required_argument, NULL, 'h'},
                                            {"auth", required_argument, NULL, 'a'},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {"aor", required_argument, NULL, 'o'},
                                            {"check-determinism", no_argument, NULL, 'd'},
                                            {"stats", no_argument, NULL, 't'},
                                            {NULL, 0, NULL, 0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        if (!take_option(option, plan))
            return false;
    return optind == argc;
}

int main(int argc, char **argv)
{
    struct plan plan = {.options = {.phones = 200, .day_us = 24 * HOUR, .trace.aor = NO_AOR},
                        .first = 1,
                        .last = 20};
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    uint64_t failed, seeds;

    plan.jobs = cores > 1 ? 2 : 1;
    if (!read_options(argc, argv, &plan)) {
        fputs(usage, stderr);
        return 2;
    }
    seeds = plan.last - plan.first + 1;
    if (plan.jobs > seeds)
        plan.jobs = (unsigned)seeds;
    failed = run_all(&plan);
    printf("%llu passed, %llu failed\n", (unsigned long long)(seeds - failed),
           (unsigned long long)failed);
    return failed ? 1 : 0;
}

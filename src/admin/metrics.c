/*
 * admin/metrics: see the header.
 *
 * Names: midreg_ and what is counted, with the unit where it has one; what only
 * grows ends in _total; of the process, the names that all programs use.
 */
#include "admin/metrics.h"

#include "admin/view.h"

#include <stdio.h>
#include <stdlib.h>

static void head(FILE *out, const char *name, const char *help, const char *type)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void counted(FILE *out, const char *name, const char *help, bool gauge, uint64_t value)
{
    char full[96];

    snprintf(full, sizeof full, "midreg_%s%s", name, gauge ? "" : "_total");
    head(out, full, help, gauge ? "gauge" : "counter");
    fprintf(out, "%s %llu\n", full, (unsigned long long)value);
}

static void put_core(FILE *out, const struct facts *f)
{
    for (unsigned i = 0; i < COUNTERS; i++)
        counted(out, counter_name(i), counter_help(i), false, f->counters.value[i]);
    for (unsigned i = 0; i < WORLD_COUNTS; i++)
        counted(out, world_count_name(i)->name, world_count_name(i)->help,
                world_count_name(i)->gauge, f->world[i]);
    counted(out, "aors", "identities that are known", true, f->aors);
    counted(out, "bindings", "contacts that are registered", true, f->bindings);
    counted(out, "location_bytes", "memory of the registrations", true, f->location_bytes);
    counted(out, "transactions", "SIP transactions that are running", true, f->transactions);
    counted(out, "registers_waiting", "REGISTERs that wait or are on their way upstream", true,
            f->waiting);
    counted(out, "store_behind", "1: changes are not with the disk yet", true, f->behind);
    counted(out, "store_alarm", "1: the store fails, a crash would lose changes", true, f->alarm);
    head(out, "midreg_build_info", "The version, as a label.", "gauge");
    fprintf(out, "midreg_build_info{version=\"%s\"} 1\n", MIDREG_VERSION);
}

/* A label's value: \, " and line ends are escaped. */
static void put_label(FILE *out, const char *value)
{
    for (; *value; value++) {
        if (*value == '\\' || *value == '"')
            fputc('\\', out);
        if (*value == '\n')
            fputs("\\n", out);
        else
            fputc(*value, out);
    }
}

static double rate_of(const struct facts_upstream *u)
{
    return u->registrar.rate;
}

static double needed_of(const struct facts_upstream *u)
{
    return (double)u->registrar.needed_milli / 1000;
}

static double expires_of(const struct facts_upstream *u)
{
    return u->registrar.expires_s;
}

static double waiting_of(const struct facts_upstream *u)
{
    return u->registrar.waiting;
}

static double open_of(const struct facts_upstream *u)
{
    return u->openness == UPSTREAM_OPEN;
}

static double up_of(const struct facts_upstream *u)
{
    return u->state == HEALTH_UP;
}

static double rtt_of(const struct facts_upstream *u)
{
    return u->rtt_ms / 1000.0;
}

static double reloading_of(const struct facts_upstream *u)
{
    return u->reload.state != RELOAD_IDLE;
}

static double lost_of(const struct facts_upstream *u)
{
    return u->lost;
}

static double events_of(const struct facts_upstream *u)
{
    return u->events_up;
}

static double storm_of(const struct facts_upstream *u)
{
    return u->registrar.storm_s;
}

static const struct {
    const char *name;
    const char *help;
    double (*of)(const struct facts_upstream *u);
} of_upstream[] = {
    {"midreg_upstream_rate_limit", "REGISTERs a second that it gets at most; 0: unlimited",
     rate_of},
    {"midreg_upstream_rate_needed", "REGISTERs a second that its leases need", needed_of},
    {"midreg_upstream_expires_seconds", "expiry that is asked of it", expires_of},
    {"midreg_upstream_registers_waiting", "REGISTERs that wait for their turn", waiting_of},
    {"midreg_upstream_storm_seconds", "until all phones that register anew now are in; 0: no storm",
     storm_of},
    {"midreg_upstream_up", "1: it answers", up_of},
    {"midreg_upstream_event_socket_up", "1: FreeSWITCH's event socket is connected", events_of},
    {"midreg_upstream_rtt_seconds", "time to the answer of the last ping", rtt_of},
    {"midreg_upstream_reloading", "1: its leases are being registered again", reloading_of},
    {"midreg_upstream_lost", "1: it may have lost registrations that it has not got back", lost_of},
    {"midreg_upstream_open", "1: it challenges nobody, so its word proves nothing", open_of},
};

static void put_upstreams(FILE *out, const struct facts *f)
{
    for (unsigned i = 0; i < sizeof of_upstream / sizeof of_upstream[0]; i++) {
        head(out, of_upstream[i].name, of_upstream[i].help, "gauge");
        for (unsigned u = 0; u < f->upstreams; u++) {
            fprintf(out, "%s{upstream=\"", of_upstream[i].name);
            put_label(out, f->upstream[u].name);
            fprintf(out, "\"} %.15g\n", of_upstream[i].of(&f->upstream[u]));
        }
    }
}

static void put_self(FILE *out, const struct self *self)
{
    const struct {
        const char *name;
        const char *help;
        const char *type;
        double value;
    } lines[] = {
        {"process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", "counter",
         self->cpu_s},
        {"process_resident_memory_bytes", "Resident memory size in bytes.", "gauge",
         (double)self->resident_bytes},
        {"process_virtual_memory_bytes", "Virtual memory size in bytes.", "gauge",
         (double)self->virtual_bytes},
        {"process_start_time_seconds", "Start time of the process since unix epoch in seconds.",
         "gauge", (double)self->started_s},
        {"process_open_fds", "Number of open file descriptors.", "gauge", (double)self->open_fds},
        {"process_max_fds", "Maximum number of open file descriptors.", "gauge",
         (double)self->max_fds},
    };

    for (unsigned i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        head(out, lines[i].name, lines[i].help, lines[i].type);
        fprintf(out, "%s %.15g\n", lines[i].name, lines[i].value);
    }
}

char *metrics_text(const struct facts *f, const struct self *self, size_t *n)
{
    char *text = NULL;
    FILE *out = open_memstream(&text, n);

    if (!out)
        return NULL;
    put_core(out, f);
    put_upstreams(out, f);
    put_self(out, self);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}

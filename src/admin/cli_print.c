/*
 * admin/cli_print: what midreg answered, for people to read.
 *
 * Pure: takes JSON, writes text. What is missing in it is shown as nothing or 0.
 */
#include "admin/cli.h"

#include <string.h>

static const char *text(const json_t *o, const char *name)
{
    const char *found = json_string_value(json_object_get(o, name));

    return found ? found : "";
}

static json_int_t number(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

static bool is_true(const json_t *o, const char *name)
{
    return json_is_true(json_object_get(o, name));
}

const char *cli_duration(struct cli_duration *room, json_int_t seconds)
{
    static const struct {
        json_int_t seconds;
        char unit;
    } units[] = {{86400, 'd'}, {3600, 'h'}, {60, 'm'}, {1, 's'}};
    unsigned i = 0;
    json_int_t rest;

    while (i < 3 && seconds < units[i].seconds)
        i++;
    rest = i < 3 ? seconds % units[i].seconds / units[i + 1].seconds : 0;
    if (rest)
        snprintf(room->text, sizeof room->text, "%lld%c %lld%c",
                 (long long)(seconds / units[i].seconds), units[i].unit, (long long)rest,
                 units[i + 1].unit);
    else
        snprintf(room->text, sizeof room->text, "%lld%c", (long long)(seconds / units[i].seconds),
                 units[i].unit);
    return room->text;
}

/* ---- status ------------------------------------------------------------------------ */

static void print_reload_state(FILE *out, const json_t *upstream)
{
    const json_t *reload = json_object_get(upstream, "reload");

    if (number(reload, "number") == 0)
        fputs("none", out);
    else if (strcmp(text(reload, "state"), "idle") != 0)
        fprintf(out, "%lld of %lld", (long long)number(reload, "done"),
                (long long)number(reload, "total"));
    else
        fprintf(out, "%lld done, %lld failed", (long long)number(reload, "done"),
                (long long)number(reload, "failed"));
    fputc('\n', out);
}

static void print_upstreams(FILE *out, const json_t *upstreams)
{
    const json_t *u;
    size_t i;

    fprintf(out, "%-16s %-22s %-14s %7s %8s %8s %8s  %-14s %s\n", "UPSTREAM", "ADDRESS", "STATE",
            "RATE", "NEEDED", "WAITING", "EXPIRES", "EVENT SOCKET", "LAST RELOAD");
    json_array_foreach(upstreams, i, u)
    {
        struct cli_duration since, expires;
        char state[48];
        char rate[24] = "any"; /* it is not limited */

        snprintf(state, sizeof state, "%s %s", text(u, "state"),
                 cli_duration(&since, number(u, "state_s")));
        if (number(u, "rate"))
            snprintf(rate, sizeof rate, "%lld", (long long)number(u, "rate"));
        fprintf(out, "%-16s %-22s %-14s %7s %8.1f %8lld %8s  %-14s ", text(u, "name"),
                text(u, json_is_null(json_object_get(u, "address")) ? "host" : "address"), state,
                rate, json_number_value(json_object_get(u, "needed")),
                (long long)number(u, "waiting"), cli_duration(&expires, number(u, "expires")),
                text(u, "event_socket"));
        print_reload_state(out, u);
    }
    json_array_foreach(upstreams, i, u)
    {
        struct cli_duration left;

        if (json_is_true(json_object_get(u, "lost")) && strcmp(text(u, "state"), "up") == 0 &&
            strcmp(text(json_object_get(u, "reload"), "state"), "idle") == 0)
            fprintf(out,
                    "%s may have lost registrations and has not got all of them back: `midreg "
                    "reload --upstream %s` gives them back\n",
                    text(u, "name"), text(u, "name"));
        if (number(u, "storm"))
            fprintf(out,
                    "storm at %s: about %s until all phones that register anew are in; known ones "
                    "are served\n",
                    text(u, "name"), cli_duration(&left, number(u, "storm")));
    }
}

void cli_print_status(FILE *out, const json_t *status)
{
    const json_t *store = json_object_get(status, "store");
    const json_t *counters = json_object_get(status, "counters");
    struct cli_duration up;

    fprintf(out, "midreg %s, pid %lld, up %s, auth %s\n", text(status, "version"),
            (long long)number(status, "pid"), cli_duration(&up, number(status, "uptime")),
            text(status, "auth"));
    fprintf(out, "%lld identities, %lld contacts, %lld transactions, %lld REGISTERs waiting\n",
            (long long)number(status, "aors"), (long long)number(status, "contacts"),
            (long long)number(status, "transactions"), (long long)number(status, "waiting"));
    fprintf(out, "store: %s%s\n", text(store, "kind"),
            is_true(store, "alarm")    ? ", FAILS: a crash would lose changes; look at the log"
            : is_true(store, "behind") ? ", being written"
                                       : "");
    fprintf(out,
            "REGISTERs: %lld received, %lld absorbed, %lld forwarded, %lld refused, %lld sent "
            "upstream; calls: %lld in, %lld out\n\n",
            (long long)number(counters, "register_received"),
            (long long)number(counters, "register_absorbed"),
            (long long)number(counters, "register_forwarded"),
            (long long)number(counters, "register_refused"),
            (long long)number(counters, "register_upstream"), (long long)number(counters, "calls"),
            (long long)number(counters, "calls_out"));
    print_upstreams(out, json_object_get(status, "upstreams"));
}

/* ---- AORs --------------------------------------------------------------------------- */

void cli_print_list(FILE *out, const json_t *page, bool head)
{
    const json_t *a;
    size_t i;

    if (head)
        fprintf(out, "%-40s %8s %9s %10s  %-8s %s\n", "AOR", "CONTACTS", "REACHABLE", "EXPIRES IN",
                "LEASE", "UPSTREAM");
    json_array_foreach(json_object_get(page, "aors"), i, a)
    {
        struct cli_duration expires;

        fprintf(out, "%-40s %8lld %9lld %10s  %-8s %s\n", text(a, "aor"),
                (long long)number(a, "contacts"), (long long)number(a, "reachable"),
                cli_duration(&expires, number(a, "expires")),
                text(json_object_get(a, "lease"), "state"), text(a, "upstream"));
    }
}

static void print_lease(FILE *out, const char *upstream, const json_t *l)
{
    struct cli_duration held, granted, next;

    fprintf(out, "  lease at %s: %s", upstream, text(l, "state"));
    if (number(l, "held"))
        fprintf(out, " for %s of %s", cli_duration(&held, number(l, "held")),
                cli_duration(&granted, number(l, "granted")));
    fprintf(out, ", means %s, next: %s", text(l, "means"), text(l, "next"));
    if (number(l, "next_in"))
        fprintf(out, " in %s", cli_duration(&next, number(l, "next_in")));
    if (number(l, "failures"))
        fprintf(out, ", %lld failures", (long long)number(l, "failures"));
    fputc('\n', out);
}

void cli_print_aor(FILE *out, const json_t *aor)
{
    const json_t *l;
    const json_t *b;
    size_t i;

    fprintf(out, "%s\n", text(aor, "aor"));
    print_lease(out, text(aor, "upstream"), json_object_get(aor, "lease"));
    json_array_foreach(json_object_get(aor, "other_leases"), i, l)
    {
        print_lease(out, text(l, "upstream"), l);
    }
    json_array_foreach(json_object_get(aor, "bindings"), i, b)
    {
        struct cli_duration expires, proved;

        fprintf(out, "  %s%s\n", text(b, "contact"),
                is_true(b, "reachable") ? "" : "   (cannot be reached)");
        fprintf(out, "    %s from %s, expires in %s, q %.1f, proved %s ago\n", text(b, "transport"),
                text(b, "peer"), cli_duration(&expires, number(b, "expires")),
                json_number_value(json_object_get(b, "q")),
                cli_duration(&proved, number(b, "proved")));
        fprintf(out, "    Call-ID %s, CSeq %lld%s%s%s%s\n", text(b, "call_id"),
                (long long)number(b, "cseq"), *text(b, "params") ? ", " : "", text(b, "params"),
                *text(b, "path") ? ", Path " : "", text(b, "path"));
    }
}

/* ---- reload ------------------------------------------------------------------------- */

#define BAR 30

void cli_print_reload(FILE *out, const json_t *upstream, double rate)
{
    const json_t *r = json_object_get(upstream, "reload");
    json_int_t total = number(r, "total");
    json_int_t over = number(r, "done") + number(r, "failed") + number(r, "due");
    json_int_t left = total > over ? total - over : 0;
    int full = total ? (int)(over * BAR / total) : BAR;
    struct cli_duration eta;

    if (full > BAR)
        full = BAR;
    fprintf(out, "%-12s [%.*s%*s] %lld of %lld, %lld failed, %lld left to their phones",
            text(upstream, "name"), full, "##############################", BAR - full, "",
            (long long)number(r, "done"), (long long)total, (long long)number(r, "failed"),
            (long long)number(r, "due"));
    if (strcmp(text(r, "state"), "idle") == 0)
        fprintf(out, ", %s", cli_duration(&eta, number(r, "seconds")));
    else if (rate > 0)
        fprintf(out, ", %.0f a second, %s left", rate,
                cli_duration(&eta, (json_int_t)(left / rate) + 1));
}

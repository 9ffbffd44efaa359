/*
 * admin/cli_top: `midreg top`, what a running midreg does right now.
 *
 * Called by cli.c. Asks for the status again and again and shows what has changed a
 * second. On a terminal it draws over itself until q or Ctrl-C; elsewhere it prints one
 * frame, or with --json one object a line.
 */
#include "admin/cli.h"

#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define MS_A_SECOND 1000.0
#define WIDTH       6 /* columns of rates a line */

static const struct {
    const char *counter;
    const char *title;
} shown[] = {
    {"register_received", "RECEIVED"},   {"register_absorbed", "ABSORBED"},
    {"register_forwarded", "FORWARDED"}, {"register_refused", "REFUSED"},
    {"register_upstream", "UPSTREAM"},   {"calls", "CALLS IN"},
    {"calls_out", "CALLS OUT"},          {"binding_added", "ADDED"},
    {"binding_removed", "REMOVED"},      {"binding_expired", "EXPIRED"},
    {"lease_refreshed", "LEASES"},       {"lease_failed", "FAILED"},
};
#define SHOWN (sizeof shown / sizeof shown[0])

struct top {
    struct cli *c;
    const struct cli_top *order;
    bool screen;          /* it draws over itself */
    bool keys;            /* read one by one */
    struct termios found; /* as the terminal was, with `keys` */
    json_t *before;
    double before_ms;
    double seconds; /* between the last two */
};

static volatile sig_atomic_t interrupted; /* Ctrl-C */
static volatile sig_atomic_t suspended;   /* Ctrl-Z */

static void on_signal(int number)
{
    if (number == SIGTSTP)
        suspended = 1;
    else
        interrupted = 1;
}

static double now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * MS_A_SECOND + (double)t.tv_nsec / 1e6;
}

/* ---- one frame -------------------------------------------------------------------- */

static json_int_t count_of(const json_t *status, const char *counter)
{
    return json_integer_value(json_object_get(json_object_get(status, "counters"), counter));
}

/* In a container each run has the same pid. */
static bool is_same_run(const json_t *before, const json_t *now)
{
    return json_equal(json_object_get(now, "pid"), json_object_get(before, "pid")) &&
           json_number_value(json_object_get(now, "uptime")) >=
               json_number_value(json_object_get(before, "uptime"));
}

static double rate_of(const struct top *t, const json_t *now, const char *counter)
{
    return (double)(count_of(now, counter) - count_of(t->before, counter)) / t->seconds;
}

static void print_rates(const struct top *t, const json_t *now)
{
    for (size_t i = 0; i < SHOWN; i += WIDTH) {
        for (size_t k = i; k < i + WIDTH && k < SHOWN; k++)
            printf("%10s", shown[k].title);
        putchar('\n');
        for (size_t k = i; k < i + WIDTH && k < SHOWN; k++)
            printf("%10.1f", rate_of(t, now, shown[k].counter));
        fputs(i + WIDTH < SHOWN ? "\n" : "   a second\n\n", stdout);
    }
}

/* What is left of the last frame to the right of each line and below is wiped. */
static void put_on_screen(const char *text)
{
    fputs("\033[H", stdout);
    for (; *text; text++) {
        if (*text == '\n')
            fputs("\033[K", stdout);
        putchar(*text);
    }
    fputs("\033[J", stdout);
}

static void print_frame(const struct top *t, const json_t *now)
{
    char *text = NULL;
    size_t n = 0;
    FILE *frame = open_memstream(&text, &n);

    if (!frame)
        return;
    cli_print_status(frame, now);
    fclose(frame);
    if (t->screen)
        put_on_screen(text);
    else
        fputs(text, stdout);
    free(text);
    putchar('\n');
    print_rates(t, now);
    if (t->screen)
        printf("every %g s; q ends it\n", t->order->interval_ms / MS_A_SECOND);
}

static void print_json(const struct top *t, json_t *now)
{
    json_t *rates = json_object();
    json_t *frame;

    for (size_t i = 0; i < SHOWN; i++)
        json_object_set_new(rates, shown[i].counter, json_real(rate_of(t, now, shown[i].counter)));
    frame = json_pack("{s:f, s:o, s:O}", "seconds", t->seconds, "rates", rates, "status", now);
    cli_put_json(frame, false);
    json_decref(frame);
}

/* ---- the terminal ------------------------------------------------------------------ */

/* Empties the screen; keys come one by one, unseen, unless stdin is no terminal. */
static void take_terminal(struct top *t)
{
    struct termios keys;

    if (!t->screen)
        return;
    fputs("\033[2J\033[H", stdout);
    fflush(stdout);
    if (tcgetattr(STDIN_FILENO, &t->found) != 0)
        return;
    keys = t->found;
    keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
    t->keys = tcsetattr(STDIN_FILENO, TCSANOW, &keys) == 0;
}

static void give_terminal_back(struct top *t)
{
    if (t->keys)
        tcsetattr(STDIN_FILENO, TCSANOW, &t->found);
    t->keys = false;
}

/* The shell has the terminal, as it was, until it lets us go on. */
static void suspend(struct top *t)
{
    suspended = 0;
    give_terminal_back(t);
    raise(SIGSTOP);
    take_terminal(t);
}

/* Until the next frame. False: it is to end. */
static bool pause_for(struct top *t)
{
    double until_ms = now_ms() + t->order->interval_ms;

    while (!interrupted) {
        struct pollfd in = {.fd = t->keys ? STDIN_FILENO : -1, .events = POLLIN};
        double left_ms = until_ms - now_ms();
        char key;

        if (left_ms <= 0)
            return true;
        if (suspended) {
            suspend(t);
            return true;
        }
        if (poll(&in, 1, (int)left_ms + 1) > 0 &&
            (read(STDIN_FILENO, &key, 1) != 1 || key == 'q' || key == 'Q'))
            return false;
    }
    return false;
}

/* ---- frame after frame -------------------------------------------------------------- */

/* Asks, and shows what has changed since the last time. False: midreg cannot be asked. */
static bool look(struct top *t)
{
    json_t *now = cli_ask(t->c, "GET", "/api/status");
    double at_ms = now_ms();

    if (!now)
        return false;
    if (t->before) {
        /* One that was started meanwhile counts from its start. */
        if (!is_same_run(t->before, now))
            json_object_del(t->before, "counters");
        t->seconds = (at_ms - t->before_ms) / MS_A_SECOND;
        if (t->order->json)
            print_json(t, now);
        else
            print_frame(t, now);
        fflush(stdout);
    }
    json_decref(t->before);
    t->before = now;
    t->before_ms = at_ms;
    return true;
}

bool cli_top(struct cli *c, const struct cli_top *order)
{
    struct top t = {
        .c = c, .order = order, .screen = !order->json && !order->once && isatty(STDOUT_FILENO)};
    bool once = order->once || (!order->json && !t.screen);
    struct sigaction act = {.sa_handler = on_signal};
    struct sigaction stop = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    bool fine;

    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    if (t.screen) /* it asks on, and stops when it has shown the answer */
        sigaction(SIGTSTP, &stop, NULL);
    take_terminal(&t);
    fine = look(&t);
    while (fine && pause_for(&t)) {
        fine = look(&t);
        if (once || ferror(stdout))
            break;
    }
    give_terminal_back(&t);
    json_decref(t.before);
    return fine;
}

/*
 * admin/http: see the header.
 *
 * libmicrohttpd without threads of its own: all that it does is done in turn() on the
 * admin thread, so nothing here is shared but the queue of asks and `ending`.
 */
#include "admin/http.h"

#include "admin/route.h"

#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

/* For the head of a request: the rest is not kept. */
#define CONNECTION_BYTES (32 * 1024)
/* A failing accept() shall not spin. */
#define PAUSE_MS 1000

struct http {
    struct asks *asks;
    struct MHD_Daemon *daemon[CONFIG_ADMIN_MAX];
    bool is_unix[CONFIG_ADMIN_MAX];
    unsigned daemons;
    struct exchange *waiting; /* the oldest first */
    struct exchange *waiting_last;
    uint64_t started_s;
    int ending; /* becomes readable when the thread is to end */
    pthread_t thread;
};

/* One request and its answer. */
struct exchange {
    struct exchange *next; /* while it waits */
    struct exchange *prev;
    struct http *server;
    struct MHD_Connection *connection;
    const struct endpoint *at;
    struct ask *ask; /* the core's while `waits` */
    uint64_t due_ms;
    bool waits;
    bool asked;
};

static uint64_t clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- those that wait ----------------------------------------------------------- */

static void wait_begin(struct exchange *x)
{
    struct http *s = x->server;

    x->waits = true;
    x->due_ms = clock_ms() + HTTP_ANSWER_MS;
    x->next = NULL;
    x->prev = s->waiting_last;
    if (x->prev)
        x->prev->next = x;
    else
        s->waiting = x;
    s->waiting_last = x;
    MHD_suspend_connection(x->connection);
}

/* `answer`: the ask again, or NULL: it stays the core's. */
static void wait_end(struct exchange *x, struct ask *answer)
{
    struct http *s = x->server;

    if (x->prev)
        x->prev->next = x->next;
    else
        s->waiting = x->next;
    if (x->next)
        x->next->prev = x->prev;
    else
        s->waiting_last = x->prev;
    x->waits = false;
    if (!answer)
        asks_give_up(s->asks, x->ask);
    x->ask = answer;
    MHD_resume_connection(x->connection);
}

static void take_answers(struct http *s)
{
    struct ask *a;

    while ((a = asks_next_answered(s->asks)))
        wait_end(a->user, a);
    while (s->waiting && s->waiting->due_ms <= clock_ms())
        wait_end(s->waiting, NULL);
}

/* ---- requests and answers ------------------------------------------------------ */

static enum MHD_Result send_reply(struct MHD_Connection *c, struct route_reply *reply)
{
    struct MHD_Response *r;
    enum MHD_Result sent;

    if (!reply->body)
        return MHD_NO; /* no memory: the connection is closed */
    r = MHD_create_response_from_buffer(reply->n, reply->body, MHD_RESPMEM_MUST_FREE);
    if (!r) {
        free(reply->body);
        return MHD_NO;
    }
    MHD_add_response_header(r, "Content-Type", reply->type);
    MHD_add_response_header(r, "Cache-Control", "no-store");
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    if (reply->allow)
        MHD_add_response_header(r, "Allow", reply->allow);
    sent = MHD_queue_response(c, reply->status, r);
    MHD_destroy_response(r);
    return sent;
}

static enum MHD_Result read_parameter(void *self, enum MHD_ValueKind kind, const char *name,
                                      const char *value)
{
    struct route_request *rq = self;
    enum route_parameter which = route_parameter_of(name);

    (void)kind;
    if (which == ROUTE_PARAMETERS || rq->parameter[which])
        rq->unknown = name;
    else
        rq->parameter[which] = value ? value : "";
    return MHD_YES;
}

static bool came_over_unix(const struct exchange *x)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(x->connection, MHD_CONNECTION_INFO_DAEMON);

    for (unsigned i = 0; info && i < x->server->daemons; i++)
        if (x->server->daemon[i] == info->daemon)
            return x->server->is_unix[i];
    return false;
}

static enum MHD_Result begin(struct exchange *x, const char *method, const char *path)
{
    struct route_request rq = {.method = method, .path = path};
    struct route_reply reply;

    rq.is_unix = came_over_unix(x);
    rq.host = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "Host");
    rq.guard = MHD_lookup_connection_value(x->connection, MHD_HEADER_KIND, "X-Midreg");
    MHD_get_connection_values(x->connection, MHD_GET_ARGUMENT_KIND, read_parameter, &rq);
    x->asked = true;
    if (!route_ask(&rq, &x->at, &x->ask, &reply))
        return send_reply(x->connection, &reply);
    x->ask->user = x;
    if (!asks_put(x->server->asks, x->ask)) {
        ask_free(x->ask);
        x->ask = NULL;
        route_busy(&reply);
        return send_reply(x->connection, &reply);
    }
    wait_begin(x);
    return MHD_YES;
}

static enum MHD_Result end(struct exchange *x)
{
    struct route_reply reply;
    struct self self;

    self_look(&self, x->server->started_s);
    route_answer(x->at, x->ask, &self, &reply);
    ask_free(x->ask);
    x->ask = NULL;
    return send_reply(x->connection, &reply);
}

/* Called when the head has come, for each part of a body, at the end, and when a
 * connection that was put aside goes on. */
static enum MHD_Result handle(void *self, struct MHD_Connection *connection, const char *path,
                              const char *method, const char *version, const char *body,
                              size_t *body_n, void **user)
{
    struct exchange *x = *user;

    (void)version;
    (void)body;
    if (!x) {
        x = calloc(1, sizeof *x);
        if (!x)
            return MHD_NO;
        x->server = self;
        x->connection = connection;
        *user = x;
        return MHD_YES;
    }
    if (*body_n) { /* nothing is asked by one */
        *body_n = 0;
        return MHD_YES;
    }
    return x->asked ? end(x) : begin(x, method, path);
}

static void completed(void *self, struct MHD_Connection *connection, void **user,
                      enum MHD_RequestTerminationCode how)
{
    struct exchange *x = *user;

    (void)self;
    (void)connection;
    (void)how;
    if (!x)
        return;
    ask_free(x->ask);
    free(x);
    *user = NULL;
}

/* ---- the thread ---------------------------------------------------------------- */

static int timeout_ms(const struct http *s)
{
    uint64_t least = PAUSE_MS;

    for (unsigned i = 0; i < s->daemons; i++) {
        MHD_UNSIGNED_LONG_LONG ms;

        if (MHD_get_timeout(s->daemon[i], &ms) == MHD_YES && ms < least)
            least = ms;
    }
    if (s->waiting) {
        uint64_t now_ms = clock_ms();
        uint64_t left = s->waiting->due_ms > now_ms ? s->waiting->due_ms - now_ms : 0;

        least = left < least ? left : least;
    }
    return (int)least;
}

static void *serve(void *self)
{
    struct http *s = self;
    struct pollfd fds[CONFIG_ADMIN_MAX + 2] = {{.fd = s->ending, .events = POLLIN},
                                               {.fd = asks_answered_fd(s->asks), .events = POLLIN}};

    for (unsigned i = 0; i < s->daemons; i++)
        fds[2 + i] = (struct pollfd){
            .fd = MHD_get_daemon_info(s->daemon[i], MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd,
            .events = POLLIN};
    while (!(fds[0].revents & POLLIN)) {
        (void)poll(fds, 2 + s->daemons, timeout_ms(s));
        take_answers(s);
        for (unsigned i = 0; i < s->daemons; i++)
            MHD_run(s->daemon[i]);
    }
    /* None may be put aside when a daemon ends. */
    take_answers(s);
    while (s->waiting)
        wait_end(s->waiting, NULL);
    for (unsigned i = 0; i < s->daemons; i++)
        MHD_stop_daemon(s->daemon[i]);
    s->daemons = 0;
    return NULL;
}

/* ---- life ---------------------------------------------------------------------- */

static struct MHD_Daemon *start_daemon(struct http *s, int fd)
{
    return MHD_start_daemon(
        MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, handle, s,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_BYTES, MHD_OPTION_NOTIFY_COMPLETED, completed, s, MHD_OPTION_END);
}

static void stop_daemons(struct http *s)
{
    while (s->daemons)
        MHD_stop_daemon(s->daemon[--s->daemons]);
}

struct http *http_new(struct door *doors, unsigned count, struct asks *asks)
{
    struct http *s = calloc(1, sizeof *s);
    bool good;

    if (!s)
        return NULL;
    s->asks = asks;
    s->started_s = self_clock_s();
    s->ending = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    good = s->ending >= 0;
    for (unsigned i = 0; good && i < count; i++) {
        s->daemon[i] = start_daemon(s, doors[i].fd);
        good = s->daemon[i] != NULL;
        if (!good)
            break;
        doors[i].fd = -1; /* the daemon closes it */
        s->is_unix[i] = doors[i].is_unix;
        s->daemons++;
    }
    if (good && pthread_create(&s->thread, NULL, serve, s) == 0)
        return s;
    stop_daemons(s);
    if (s->ending >= 0)
        close(s->ending);
    free(s);
    return NULL;
}

void http_free(struct http *s)
{
    uint64_t one = 1;

    if (!s)
        return;
    (void)!write(s->ending, &one, sizeof one);
    pthread_join(s->thread, NULL);
    close(s->ending);
    free(s);
}

/*
 * net/outbox: the batch, and per socket the datagrams that wait.
 *
 * Called by udp.c on the core thread. Datagrams of one socket leave in the order
 * of their commits: while some wait, later ones go behind them. Allocates only
 * for what waits. Never blocks and never tries a refused datagram again.
 */
#include "net/outbox.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define CACHE_LINE 64

struct outbox_waiting {
    struct outbox_waiting *next;
    struct sockaddr_storage to;
    socklen_t to_n;
    size_t n;
    char bytes[];
};

static_assert(OUTBOX_BYTES >= 2 * DATAGRAM_MAX, "a batch holds more than one datagram");

bool outbox_init(struct outbox *o)
{
    memset(o, 0, sizeof *o);
    for (unsigned i = 0; i < CONFIG_LISTENERS_MAX; i++)
        o->lines[i].fd = -1;
    o->bytes = aligned_alloc(CACHE_LINE, OUTBOX_BYTES);
    return o->bytes != NULL;
}

static void pop_waiting(struct outbox_line *line)
{
    struct outbox_waiting *w = line->first;

    line->first = w->next;
    if (!line->first)
        line->last = NULL;
    line->waiting_bytes -= sizeof *w + w->n;
    free(w);
}

void outbox_fini(struct outbox *o)
{
    for (unsigned i = 0; i < CONFIG_LISTENERS_MAX; i++)
        while (o->lines[i].first)
            pop_waiting(&o->lines[i]);
    free(o->bytes);
    o->bytes = NULL;
}

void outbox_open(struct outbox *o, unsigned listener, int fd)
{
    o->lines[listener].fd = fd;
}

char *outbox_reserve(struct outbox *o, size_t *capacity)
{
    if (o->count == OUTBOX_DATAGRAMS || OUTBOX_BYTES - o->used < DATAGRAM_MAX)
        outbox_flush(o);
    *capacity = DATAGRAM_MAX;
    return o->bytes + o->used;
}

void outbox_commit(struct outbox *o, const struct flow *to, size_t n)
{
    struct outbox_datagram *d = &o->batch[o->count];

    assert(n <= DATAGRAM_MAX && o->count < OUTBOX_DATAGRAMS);
    if (to->listener >= CONFIG_LISTENERS_MAX || o->lines[to->listener].fd < 0 ||
        to->peer.family == ADDRESS_NONE) {
        o->dropped++;
        return;
    }
    d->at = o->used;
    d->n = n;
    d->line = to->listener;
    d->to_n = address_to_sockaddr(&to->peer, &d->to);
    o->count++;
    o->used += (n + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    if (o->used > OUTBOX_BYTES)
        o->used = OUTBOX_BYTES;
}

/* Keeps a copy behind those that wait already. */
static void keep(struct outbox *o, const struct outbox_datagram *d)
{
    struct outbox_line *line = &o->lines[d->line];
    size_t size = sizeof(struct outbox_waiting) + d->n;
    struct outbox_waiting *w = NULL;

    if (size <= OUTBOX_WAITING_MAX - line->waiting_bytes)
        w = malloc(size);
    if (!w) {
        o->dropped++;
        return;
    }
    w->next = NULL;
    w->to = d->to;
    w->to_n = d->to_n;
    w->n = d->n;
    memcpy(w->bytes, o->bytes + d->at, d->n);
    if (line->last)
        line->last->next = w;
    else
        line->first = w;
    line->last = w;
    line->waiting_bytes += size;
}

/* Sends `count` datagrams of one socket; returns how many of them are settled,
 * sent or refused: fewer when the socket is full. */
static unsigned send_all(struct outbox *o, int fd, struct mmsghdr *messages, unsigned count)
{
    unsigned done = 0;
    bool again = false;

    while (done < count) {
        int n = sendmmsg(fd, messages + done, count - done, MSG_DONTWAIT | MSG_NOSIGNAL);

        if (n > 0) {
            done += (unsigned)n;
            o->sent += (unsigned)n;
            again = false;
        } else if (errno == EAGAIN) {
            break;
        } else if (errno != EINTR && !again) {
            again = true; /* it may be what came of an earlier one, to somebody else (udp.c) */
        } else if (errno != EINTR) {
            done++; /* no route, forbidden, too big: this one alone is lost */
            o->dropped++;
            again = false;
        }
    }
    return done;
}

static void flush_line(struct outbox *o, unsigned listener)
{
    struct outbox_line *line = &o->lines[listener];
    const struct outbox_datagram *mine[OUTBOX_DATAGRAMS];
    struct mmsghdr messages[OUTBOX_DATAGRAMS];
    struct iovec pieces[OUTBOX_DATAGRAMS];
    unsigned count = 0;
    unsigned done = 0;

    for (unsigned i = 0; i < o->count; i++) {
        struct outbox_datagram *d = &o->batch[i];

        if (d->line != listener)
            continue;
        mine[count] = d;
        pieces[count] = (struct iovec){o->bytes + d->at, d->n};
        messages[count] = (struct mmsghdr){.msg_hdr = {.msg_name = &d->to,
                                                       .msg_namelen = d->to_n,
                                                       .msg_iov = &pieces[count],
                                                       .msg_iovlen = 1}};
        count++;
    }
    if (!line->first)
        done = send_all(o, line->fd, messages, count);
    while (done < count)
        keep(o, mine[done++]);
}

void outbox_flush(struct outbox *o)
{
    uint32_t lines = 0;

    static_assert(CONFIG_LISTENERS_MAX <= 32, "one bit per listener");
    for (unsigned i = 0; i < o->count; i++)
        lines |= 1U << o->batch[i].line;
    for (unsigned i = 0; lines; i++, lines >>= 1)
        if (lines & 1)
            flush_line(o, i);
    o->count = 0;
    o->used = 0;
}

bool outbox_waits(const struct outbox *o, unsigned listener)
{
    return o->lines[listener].first != NULL;
}

void outbox_resume(struct outbox *o, unsigned listener)
{
    struct outbox_line *line = &o->lines[listener];

    while (line->first) {
        struct outbox_waiting *w = line->first;
        struct iovec piece = {w->bytes, w->n};
        struct mmsghdr message = {
            .msg_hdr = {
                .msg_name = &w->to, .msg_namelen = w->to_n, .msg_iov = &piece, .msg_iovlen = 1}};

        if (send_all(o, line->fd, &message, 1) == 0)
            break;
        pop_waiting(line);
    }
}

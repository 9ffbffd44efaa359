/*
 * Any bytes on the event socket, read whole and in pieces: the same messages and the
 * same end. The first byte says how it is cut. What fields are asked for lies within
 * the message, and is decoded or refused.
 */
#include "check.h"
#include "upstream/event_text.h"

#include <stdlib.h>
#include <string.h>

struct told {
    size_t messages;
    uint64_t sum;
    bool broken;
};

static void mix(struct told *t, struct span text)
{
    for (size_t i = 0; i < text.n; i++)
        t->sum = (t->sum ^ (uint8_t)text.p[i]) * 1099511628211ULL;
    t->sum = (t->sum ^ text.n) * 1099511628211ULL;
}

static void note(struct told *t, const struct event_message *m)
{
    static const char *const names[] = {"Event-Name", "Core-UUID", "contact", "Uptime-msec"};
    uint64_t uptime_ms;
    char room[256];

    t->messages++;
    CHECK(m->fields.n + m->text.n <= EVENT_MESSAGE_MAX);
    mix(t, m->fields);
    mix(t, m->text);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct buf out = buf_make(room, sizeof room);
        struct span raw = event_field(m->fields, names[i]);

        CHECK(raw.n <= m->fields.n);
        if (!event_field_decoded(m->fields, names[i], &out))
            CHECK(out.n == 0);
        CHECK(!out.overflow && out.n <= raw.n);
    }
    if (event_uptime_ms(m->fields, &uptime_ms))
        mix(t, span_make((const char *)&uptime_ms, sizeof uptime_ms));
}

/* Each piece is memory of its own, of exactly its size. */
static bool read_piece(struct told *t, struct event_reader *r, struct span piece)
{
    char *copy = malloc(piece.n ? piece.n : 1);
    struct event_message m;
    enum event_read got;

    CHECK(copy);
    memcpy(copy, piece.p, piece.n);
    event_reader_put(r, span_make(copy, piece.n));
    free(copy);
    while ((got = event_reader_next(r, &m)) == EVENT_MESSAGE)
        note(t, &m);
    if (got == EVENT_BROKEN)
        CHECK(event_reader_next(r, &m) == EVENT_BROKEN);
    return got == EVENT_MORE;
}

static struct told read_all(struct span stream, size_t step)
{
    struct told t = {.sum = 14695981039346656037ULL};
    struct event_reader r;

    event_reader_init(&r);
    while (stream.n && !t.broken) {
        size_t n = step < stream.n ? step : stream.n;

        t.broken = !read_piece(&t, &r, span_make(stream.p, n));
        stream = span_make(stream.p + n, stream.n - n);
    }
    event_reader_fini(&r);
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct told whole, cut;
    struct span stream;

    if (size < 2)
        return 0;
    stream = span_make((const char *)data + 1, size - 1);
    whole = read_all(stream, EVENT_MESSAGE_MAX / 2);
    cut = read_all(stream, 1 + data[0] % 64);
    CHECK(whole.messages == cut.messages && whole.sum == cut.sum && whole.broken == cut.broken);
    return 0;
}

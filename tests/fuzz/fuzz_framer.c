/*
 * Any stream, read whole and in pieces: the same messages, pings and end. The
 * first byte says how it is cut. What is given as a message ends where
 * sip_parse() finds the end of its body; what is broken is not well-formed.
 */
#include "check.h"
#include "sip/framer.h"

#define THINGS_MAX 4096

struct thing {
    enum framed what;
    size_t n;
    uint64_t sum;
};

struct things {
    struct thing list[THINGS_MAX];
    size_t count;
    bool waits;
};

static void check_message(struct span got)
{
    static struct sip_message m;
    struct sip_fault fault;

    CHECK(got.n >= 1 && got.n <= FRAMER_MESSAGE_MAX);
    if (sip_parse(got, &m, &fault) != SIP_PARSED)
        return;
    CHECK(m.raw.n == got.n && m.raw.p == got.p);
    CHECK(sip_has(&m, SIP_H_CONTENT_LENGTH));
}

static void check_broken(struct span got)
{
    static struct sip_message m;
    struct sip_fault fault;

    CHECK(got.n <= FRAMER_HEAD_MAX);
    if (got.n && sip_parse(got, &m, &fault) == SIP_PARSED)
        CHECK(!sip_has(&m, SIP_H_CONTENT_LENGTH));
}

static void note(struct things *t, enum framed what, struct span got)
{
    uint64_t sum = 14695981039346656037ULL;

    if (what == FRAMED_MESSAGE)
        check_message(got);
    if (what == FRAMED_BROKEN)
        check_broken(got);
    for (size_t i = 0; i < got.n; i++)
        sum = (sum ^ (uint8_t)got.p[i]) * 1099511628211ULL;
    if (t->count < THINGS_MAX)
        t->list[t->count] = (struct thing){what, got.n, sum};
    t->count++;
}

/* Each read is memory of its own, of exactly its size, that ends with the read. */
static bool read_piece(struct things *t, struct framer *f, struct span piece)
{
    char *copy = malloc(piece.n ? piece.n : 1);
    enum framed what;
    struct span got;

    CHECK(copy);
    memcpy(copy, piece.p, piece.n);
    framer_read(f, span_make(copy, piece.n));
    while ((what = framer_next(f, &got)) != FRAMED_MORE) {
        note(t, what, got);
        if (what == FRAMED_BROKEN)
            break;
    }
    free(copy);
    return what == FRAMED_MORE;
}

/* `step` 0: the pieces' sizes come from `chance`. */
static void read_all(struct things *t, struct span stream, size_t step, uint32_t chance)
{
    struct framer f;
    bool going = true;

    t->count = 0;
    framer_init(&f);
    while (stream.n && going) {
        size_t n = step;

        if (n == 0) {
            chance = chance * 1664525 + 1013904223;
            n = 1 + (chance >> 16) % (1U << (chance >> 28));
        }
        if (n > stream.n)
            n = stream.n;
        going = read_piece(t, &f, span_make(stream.p, n));
        stream = span_make(stream.p + n, stream.n - n);
    }
    t->waits = going && framer_waits(&f);
    framer_fini(&f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct things whole, cut;
    struct span stream;

    if (size < 2)
        return 0;
    stream = span_make((const char *)data + 1, size - 1);
    read_all(&whole, stream, stream.n, 0);
    read_all(&cut, stream, data[0] < 8 ? data[0] : 0, data[0]);
    CHECK(whole.count == cut.count && whole.waits == cut.waits);
    for (size_t i = 0; i < whole.count && i < THINGS_MAX; i++)
        CHECK(whole.list[i].what == cut.list[i].what && whole.list[i].n == cut.list[i].n &&
              whole.list[i].sum == cut.list[i].sum);
    return 0;
}

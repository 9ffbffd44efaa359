/*
 * gate WORK: the operations whose instructions and bytes tools/gate watches.
 *
 *   refresh, second, forwarded, call   operations, for callgrind
 *   bytes                              memory of AORs and contacts, printed as JSON
 *   --extra PERCENT                    does so much more than it says (does the gate see
 *                                      it?)
 *
 * Prints how many operations it has done. Everything in it is determined: two runs
 * of one build execute the same instructions.
 */
#include "operations.h"

#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

/* Enough that caches and tables behave as in use, few enough for callgrind. */
#define AORS  4096
#define CALLS 512
#define STEP  1597 /* AORs are visited in a scattered order */

/* Such a share of a table that doubles is full at 1,000,000 AORs. */
#define BYTES_AORS     62500
#define BYTES_CONTACTS 4

/* All that waited for timers has ended. */
#define QUIET_MS 240000

static bool register_all(struct desk *d, uint32_t count, uint32_t contact, uint32_t cseq,
                         unsigned contacts, unsigned expected_upstream)
{
    unsigned upstream = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (!operation_register(d, i * STEP % AORS, contact, cseq + i / AORS, contacts, &upstream))
            return false;
        d->now_us += 100;
    }
    if (upstream == expected_upstream)
        return true;
    fprintf(stderr, "gate: %u REGISTERs upstream instead of %u\n", upstream, expected_upstream);
    return false;
}

static void quiet(struct desk *d)
{
    desk_advance(d, QUIET_MS);
}

/* The transactions of the first REGISTERs are alive still, as some always are in use. */
static bool run_refresh(struct desk *d, uint32_t count)
{
    if (!register_all(d, AORS, 0, 1, 1, AORS))
        return false;
    d->measured = true;
    return register_all(d, count, 0, 2, 1, 0);
}

static bool run_second(struct desk *d, uint32_t count)
{
    if (!register_all(d, AORS, 0, 1, 1, AORS))
        return false;
    d->measured = true;
    return register_all(d, count, 1, 1, 2, 0);
}

/* With the end of its transactions. */
static bool run_forwarded(struct desk *d, uint32_t count)
{
    d->measured = true;
    if (!register_all(d, count, 0, 1, 1, count))
        return false;
    quiet(d);
    return true;
}

static bool run_call(struct desk *d, uint32_t count)
{
    if (!register_all(d, AORS, 0, 1, 1, AORS) || !register_all(d, AORS, 1, 1, 2, 0))
        return false;
    quiet(d);
    d->measured = true;
    for (uint32_t i = 0; i < count; i++) {
        if (!operation_call(d, i + 1, i * STEP % AORS))
            return false;
        d->now_us += 1000;
    }
    quiet(d);
    return true;
}

static const struct {
    const char *name;
    bool (*run)(struct desk *d, uint32_t count);
    uint32_t count;
} works[] = {{"refresh", run_refresh, AORS},
             {"second", run_second, AORS / 2},
             {"forwarded", run_forwarded, AORS / 2},
             {"call", run_call, CALLS}};

/* ---- bytes ---- */

static uint64_t heap_bytes(void)
{
    struct mallinfo2 m = mallinfo2();

    return m.uordblks + m.hblkhd;
}

/* So slowly that transactions do not count. */
static bool register_slowly(struct desk *d, uint32_t contact)
{
    unsigned upstream = 0;

    for (uint32_t i = 0; i < BYTES_AORS; i++) {
        if (!operation_register(d, i, contact, 1, contact + 1, &upstream))
            return false;
        if (i % 64 == 0 && contact == 0)
            desk_advance(d, 40000);
    }
    quiet(d);
    return true;
}

static int print_bytes(struct desk *d)
{
    uint64_t empty = heap_bytes(), first, further;

    if (!register_slowly(d, 0))
        return 1;
    first = heap_bytes();
    for (uint32_t contact = 1; contact <= BYTES_CONTACTS; contact++)
        if (!register_slowly(d, contact))
            return 1;
    further = heap_bytes();
    printf("{\"bytes_per_aor\": %.1f, \"bytes_per_further_contact\": %.1f}\n",
           (double)(first - empty) / BYTES_AORS,
           (double)(further - first) / BYTES_AORS / BYTES_CONTACTS);
    return 0;
}

static int run(struct desk *d, const char *name, uint32_t extra_percent)
{
    if (strcmp(name, "bytes") == 0)
        return print_bytes(d);
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
        uint32_t count = works[i].count;

        if (strcmp(works[i].name, name) != 0)
            continue;
        if (!works[i].run(d, count + count * extra_percent / 100))
            return 1;
        printf("{\"operations\": %" PRIu32 "}\n", count);
        return 0;
    }
    fprintf(stderr, "gate: there is no work %s\n", name);
    return 2;
}

int main(int argc, char **argv)
{
    struct desk d;
    int status;

    if (argc != 2 && (argc != 4 || strcmp(argv[2], "--extra") != 0)) {
        fputs("usage: gate refresh|second|forwarded|call|bytes [--extra PERCENT]\n", stderr);
        return 2;
    }
    if (!desk_init(&d))
        return 1;
    status = run(&d, argv[1], argc == 4 ? (uint32_t)atoi(argv[3]) : 0);
    desk_fini(&d);
    return status;
}

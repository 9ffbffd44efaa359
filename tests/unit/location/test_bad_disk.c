/* location/store on a disk that fails, fills, tears and loses: what was said to be written
 * is there afterwards, whole, whatever happens at whichever write. */
#include "bad_disk.h"
#include "fake_ports.h"
#include "location/location.h"
#include "location/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <unistd.h>

#define AORS    4
#define BATCHES 6
#define HALF    (BATCHES / 2)
/* How often what is left by a power cut is drawn for each write. */
#define CUTS 2

/* Version of each AOR's record, 0: none. */
struct content {
    unsigned version[AORS];
};

struct desk {
    struct disk disk;
    struct fake fake;
    struct location l;
    struct store *s;
    char dir[32];
    char path[64];
    char said[1024];
    struct content written; /* what the last batch that was written made */
    struct content tried;   /* what the batch that failed would have made */
    bool failed;            /* it was tried, and nothing written since */
    struct content loaded;
    unsigned strange; /* records that are nobody's, or torn */
    _Alignas(8) char batch[65536];
};

static const char *const names[] = {"udp:10.0.0.1:5060"};
static const char *const pbxs[] = {"a", "b"};
static const struct store_names both = {1, names, 2, pbxs};

static void desk_init(struct desk *d, uint64_t seed)
{
    memset(d, 0, sizeof *d);
    snprintf(d->dir, sizeof d->dir, "/tmp/midreg-disk-XXXXXX");
    assert_non_null(mkdtemp(d->dir));
    snprintf(d->path, sizeof d->path, "%s/midreg.db", d->dir);
    fake_init(&d->fake);
    location_init(&d->l, &d->fake.rt);
    disk_init(&d->disk, seed);
}

static void desk_fini(struct desk *d)
{
    store_close(d->s);
    disk_fini(&d->disk);
    location_fini(&d->l);
    fake_fini(&d->fake);
    unlink(d->path);                    /* an empty one: the bytes are on our disk */
    assert_int_equal(rmdir(d->dir), 0); /* nothing was put aside */
}

static bool open_store(struct desk *d)
{
    FILE *errors = fmemopen(d->said, sizeof d->said, "w");

    store_close(d->s);
    memset(d->said, 0, sizeof d->said);
    d->s = store_open(d->path, &both, errors);
    fclose(errors);
    return d->s != NULL;
}

static void close_store(struct desk *d)
{
    store_close(d->s);
    d->s = NULL;
}

/* ---- what is written --------------------------------------------------------------- */

/* A version shows in every part of the record: CSeq of the lease, of another lease, as
 * many bindings, and their CSeq. */
static size_t put_version(struct desk *d, char *at, unsigned who, unsigned version)
{
    char aor[32], uri[1500];
    struct aor *a;
    uint64_t hash;
    size_t n;

    snprintf(aor, sizeof aor, "sip:u%u@x", who);
    assert_int_equal(location_ensure(&d->l, span_of(aor), span_of(aor), &a), LOCATION_OK);
    hash = a->hash;
    if (version == 0) {
        location_delete(&d->l, a);
        return image_put(&d->fake.rt, at, hash, NULL);
    }
    a->lease.cseq = version;
    *location_add_lease(&d->l, &a, 1) = (struct lease){.upstream = 1, .cseq = version};
    memset(uri, 'x', sizeof uri - 1); /* so that a record lies on several pages */
    memcpy(uri, "sip:", 4);
    uri[sizeof uri - 1] = '\0';
    for (unsigned i = 0; i < 1 + version % 3; i++) {
        struct binding_spec spec = {.uri = span_of(uri),
                                    .call_id = SPAN("c"),
                                    .flow = fake_flow("10.0.0.2:5060"),
                                    .expires_ms = d->fake.rt.now_ms + 100000,
                                    .cseq = version};

        assert_non_null(location_bind(&d->l, &a, &spec));
    }
    n = image_put(&d->fake.rt, at, hash, a);
    location_delete(&d->l, a);
    return n;
}

/* The batch with this number changes some records and removes one. */
static struct content content_of(const struct content *before, unsigned batch)
{
    struct content after = *before;

    for (unsigned i = 0; i < AORS; i++)
        if ((batch + i) % 3 != 0)
            after.version[i] = batch;
    after.version[batch % AORS] = 0;
    return after;
}

static bool write_content(struct desk *d, const struct content *to)
{
    char why[STORE_WHY_MAX] = "";
    size_t n = 0;
    bool ok;

    for (unsigned i = 0; i < AORS; i++)
        if (to->version[i] != d->written.version[i] || d->failed)
            n += put_version(d, d->batch + n, i, to->version[i]);
    assert_true(n < sizeof d->batch);
    ok = store_write(d->s, span_make(d->batch, n), why);
    if (ok)
        d->written = *to;
    else
        d->tried = *to;
    d->failed = !ok;
    return ok;
}

/* Batches from `from` on; one that fails is tried again, as the journal does. False: it
 * goes on failing. */
static bool write_batches(struct desk *d, unsigned from, unsigned n)
{
    for (unsigned batch = from; batch < from + n; batch++) {
        struct content to = content_of(&d->written, batch);

        if (!write_content(d, &to) && !write_content(d, &to))
            return false;
    }
    return true;
}

/* Twice: closing writes the whole file. What goes wrong ends it. */
static void work(struct desk *d)
{
    if (open_store(d) && write_batches(d, 1, HALF) && open_store(d))
        (void)write_batches(d, 1 + HALF, BATCHES - HALF);
    close_store(d);
}

/* ---- what is there ------------------------------------------------------------------ */

static bool take(void *self, const struct aor *a)
{
    struct desk *d = self;
    unsigned who = 0;
    unsigned version = a->lease.cseq;
    char aor[32];

    snprintf(aor, sizeof aor, "%.*s", (int)a->text_n, aor_text(a).p);
    if (sscanf(aor, "sip:u%u@x", &who) != 1 || who >= AORS || a->further != 1 ||
        aor_further(a)->cseq != version || a->bindings != 1 + version % 3)
        d->strange++;
    for (const struct binding *b = aor_first(a); b; b = aor_next(a, b))
        d->strange += b->cseq != version;
    if (who < AORS)
        d->loaded.version[who] = version;
    return true;
}

static bool load_content(struct desk *d)
{
    struct store_loaded loaded;
    FILE *errors = fmemopen(d->said, sizeof d->said, "w");
    bool ok;

    memset(&d->loaded, 0, sizeof d->loaded);
    d->strange = 0;
    ok = store_load(d->s, take, d, &loaded, errors);
    fclose(errors);
    return ok && loaded.refused == 0;
}

static bool same(const struct content *a, const struct content *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* What was written is there; a batch that failed may be there, but all of it. */
static void check_content(struct desk *d)
{
    if (!open_store(d))
        fail_msg("it does not open: %s", d->said);
    assert_string_equal(d->said, "");
    assert_true(load_content(d));
    assert_int_equal(d->strange, 0);
    assert_true(same(&d->loaded, &d->written) || (d->failed && same(&d->loaded, &d->tried)));
    /* And it can be gone on with. */
    d->written = d->loaded;
    d->failed = true;
    assert_true(write_batches(d, 100, 2));
    assert_true(load_content(d));
    assert_true(same(&d->loaded, &d->written));
}

/* The fault at each write, until a run comes to its end without it; how often. */
static unsigned at_every_write(enum disk_fault fault, uint64_t seed, void (*check)(struct desk *))
{
    static struct desk d;
    bool fired = true;
    unsigned k = 0;

    while (fired) {
        desk_init(&d, seed * 10007 + k);
        disk_break(&d.disk, fault, ++k);
        work(&d);
        fired = d.disk.fired;
        check(&d);
        desk_fini(&d);
    }
    return k - 1;
}

/* ---- tests -------------------------------------------------------------------------- */

static void after_reboot(struct desk *d)
{
    disk_reboot(&d->disk);
    check_content(d);
}

static void test_the_power_goes(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= CUTS; seed++)
        assert_true(at_every_write(DISK_CUT, seed, after_reboot) > 100);
}

static void test_one_operation_fails(void **state)
{
    (void)state;
    assert_true(at_every_write(DISK_FAILS, 1, check_content) > 100);
}

/* And then the power goes, too: what was said to be written after the failure lasts. */
static void test_one_operation_fails_and_then_the_power(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= CUTS; seed++)
        assert_true(at_every_write(DISK_FAILS, seed, after_reboot) > 100);
}

static void when_there_is_room_again(struct desk *d)
{
    disk_break(&d->disk, DISK_SOUND, 0);
    check_content(d);
}

static void test_the_disk_is_full(void **state)
{
    (void)state;
    assert_true(at_every_write(DISK_IS_FULL, 1, when_there_is_room_again) > 100);
}

/* A full disk, and the same store goes on when there is room: nothing is lost meanwhile. */
static void test_writing_goes_on_when_there_is_room(void **state)
{
    static struct desk d;
    struct content to;

    (void)state;
    desk_init(&d, 3);
    assert_true(open_store(&d));
    assert_true(write_batches(&d, 1, 3));
    disk_break(&d.disk, DISK_IS_FULL, 1);
    to = content_of(&d.written, 4);
    assert_false(write_content(&d, &to));
    assert_false(write_content(&d, &to));
    disk_break(&d.disk, DISK_SOUND, 0);
    assert_true(write_content(&d, &to));
    close_store(&d);
    check_content(&d);
    desk_fini(&d);
}

static void test_what_is_said_of_a_disk(void **state)
{
    static const struct {
        enum disk_fault fault;
        const char *said;
    } cases[] = {
        {DISK_IS_FULL, "the disk is full: make room"},
        {DISK_FAILS, "the disk fails"},
        {DISK_READS, "the disk fails"},
    };
    static struct desk d;

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        desk_init(&d, 4);
        if (cases[i].fault == DISK_READS) {
            assert_true(open_store(&d));
            close_store(&d);
        }
        disk_break(&d.disk, cases[i].fault, 1);
        assert_false(open_store(&d));
        if (!strstr(d.said, cases[i].said))
            fail_msg("said: %s", d.said);
        assert_null(strstr(d.said, "put aside"));
        disk_break(&d.disk, DISK_SOUND, 0);
        check_content(&d);
        desk_fini(&d);
    }
}

static void test_read_only(void **state)
{
    static struct desk d;

    (void)state;
    desk_init(&d, 5);
    assert_true(open_store(&d));
    assert_true(write_batches(&d, 1, 3));
    close_store(&d);
    d.disk.read_only = true;
    assert_false(open_store(&d));
    if (!strstr(d.said, "it cannot be written"))
        fail_msg("said: %s", d.said);
    d.disk.read_only = false;
    check_content(&d);
    desk_fini(&d);
}

/* A read that fails while it is loaded is told, and leaves the file as it is. */
static void test_a_read_fails(void **state)
{
    static struct desk d;
    bool fired = true;

    (void)state;
    for (unsigned k = 1; fired; k++) {
        desk_init(&d, k);
        assert_true(open_store(&d));
        assert_true(write_batches(&d, 1, BATCHES));
        close_store(&d); /* all of it is in the file, nothing in memory */
        assert_true(open_store(&d));
        disk_break(&d.disk, DISK_READS, k);
        bool loaded = load_content(&d);

        fired = d.disk.fired;
        assert_int_equal(loaded, !fired);
        if (fired)
            assert_non_null(strstr(d.said, "cannot be read"));
        assert_true(fired || k > 3);
        disk_break(&d.disk, DISK_SOUND, 0);
        close_store(&d);
        check_content(&d);
        desk_fini(&d);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_power_goes),
        cmocka_unit_test(test_one_operation_fails),
        cmocka_unit_test(test_one_operation_fails_and_then_the_power),
        cmocka_unit_test(test_the_disk_is_full),
        cmocka_unit_test(test_writing_goes_on_when_there_is_room),
        cmocka_unit_test(test_what_is_said_of_a_disk),
        cmocka_unit_test(test_read_only),
        cmocka_unit_test(test_a_read_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

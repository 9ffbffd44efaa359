/* location/store, writer, image: what goes into the file comes out of it. */
#include "fake_ports.h"
#include "location/location.h"
#include "location/writer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <poll.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

struct desk {
    char dir[32];
    char path[64];
    struct fake fake;
    struct location l;
    struct store *s;
    struct store_loaded loaded;
    char said[1024];
    _Alignas(8) char batch[65536];
    size_t batch_n;
    unsigned taken;
};

static const char *const names[] = {"udp:10.0.0.1:5060", "tcp:10.0.0.1:5060"};
static const struct store_names both = {.listeners = 2, .listener = names};
static const char *const others[] = {"tcp:10.0.0.1:5060", "udp:10.9.9.9:5060"};
static const struct store_names changed = {.listeners = 2, .listener = others};
static const char *const pbxs[] = {"a", "b", "c"};
static const struct store_names only = {2, names, 1, (const char *const[]){"pbx"}};
static const struct store_names three = {2, names, 3, pbxs};
static const char *const fewer[] = {"new", "c", "a"};
static const struct store_names rearranged = {2, names, 3, fewer};

static int setup(void **state)
{
    struct desk *d = calloc(1, sizeof *d);

    assert_non_null(d);
    snprintf(d->dir, sizeof d->dir, "/tmp/midreg-store-XXXXXX");
    assert_non_null(mkdtemp(d->dir));
    snprintf(d->path, sizeof d->path, "%s/midreg.db", d->dir);
    fake_init(&d->fake);
    location_init(&d->l, &d->fake.rt);
    *state = d;
    return 0;
}

static int teardown(void **state)
{
    struct desk *d = *state;
    char command[64];

    store_close(d->s);
    location_fini(&d->l);
    fake_fini(&d->fake);
    snprintf(command, sizeof command, "rm -rf %s", d->dir);
    assert_int_equal(system(command), 0);
    free(d);
    return 0;
}

/* What was said on the way is in d->said. */
static struct store *reopen(struct desk *d, const struct store_names *listeners)
{
    FILE *errors = fmemopen(d->said, sizeof d->said, "w");

    store_close(d->s);
    memset(d->said, 0, sizeof d->said);
    d->s = store_open(d->path, listeners, errors);
    fclose(errors);
    return d->s;
}

static bool take(void *self, const struct aor *image)
{
    struct desk *d = self;

    d->taken++;
    return location_restore(&d->l, image) != NULL;
}

static uint64_t number(void *self, struct span aor)
{
    const struct desk *d = self;

    return location_hash(&d->l, aor);
}

/* Everything anew, as after a restart: the location table is empty before. */
static bool load(struct desk *d)
{
    FILE *errors = fmemopen(d->said, sizeof d->said, "w");
    bool ok;

    location_fini(&d->l);
    location_init(&d->l, &d->fake.rt);
    d->taken = 0;
    ok = store_number(d->s, number, d, errors) && store_load(d->s, take, d, &d->loaded, errors);
    fclose(errors);
    return ok;
}

static struct aor *record(struct desk *d, const char *aor, const char *to)
{
    struct aor *a;

    assert_int_equal(location_ensure(&d->l, span_of(aor), span_of(to), &a), LOCATION_OK);
    return a;
}

static struct binding *add(struct desk *d, struct aor **a, const char *uri, const char *peer,
                           bool stream)
{
    struct binding_spec spec = {
        .uri = span_of(uri),
        .params = SPAN(";+sip.instance=\"<urn:x>\""),
        .call_id = SPAN("call'1\""),
        .path = SPAN("<sip:edge;lr>, <sip:e2;lr>"),
        .flow = fake_flow(peer),
        .expires_ms = d->fake.rt.now_ms + 77000,
        .proved_ms = d->fake.rt.now_ms - 3000,
        .granted_s = 110,
        .restart_s = 120,
        .cseq = 4000000000u,
        .q = 300,
        .q_given = true,
        .flags = BINDING_FLOW_PROVED,
    };

    if (stream) {
        spec.flow.transport = TRANSPORT_TCP;
        spec.flow.listener = 1;
        spec.flow.connection = 17;
    }
    return location_bind(&d->l, a, &spec);
}

static void put(struct desk *d, uint64_t hash, const struct aor *a)
{
    d->batch_n += image_put(&d->fake.rt, d->batch + d->batch_n, hash, a);
    assert_true(d->batch_n < sizeof d->batch);
}

static bool write_batch(struct desk *d)
{
    char why[STORE_WHY_MAX] = "";
    bool ok = store_write(d->s, span_make(d->batch, d->batch_n), why);

    assert_true(ok == (why[0] == '\0'));
    d->batch_n = 0;
    return ok;
}

static void sql(struct desk *d, const char *text)
{
    sqlite3 *db;
    char *why = NULL;

    assert_int_equal(sqlite3_open(d->path, &db), SQLITE_OK);
    if (sqlite3_exec(db, text, NULL, NULL, &why) != SQLITE_OK)
        fail_msg("%s: %s", text, why);
    sqlite3_close(db);
}

/* ---- there and back ---------------------------------------------------------- */

static void assert_is(const struct binding *b, const char *uri)
{
    assert_true(span_eq(binding_uri(b), span_of(uri)));
    assert_true(span_eq(binding_params(b), SPAN(";+sip.instance=\"<urn:x>\"")));
    assert_true(span_eq(binding_call_id(b), SPAN("call'1\"")));
    assert_true(span_eq(binding_path(b), SPAN("<sip:edge;lr>, <sip:e2;lr>")));
    assert_int_equal(b->granted_s, 110);
    assert_int_equal(b->restart_s, 120);
    assert_int_equal(b->cseq, 4000000000u);
    assert_int_equal(b->q, 300);
    assert_true(b->q_given);
}

static void test_round_trip(void **state)
{
    struct desk *d = *state;
    struct aor *a = record(d, "sip:al@x", "sip:Al@X");
    uint32_t next, id;
    const struct binding *b;
    struct flow flow;

    add(d, &a, "sip:al@10.0.0.2", "10.0.0.2:5070", false);
    id = add(d, &a, "sip:al@[::1]:7", "[::1]:7", false)->id;
    add(d, &a, "sip:gone@10.0.0.3", "10.0.0.3:5070", false);
    location_bury(&d->l, a, aor_next(a, location_binding(a, id))->id, 1, UINT32_MAX);
    a->lease = (struct lease){.until_ms = d->fake.rt.now_ms + 3600000,
                              .may_ms = d->fake.rt.now_ms + 3700000,
                              .granted_s = 3600,
                              .cseq = 5,
                              .next_ms = 9,
                              .means = MEANS_NONE};
    a->busy = 2;
    next = a->next_binding_id;
    assert_non_null(reopen(d, &both));
    put(d, a->hash, a);
    assert_true(write_batch(d));
    assert_non_null(reopen(d, &both));
    d->fake.wall_s += 10; /* it was down for so long, and the machine's clock is another */
    assert_true(load(d));
    assert_int_equal(d->loaded.aors, 1);
    assert_int_equal(d->loaded.bindings, 2);
    assert_int_equal(d->loaded.refused, 0);
    assert_int_equal(d->l.bindings, 2);
    a = location_find(&d->l, location_hash(&d->l, SPAN("sip:al@x")));
    assert_non_null(a);
    assert_true(span_eq(aor_to_uri(a), SPAN("sip:Al@X")));
    assert_int_equal(a->next_binding_id, next);
    assert_int_equal(a->lease.until_ms, d->fake.rt.now_ms + 3590000);
    assert_int_equal(a->lease.may_ms, d->fake.rt.now_ms + 3690000);
    assert_int_equal(a->lease.granted_s, 3600);
    assert_int_equal(a->lease.cseq, 5);
    assert_int_equal(a->lease.means, MEANS_NONE);
    assert_int_equal(a->busy + a->lease.next_ms, 0);
    b = aor_first(a);
    assert_is(b, "sip:al@10.0.0.2");
    assert_int_equal(b->expires_ms, d->fake.rt.now_ms + 67000);
    assert_int_equal(b->proved_ms, d->fake.rt.now_ms - 13000);
    assert_int_equal(b->flags, BINDING_FLOW_PROVED);
    flow = fake_flow("10.0.0.2:5070");
    assert_true(flow_equal(&b->flow, &flow));
    b = aor_next(a, b);
    assert_is(b, "sip:al@[::1]:7");
    assert_int_equal(b->id, id);
    assert_null(aor_next(a, b));
}

/* What lay on a connection cannot be reached: nobody bears its number now. */
static void test_stream(void **state)
{
    struct desk *d = *state;
    struct aor *a = record(d, "sip:al@x", "sip:al@x");

    add(d, &a, "sip:al@10.0.0.2;transport=tcp", "10.0.0.2:40000", true);
    assert_non_null(reopen(d, &both));
    put(d, a->hash, a);
    assert_true(write_batch(d));
    assert_true(load(d));
    a = location_find(&d->l, location_hash(&d->l, SPAN("sip:al@x")));
    assert_int_equal(aor_first(a)->flow.connection, 0);
    assert_int_equal(aor_first(a)->flags, BINDING_FLOW_PROVED | BINDING_UNREACHABLE);
    assert_int_equal(d->l.flows.connections.used, 0);
}

/* A listener that is now another one, or none. */
static void test_listeners(void **state)
{
    struct desk *d = *state;
    struct aor *a = record(d, "sip:al@x", "sip:al@x");

    add(d, &a, "sip:al@10.0.0.2", "10.0.0.2:5070", false);
    add(d, &a, "sip:al@10.0.0.3;transport=tcp", "10.0.0.3:5070", true);
    assert_non_null(reopen(d, &both));
    put(d, a->hash, a);
    assert_true(write_batch(d));
    assert_non_null(reopen(d, &changed));
    assert_true(load(d));
    a = location_find(&d->l, location_hash(&d->l, SPAN("sip:al@x")));
    assert_int_equal(aor_first(a)->flags, BINDING_FLOW_PROVED | BINDING_UNREACHABLE);
    assert_int_equal(aor_next(a, aor_first(a))->flow.listener, 0);
}

static void test_changes_and_ends(void **state)
{
    struct desk *d = *state;
    struct aor *a = record(d, "sip:al@x", "sip:al@x"), *b = record(d, "sip:bo@x", "sip:bo@x");
    uint32_t first;
    uint64_t gone = b->hash;

    first = add(d, &a, "sip:al@10.0.0.2", "10.0.0.2:5070", false)->id;
    add(d, &b, "sip:bo@10.0.0.2", "10.0.0.2:5071", false);
    assert_non_null(reopen(d, &both));
    put(d, a->hash, a);
    put(d, b->hash, b);
    assert_true(write_batch(d));
    add(d, &a, "sip:al@10.0.0.4", "10.0.0.4:5070", false);
    location_unbind(&d->l, &a, first);
    location_delete(&d->l, b);
    put(d, a->hash, a);
    put(d, gone, NULL);
    assert_true(write_batch(d));
    assert_true(load(d));
    assert_int_equal(d->loaded.aors, 1);
    assert_int_equal(d->loaded.bindings, 1);
    a = location_find(&d->l, location_hash(&d->l, SPAN("sip:al@x")));
    assert_is(aor_first(a), "sip:al@10.0.0.4");
}

/* Another secret: the ids in the file are not ours, the AORs are. */
static void test_another_secret(void **state)
{
    struct desk *d = *state;
    struct aor *a = record(d, "sip:al@x", "sip:al@x");
    uint8_t secret[HASH_SECRET_SIZE];

    add(d, &a, "sip:al@10.0.0.2", "10.0.0.2:5070", false);
    assert_non_null(reopen(d, &both));
    put(d, a->hash, a);
    assert_true(write_batch(d));
    memset(secret, 't', sizeof secret);
    hasher_fini(&d->fake.rt.hasher);
    assert_true(hasher_init(&d->fake.rt.hasher, secret));
    assert_true(load(d));
    assert_non_null(location_find(&d->l, location_hash(&d->l, SPAN("sip:al@x"))));
}

struct removed {
    unsigned count;
    uint64_t hash, until_ms;
    char contact[64], call_id[64];
    uint32_t cseq;
    unsigned flags;
};

static void take_removed(void *self, uint64_t hash, struct binding_spec *removed, uint64_t until_ms)
{
    struct removed *r = self;

    r->count++;
    r->hash = hash;
    r->until_ms = until_ms;
    r->cseq = removed->cseq;
    r->flags = removed->flags;
    snprintf(r->contact, sizeof r->contact, "%.*s", (int)removed->uri.n, removed->uri.p);
    snprintf(r->call_id, sizeof r->call_id, "%.*s", (int)removed->call_id.n, removed->call_id.p);
}

/* What was removed is no binding, and known for as long as a late copy may come. */
static void test_removed(void **state)
{
    struct desk *d = *state;
    struct removed r = {0};
    struct aor *a = record(d, "sip:al@x", "sip:al@x");
    const struct binding *b = add(d, &a, "sip:al@10.0.0.2", "10.0.0.2:5070", false);
    uint64_t wall_ms = d->fake.wall_s * 1000;

    location_bury(&d->l, a, b->id, 78, d->fake.rt.now_ms + 32000);
    assert_non_null(reopen(d, &both));
    put(d, a->hash, a);
    assert_true(write_batch(d));
    assert_true(load(d));
    assert_int_equal(d->loaded.bindings, 0);
    store_load_removed(d->s, wall_ms, take_removed, &r);
    assert_int_equal(r.count, 1);
    assert_true(r.hash == location_hash(&d->l, SPAN("sip:al@x")));
    assert_in_range(r.until_ms, wall_ms + 31000, wall_ms + 33000);
    assert_string_equal(r.contact, "sip:al@10.0.0.2");
    assert_string_equal(r.call_id, "call'1\"");
    assert_int_equal(r.cseq, 78);
    assert_true(r.flags & BINDING_TOMBSTONE);
    store_load_removed(d->s, wall_ms + 40000, take_removed, &r);
    store_load_removed(d->s, wall_ms, take_removed, &r); /* that was forgotten */
    assert_int_equal(r.count, 1);
}

/* Of the texts that the question has for its one answer. */
static void assert_sql(struct desk *d, const char *text, const char *value)
{
    sqlite3 *db;
    sqlite3_stmt *st;

    assert_int_equal(sqlite3_open(d->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, text, -1, &st, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(st), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(st, 0), value);
    sqlite3_finalize(st);
    sqlite3_close(db);
}

/* Each has one row, under its number by our secret; what was left under others is gone. Main
 * registrars know it by another name then, so they do not hold it. */
static void test_other_numbers(void **state)
{
    static const char *const users[] = {"sip:al@x", "sip:bo@x"};
    struct desk *d = *state;
    char right[64];

    assert_non_null(reopen(d, &three));
    for (unsigned i = 0; i < 2; i++) {
        struct aor *a = record(d, users[i], users[i]);

        add(d, &a, users[i], "10.0.0.2:5070", false);
        a->lease.upstream = 0;
        a->lease.until_ms = a->lease.may_ms = d->fake.rt.now_ms + 1000000;
        location_add_lease(&d->l, &a, 1)->until_ms = d->fake.rt.now_ms + 1000000;
        put(d, a->hash, a);
    }
    assert_true(write_batch(d));
    /* al: under 5 alone, and twice; bo: under the right one, and under 7. */
    sql(d, "CREATE TABLE t AS SELECT * FROM aor; CREATE TABLE tb AS SELECT * FROM binding;"
           "CREATE TABLE tl AS SELECT * FROM lease;"
           "DELETE FROM aor WHERE aor = 'sip:al@x'; DELETE FROM lease WHERE aor NOT IN (SELECT id"
           " FROM aor); DELETE FROM binding WHERE aor NOT IN (SELECT id FROM aor);"
           "CREATE TABLE n (aor, id); INSERT INTO n VALUES ('sip:al@x', 5), ('sip:al@x', 6),"
           " ('sip:bo@x', 7);");
    sql(d,
        "CREATE TABLE w AS SELECT t.id AS was, n.id AS id FROM n JOIN t USING (aor);"
        "UPDATE t SET lease_cseq = 77, lease_until = unixepoch() + 1000;"
        "UPDATE aor SET lease_until = unixepoch() + 1000;"
        "UPDATE tl SET until = unixepoch() + 1000; UPDATE lease SET until = unixepoch() + 1000;"
        "INSERT INTO aor SELECT w.id, aor, to_uri, next_binding, lease_until, lease_may,"
        " lease_granted, lease_cseq, lease_means, lease_upstream FROM t JOIN w ON t.id = w.was;"
        "INSERT INTO lease SELECT w.id, upstream, until, may, granted, cseq, means FROM tl"
        " JOIN w ON tl.aor = w.was;"
        "INSERT INTO binding SELECT w.id, tb.id, contact, params, call_id, cseq, path, q, granted,"
        " restart, expires, proved, transport, peer, listener, flags FROM tb"
        " JOIN w ON tb.aor = w.was");
    assert_sql(d, "SELECT count(*) FROM binding", "4");
    assert_true(load(d));
    assert_int_equal(d->l.aors.used, 2);
    assert_int_equal(d->loaded.refused, 0);
    snprintf(right, sizeof right, "%lld,%lld", (long long)location_hash(&d->l, SPAN("sip:al@x")),
             (long long)location_hash(&d->l, SPAN("sip:bo@x")));
    assert_sql(d, "SELECT group_concat(id) FROM (SELECT id FROM aor ORDER BY aor)", right);
    assert_sql(d, "SELECT group_concat(aor) FROM (SELECT aor FROM binding ORDER BY contact)",
               right);
    assert_sql(d, "SELECT group_concat(lease_cseq) FROM (SELECT * FROM aor ORDER BY aor)", "77,0");
    assert_sql(d, "SELECT count(*) FROM lease WHERE until > unixepoch()", "1");
    assert_sql(d, "SELECT count(*) FROM lease", "2");
    assert_sql(d, "SELECT count(*) FROM aor WHERE lease_until > unixepoch()", "1");
}

/* ---- what may be wrong -------------------------------------------------------- */

static void test_nonsense_is_left_out(void **state)
{
    struct desk *d = *state;
    struct aor *a = record(d, "sip:al@x", "sip:al@x");

    add(d, &a, "sip:al@10.0.0.2", "10.0.0.2:5070", false);
    assert_non_null(reopen(d, &both));
    put(d, a->hash, a);
    assert_true(write_batch(d));
    sql(d, "INSERT INTO aor VALUES (1, '', NULL, 1, 0, 0, 0, 0, 0, 0);"
           "INSERT INTO aor VALUES (2, hex(zeroblob(40000)), NULL, 1, 0, 0, 0, 0, 9, 0);"
           "INSERT INTO binding SELECT 2, id, '', params, call_id, cseq, path, q, granted, restart,"
           " expires, proved, transport, peer, listener, flags FROM binding;"
           "INSERT INTO binding SELECT 2, id + 1, contact, params, call_id, cseq, path, 70000,"
           " granted, restart, -5, proved, 'smoke', peer, listener, flags FROM binding WHERE id > 2"
           " AND aor <> 2;"
           "INSERT INTO binding SELECT 3, id, contact, params, call_id, cseq, path, q, granted,"
           " restart, expires, proved, transport, 'nowhere', listener, flags FROM binding"
           " WHERE aor <> 2");
    assert_true(load(d));
    assert_int_equal(d->l.aors.used, 1);
    assert_true(d->loaded.refused >= 4);
}

static void test_damaged(void **state)
{
    struct desk *d = *state;
    char command[160];
    FILE *f = fopen(d->path, "w");

    fprintf(f, "this is no database, and it is long enough for a head of one hundred bytes, "
               "as a database has: really it is none at all");
    fclose(f);
    assert_non_null(reopen(d, &both));
    assert_non_null(strstr(d->said, "put aside as"));
    assert_true(load(d));
    assert_int_equal(d->loaded.aors, 0);
    snprintf(command, sizeof command, "test -f %s.damaged-*", d->path);
    assert_int_equal(system(command), 0);
    put(d, 5, NULL);
    assert_true(write_batch(d));
}

/* ---- several main registrars ----------------------------------------------------- */

/* An AOR whose home is "b", with leases at "a" and "c" besides. */
static struct aor *record_with_leases(struct desk *d)
{
    struct aor *a = record(d, "sip:al@x", "sip:al@x");
    uint64_t later_ms = d->fake.rt.now_ms + 1000000;

    add(d, &a, "sip:al@10.0.0.2", "10.0.0.2:5070", false);
    a->lease = (struct lease){
        .upstream = 1, .until_ms = later_ms, .may_ms = later_ms, .granted_s = 3600, .cseq = 11};
    *location_add_lease(&d->l, &a, 0) = (struct lease){
        .upstream = 0, .may_ms = later_ms, .granted_s = 60, .cseq = 12, .means = MEANS_NONE};
    *location_add_lease(&d->l, &a, 2) = (struct lease){
        .upstream = 2, .until_ms = later_ms, .may_ms = later_ms, .granted_s = 61, .cseq = 13};
    return a;
}

static struct aor *loaded_record(struct desk *d)
{
    assert_true(load(d));
    return location_find(&d->l, location_hash(&d->l, SPAN("sip:al@x")));
}

static void write_anew(struct desk *d, uint64_t hash, const struct aor *a)
{
    d->batch_n = 0;
    put(d, hash, a);
    assert_true(write_batch(d));
}

static void test_leases(void **state)
{
    struct desk *d = *state;
    struct aor *a;

    assert_non_null(reopen(d, &three));
    a = record_with_leases(d);
    write_anew(d, a->hash, a);
    assert_non_null(reopen(d, &three));
    a = loaded_record(d);
    assert_int_equal(a->lease.upstream, 1);
    assert_int_equal(a->lease.cseq, 11);
    assert_int_equal(a->further, 2);
    assert_int_equal(aor_lease_at(a, 0)->means, MEANS_NONE);
    assert_int_equal(aor_lease_at(a, 0)->until_ms, 0);
    assert_int_equal(aor_lease_at(a, 0)->may_ms, d->fake.rt.now_ms + 1000000);
    assert_int_equal(aor_lease_at(a, 2)->granted_s, 61);
    assert_is(aor_first(a), "sip:al@10.0.0.2");
    /* One goes, then the whole record. */
    location_drop_lease(&d->l, &a, 0);
    write_anew(d, a->hash, a);
    a = loaded_record(d);
    assert_int_equal(a->further, 1);
    assert_int_equal(aor_lease_at(a, 2)->cseq, 13);
    write_anew(d, a->hash, NULL);
    assert_null(loaded_record(d));
    sql(d, "CREATE UNIQUE INDEX none ON lease ((1))");
    sql(d, "INSERT INTO lease VALUES (0, 0, 0, 0, 0, 0, 0)"); /* the only row */
}

/* They go by their names. One that is not there any more is forgotten. */
static void test_other_upstreams(void **state)
{
    struct desk *d = *state;
    struct aor *a;

    assert_non_null(reopen(d, &three));
    a = record_with_leases(d);
    write_anew(d, a->hash, a);
    assert_non_null(reopen(d, &rearranged));
    a = loaded_record(d);
    assert_int_equal(a->lease.cseq, 0); /* "b" was its home: it has none */
    assert_int_equal(a->further, 2);
    assert_int_equal(aor_lease_at(a, 1)->cseq, 13);
    assert_int_equal(aor_lease_at(a, 2)->cseq, 12);
    assert_is(aor_first(a), "sip:al@10.0.0.2");
}

static void write_lost(struct desk *d, unsigned upstream, bool lost)
{
    d->batch_n = image_put_lost(d->batch, upstream, lost);
    assert_true(write_batch(d));
}

static void assert_fact(struct desk *d, unsigned upstream, enum store_fact which, const char *value)
{
    char room[STORE_NOTE_MAX];

    store_fact(d->s, upstream, which, room);
    assert_string_equal(room, value);
}

/* What they hold may be lost: that goes by their names, too. */
static void test_lost_upstreams(void **state)
{
    struct desk *d = *state;

    assert_non_null(reopen(d, &three));
    write_lost(d, 0, true);
    write_lost(d, 1, true);
    write_lost(d, 2, true);
    write_lost(d, 2, false);
    assert_non_null(reopen(d, &rearranged)); /* new, c, a */
    assert_fact(d, 0, STORE_LOST, "0");
    assert_fact(d, 1, STORE_LOST, "0");
    assert_fact(d, 2, STORE_LOST, "1");
    assert_non_null(reopen(d, &three));
    assert_fact(d, 1, STORE_LOST, "1"); /* it is back */
}

/* What else is known of them. Once nothing is lost, no lease is for an earlier contact. */
static void test_facts(void **state)
{
    struct desk *d = *state;

    assert_non_null(reopen(d, &three));
    assert_fact(d, 1, STORE_CONTACT, "");
    assert_true(store_set_fact(d->s, 1, STORE_CONTACT, "10.0.0.1:5060"));
    assert_true(store_set_fact(d->s, 1, STORE_CONTACT_BEFORE, "10.0.0.2:5060"));
    assert_true(store_set_fact(d->s, 2, STORE_CONTACT_BEFORE, "10.0.0.3:5060"));
    assert_true(store_set_fact(d->s, 1, STORE_PLACE, "10.0.0.9:5080"));
    assert_true(store_set_fact(d->s, 1, STORE_LOST, "1"));
    write_lost(d, 1, true);
    d->batch_n =
        image_put_text(d->batch, 1, IMAGE_RUN, SPAN("b0cb1d0e-0d9e-4d59-a0f1-0d8ba3ec7e7e"));
    assert_true(write_batch(d));
    assert_fact(d, 1, STORE_CONTACT_BEFORE, "10.0.0.2:5060");
    assert_fact(d, 1, STORE_RUN, "b0cb1d0e-0d9e-4d59-a0f1-0d8ba3ec7e7e");
    assert_fact(d, 0, STORE_RUN, "");
    write_lost(d, 1, false);
    assert_non_null(reopen(d, &three));
    assert_fact(d, 1, STORE_LOST, "0");
    assert_fact(d, 1, STORE_CONTACT, "10.0.0.1:5060");
    assert_fact(d, 1, STORE_CONTACT_BEFORE, "");
    assert_fact(d, 1, STORE_PLACE, "10.0.0.9:5080");
    assert_fact(d, 2, STORE_CONTACT_BEFORE, "10.0.0.3:5060");
}

/* They were notes; and some files of it have `lost`. */
static void test_schema_2(void **state)
{
    static const char *const lost[] = {"", "ALTER TABLE upstream ADD COLUMN lost INTEGER NOT NULL"
                                           " DEFAULT 0; UPDATE upstream SET lost = 1"};
    struct desk *d = *state;

    for (unsigned i = 0; i < 2; i++) {
        assert_non_null(reopen(d, &only));
        sql(d, "DROP TABLE upstream; DROP TABLE removed");
        sql(d, "CREATE TABLE upstream (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
               "INSERT INTO upstream (name) VALUES ('old'), ('pbx');"
               "INSERT INTO meta VALUES ('contact:pbx', '10.0.0.1:5060'),"
               " ('place:pbx', '10.0.0.9:5080 pbx.example.com:0');"
               "UPDATE meta SET value = '2' WHERE name = 'schema_version'");
        sql(d, lost[i]);
        assert_non_null(reopen(d, &only));
        assert_fact(d, 0, STORE_LOST, i ? "1" : "0");
        assert_fact(d, 0, STORE_CONTACT, "10.0.0.1:5060");
        assert_fact(d, 0, STORE_CONTACT_BEFORE, "");
        assert_fact(d, 0, STORE_PLACE, "10.0.0.9:5080 pbx.example.com:0");
        assert_fact(d, 0, STORE_RUN, "");
    }
}

/* The file of a midreg that knew one main registrar: all is kept. */
static void test_schema_1(void **state)
{
    struct desk *d = *state;
    struct aor *a = record(d, "sip:al@x", "sip:al@x");

    add(d, &a, "sip:al@10.0.0.2", "10.0.0.2:5070", false);
    a->lease.cseq = 77;
    assert_non_null(reopen(d, &both));
    write_anew(d, a->hash, a);
    sql(d, "DROP TABLE lease; DROP TABLE removed");
    sql(d, "DROP TABLE upstream");
    sql(d, "ALTER TABLE aor DROP COLUMN lease_upstream");
    sql(d, "UPDATE meta SET value = '1' WHERE name = 'schema_version'");
    assert_non_null(reopen(d, &three));
    a = loaded_record(d);
    assert_int_equal(a->lease.cseq, 77);
    assert_int_equal(a->lease.upstream, 0);
    assert_is(aor_first(a), "sip:al@10.0.0.2");
    write_anew(d, a->hash, a);
    assert_non_null(reopen(d, &three)); /* and once is enough */
    assert_non_null(loaded_record(d));
}

static void test_newer(void **state)
{
    struct desk *d = *state;

    assert_non_null(reopen(d, &both));
    sql(d, "UPDATE meta SET value = '99' WHERE name = 'schema_version'");
    assert_null(reopen(d, &both));
    assert_non_null(strstr(d->said, "written by a newer midreg (schema 99"));
}

static void test_no_directory(void **state)
{
    struct desk *d = *state;

    snprintf(d->path, sizeof d->path, "%s/none/midreg.db", d->dir);
    assert_null(reopen(d, &both));
    assert_non_null(strstr(d->said, "cannot be opened"));
}

/* Somebody else holds the file: nothing is written, and it says why; later it is. */
static void test_locked(void **state)
{
    struct desk *d = *state;
    char why[STORE_WHY_MAX] = "";
    sqlite3 *other;

    assert_non_null(reopen(d, &both));
    assert_int_equal(sqlite3_open(d->path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    put(d, 5, NULL);
    assert_false(store_write(d->s, span_make(d->batch, d->batch_n), why));
    assert_string_equal(why, "database is locked");
    sqlite3_close(other);
    assert_true(write_batch(d));
}

/* ---- the thread ---------------------------------------------------------------- */

static void test_writer(void **state)
{
    struct desk *d = *state;
    struct aor *a = record(d, "sip:al@x", "sip:al@x");
    struct pollfd waits = {.events = POLLIN};
    char why[STORE_WHY_MAX];
    struct writer *w;
    bool ok = false;

    add(d, &a, "sip:al@10.0.0.2", "10.0.0.2:5070", false);
    assert_non_null(reopen(d, &both));
    w = writer_new(d->s);
    assert_non_null(w);
    assert_false(writer_done(w, &ok, why));
    put(d, a->hash, a);
    writer_give(w, span_make(d->batch, d->batch_n));
    waits.fd = writer_fd(w);
    assert_int_equal(poll(&waits, 1, 10000), 1);
    assert_true(writer_done(w, &ok, why));
    assert_true(ok);
    assert_false(writer_done(w, &ok, why)); /* once */
    /* What it was given is written before it ends. */
    d->batch_n = 0;
    put(d, a->hash, NULL);
    writer_give(w, span_make(d->batch, d->batch_n));
    writer_free(w);
    assert_true(load(d));
    assert_int_equal(d->loaded.aors, 0);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(test_round_trip),      WITH(test_stream),
        WITH(test_listeners),       WITH(test_changes_and_ends),
        WITH(test_damaged),         WITH(test_nonsense_is_left_out),
        WITH(test_newer),           WITH(test_locked),
        WITH(test_no_directory),    WITH(test_another_secret),
        WITH(test_writer),          WITH(test_leases),
        WITH(test_other_upstreams), WITH(test_lost_upstreams),
        WITH(test_facts),           WITH(test_other_numbers),
        WITH(test_removed),         WITH(test_schema_1),
        WITH(test_schema_2),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

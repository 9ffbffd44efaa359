/* location: the packed record in all its shapes, the table, the accounting. */
#include "fake_ports.h"
#include "location/location.h"

#include <stdio.h>
#include <stdlib.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

struct room {
    struct fake fake;
    struct location l;
};

static int setup(void **state)
{
    struct room *r = calloc(1, sizeof *r);

    assert_non_null(r);
    fake_init(&r->fake);
    location_init(&r->l, &r->fake.rt);
    *state = r;
    return 0;
}

static int teardown(void **state)
{
    struct room *r = *state;

    location_fini(&r->l);
    assert_int_equal(r->l.bytes, 0);
    assert_int_equal(r->fake.rt.wheel.armed, 0);
    fake_fini(&r->fake);
    free(r);
    return 0;
}

static struct aor *ensure(struct room *r, const char *aor)
{
    struct aor *a;

    assert_int_equal(location_ensure(&r->l, span_of(aor), span_of(aor), &a), LOCATION_OK);
    a->next_binding_id = 1; /* the cases below count from there */
    return a;
}

static struct binding_spec spec_of(const char *uri, const char *params, const char *call_id)
{
    return (struct binding_spec){
        .uri = span_of(uri),
        .params = span_of(params),
        .call_id = span_of(call_id),
        .flow = fake_flow("10.0.0.1:5062"),
        .expires_ms = 2000000,
        .proved_ms = 5,
        .granted_s = 120,
        .cseq = 7,
        .q = 500,
        .q_given = true,
        .flags = BINDING_FLOW_PROVED,
    };
}

static void assert_binding(const struct binding *b, const char *uri, const char *params,
                           const char *call_id)
{
    assert_non_null(b);
    assert_int_equal((uintptr_t)b % 8, 0);
    assert_int_equal(binding_size(b) % 8, 0);
    assert_true(span_eq(binding_uri(b), span_of(uri)));
    assert_true(span_eq(binding_params(b), span_of(params)));
    assert_true(span_eq(binding_call_id(b), span_of(call_id)));
}

/* What the record says of itself adds up, and so does the table. */
static void assert_whole(const struct room *r)
{
    uint64_t bytes = 0;
    uint64_t live = 0;
    size_t records = 0;
    struct aor *a;

    for (size_t at = 0; (a = location_next(&r->l, &at)); records++) {
        size_t n = record_pad(sizeof *a + a->text_n + a->to_n);
        unsigned count = 0;

        for (const struct binding *b = aor_first(a); b; b = aor_next(a, b)) {
            assert_ptr_equal(b, (char *)a + n);
            n += binding_size(b);
            count++;
            live += !(b->flags & BINDING_TOMBSTONE);
        }
        assert_int_equal(n, a->size);
        assert_int_equal(count, a->bindings);
        assert_ptr_equal(location_find(&r->l, a->hash), a);
        bytes += n;
    }
    assert_int_equal(bytes, r->l.bytes);
    assert_int_equal(live, r->l.bindings);
    assert_int_equal(records, r->l.aors.used);
}

static void test_ensure(void **state)
{
    struct room *r = *state;
    struct aor *a;
    struct aor *again;

    assert_null(location_find(&r->l, location_hash(&r->l, SPAN("sip:alice@example.com"))));
    assert_int_equal(
        location_ensure(&r->l, SPAN("sip:alice@example.com"), SPAN("sips:Alice@Example.com"), &a),
        LOCATION_OK);
    assert_true(span_eq(aor_text(a), SPAN("sip:alice@example.com")));
    assert_true(span_eq(aor_to_uri(a), SPAN("sips:Alice@Example.com")));
    assert_null(aor_first(a));
    assert_ptr_equal(location_find(&r->l, location_hash(&r->l, SPAN("sip:alice@example.com"))), a);
    assert_int_equal(location_ensure(&r->l, SPAN("sip:alice@example.com"), SPAN("other"), &again),
                     LOCATION_OK);
    assert_ptr_equal(again, a);
    assert_true(span_eq(aor_to_uri(a), SPAN("sips:Alice@Example.com")));
    assert_whole(r);
    location_delete(&r->l, a);
    assert_null(location_find(&r->l, location_hash(&r->l, SPAN("sip:alice@example.com"))));
    assert_whole(r);
}

static void test_to_uri_kept_once(void **state)
{
    struct room *r = *state;
    struct aor *a = ensure(r, "sip:bob@example.com");

    assert_true(span_eq(aor_to_uri(a), SPAN("sip:bob@example.com")));
    assert_int_equal(a->to_n, 0);
}

/* No two texts with one hash are known: the record is given another's hash. */
static void test_collision(void **state)
{
    struct room *r = *state;
    struct aor *a = ensure(r, "sip:alice@example.com");
    struct aor *out = a;
    uint64_t hash = location_hash(&r->l, SPAN("sip:mallory@example.com"));

    assert_true(table_put(&r->l.aors, hash, a));
    assert_int_equal(location_ensure(&r->l, SPAN("sip:mallory@example.com"), SPAN_NONE, &out),
                     LOCATION_COLLISION);
    assert_null(out);
    table_remove(&r->l.aors, hash);
}

/* Every length of every text modulo the alignment; bindings come and go. */
static void test_shapes(void **state)
{
    static const char text[] = "abcdefghijklmnopqrstuvwxyz";
    struct room *r = *state;

    for (size_t n = 1; n < 12; n++) {
        char aor[32];
        struct aor *a;

        snprintf(aor, sizeof aor, "sip:%.*s@x", (int)n, text);
        assert_int_equal(location_ensure(&r->l, span_of(aor), SPAN("To"), &a), LOCATION_OK);
        a->next_binding_id = 1;
        for (size_t k = 0; k < 9; k++) {
            struct binding_spec spec = spec_of("", "", "");

            spec.uri.n = k;
            spec.uri.p = text;
            spec.params = span_make(text + 1, (k * 3) % 7);
            spec.call_id = span_make(text + 2, (k * 5) % 11);
            assert_non_null(location_bind(&r->l, &a, &spec));
            assert_whole(r);
        }
        for (uint32_t id = 1; id <= 9; id += 2) { /* first, some between, last */
            location_unbind(&r->l, &a, id);
            assert_null(location_binding(a, id));
            assert_whole(r);
        }
        for (size_t k = 1; k < 9; k += 2) {
            const struct binding *b = location_binding(a, (uint32_t)k + 1);

            assert_non_null(b);
            assert_true(span_eq(binding_uri(b), span_make(text, k)));
            assert_true(span_eq(binding_call_id(b), span_make(text + 2, (k * 5) % 11)));
        }
        assert_true(span_eq(aor_text(a), span_of(aor)));
        assert_true(span_eq(aor_to_uri(a), SPAN("To")));
    }
}

static void test_bind_keeps_all(void **state)
{
    struct room *r = *state;
    struct aor *a = ensure(r, "sip:alice@example.com");
    struct binding_spec spec = spec_of("sip:a@10.0.0.1", ";x=1", "call-1");
    struct flow flow = fake_flow("10.0.0.1:5062");
    struct binding *b = location_bind(&r->l, &a, &spec);

    assert_binding(b, "sip:a@10.0.0.1", ";x=1", "call-1");
    assert_true(flow_equal(&b->flow, &flow));
    assert_int_equal(b->expires_ms, 2000000);
    assert_int_equal(b->proved_ms, 5);
    assert_int_equal(b->granted_s, 120);
    assert_int_equal(b->cseq, 7);
    assert_int_equal(b->q, 500);
    assert_true(b->q_given);
    assert_int_equal(b->flags, BINDING_FLOW_PROVED);
    assert_int_equal(b->id, 1);
    assert_true(binding_live(b, 1999999));
    assert_false(binding_live(b, 2000000));
    assert_int_equal(aor_live_count(a, 0), 1);
    location_unbind(&r->l, &a, 1);
    assert_non_null(location_bind(&r->l, &a, &spec));
    assert_int_equal(aor_first(a)->id, 2); /* an id is never used again */
}

/* Forks and dialogs may still hold ids of a record that was deleted. */
static void test_ids_of_a_new_record(void **state)
{
    struct room *r = *state;
    struct binding_spec spec = spec_of("sip:a@10.0.0.1", "", "call-1");
    uint32_t seen[8];

    for (unsigned i = 0; i < 8; i++) {
        struct aor *a;

        assert_int_equal(location_ensure(&r->l, SPAN("sip:alice@example.com"), SPAN_NONE, &a),
                         LOCATION_OK);
        seen[i] = location_bind(&r->l, &a, &spec)->id;
        assert_int_not_equal(seen[i], 0);
        for (unsigned before = 0; before < i; before++)
            assert_int_not_equal(seen[i], seen[before]);
        location_delete(&r->l, a);
    }
}

static void test_rebind(void **state)
{
    struct room *r = *state;
    struct aor *a = ensure(r, "sip:alice@example.com");
    struct binding_spec one = spec_of("sip:1@h", "", "c1");
    struct binding_spec two = spec_of("sip:2@h", ";two", "c2");
    struct binding_spec long_one = spec_of("sip:a-much-longer-uri@10.0.0.200", ";p=v", "c3");
    struct binding_spec same;

    location_bind(&r->l, &a, &one);
    location_bind(&r->l, &a, &two);
    assert_binding(location_rebind(&r->l, &a, 1, &long_one), "sip:a-much-longer-uri@10.0.0.200",
                   ";p=v", "c3");
    assert_whole(r);
    assert_int_equal(aor_first(a)->id, 1); /* its place stays */
    assert_binding(location_binding(a, 2), "sip:2@h", ";two", "c2");
    assert_binding(location_rebind(&r->l, &a, 1, &one), "sip:1@h", "", "c1");
    assert_whole(r);
    assert_null(location_rebind(&r->l, &a, 3, &one));
    /* The spec may point into the very record. */
    same = spec_of("", ";new", "");
    same.uri = binding_uri(location_binding(a, 2));
    same.call_id = binding_call_id(location_binding(a, 2));
    assert_binding(location_rebind(&r->l, &a, 2, &same), "sip:2@h", ";new", "c2");
    same.uri = binding_uri(location_binding(a, 1));
    same.call_id = aor_text(a);
    assert_binding(location_bind(&r->l, &a, &same), "sip:1@h", ";new", "sip:alice@example.com");
    assert_whole(r);
}

static void test_tombstones(void **state)
{
    struct room *r = *state;
    struct aor *a = ensure(r, "sip:alice@example.com");
    struct binding_spec spec = spec_of("sip:1@h", "", "c1");

    location_bind(&r->l, &a, &spec);
    location_bind(&r->l, &a, &spec);
    assert_int_equal(r->l.bindings, 2);
    assert_true(location_bury(&r->l, a, 1, 99, 1032000));
    assert_int_equal(r->l.bindings, 1);
    assert_int_equal(aor_live_count(a, 0), 1);
    assert_int_equal(location_binding(a, 1)->cseq, 99);
    assert_int_equal(location_binding(a, 1)->expires_ms, 1032000);
    assert_true(location_bury(&r->l, a, 1, 100, 1040000)); /* again */
    assert_int_equal(r->l.bindings, 1);
    assert_false(location_bury(&r->l, a, 5, 1, 1));
    location_rebind(&r->l, &a, 1, &spec); /* the phone is back */
    assert_int_equal(r->l.bindings, 2);
    assert_whole(r);
    location_bury(&r->l, a, 2, 1, 1);
    location_unbind(&r->l, &a, 2);
    location_unbind(&r->l, &a, 2);
    assert_int_equal(r->l.bindings, 1);
    assert_whole(r);
    location_delete(&r->l, a);
    assert_int_equal(r->l.bindings, 0);
}

struct fired {
    int count;
    struct aor *last;
};

static void on_aor(void *self, struct timer *t)
{
    struct fired *fired = self;

    fired->count++;
    fired->last = (struct aor *)(void *)t;
}

/* The armed timer travels with its record, between neighbours that travel too. */
static void test_moves_with_armed_timer(void **state)
{
    struct room *r = *state;
    struct wheel *w = &r->fake.rt.wheel;
    struct binding_spec spec = spec_of("sip:some-phone@192.168.100.100:5060", "", "call-id");
    struct fired fired = {0, NULL};
    struct aor *a[3];

    wheel_handler(w, TIMER_AOR, on_aor, &fired);
    a[0] = ensure(r, "sip:a@x");
    a[1] = ensure(r, "sip:b@x");
    a[2] = ensure(r, "sip:c@x");
    for (int i = 0; i < 3; i++)
        wheel_arm(w, &a[i]->timer, TIMER_AOR, r->fake.rt.now_ms + 1000);
    for (int round = 0; round < 50; round++)
        for (int i = 0; i < 3; i++)
            assert_non_null(location_bind(&r->l, &a[i], &spec));
    for (uint32_t id = 1; id <= 40; id++)
        for (int i = 0; i < 3; i++)
            location_unbind(&r->l, &a[i], id);
    assert_whole(r);
    assert_true(timer_armed(&a[1]->timer));
    location_delete(&r->l, a[1]);
    fake_advance(&r->fake, 999);
    assert_int_equal(fired.count, 0);
    fake_advance(&r->fake, 1);
    assert_int_equal(fired.count, 2);
    assert_ptr_equal(fired.last, a[2]);
}

static void test_limits(void **state)
{
    struct room *r = *state;
    struct aor *a = ensure(r, "sip:alice@example.com");
    struct aor *before = a;
    uint64_t bytes = r->l.bytes;
    char *huge = calloc(1, 65536);
    struct binding_spec spec = spec_of("sip:1@h", "", "c1");
    struct aor *out;

    assert_non_null(huge);
    spec.params = span_make(huge, 65536);
    assert_null(location_bind(&r->l, &a, &spec));
    assert_ptr_equal(a, before);
    assert_int_equal(a->bindings, 0);
    assert_int_equal(r->l.bytes, bytes);
    spec.params.n = 65535;
    assert_non_null(location_bind(&r->l, &a, &spec));
    assert_int_equal(location_binding(a, 1)->params_n, 65535);
    spec.params = SPAN_NONE;
    spec.call_id = span_make(huge, 65536);
    assert_null(location_rebind(&r->l, &a, 1, &spec));
    assert_int_equal(location_binding(a, 1)->params_n, 65535);
    assert_whole(r);
    assert_int_equal(location_ensure(&r->l, span_make(huge, 65536), SPAN_NONE, &out),
                     LOCATION_NO_MEMORY);
    assert_null(out);
    assert_int_equal(location_ensure(&r->l, SPAN("x"), span_make(huge, 65536), &out),
                     LOCATION_NO_MEMORY);
    assert_whole(r);
    free(huge);
}

/* Memory matters: the usual record, all included but the allocator's own words. */
static void test_size(void **state)
{
    struct room *r = *state;
    struct aor *a = ensure(r, "sip:alice.smith@sip.example.com");
    struct binding_spec spec =
        spec_of("sip:alice.smith@192.168.178.123:49152;transport=udp;line=abc", "",
                "0123456789abcdef0123456789abcdef");

    assert_int_equal(spec.uri.n, 60);
    assert_int_equal(spec.call_id.n, 32);
    location_bind(&r->l, &a, &spec);
    assert_true(a->size <= 300);
    assert_int_equal(r->l.bytes, a->size);
}

int main(void)
{
#define IN_ROOM(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        IN_ROOM(test_ensure),
        IN_ROOM(test_to_uri_kept_once),
        IN_ROOM(test_collision),
        IN_ROOM(test_ids_of_a_new_record),
        IN_ROOM(test_shapes),
        IN_ROOM(test_bind_keeps_all),
        IN_ROOM(test_rebind),
        IN_ROOM(test_tombstones),
        IN_ROOM(test_moves_with_armed_timer),
        IN_ROOM(test_limits),
        IN_ROOM(test_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * proxy/token: tokens come back whole, and only for their own Call-ID.
 */
#include "fake_ports.h"
#include "proxy/token.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct span call_id = {"call@host", 9};

static struct flow_token sample(const char *peer)
{
    struct flow_token t = {
        .boot_id = 0x11223344,
        .aor_hash = 0x8899aabbccddeeff,
        .binding_id = 0xfedcba98,
        .flow = fake_flow(peer),
        .upstream = 3,
        .leg_id = 0x55667788,
    };

    t.flow.listener = 15;
    t.flow.transport = TRANSPORT_WSS;
    t.flow.connection = 0x99887766;
    return t;
}

static size_t put(struct fake *f, const struct flow_token *t, char *text)
{
    struct buf out = buf_make(text, TOKEN_SIZE_MAX);

    token_put(&out, &f->rt.hasher, call_id, t);
    assert_false(out.overflow);
    text[out.n] = 0;
    return out.n;
}

static void comes_back_whole(void **state)
{
    static const char *const peers[] = {"192.0.2.255:65535", "[2001:db8::1]:1"};

    (void)state;
    for (size_t i = 0; i < sizeof peers / sizeof *peers; i++) {
        struct fake f;
        struct flow_token t = sample(peers[i]);
        struct flow_token back;
        char text[TOKEN_SIZE_MAX + 1];

        fake_init(&f);
        put(&f, &t, text);
        assert_int_equal(token_read(&f.rt.hasher, call_id, span_of(text), &back), TOKEN_GOOD);
        assert_true(back.boot_id == t.boot_id && back.aor_hash == t.aor_hash);
        assert_true(back.binding_id == t.binding_id && back.leg_id == t.leg_id);
        assert_true(flow_equal(&back.flow, &t.flow));
        assert_int_equal(back.upstream, t.upstream);
        for (char *c = text; *c; c++) /* a peer that shouts does no harm */
            *c = (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
        assert_int_equal(token_read(&f.rt.hasher, call_id, span_of(text), &back), TOKEN_GOOD);
        fake_fini(&f);
    }
}

static void any_change_is_seen(void **state)
{
    struct fake f;
    struct flow_token t = sample("10.0.0.1:5060");
    struct flow_token back;
    char text[TOKEN_SIZE_MAX + 1];
    size_t n;

    (void)state;
    fake_init(&f);
    n = put(&f, &t, text);
    for (size_t i = 0; i < n; i++) {
        char was = text[i];

        text[i] = was == 'a' ? 'b' : 'a';
        assert_int_not_equal(token_read(&f.rt.hasher, call_id, span_of(text), &back), TOKEN_GOOD);
        text[i] = was;
    }
    assert_int_equal(token_read(&f.rt.hasher, SPAN("Call@host"), span_of(text), &back),
                     TOKEN_FORGED);
    fake_fini(&f);
}

static void another_installation_is_not_believed(void **state)
{
    uint8_t secret[HASH_SECRET_SIZE] = "another";
    struct fake f;
    struct hasher other;
    struct flow_token t = sample("10.0.0.1:5060");
    struct flow_token back;
    char text[TOKEN_SIZE_MAX + 1];

    (void)state;
    fake_init(&f);
    assert_true(hasher_init(&other, secret));
    put(&f, &t, text);
    assert_int_equal(token_read(&other, call_id, span_of(text), &back), TOKEN_FORGED);
    hasher_fini(&other);
    fake_fini(&f);
}

static void noise_is_no_token(void **state)
{
    static const char *const texts[] = {"", "al", "aaaaaaaa", "1000", "!", "aerukz4jvpg66"};
    struct fake f;
    struct flow_token t = sample("10.0.0.1:5060");
    struct flow_token back;
    char text[TOKEN_SIZE_MAX + 8];
    size_t n;

    (void)state;
    fake_init(&f);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        assert_int_equal(token_read(&f.rt.hasher, call_id, span_of(texts[i]), &back), TOKEN_NONE);
    n = put(&f, &t, text);
    for (size_t cut = 0; cut < n; cut++)
        assert_int_equal(token_read(&f.rt.hasher, call_id, span_make(text, cut), &back),
                         TOKEN_NONE);
    memcpy(text + n, "aaaa", 5);
    assert_int_equal(token_read(&f.rt.hasher, call_id, span_of(text), &back), TOKEN_NONE);
    fake_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_whole),
        cmocka_unit_test(any_change_is_seen),
        cmocka_unit_test(another_installation_is_not_believed),
        cmocka_unit_test(noise_is_no_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

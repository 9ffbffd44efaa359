/* base/hash: keyed, repeatable, forgery-proof; base32 both ways. */
#include "base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>

struct pair {
    struct hasher a;
    struct hasher b; /* another secret */
};

static int setup(void **state)
{
    static struct pair pair;
    uint8_t secret[HASH_SECRET_SIZE];

    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)(i * 7);
    assert_true(hasher_init(&pair.a, secret));
    secret[100] ^= 1;
    assert_true(hasher_init(&pair.b, secret));
    *state = &pair;
    return 0;
}

static int teardown(void **state)
{
    struct pair *pair = *state;

    hasher_fini(&pair->a);
    hasher_fini(&pair->b);
    return 0;
}

static void test_hash64(void **state)
{
    struct pair *p = *state;
    struct span text = SPAN("sip:alice@example.com");

    assert_true(hash64(&p->a, text) == hash64(&p->a, text));
    assert_true(hash64(&p->a, text) != hash64(&p->b, text));
    assert_true(hash64(&p->a, text) != hash64(&p->a, SPAN("sip:alicf@example.com")));
    (void)hash64(&p->a, SPAN_NONE);
}

static void test_hash64_pair(void **state)
{
    struct pair *p = *state;
    char joined[2001];

    assert_true(hash64_pair(&p->a, SPAN("ab"), SPAN("c")) == hash64(&p->a, SPAN("ab\0c")));
    assert_true(hash64_join(&p->a, (struct span[]){SPAN("ab"), SPAN("c"), SPAN_NONE}, 3) ==
                hash64(&p->a, SPAN("ab\0c\0")));
    assert_true(hash64_pair(&p->a, SPAN("ab"), SPAN("c")) !=
                hash64_pair(&p->a, SPAN("a"), SPAN("bc")));
    /* The long way gives the same as the short one. */
    for (size_t n = 100; n <= 2000; n += 95) {
        memset(joined, 'x', sizeof joined);
        joined[60] = 0;
        assert_true(hash64_pair(&p->a, span_make(joined, 60), span_make(joined + 61, n - 61)) ==
                    hash64(&p->a, span_make(joined, n)));
    }
}

/* HMAC(HMAC(secret, "mac"), data) by OpenSSL's one-shot function: the kept
 * context must start over for each use. */
static void test_mac80_is_hmac(void **state)
{
    struct pair *p = *state;
    uint8_t secret[HASH_SECRET_SIZE];
    uint8_t key[32], full[32], mac[MAC80_SIZE];

    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)(i * 7);
    assert_non_null(
        HMAC(EVP_sha256(), secret, sizeof secret, (const uint8_t *)"mac", 3, key, NULL));
    for (int i = 0; i < 3; i++) {
        assert_non_null(HMAC(EVP_sha256(), key, 32, (const uint8_t *)"data", 4, full, NULL));
        mac80(&p->a, SPAN("data"), mac);
        assert_memory_equal(mac, full, MAC80_SIZE);
        assert_true(mac80_equal(mac, full));
        mac80(&p->a, SPAN("datb"), mac);
        assert_false(mac80_equal(mac, full));
        mac80(&p->b, SPAN("data"), mac);
        assert_false(mac80_equal(mac, full));
    }
    mac80(&p->a, SPAN_NONE, mac);
}

static void test_keys_apart(void **state)
{
    struct pair *p = *state;
    uint8_t secret[HASH_SECRET_SIZE];

    for (size_t i = 0; i < sizeof secret; i++)
        secret[i] = (uint8_t)(i * 7);
    /* The hash's key is not the secret itself, nor its parts alike. */
    assert_memory_not_equal(p->a.secret, secret, sizeof secret);
    assert_memory_not_equal(p->a.secret, p->a.secret + 32, 32);
    assert_memory_not_equal(p->a.secret + 160, p->a.secret + 128, 32);
}

/* RFC 4648 10, lower case and without padding. */
static void test_base32(void **state)
{
    static const char *const vectors[][2] = {
        {"", ""},
        {"f", "my"},
        {"fo", "mzxq"},
        {"foo", "mzxw6"},
        {"foob", "mzxw6yq"},
        {"fooba", "mzxw6ytb"},
        {"foobar", "mzxw6ytboi"},
    };
    char room[64];

    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        struct buf out = buf_make(room, sizeof room);
        char back[16];

        base32_put(&out, vectors[i][0], strlen(vectors[i][0]));
        assert_true(span_eq(buf_done(&out), span_of(vectors[i][1])));
        assert_int_equal(base32_get(buf_done(&out), back, sizeof back), strlen(vectors[i][0]));
        assert_memory_equal(back, vectors[i][0], strlen(vectors[i][0]));
    }
    assert_int_equal(base32_get(SPAN("MZXW6"), room, sizeof room), 3);
}

static void test_base32_refuses(void **state)
{
    static const char *const bad[] = {"m", "mzx", "mzxw6y", "mz", "my=", "m1", "m!", "mzxw6ytb\n"};
    char room[64];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (base32_get(span_of(bad[i]), room, sizeof room) != -1)
            fail_msg("%s was read", bad[i]);
    assert_int_equal(base32_get(SPAN("mzxw6ytb"), room, 4), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash64),        cmocka_unit_test(test_hash64_pair),
        cmocka_unit_test(test_mac80_is_hmac), cmocka_unit_test(test_keys_apart),
        cmocka_unit_test(test_base32),        cmocka_unit_test(test_base32_refuses),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}

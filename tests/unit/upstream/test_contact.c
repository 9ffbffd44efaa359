/*
 * upstream/contact: what our contact looks like, and which URIs are ours.
 */
#include "upstream/contact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HASH  0x0123456789abcdefULL
#define TOKEN "aerukz4jvpg66" /* base32 of HASH in network order */

static struct upstream upstream_at(const char *address)
{
    struct upstream u = {0};

    assert_true(address_parse(span_of(address), 5060, &u.contact));
    return u;
}

static void makes_contact(void **state)
{
    static const struct {
        const char *aor, *address, *uri;
    } row[] = {
        {"sip:1000@example.com", "10.0.0.9:5060", "sip:1000@10.0.0.9:5060;mr=" TOKEN},
        {"sip:a.b_c~d+e-F@example.com", "10.0.0.9:5062", "sip:a.b_c~d+e-F@10.0.0.9:5062;mr=" TOKEN},
        {"sip:1000@example.com", "[::1]:5060", "sip:1000@[::1]:5060;mr=" TOKEN},
        /* users that FreeSWITCH would cut or rewrite */
        {"sip:a,b@example.com", "10.0.0.9:5060", "sip:" TOKEN "@10.0.0.9:5060;mr=" TOKEN},
        {"sip:a%40b@example.com", "10.0.0.9:5060", "sip:" TOKEN "@10.0.0.9:5060;mr=" TOKEN},
        {"sip:a;b@example.com", "10.0.0.9:5060", "sip:" TOKEN "@10.0.0.9:5060;mr=" TOKEN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct upstream u = upstream_at(row[i].address);
        char room[256];
        struct buf out = buf_make(room, sizeof room - 1);

        contact_put_uri(&out, &u.contact, span_of(row[i].aor), HASH);
        assert_false(out.overflow);
        room[out.n] = '\0';
        assert_string_equal(room, row[i].uri);
    }
}

static void recognises_contact(void **state)
{
    static const struct {
        const char *uri, *aor;
        bool token, fits;
    } row[] = {
        {"sip:1000@10.0.0.9:5060;mr=" TOKEN, "sip:1000@example.com", true, true},
        /* as registrars and PBXs give it back: other host, port, parameters */
        {"sip:1000@other.example:7;transport=udp;MR=" TOKEN ";x", "sip:1000@example.com", true,
         true},
        {"sip:1%30%300@10.0.0.9;mr=AERUKZ4JVPG66", "sip:1000@example.com", true, true},
        {"sip:" TOKEN "@10.0.0.9;mr=" TOKEN, "sip:a,b@example.com", true, true},
        {"sip:a,b@10.0.0.9;mr=" TOKEN, "sip:a,b@example.com", true, true},
        /* somebody else's user with a good token */
        {"sip:2000@10.0.0.9;mr=" TOKEN, "sip:1000@example.com", true, false},
        {"sip:100@10.0.0.9;mr=" TOKEN, "sip:1000@example.com", true, false},
        {"sip:aerukz4jvpg67@10.0.0.9;mr=" TOKEN, "sip:1000@example.com", true, false},
        {"sip:1%3@10.0.0.9;mr=" TOKEN, "sip:1000@example.com", true, false},
        /* no token */
        {"sip:1000@10.0.0.9:5060", NULL, false, false},
        {"sip:1000@10.0.0.9;mr", NULL, false, false},
        {"sip:1000@10.0.0.9;mr=", NULL, false, false},
        {"sip:1000@10.0.0.9;mr=aerukz4jvpg6", NULL, false, false},
        {"sip:1000@10.0.0.9;mr=aerukz4jvpg660", NULL, false, false},
        {"sip:1000@10.0.0.9;mr=aerukz4jvpg61", NULL, false, false}, /* no base32 */
        {"sip:1000@10.0.0.9;mr=aerukz4jvpg6z", NULL, false, false}, /* stray bit */
        {"sip:10.0.0.9;mr=" TOKEN, NULL, false, false},             /* no user */
        {"tel:+100", NULL, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
        struct sip_uri uri;
        struct sip_fault fault;
        uint64_t hash = 0;

        print_message("%s\n", row[i].uri);
        if (!sip_uri_parse(span_of(row[i].uri), &uri, &fault)) {
            assert_false(row[i].fits); /* a bad escape may be refused earlier still */
            continue;
        }
        assert_int_equal(contact_token(&uri, &hash), row[i].token);
        if (!row[i].token)
            continue;
        assert_true(hash == HASH);
        assert_int_equal(contact_fits(&uri, span_of(row[i].aor), hash), row[i].fits);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_contact),
        cmocka_unit_test(recognises_contact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * sip/uri_equal: RFC 3261 19.1.4, its own examples first.
 */
#include "parsing.h"

struct row {
    const char *a, *b;
};

static void check(const struct row *row, size_t rows, bool expected)
{
    for (size_t i = 0; i < rows; i++) {
        struct sip_uri a, b;
        struct sip_fault fault;

        assert_true(sip_uri_parse(exact(row[i].a), &a, &fault));
        assert_true(sip_uri_parse(exact(row[i].b), &b, &fault));
        if (sip_uri_equal(&a, &b) != expected || sip_uri_equal(&b, &a) != expected)
            fail_msg("%s and %s: not %d both ways", row[i].a, row[i].b, expected);
        assert_true(sip_uri_equal(&a, &a));
    }
}

static void equal(void **state)
{
    static const struct row row[] = {
        {"sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"},
        {"sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"},
        {"sip:carol@chicago.com", "sip:carol@chicago.com;security=on"},
        {"sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"},
        {"sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
         "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com"},
        {"sip:alice@atlanta.com?subject=project%20x&priority=urgent",
         "sip:alice@atlanta.com?priority=urgent&subject=project%20x"},
        {"sip:a@h?x=1&x=2", "sip:a@h?X=2&x=1"},
        {"SIP:a@h", "sip:a@H"},
        {"sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0:0:0::1]"},
        {"sip:a@[2001:db8:::1]", "sip:a@[2001:db8::1]"},
        {"sip:a@h;ob", "sip:a@h"},
        {"sip:a@h;%6C%72", "sip:a@h;lr"},
        {"sip:a@h;x=%2f", "sip:a@h;x=%2F"},
        {"sip:a@h:5060", "sip:a@h:05060"},
        {"tel:+49", "tel:+49"},
    };

    (void)state;
    check(row, sizeof row / sizeof *row, true);
}

static void different(void **state)
{
    static const struct row row[] = {
        {"SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"},
        {"sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"},
        {"sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"},
        {"sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"},
        {"sip:carol@chicago.com;security=off", "sip:carol@chicago.com;security=on"},
        {"sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"},
        {"sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"},
        {"sip:a@h?x=1&x=1", "sip:a@h?x=1&x=2"},
        {"sip:a@h?x=1", "sip:a@h?x=1&x=1"},
        {"sip:a@h?x=1", "sip:a@h?y=1"},
        {"sip:a@h?x=1", "sip:a@h?x=1&y=2"},
        {"sip:a@h", "sips:a@h"},
        {"sip:h", "sip:a@h"},
        {"sip:a@h", "sip:a:@h"},
        {"sip:a:b@h", "sip:a:B@h"},
        {"sip:a@h", "sip:a@h;user=ip"},
        {"sip:a@h", "sip:a@h;method=INVITE"},
        {"sip:a@h", "sip:a@h;ttl=1"},
        {"sip:a@h", "sip:a@h;maddr=10.0.0.1"},
        {"sip:a@h", "sip:a@h;%74tl=1"},
        {"sip:a@h;x", "sip:a@h;x=1"},
        {"sip:a;b@h", "sip:a%3Bb@h"}, /* an escaped reserved character is another one */
        {"sip:%00@h", "sip:%00%00@h"},
        {"sip:a%2525@h", "sip:a%25@h"},
        {"sip:a@[2001:db8::1]", "sip:a@[2001:db8::2]"},
        {"sip:a@[2001:db8::1]", "sip:a@h"},
        {"tel:+49", "tel:+49;x"},
        {"tel:+49", "sip:+49@h"},
    };

    (void)state;
    check(row, sizeof row / sizeof *row, false);
}

/* Beyond 2 kB bytes alone decide: 32 parameters of 60 kB are no way to stop us. */
static void bounds_comparison(void **state)
{
    static char a[60100], b[60100];

    (void)state;
    for (int chars = 20; chars <= 1850; chars += 1830) {
        struct buf in_order = buf_make(a, sizeof a - 1);
        struct buf reversed = buf_make(b, sizeof b - 1);

        buf_lit(&in_order, "sip:h");
        buf_lit(&reversed, "sip:h");
        for (int i = 0; i < 32; i++) {
            for (int c = 0; c < chars; c++) {
                buf_char(&in_order, c ? 'x' : ';');
                buf_char(&reversed, c ? 'x' : ';');
            }
            buf_u64(&in_order, (uint64_t)(i + 10));
            buf_u64(&reversed, (uint64_t)(41 - i));
        }
        a[in_order.n] = b[reversed.n] = 0;

        const struct row row = {a, b};

        check(&row, 1, chars == 20);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal),
        cmocka_unit_test(different),
        cmocka_unit_test(bounds_comparison),
    };

    return cmocka_run_group_tests(tests, NULL, parsing_teardown);
}

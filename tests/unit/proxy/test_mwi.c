/*
 * proxy/mwi: message-summary NOTIFYs reach all phones, and those that come later.
 */
#include "stage.h"

#include "proxy/inside.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BO "sip:bo@example.com"

/* The fields of a NOTIFY about this many messages; valid until the next call. */
static const char *summary(unsigned messages)
{
    static char room[512];

    snprintf(room, sizeof room,
             "From: <sip:al@example.com>;tag=pbx\nTo: <sip:al@example.com>\n"
             "Contact: <sip:mod@10.0.0.5:5080>\nEvent: message-summary\n"
             "Subscription-State: terminated;reason=noresource\nUser-Agent: PBX\n"
             "Content-Type: application/simple-message-summary\nX-New: %u\n"
             "Content-Disposition: messages-%u\n",
             messages, messages);
    return room;
}

static void notify(struct stage *s, const char *aor, unsigned messages)
{
    stage_request(s, PBX, "NOTIFY", stage_contact(s, aor), summary(messages));
}

/* A phone registers anew; the proxy hears of it as from the core. */
static uint32_t comes(struct stage *s, const char *aor, const char *peer)
{
    uint32_t id = stage_phone(s, aor, peer, 1000);

    proxy_binding_added(s->proxy, location_hash(&s->location, span_of(aor)), id);
    return id;
}

static void all_phones_get_it_whatever_their_q(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *one, *two, *three;

    stage_phone(s, AL, AL_1, 1000);
    stage_phone(s, AL, AL_2, 500);
    stage_phone(s, AL, AL_3, 0);
    notify(s, AL, 1);
    one = stage_take(s, AL_1, "NOTIFY sip:line@10.1.0.1:5060;ob SIP/2.0");
    two = stage_take(s, AL_2, "NOTIFY");
    three = stage_take(s, AL_3, "NOTIFY");
    assert_string_equal(stage_field(two, "X-New"), "1");
    stage_answer(s, one, 481, "");
    stage_none(s, PBX, "SIP/2.0");
    stage_answer(s, two, 200, "");
    stage_take(s, PBX, "SIP/2.0 200");
    /* The third is not given up because the second was quicker. */
    fake_advance(&s->fake, 600);
    stage_take(s, AL_3, "NOTIFY");
    stage_answer(s, three, 200, "");
    stage_none(s, PBX, "SIP/2.0");
}

static void other_notifies_go_by_q(void **state)
{
    static const char *const events[] = {"Event: check-sync\n", "Event: message-summaryx\n", ""};
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    stage_phone(s, AL, AL_2, 500);
    for (size_t i = 0; i < sizeof events / sizeof *events; i++) {
        stage_request(s, PBX, "NOTIFY", stage_contact(s, AL), events[i]);
        stage_answer(s, stage_take(s, AL_1, "NOTIFY"), 200, "");
        stage_none(s, AL_2, "NOTIFY");
    }
    comes(s, AL, AL_3);
    stage_none(s, AL_3, "NOTIFY");
}

static void who_comes_later_gets_the_last_one(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *first, *given;

    stage_phone(s, AL, AL_1, 1000);
    for (unsigned i = 1; i <= 2; i++) {
        notify(s, AL, i);
        first = stage_take(s, AL_1, "NOTIFY");
        stage_answer(s, first, 200, "");
    }
    fake_advance(&s->fake, 1000);
    comes(s, AL, AL_2);
    given = stage_take(s, AL_2, "NOTIFY sip:line@10.1.0.2:5060;ob SIP/2.0\r\n");
    stage_none(s, AL_2, "NOTIFY");
    stage_none(s, AL_1, "NOTIFY");
    assert_string_equal(stage_field(given, "Content-Disposition"), "messages-2");
    assert_string_equal(stage_field(given, "Event"), "message-summary");
    assert_string_equal(stage_field(given, "Subscription-State"), "terminated;reason=noresource");
    assert_string_equal(stage_field(given, "Contact"), "<sip:mod@10.0.0.5:5080>");
    assert_string_equal(stage_field(given, "To"), "<sip:al@example.com>");
    assert_string_equal(stage_field(given, "CSeq"), "1 NOTIFY");
    assert_string_equal(stage_field(given, "Max-Forwards"), "70");
    assert_memory_equal(stage_field(given, "Via"), "SIP/2.0/UDP 127.0.0.1:5060;branch=", 34);
    assert_string_not_equal(stage_field(given, "Call-ID"), "call");
    assert_non_null(strstr(given->text, "Content-Length: 4\r\n\r\nbody"));
    assert_null(strstr(given->text, "10.0.0.5:5080;branch")); /* no Via of the old one */
    assert_false(stage_has(given, "User-Agent"));
    stage_answer(s, given, 481, "");
    stage_none(s, PBX, "SIP/2.0 4");
}

static void a_compact_event_counts(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    stage_request(s, PBX, "NOTIFY", stage_contact(s, AL), "o: Message-Summary ;id=7\n");
    stage_answer(s, stage_take(s, AL_1, "NOTIFY"), 200, "");
    comes(s, AL, AL_2);
    stage_answer(s, stage_take(s, AL_2, "NOTIFY"), 200, "");
}

/* It came to who was there; it is not sent twice. */
static void who_had_registered_before_it_came_gets_it_once(void **state)
{
    struct stage *s = *state;
    uint32_t id = stage_phone(s, AL, AL_1, 1000);

    fake_advance(&s->fake, 1);
    notify(s, AL, 1);
    stage_answer(s, stage_take(s, AL_1, "NOTIFY"), 200, "");
    proxy_binding_added(s->proxy, location_hash(&s->location, SPAN(AL)), id);
    stage_none(s, AL_1, "NOTIFY");
}

static void nobody_gets_anothers(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    notify(s, AL, 1);
    stage_answer(s, stage_take(s, AL_1, "NOTIFY"), 200, "");
    comes(s, BO, AL_2);
    stage_none(s, AL_2, "NOTIFY");
}

static void a_phone_cannot_leave_one_for_others(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    stage_request(s, AL_1, "NOTIFY", AL, summary(9));
    stage_answer(s, stage_take(s, PBX, "NOTIFY"), 481, "");
    stage_request(s, AL_2, "NOTIFY", stage_contact(s, AL), summary(9));
    stage_take(s, AL_2, "SIP/2.0 403");
    comes(s, AL, AL_3);
    stage_none(s, AL_3, "NOTIFY");
}

static void an_aor_that_left_leaves_nothing(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    notify(s, AL, 1);
    stage_answer(s, stage_take(s, AL_1, "NOTIFY"), 200, "");
    assert_true(s->proxy->mwi.bytes > 0);
    proxy_aor_left(s->proxy, location_hash(&s->location, SPAN(AL)));
    assert_int_equal(s->proxy->mwi.bytes, 0);
    fake_advance(&s->fake, 1000);
    comes(s, AL, AL_2);
    stage_none(s, AL_2, "NOTIFY");
    proxy_aor_left(s->proxy, 4711); /* of which nothing is kept */
}

static void an_unreachable_phone_gets_nothing(void **state)
{
    struct stage *s = *state;
    uint32_t id;

    stage_phone(s, AL, AL_1, 1000);
    notify(s, AL, 1);
    stage_answer(s, stage_take(s, AL_1, "NOTIFY"), 200, "");
    id = stage_phone(s, AL, AL_2, 1000);
    stage_binding(s, AL, id)->flags |= BINDING_UNREACHABLE;
    proxy_binding_added(s->proxy, location_hash(&s->location, SPAN(AL)), id);
    proxy_binding_added(s->proxy, location_hash(&s->location, SPAN(AL)), 99);
    proxy_binding_added(s->proxy, 99, 1);
    stage_none(s, AL_2, "NOTIFY");
}

static void a_huge_one_passes_and_is_not_kept(void **state)
{
    struct stage *s = *state;
    char *fields;

    stage_phone(s, AL, AL_1, 1000);
    notify(s, AL, 1);
    stage_answer(s, stage_take(s, AL_1, "NOTIFY"), 200, "");
    assert_true(asprintf(&fields, "%sContent-Language: %02100d\n", summary(2), 0) > 0);
    stage_request(s, PBX, "NOTIFY", stage_contact(s, AL), fields);
    stage_answer(s, stage_take(s, AL_1, "NOTIFY"), 200, "");
    comes(s, AL, AL_2);
    stage_none(s, AL_2, "NOTIFY"); /* the first one is wrong by now */
    assert_int_equal(s->proxy->mwi.bytes, 0);
    free(fields);
}

/* Beyond the bound the oldest go; the list and the table agree. */
static void the_store_is_bounded(void **state)
{
    struct stage *s = *state;
    char text[4096];
    struct buf out = buf_make(text, sizeof text);
    struct sip_message m;
    struct sip_fault fault;
    unsigned n = MWI_BYTES_MAX / 1900;

    buf_lit(&out, "NOTIFY sip:a SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKa\r\n"
                  "From: <sip:a>;tag=1\r\nTo: <sip:a>\r\nCall-ID: a\r\nCSeq: 1 NOTIFY\r\n"
                  "Event: message-summary\r\nContent-Length: 1800\r\n\r\n");
    memset(text + out.n, 'x', 1800);
    assert_int_equal(sip_parse(span_make(text, out.n + 1800), &m, &fault), SIP_PARSED);
    for (uint64_t i = 1; i <= n; i++)
        mwi_keep(s->proxy, i, &m);
    for (uint64_t i = 1; i <= n; i += 2)
        mwi_keep(s->proxy, i, &m); /* again: these are the newer ones now */
    for (uint64_t i = n + 1; i <= n + 1000; i++)
        mwi_keep(s->proxy, i, &m);
    assert_true(s->proxy->mwi.bytes <= MWI_BYTES_MAX);
    assert_true(s->proxy->mwi.bytes > MWI_BYTES_MAX - 4096);
    assert_null(table_find(&s->proxy->mwi.kept, 2));
    assert_non_null(table_find(&s->proxy->mwi.kept, 1));
    assert_non_null(table_find(&s->proxy->mwi.kept, n + 1000));
    /* All of one size: what the table holds is what is counted. */
    assert_int_equal(s->proxy->mwi.bytes % s->proxy->mwi.kept.used, 0);
    mwi_forget(&s->proxy->mwi, 1);
    mwi_forget(&s->proxy->mwi, n + 1000);
    assert_int_equal(s->proxy->mwi.bytes % s->proxy->mwi.kept.used, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STAGE(all_phones_get_it_whatever_their_q),
        IN_STAGE(other_notifies_go_by_q),
        IN_STAGE(who_comes_later_gets_the_last_one),
        IN_STAGE(a_compact_event_counts),
        IN_STAGE(who_had_registered_before_it_came_gets_it_once),
        IN_STAGE(nobody_gets_anothers),
        IN_STAGE(a_phone_cannot_leave_one_for_others),
        IN_STAGE(an_aor_that_left_leaves_nothing),
        IN_STAGE(an_unreachable_phone_gets_nothing),
        IN_STAGE(a_huge_one_passes_and_is_not_kept),
        IN_STAGE(the_store_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

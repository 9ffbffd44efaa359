/*
 * proxy/fork: the caller's CANCEL, RFC 3261 16.10.
 */
#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void all_branches_are_cancelled(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *one, *two;

    stage_phone(s, AL, AL_1, 1000);
    stage_phone(s, AL, AL_2, 1000);
    stage_phone(s, AL, AL_3, 500);
    stage_call(s);
    one = stage_take(s, AL_1, "INVITE");
    two = stage_take(s, AL_2, "INVITE");
    stage_answer(s, one, 180, "");
    stage_answer(s, two, 180, "");
    stage_cancel(s, PBX, stage_contact(s, AL), "Reason: Q.850;cause=16\n");
    stage_take(s, PBX, "SIP/2.0 200");
    assert_string_equal(stage_field(stage_take(s, AL_1, "CANCEL"), "Reason"), "Q.850;cause=16");
    assert_string_equal(stage_field(stage_take(s, AL_2, "CANCEL"), "Reason"), "Q.850;cause=16");
    stage_answer(s, one, 487, "");
    stage_none(s, PBX, "SIP/2.0 487");
    stage_answer(s, two, 487, "");
    stage_take(s, PBX, "SIP/2.0 487");
    fake_advance(&s->fake, 30000);
    stage_none(s, AL_3, "INVITE"); /* nothing new starts */
    assert_int_equal(stage_count(s, COUNTER_CANCELS), 2);
    assert_int_equal(stage_count(s, COUNTER_ANSWERED), 0);
}

static void without_a_reason_none_is_made_up(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    stage_call(s);
    stage_answer(s, stage_take(s, AL_1, "INVITE"), 180, "");
    stage_cancel(s, PBX, stage_contact(s, AL), "");
    assert_false(stage_has(stage_take(s, AL_1, "CANCEL"), "Reason"));
}

static void all_its_reasons_go_on(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    stage_call(s);
    stage_answer(s, stage_take(s, AL_1, "INVITE"), 180, "");
    stage_cancel(s, PBX, stage_contact(s, AL),
                 "Reason: SIP;cause=487\nReason: Q.850;cause=16;text=\"a, b\"\n");
    assert_string_equal(stage_field(stage_take(s, AL_1, "CANCEL"), "Reason"),
                        "SIP;cause=487, Q.850;cause=16;text=\"a, b\"");
}

/* Whatever others said before: RFC 3261 9.2. */
static void the_caller_gets_487(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *two;

    stage_phone(s, AL, AL_1, 1000);
    stage_phone(s, AL, AL_2, 500);
    stage_call(s);
    stage_answer(s, stage_take(s, AL_1, "INVITE"), 486, "");
    two = stage_take(s, AL_2, "INVITE");
    stage_answer(s, two, 180, "");
    stage_cancel(s, PBX, stage_contact(s, AL), "");
    stage_take(s, AL_2, "CANCEL");
    stage_answer(s, two, 487, "");
    stage_take(s, PBX, "SIP/2.0 487");
}

static void a_2xx_that_was_faster_wins(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *one;

    stage_phone(s, AL, AL_1, 1000);
    stage_call(s);
    one = stage_take(s, AL_1, "INVITE");
    stage_answer(s, one, 180, "");
    stage_cancel(s, PBX, stage_contact(s, AL), "");
    stage_take(s, PBX, "SIP/2.0 200"); /* to the CANCEL */
    stage_answer(s, one, 200, "");
    assert_non_null(strstr(stage_take(s, PBX, "SIP/2.0 200")->text, "7 INVITE"));
    stage_none(s, PBX, "SIP/2.0 487");
}

static void a_silent_phone_leaves_487_to_the_caller(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    stage_call(s);
    stage_cancel(s, PBX, stage_contact(s, AL), "");
    stage_take(s, PBX, "SIP/2.0 200");
    stage_none(s, AL_1, "CANCEL"); /* RFC 3261 9.1 */
    fake_advance(&s->fake, 32000);
    stage_take(s, PBX, "SIP/2.0 487");
    stage_none(s, PBX, "SIP/2.0 408");
}

static void a_cancel_after_the_answer_changes_nothing(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    stage_call(s);
    stage_answer(s, stage_take(s, AL_1, "INVITE"), 200, "");
    stage_take(s, PBX, "SIP/2.0 200");
    stage_cancel(s, PBX, stage_contact(s, AL), "");
    stage_take(s, PBX, "SIP/2.0 200");
    stage_none(s, AL_1, "CANCEL");
}

static void a_cancel_of_nothing_is_481(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    stage_request(s, PBX, "CANCEL", stage_contact(s, AL), "");
    stage_take(s, PBX, "SIP/2.0 481");
    stage_request(s, AL_1, "CANCEL", stage_contact(s, AL), "");
    stage_take(s, AL_1, "SIP/2.0 481");
}

static void a_phone_cancels_its_own_call(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *up;

    stage_phone(s, AL, AL_1, 1000);
    stage_request(s, AL_1, "INVITE", "sip:bo@example.com", "");
    up = stage_take(s, PBX, "INVITE");
    stage_answer(s, up, 180, "");
    stage_cancel(s, AL_1, "sip:bo@example.com", "");
    stage_take(s, AL_1, "SIP/2.0 200");
    stage_take(s, PBX, "CANCEL sip:bo@example.com");
    stage_answer(s, up, 487, "");
    stage_take(s, AL_1, "SIP/2.0 487");
    assert_int_equal(stage_count(s, COUNTER_CANCELS), 0); /* those to phones are counted */
}

/* Who was called has seen all that a CANCEL must repeat. */
static void nobody_else_cancels_a_call(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *one;

    stage_phone(s, AL, AL_1, 1000);
    stage_phone(s, AL, AL_2, 1000);
    stage_call(s);
    one = stage_take(s, AL_1, "INVITE");
    stage_answer(s, one, 180, "");
    stage_receive_format(s, AL_2,
                         "CANCEL %s SIP/2.0\n"
                         "Via: SIP/2.0/UDP " PBX ";branch=z9hG4bK-test-%u;rport\n"
                         "From: <sip:pbx@example.com>;tag=from\n"
                         "To: <sip:callee@example.com>\n"
                         "Call-ID: call\nCSeq: 7 CANCEL\nContent-Length: 0\n\n",
                         stage_contact(s, AL), s->serial);
    stage_take(s, AL_2, "SIP/2.0 481");
    stage_none(s, AL_1, "CANCEL");
    stage_answer(s, one, 200, "");
    stage_take(s, PBX, "SIP/2.0 180");
    stage_take(s, PBX, "SIP/2.0 200");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STAGE(all_branches_are_cancelled),
        IN_STAGE(without_a_reason_none_is_made_up),
        IN_STAGE(all_its_reasons_go_on),
        IN_STAGE(the_caller_gets_487),
        IN_STAGE(a_2xx_that_was_faster_wins),
        IN_STAGE(a_silent_phone_leaves_487_to_the_caller),
        IN_STAGE(a_cancel_after_the_answer_changes_nothing),
        IN_STAGE(a_cancel_of_nothing_is_481),
        IN_STAGE(a_phone_cancels_its_own_call),
        IN_STAGE(nobody_else_cancels_a_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

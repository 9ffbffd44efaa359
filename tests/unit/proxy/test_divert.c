/*
 * proxy/fork: what is on its way to a main registrar that goes.
 */
#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define BO       "sip:bo@example.com"
#define TWO      "10.0.0.6:5080"
#define STRANGER "10.6.6.6:5060"

static void goes(struct stage *s, unsigned i)
{
    s->upstreams.list[i].health.state = HEALTH_DOWN;
    upstream_tell_down(&s->upstreams.list[i]);
}

/* AL at AL_1, and two main registrars, of which the first is asked while it is up. */
static struct stage *two(void **state)
{
    struct stage *s = *state;

    stage_second_upstream(s, TWO);
    stage_phone(s, AL, AL_1, 1000);
    return s;
}

static void a_call_that_nobody_has_answered_goes_to_the_other(void **state)
{
    struct stage *s = two(state);
    const struct fake_datagram *second;
    char via[256];

    stage_request(s, AL_1, "INVITE", BO, "Contact: <sip:al@10.1.0.1:5060>\n");
    snprintf(via, sizeof via, "%s",
             stage_field(stage_take(s, PBX, "INVITE " BO " SIP/2.0"), "Via"));
    goes(s, 0);
    second = stage_take(s, TWO, "INVITE " BO " SIP/2.0");
    assert_string_not_equal(via, stage_field(second, "Via"));
    stage_answer(s, second, 200, "Contact: <sip:bo@10.0.0.6:5080>\n");
    stage_take(s, AL_1, "SIP/2.0 100 ");
    stage_take(s, AL_1, "SIP/2.0 200 ");
    stage_none(s, AL_1, "SIP/2.0");
    /* Their BYE comes from where the call is. */
    stage_receive_format(s, AL_1,
                         "BYE sip:bo@10.0.0.6:5080 SIP/2.0\n"
                         "Via: SIP/2.0/UDP 10.1.0.1:5060;branch=z9hG4bKbye\n"
                         "Max-Forwards: 70\nFrom: <" AL ">;tag=1\nTo: <" BO ">;tag=tag-6\n"
                         "Call-ID: call\nCSeq: 9 BYE\n%s\n",
                         stage_routes(second));
    stage_answer(s, stage_take(s, TWO, "BYE "), 200, "");
    stage_take(s, AL_1, "SIP/2.0 200 ");
}

/* The first had it after all: it is cancelled there, and what it says goes nowhere. */
static void it_rings_nowhere_else(void **state)
{
    struct stage *s = two(state);
    const struct fake_datagram *first, *second;

    stage_request(s, AL_1, "INVITE", BO, "");
    first = stage_take(s, PBX, "INVITE");
    goes(s, 0);
    second = stage_take(s, TWO, "INVITE");
    fake_advance(&s->fake, 700); /* a copy, but not to the first */
    stage_take(s, TWO, "INVITE");
    stage_none(s, PBX, "INVITE");
    stage_answer(s, first, 180, "");
    stage_answer(s, stage_take(s, PBX, "CANCEL"), 200, "");
    stage_answer(s, first, 487, "");
    stage_take(s, PBX, "ACK");
    stage_take(s, AL_1, "SIP/2.0 100 ");
    stage_none(s, AL_1, "SIP/2.0");
    stage_answer(s, second, 486, "");
    stage_take(s, AL_1, "SIP/2.0 486 ");
}

static void a_caller_who_gives_up_is_heard_there(void **state)
{
    struct stage *s = two(state);
    const struct fake_datagram *second;

    stage_request(s, AL_1, "INVITE", BO, "");
    stage_take(s, PBX, "INVITE");
    goes(s, 0);
    second = stage_take(s, TWO, "INVITE");
    stage_answer(s, second, 180, "");
    stage_cancel(s, AL_1, BO, "");
    stage_answer(s, stage_take(s, TWO, "CANCEL"), 200, "");
    stage_none(s, PBX, "CANCEL");
    stage_answer(s, second, 487, "");
    stage_take(s, AL_1, "SIP/2.0 487 ");
}

static void other_requests_go_there_too(void **state)
{
    struct stage *s = two(state);

    stage_request(s, AL_1, "MESSAGE", BO, "");
    stage_take(s, PBX, "MESSAGE");
    goes(s, 0);
    stage_answer(s, stage_take(s, TWO, "MESSAGE"), 202, "");
    stage_take(s, AL_1, "SIP/2.0 202 ");
    fake_advance(&s->fake, 5000);
    stage_none(s, PBX, "MESSAGE");
}

static void what_was_answered_stays(void **state)
{
    struct stage *s = two(state);
    const struct fake_datagram *d;

    stage_request(s, AL_1, "INVITE", BO, "");
    d = stage_take(s, PBX, "INVITE");
    stage_answer(s, d, 100, "");
    goes(s, 0);
    stage_none(s, TWO, "INVITE");
    stage_answer(s, d, 486, ""); /* it was not gone after all */
    stage_take(s, AL_1, "SIP/2.0 100 ");
    stage_take(s, AL_1, "SIP/2.0 486 ");
}

/* One that is down may come back. */
static void without_another_it_waits(void **state)
{
    struct stage *s = two(state);
    const struct fake_datagram *d;

    goes(s, 1);
    stage_request(s, AL_1, "INVITE", BO, "");
    d = stage_take(s, PBX, "INVITE");
    goes(s, 0);
    stage_none(s, TWO, "INVITE");
    stage_answer(s, d, 486, "");
    stage_take(s, AL_1, "SIP/2.0 486 ");
}

/* He may ask one that challenges calls, and no other. */
static void strangers_do_not_get_to_another(void **state)
{
    struct stage *s = two(state);

    s->config.upstream[0].challenges_calls = true;
    stage_request(s, STRANGER, "INVITE", BO, "");
    stage_take(s, PBX, "INVITE");
    goes(s, 0);
    stage_none(s, TWO, "INVITE");
    fake_advance(&s->fake, 33000);
    stage_take(s, STRANGER, "SIP/2.0 408 ");
}

/* And what comes from the main registrar goes to the phones as ever. */
static void calls_from_it_go_on(void **state)
{
    struct stage *s = two(state);

    stage_call(s);
    stage_take(s, AL_1, "INVITE");
    goes(s, 0);
    stage_none(s, TWO, "INVITE");
    stage_none(s, AL_1, "CANCEL");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STAGE(a_call_that_nobody_has_answered_goes_to_the_other),
        IN_STAGE(it_rings_nowhere_else),
        IN_STAGE(a_caller_who_gives_up_is_heard_there),
        IN_STAGE(other_requests_go_there_too),
        IN_STAGE(what_was_answered_stays),
        IN_STAGE(without_another_it_waits),
        IN_STAGE(strangers_do_not_get_to_another),
        IN_STAGE(calls_from_it_go_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

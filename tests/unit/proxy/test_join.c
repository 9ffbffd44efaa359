/*
 * proxy/fork: a phone that registers while a call to it waits or rings.
 */
#include "stage.h"

#include "proxy/fork.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The fork that runs. */
static struct handle the_fork(struct stage *s)
{
    struct handle h = HANDLE_NONE;

    assert_non_null(slab_next(&s->proxy->forks, 0, &h));
    return h;
}

static void who_comes_while_it_rings_gets_a_branch(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *early, *late;
    uint32_t id;

    stage_phone(s, AL, AL_1, 1000);
    stage_call(s);
    early = stage_take(s, AL_1, "INVITE");
    stage_answer(s, early, 180, "");
    fake_advance(&s->fake, 5000);
    id = stage_phone(s, AL, AL_2, 100); /* whatever its q */
    assert_true(fork_join(s->proxy, the_fork(s), id));
    late = stage_take(s, AL_2, "INVITE sip:line@10.1.0.2:5060;ob SIP/2.0");
    assert_non_null(strstr(late->text, "\r\n\r\nbody"));
    assert_true(stage_has(late, "Record-Route"));
    stage_answer(s, late, 180, "");
    stage_answer(s, late, 200, "");
    stage_take(s, PBX, "SIP/2.0 180");
    stage_take(s, PBX, "SIP/2.0 180");
    stage_take(s, PBX, "SIP/2.0 200");
    stage_take(s, AL_1, "CANCEL");
    stage_answer(s, early, 487, "");
    assert_int_equal(stage_count(s, COUNTER_BRANCHES), 2);
}

static void once_per_phone_and_call(void **state)
{
    struct stage *s = *state;
    uint32_t first = stage_phone(s, AL, AL_1, 1000);
    uint32_t second;

    stage_call(s);
    stage_answer(s, stage_take(s, AL_1, "INVITE"), 180, "");
    assert_false(fork_join(s->proxy, the_fork(s), first));
    second = stage_phone(s, AL, AL_2, 1000);
    assert_true(fork_join(s->proxy, the_fork(s), second));
    stage_answer(s, stage_take(s, AL_2, "INVITE"), 486, ""); /* it has said no */
    assert_false(fork_join(s->proxy, the_fork(s), second));
    stage_none(s, AL_1, "INVITE");
    stage_none(s, AL_2, "INVITE");
    stage_cancel(s, PBX, stage_contact(s, AL), "");
}

static void nobody_joins_what_is_over(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *invite;
    struct handle fork;
    uint32_t id;

    stage_phone(s, AL, AL_1, 1000);
    id = stage_phone(s, "sip:bo@example.com", AL_2, 1000);
    assert_false(fork_join(s->proxy, HANDLE_NONE, id));
    stage_call(s);
    fork = the_fork(s);
    stage_answer(s, stage_take(s, AL_1, "INVITE"), 200, ""); /* somebody has answered */
    assert_false(fork_join(s->proxy, fork, id + 1));
    fake_advance(&s->fake, 40000);
    assert_false(fork_join(s->proxy, fork, id + 1)); /* its handle is stale */
    stage_call(s);
    invite = stage_take(s, AL_1, "INVITE");
    stage_answer(s, invite, 180, "");
    fork = the_fork(s);
    stage_cancel(s, PBX, stage_contact(s, AL), ""); /* the caller has gone: no ghost call */
    assert_false(fork_join(s->proxy, fork, id + 1));
    stage_answer(s, invite, 487, "");
    stage_none(s, AL_2, "INVITE");
}

/* A binding that has left again, or cannot be reached, harms nobody. */
static void who_cannot_be_reached_joins_in_vain(void **state)
{
    struct stage *s = *state;

    stage_phone(s, AL, AL_1, 1000);
    stage_call(s);
    fork_join(s->proxy, the_fork(s), 99);
    stage_answer(s, stage_take(s, AL_1, "INVITE"), 486, "");
    stage_take(s, PBX, "SIP/2.0 486");
}

static void a_call_of_a_phone_is_joined_by_nobody(void **state)
{
    struct stage *s = *state;
    uint32_t id = stage_phone(s, AL, AL_1, 1000);

    stage_request(s, AL_1, "INVITE", "sip:4711@example.com", "");
    assert_false(fork_join(s->proxy, the_fork(s), id));
    stage_answer(s, stage_take(s, PBX, "INVITE"), 486, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STAGE(who_comes_while_it_rings_gets_a_branch),
        IN_STAGE(once_per_phone_and_call),
        IN_STAGE(nobody_joins_what_is_over),
        IN_STAGE(who_cannot_be_reached_joins_in_vain),
        IN_STAGE(a_call_of_a_phone_is_joined_by_nobody),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

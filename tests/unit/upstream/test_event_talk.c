/*
 * upstream/event_socket: its commands, and what is told over it.
 */
#include "event_stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- flushes ------------------------------------------------------------------------------ */

static bool flush(uint64_t tag)
{
    return event_socket_flush(&stage.sockets, &stage.upstreams.list[0], tag);
}

static void test_flushes_go_one_by_one(void **state)
{
    (void)state;
    climb_up();
    assert_true(flush(1) && flush(2) && flush(3));
    assert_int_equal(stage.fake.sent_count, 1);
    assert_string_equal(fake_last(&stage.fake)->text,
                        "api sofia profile internal flush_inbound_reg call-1\n\n");
    answers("+OK flushing");
    assert_int_equal(stage.flushed_tag, 1);
    assert_string_equal(fake_last(&stage.fake)->text,
                        "api sofia profile internal flush_inbound_reg call-2\n\n");
    answers("-ERR Invalid Profile");
    assert_int_equal(stage.flushes_refused, 1);
    assert_true(fake_logged(&stage.fake, "flush_refused"));
    says("Content-Type: command/reply\nReply-Text: -ERR command not found\n\n");
    assert_int_equal(stage.flushed_tag, 3);
    assert_int_equal(stage.flushes_refused, 2);
    assert_int_equal(it()->command, EVENT_NOTHING);
    answers("+OK"); /* to nothing */
    assert_int_equal(stage.flushes, 1);
}

static void test_a_flush_waits_for_the_first_question(void **state)
{
    (void)state;
    climb(EVENT_SOCKET_UP);
    fake_clear(&stage.fake);
    assert_true(flush(1));
    assert_int_equal(stage.fake.sent_count, 0);
    answers(UUID_1);
    assert_int_equal(stage.fake.sent_count, 1);
    assert_int_equal(stage.flushes, 0);
}

static void test_none_is_taken_unless_it_is_up(void **state)
{
    struct upstream other = {0};

    (void)state;
    for (int s = EVENT_SOCKET_CONNECTING; s < EVENT_SOCKET_UP; s++) {
        climb((enum event_socket_state)s);
        assert_false(flush(1));
        cut();
        assert_false(flush(1));
    }
    climb_up();
    assert_false(event_socket_flush(&stage.sockets, &other, 1));
    assert_false(event_socket_is_up(&stage.sockets, &other));
}

static void test_a_full_line_refuses(void **state)
{
    unsigned taken = 0;

    (void)state;
    climb_up();
    while (flush(++taken))
        assert_true(taken <= EVENT_FLUSHES_MAX + 1);
    assert_int_equal(taken, EVENT_FLUSHES_MAX + 2); /* one is on its way */
    answers("+OK");
    assert_true(flush(taken)); /* there is a place again */
    assert_false(flush(taken + 1));
    for (unsigned i = 0; i <= EVENT_FLUSHES_MAX; i++) {
        assert_int_equal(stage.flushed_tag, i + 1); /* in their order, also round the end */
        answers("+OK");
    }
    assert_int_equal(stage.flushes, EVENT_FLUSHES_MAX + 2);
    assert_int_equal(stage.flushed_tag, taken);
    assert_int_equal(it()->command, EVENT_NOTHING);
}

static void test_needless_ones_are_left_out(void **state)
{
    (void)state;
    climb_up();
    assert_true(flush(1) && flush(2) && flush(3));
    stage.is_needless = true;
    answers("+OK");
    assert_int_equal(stage.needless, 2);
    assert_int_equal(stage.fake.sent_count, 1);
    assert_int_equal(stage.flushes, 1);
    assert_int_equal(it()->command, EVENT_NOTHING);
}

static void test_a_flush_out_of_the_answer_to_one(void **state)
{
    (void)state;
    climb_up();
    stage.flush_from_within = 2;
    assert_true(flush(1));
    answers("+OK");
    assert_int_equal(stage.fake.sent_count, 2);
    assert_string_equal(fake_last(&stage.fake)->text,
                        "api sofia profile internal flush_inbound_reg call-101\n\n");
    answers("+OK");
    answers("+OK");
    assert_int_equal(stage.flushes, 3);
    assert_int_equal(stage.flushed_tag, 201);
}

static void test_no_flush_outlives_its_connection(void **state)
{
    (void)state;
    climb_up();
    assert_true(flush(1) && flush(2));
    cut();
    climb(EVENT_SOCKET_CONNECTING);
    answers("+OK"); /* to nobody */
    climb_up();
    assert_int_equal(it()->count, 0);
    assert_int_equal(stage.flushes + stage.flushes_refused, 0);
    assert_true(flush(3));
    answers("+OK");
    assert_int_equal(stage.flushed_tag, 3);
}

/* ---- restarts ----------------------------------------------------------------------------- */

static void test_another_uuid_is_another_start(void **state)
{
    (void)state;
    climb_up();
    heartbeat(UUID_1, 1000);
    assert_int_equal(stage.restarts, 0);
    cut();
    climb(EVENT_SOCKET_UP);
    answers(UUID_2);
    assert_int_equal(stage.restarts, 1);
    heartbeat(UUID_2, 5); /* lower, of course: told once */
    heartbeat(UUID_2, 25);
    assert_int_equal(stage.restarts, 1);
    assert_true(fake_logged(&stage.fake, "sign=Core-UUID"));
}

/* While midreg was away: known from before, so that it is another start. */
static void test_the_uuid_before_midreg_was_started(void **state)
{
    (void)state;
    event_sockets_was(&stage.sockets, &stage.upstreams.list[0], SPAN("no UUID"));
    assert_int_equal(it()->uuid_n, 0);
    event_sockets_was(&stage.sockets, &stage.upstreams.list[0], SPAN(UUID_1));
    climb(EVENT_SOCKET_UP);
    answers(UUID_1);
    assert_int_equal(stage.restarts, 0);
    assert_string_equal(stage.uuid, ""); /* that is stored already */
    heartbeat(UUID_2, 5);
    assert_int_equal(stage.restarts, 1);
    assert_string_equal(stage.uuid, UUID_2);
    assert_int_equal(stage.restarts_then, 1); /* what was lost is stored before it */
    heartbeat(UUID_2, 25);
    assert_int_equal(stage.restarts, 1);
}

/* Its event socket is back 4 s after it takes REGISTERs again. */
static void go_and_return(void)
{
    cut();
    fake_advance(&stage.fake, 100);
    stage.upstreams.list[0].health.returned_ms = stage.fake.rt.now_ms;
    fake_advance(&stage.fake, 4000);
    climb(EVENT_SOCKET_UP);
}

/* Pings have noticed it, and its event socket is back later: its age tells whether that was
 * it, or it was started once more. */
static void test_a_restart_that_was_noticed(void **state)
{
    (void)state;
    climb_up();
    heartbeat(UUID_1, 1000);
    go_and_return();
    answers(UUID_2);
    stage.uuid[0] = '\0';
    fake_advance(&stage.fake, 20000);
    heartbeat(UUID_2, 26 + 4);
    assert_int_equal(stage.restarts, 0);
    assert_string_equal(stage.uuid, UUID_2);
    go_and_return();
    answers(UUID_1);
    assert_int_equal(stage.restarts, 0);
    heartbeat(UUID_1, 1);
    assert_int_equal(stage.restarts, 1);
    assert_string_equal(stage.uuid, UUID_1);
    heartbeat(UUID_1, 21);
    assert_int_equal(stage.restarts, 1);
}

/* No heartbeat comes. */
static void test_a_restart_without_an_age(void **state)
{
    (void)state;
    climb_up();
    heartbeat(UUID_1, 1000);
    cut();
    stage.upstreams.list[0].health.returned_ms = stage.fake.rt.now_ms + 1;
    climb(EVENT_SOCKET_UP);
    answers(UUID_2);
    assert_int_equal(stage.restarts, 0);
    fake_advance(&stage.fake, ASK_MS);
    answers(UUID_2);
    assert_int_equal(stage.restarts, 1);
    assert_string_equal(stage.uuid, UUID_2);
}

static void test_any_event_tells_the_uuid(void **state)
{
    (void)state;
    climb_up();
    tells("Event-Name: CUSTOM\nCore-UUID: " UUID_2 "\nEvent-Subclass: sofia%3A%3Aother\n\n");
    assert_int_equal(stage.restarts, 1);
    assert_int_equal(stage.drops, 0);
}

static void test_what_is_no_uuid_is_none(void **state)
{
    static const char *const rows[] = {"",
                                       "-ERR no such variable",
                                       "11111111-2222-3333-4444-55555555555",
                                       "11111111-2222-3333-4444-5555555555555",
                                       "1111111112222-3333-4444-555555555555",
                                       "11111111-2222-3333-4444-55555555555g"};

    (void)state;
    climb_up();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        fake_advance(&stage.fake, ASK_MS);
        answers(rows[i]);
        heartbeat(rows[i], 100 + 30 * (unsigned)i);
    }
    assert_int_equal(stage.restarts, 0);
    assert_memory_equal(it()->uuid, UUID_1, EVENT_UUID_SIZE);
}

static void test_an_uptime_that_begins_anew_is_another_start(void **state)
{
    (void)state;
    climb_up();
    heartbeat("", 1000);
    fake_advance(&stage.fake, 20000);
    heartbeat("", 1020);
    fake_advance(&stage.fake, 20000);
    heartbeat("", 15);
    assert_int_equal(stage.restarts, 1);
    assert_true(fake_logged(&stage.fake, "sign=Up-Time"));
    fake_advance(&stage.fake, 20000);
    heartbeat("", 35);
    assert_int_equal(stage.restarts, 1);
}

/* What has been up for longer than we have not heard of it was not started meanwhile:
 * its clock was set back. */
static void test_a_clock_set_back_there_is_no_start(void **state)
{
    (void)state;
    climb_up();
    heartbeat(UUID_1, 100000);
    fake_advance(&stage.fake, 20000);
    heartbeat(UUID_1, 100020 - 3600);
    assert_int_equal(stage.restarts, 0);
    fake_advance(&stage.fake, 20000);
    heartbeat(UUID_1, 10); /* but now */
    assert_int_equal(stage.restarts, 1);
}

/* ---- what it has dropped ------------------------------------------------------------------- */

static void test_dropped_contacts(void **state)
{
    (void)state;
    climb_up();
    tells("Event-Name: CUSTOM\nEvent-Subclass: sofia%3A%3Aexpire\n"
          "contact: %3Csip%3Aal%4010.0.0.1%3Bmr%3Dx%3E\n\n");
    assert_int_equal(stage.drops, 1);
    assert_string_equal(stage.dropped, "<sip:al@10.0.0.1;mr=x>");
    tells("Event-Name: CUSTOM\nEvent-Subclass: sofia::unregister\ncontact: bo\n\n");
    assert_int_equal(stage.drops, 2);
    tells("Event-Name: CUSTOM\nEvent-Subclass: sofia::register\ncontact: cy\n\n");
    tells("Event-Name: CUSTOM\nEvent-Subclass: sofia%3A%3Aexpire\n\n");
    tells("Event-Name: CUSTOM\nEvent-Subclass: sofia%3A%3Aexpire\ncontact: %zz\n\n");
    tells("Event-Name: CHANNEL_CREATE\nEvent-Subclass: sofia::expire\ncontact: cy\n\n");
    tells("");
    assert_int_equal(stage.drops, 2);
    assert_state(EVENT_SOCKET_UP);
}

#define IN(test) cmocka_unit_test_setup_teardown(test, stage_setup, stage_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(test_flushes_go_one_by_one),
        IN(test_a_flush_waits_for_the_first_question),
        IN(test_none_is_taken_unless_it_is_up),
        IN(test_a_full_line_refuses),
        IN(test_needless_ones_are_left_out),
        IN(test_a_flush_out_of_the_answer_to_one),
        IN(test_no_flush_outlives_its_connection),
        IN(test_another_uuid_is_another_start),
        IN(test_the_uuid_before_midreg_was_started),
        IN(test_a_restart_that_was_noticed),
        IN(test_a_restart_without_an_age),
        IN(test_any_event_tells_the_uuid),
        IN(test_what_is_no_uuid_is_none),
        IN(test_an_uptime_that_begins_anew_is_another_start),
        IN(test_a_clock_set_back_there_is_no_start),
        IN(test_dropped_contacts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

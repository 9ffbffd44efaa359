/*
 * proxy/fork: the fork of a call, from the INVITE to the best answer.
 */
#include "stage.h"

#include "transaction/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define ELSEWHERE "SIP;cause=200;text=\"Call completed elsewhere\""

static const char *const al[] = {AL_1, AL_2, AL_3};

/* Phones 1 to n of AL with these q values. */
static void phones(struct stage *s, unsigned n, const unsigned *q)
{
    for (unsigned i = 0; i < n; i++)
        stage_phone(s, AL, al[i], q ? q[i] : 1000);
}

static void a_call_reaches_all_phones_at_once(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *d[3];

    phones(s, 3, NULL);
    stage_call(s);
    stage_take(s, PBX, "SIP/2.0 100 ");
    for (unsigned i = 0; i < 3; i++) {
        char start[64];

        snprintf(start, sizeof start, "INVITE sip:line@%s;ob SIP/2.0\r\n", al[i]);
        d[i] = stage_take(s, al[i], start);
        assert_int_equal(d[i]->at_ms, 1000000);
        assert_string_equal(stage_field(d[i], "Max-Forwards"), "69");
        assert_string_equal(stage_field(d[i], "From"), "<sip:pbx@example.com>;tag=from");
        assert_string_equal(stage_field(d[i], "Contact"), "<sip:mod@10.0.0.5:5080>");
        assert_non_null(strstr(stage_field(d[i], "Record-Route"), "@127.0.0.1:5060;lr>"));
        assert_non_null(strstr(d[i]->text, "\r\n\r\nbody"));
        assert_non_null(strstr(d[i]->text, "Via: SIP/2.0/UDP 10.0.0.5:5080;branch=z9hG4bK-test-1;"
                                           "received=10.0.0.5;rport=5080\r\n"));
    }
    assert_string_not_equal(d[0]->text, d[1]->text);
    assert_int_equal(stage_count(s, COUNTER_CALLS), 1);
    assert_int_equal(stage_count(s, COUNTER_BRANCHES), 3);
    assert_int_equal(proxy_pending(s->proxy), 1);
}

static void the_first_2xx_wins_and_the_others_are_cancelled(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *d[3];
    const struct fake_datagram *cancel;

    phones(s, 3, NULL);
    stage_call(s);
    for (unsigned i = 0; i < 3; i++)
        d[i] = stage_take(s, al[i], "INVITE");
    stage_answer(s, d[0], 180, "");
    assert_null(strstr(stage_take(s, PBX, "SIP/2.0 180")->text, "Via: SIP/2.0/UDP 127"));
    stage_answer(s, d[2], 183, "");
    stage_take(s, PBX, "SIP/2.0 183");
    stage_answer(s, d[1], 200, "");
    assert_string_equal(stage_field(stage_take(s, PBX, "SIP/2.0 200"), "To"),
                        "<sip:callee@example.com>;tag=tag-2");
    stage_none(s, AL_2, "CANCEL");
    cancel = stage_take(s, AL_1, "CANCEL sip:line@10.1.0.1:5060;ob SIP/2.0");
    assert_string_equal(stage_field(cancel, "Reason"), ELSEWHERE);
    stage_answer(s, cancel, 200, "");
    stage_answer(s, d[0], 487, "");
    stage_take(s, AL_1, "ACK");
    assert_string_equal(stage_field(stage_take(s, AL_3, "CANCEL"), "Reason"), ELSEWHERE);
    stage_none(s, PBX, "SIP/2.0 4"); /* the losers' answers are nobody's business */
    assert_int_equal(stage_count(s, COUNTER_ANSWERED), 1);
    assert_int_equal(stage_count(s, COUNTER_CANCELS), 2);
}

static void a_losers_6xx_changes_nothing(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *winner, *loser;

    phones(s, 2, NULL);
    stage_call(s);
    winner = stage_take(s, AL_1, "INVITE");
    loser = stage_take(s, AL_2, "INVITE");
    stage_answer(s, winner, 200, "");
    stage_take(s, PBX, "SIP/2.0 200");
    stage_answer(s, loser, 603, "");
    stage_none(s, PBX, "SIP/2.0 603");
    stage_answer(s, winner, 200, "");
    stage_take(s, PBX, "SIP/2.0 200"); /* the fork is still there for it */
}

/* RFC 3261 9.1: CANCEL only after a provisional answer. */
static void a_silent_loser_is_cancelled_when_it_speaks(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *silent;

    phones(s, 2, NULL);
    stage_call(s);
    silent = stage_take(s, AL_2, "INVITE");
    stage_answer(s, stage_take(s, AL_1, "INVITE"), 200, "");
    stage_none(s, AL_2, "CANCEL");
    assert_int_equal(stage_count(s, COUNTER_CANCELS), 0);
    stage_answer(s, silent, 180, "");
    assert_string_equal(stage_field(stage_take(s, AL_2, "CANCEL"), "Reason"), ELSEWHERE);
    assert_int_equal(stage_count(s, COUNTER_CANCELS), 1);
    stage_none(s, PBX, "SIP/2.0 180");
}

static void two_2xx_that_race_both_go_back(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *one, *two;

    phones(s, 2, NULL);
    stage_call(s);
    one = stage_take(s, AL_1, "INVITE");
    two = stage_take(s, AL_2, "INVITE");
    stage_answer(s, one, 200, "");
    stage_answer(s, two, 200, "");
    assert_non_null(strstr(stage_take(s, PBX, "SIP/2.0 200")->text, "tag-1"));
    assert_non_null(strstr(stage_take(s, PBX, "SIP/2.0 200")->text, "tag-2"));
    stage_answer(s, one, 200, ""); /* repeated: RFC 6026 */
    assert_non_null(strstr(stage_take(s, PBX, "SIP/2.0 200")->text, "tag-1"));
    assert_int_equal(stage_count(s, COUNTER_ANSWERED), 1);
    assert_int_equal(proxy_pending(s->proxy), 1);
    fake_advance(&s->fake, 40000); /* timer M */
    assert_int_equal(proxy_pending(s->proxy), 0);
}

static void a_100_is_not_passed_back(void **state)
{
    struct stage *s = *state;

    phones(s, 1, NULL);
    stage_call(s);
    stage_take(s, PBX, "SIP/2.0 100");
    stage_answer(s, stage_take(s, AL_1, "INVITE"), 100, "");
    stage_none(s, PBX, "SIP/2.0");
}

static void a_6xx_ends_the_fork(void **state)
{
    struct stage *s = *state;
    static const unsigned q[] = {1000, 1000, 500};
    const struct fake_datagram *one, *two;

    phones(s, 3, q);
    stage_call(s);
    one = stage_take(s, AL_1, "INVITE");
    two = stage_take(s, AL_2, "INVITE");
    stage_answer(s, one, 180, "");
    stage_answer(s, two, 603, "");
    stage_none(s, PBX, "SIP/2.0 603"); /* a 2xx could still come: 16.7 step 5 */
    assert_string_equal(stage_field(stage_take(s, AL_1, "CANCEL"), "Reason"), "SIP;cause=603");
    stage_answer(s, one, 487, "");
    stage_take(s, PBX, "SIP/2.0 603");
    fake_advance(&s->fake, 30000);
    stage_none(s, AL_3, "INVITE");
    assert_int_equal(proxy_pending(s->proxy), 0);
}

static void the_best_answer_goes_back(void **state)
{
    static const struct {
        int answers[3];
        const char *best;
    } row[] = {
        {{486, 404, 503}, "SIP/2.0 486"}, {{503, 500, 486}, "SIP/2.0 486"},
        {{503, 504, 503}, "SIP/2.0 504"}, {{503, 503, 503}, "SIP/2.0 500"},
        {{404, 302, 486}, "SIP/2.0 302"}, {{480, 486, 408}, "SIP/2.0 486"},
        {{500, 486, 603}, "SIP/2.0 603"}, {{486, 484, 404}, "SIP/2.0 484"},
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct stage *s = *state;
        const struct fake_datagram *d[3];

        print_message("%d %d %d\n", row[i].answers[0], row[i].answers[1], row[i].answers[2]);
        phones(s, 3, NULL);
        stage_call(s);
        stage_take(s, PBX, "SIP/2.0 100");
        for (unsigned k = 0; k < 3; k++)
            d[k] = stage_take(s, al[k], "INVITE");
        for (unsigned k = 0; k < 3; k++) {
            stage_none(s, PBX, "SIP/2.0");
            stage_answer(s, d[k], row[i].answers[k], "Contact: <sip:x@example.com>\n");
            stage_take(s, al[k], "ACK");
        }
        stage_take(s, PBX, row[i].best);
        assert_int_equal(proxy_pending(s->proxy), 0);
        stage_fini(state);
        stage_init(state);
    }
}

static void challenges_are_aggregated(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *d[3];
    const struct fake_datagram *back;

    phones(s, 3, NULL);
    stage_call(s);
    for (unsigned i = 0; i < 3; i++)
        d[i] = stage_take(s, al[i], "INVITE");
    stage_answer(s, d[0], 486, "");
    stage_answer(s, d[1], 407, "Proxy-Authenticate: Digest realm=\"two\", nonce=\"2\"\n");
    stage_answer(s, d[2], 401,
                 "WWW-Authenticate: Digest realm=\"three\", nonce=\"3\"\n"
                 "WWW-Authenticate: Digest realm=\"four\", nonce=\"4\"\n");
    back = stage_take(s, PBX, "SIP/2.0 407");
    assert_non_null(strstr(back->text, "Proxy-Authenticate: Digest realm=\"two\""));
    assert_non_null(strstr(back->text, "WWW-Authenticate: Digest realm=\"three\""));
    assert_non_null(strstr(back->text, "WWW-Authenticate: Digest realm=\"four\""));
    assert_null(strstr(strstr(back->text, "\"two\"") + 1, "\"two\"")); /* its own but once */
    assert_non_null(strstr(back->text, "\r\n\r\nanswer"));
    assert_string_equal(stage_field(back, "Content-Length"), "6");
}

static void lower_q_follows_when_the_group_has_failed(void **state)
{
    struct stage *s = *state;
    static const unsigned q[] = {300, 900, 900};
    const struct fake_datagram *two, *three;

    phones(s, 3, q);
    stage_call(s);
    two = stage_take(s, AL_2, "INVITE");
    three = stage_take(s, AL_3, "INVITE");
    stage_none(s, AL_1, "INVITE");
    stage_answer(s, two, 486, "");
    stage_none(s, AL_1, "INVITE");
    stage_answer(s, three, 180, "");
    stage_answer(s, three, 480, "");
    stage_answer(s, stage_take(s, AL_1, "INVITE"), 404, "");
    stage_take(s, PBX, "SIP/2.0 486");
}

/* The timer of the next group dies with its fork, whose place the next fork takes. */
static void forks_follow_one_another(void **state)
{
    struct stage *s = *state;
    static const unsigned q[] = {900, 500};

    phones(s, 2, q);
    for (unsigned i = 0; i < 4; i++) {
        stage_call(s);
        stage_answer(s, stage_take(s, AL_1, "INVITE"), 486, "");
        fake_advance(&s->fake, 1);
        stage_answer(s, stage_take(s, AL_2, "INVITE"), 404, "");
        stage_take(s, PBX, "SIP/2.0 486");
        assert_int_equal(proxy_pending(s->proxy), 0);
        fake_advance(&s->fake, i * 7000);
    }
}

static void lower_q_joins_after_fork_timeout(void **state)
{
    struct stage *s = *state;
    static const unsigned q[] = {900, 500, 100};
    const struct fake_datagram *one, *two;

    phones(s, 3, q);
    stage_call(s);
    one = stage_take(s, AL_1, "INVITE");
    stage_answer(s, one, 180, "");
    fake_advance(&s->fake, 19999);
    stage_none(s, AL_2, "INVITE");
    fake_advance(&s->fake, 1);
    two = stage_take(s, AL_2, "INVITE");
    stage_answer(s, two, 180, "");
    stage_none(s, AL_1, "CANCEL"); /* rings on */
    fake_advance(&s->fake, 20000);
    stage_answer(s, stage_take(s, AL_3, "INVITE"), 486, "");
    stage_answer(s, one, 200, "");
    stage_take(s, PBX, "SIP/2.0 200");
    stage_take(s, AL_2, "CANCEL");
}

static void a_group_goes_where_the_bindings_are_by_then(void **state)
{
    struct stage *s = *state;
    uint32_t gone, moved, buried;
    struct aor *a;

    stage_phone(s, AL, AL_1, 1000);
    gone = stage_phone(s, AL, AL_2, 500);
    moved = stage_phone(s, AL, AL_3, 100);
    buried = stage_phone(s, AL, "10.1.0.4:5060", 50);
    stage_call(s);
    stage_leave(s, AL, gone);
    stage_move(s, AL, moved, "10.9.9.9:9");
    a = location_find(&s->location, location_hash(&s->location, SPAN(AL)));
    assert_true(location_bury(&s->location, a, buried, 2, s->fake.rt.now_ms + 32000));
    stage_answer(s, stage_take(s, AL_1, "INVITE"), 486, "");
    stage_none(s, AL_2, "INVITE");
    stage_none(s, AL_3, "INVITE");
    fake_advance(&s->fake, 20000);
    stage_none(s, "10.1.0.4:5060", "INVITE");
    stage_take(s, "10.9.9.9:9", "INVITE sip:line@10.9.9.9:9;ob SIP/2.0");
}

static void when_all_have_left_meanwhile_it_is_the_answers_so_far(void **state)
{
    struct stage *s = *state;
    uint32_t gone;

    stage_phone(s, AL, AL_1, 1000);
    gone = stage_phone(s, AL, AL_2, 500);
    stage_call(s);
    stage_leave(s, AL, gone);
    stage_answer(s, stage_take(s, AL_1, "INVITE"), 486, "");
    stage_take(s, PBX, "SIP/2.0 486");
    assert_int_equal(proxy_pending(s->proxy), 0);
}

static void a_silent_phone_is_408(void **state)
{
    struct stage *s = *state;

    phones(s, 1, NULL);
    stage_call(s);
    fake_advance(&s->fake, 31999);
    stage_none(s, PBX, "SIP/2.0 4");
    fake_advance(&s->fake, 1);
    stage_take(s, PBX, "SIP/2.0 408");
}

/* RFC 3261 16.8: more than three minutes, set back by each provisional answer. */
static void timer_c_ends_endless_ringing(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *invite, *cancel;

    phones(s, 1, NULL);
    stage_call(s);
    invite = stage_take(s, AL_1, "INVITE");
    stage_answer(s, invite, 180, "");
    fake_advance(&s->fake, 100000);
    stage_answer(s, invite, 180, "");
    fake_advance(&s->fake, 100000);
    stage_answer(s, invite, 100, ""); /* 100 does not count */
    fake_advance(&s->fake, 80999);
    stage_none(s, AL_1, "CANCEL");
    fake_advance(&s->fake, 1);
    cancel = stage_take(s, AL_1, "CANCEL");
    assert_false(stage_has(cancel, "Reason"));
    stage_answer(s, cancel, 200, "");
    stage_answer(s, invite, 487, "");
    stage_take(s, PBX, "SIP/2.0 487");
}

static void timer_c_and_no_answer_to_the_cancel_is_408(void **state)
{
    struct stage *s = *state;

    phones(s, 1, NULL);
    stage_call(s);
    stage_answer(s, stage_take(s, AL_1, "INVITE"), 180, "");
    fake_advance(&s->fake, 181000);
    stage_take(s, AL_1, "CANCEL");
    fake_advance(&s->fake, 32000);
    stage_take(s, PBX, "SIP/2.0 408");
    assert_int_equal(proxy_pending(s->proxy), 0);
}

static void a_request_that_is_no_invite_forks_too(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *one, *two;

    phones(s, 2, NULL);
    stage_request(s, PBX, "MESSAGE", stage_contact(s, AL), "");
    stage_none(s, PBX, "SIP/2.0"); /* RFC 4320: no 100 at once */
    one = stage_take(s, AL_1, "MESSAGE");
    two = stage_take(s, AL_2, "MESSAGE");
    assert_false(stage_has(one, "Record-Route"));
    stage_answer(s, one, 180, "");
    stage_none(s, PBX, "SIP/2.0");
    stage_answer(s, one, 200, "");
    stage_take(s, PBX, "SIP/2.0 200");
    assert_int_equal(proxy_pending(s->proxy), 0);
    stage_answer(s, two, 200, "");
    stage_none(s, PBX, "SIP/2.0");
    stage_none(s, AL_2, "CANCEL");
    assert_int_equal(stage_count(s, COUNTER_BRANCHES), 0);
}

/* RFC 4320 4.1: but when its copies have come down to one in four seconds. */
static void a_slow_message_gets_100_after_t2(void **state)
{
    static const unsigned q[] = {1000, 500};
    struct stage *s = *state;
    const struct fake_datagram *one;

    phones(s, 2, q);
    stage_request(s, PBX, "MESSAGE", stage_contact(s, AL), "");
    one = stage_take(s, AL_1, "MESSAGE");
    fake_advance(&s->fake, 3499);
    stage_none(s, PBX, "SIP/2.0");
    fake_advance(&s->fake, 1);
    assert_int_equal(stage_take(s, PBX, "SIP/2.0 100")->at_ms, 1003500);
    stage_none(s, AL_2, "MESSAGE");
    fake_advance(&s->fake, 16500); /* fork-timeout is as it was */
    stage_answer(s, stage_take(s, AL_2, "MESSAGE"), 200, "");
    stage_take(s, PBX, "SIP/2.0 200");
    stage_none(s, PBX, "SIP/2.0");
    stage_answer(s, one, 200, "");
}

/* RFC 4320 4.2 */
static void no_408_to_a_request_that_is_no_invite(void **state)
{
    struct stage *s = *state;

    phones(s, 1, NULL);
    stage_request(s, PBX, "MESSAGE", stage_contact(s, AL), "");
    fake_advance(&s->fake, 40000);
    stage_none(s, PBX, "SIP/2.0 4");
    assert_int_equal(proxy_pending(s->proxy), 0);
}

static void a_6xx_to_a_message_is_final(void **state)
{
    struct stage *s = *state;

    phones(s, 2, NULL);
    stage_request(s, PBX, "MESSAGE", stage_contact(s, AL), "");
    stage_answer(s, stage_take(s, AL_1, "MESSAGE"), 603, "");
    stage_take(s, PBX, "SIP/2.0 603");
    assert_int_equal(proxy_pending(s->proxy), 0);
}

static void what_fits_in_no_datagram_is_513(void **state)
{
    struct stage *s = *state;
    static char fields[65200] = "X-Long: ";

    phones(s, 1, NULL);
    memset(fields + 8, 'x', sizeof fields - 10);
    fields[sizeof fields - 2] = '\n';
    stage_request(s, PBX, "INVITE", stage_contact(s, AL), fields);
    stage_none(s, AL_1, "INVITE");
    stage_take(s, PBX, "SIP/2.0 513");
    assert_int_equal(proxy_pending(s->proxy), 0);
}

static void identities_in_a_phones_answer_are_removed(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *back;

    phones(s, 1, NULL);
    stage_call(s);
    stage_answer(s, stage_take(s, AL_1, "INVITE"), 200,
                 "P-Asserted-Identity: <sip:boss@example.com>\nX-Other: stays\nX-AUTH-A: 1\n");
    back = stage_take(s, PBX, "SIP/2.0 200");
    assert_false(stage_has(back, "P-Asserted-Identity"));
    assert_false(stage_has(back, "X-AUTH-A"));
    assert_true(stage_has(back, "X-Other"));
}

static void a_retransmitted_invite_starts_nothing(void **state)
{
    struct stage *s = *state;

    phones(s, 1, NULL);
    stage_call(s);
    stage_take(s, AL_1, "INVITE");
    s->serial--;
    stage_call(s);
    stage_none(s, AL_1, "INVITE");
    assert_int_equal(stage_count(s, COUNTER_CALLS), 1);
}

static void a_proxy_that_ends_lets_go_of_everything(void **state)
{
    struct stage *s = *state;
    static const unsigned q[] = {900, 900, 100};
    const struct fake_datagram *one, *two;
    struct handle h;
    struct server_tx *left;

    phones(s, 3, q);
    stage_call(s);
    one = stage_take(s, AL_1, "INVITE");
    two = stage_take(s, AL_2, "INVITE");
    stage_answer(s, one, 180, "");
    stage_restart_proxy(s);
    stage_cancel(s, PBX, stage_contact(s, AL), "");
    stage_answer(s, two, 486, "");
    fake_advance(&s->fake, 200000);
    stage_none(s, AL_3, "INVITE");
    left = slab_next(&s->transactions.servers, 0, &h);
    assert_non_null(left);
    server_reply(left, 500, NULL, SPAN_NONE);
}

/* Answers with our Via alone. */
static void answer_shorn(struct stage *s, const struct fake_datagram *d, const char *start)
{
    static const char *const names[] = {"Via", "From", "To", "Call-ID", "CSeq"};
    char text[2048];
    size_t n = (size_t)snprintf(text, sizeof text, "%s\n", start);

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s: %s\n", names[i],
                              stage_field(d, names[i]));
    snprintf(text + n, sizeof text - n, "\n");
    stage_receive(s, AL_1, text);
}

/* RFC 3261 16.7 step 3: it could reach nobody, so it answers nothing. */
static void an_answer_without_the_callers_via_is_none(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *one, *two;

    stage_phone(s, AL, AL_1, 1000);
    stage_phone(s, AL, AL_2, 1000);
    stage_call(s);
    stage_take(s, PBX, "SIP/2.0 100");
    one = stage_take(s, AL_1, "INVITE");
    two = stage_take(s, AL_2, "INVITE");
    answer_shorn(s, one, "SIP/2.0 180 Ringing");
    answer_shorn(s, one, "SIP/2.0 200 OK");
    stage_none(s, PBX, "SIP/2.0");
    stage_none(s, AL_2, "CANCEL");
    stage_answer(s, two, 200, "");
    stage_take(s, PBX, "SIP/2.0 200");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STAGE(a_call_reaches_all_phones_at_once),
        IN_STAGE(the_first_2xx_wins_and_the_others_are_cancelled),
        IN_STAGE(a_losers_6xx_changes_nothing),
        IN_STAGE(a_silent_loser_is_cancelled_when_it_speaks),
        IN_STAGE(two_2xx_that_race_both_go_back),
        IN_STAGE(a_100_is_not_passed_back),
        IN_STAGE(a_6xx_ends_the_fork),
        IN_STAGE(the_best_answer_goes_back),
        IN_STAGE(challenges_are_aggregated),
        IN_STAGE(lower_q_follows_when_the_group_has_failed),
        IN_STAGE(forks_follow_one_another),
        IN_STAGE(lower_q_joins_after_fork_timeout),
        IN_STAGE(a_group_goes_where_the_bindings_are_by_then),
        IN_STAGE(when_all_have_left_meanwhile_it_is_the_answers_so_far),
        IN_STAGE(a_silent_phone_is_408),
        IN_STAGE(timer_c_ends_endless_ringing),
        IN_STAGE(timer_c_and_no_answer_to_the_cancel_is_408),
        IN_STAGE(a_request_that_is_no_invite_forks_too),
        IN_STAGE(a_slow_message_gets_100_after_t2),
        IN_STAGE(no_408_to_a_request_that_is_no_invite),
        IN_STAGE(a_6xx_to_a_message_is_final),
        IN_STAGE(what_fits_in_no_datagram_is_513),
        IN_STAGE(identities_in_a_phones_answer_are_removed),
        IN_STAGE(a_proxy_that_ends_lets_go_of_everything),
        IN_STAGE(a_retransmitted_invite_starts_nothing),
        IN_STAGE(an_answer_without_the_callers_via_is_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

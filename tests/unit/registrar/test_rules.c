/*
 * registrar/rules: the table of design 3.2, and RFC 3261 10.3, cell by cell.
 */
#include "ruling.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

/* ---- the table of design 3.2 --------------------------------------------------- */

/* RESTARTED: as EMPTY, but what was removed was read from the disk; with DESK, another one is
 * there. */
enum world { NO_RECORD, EMPTY, RESTARTED, RESTARTED_DESK, ONE, TWO };

struct cell {
    const char *what;
    enum config_auth auth;
    enum world world;
    const char *flow, *call_id;
    uint32_t cseq;
    const char *lines;
    enum verdict verdict;
    int status;
    bool empties;
};

static const struct cell cells[] = {
    /* trusted network: all but the first is absorbed */
    {"none: first", AUTH_NONE, NO_RECORD, OTHER, "new", 1, NEW_CONTACT, REG_FORWARD, 0, false},
    {"none: first again", AUTH_NONE, EMPTY, OTHER, "new", 1, NEW_CONTACT, REG_FORWARD, 0, false},
    {"none: back", AUTH_NONE, EMPTY, HOME, CALL, 6, HOME_CONTACT, REG_FORWARD, 0, false},
    {"none: second", AUTH_NONE, ONE, OTHER, "new", 1, NEW_CONTACT, REG_ABSORBED, 0, false},
    {"none: params", AUTH_NONE, ONE, HOME, CALL, 6, "Contact: <sip:anna@10.0.0.1:5062>;x=1\r\n",
     REG_ABSORBED, 0, false},
    {"none: refresh", AUTH_NONE, ONE, HOME, CALL, 6, HOME_CONTACT, REG_ABSORBED, 0, false},
    {"none: moved", AUTH_NONE, ONE, OTHER, CALL, 6, HOME_CONTACT, REG_ABSORBED, 0, false},
    {"none: rebooted", AUTH_NONE, ONE, HOME, "new", 1, HOME_CONTACT, REG_ABSORBED, 0, false},
    {"none: last gone", AUTH_NONE, ONE, HOME, CALL, 6, GONE, REG_ABSORBED, 0, true},
    {"none: one gone", AUTH_NONE, TWO, HOME, CALL, 6, GONE, REG_ABSORBED, 0, false},
    {"none: star", AUTH_NONE, TWO, HOME, CALL, 6, STAR, REG_ABSORBED, 0, true},
    {"none: query", AUTH_NONE, ONE, OTHER, "new", 1, "", REG_ANSWERED, 0, false},
    {"none: query of nothing", AUTH_NONE, NO_RECORD, OTHER, "new", 1, "", REG_ANSWERED, 0, false},
    {"none: star of nothing", AUTH_NONE, NO_RECORD, OTHER, "new", 1, STAR, REG_ANSWERED, 0, false},
    {"none: foreign gone", AUTH_NONE, ONE, OTHER, "new", 1,
     "Contact: <sip:anna@10.0.0.9:6000>;expires=0\r\n", REG_ABSORBED, 0, false},

    /* the main registrar proves: only a refresh over a proved flow is absorbed */
    {"upstream: first", AUTH_UPSTREAM, NO_RECORD, OTHER, "new", 1, NEW_CONTACT, REG_FORWARD, 0,
     false},
    {"upstream: first again", AUTH_UPSTREAM, EMPTY, OTHER, "new", 1, NEW_CONTACT, REG_FORWARD, 0,
     false},
    {"upstream: second", AUTH_UPSTREAM, ONE, OTHER, "new", 1, NEW_CONTACT, REG_FORWARD, 0, false},
    {"upstream: second on the flow", AUTH_UPSTREAM, ONE, HOME, CALL, 6, NEW_CONTACT, REG_FORWARD, 0,
     false},
    {"upstream: refresh", AUTH_UPSTREAM, ONE, HOME, CALL, 6, HOME_CONTACT, REG_ABSORBED, 0, false},
    {"upstream: refresh and add", AUTH_UPSTREAM, ONE, HOME, CALL, 6, HOME_CONTACT NEW_CONTACT,
     REG_FORWARD, 0, false},
    {"upstream: params", AUTH_UPSTREAM, ONE, HOME, CALL, 6,
     "Contact: <sip:anna@10.0.0.1:5062>;x=1\r\n", REG_FORWARD, 0, false},
    {"upstream: q", AUTH_UPSTREAM, ONE, HOME, CALL, 6,
     "Contact: <sip:anna@10.0.0.1:5062>;q=0.5\r\n", REG_FORWARD, 0, false},
    {"upstream: q given", AUTH_UPSTREAM, ONE, HOME, CALL, 6,
     "Contact: <sip:anna@10.0.0.1:5062>;q=1\r\n", REG_FORWARD, 0, false},
    {"upstream: equal URI, other bytes", AUTH_UPSTREAM, ONE, HOME, CALL, 6,
     "Contact: <sip:%61nna@10.0.0.1:5062>\r\n", REG_FORWARD, 0, false},
    {"upstream: moved", AUTH_UPSTREAM, ONE, OTHER, CALL, 6, HOME_CONTACT, REG_FORWARD, 0, false},
    {"upstream: other port", AUTH_UPSTREAM, ONE, "10.0.0.1:5063", CALL, 6, HOME_CONTACT,
     REG_FORWARD, 0, false},
    {"upstream: other Call-ID", AUTH_UPSTREAM, ONE, HOME, "new", 6, HOME_CONTACT, REG_FORWARD, 0,
     false},
    {"upstream: by an edge proxy", AUTH_UPSTREAM, ONE, HOME, CALL, 6,
     HOME_CONTACT "Path: <sip:10.0.0.1;lr>\r\n", REG_FORWARD, 0, false},
    {"upstream: two Vias", AUTH_UPSTREAM, ONE, HOME, CALL, 6,
     HOME_CONTACT "Via: SIP/2.0/UDP 10.1.1.1;branch=z9hG4bK0\r\n", REG_FORWARD, 0, false},
    {"upstream: last gone", AUTH_UPSTREAM, ONE, HOME, CALL, 6, GONE, REG_FORWARD, 0, true},
    {"upstream: one gone", AUTH_UPSTREAM, TWO, HOME, CALL, 6, GONE, REG_FORWARD, 0, false},
    {"upstream: star", AUTH_UPSTREAM, TWO, HOME, CALL, 6, STAR, REG_FORWARD, 0, true},
    {"upstream: one goes, one comes", AUTH_UPSTREAM, ONE, HOME, CALL, 6, GONE NEW_CONTACT,
     REG_FORWARD, 0, false},
    {"upstream: query", AUTH_UPSTREAM, ONE, HOME, CALL, 6, "", REG_ANSWERED, 0, false},
    {"upstream: query, other flow", AUTH_UPSTREAM, ONE, OTHER, CALL, 6, "", REG_REFUSED, 403,
     false},
    {"upstream: query, other Call-ID", AUTH_UPSTREAM, ONE, HOME, "new", 6, "", REG_REFUSED, 403,
     false},
    {"upstream: query by an edge proxy", AUTH_UPSTREAM, ONE, HOME, CALL, 6,
     "Path: <sip:10.0.0.1;lr>\r\n", REG_REFUSED, 403, false},
    {"upstream: query of nothing", AUTH_UPSTREAM, EMPTY, OTHER, "new", 1, "", REG_ANSWERED, 0,
     false},
    {"upstream: foreign gone", AUTH_UPSTREAM, ONE, OTHER, "new", 1,
     "Contact: <sip:anna@10.0.0.9:6000>;expires=0\r\n", REG_FORWARD, 0, false},

    /* CSeq, RFC 3261 10.3 step 7; who has no proof learns nothing from the copy's answer */
    {"none: copy", AUTH_NONE, ONE, HOME, CALL, 5, HOME_CONTACT, REG_ANSWERED, 0, false},
    {"none: late", AUTH_NONE, ONE, HOME, CALL, 4, HOME_CONTACT, REG_REFUSED, 500, false},
    {"none: late removal", AUTH_NONE, ONE, HOME, CALL, 4, GONE, REG_REFUSED, 500, false},
    {"none: late star", AUTH_NONE, TWO, HOME, CALL, 4, STAR, REG_REFUSED, 500, false},
    {"none: copy from elsewhere", AUTH_NONE, ONE, OTHER, CALL, 5, HOME_CONTACT, REG_REFUSED, 500,
     false},
    {"upstream: copy", AUTH_UPSTREAM, ONE, HOME, CALL, 5, HOME_CONTACT, REG_ANSWERED, 0, false},
    {"upstream: late", AUTH_UPSTREAM, ONE, HOME, CALL, 4, HOME_CONTACT, REG_REFUSED, 500, false},
    {"upstream: other Call-ID, lower", AUTH_UPSTREAM, ONE, HOME, "new", 1, HOME_CONTACT,
     REG_FORWARD, 0, false},
    {"none: copy with another contact", AUTH_NONE, ONE, HOME, CALL, 5, HOME_CONTACT NEW_CONTACT,
     REG_REFUSED, 500, false},

    /* tombstones: what is gone does not come back by a late copy */
    {"none: copy after removal", AUTH_NONE, EMPTY, HOME, CALL, 5, HOME_CONTACT, REG_REFUSED, 500,
     false},
    {"none: removal again", AUTH_NONE, EMPTY, HOME, CALL, 5, GONE, REG_ANSWERED, 0, false},
    {"none: late copy", AUTH_NONE, EMPTY, HOME, CALL, 4, HOME_CONTACT, REG_REFUSED, 500, false},
    {"none: star again", AUTH_NONE, EMPTY, HOME, CALL, 5, STAR, REG_ANSWERED, 0, false},
    {"none: removal again from elsewhere", AUTH_NONE, EMPTY, OTHER, CALL, 5, GONE, REG_REFUSED, 500,
     false},

    /* the 200 to a removal was lost with the process that sent it */
    {"none: removal again after a restart", AUTH_NONE, RESTARTED, HOME, CALL, 5, GONE, REG_ANSWERED,
     0, false},
    {"none: star again after a restart", AUTH_NONE, RESTARTED_DESK, HOME, CALL, 5, STAR,
     REG_ANSWERED, 0, false},
    {"none: copy after removal and restart", AUTH_NONE, RESTARTED, HOME, CALL, 5, HOME_CONTACT,
     REG_REFUSED, 500, false},
    {"none: late removal after a restart", AUTH_NONE, RESTARTED, HOME, CALL, 4, GONE, REG_REFUSED,
     500, false},
    {"upstream: removal again after a restart", AUTH_UPSTREAM, RESTARTED_DESK, HOME, CALL, 5, GONE,
     REG_FORWARD, 0, false},

    /* too brief */
    {"too brief", AUTH_NONE, ONE, HOME, CALL, 6, HOME_CONTACT "Expires: 59\r\n", REG_REFUSED, 423,
     false},
    {"just long enough", AUTH_NONE, ONE, HOME, CALL, 6, HOME_CONTACT "Expires: 60\r\n",
     REG_ABSORBED, 0, false},
    {"one of two too brief", AUTH_NONE, ONE, HOME, CALL, 6,
     HOME_CONTACT "Contact: <sip:anna@10.0.0.9:6000>;expires=1\r\n", REG_REFUSED, 423, false},
};

static void make_world(enum world world)
{
    if (world == EMPTY || world == RESTARTED || world == RESTARTED_DESK)
        bury(have_home()->id, 5);
    if (world == RESTARTED || world == RESTARTED_DESK) {
        aor_first(record)->flags |= BINDING_RESTORED;
        memset(&aor_first(record)->flow, 0, sizeof(struct flow));
    }
    if (world == RESTARTED_DESK)
        have_desk();
    if (world == ONE || world == TWO)
        have_home();
    if (world == TWO)
        have_desk();
}

static void check_cell(const struct cell *c)
{
    config.auth = c->auth;
    make_world(c->world);
    ask(c->flow, c->call_id, c->cseq, c->lines);
    decide();
    if (out.verdict != c->verdict)
        fail_msg("%s: verdict %d", c->what, out.verdict);
    if (c->verdict == REG_REFUSED && (out.status != c->status || out.changes))
        fail_msg("%s: status %d, %u changes", c->what, out.status, out.changes);
    if (c->verdict == REG_REFUSED && out.too_brief != (c->status == 423))
        fail_msg("%s: too_brief", c->what);
    if (c->verdict != REG_REFUSED && out.empties != c->empties)
        fail_msg("%s: empties %d", c->what, out.empties);
    if (out.verdict == REG_FORWARD && out.survives)
        fail_msg("%s: survives", c->what);
    if (c->verdict == REG_ANSWERED && out.changes)
        fail_msg("%s: changes", c->what);
}

static void test_table(void **state)
{
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        check_cell(&cells[i]);
        ruling_teardown(state);
        ruling_setup(state);
    }
}

/* What the main registrar has accepted is applied, whatever it was. */
static void test_accepted_upstream(void **state)
{
    for (size_t i = 0; i < sizeof cells / sizeof cells[0]; i++) {
        if (cells[i].verdict != REG_FORWARD)
            continue;
        make_world(cells[i].world);
        ask(cells[i].flow, cells[i].call_id, cells[i].cseq, cells[i].lines);
        decide_with(PROOF_UPSTREAM, 0);
        if (out.verdict != REG_ABSORBED && out.verdict != REG_ANSWERED)
            fail_msg("%s: verdict %d", cells[i].what, out.verdict);
        ruling_teardown(state);
        ruling_setup(state);
    }
}

/* ---- changes ---------------------------------------------------------------------- */

static void assert_change(unsigned i, enum change_kind kind, uint32_t id, unsigned contact)
{
    assert_true(i < out.changes);
    assert_int_equal(out.change[i].kind, kind);
    assert_int_equal(out.change[i].contact, contact);
    if (kind != CHANGE_ADD)
        assert_int_equal(out.change[i].binding_id, id);
}

static void test_kinds_of_change(void **state)
{
    static const struct {
        const char *flow, *call_id, *lines;
        enum change_kind kind;
    } cases[] = {
        {HOME, CALL, HOME_CONTACT, CHANGE_REFRESH},
        {OTHER, CALL, HOME_CONTACT, CHANGE_REPLACE},
        {HOME, "new", HOME_CONTACT, CHANGE_REPLACE},
        {HOME, CALL, "Contact: <sip:%61nna@10.0.0.1:5062>\r\n", CHANGE_REPLACE},
        {HOME, CALL, "Contact: <sip:anna@10.0.0.1:5062>;x\r\n", CHANGE_REPLACE},
        {HOME, CALL, "Contact: <sip:anna@10.0.0.1:5062>;q=0.1\r\n", CHANGE_REPLACE},
        {HOME, CALL, NEW_CONTACT, CHANGE_ADD},
        {HOME, CALL, "Contact: <sip:anna@10.0.0.1>\r\n", CHANGE_ADD}, /* no port: not 5062 */
        {HOME, CALL, GONE, CHANGE_REMOVE},
    };
    struct binding *b = have_home();

    (void)state;
    config.auth = AUTH_NONE;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ask(cases[i].flow, cases[i].call_id, 6, cases[i].lines);
        decide();
        assert_int_equal(out.changes, 1);
        assert_change(0, cases[i].kind, b->id, 0);
    }
}

static void test_several_contacts(void **state)
{
    struct binding *home;
    uint32_t home_id, desk_id;

    (void)state;
    config.auth = AUTH_NONE;
    home_id = have_home()->id;
    desk_id = have_desk()->id;
    ask(HOME, CALL, 6,
        NEW_CONTACT "Contact: <sip:anna@10.0.0.2:5060>;expires=0, <sip:anna@10.0.0.1:5062>\r\n");
    decide();
    assert_int_equal(out.verdict, REG_ABSORBED);
    assert_int_equal(out.changes, 3);
    assert_change(0, CHANGE_ADD, 0, 0);
    assert_change(1, CHANGE_REMOVE, desk_id, 1);
    assert_change(2, CHANGE_REFRESH, home_id, 2);
    assert_int_equal(out.change[1].cseq, 10); /* of its own Call-ID */

    /* All or nothing: one late contact, and nothing changes. */
    home = location_binding(record, home_id);
    home->cseq = 7;
    decide();
    assert_refused(500);
}

/* RFC 3261 19.1.4 is not transitive: "a" equals both "a;x=1" and "a;x=2". */
static void test_the_exact_contact_is_preferred(void **state)
{
    uint32_t id;

    (void)state;
    config.auth = AUTH_NONE;
    have("sip:anna@10.0.0.1:5062", HOME, CALL, 5);
    id = have("sip:anna@10.0.0.1:5062;x=2", HOME, CALL, 5)->id;
    ask(HOME, CALL, 6, "Contact: <sip:anna@10.0.0.1:5062;x=2>\r\n");
    decide();
    assert_int_equal(out.changes, 1);
    assert_change(0, CHANGE_REFRESH, id, 0);
}

static void test_one_binding_is_changed_once(void **state)
{
    uint32_t id;

    (void)state;
    config.auth = AUTH_NONE;
    id = have("sip:anna@10.0.0.1:5062", HOME, CALL, 5)->id;
    have_desk();
    ask(HOME, CALL, 6,
        "Contact: <sip:anna@10.0.0.1:5062;x=1>;expires=0, <sip:anna@10.0.0.1:5062;x=2>;expires=0"
        "\r\n");
    decide();
    assert_int_equal(out.verdict, REG_ABSORBED);
    assert_int_equal(out.changes, 2);
    assert_change(0, CHANGE_REMOVE, id, 0);
    assert_change(1, CHANGE_NOTE, 0, 1);
    assert_false(out.empties); /* the desk phone is still there */

    ask(HOME, CALL, 6, "Contact: <sip:anna@10.0.0.1:5062;x=1>, <sip:anna@10.0.0.1:5062;x=2>\r\n");
    decide();
    assert_int_equal(out.changes, 2);
    assert_change(0, CHANGE_REPLACE, id, 0);
    assert_change(1, CHANGE_ADD, 0, 1);
}

static void test_removal_keeps_the_higher_cseq(void **state)
{
    (void)state;
    config.auth = AUTH_NONE;
    have_home();
    ask(HOME, CALL, 9, GONE);
    decide();
    assert_int_equal(out.change[0].cseq, 9);
    ask(OTHER, "new", 99, GONE); /* another Call-ID's number says nothing */
    decide();
    assert_int_equal(out.change[0].cseq, 5);
}

static void test_star_removes_all_live(void **state)
{
    struct binding *b;
    uint32_t home_id, desk_id;

    (void)state;
    config.auth = AUTH_NONE;
    home_id = have_home()->id;
    desk_id = have_desk()->id;
    b = have("sip:anna@10.0.0.3", "10.0.0.3", "third", 1);
    bury(b->id, 2);
    ask(HOME, CALL, 6, STAR);
    decide();
    assert_int_equal(out.changes, 2);
    assert_change(0, CHANGE_REMOVE, home_id, 0);
    assert_change(1, CHANGE_REMOVE, desk_id, 0);
    assert_true(out.empties);
}

/* A tombstone is replaced by its phone's next REGISTER, not by a copy. */
static void test_tombstone_revives(void **state)
{
    uint32_t id = have_home()->id;

    (void)state;
    have_desk();
    bury(id, 8);
    config.auth = AUTH_NONE;
    ask(HOME, CALL, 9, HOME_CONTACT);
    decide();
    assert_int_equal(out.verdict, REG_ABSORBED);
    assert_change(0, CHANGE_REPLACE, id, 0);
    /* A phone that was restarted counts anew. */
    ask(HOME, "new", 1, HOME_CONTACT);
    decide();
    assert_change(0, CHANGE_REPLACE, id, 0);
    /* It has no flow any more. */
    config.auth = AUTH_UPSTREAM;
    ask(HOME, CALL, 9, HOME_CONTACT);
    assert_int_equal(rules_proof(record, &rq, fake.rt.now_ms, &config), PROOF_ABSENT);
}

/* A live binding that ran out this very millisecond is none. */
static void test_expired_binding_is_none(void **state)
{
    struct binding *b = have_home();

    (void)state;
    b->expires_ms = fake.rt.now_ms;
    config.auth = AUTH_UPSTREAM;
    ask(HOME, CALL, 6, HOME_CONTACT);
    decide();
    assert_int_equal(out.verdict, REG_FORWARD);
    config.auth = AUTH_NONE;
    decide();
    assert_int_equal(out.verdict, REG_FORWARD); /* it is the first again */
    assert_false(out.empties);
}

static void test_flow_that_was_not_proved(void **state)
{
    (void)state;
    have_home()->flags = 0;
    ask(HOME, CALL, 6, HOME_CONTACT);
    decide();
    assert_int_equal(out.verdict, REG_FORWARD);
}

/* Nor does an older number prove anything. */
static void test_lower_cseq_proves_nothing(void **state)
{
    (void)state;
    have_home();
    ask(HOME, CALL, 5, HOME_CONTACT);
    assert_int_equal(rules_proof(record, &rq, fake.rt.now_ms, &config), PROOF_FLOW);
    ask(HOME, CALL, 4, HOME_CONTACT);
    assert_int_equal(rules_proof(record, &rq, fake.rt.now_ms, &config), PROOF_ABSENT);
}

/* ---- max-contacts --------------------------------------------------------------------- */

static void have_many(unsigned n)
{
    char uri[64];

    for (unsigned i = 0; i < n; i++) {
        snprintf(uri, sizeof uri, "sip:anna@10.1.0.%u", i);
        have(uri, "10.1.0.1", "many", 1);
    }
}

static void test_max_contacts(void **state)
{
    (void)state;
    config.auth = AUTH_NONE;
    config.max_contacts = 3;
    have_many(3);
    ask(OTHER, "new", 1, NEW_CONTACT);
    decide();
    assert_refused(403);
    /* A refresh, a removal and an exchange are possible. */
    ask(OTHER, "many", 2, "Contact: <sip:anna@10.1.0.1>\r\n");
    decide();
    assert_int_equal(out.verdict, REG_ABSORBED);
    ask(OTHER, "many", 2, "Contact: <sip:anna@10.1.0.1>;expires=0\r\n" NEW_CONTACT);
    decide();
    assert_int_equal(out.verdict, REG_ABSORBED);
    /* Two at once for one place. */
    bury(1, 1);
    ask(OTHER, "new", 1, NEW_CONTACT "Contact: <sip:anna@10.0.0.8>\r\n");
    decide();
    assert_refused(403);
    /* A tombstone that revives counts too. */
    ask(OTHER, "many", 2, "Contact: <sip:anna@10.1.0.0>\r\n" NEW_CONTACT);
    decide();
    assert_refused(403);
    /* More than allowed, after max-contacts was lowered: refreshed and removed all the same. */
    config.max_contacts = 1;
    ask(OTHER, "many", 2, "Contact: <sip:anna@10.1.0.1>\r\n");
    decide();
    assert_int_equal(out.verdict, REG_ABSORBED);
}

/* Tombstones do not count, and do not stand in anybody's way. */
static void test_many_tombstones(void **state)
{
    (void)state;
    config.auth = AUTH_NONE;
    have_home();
    have_many(140);
    for (uint32_t id = 2; id <= 141; id++)
        bury(id, 1);
    ask(HOME, CALL, 6, HOME_CONTACT);
    decide();
    assert_int_equal(out.verdict, REG_ABSORBED);
    ask(HOME, CALL, 6, STAR);
    decide();
    assert_int_equal(out.changes, 1);
}

static void test_star_of_very_many(void **state)
{
    (void)state;
    config.auth = AUTH_NONE;
    have_many(100); /* the most that max-contacts can be */
    ask(HOME, CALL, 6, STAR);
    decide();
    assert_int_equal(out.changes, 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RULING(test_table),
        RULING(test_accepted_upstream),
        RULING(test_kinds_of_change),
        RULING(test_several_contacts),
        RULING(test_the_exact_contact_is_preferred),
        RULING(test_one_binding_is_changed_once),
        RULING(test_removal_keeps_the_higher_cseq),
        RULING(test_star_removes_all_live),
        RULING(test_tombstone_revives),
        RULING(test_expired_binding_is_none),
        RULING(test_flow_that_was_not_proved),
        RULING(test_lower_cseq_proves_nothing),
        RULING(test_max_contacts),
        RULING(test_many_tombstones),
        RULING(test_star_of_very_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

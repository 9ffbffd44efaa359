/*
 * proxy/reach: phones behind an edge proxy, RFC 3327.
 */
#include "stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define CONTACT "sip:phone@192.168.1.2:5060"
#define EDGE    "10.2.0.1:5070" /* where the REGISTERs come from */
#define OTHER   "10.2.0.9:5090" /* another address of the edge proxy */

static uint32_t bound(struct stage *s, const char *uri, const char *path, const struct flow *flow)
{
    struct aor *a;
    struct binding_spec spec = {
        .uri = span_of(uri),
        .call_id = SPAN("registration"),
        .path = span_of(path),
        .flow = flow ? *flow : fake_flow(EDGE),
        .expires_ms = s->fake.rt.now_ms + 3600000,
        .proved_ms = s->fake.rt.now_ms,
        .q = 1000,
        .flags = BINDING_FLOW_PROVED,
    };
    struct binding *b;

    assert_int_equal(location_ensure(&s->location, SPAN(AL), SPAN(AL), &a), LOCATION_OK);
    b = location_bind(&s->location, &a, &spec);
    assert_non_null(b);
    return b->id;
}

/* A phone of AL that has registered through EDGE with this Path. */
static uint32_t behind(struct stage *s, const char *path, const struct flow *flow)
{
    return bound(s, CONTACT, path, flow);
}

/* A call to AL goes to this peer, as this Request-URI with these Route values. */
static const struct fake_datagram *goes(struct stage *s, const char *peer, const char *ruri,
                                        const char *routes)
{
    const struct fake_datagram *d;
    char start[256];

    snprintf(start, sizeof start, "INVITE %s SIP/2.0\r\n", ruri);
    stage_call(s);
    d = stage_take(s, peer, start);
    if (routes)
        assert_string_equal(stage_field(d, "Route"), routes);
    else
        assert_false(stage_has(d, "Route"));
    stage_answer(s, d, 486, "");
    stage_take(s, PBX, "SIP/2.0 486");
    return d;
}

static void the_path_is_the_route(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *d;

    behind(s, "<sip:token@10.2.0.9:5090;lr>, <sip:inner;lr>", NULL);
    d = goes(s, OTHER, CONTACT, "<sip:token@10.2.0.9:5090;lr>, <sip:inner;lr>");
    assert_int_equal(d->to.transport, TRANSPORT_UDP);
    assert_true(stage_has(d, "Record-Route"));
}

static void each_path_leads_somewhere(void **state)
{
    static const struct {
        const char *path;
        const char *peer;
    } row[] = {
        {"<sip:10.2.0.9;lr>", "10.2.0.9:5060"},                   /* the default port */
        {"<sip:10.2.0.9:5090;transport=UDP;lr>", OTHER},          /* as it is */
        {"<sip:edge.example.com;lr>", EDGE},                      /* a name: its own flow */
        {"<sip:10.2.0.9:5090;transport=tcp;lr>", EDGE},           /* no datagram */
        {"<sips:10.2.0.9:5090;lr>", EDGE},                        /* nor this */
        {"<sip:10.2.0.9:5090;maddr=10.9.9.9;lr>", EDGE},          /* an odd one */
        {"<sip:[2001:db8::1]:5090;lr>", EDGE},                    /* no listener for it */
        {"<sip:127.0.0.1:5060;lr>", EDGE},                        /* to ourselves */
        {"<sip:10.0.0.5:5080;lr>", EDGE},                         /* to the main registrar */
        {"<sip:10.0.0.5:5060;lr>", EDGE},                         /* or another door of it */
        {"<sip:10.0.0.5;lr>, <sip:inner;lr>", EDGE},              /* likewise */
        {"<sip:10.2.0.9:5090;lr>;x=y, <sip:10.9.9.9;lr>", OTHER}, /* the first one counts */
    };

    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        struct stage *s = *state;

        print_message("%s\n", row[i].path);
        behind(s, row[i].path, NULL);
        goes(s, row[i].peer, CONTACT, row[i].path);
        stage_none(s, PBX, "INVITE");
        stage_fini(state);
        stage_init(state);
    }
}

/* An edge proxy on the main registrar's own host, at another port. */
static void an_edge_may_live_beside_the_main_registrar(void **state)
{
    struct stage *s = *state;
    struct flow flow = fake_flow("10.0.0.5:40000");

    behind(s, "<sip:10.0.0.5:5062;lr>", &flow);
    goes(s, "10.0.0.5:5062", CONTACT, "<sip:10.0.0.5:5062;lr>");
}

static void not_even_then_to_the_main_registrar_itself(void **state)
{
    struct stage *s = *state;
    struct flow flow = fake_flow("10.0.0.5:40000");

    behind(s, "<sip:10.0.0.5:5080;lr>", &flow);
    goes(s, "10.0.0.5:40000", CONTACT, "<sip:10.0.0.5:5080;lr>");
    stage_none(s, PBX, "INVITE");
}

static void name_leads_to(struct stage *s, const char *address)
{
    struct upstream_name *name = &s->upstreams.list[0].name;

    assert_true(address_parse(span_of(address), 0, &name->known[0]));
    name->count = 1;
}

/* Nor to another address that its name leads to. */
static void nor_to_where_else_its_name_leads(void **state)
{
    static const char *const paths[] = {"<sip:10.0.0.6:5080;lr>", "<sip:10.0.0.6;lr>"};
    struct flow beside = fake_flow("10.0.0.6:40000");

    for (size_t i = 0; i < 2; i++) {
        name_leads_to(*state, "10.0.0.6:5080");
        behind(*state, paths[i], NULL);
        goes(*state, EDGE, CONTACT, paths[i]);
        stage_fini(state);
        stage_init(state);
    }
    name_leads_to(*state, "10.0.0.6:5080");
    behind(*state, paths[0], &beside);
    goes(*state, "10.0.0.6:40000", CONTACT, paths[0]);
}

static void a_strict_router_gets_the_contact_as_last_route(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *d;

    behind(s, "<sip:10.2.0.9:5090>, <sip:inner;lr>", NULL);
    d = goes(s, OTHER, "sip:10.2.0.9:5090", "<sip:inner;lr>");
    assert_non_null(strstr(d->text, "Route: <sip:inner;lr>\r\nRoute: <" CONTACT ">\r\n"));
}

/* A connection to the edge that is gone: a Path with an address still leads there. */
/* RFC 3261 16.6 step 1: what a Contact may say and a Request-URI may not. */
static void headers_and_method_stay_behind(void **state)
{
    struct stage *s = *state;

    bound(s, CONTACT ";x;method=MESSAGE?Subject=y", "", NULL);
    goes(s, EDGE, CONTACT ";x", NULL);
}

static void nor_do_they_go_into_a_route(void **state)
{
    struct stage *s = *state;

    bound(s, CONTACT "?Subject=y", "<sip:strict@10.2.0.9:5090>", NULL);
    goes(s, OTHER, "sip:strict@10.2.0.9:5090", "<" CONTACT ">");
}

static void over_a_connection(void **state)
{
    struct stage *s = *state;
    struct flow flow = fake_flow(EDGE);
    const struct fake_datagram *d;
    uint32_t id;

    flow.transport = TRANSPORT_TCP;
    flow.connection = 7;
    id = behind(s, "<sip:10.2.0.9:5090;transport=tcp;lr>", &flow);
    d = goes(s, EDGE, CONTACT, "<sip:10.2.0.9:5090;transport=tcp;lr>");
    assert_int_equal(d->to.connection, 7);
    fake_kill(&s->fake, 7);
    stage_call(s);
    stage_take(s, PBX, "SIP/2.0 480");
    stage_leave(s, AL, id);
    behind(s, "<sip:10.2.0.9:5090;lr>", &flow);
    goes(s, OTHER, CONTACT, "<sip:10.2.0.9:5090;lr>");
}

/* Within the dialog the Record-Routes say it all; the next hop is the same. */
static void a_dialog_through_an_edge(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *d;
    char *fields;

    behind(s, "<sip:token@10.2.0.9:5090;lr>", NULL);
    stage_call(s);
    d = stage_take(s, OTHER, "INVITE");
    stage_answer(s, d, 200, "Contact: <" CONTACT ">\n");
    stage_take(s, PBX, "SIP/2.0 200");
    assert_true(asprintf(&fields,
                         "To: <sip:callee@example.com>;tag=x\n%.*s, "
                         "<sip:10.2.0.9:5090;lr>\n",
                         (int)strcspn(stage_routes(d), "\n"), stage_routes(d)) > 0);
    stage_request(s, PBX, "BYE", CONTACT, fields);
    d = stage_take(s, OTHER, "BYE " CONTACT " SIP/2.0");
    assert_string_equal(stage_field(d, "Route"), "<sip:10.2.0.9:5090;lr>");
    stage_answer(s, d, 200, "");
    stage_take(s, PBX, "SIP/2.0 200");
    free(fields);
}

static void a_kept_message_summary_takes_it_too(void **state)
{
    struct stage *s = *state;
    const struct fake_datagram *d;
    uint32_t id;

    stage_phone(s, AL, AL_1, 1000);
    stage_request(s, PBX, "NOTIFY", stage_contact(s, AL), "Event: message-summary\n");
    stage_answer(s, stage_take(s, AL_1, "NOTIFY"), 200, "");
    id = behind(s, "<sip:token@10.2.0.9:5090;lr>", NULL);
    proxy_binding_added(s->proxy, location_hash(&s->location, SPAN(AL)), id);
    d = stage_take(s, OTHER, "NOTIFY " CONTACT " SIP/2.0");
    assert_string_equal(stage_field(d, "Route"), "<sip:token@10.2.0.9:5090;lr>");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_STAGE(the_path_is_the_route),
        IN_STAGE(each_path_leads_somewhere),
        IN_STAGE(an_edge_may_live_beside_the_main_registrar),
        IN_STAGE(not_even_then_to_the_main_registrar_itself),
        IN_STAGE(nor_to_where_else_its_name_leads),
        IN_STAGE(a_strict_router_gets_the_contact_as_last_route),
        IN_STAGE(headers_and_method_stay_behind),
        IN_STAGE(nor_do_they_go_into_a_route),
        IN_STAGE(over_a_connection),
        IN_STAGE(a_dialog_through_an_edge),
        IN_STAGE(a_kept_message_summary_takes_it_too),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

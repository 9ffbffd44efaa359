/* admin/route, metrics, view: paths, methods, parameters, who may ask; and what hostile
 * bytes become in JSON and for Prometheus. */
#include "admin/metrics.h"
#include "admin/route.h"
#include "admin/view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

static struct route_request request(const char *method, const char *path)
{
    return (struct route_request){.method = method, .path = path, .is_unix = true};
}

/* The status of what is refused; 0: the core is asked. *ask_out may be NULL. */
static unsigned ask(const struct route_request *rq, struct ask **ask_out, const char **allow)
{
    const struct endpoint *at;
    struct ask *a = NULL;
    struct route_reply reply = {0};

    if (route_ask(rq, &at, &a, &reply)) {
        if (ask_out)
            *ask_out = a;
        else
            ask_free(a);
        return 0;
    }
    assert_non_null(reply.body);
    assert_non_null(strstr(reply.body, "\"remedy\":\""));
    free(reply.body);
    if (allow)
        *allow = reply.allow;
    return reply.status;
}

static void test_paths(void **state)
{
    static const struct {
        const char *method;
        const char *path;
        unsigned status;
        enum ask_kind kind;
        const char *text;
    } row[] = {
        {"GET", "/metrics", 0, ASK_FACTS, ""},
        {"HEAD", "/metrics", 0, ASK_FACTS, ""},
        {"GET", "/api/status", 0, ASK_FACTS, ""},
        {"GET", "/api/aors", 0, ASK_LIST, ""},
        {"GET", "/api/aors/al@x", 0, ASK_SHOW, "al@x"},
        {"GET", "/api/aors/kick", 0, ASK_SHOW, "kick"},
        {"POST", "/api/aors/al/kick", 0, ASK_KICK, "al"},
        {"POST", "/api/aors/a/b/kick", 0, ASK_KICK, "a/b"},
        {"POST", "/api/aors/al/reload", 0, ASK_RELOAD_AOR, "al"},
        {"POST", "/api/reload", 0, ASK_RELOAD, ""},
        {"POST", "/api/reload/stop", 0, ASK_RELOAD_STOP, ""},
        {"GET", "/", 404, ASK_FACTS, ""},
        {"GET", "", 404, ASK_FACTS, ""},
        {"GET", "/api/aors/", 404, ASK_FACTS, ""},
        {"GET", "/metrics/", 404, ASK_FACTS, ""},
        {"GET", "/api", 404, ASK_FACTS, ""},
        {"POST", "/api/status", 405, ASK_FACTS, ""},
        {"GET", "/api/reload", 405, ASK_FACTS, ""},
        {"DELETE", "/api/aors/al", 405, ASK_FACTS, ""},
        {"get", "/metrics", 405, ASK_FACTS, ""},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        struct route_request rq = request(row[i].method, row[i].path);
        struct ask *a = NULL;
        unsigned status = ask(&rq, &a, NULL);

        if (status != row[i].status)
            fail_msg("%s %s: %u", row[i].method, row[i].path, status);
        if (status)
            continue;
        assert_int_equal(a->kind, row[i].kind);
        assert_true(span_eq(a->text, span_of(row[i].text)));
        ask_free(a);
    }
}

static void test_allow(void **state)
{
    struct route_request get = request("GET", "/api/reload"), post = request("POST", "/metrics");
    const char *allow;

    (void)state;
    assert_int_equal(ask(&get, NULL, &allow), 405);
    assert_string_equal(allow, "POST");
    assert_int_equal(ask(&post, NULL, &allow), 405);
    assert_string_equal(allow, "GET, HEAD");
}

static void test_parameters(void **state)
{
    static const struct {
        const char *path;
        enum route_parameter which;
        const char *value;
        unsigned status;
    } row[] = {
        {"/api/aors", ROUTE_LIMIT, "1000", 0},
        {"/api/aors", ROUTE_LIMIT, "0", 400},
        {"/api/aors", ROUTE_LIMIT, "1001", 400},
        {"/api/aors", ROUTE_LIMIT, "-1", 400},
        {"/api/aors", ROUTE_LIMIT, "", 400},
        {"/api/aors", ROUTE_LIMIT, "9x", 400},
        {"/api/aors", ROUTE_LIMIT, "99999999999", 400},
        {"/api/aors", ROUTE_AFTER, "00000000000000ff", 0},
        {"/api/aors", ROUTE_AFTER, "ff", 400},
        {"/api/aors", ROUTE_AFTER, "00000000000000FF", 400},
        {"/api/aors", ROUTE_SEARCH, "", 0},
        {"/api/aors", ROUTE_RATE, "5", 400},
        {"/api/reload", ROUTE_RATE, "100000", 0},
        {"/api/reload", ROUTE_RATE, "100001", 400},
        {"/api/reload", ROUTE_RATE, "0", 400},
        {"/api/reload", ROUTE_DRY_RUN, "1", 0},
        {"/api/reload", ROUTE_DRY_RUN, "yes", 400},
        {"/api/reload", ROUTE_CONTACT, "x", 400},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        struct route_request rq =
            request(strcmp(row[i].path, "/api/aors") == 0 ? "GET" : "POST", row[i].path);
        unsigned status;

        rq.parameter[row[i].which] = row[i].value;
        status = ask(&rq, NULL, NULL);
        if (status != row[i].status)
            fail_msg("%s %u=%s: %u", row[i].path, row[i].which, row[i].value, status);
    }
    struct route_request rq = request("GET", "/api/aors");

    rq.unknown = "limits";
    assert_int_equal(ask(&rq, NULL, NULL), 400);
}

/* Over TCP a page of another site could ask in the operator's browser. */
static void test_who_may_ask(void **state)
{
    static const struct {
        const char *method, *host, *guard;
        unsigned status;
    } row[] = {
        {"GET", "127.0.0.1:8060", NULL, 0},
        {"GET", "localhost", NULL, 0},
        {"GET", "LOCALHOST:8060", NULL, 0},
        {"GET", "[::1]:8060", NULL, 0},
        {"GET", NULL, NULL, 403},
        {"GET", "evil.example", NULL, 403},
        {"GET", "127.0.0.1.evil.example", NULL, 403},
        {"GET", "localhost.evil", NULL, 403},
        {"POST", "127.0.0.1", "1", 0},
        {"POST", "127.0.0.1", NULL, 403},
        {"POST", "127.0.0.1", "", 403},
        {"POST", "evil.example", "1", 403},
    };

    (void)state;
    for (unsigned i = 0; i < sizeof row / sizeof *row; i++) {
        struct route_request rq = request(
            row[i].method, strcmp(row[i].method, "GET") == 0 ? "/api/status" : "/api/reload");
        unsigned status;

        rq.is_unix = false;
        rq.host = row[i].host;
        rq.guard = row[i].guard;
        status = ask(&rq, NULL, NULL);
        if (status != row[i].status)
            fail_msg("%s %s %s: %u", row[i].method, row[i].host ? row[i].host : "-",
                     row[i].guard ? row[i].guard : "-", status);
    }
}

static void test_late_and_busy(void **state)
{
    struct route_request rq = request("GET", "/api/status");
    const struct endpoint *at;
    struct route_reply reply;
    struct ask *a;

    (void)state;
    assert_true(route_ask(&rq, &at, &a, &reply));
    route_answer(at, NULL, &(struct self){0}, &reply);
    assert_int_equal(reply.status, 503);
    assert_non_null(strstr(reply.body, "within 5 seconds"));
    free(reply.body);
    route_busy(&reply);
    assert_int_equal(reply.status, 503);
    free(reply.body);
    a->result = ASK_NO_AOR;
    route_answer(at, a, &(struct self){0}, &reply);
    assert_int_equal(reply.status, 404);
    free(reply.body);
    ask_free(a);
}

/* ---- what is shown ------------------------------------------------------------------ */

static void test_labels_are_escaped(void **state)
{
    static struct facts f;
    size_t n;
    char *text;

    (void)state;
    f.upstreams = 1;
    f.upstream[0].name = "a\"b\\c\nd";
    f.upstream[0].registrar.rate = 77;
    text = metrics_text(&f, &(struct self){.pid = 1}, &n);
    assert_non_null(text);
    assert_int_equal(strlen(text), n);
    assert_non_null(strstr(text, "midreg_upstream_rate_limit{upstream=\"a\\\"b\\\\c\\nd\"} 77\n"));
    assert_non_null(strstr(text, "# TYPE midreg_upstream_rate_limit gauge\n"));
    free(text);
}

static void test_hostile_bytes_are_json(void **state)
{
    static const char hostile[] = "sip:\x1b\"\\\xff\xc3@x";
    _Alignas(8) char room[256] = {0};
    struct aor *a = (struct aor *)(void *)room;
    struct facts_lease lease = {.upstream = "pbx"};
    struct facts_aor one = {.record = a, .lease = &lease};
    struct facts_page page = {.now_ms = 1000, .first = &one, .last = &one, .count = 1};
    json_t *out, *again;
    char *text;

    (void)state;
    a->text_n = sizeof hostile - 1;
    memcpy(a + 1, hostile, sizeof hostile - 1);
    a->size = (uint32_t)aor_head_size(a);
    out = view_aor(&page);
    assert_non_null(out);
    text = json_dumps(out, JSON_COMPACT);
    assert_non_null(strstr(text, "\\u001B\\\"\\\\"));
    again = json_loads(text, 0, NULL);
    assert_true(json_equal(out, again));
    json_decref(again);
    json_decref(out);
    free(text);
}

static void test_cursors(void **state)
{
    static const uint64_t values[] = {0, 1, UINT64_MAX, UINT64_C(0x8000000000000000)};
    struct view_cursor room;
    uint64_t back;

    (void)state;
    for (unsigned i = 0; i < sizeof values / sizeof *values; i++) {
        assert_true(view_read_cursor(view_put_cursor(&room, values[i]), &back));
        assert_true(back == values[i]);
    }
    assert_false(view_read_cursor("", &back));
    assert_false(view_read_cursor("-000000000000001", &back));
    assert_false(view_read_cursor("00000000000000001", &back));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),
        cmocka_unit_test(test_allow),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_who_may_ask),
        cmocka_unit_test(test_late_and_busy),
        cmocka_unit_test(test_labels_are_escaped),
        cmocka_unit_test(test_hostile_bytes_are_json),
        cmocka_unit_test(test_cursors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}

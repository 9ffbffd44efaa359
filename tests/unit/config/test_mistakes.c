/*
 * Every mistake in a configuration is told: with file and line, what is wrong
 * and what to do; all of them, not only the first; and nothing is told twice.
 */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define GOOD                                                                                       \
    "listen = [ \"udp:127.0.0.1:5060\" ]\nupstream = { pbx = { address = \"127.0.0.1:5080\" } }\n"

struct row {
    const char *text;
    const char *message; /* the beginning of the only line that is told */
};

#define MESSAGES_SIZE 8192

static char *messages_of(const char *text)
{
    char *messages = calloc(1, MESSAGES_SIZE);
    FILE *errors = fmemopen(messages, MESSAGES_SIZE - 1, "w");
    struct config *c;

    assert_non_null(errors);
    c = config_parse(text, "t.conf", errors);
    assert_int_equal(fclose(errors), 0);
    if (c)
        fail_msg("accepted: %s", text);
    return messages;
}

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char *messages = messages_of(rows[i].text);
        char *end = strchr(messages, '\n');

        if (strncmp(messages, rows[i].message, strlen(rows[i].message)) != 0)
            fail_msg("wanted: %s\ngot: %s", rows[i].message, messages);
        if (!end || end[1])
            fail_msg("more than one line: %s", messages);
        free(messages);
    }
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof(rows)[0])

static void test_domain_policy_mistakes(void **state)
{
#define NO_POLICY(text) "t.conf:3: domain-policy \"" text "\" is not of the form DOMAIN=POLICY"
    static const struct row rows[] = {
        {GOOD "domain-policy = \"a=all\"\n", "t.conf:3: domain-policy must be a list"},
        {GOOD "domain-policy = [ \"a\" ]\n", NO_POLICY("a")},
        {GOOD "domain-policy = [ \"a=some\" ]\n", NO_POLICY("a=some")},
        {GOOD "domain-policy = [ \"sip:a=all\" ]\n", NO_POLICY("sip:a=all")},
        {GOOD "domain-policy = [ \"a=all\", \"A=hash\" ]\n",
         "t.conf:3: the domain \"a\" stands here twice; remove one"},
        {GOOD "domains = [ \"x\" ]\ndomain-policy = [ \"a=hash\" ]\n",
         "t.conf:4: domain-policy: \"a\" is none of domains; add it there"},
        {GOOD "domain-alias = [ \"a=b\" ]\ndomain-policy = [ \"a=hash\" ]\n",
         "t.conf:4: domain-policy: who registers at \"a\" belongs to \"b\"; write that one"},
        {GOOD "force-domain = \"b\"\ndomain-policy = [ \"a=hash\" ]\n",
         "t.conf:4: domain-policy: who registers at \"a\" belongs to \"b\"; write that one"},
    };

    (void)state;
    CHECK_ROWS(rows);
}

static void test_alias_mistakes(void **state)
{
#define NO_ALIAS(text) "t.conf:3: domain-alias \"" text "\" is not of the form NAME=DOMAIN"
    static const struct row rows[] = {
        {GOOD "domain-alias = \"a=b\"\n", "t.conf:3: domain-alias must be a list"},
        {GOOD "domain-alias = [ \"a\" ]\n", NO_ALIAS("a")},
        {GOOD "domain-alias = [ \"a =\" ]\n", NO_ALIAS("a =")},
        {GOOD "domain-alias = [ \"=b\" ]\n", NO_ALIAS("=b")},
        {GOOD "domain-alias = [ \"sip:a=b\" ]\n", NO_ALIAS("sip:a=b")},
        {GOOD "domain-alias = [ \"a=b\", \"A =c\" ]\n",
         "t.conf:3: the alias \"a\" stands here twice; remove one"},
        {GOOD "domain-alias = [ \"a=b\", \"b=c\" ]\n",
         "t.conf:3: domain-alias: \"b\" is an alias itself"},
        {GOOD "domains = [ \"x\" ]\ndomain-alias = [ \"a=b\" ]\n",
         "t.conf:4: domain-alias: \"b\" is none of domains"},
        {GOOD "domains = [ \"a\", \"b\" ]\ndomain-alias = [ \"a=b\" ]\n",
         "t.conf:4: domain-alias: \"a\" is a domain itself"},
        {GOOD "force-domain = \"b\"\ndomain-alias = [ \"a=b\" ]\n",
         "t.conf:4: domain-alias says nothing beside force-domain"},
        {GOOD "domains = [ \"a\" ]\nforce-domain = \"b\"\n",
         "t.conf:4: force-domain \"b\" is none of domains"},
        {GOOD "force-domain = \"sip:b\"\n", "t.conf:3: force-domain = \"sip:b\" is no domain"},
        {GOOD "force-domain = 3\n", "t.conf:3: force-domain must be a string"},
    };

    (void)state;
    CHECK_ROWS(rows);
}

static void test_syntax(void **state)
{
    static const struct row rows[] = {
        {"listen = [\n\"udp:127.0.0.1\"\n", "t.conf:3: syntax error; look at this line"},
        {GOOD "min-expires = = 3\n", "t.conf:3: syntax error"},
        {GOOD "rate = 3\nrate = 4\n", "t.conf:4: duplicate setting name; remove one"},
    };

    (void)state;
    CHECK_ROWS(rows);
}

static void test_unknown(void **state)
{
    static const struct row rows[] = {
        {GOOD "phone-expire = 3\n",
         "t.conf:3: unknown option \"phone-expire\"; did you mean \"phone-expires\"?"},
        {GOOD "phone_expires = 90\n",
         "t.conf:3: unknown option \"phone_expires\"; did you mean \"phone-expires\"?"},
        {GOOD "domian = [ ]\n", "t.conf:3: unknown option \"domian\"; did you mean \"domains\"?"},
        {GOOD "whatever-this-is = 3\n",
         "t.conf:3: unknown option \"whatever-this-is\"; `midreg defaults` lists"},
        {GOOD "rate = 3\n", "t.conf:3: rate does not belong here; move it into an upstream"},
        {"listen = [ \"udp:127.0.0.1\" ]\nupstream = { a = { address = \"127.0.0.1:1\",\n"
         "adress = \"x\" } }\n",
         "t.conf:3: unknown option \"adress\" in upstream a; did you mean \"address\"?"},
        {"listen = [ \"udp:127.0.0.1\" ]\nupstream = { a = { address = \"127.0.0.1:1\",\n"
         "mode = \"aor\" } }\n",
         "t.conf:3: mode does not belong in an upstream; move it out"},
    };

    (void)state;
    CHECK_ROWS(rows);
}

static void test_types(void **state)
{
    static const struct row rows[] = {
        {GOOD "allow-open-upstream = 1\n",
         "t.conf:3: allow-open-upstream must be true or false, not a number"},
        {GOOD "max-contacts = \"3\"\n", "t.conf:3: max-contacts must be a whole number, not a st"},
        {GOOD "max-contacts = 3.5\n", "t.conf:3: max-contacts must be a whole number, not a numb"},
        {GOOD "phone-expires = true\n", "t.conf:3: phone-expires must be a duration, not true or"},
        {GOOD "mode = 3\n", "t.conf:3: mode must be a string, not a number"},
        {GOOD "state-dir = [ ]\n", "t.conf:3: state-dir must be a string, not a list"},
        {GOOD "advertise = { }\n", "t.conf:3: advertise must be a string, not a group { }"},
        {GOOD "domains = \"example.com\"\n", "t.conf:3: domains must be a list of strings"},
        {GOOD "domains = [ 3 ]\n", "t.conf:3: entry 1 of domains is no string"},
        {"listen = [ \"udp:127.0.0.1\" ]\nupstream = \"127.0.0.1:5080\"\n",
         "t.conf:2: upstream must be a group"},
        {"listen = [ \"udp:127.0.0.1\" ]\nupstream = { address = \"127.0.0.1:5080\" }\n",
         "t.conf:2: upstream.address must be a group under a name"},
    };

    (void)state;
    CHECK_ROWS(rows);
}

static void test_ranges(void **state)
{
    static const struct row rows[] = {
        {GOOD "max-contacts = 0\n",
         "t.conf:3: max-contacts = 0 is out of range; it must be from 1 to 100"},
        {GOOD "max-contacts = 9000000000L\n", "t.conf:3: max-contacts = 9000000000 is out of ran"},
        {GOOD "expires-jitter = -1\n", "t.conf:3: expires-jitter = -1 is out of range"},
        {GOOD "phone-expires = 0\n",
         "t.conf:3: phone-expires is out of range; it must be from 1s to 1d"},
        {GOOD "phone-expires = \"2w\"\n", "t.conf:3: phone-expires is out of range"},
        {GOOD "phone-expires = 90.5\n", "t.conf:3: phone-expires must be whole seconds"},
        {GOOD "fork-timeout = \"20 s\"\n", "t.conf:3: fork-timeout = \"20 s\" is no duration"},
        {GOOD "fork-timeout = \"0x20\"\n", "t.conf:3: fork-timeout = \"0x20\" is no duration"},
        {GOOD "fork-timeout = \"1e3\"\n", "t.conf:3: fork-timeout = \"1e3\" is no duration"},
        {GOOD "fork-timeout = \"nan\"\n", "t.conf:3: fork-timeout = \"nan\" is no duration"},
        {GOOD "fork-timeout = \"\"\n", "t.conf:3: fork-timeout = \"\" is no duration"},
        {GOOD "fork-timeout = 1e400\n", "t.conf:3: fork-timeout is out of range"},
        {GOOD "state-dir = \"\"\n", "t.conf:3: state-dir is empty"},
        {GOOD "advertise = \"0.0.0.0\"\n", "t.conf:3: advertise = \"0.0.0.0\" is no address that"},
        {GOOD "advertise = \"pbx.example.com\"\n", "t.conf:3: advertise = \"pbx.example.com\" is "},
        {GOOD "log-level = \"loud\"\n",
         "t.conf:3: log-level = \"loud\" is not known; choose from \"warn\", \"info\", \"debug\""},
        {GOOD "domains = [ ]\n", "t.conf:3: domains is empty"},
        {GOOD "domains = [ \"sip:example.com\" ]\n", "t.conf:3: \"sip:example.com\" is no domain"},
        {GOOD "domains = [ \"a..b\" ]\n", "t.conf:3: \"a..b\" is no domain"},
        {GOOD "domains = [ \"a.b\",\n\"A.B\" ]\n", "t.conf:4: the domain \"A.B\" stands here twi"},
        {GOOD "strip-headers = [ \"X Foo\" ]\n", "t.conf:3: \"X Foo\" is no header name"},
        {GOOD "strip-headers = [ \"*\" ]\n", "t.conf:3: \"*\" is no header name"},
        {GOOD "strip-headers = [ \"c*\" ]\n", "t.conf:3: \"c*\" would remove Call-ID"},
        {GOOD "strip-headers = [ \"via\" ]\n", "t.conf:3: \"via\" would remove Via"},
    };

    (void)state;
    CHECK_ROWS(rows);
}

static void test_not_built_yet(void **state)
{
    static const struct row rows[] = {
        {GOOD "mode = \"mirror\"\n",
         "t.conf:3: mode = \"mirror\" is not built yet in this version; choose from \"aor\""},
        {GOOD "auth = \"local\"\n",
         "t.conf:3: auth = \"local\" is not built yet in this version; choose from \"upstream\", "},
        {GOOD "store = \"mysql:/var/lib/midreg\"\n",
         "t.conf:3: store = \"mysql:/var/lib/midreg\" is not known; choose from \"sqlite\""},
        {GOOD "store = \"sqlite:\"\n", "t.conf:3: store = \"sqlite:\" is not known"},
        {"listen = [ \"udp:127.0.0.1\",\n\"ws:127.0.0.1:5060\" ]\n"
         "upstream = { a = { address = \"127.0.0.1:5080\" } }\n",
         "t.conf:2: listen \"ws:127.0.0.1:5060\": ws is not built yet in this version"},
        {"listen = [ \"wss:127.0.0.1\" ]\nupstream = { a = { address = \"127.0.0.1:5080\" } }\n",
         "t.conf:1: listen \"wss:127.0.0.1\": wss is not built yet in this version"},
        {"listen = [ \"udp:127.0.0.1\" ]\nupstream = { "
#define ONE(name, port) name " = { address = \"127.0.0.1:" #port "\" }, "
         ONE("a", 5080) ONE("b", 5081) ONE("c", 5082) ONE("d", 5083) ONE("e", 5084) ONE("f", 5085)
             ONE("g", 5086) ONE("h", 5087) ONE("i", 5088) ONE("j", 5089) ONE("k", 5090)
                 ONE("l", 5091) ONE("m", 5092) ONE("n", 5093) ONE("o", 5094) ONE("p", 5095)
#undef ONE
                     "\nq = { address = \"127.0.0.1:5099\" } }\n",
         "t.conf:3: upstream q is one too many: this version knows 16"},
    };

    (void)state;
    CHECK_ROWS(rows);
}

static void test_sources(void **state)
{
#define OWN(text)                                                                                  \
    "listen = [ \"udp:127.0.0.1:5060\" ]\nupstream = { pbx = { address = "                         \
    "\"127.0.0.1:5080\"\n" text " } }\n"
#define SOURCES "sources = [ \"127.0.0.1\" ]\n"
#define LISTEN  "listen = [ \"udp:127.0.0.1:5090\", \"tcp:127.0.0.1:5090\" ]\n"
    static const struct row rows[] = {
        {OWN(SOURCES), "t.conf:3: sources of upstream pbx without listen: a phone may have"},
        {OWN(LISTEN), "t.conf:3: listen of upstream pbx without sources: nobody would be"},
        {OWN(LISTEN "sources = \"10.0.0.1\"\n"), "t.conf:4: sources must be a list of strings"},
        {OWN(LISTEN "sources = [ ]\n"), "t.conf:4: sources is empty"},
        {OWN(LISTEN "sources = [ \"pbx\" ]\n"), "t.conf:4: sources \"pbx\" is no IP address"},
        {OWN(LISTEN "sources = [ \"10.0.0.1:5080\" ]\n"),
         "t.conf:4: sources \"10.0.0.1:5080\" is no IP address or network"},
        {OWN(LISTEN "sources = [ \"10.0.0.0/33\" ]\n"), "t.conf:4: sources \"10.0.0.0/33\" is no"},
        {OWN(LISTEN "sources = [ \"10.0.0.0/\" ]\n"), "t.conf:4: sources \"10.0.0.0/\" is no IP"},
        {OWN(LISTEN "sources = [ \"10.0.0.1/24\" ]\n"),
         "t.conf:4: sources \"10.0.0.1/24\" has an address within the network"},
        {OWN(LISTEN "sources = [ \"::/0\" ]\n"), "t.conf:4: sources \"::/0\" is everybody"},
        {OWN(SOURCES "listen = [ \"10.0.0.1:5060\" ]\n"),
         "t.conf:4: listen \"10.0.0.1:5060\" does not begin with a transport"},
        {OWN(SOURCES "listen = [ \"tcp:127.0.0.1:5090\" ]\n"),
         "t.conf:4: listen of upstream pbx has no udp: address that can send to it"},
        {"domains = [ \"a.b\" ]\nlisten = [ \"udp:0.0.0.0:5060\" ]\n"
         "upstream = { pbx = { address = \"10.0.0.5\"\n"
         "sources = [ \"10.0.0.5\" ]\nlisten = [ \"udp:10.0.0.9:5060\" ] } }\n",
         "t.conf:5: listen \"udp:10.0.0.9:5060\" is no entry of listen and takes the port of entry "
         "1 there; write it as it stands there"},
        {"domains = [ \"a.b\" ]\nlisten = [ \"udp:0.0.0.0:5060\" ]\n"
         "upstream = { pbx = { address = \"10.0.0.5\"\n"
         "sources = [ \"10.0.0.5\" ]\nlisten = [ \"udp:10.0.0.9\", \"tcp:10.0.0.9\" ] } }\n",
         "t.conf:5: listen \"udp:10.0.0.9:5060\" is no entry of listen"},
    };

    (void)state;
    CHECK_ROWS(rows);
}

static void test_contradictions(void **state)
{
    static const struct row rows[] = {
        {GOOD "phone-expires = 30\n",
         "t.conf:3: min-expires (60 s) is longer than phone-expires (30 s)"},
        {GOOD "min-expires = 180\n",
         "t.conf:3: min-expires (180 s) is longer than phone-expires (120 s)"},
        {GOOD "upstream-expires = 200\n",
         "t.conf:3: upstream-expires (200 s) is less than twice phone-expires (120 s)"},
        {GOOD "timer-c = 10\n", "t.conf:3: fork-timeout is longer than timer-c"},
        {GOOD "forward-timeout = 20\n", "t.conf:3: forward-timeout is longer than forward-timeou"},
        {"upstream = { a = { address = \"127.0.0.1:5080\" } }\n", "t.conf: domains is missing"},
        {"listen = [ \"udp:127.0.0.1\", \"udp:10.0.0.9:5060\" ]\n"
         "upstream = { a = { address = \"127.0.0.1:5080\" } }\n",
         "t.conf:1: domains is missing"},
        {"listen = [ \"udp:127.0.0.1\" ]\n", "t.conf: there is no upstream"},
        {"listen = [ \"udp:127.0.0.1\" ]\nupstream = { }\n", "t.conf:2: there is no upstream"},
        {"listen = [ \"udp:127.0.0.1\" ]\nupstream = { a = { } }\n",
         "t.conf:2: upstream a has no address"},
        {"listen = [ ]\nupstream = { a = { address = \"127.0.0.1:5080\" } }\n",
         "t.conf:1: listen is empty"},
        {"listen = [ \"udp:127.0.0.1\",\n\"udp:127.0.0.1:5060\" ]\n"
         "upstream = { a = { address = \"127.0.0.1:5080\" } }\n",
         "t.conf:2: listen \"udp:127.0.0.1:5060\" takes the same port as entry 1"},
        {"domains = [ \"a.b\" ]\nlisten = [ \"udp:0.0.0.0\",\n\"udp:10.0.0.1\" ]\n"
         "upstream = { a = { address = \"10.0.0.2\" } }\n",
         "t.conf:3: listen \"udp:10.0.0.1\" takes the same port as entry 1"},
        {"listen = [ \"udp:127.0.0.1\" ]\nupstream = { a = { address = \"127.0.0.1\" } }\n",
         "t.conf:2: the address of upstream a is our own"},
        {"domains = [ \"a.b\" ]\nupstream = { a = { address = \"127.0.0.1:5060\" } }\n",
         "t.conf:2: the address of upstream a is our own"},
        {"listen = [ \"udp:127.0.0.1\" ]\nupstream = { a = { address = \"10.0.0.5:5080\" } }\n",
         "t.conf:2: no udp: listener can send to upstream a"},
        {"listen = [ \"udp:127.0.0.1\" ]\nupstream = { a = { address = \"[::1]:5080\" } }\n",
         "t.conf:2: no udp: listener can send to upstream a"},
        {"listen = [ \"tcp:127.0.0.1\" ]\nupstream = { a = { address = \"127.0.0.1:5080\" } }\n",
         "t.conf:2: no udp: listener can send to upstream a"},
        {"listen = [ \"udp:127.0.0.1\", \"tcp:127.0.0.1\",\n\"tcp:127.0.0.1:5060\" ]\n"
         "upstream = { a = { address = \"127.0.0.1:5080\" } }\n",
         "t.conf:2: listen \"tcp:127.0.0.1:5060\" takes the same port as entry 2"},
        {"listen = [ \"udp:127.0.0.1\" ]\n\nupstream = { a = { address = \"127.0.0.1:5080\" }, "
         "b = { address = \"127.0.0.2:5080\" }, c = { address = \"127.0.0.1:5080\" } }\n",
         "t.conf:3: upstreams a and c have the same address: nobody could tell which of them a "
         "message is from"},
        {"listen = [ \"udp:127.0.0.1\" ]\npolicy = \"all\"\nupstream = { "
         "a = { address = \"127.0.0.1:5080\" }, b = { address = \"127.0.0.1:5090\", "
         "means = \"none\" } }\n",
         "t.conf:2: policy = \"all\" registers each identity at all main registrars, which midreg "
         "cannot do at upstream b with means = \"none\": have it trust midreg's address"},
    };

    (void)state;
    CHECK_ROWS(rows);
}

static void test_all_are_told(void **state)
{
    char *messages = messages_of("phone-expire = 3\n"
                                 "max-contacts = 0\n"
                                 "listen = [ \"5060\",\n"
                                 "\"tls:127.0.0.1\" ]\n"
                                 "upstream = { a = { address = \"10.0.0\", rate = -1 } }\n");

    (void)state;
    assert_non_null(strstr(messages, "t.conf:1: unknown option"));
    assert_non_null(strstr(messages, "t.conf:2: max-contacts"));
    assert_non_null(strstr(messages, "t.conf:3: listen \"5060\" does not begin"));
    assert_non_null(strstr(messages, "t.conf:4: listen \"tls:127.0.0.1\": tls is not built"));
    assert_non_null(strstr(messages, "t.conf:5: address = \"10.0.0\" is no IP address"));
    assert_non_null(strstr(messages, "t.conf:5: rate = -1 is out of range"));
    free(messages);
}

static void test_unreadable(void **state)
{
    char text[256] = "";
    FILE *errors = fmemopen(text, sizeof text - 1, "w");

    (void)state;
    assert_non_null(errors);
    assert_null(config_load("/nowhere/midreg.conf", errors));
    assert_null(config_load("/tmp", errors));
    assert_int_equal(fclose(errors), 0);
    assert_non_null(strstr(text, "/nowhere/midreg.conf: cannot be read: No such file"));
    assert_non_null(strstr(text, "/tmp: cannot be read: Is a directory"));
}

static void test_event_socket_mistakes(void **state)
{
#define EVENTS(text)                                                                               \
    "listen = [ \"udp:127.0.0.1\" ]\nupstream = { a = { address = \"127.0.0.1:5080\";\n"           \
    "event-socket = " text " } }\n"
    static const struct row rows[] = {
        {EVENTS("\"10.0.0.5:8021\""), "t.conf:3: event-socket must be a group"},
        {EVENTS("{ password = \"x\"; }"), "t.conf:3: event-socket has no address"},
        {EVENTS("{ address = \"10.0.0.5\"; }"), "t.conf:3: event-socket has no password"},
        {EVENTS("{ address = \"freeswitch\"; password = \"x\"; }"), "t.conf:3: address"},
        {EVENTS("{ address = \"10.0.0.5\"; password = \"\"; }"), "t.conf:3: password is empty"},
        {EVENTS("{ address = \"10.0.0.5\"; password = \"x\\ny\"; }"),
         "t.conf:3: password holds a control character"},
        {EVENTS("{ address = \"10.0.0.5\"; password = \"x\"; profile = \"a b\"; }"),
         "t.conf:3: profile = \"a b\" is no name of a SIP profile"},
        {EVENTS("{ adress = \"10.0.0.5\"; address = \"10.0.0.5\"; password = \"x\"; }"),
         "t.conf:3: unknown option \"adress\" in event-socket of upstream a; did you mean "
         "\"address\"?"},
    };

    (void)state;
    CHECK_ROWS(rows);
#undef EVENTS
}

static void test_admin_mistakes(void **state)
{
    static const struct row rows[] = {
        {GOOD "admin = \"127.0.0.1:8060\"\n", "t.conf:3: admin must be a list"},
        {GOOD "admin = [ \"0.0.0.0:8060\" ]\n", "t.conf:3: admin \"0.0.0.0:8060\""},
        {GOOD "admin = [ \"192.0.2.1:8060\" ]\n", "t.conf:3: admin \"192.0.2.1:8060\""},
        {GOOD "admin = [ \"unix:\" ]\n", "t.conf:3: admin \"unix:\""},
        {GOOD "admin = [ 8060 ]\n", "t.conf:3: entry 1 of admin is no string"},
    };

    (void)state;
    CHECK_ROWS(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_event_socket_mistakes),
        cmocka_unit_test(test_admin_mistakes),
        cmocka_unit_test(test_alias_mistakes),
        cmocka_unit_test(test_domain_policy_mistakes),
        cmocka_unit_test(test_syntax),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_not_built_yet),
        cmocka_unit_test(test_contradictions),
        cmocka_unit_test(test_all_are_told),
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_sources),
    };

    return cmocka_run_group_tests_name("config-mistakes", tests, NULL, NULL);
}

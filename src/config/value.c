/*
 * config/value: reads one scalar setting by its row of the option table.
 *
 * Wrong types, unknown choices and values out of range are told with what would
 * be right. Main thread only.
 */
#include "config/reader.h"

#include <math.h>
#include <stdlib.h>

/* What the setting is, in the words of a message. */
static const char *setting_kind(const config_setting_t *s)
{
    switch (config_setting_type(s)) {
    case CONFIG_TYPE_INT:
    case CONFIG_TYPE_INT64:
        return "a number";
    case CONFIG_TYPE_FLOAT:
        return "a number with a fraction";
    case CONFIG_TYPE_STRING:
        return "a string";
    case CONFIG_TYPE_BOOL:
        return "true or false";
    case CONFIG_TYPE_GROUP:
        return "a group { }";
    default:
        return "a list";
    }
}

static void wrong_type(struct reader *r, const struct option *o, const config_setting_t *s,
                       const char *wanted)
{
    const char *example = o->example ? o->example : o->fallback;

    reader_mistake(r, s, "%s must be %s, not %s; write for example %s = %s", o->name, wanted,
                   setting_kind(s), o->name, example);
}

static bool is_whole(const config_setting_t *s)
{
    return config_setting_type(s) == CONFIG_TYPE_INT || config_setting_type(s) == CONFIG_TYPE_INT64;
}

static bool is_string(const config_setting_t *s)
{
    return config_setting_type(s) == CONFIG_TYPE_STRING;
}

static long long whole_of(const config_setting_t *s)
{
    return config_setting_type(s) == CONFIG_TYPE_INT ? config_setting_get_int(s)
                                                     : config_setting_get_int64(s);
}

static void read_bool(struct reader *r, const struct option *o, config_setting_t *s, bool *out)
{
    if (config_setting_type(s) != CONFIG_TYPE_BOOL) {
        wrong_type(r, o, s, "true or false");
        return;
    }
    *out = config_setting_get_bool(s) != 0;
}

static void read_number(struct reader *r, const struct option *o, config_setting_t *s,
                        uint32_t *out)
{
    long long value;

    if (!is_whole(s)) {
        wrong_type(r, o, s, "a whole number");
        return;
    }
    value = whole_of(s);
    if (value < (long long)o->min || value > (long long)o->max) {
        reader_mistake(r, s, "%s = %lld is out of range; it must be from %llu to %llu", o->name,
                       value, (unsigned long long)o->min, (unsigned long long)o->max);
        return;
    }
    *out = (uint32_t)value;
}

/* Reads "500ms", "1.5s", "2m", "1h", "1d", "1w" or "90" as milliseconds; -1: not
 * a duration. */
static double duration_text_ms(const char *text)
{
    static const struct {
        const char *name;
        double ms;
    } units[] = {{"ms", 1},         {"s", 1000},        {"", 1000},         {"m", 60e3},
                 {"h", 3600 * 1e3}, {"d", 86400 * 1e3}, {"w", 604800 * 1e3}};
    size_t digits = strspn(text, "0123456789");
    size_t number = strspn(text, "0123456789.");
    char *end;
    double value;

    if (digits == 0)
        return -1;
    value = strtod(text, &end);
    if (end != text + number) /* "1.2.3", "1e3", "0x10" */
        return -1;
    for (unsigned i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcmp(end, units[i].name) == 0)
            return value * units[i].ms;
    return -1;
}

/* The setting as milliseconds, in range; -1 after a mistake was told. */
static double read_duration(struct reader *r, const struct option *o, config_setting_t *s)
{
    struct duration_text min, max;
    double ms;

    if (is_whole(s)) {
        ms = (double)whole_of(s) * 1000;
    } else if (config_setting_type(s) == CONFIG_TYPE_FLOAT) {
        ms = config_setting_get_float(s) * 1000;
    } else if (is_string(s)) {
        ms = duration_text_ms(config_setting_get_string(s));
        if (ms < 0) {
            reader_mistake(r, s,
                           "%s = \"%s\" is no duration; write a number of seconds or a number "
                           "with a unit: \"500ms\", \"30s\", \"2m\", \"1h\", \"1d\", \"1w\"",
                           o->name, config_setting_get_string(s));
            return -1;
        }
    } else {
        wrong_type(r, o, s, "a duration");
        return -1;
    }
    if (!(ms >= (double)o->min && ms <= (double)o->max)) {
        reader_mistake(r, s, "%s is out of range; it must be from %s to %s", o->name,
                       duration_format(&min, o->min), duration_format(&max, o->max));
        return -1;
    }
    return round(ms);
}

static void read_seconds(struct reader *r, const struct option *o, config_setting_t *s,
                         uint32_t *out)
{
    double ms = read_duration(r, o, s);

    if (ms < 0)
        return;
    if (fmod(ms, 1000) != 0) {
        reader_mistake(r, s, "%s must be whole seconds: SIP knows no fractions of them", o->name);
        return;
    }
    *out = (uint32_t)(ms / 1000);
}

static void read_millis(struct reader *r, const struct option *o, config_setting_t *s,
                        uint64_t *out)
{
    double ms = read_duration(r, o, s);

    if (ms >= 0)
        *out = (uint64_t)ms;
}

static void read_choice(struct reader *r, const struct option *o, config_setting_t *s, int *out)
{
    char known[128] = "";
    struct buf list = buf_make(known, sizeof known - 1);
    const char *text, *problem = "is not known";

    if (!is_string(s)) {
        wrong_type(r, o, s, "a string");
        return;
    }
    text = config_setting_get_string(s);
    for (const struct option_choice *choice = o->choices; choice->name; choice++) {
        if (strcmp(choice->name, text) == 0) {
            if (choice->value != OPTION_NOT_BUILT) {
                *out = choice->value;
                return;
            }
            problem = "is not built yet in this version";
        }
        if (choice->value == OPTION_NOT_BUILT)
            continue;
        if (list.n)
            buf_lit(&list, ", ");
        buf_char(&list, '"');
        buf_str(&list, choice->name);
        buf_char(&list, '"');
    }
    known[list.n] = '\0';
    reader_mistake(r, s, "%s = \"%s\" %s; choose from %s", o->name, text, problem, known);
}

static void read_text(struct reader *r, const struct option *o, config_setting_t *s, char **out)
{
    char *copy;

    if (!is_string(s)) {
        wrong_type(r, o, s, "a string");
        return;
    }
    if (*config_setting_get_string(s) == '\0') {
        reader_mistake(r, s, "%s is empty; leave it out for its default, %s", o->name, o->fallback);
        return;
    }
    copy = strdup(config_setting_get_string(s));
    if (!copy) {
        reader_mistake(r, s, "out of memory");
        return;
    }
    free(*out);
    *out = copy;
}

static void read_line(struct reader *r, const struct option *o, config_setting_t *s, char **out)
{
    const char *text = is_string(s) ? config_setting_get_string(s) : "";

    if (is_string(s) && *text == '\0') {
        reader_mistake(r, s, "%s is empty; write for example %s = %s", o->name, o->name,
                       o->example ? o->example : o->fallback);
        return;
    }
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            /* The value may be a secret. */
            reader_mistake(r, s, "%s holds a control character; write it in one line", o->name);
            return;
        }
    read_text(r, o, s, out);
}

/* "memory", "sqlite" or "sqlite:FILE". */
static void read_store(struct reader *r, const struct option *o, config_setting_t *s)
{
    const char *text;
    char *path = NULL;

    if (!is_string(s)) {
        wrong_type(r, o, s, "a string");
        return;
    }
    text = config_setting_get_string(s);
    if (strncmp(text, "sqlite:", 7) == 0 && text[7]) {
        path = strdup(text + 7);
        if (!path) {
            reader_mistake(r, s, "out of memory");
            return;
        }
    } else if (strcmp(text, "sqlite") != 0 && strcmp(text, "memory") != 0) {
        reader_mistake(r, s,
                       "store = \"%s\" is not known; choose from \"sqlite\", \"sqlite:FILE\", "
                       "\"memory\"",
                       text);
        return;
    }
    free(r->config->store_path);
    r->config->store_path = path;
    r->config->store = *text == 'm' ? STORE_MEMORY : STORE_SQLITE;
}

static void read_domain(struct reader *r, const struct option *o, config_setting_t *s, char **out)
{
    if (is_string(s) && !reader_domain_valid(span_of(config_setting_get_string(s)))) {
        reader_mistake(r, s,
                       "%s = \"%s\" is no domain; write the name alone, without sip: and port",
                       o->name, config_setting_get_string(s));
        return;
    }
    read_text(r, o, s, out);
    for (char *c = *out; c && *c; c++)
        *c = ascii_lower(*c);
}

static void read_address(struct reader *r, const struct option *o, config_setting_t *s,
                         struct address *out)
{
    struct address address;
    const char *text;

    if (!is_string(s)) {
        wrong_type(r, o, s, "a string");
        return;
    }
    text = config_setting_get_string(s);
    if (!address_parse(span_of(text), o->port, &address))
        reader_mistake(
            r, s, "%s = \"%s\" is no IP address%s with an optional port; write for example %s%s",
            o->name, text, o->type == OPTION_PLACE ? " or host name" : "", o->example,
            o->type == OPTION_PLACE ? ""
                                    : " (host names are looked up for the address of "
                                      "an upstream alone)");
    else if (address_is_any(&address))
        reader_mistake(r, s, "%s = \"%s\" is no address that can be sent to; write the real one",
                       o->name, text);
    else
        *out = address;
}

void reader_value(struct reader *r, const struct option *o, config_setting_t *s, void *base)
{
    void *field = (char *)base + o->field;

    switch (o->type) {
    case OPTION_BOOL:
        read_bool(r, o, s, field);
        break;
    case OPTION_NUMBER:
        read_number(r, o, s, field);
        break;
    case OPTION_SECONDS:
        read_seconds(r, o, s, field);
        break;
    case OPTION_MILLIS:
        read_millis(r, o, s, field);
        break;
    case OPTION_CHOICE:
        read_choice(r, o, s, field);
        break;
    case OPTION_TEXT:
        read_text(r, o, s, field);
        break;
    case OPTION_LINE:
        read_line(r, o, s, field);
        break;
    case OPTION_STORE:
        read_store(r, o, s);
        break;
    case OPTION_ADDRESS:
        read_address(r, o, s, field);
        break;
    case OPTION_PLACE:
        if (!is_string(s) || !reader_place(r, o, s, base))
            read_address(r, o, s, field);
        break;
    case OPTION_LISTENERS:
        reader_listeners(r, s);
        break;
    case OPTION_ALIASES:
        reader_aliases(r, s);
        break;
    case OPTION_POLICIES:
        reader_domain_policies(r, s);
        break;
    case OPTION_DOMAIN:
        read_domain(r, o, s, field);
        break;
    case OPTION_DOMAINS:
        reader_domains(r, s);
        break;
    case OPTION_HEADERS:
        reader_headers(r, s);
        break;
    case OPTION_UPSTREAMS:
        reader_upstreams(r, s);
        break;
    case OPTION_ADMIN:
        reader_admin(r, s);
        break;
    case OPTION_SOURCES:
        reader_sources(r, s, base);
        break;
    case OPTION_OWN:
        reader_upstream_listen(r, s, base);
        break;
    case OPTION_EVENTS:
        reader_event_socket(r, s, base);
        break;
    }
}

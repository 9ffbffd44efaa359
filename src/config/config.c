/*
 * config/config: from a file to a complete struct config.
 *
 * libconfig reads the syntax; each setting is then read by its row of the
 * option table (value.c, list.c), what is missing keeps its default, and last
 * come the contradictions (check.c). All mistakes are told, not only the first.
 * Main thread only.
 */
#include "config/reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

void reader_mistake(struct reader *r, const config_setting_t *at, const char *format, ...)
{
    const char *file = at ? config_setting_source_file(at) : NULL;
    va_list args;

    r->mistakes++;
    if (at)
        fprintf(r->errors, "%s:%u: ", file ? file : r->name, config_setting_source_line(at));
    else
        fprintf(r->errors, "%s: ", r->name);
    va_start(args, format);
    vfprintf(r->errors, format, args);
    va_end(args);
    fputc('\n', r->errors);
}

/* Defaults are written as in a file and read the same way. */
static void apply_defaults(struct reader *r, const struct option_table *table, void *base)
{
    for (unsigned i = 0; i < table->count; i++) {
        const struct option *o = &table->options[i];
        char text[256];
        config_t one;

        if (!o->fallback)
            continue;
        snprintf(text, sizeof text, "value = %s", o->fallback);
        config_init(&one);
        if (config_read_string(&one, text))
            reader_value(r, o, config_lookup(&one, "value"), base);
        else
            reader_mistake(r, NULL, "out of memory");
        config_destroy(&one);
    }
}

static void unknown_option(struct reader *r, const struct option_table *table,
                           const config_setting_t *s, const char *group)
{
    const char *name = config_setting_name(s);
    const struct option *near = option_nearest(table, name);
    const struct option_table *other =
        table == &config_options ? &config_upstream_options : &config_options;

    if (option_find(other, name))
        reader_mistake(r, s, "%s does not belong %s; move it %s", name,
                       other == &config_options ? "in an upstream" : "here",
                       other == &config_options ? "out of the upstream" : "into an upstream");
    else if (near)
        reader_mistake(r, s, "unknown option \"%s\"%s; did you mean \"%s\"?", name, group,
                       near->name);
    else
        reader_mistake(r, s, "unknown option \"%s\"%s; `midreg defaults` lists all that there are",
                       name, group);
}

void reader_group(struct reader *r, const struct option_table *table, const config_setting_t *group,
                  const char *where, void *base)
{
    apply_defaults(r, table, base);
    for (int i = 0; i < config_setting_length(group); i++) {
        config_setting_t *s = config_setting_get_elem(group, (unsigned)i);
        const struct option *o = option_find(table, config_setting_name(s));

        if (o)
            reader_value(r, o, s, base);
        else
            unknown_option(r, table, s, where);
    }
}

static void read_upstream(struct reader *r, const config_setting_t *s, struct config_upstream *up)
{
    char where[128];

    snprintf(where, sizeof where, " in upstream %s", config_setting_name(s));
    up->name = strdup(config_setting_name(s));
    if (!up->name)
        reader_mistake(r, s, "out of memory");
    reader_group(r, &config_upstream_options, s, where, up);
    if (!config_setting_get_member(s, "address"))
        reader_mistake(r, s,
                       "upstream %s has no address; write for example address = "
                       "\"10.0.0.5:5080\"",
                       config_setting_name(s));
}

void reader_upstreams(struct reader *r, config_setting_t *s)
{
    struct config *c = r->config;

    if (!config_setting_is_group(s)) {
        reader_mistake(r, s,
                       "upstream must be a group; write for example upstream = "
                       "{ pbx = { address = \"10.0.0.5:5080\" } }");
        return;
    }
    for (int i = 0; i < config_setting_length(s); i++) {
        const config_setting_t *one = config_setting_get_elem(s, (unsigned)i);

        if (!config_setting_is_group(one)) {
            reader_mistake(r, one,
                           "upstream.%s must be a group under a name of your choice; write "
                           "for example upstream = { pbx = { %s = ... } }",
                           config_setting_name(one), config_setting_name(one));
            continue;
        }
        if (c->upstream_count == CONFIG_UPSTREAMS_MAX) {
            reader_mistake(r, one, "upstream %s is one too many: this version knows %d",
                           config_setting_name(one), CONFIG_UPSTREAMS_MAX);
            return;
        }
        read_upstream(r, one, &c->upstream[c->upstream_count++]);
    }
}

/* The result of a reading whose syntax was right; NULL after mistakes. */
static struct config *read_settings(const config_t *file, const char *name, FILE *errors)
{
    struct reader r = {.root = config_root_setting(file), .name = name, .errors = errors};

    r.config = calloc(1, sizeof *r.config);
    if (!r.config) {
        reader_mistake(&r, NULL, "out of memory");
        return NULL;
    }
    reader_group(&r, &config_options, r.root, "", r.config);
    reader_join_listeners(&r);
    reader_check(&r);
    if (r.mistakes) {
        config_free(r.config);
        return NULL;
    }
    return r.config;
}

static void syntax_mistake(const config_t *file, const char *name, FILE *errors)
{
    const char *where = config_error_file(file);
    const char *what = config_error_text(file);

    fprintf(errors, "%s:%d: %s; %s\n", where ? where : name, config_error_line(file), what,
            strstr(what, "duplicate") ? "remove one of the two"
                                      : "look at this line and the end of the one before");
}

struct config *config_load(const char *path, FILE *errors)
{
    struct config *result = NULL;
    FILE *stream = fopen(path, "re");
    struct stat what;
    config_t file;

    if (!stream || fstat(fileno(stream), &what) != 0 || S_ISDIR(what.st_mode)) {
        fprintf(errors, "%s: cannot be read: %s\n", path, strerror(stream ? EISDIR : errno));
        if (stream)
            fclose(stream);
        return NULL;
    }
    config_init(&file);
    if (config_read(&file, stream))
        result = read_settings(&file, path, errors);
    else
        syntax_mistake(&file, path, errors);
    config_destroy(&file);
    fclose(stream);
    return result;
}

struct config *config_parse(const char *text, const char *name, FILE *errors)
{
    struct config *result = NULL;
    config_t file;

    config_init(&file);
    if (config_read_string(&file, text))
        result = read_settings(&file, name, errors);
    else
        syntax_mistake(&file, name, errors);
    config_destroy(&file);
    return result;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (unsigned i = 0; i < c->domain_count; i++)
        free(c->domains[i]);
    for (unsigned i = 0; i < c->strip_count; i++)
        free(c->strip_headers[i]);
    for (unsigned i = 0; i < c->upstream_count; i++) {
        free(c->upstream[i].name);
        free(c->upstream[i].host);
        free(c->upstream[i].event_socket.password);
        free(c->upstream[i].event_socket.profile);
    }
    for (unsigned i = 0; i < c->alias_count; i++) {
        free(c->alias[i].name);
        free(c->alias[i].domain);
    }
    for (unsigned i = 0; i < c->domain_policy_count; i++)
        free(c->domain_policy[i].domain);
    for (unsigned i = 0; i < c->admin_count; i++)
        free(c->admin[i].path);
    free(c->force_domain);
    free(c->state_dir);
    free(c->store_path);
    free(c);
}

void config_advertised(const struct config *c, struct address *local)
{
    uint16_t port = c->advertise.port ? c->advertise.port : local->port;

    if (c->advertise.family == ADDRESS_NONE)
        return;
    *local = c->advertise;
    local->port = port;
}

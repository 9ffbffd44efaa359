/*
 * config/admin: reads `admin`, the addresses of the admin surface.
 *
 * Loopback and Unix sockets only: it knows no passwords. Whether it was chosen or is
 * the default is kept, as only what was chosen must be had. Main thread only.
 */
#include "config/reader.h"

#include <stdlib.h>
#include <sys/un.h>

#define ADMIN_PORT 8060
#define UNIX       "unix:"

static bool read_path(struct reader *r, const config_setting_t *at, const char *path,
                      struct config_admin *out)
{
    if (!*path || strlen(path) >= sizeof((struct sockaddr_un *)0)->sun_path) {
        reader_mistake(r, at,
                       "admin \"unix:%s\": the path must have 1 to %zu bytes; write for example "
                       "\"unix:/run/midreg/admin.sock\"",
                       path, sizeof((struct sockaddr_un *)0)->sun_path - 1);
        return false;
    }
    out->path = strdup(path);
    if (!out->path)
        reader_mistake(r, at, "out of memory");
    return out->path != NULL;
}

static bool read_address(struct reader *r, const config_setting_t *at, const char *text,
                         struct config_admin *out)
{
    if (!address_parse(span_of(text), ADMIN_PORT, &out->address)) {
        reader_mistake(r, at,
                       "admin \"%s\" is neither \"unix:PATH\" nor an IP address with a port; write "
                       "for example \"unix:/run/midreg/admin.sock\" or \"127.0.0.1:8060\"",
                       text);
        return false;
    }
    if (!address_is_loopback(&out->address)) {
        reader_mistake(r, at,
                       "admin \"%s\" is not on loopback: whoever reaches it may remove phones, as "
                       "it asks for no password; write \"127.0.0.1:%u\", and reach it from "
                       "elsewhere through ssh or a web server that asks for one",
                       text, out->address.port);
        return false;
    }
    return true;
}

static bool is_same(const struct config_admin *a, const struct config_admin *b)
{
    if (a->path || b->path)
        return a->path && b->path && strcmp(a->path, b->path) == 0;
    return a->address.port && address_equal(&a->address, &b->address);
}

static void add(struct reader *r, const config_setting_t *at, const char *text)
{
    struct config *c = r->config;
    struct config_admin one = {0};

    if (strncmp(text, UNIX, strlen(UNIX)) == 0 ? !read_path(r, at, text + strlen(UNIX), &one)
                                               : !read_address(r, at, text, &one))
        return;
    for (unsigned i = 0; i < c->admin_count; i++)
        if (is_same(&c->admin[i], &one)) {
            reader_mistake(r, at, "admin \"%s\" stands here twice; remove one", text);
            free(one.path);
            return;
        }
    c->admin[c->admin_count++] = one;
}

void reader_admin(struct reader *r, config_setting_t *s)
{
    struct list_walk walk = {r, s, "admin", "[ \"unix:/run/midreg/admin.sock\" ]", CONFIG_ADMIN_MAX,
                             0};
    struct config *c = r->config;
    const config_setting_t *element;
    const char *text;

    while (c->admin_count)
        free(c->admin[--c->admin_count].path);
    c->admin_chosen = config_setting_get_member(r->root, "admin") == s;
    if (!reader_list_begin(&walk))
        return;
    while ((text = reader_list_next(&walk, &element)))
        add(r, element, text);
}

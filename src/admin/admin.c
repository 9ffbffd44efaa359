/*
 * admin/admin: see the header.
 */
#include "admin/admin.h"

#include "admin/desk.h"
#include "admin/door.h"
#include "admin/http.h"

#include <stdarg.h>
#include <stdlib.h>

#define LINE_ROOM 640

struct admin {
    struct world *world;
    struct door door[CONFIG_ADMIN_MAX];
    unsigned doors;
    struct asks *asks;
    struct desk desk;
    struct world_guest guest;
    struct http *server;
};

__attribute__((format(printf, 3, 4))) static void say(const struct admin *a, enum log_level level,
                                                      const char *format, ...)
{
    const struct ports *ports = world_ports(a->world);
    char line[LINE_ROOM];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    ports->log(ports->world, level, span_of(line));
}

static bool open_doors(struct admin *a, const struct config *config, FILE *errors)
{
    char why[DOOR_WHY_MAX];

    for (unsigned i = 0; i < config->admin_count; i++) {
        struct door *door = &a->door[a->doors];

        if (door_open(door, &config->admin[i], why)) {
            a->doors++;
            say(a, LOG_INFO, "event=admin_listening address=%s", door->name);
        } else if (config->admin_chosen) {
            fprintf(errors, "admin \"%s\" cannot be opened: %s\n", door->name, why);
            return false;
        } else {
            say(a, LOG_WARN,
                "event=admin_unavailable address=%s reason=\"%s\" remedy=\"set admin to addresses "
                "that can be had, or to [ ]\"",
                door->name, why);
        }
    }
    return true;
}

static void ready(void *self)
{
    struct admin *a = self;

    desk_work(&a->desk);
}

struct admin *admin_open(const struct config *config, struct world *world,
                         struct registrar *registrar, const struct proxy *proxy, FILE *errors)
{
    struct admin *a = calloc(1, sizeof *a);

    if (!a) {
        fprintf(errors, "out of memory\n");
        return NULL;
    }
    a->world = world;
    a->asks = asks_new();
    if (!a->asks)
        fprintf(errors, "the system refuses what the admin surface needs\n");
    if (!a->asks || !open_doors(a, config, errors)) {
        admin_close(a);
        return NULL;
    }
    desk_init(&a->desk, &(struct desk_parts){a->asks, registrar, proxy, world});
    return a;
}

bool admin_begin(struct admin *a, FILE *errors)
{
    if (a->doors == 0)
        return true;
    a->guest = (struct world_guest){a, asks_fd(a->asks), ready};
    a->server = http_new(a->door, a->doors, a->asks);
    if (a->server && world_admit(a->world, &a->guest))
        return true;
    fprintf(errors, "the system refuses a thread for the admin surface\n");
    return false;
}

void admin_end_turn(struct admin *a)
{
    desk_end_turn(&a->desk);
}

void admin_close(struct admin *a)
{
    if (!a)
        return;
    http_free(a->server);
    for (unsigned i = 0; i < a->doors; i++)
        door_close(&a->door[i]);
    desk_fini(&a->desk);
    asks_free(a->asks);
    free(a);
}

/*
 * admin/door: see the header. Never waits.
 */
#include "admin/door.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG 64

static bool fail(char why[DOOR_WHY_MAX], const char *what, const char *remedy)
{
    snprintf(why, DOOR_WHY_MAX, "%s; %s", what, remedy);
    return false;
}

static bool give_up(struct door *d, char why[DOOR_WHY_MAX], const char *remedy)
{
    fail(why, strerror(errno), remedy);
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
    return false;
}

/* ---- Unix sockets -------------------------------------------------------------- */

/* Only the last part: a misspelt path must not become a tree of directories. */
static void make_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char directory[sizeof((struct sockaddr_un *)0)->sun_path];

    if (!slash || slash == path)
        return;
    snprintf(directory, sizeof directory, "%.*s", (int)(slash - path), path);
    (void)mkdir(directory, 0755); /* bind() tells what is wrong */
}

/* Does somebody listen there? */
static bool is_alive(const struct sockaddr_un *at)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    bool refused;

    if (fd < 0)
        return true;
    refused = connect(fd, (const struct sockaddr *)at, sizeof *at) != 0 && errno == ECONNREFUSED;
    close(fd);
    return !refused;
}

static bool replace_stale(struct door *d, char why[DOOR_WHY_MAX])
{
    struct stat file;

    if (lstat(d->path.sun_path, &file) == 0 && !S_ISSOCK(file.st_mode))
        return fail(why, "there is something else than a socket",
                    "remove it, or change admin to another path");
    if (is_alive(&d->path))
        return fail(why, "another program listens there",
                    "a second midreg needs a path of its own in admin");
    (void)unlink(d->path.sun_path);
    return true;
}

static bool bind_path(struct door *d)
{
    return bind(d->fd, (struct sockaddr *)&d->path, sizeof d->path) == 0;
}

static bool open_unix(struct door *d, const char *path, char why[DOOR_WHY_MAX])
{
    static const char remedy[] = "create its directory for the user that runs midreg, or change "
                                 "admin to a path that this user may write";
    struct stat file;

    d->is_unix = true;
    d->path.sun_family = AF_UNIX;
    snprintf(d->path.sun_path, sizeof d->path.sun_path, "%s", path);
    snprintf(d->name, sizeof d->name, "unix:%s", path);
    make_directory(path);
    d->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    /* Its file is never there with another mode. */
    if (d->fd < 0 || fchmod(d->fd, 0600) != 0)
        return give_up(d, why, remedy);
    if (!bind_path(d)) {
        if (errno != EADDRINUSE)
            return give_up(d, why, remedy);
        if (!replace_stale(d, why)) {
            close(d->fd);
            d->fd = -1;
            return false;
        }
        if (!bind_path(d))
            return give_up(d, why, remedy);
    }
    if (lstat(path, &file) == 0) {
        d->device = file.st_dev;
        d->inode = file.st_ino;
    }
    return listen(d->fd, BACKLOG) == 0 || give_up(d, why, remedy);
}

static void remove_file(const struct door *d)
{
    struct stat file;

    if (d->inode && lstat(d->path.sun_path, &file) == 0 && file.st_dev == d->device &&
        file.st_ino == d->inode)
        (void)unlink(d->path.sun_path);
}

/* ---- TCP ----------------------------------------------------------------------- */

static void name_address(struct door *d, const struct address *a)
{
    struct buf out = buf_make(d->name, sizeof d->name - 1);

    address_put(&out, a);
    d->name[out.n] = '\0';
}

static bool open_tcp(struct door *d, const struct address *address, char why[DOOR_WHY_MAX])
{
    static const char remedy[] = "another program holds this port (ss -tlpn names it); change "
                                 "admin to another one";
    struct sockaddr_storage at;
    socklen_t n = address_to_sockaddr(address, &at);
    struct address bound = *address;
    int on = 1;

    name_address(d, address);
    d->fd = socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (d->fd < 0 || setsockopt(d->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(d->fd, (struct sockaddr *)&at, n) != 0 || listen(d->fd, BACKLOG) != 0)
        return give_up(d, why,
                       errno == EADDRINUSE ? remedy : "change admin to an address of this host");
    n = sizeof at;
    if (getsockname(d->fd, (struct sockaddr *)&at, &n) == 0)
        address_from_sockaddr(&bound, (struct sockaddr *)&at);
    name_address(d, &bound);
    return true;
}

/* ---- both ---------------------------------------------------------------------- */

bool door_open(struct door *d, const struct config_admin *at, char why[DOOR_WHY_MAX])
{
    *d = (struct door){.fd = -1};
    return at->path ? open_unix(d, at->path, why) : open_tcp(d, &at->address, why);
}

void door_close(struct door *d)
{
    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
    remove_file(d);
    d->inode = 0;
}

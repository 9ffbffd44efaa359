/*
 * net/lock: flock() on a file that is never removed.
 *
 * Called by run.c on the main thread. The kernel lets go of the lock when the
 * process ends, so a lock is never stale; removing the file would let two
 * instances hold locks of two files with one name.
 */
#include "net/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define LOCK_FILE "lock"

/* What is locked, for messages. */
struct locked {
    const char *what; /* "state-dir" */
    const char *path;
    const char *file; /* the lock's, as one would type it */
};

/* The holder's pid, or 0: it has not written it yet. */
static long read_pid(int fd)
{
    char text[32];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);

    if (n <= 0)
        return 0;
    text[n] = 0;
    return strtol(text, NULL, 10);
}

static void complain_held(int fd, const struct locked *l, FILE *errors)
{
    long pid = read_pid(fd);

    if (pid > 0)
        fprintf(errors,
                "%s %s: midreg runs already, with pid %ld; stop it (kill %ld), or give this one "
                "a %s of its own\n",
                l->what, l->path, pid, pid, l->what);
    else
        fprintf(errors, "%s %s: midreg runs already; stop it, or give this one a %s of its own\n",
                l->what, l->path, l->what);
}

static bool write_pid(int fd)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());

    return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n;
}

static int take(int dir, const char *name, const struct locked *l, FILE *errors)
{
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd < 0) {
        fprintf(errors, "%s: cannot be opened: %s; give it to the user that runs midreg\n", l->file,
                strerror(errno));
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            complain_held(fd, l, errors);
        else
            fprintf(errors, "%s: cannot be locked: %s; put the %s on a local disk\n", l->file,
                    strerror(errno), l->what);
        close(fd);
        return -1;
    }
    if (!write_pid(fd)) {
        fprintf(errors, "%s: cannot be written: %s; is the disk full?\n", l->file, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

int lock_take(int dir, const char *path, FILE *errors)
{
    char file[PATH_MAX];

    snprintf(file, sizeof file, "%s/" LOCK_FILE, path);
    return take(dir, LOCK_FILE, &(struct locked){"state-dir", path, file}, errors);
}

int lock_take_store(const char *path, FILE *errors)
{
    char file[PATH_MAX];

    if ((size_t)snprintf(file, sizeof file, "%s.lock", path) >= sizeof file) {
        fprintf(errors, "store %s: the path is too long\n", path);
        return -1;
    }
    return take(AT_FDCWD, file, &(struct locked){"store", path, file}, errors);
}

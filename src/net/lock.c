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
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define LOCK_FILE "lock"

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

static void complain_held(int fd, const char *path, FILE *errors)
{
    long pid = read_pid(fd);

    if (pid > 0)
        fprintf(errors,
                "state-dir %s: midreg runs already, with pid %ld; stop it (kill %ld), or give "
                "this one a state-dir of its own\n",
                path, pid, pid);
    else
        fprintf(errors,
                "state-dir %s: midreg runs already; stop it, or give this one a state-dir of "
                "its own\n",
                path);
}

static bool write_pid(int fd)
{
    char text[32];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());

    return ftruncate(fd, 0) == 0 && pwrite(fd, text, (size_t)n, 0) == n;
}

int lock_take(int dir, const char *path, FILE *errors)
{
    int fd = openat(dir, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);

    if (fd < 0) {
        fprintf(errors,
                "%s/" LOCK_FILE ": cannot be opened: %s; give it to the user that runs "
                "midreg\n",
                path, strerror(errno));
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK)
            complain_held(fd, path, errors);
        else
            fprintf(errors,
                    "%s/" LOCK_FILE ": cannot be locked: %s; put state-dir on a local "
                    "disk\n",
                    path, strerror(errno));
        close(fd);
        return -1;
    }
    if (!write_pid(fd)) {
        fprintf(errors, "%s/" LOCK_FILE ": cannot be written: %s; is the disk full?\n", path,
                strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

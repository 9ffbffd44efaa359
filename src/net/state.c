/*
 * net/state: opens, or makes, the state directory.
 *
 * Called by run.c on the main thread. Never makes more than the last part of the
 * path: a misspelt path must not become a tree of directories.
 */
#include "net/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void complain_make(const char *path, int error, FILE *errors)
{
    if (error == ENOENT)
        fprintf(errors,
                "state-dir %s: the directory above it does not exist; create it, or set "
                "state-dir to another place\n",
                path);
    else
        fprintf(errors,
                "state-dir %s: cannot be created: %s; create it for the user that runs midreg "
                "(install -d -m 700 -o USER %s), or set state-dir to another place\n",
                path, strerror(error), path);
}

int state_dir_open(const char *path, FILE *errors)
{
    int fd;

    if (mkdir(path, 0700) != 0 && errno != EEXIST) {
        complain_make(path, errno, errors);
        return -1;
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        fprintf(errors, "state-dir %s: cannot be opened: %s; %s\n", path, strerror(errno),
                errno == ENOTDIR ? "set state-dir to a directory"
                                 : "give it to the user that runs midreg");
        return -1;
    }
    if (faccessat(fd, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        fprintf(errors,
                "state-dir %s: cannot be written: %s; give it to the user that runs "
                "midreg\n",
                path, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

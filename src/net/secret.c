/*
 * net/secret: reads or makes the secret file.
 *
 * Called by run.c on the main thread. A new file is written beside its name,
 * synced and renamed, so that a crash leaves all of it or nothing. A file that
 * is there is never replaced: that would be losing every contact upstream.
 */
#include "net/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET_FILE "secret"
#define SECRET_NEW  "secret.new"

static bool check_file(int fd, const char *path, FILE *errors)
{
    struct stat what;

    if (fstat(fd, &what) != 0) {
        fprintf(errors, "%s/" SECRET_FILE ": %s\n", path, strerror(errno));
        return false;
    }
    if (!S_ISREG(what.st_mode) || what.st_size != HASH_SECRET_SIZE) {
        fprintf(errors,
                "%s/" SECRET_FILE ": is damaged (%lld bytes instead of %d); restore it from a "
                "backup, or remove it and restart the main registrar, which holds contacts "
                "made with it\n",
                path, (long long)what.st_size, HASH_SECRET_SIZE);
        return false;
    }
    if (what.st_mode & (S_IRWXG | S_IRWXO)) {
        fprintf(errors, "%s/" SECRET_FILE ": others may read it; chmod 600 %s/" SECRET_FILE "\n",
                path, path);
        return false;
    }
    return true;
}

static bool read_file(int fd, const char *path, uint8_t *out, FILE *errors)
{
    if (!check_file(fd, path, errors))
        return false;
    if (read(fd, out, HASH_SECRET_SIZE) != HASH_SECRET_SIZE) {
        fprintf(errors, "%s/" SECRET_FILE ": cannot be read: %s\n", path, strerror(errno));
        return false;
    }
    return true;
}

/* Random bytes into a new file, on disk when it returns true. */
static bool write_new(int dir, uint8_t *out)
{
    int fd = openat(dir, SECRET_NEW, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok;

    if (fd < 0)
        return false;
    ok = fchmod(fd, 0600) == 0 && getrandom(out, HASH_SECRET_SIZE, 0) == HASH_SECRET_SIZE &&
         write(fd, out, HASH_SECRET_SIZE) == HASH_SECRET_SIZE && fsync(fd) == 0;
    return close(fd) == 0 && ok;
}

static bool make_file(int dir, const char *path, uint8_t *out, FILE *errors)
{
    if (write_new(dir, out) && renameat(dir, SECRET_NEW, dir, SECRET_FILE) == 0 && fsync(dir) == 0)
        return true;
    fprintf(errors, "%s/" SECRET_FILE ": cannot be made: %s; is the disk full, or not ours?\n",
            path, strerror(errno));
    return false;
}

bool secret_load(int dir, const char *path, uint8_t out[HASH_SECRET_SIZE], FILE *errors)
{
    int fd = openat(dir, SECRET_FILE, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    bool ok;

    if (fd < 0 && errno == ENOENT)
        return make_file(dir, path, out, errors);
    if (fd < 0) {
        fprintf(errors,
                "%s/" SECRET_FILE ": cannot be opened: %s; give it to the user that runs "
                "midreg\n",
                path, strerror(errno));
        return false;
    }
    ok = read_file(fd, path, out, errors);
    close(fd);
    return ok;
}

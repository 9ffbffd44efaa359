/*
 * The state directory, its lock and the secret: made once, the same ever after,
 * and what is wrong is said with the remedy.
 */
#include "net/lock.h"
#include "net/secret.h"
#include "net/state.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    char top[64];
    char path[80]; /* top/state: not there yet */
    char *said;
    size_t said_n;
    FILE *errors;
};

static int set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    strcpy(f->top, "/tmp/midreg-state-XXXXXX");
    assert_non_null(mkdtemp(f->top));
    snprintf(f->path, sizeof f->path, "%s/state", f->top);
    f->errors = open_memstream(&f->said, &f->said_n);
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    char command[128];

    fclose(f->errors);
    free(f->said);
    snprintf(command, sizeof command, "rm -r %s", f->top);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static void assert_said(struct fixture *f, const char *text)
{
    fflush(f->errors);
    if (!strstr(f->said, text))
        fail_msg("not said: \"%s\", but: \"%s\"", text, f->said);
    assert_int_equal(strchr(f->said, '\n') - f->said, (long)f->said_n - 1); /* one line */
}

static int open_dir(struct fixture *f)
{
    int dir = state_dir_open(f->path, f->errors);

    assert_true(dir >= 0);
    return dir;
}

static void test_directory_is_made(void **state)
{
    struct fixture *f = *state;
    struct stat what;
    int dir = open_dir(f);

    assert_int_equal(stat(f->path, &what), 0);
    assert_int_equal(what.st_mode & 07777, 0700);
    close(dir);
    close(open_dir(f));
    fflush(f->errors);
    assert_int_equal(f->said_n, 0);
}

static void test_directory_without_parent(void **state)
{
    struct fixture *f = *state;

    snprintf(f->path, sizeof f->path, "%s/missing/state", f->top);
    assert_int_equal(state_dir_open(f->path, f->errors), -1);
    assert_said(f, "missing/state: the directory above it does not exist; create it");
}

static void test_directory_is_a_file(void **state)
{
    struct fixture *f = *state;

    close(open(f->path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(state_dir_open(f->path, f->errors), -1);
    assert_said(f, "Not a directory; set state-dir to a directory");
}

static void test_secret_is_kept(void **state)
{
    uint8_t first[HASH_SECRET_SIZE], second[HASH_SECRET_SIZE] = {0};
    const uint8_t none[HASH_SECRET_SIZE] = {0};
    struct fixture *f = *state;
    struct stat what;
    int dir = open_dir(f);
    mode_t mask = umask(0);

    assert_true(secret_load(dir, f->path, first, f->errors));
    umask(mask);
    assert_int_equal(fstatat(dir, "secret", &what, 0), 0);
    assert_int_equal(what.st_mode & 07777, 0600);
    assert_int_equal(what.st_size, HASH_SECRET_SIZE);
    assert_int_equal(faccessat(dir, "secret.new", F_OK, 0), -1);
    assert_true(secret_load(dir, f->path, second, f->errors));
    assert_memory_equal(first, second, sizeof first);
    assert_memory_not_equal(first, none, sizeof first);
    close(dir);
}

/* A crash while the first one was written leaves secret.new behind. */
static void test_secret_after_crash(void **state)
{
    uint8_t secret[HASH_SECRET_SIZE];
    struct fixture *f = *state;
    int dir = open_dir(f);

    close(openat(dir, "secret.new", O_CREAT | O_WRONLY, 0644));
    assert_true(secret_load(dir, f->path, secret, f->errors));
    assert_true(secret_load(dir, f->path, secret, f->errors));
    close(dir);
}

static void test_secret_damaged(void **state)
{
    uint8_t secret[HASH_SECRET_SIZE];
    struct fixture *f = *state;
    int dir = open_dir(f);
    int fd;

    assert_true(secret_load(dir, f->path, secret, f->errors));
    fd = openat(dir, "secret", O_WRONLY);
    assert_int_equal(ftruncate(fd, 100), 0);
    close(fd);
    assert_false(secret_load(dir, f->path, secret, f->errors));
    assert_said(f, "state/secret: is damaged (100 bytes instead of 192)");
    close(dir);
}

static void test_secret_readable_by_others(void **state)
{
    uint8_t secret[HASH_SECRET_SIZE];
    struct fixture *f = *state;
    int dir = open_dir(f);

    assert_true(secret_load(dir, f->path, secret, f->errors));
    assert_int_equal(fchmodat(dir, "secret", 0640, 0), 0);
    assert_false(secret_load(dir, f->path, secret, f->errors));
    assert_said(f, "others may read it; chmod 600 ");
    close(dir);
}

static void test_lock(void **state)
{
    struct fixture *f = *state;
    int dir = open_dir(f);
    int first = lock_take(dir, f->path, f->errors);
    char pid[64];

    assert_true(first >= 0);
    assert_int_equal(lock_take(dir, f->path, f->errors), -1);
    snprintf(pid, sizeof pid, "runs already, with pid %ld;", (long)getpid());
    assert_said(f, pid);
    close(first);
    first = lock_take(dir, f->path, f->errors);
    assert_true(first >= 0);
    close(first);
    close(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_directory_is_made, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_directory_without_parent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_directory_is_a_file, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_secret_is_kept, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_secret_after_crash, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_secret_damaged, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_secret_readable_by_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_lock, set_up, tear_down),
    };

    return cmocka_run_group_tests_name("net-state", tests, NULL, NULL);
}

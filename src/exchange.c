/*
 * exchange: see the header.
 */
#include "exchange.h"

#include "config/config.h"
#include "keep.h"
#include "location/transfer.h"
#include "net/lock.h"
#include "net/state.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct exchange {
    struct config *config;
    char path[PATH_MAX];
    int lock;       /* of the state directory; -1: none */
    int store_lock; /* of a store elsewhere; -1: none */
};

static bool exchange_open(struct exchange *x, const char *config_path)
{
    *x =
        (struct exchange){.config = config_load(config_path, stderr), .lock = -1, .store_lock = -1};
    if (!x->config)
        return false;
    if (x->config->store != STORE_SQLITE) {
        fprintf(stderr, "midreg: %s says store = \"memory\": nothing is kept\n", config_path);
        return false;
    }
    return keep_path(x->config, x->path, stderr);
}

static void exchange_close(struct exchange *x)
{
    if (x->lock >= 0)
        close(x->lock);
    if (x->store_lock >= 0)
        close(x->store_lock);
    config_free(x->config);
}

static bool is_standard(const char *name)
{
    return !name || strcmp(name, "-") == 0;
}

bool exchange_export(const char *config_path, const char *name)
{
    struct exchange x;
    struct transferred done;
    FILE *out = stdout;
    bool fine = exchange_open(&x, config_path);

    if (fine && !is_standard(name)) {
        out = fopen(name, "wxe"); /* it holds who registers from where: it is not to be shared */
        if (!out)
            perror(name);
        fine = out && fchmod(fileno(out), 0600) == 0;
    }
    fine = fine && transfer_export(x.path, out, &done, stderr);
    if (out && fflush(out) != 0) {
        perror(is_standard(name) ? "midreg: stdout" : name);
        fine = false;
    }
    if (out && out != stdout) {
        fclose(out);
        if (!fine)
            unlink(name);
    }
    if (fine)
        fprintf(stderr, "%llu identities with %llu contacts exported\n",
                (unsigned long long)done.aors, (unsigned long long)done.bindings);
    exchange_close(&x);
    return fine;
}

/* A midreg that runs would write over it. */
static bool take_locks(struct exchange *x)
{
    int dir = state_dir_open(x->config->state_dir, stderr);

    if (dir >= 0)
        x->lock = lock_take(dir, x->config->state_dir, stderr);
    if (x->lock >= 0 && x->config->store_path)
        x->store_lock = lock_take_store(x->path, stderr);
    if (dir >= 0)
        close(dir);
    return x->lock >= 0 && (!x->config->store_path || x->store_lock >= 0);
}

static bool import_from(struct exchange *x, FILE *in, const char *name, bool replace)
{
    static const struct store_names none = {0, NULL, 0, NULL};
    struct store *s = store_open(x->path, &none, stderr);
    struct transferred done;
    bool fine = s && transfer_import(s, in, name, replace, &done, stderr);

    store_close(s);
    if (fine)
        fprintf(stderr, "%llu identities with %llu contacts imported, %llu were there already\n",
                (unsigned long long)done.aors, (unsigned long long)done.bindings,
                (unsigned long long)done.skipped);
    return fine;
}

bool exchange_import(const char *config_path, const char *name, bool replace)
{
    struct exchange x;
    FILE *in = is_standard(name) ? stdin : NULL;
    bool fine = exchange_open(&x, config_path) && take_locks(&x);

    if (fine && !in) {
        in = fopen(name, "re");
        if (!in)
            perror(name);
    }
    fine = fine && in && import_from(&x, in, is_standard(name) ? "stdin" : name, replace);
    if (in && in != stdin)
        fclose(in);
    exchange_close(&x);
    return fine;
}

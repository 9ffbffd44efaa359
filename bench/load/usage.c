/*
 * usage: reads /proc/PID/task/TID/schedstat, /proc/PID/stat and smaps_rollup.
 *
 * Called before and after a run, while the server has nothing to do: then the
 * kernel's sums are complete.
 */
#include "usage.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool usage_parse(const char *text, struct usage_of *of)
{
    char *end;

    of->count = 0;
    for (;; text = end + 1) {
        long pid = strtol(text, &end, 10);

        if (end == text || pid <= 0 || of->count == USAGE_PROCESSES_MAX)
            return false;
        of->pid[of->count++] = (int)pid;
        if (*end == 0)
            return true;
        if (*end != ',')
            return false;
    }
}

/* The first bytes of a file, terminated. */
static bool read_file(const char *path, char *text, size_t size)
{
    FILE *f = fopen(path, "re");
    size_t n;

    if (!f)
        return false;
    n = fread(text, 1, size - 1, f);
    text[n] = 0;
    fclose(f);
    return n > 0;
}

static bool add_threads(int pid, struct usage *out)
{
    char path[300], text[128];
    DIR *tasks;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    tasks = opendir(path);
    if (!tasks)
        return false;
    for (const struct dirent *e; (e = readdir(tasks));) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, e->d_name);
        if (read_file(path, text, sizeof text))
            out->run_ns += strtoull(text, NULL, 10);
    }
    closedir(tasks);
    return true;
}

static bool add_ticks(int pid, struct usage *out)
{
    char path[64], text[1024];
    uint64_t user, system;
    const char *name_end;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (!read_file(path, text, sizeof text))
        return false;
    name_end = strrchr(text, ')'); /* the name may hold anything */
    if (!name_end ||
        sscanf(name_end + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64,
               &user, &system) != 2)
        return false;
    out->user_ticks += user;
    out->system_ticks += system;
    return true;
}

bool usage_read(const struct usage_of *of, struct usage *out)
{
    *out = (struct usage){0};
    for (unsigned i = 0; i < of->count; i++)
        if (!add_threads(of->pid[i], out) || !add_ticks(of->pid[i], out)) {
            fprintf(stderr, "load: process %d is gone\n", of->pid[i]);
            return false;
        }
    if (out->run_ns == 0) {
        fprintf(stderr, "load: the kernel does not account run time (schedstat)\n");
        return false;
    }
    return true;
}

uint64_t usage_pss(const struct usage_of *of)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < of->count; i++) {
        char path[64], text[4096];
        const char *line;

        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", of->pid[i]);
        if (!read_file(path, text, sizeof text) || !(line = strstr(text, "\nPss:"))) {
            fprintf(stderr, "load: %s cannot be read\n", path);
            return 0;
        }
        sum += strtoull(line + 5, NULL, 10) * 1024;
    }
    return sum;
}

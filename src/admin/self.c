/*
 * admin/self: see the header. Reads /proc, keeps nothing.
 */
#include "admin/self.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

uint64_t self_clock_s(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec;
}

static double seconds_of(const struct timeval *t)
{
    return (double)t->tv_sec + (double)t->tv_usec / 1e6;
}

static void look_at_memory(struct self *out)
{
    FILE *f = fopen("/proc/self/statm", "re");
    char line[128] = "";
    char *rest;
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    if (!f)
        return;
    if (fgets(line, sizeof line, f)) {
        out->virtual_bytes = strtoull(line, &rest, 10) * page;
        out->resident_bytes = strtoull(rest, NULL, 10) * page;
    }
    fclose(f);
}

static void look_at_files(struct self *out)
{
    DIR *dir = opendir("/proc/self/fd");
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        out->max_fds = limit.rlim_cur;
    if (!dir)
        return;
    for (const struct dirent *e = readdir(dir); e; e = readdir(dir))
        out->open_fds += e->d_name[0] != '.';
    closedir(dir);
}

void self_look(struct self *out, uint64_t started_s)
{
    struct rusage used;

    *out = (struct self){.pid = (long)getpid(), .uptime_s = self_clock_s() - started_s};
    out->started_s = (uint64_t)time(NULL) - out->uptime_s;
    if (getrusage(RUSAGE_SELF, &used) == 0)
        out->cpu_s = seconds_of(&used.ru_utime) + seconds_of(&used.ru_stime);
    look_at_memory(out);
    look_at_files(out);
}

/*
 * usage: what the server's processes have used, by the kernel's own accounting.
 */
#ifndef MIDREG_BENCH_USAGE_H
#define MIDREG_BENCH_USAGE_H

#include <stdbool.h>
#include <stdint.h>

#define USAGE_PROCESSES_MAX 64

struct usage_of {
    int pid[USAGE_PROCESSES_MAX];
    unsigned count;
};

struct usage {
    uint64_t run_ns;       /* on a processor, all threads (schedstat) */
    uint64_t user_ticks;   /* of these in user mode; ticks of USER_HZ */
    uint64_t system_ticks; /* and in the kernel */
};

/* Reads "1,2,3". False: that is no such list, or too long a one. */
bool usage_parse(const char *text, struct usage_of *of);
/* False, with a line on stderr: a process is gone, or the kernel does not tell. */
bool usage_read(const struct usage_of *of, struct usage *out);
/* The sum of their proportional set sizes, in bytes; 0: as above. */
uint64_t usage_pss(const struct usage_of *of);

#endif

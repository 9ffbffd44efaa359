/*
 * admin/self: the process as the system sees it. Admin thread.
 */
#ifndef MIDREG_ADMIN_SELF_H
#define MIDREG_ADMIN_SELF_H

#include <stdint.h>

struct self {
    long pid;
    uint64_t started_s; /* since 1970 */
    uint64_t uptime_s;
    double cpu_s;
    uint64_t resident_bytes; /* 0 without /proc, as all that follow */
    uint64_t virtual_bytes;
    uint64_t open_fds;
    uint64_t max_fds;
};

/* `started_s`: of a clock that does not jump (self_clock_s()). */
void self_look(struct self *out, uint64_t started_s);
uint64_t self_clock_s(void);

#endif

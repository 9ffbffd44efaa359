/*
 * net/log: log lines on their way to stderr, without making anybody wait.
 *
 * Lines go into a bounded ring; a thread of this file gives them their time and
 * level and writes them. When the reader of stderr is slow the ring fills, lines
 * are dropped, counted, and their number is logged. One thread may put lines.
 */
#ifndef MIDREG_NET_LOG_H
#define MIDREG_NET_LOG_H

#include "base/ports.h"

#define LOG_RING_BYTES ((size_t)256 * 1024) /* a power of two */
#define LOG_TEXT_MAX   8192                 /* what is longer is cut */

struct log;

/* Lines up to `most` are written to `fd`, which stays the caller's. NULL: no
 * memory or thread. */
struct log *log_new(int fd, enum log_level most);
/* Writes what is in the ring; gives up after a second if nobody reads. */
void log_free(struct log *l);

/* Never blocks. The line: key=value, one line, without its end. */
void log_put(struct log *l, enum log_level level, struct span line);
void log_say(struct log *l, enum log_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* As info, also where the configured level is higher: what was asked for. */
void log_always(struct log *l, struct span line);

/* Lines that were dropped so far. */
uint64_t log_dropped(const struct log *l);

#endif

/*
 * base/resolved: what a host name stands for, as the world has found out.
 *
 * The answer to ports.resolve(); a plain value. Any thread.
 */
#ifndef MIDREG_BASE_RESOLVED_H
#define MIDREG_BASE_RESOLVED_H

#include "base/address.h"

#define RESOLVED_MAX 8

enum resolved_end {
    RESOLVED_FOUND,  /* there is at least one address */
    RESOLVED_NONE,   /* the name exists no more, or has no addresses */
    RESOLVED_FAILED, /* nobody answered, or nobody who knew */
};

struct resolved {
    enum resolved_end end;
    bool whole; /* FOUND: the list is complete; false: there may be other addresses, too */
    uint8_t count;
    uint32_t ttl_s;                    /* FOUND: it may be believed so long */
    struct address list[RESOLVED_MAX]; /* in the order in which they are to be tried */
};

#endif

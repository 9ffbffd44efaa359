/*
 * admin/door: a socket on which the admin surface listens.
 *
 * Opened and closed by admin.c on the core thread.
 */
#ifndef MIDREG_ADMIN_DOOR_H
#define MIDREG_ADMIN_DOOR_H

#include "config/config.h"

#include <sys/types.h>
#include <sys/un.h>

#define DOOR_WHY_MAX 256

struct door {
    int fd;                  /* -1: it is closed, or somebody else's */
    bool is_unix;            /* who comes is our own user, or root */
    char name[120];          /* "unix:PATH", or address and real port */
    struct sockaddr_un path; /* of a Unix socket */
    dev_t device;            /* its file, so that nobody else's is removed */
    ino_t inode;
};

/*
 * Listens there. A Unix socket gets mode 0600; where its directory is missing, that
 * one is made, and a socket on which nobody listens any more is replaced. False:
 * *why says why not, and what to do.
 */
bool door_open(struct door *d, const struct config_admin *at, char why[DOOR_WHY_MAX]);
/* Closes what is open, and takes our socket's file away. */
void door_close(struct door *d);

#endif

/*
 * stranger: somebody who knows AORs, contacts and Call-IDs but no password.
 *
 * He registers, removes, asks, calls, forges the sender, and sends rubbish. In a
 * trusted network (auth none) nobody is a stranger to REGISTER: there he only
 * calls and sends rubbish.
 */
#ifndef MIDREG_SIM_STRANGER_H
#define MIDREG_SIM_STRANGER_H

#include "base/address.h"
#include "chance.h"

struct sim;

struct strangers {
    struct chance chance;
    struct address address;
    uint32_t number;
    int aor; /* of the last victim */
};

void strangers_init(struct sim *s);
/* He does something, and plans the next. */
void strangers_event(struct sim *s);
void strangers_receive(struct sim *s, const struct address *to, struct span bytes);

#endif

/*
 * registrar/events: what the registrar makes of a main registrar's event socket.
 *
 * It hears that all leases, or one, are lost, and has a contact of ours dropped where
 * midreg has no means to de-register it. Core thread only. Design 3.4, 3.7.
 */
#ifndef MIDREG_REGISTRAR_EVENTS_H
#define MIDREG_REGISTRAR_EVENTS_H

#include "registrar/registrar.h"
#include "upstream/event_socket.h"

/* What event_sockets_init() is to be given. */
struct event_socket_user registrar_events(struct registrar *r);

/*
 * Nobody is left, and midreg may not de-register: has the main registrar drop this
 * lease. True: it is asked to, and has until the lease's next_ms to say that it did.
 * False: it cannot be asked, so that the lease lapses.
 */
bool events_flush(struct registrar *r, struct aor *a, struct lease *l);

#endif

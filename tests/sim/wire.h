/*
 * wire: stream connections between midreg and everybody else.
 *
 * A wire is a TCP connection as its two ends see it. Its bytes come in order, but
 * late, split and glued anywhere; it takes time to connect, or is refused; it is
 * closed by either end, reset on its way, or lost so that nobody is told; a peer
 * may stop to read. midreg's end keeps the limits of net/stream.h: what waits to
 * be written is bounded, who takes nothing for half a minute is cut, and so is who
 * was not heard for an hour.
 */
#ifndef MIDREG_SIM_WIRE_H
#define MIDREG_SIM_WIRE_H

#include "base/address.h"
#include "chance.h"
#include "sip/framer.h"

struct sim;
struct event;

/* Who has the other end: a phone's index, or one of these. */
#define WIRE_NOBODY   UINT32_MAX
#define WIRE_PBX      (UINT32_MAX - 1)
#define WIRE_STRANGER (UINT32_MAX - 2)

enum wire_end { WIRE_MIDREG, WIRE_PEER, WIRE_ENDS };
enum wire_state { WIRE_CONNECTING, WIRE_OPEN, WIRE_CLOSED };

enum wire_close {
    WIRE_GRACEFUL, /* what was written arrives */
    WIRE_RESET,    /* it does not, but the end does */
    WIRE_VANISH,   /* neither: the other end is not told */
};

/* What is on its way to one end. */
struct wire_pipe {
    struct framer framer;
    char *bytes;
    size_t n;
    size_t room;
    bool due;  /* an event will move it */
    bool ends; /* after it comes nothing */
    uint64_t stuck_us;
};

struct wire {
    struct wire *next;
    struct wire *prev;
    struct flow flow; /* as midreg names it */
    uint32_t owner;
    bool opened; /* by midreg */
    bool lost;   /* nothing passes, and nobody is told */
    bool mute;   /* its peer does not read */
    bool doomed; /* midreg's world cuts it when the core's turn is over */
    enum wire_state state[WIRE_ENDS];
    uint64_t began_us;
    uint64_t heard_us; /* by midreg */
    uint64_t used_us;  /* by either */
    uint64_t left_us;  /* by its peer */
    struct wire_pipe to[WIRE_ENDS];
};

/* Of each number that was given out. */
struct wire_past {
    struct wire *wire; /* NULL: gone */
    uint64_t ended_us; /* when midreg's core knew that it was closed; 0: it does not */
};

struct wires {
    struct chance chance;
    struct wire *list;
    unsigned count;
    uint32_t last; /* number */
    struct wire_past *past;
    uint32_t past_room;
    size_t queue_bytes; /* that may wait to be written by midreg */
    bool pbx_listens;
    uint64_t opened; /* by anybody */
    uint64_t cut;    /* by midreg's world */
};

void wires_init(struct sim *s);
void wires_fini(struct sim *s);
void wire_event(struct sim *s, const struct event *e);

/* NULL: it is gone at both ends. */
struct wire *wire_find(const struct sim *s, uint32_t number);
/* When midreg's core was told, or decided itself, that it is closed; 0: it was not. */
uint64_t wire_ended_us(const struct sim *s, uint32_t number);
/* Does all pass that is sent over it now? */
bool wire_works(const struct sim *s, uint32_t number);
/* How many there are for midreg. */
unsigned wires_held(const struct sim *s);

/* ---- the peer's end ---- */

/* Begins to connect to midreg. What is sent meanwhile leaves later. */
struct wire *wire_connect(struct sim *s, uint32_t owner, const struct address *from);
void wire_put(struct sim *s, struct wire *w, struct span bytes);
void wire_close(struct sim *s, struct wire *w, enum wire_close how);
void wires_close_all(struct sim *s, uint32_t owner, enum wire_close how);

/* ---- what may happen to it ---- */

/* Something between the ends resets it. */
void wire_break(struct sim *s, struct wire *w);
/* It is lost, and nobody is told; midreg may find out in minutes. */
void wire_lose(struct sim *s, struct wire *w);
/* midreg's world cuts it. */
void wire_cut(struct sim *s, struct wire *w);
/* The program is killed: its kernel resets them all. */
void wires_crash(struct sim *s);
/* The program ends: all wires that midreg holds are cut. */
void wires_cut_all(struct sim *s);

/* ---- midreg's end: the ports ---- */

void wire_port_send(struct sim *s, const struct flow *flow, struct span bytes);
bool wire_port_open(struct sim *s, const struct address *peer, struct flow *out);
void wire_port_close(struct sim *s, const struct flow *flow);
bool wire_port_alive(const struct sim *s, const struct flow *flow);

#endif

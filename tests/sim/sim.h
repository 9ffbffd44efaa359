/*
 * sim: one simulated world, from one seed.
 *
 * midreg's core, phones, a main registrar ("pbx"), a network between them, a
 * schedule of faults, strangers who mean ill, and the invariants that are checked
 * all the while. Everything happens on one thread in virtual time; the same seed
 * and options give the same events, byte for byte.
 */
#ifndef MIDREG_SIM_SIM_H
#define MIDREG_SIM_SIM_H

#include "chance.h"
#include "check.h"
#include "core.h"
#include "faults.h"
#include "network.h"
#include "pbx.h"
#include "people.h"
#include "phone.h"
#include "queue.h"
#include "sip/build.h"
#include "stranger.h"
#include "trace.h"
#include "wire.h"
#include "world.h"

#define SECOND UINT64_C(1000000)
#define MINUTE (60 * SECOND)
#define HOUR   (60 * MINUTE)
#define NEVER  UINT64_MAX

#define PADDING 4096

/* Of midreg's configuration in the simulation, seconds. Short leases: nothing
 * tells midreg that a main registrar lost its registrations but the lease's end. */
#define PHONE_EXPIRES_S    120
#define UPSTREAM_EXPIRES_S 600
/* The default: how long a phone is kept whose connection closed. */
#define FLOW_GRACE_S 30

#define DOMAIN "example.com"

/* Streams of chance, one for each part of the world. */
enum stream {
    STREAM_WORLD,
    STREAM_CORE,
    STREAM_NETWORK,
    STREAM_PEOPLE,
    STREAM_PHONES,
    STREAM_PBX,
    STREAM_FAULTS,
    STREAM_STRANGERS,
    STREAM_WIRES,
};

struct sim_options {
    uint64_t seed;
    unsigned phones;
    uint64_t day_us;
    bool auth_given;
    enum config_auth auth; /* where it is given; else the seed chooses */
    struct trace_options trace;
};

struct sim {
    const struct sim_options *options;
    uint64_t now_us; /* since the beginning */
    enum config_auth auth;
    struct queue queue;
    struct trace trace;
    struct world world;
    struct network network;
    struct wires wires;
    struct people people;
    struct phones phones;
    struct pbx pbx;
    struct faults faults;
    struct strangers strangers;
    struct check check;
    struct sip_message message; /* the one being read by a phone or the pbx */
    char padding[PADDING];      /* of large bodies */
    char room[8192];            /* a message being built by one of them */
};

struct sim *sim_new(const struct sim_options *options);
void sim_free(struct sim *s);

/* Lives the day. False: an invariant was violated; see s->check.failure. */
bool sim_run(struct sim *s);

/* The whole day is over but for the end: everybody leaves, all must fall quiet. */
bool sim_evening(const struct sim *s);
/* Must midreg know a copy of an INVITE that it first got then? Later it finds no
 * transaction any more (RFC 6026, timer L), nor if midreg was killed meanwhile. */
bool copy_is_known(const struct sim *s, uint64_t began_us);

#endif

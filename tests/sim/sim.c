/*
 * sim: puts a world together, lives its day, takes it apart.
 *
 * Called by main.c.
 */
#include "sim.h"

#include <stdlib.h>

/* Own refreshes and probes may be on their way when all others are quiet. */
#define QUIET_AGAIN (45 * SECOND)

struct sim *sim_new(const struct sim_options *options)
{
    struct sim *s = calloc(1, sizeof *s);
    struct chance c = chance_of(options->seed, STREAM_PEOPLE);

    if (!s)
        return NULL;
    s->options = options;
    memset(s->padding, 'x', sizeof s->padding);
    s->auth = chance_percent(&c, 50) ? AUTH_NONE : AUTH_UPSTREAM;
    if (options->auth_given)
        s->auth = options->auth;
    network_init(s);
    wires_init(s);
    if (!world_init(s) || !people_init(s) || !check_init(s) || !pbx_init(s) || !phones_init(s)) {
        sim_free(s);
        return NULL;
    }
    strangers_init(s);
    faults_init(s);
    return s;
}

void sim_free(struct sim *s)
{
    if (!s)
        return;
    while (s->queue.used) {
        struct event e = queue_pop(&s->queue);

        if (e.kind == EVENT_ARRIVAL)
            free(e.data);
    }
    queue_fini(&s->queue);
    wires_fini(s);
    phones_fini(s);
    pbx_fini(s);
    check_fini(s);
    people_fini(s);
    world_fini(s);
    free(s);
}

bool copy_is_known(const struct sim *s, uint64_t began_us)
{
    uint64_t crashed_us = s->world.crashed_us;

    /* What it sent before may come late, behind what it sent afterwards. */
    if (crashed_us && began_us <= crashed_us + NETWORK_LATE_MAX_US)
        return false;
    return s->now_us < began_us + T64_US - 2 * SECOND;
}

static void live_until(struct sim *s, uint64_t until_us)
{
    while (!s->check.failed && world_step(s, until_us))
        continue;
    if (!s->check.failed)
        s->now_us = until_us;
}

bool sim_run(struct sim *s)
{
    uint64_t end_us = s->options->day_us;

    core_start(s->world.core);
    live_until(s, end_us);
    if (!s->check.failed)
        wires_cut_all(s);
    if (!s->check.failed && core_pending(s->world.core))
        live_until(s, end_us + QUIET_AGAIN);
    if (!s->check.failed)
        check_quiet(s);
    return !s->check.failed;
}

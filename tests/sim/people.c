/*
 * people: makes the AORs, of which some are written in ways that hurt.
 *
 * Called by sim.c, and by the main registrar to find who is meant.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

/* Both ways to write a user, and what it is when unescaped. */
static const char *const forms[][3] = {
    {"1%04u", "1%04u", "1%04u"},
    {"user.%04u", "user.%04u", "user.%04u"},
    {"+4930%04u", "+4930%04u", "+4930%04u"},
    {"M_x~%04u", "M_x%%7e%04u", "M_x~%04u"},
    {"anna%04u", "%%61nna%04u", "anna%04u"},
    {"al%%20bert%04u", "al%%20bert%04u", "al bert%04u"},
    {"o'neil!%04u", "o%%27neil!%04u", "o'neil!%04u"},
};

#define FORMS (sizeof forms / sizeof forms[0])

#pragma GCC diagnostic ignored "-Wformat-nonliteral"

static void person_make(struct sim *s, struct person *p, unsigned index)
{
    const char *const *form = forms[index < FORMS ? index : index % 2];
    char user[32], canonical[96], password[32];
    struct buf out = buf_make(canonical, sizeof canonical);
    struct sip_uri uri;
    struct sip_fault fault;

    for (int i = 0; i < 2; i++) {
        snprintf(user, sizeof user, form[i], index);
        snprintf(p->written[i], sizeof p->written[i], "sip:%s@" DOMAIN, user);
    }
    snprintf(p->user, sizeof p->user, form[2], index);
    snprintf(password, sizeof password, "secret-%u", index);
    digest_ha1(p->ha1, p->user, DOMAIN, password);
    if (sip_uri_parse(span_of(p->written[0]), &uri, &fault) && sip_canonical_aor(&out, &uri))
        p->hash = location_hash(core_location(s->world.core), buf_done(&out));
}

bool people_init(struct sim *s)
{
    struct people *people = &s->people;
    unsigned count = (s->options->phones * 2 + 4) / 5;

    people->list = calloc(count, sizeof *people->list);
    if (!people->list)
        return false;
    people->count = count;
    for (unsigned i = 0; i < count; i++)
        person_make(s, &people->list[i], i);
    return true;
}

void people_fini(struct sim *s)
{
    free(s->people.list);
}

int people_find(const struct sim *s, struct span user)
{
    uint32_t index;

    if (user.n < 5 || !span_u32(span_make(user.p + user.n - 4, 4), &index) ||
        index >= s->people.count)
        return -1;
    return (int)index;
}

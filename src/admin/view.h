/*
 * admin/view: facts as JSON. Pure; admin thread.
 *
 * Each returns a new object, the caller's, or NULL without memory. Durations are
 * whole seconds, rounded up.
 */
#ifndef MIDREG_ADMIN_VIEW_H
#define MIDREG_ADMIN_VIEW_H

#include "admin/facts.h"
#include "admin/self.h"

#include <jansson.h>

json_t *view_status(const struct facts *f, const struct self *self);
json_t *view_upstreams(const struct facts *f);
/* A page of AORs, without their contacts. */
json_t *view_list(const struct facts_page *page);
/* The one AOR of the page, with its contacts. */
json_t *view_aor(const struct facts_page *page);
json_t *view_kicked(unsigned kicked);
json_t *view_error(const char *error, const char *remedy);

/* "upstream" names what the main registrar's openness means. */
const char *view_openness(enum upstream_openness o);

/* The cursor of a page as text, and back. False: it is none. */
struct view_cursor {
    char text[20];
};
const char *view_put_cursor(struct view_cursor *room, uint64_t after);
bool view_read_cursor(const char *text, uint64_t *after);

#endif

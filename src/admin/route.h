/*
 * admin/route: which request asks for what, and how it is answered.
 *
 * Knows the paths, the methods, their parameters and who may send them, and turns
 * what the core has answered into a reply. Knows no HTTP library. Admin thread.
 */
#ifndef MIDREG_ADMIN_ROUTE_H
#define MIDREG_ADMIN_ROUTE_H

#include "admin/ask.h"
#include "admin/self.h"

#define ROUTE_LIMIT_DEFAULT 100
#define ROUTE_LIMIT_MAX     1000

enum route_parameter {
    ROUTE_SEARCH,
    ROUTE_AFTER,
    ROUTE_LIMIT,
    ROUTE_CONTACT,
    ROUTE_UPSTREAM,
    ROUTE_RATE,
    ROUTE_DRY_RUN,
    ROUTE_PARAMETERS
};

/* NULL: no such. */
struct route_request {
    const char *method;
    const char *path; /* unescaped */
    const char *parameter[ROUTE_PARAMETERS];
    const char *unknown; /* the name of a parameter that nobody knows, or that is there twice */
    const char *host;    /* the Host field */
    const char *guard;   /* the field X-Midreg */
    bool is_unix;        /* it came over a Unix socket */
};

struct route_reply {
    unsigned status;
    const char *type;
    const char *allow; /* the method that would do; NULL: that is not the question */
    char *body;        /* to be freed with free(); NULL: no memory */
    size_t n;
};

struct endpoint;

/* The parameter of this name; ROUTE_PARAMETERS: there is none. */
enum route_parameter route_parameter_of(const char *name);

/*
 * True: *ask is what the core has to be asked, and `at` what is to be done with the
 * answer. False: *reply is the answer already.
 */
bool route_ask(const struct route_request *rq, const struct endpoint **at, struct ask **ask,
               struct route_reply *reply);
/* The reply to an answered ask; NULL: the core did not answer in time. */
void route_answer(const struct endpoint *at, const struct ask *ask, const struct self *self,
                  struct route_reply *reply);
/* Too many are asking at once. */
void route_busy(struct route_reply *reply);

#endif

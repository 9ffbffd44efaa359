/*
 * location/transfer_inside: what export and import must agree on.
 *
 * Nobody else includes this.
 */
#ifndef MIDREG_LOCATION_TRANSFER_INSIDE_H
#define MIDREG_LOCATION_TRANSFER_INSIDE_H

#include "location/store_inside.h"
#include "location/transfer.h"

#define TRANSFER_MAGIC       "registrations"
#define TRANSFER_COLUMNS_MAX 18

/* The columns of a table, as both give and take them. The first one of the inner tables,
 * `aor`, is left out: it is the row around them. */
struct transfer_table {
    const char *name;     /* of the table */
    const char *inner;    /* of the array that holds its rows; NULL: the rows are lines */
    const char *upstream; /* the column that names a main registrar; NULL: none */
    const char *column[TRANSFER_COLUMNS_MAX];
};

static const struct transfer_table transfer_aor = {
    .name = "aor",
    .upstream = "lease_upstream",
    .column = {"id", "aor", "to_uri", "next_binding", "lease_until", "lease_may", "lease_granted",
               "lease_cseq", "lease_means", "lease_upstream", NULL}};

static const struct transfer_table transfer_lease = {
    .name = "lease",
    .inner = "leases",
    .upstream = "upstream",
    .column = {"upstream", "until", "may", "granted", "cseq", "means", NULL}};

static const struct transfer_table transfer_binding = {
    .name = "binding",
    .inner = "bindings",
    .column = {"id", "contact", "params", "call_id", "cseq", "path", "q", "granted", "restart",
               "expires", "proved", "transport", "peer", "listener", "flags", NULL}};

#endif

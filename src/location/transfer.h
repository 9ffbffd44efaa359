/*
 * location/transfer: the store as JSON lines, and back.
 *
 * The first line tells what it is, and the notes; each further one is an AOR with its
 * leases and bindings, by the names of the columns, times in seconds since 1970, main
 * registrars by name. Texts that are no UTF-8 are {"hex": "..."}. Called by the
 * sub-commands export and import (exchange.c), in a process of their own.
 */
#ifndef MIDREG_LOCATION_TRANSFER_H
#define MIDREG_LOCATION_TRANSFER_H

#include "location/store.h"

struct transferred {
    uint64_t aors;
    uint64_t bindings;
    uint64_t skipped; /* AORs that were there already */
};

/* Reads the file as it is at this moment, also while midreg runs; changes nothing. False,
 * with one line on `errors`. */
bool transfer_export(const char *path, FILE *out, struct transferred *done, FILE *errors);

/* Adds what `in` holds in one transaction: all of it or, with a line on `errors` that tells
 * file and line, nothing (false). `name`: of `in`, for that line. `replace`: what is there
 * goes first; else AORs that are there stay as they are. */
bool transfer_import(struct store *s, FILE *in, const char *name, bool replace,
                     struct transferred *done, FILE *errors);

#endif

/*
 * admin/metrics: facts as Prometheus reads them. Pure; admin thread.
 */
#ifndef MIDREG_ADMIN_METRICS_H
#define MIDREG_ADMIN_METRICS_H

#include "admin/facts.h"
#include "admin/self.h"

/* The text exposition format, version 0.0.4; *n bytes, to be freed with free().
 * NULL: no memory. */
char *metrics_text(const struct facts *f, const struct self *self, size_t *n);

#endif

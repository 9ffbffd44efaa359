/*
 * Any bytes as a DNS reply: SRV and NAPTR records are read or refused, nothing is read
 * beyond the end, and what was read is put in order: by priority or preference, and no SRV
 * record is lost or doubled. The first byte is the chance.
 */
#include "check.h"
#include "net/naptr.h"
#include "net/srv.h"

#include <stdlib.h>
#include <string.h>

static struct srv_list list, sorted;
static struct naptr_list services;

static uint32_t below(void *self, uint32_t n)
{
    uint32_t *state = self;

    *state = *state * 1664525 + 1013904223;
    return (*state >> 8) % n;
}

static unsigned count_of(const struct srv_list *l, const struct srv *one)
{
    unsigned count = 0;

    for (unsigned i = 0; i < l->count; i++)
        count += l->record[i].priority == one->priority && l->record[i].weight == one->weight &&
                 l->record[i].port == one->port && strcmp(l->record[i].target, one->target) == 0;
    return count;
}

static void check(uint32_t chance)
{
    CHECK(list.count <= SRV_RECORDS_MAX);
    CHECK(list.whole || list.count == SRV_RECORDS_MAX);
    for (unsigned i = 0; i < list.count; i++)
        CHECK(memchr(list.record[i].target, 0, DNS_NAME_MAX));
    sorted = list;
    srv_order(&sorted, below, &chance);
    for (unsigned i = 0; i < list.count; i++) {
        CHECK(i == 0 || sorted.record[i - 1].priority <= sorted.record[i].priority);
        CHECK(count_of(&list, &list.record[i]) == count_of(&sorted, &list.record[i]));
    }
}

static void check_services(void)
{
    CHECK(services.count <= NAPTR_RECORDS_MAX);
    for (unsigned i = 0; i < services.count; i++) {
        CHECK(services.record[i].replacement[0]);
        CHECK(memchr(services.record[i].replacement, 0, DNS_NAME_MAX));
        CHECK(i == 0 || services.record[i - 1].order == services.record[i].order);
        CHECK(i == 0 || services.record[i - 1].preference <= services.record[i].preference);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    uint8_t *exact;

    if (n == 0)
        return 0;
    exact = malloc(n - 1 ? n - 1 : 1); /* memory of its own, of exactly that size */
    CHECK(exact);
    memcpy(exact, data + 1, n - 1);
    if (srv_read(&list, exact, n - 1))
        check(data[0]);
    if (naptr_read(&services, exact, n - 1))
        check_services();
    free(exact);
    return 0;
}

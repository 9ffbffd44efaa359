/*
 * Any datagram: the index stays inside it and keeps its order; what can be
 * answered gets an answer with the same Call-ID, CSeq and From; a copy is equal.
 */
#include "check.h"

#include <stdlib.h>

static void check_index(const struct sip_message *m, struct span datagram)
{
    const char *at = m->raw.p;
    size_t chained = 0;

    CHECK(within(m->raw, datagram) && within(m->body, m->raw) && within(m->ruri, m->raw));
    CHECK(within(m->method_name, m->raw) && within(m->reason, m->raw));
    CHECK(m->header_count <= SIP_HEADERS_MAX);
    for (size_t i = 0; i < m->header_count; i++) {
        const struct sip_header *h = &m->header[i];

        CHECK(h->line.p >= at && within(h->line, m->raw));
        CHECK(within(h->name, h->line) && within(h->value, h->line));
        CHECK(h->id < SIP_H_COUNT && sip_header_of(h->name) == h->id);
        at = h->line.p + h->line.n;
    }
    CHECK(!m->body.p || m->body.p >= at);
    for (int id = 0; id < SIP_H_COUNT; id++)
        for (const struct sip_header *h = sip_first(m, id), *last = NULL; h; h = sip_next(m, h)) {
            CHECK(h->id == id && h > last && h < m->header + m->header_count);
            last = h;
            chained++;
        }
    CHECK(chained == m->header_count);
}

static void check_copy(const struct sip_message *m)
{
    void *room = malloc(sip_message_copy_size(m)); /* the sanitizer sees what is beyond */
    const struct sip_message *copy = sip_message_copy(room, m);

    CHECK(span_eq(copy->raw, m->raw) && span_eq(copy->body, m->body));
    check_index(copy, copy->raw);
    for (size_t i = 0; i < m->header_count; i++)
        CHECK(span_eq(copy->header[i].line, m->header[i].line));
    free(room);
}

static void check_answer(const struct sip_message *m, int status)
{
    static struct sip_message answer;
    static char room[2 * ROOM];
    static const enum sip_header_id same[] = {SIP_H_FROM, SIP_H_CALL_ID, SIP_H_CSEQ};
    struct address source;
    struct sip_fault fault;
    struct buf b = buf_make(room, sizeof room);
    enum sip_parsed parsed;

    CHECK(address_parse(SPAN("10.0.0.1:40000"), 0, &source));
    sip_reply_begin(&b, m, status, NULL, SPAN("t"), &source);
    sip_put_end(&b, SPAN_NONE);
    CHECK(!b.overflow);
    parsed = sip_parse(buf_done(&b), &answer, &fault);
    /* These come back as they were. */
    CHECK(parsed == SIP_PARSED || strcmp(fault.reason, "Bad CSeq") == 0 ||
          strcmp(fault.reason, "Bad Call-ID") == 0 ||
          strcmp(fault.reason, "Too Many Header Fields") == 0);
    CHECK(!answer.is_request && answer.status == status && answer.body.n == 0);
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        if (sip_has(&answer, same[i]))
            CHECK(span_eq(sip_value(&answer, same[i]), sip_value(m, same[i])));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct sip_message m;
    struct span datagram = span_make((const char *)data, size);
    struct sip_fault fault;
    enum sip_parsed parsed = sip_parse(datagram, &m, &fault);

    if (parsed == SIP_NOT_SIP) {
        CHECK(!sip_answerable(&m));
        return 0;
    }
    CHECK((parsed == SIP_BAD) == (fault.reason != NULL));
    CHECK(parsed == SIP_PARSED || (fault.status == 0) == !m.is_request);
    CHECK(fault.offset <= size);
    check_index(&m, datagram);
    check_copy(&m);
    if (sip_answerable(&m))
        check_answer(&m, fault.status ? fault.status : 200);
    return 0;
}

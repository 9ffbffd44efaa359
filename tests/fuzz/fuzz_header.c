/*
 * One field's value, read by every decoder: parts stay inside, lists lose
 * nothing, and a name-addr that is written again reads the same.
 */
#include "check.h"

static void check_params(struct span params, struct span value)
{
    struct span name, found, before = params;
    bool bad = false;

    CHECK(within(params, value));
    while (sip_param_next(&params, &name, &found, &bad)) {
        CHECK(sip_is_token(name) && within(name, value) && within(found, value));
        CHECK(params.n < before.n && within(params, before));
        before = params;
    }
    CHECK(!bad); /* a decoder has let them pass */
}

static void check_nameaddr(struct span value)
{
    static char room[ROOM];
    struct buf b = buf_make(room, sizeof room);
    struct sip_nameaddr na, again;
    struct sip_fault fault = {0};

    if (!sip_nameaddr_parse(value, &na, &fault)) {
        CHECK(fault.status == 400 && fault.reason);
        return;
    }
    CHECK(within(na.display, value) && within(na.uri_text, value) && within(sip_tag(&na), value));
    check_params(na.params, value);
    buf_span(&b, na.display);
    buf_lit(&b, " <");
    buf_span(&b, na.uri_text);
    buf_lit(&b, ">");
    buf_span(&b, na.params);
    if (b.overflow)
        return;
    CHECK(sip_nameaddr_parse(buf_done(&b), &again, &fault));
    CHECK(again.bracketed && span_eq(again.display, na.display));
    CHECK(span_eq(again.uri_text, na.uri_text) && span_eq(sip_tag(&again), sip_tag(&na)));
}

static void check_via(struct span value)
{
    struct sip_via via;
    struct sip_fault fault = {0};
    struct address source = {.ip = {10, 0, 0, 1}, .port = 40000, .family = ADDRESS_IP4};
    struct address to;

    if (!sip_via_parse(value, &via, &fault)) {
        CHECK(fault.status == 400 && fault.reason);
        return;
    }
    CHECK(via.transport.n && via.host.n && via.port <= 65535 && via.rport <= 65535);
    CHECK(within(via.branch, value) && within(via.received, value) && within(via.maddr, value));
    check_params(via.params, value);
    sip_via_reply_address(&via, &source, &to);
    CHECK(to.port && address_same_host(&to, &source));
}

static void check_list(struct span value)
{
    static struct sip_message m; /* one Contact field, made by hand */
    struct sip_list it;
    struct span element;
    const char *at = value.p;

    m.header_count = 1;
    m.first[SIP_H_CONTACT] = 1;
    m.header[0] = (struct sip_header){.value = value, .line = value, .id = SIP_H_CONTACT};
    sip_list_init(&it, &m, SIP_H_CONTACT);
    while (sip_list_next(&it, &element)) {
        CHECK(element.n && element.p >= at && within(element, value));
        at = element.p + element.n;
        check_nameaddr(element);
        check_via(element);
    }
    CHECK(it.bad || it.rest.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span value = span_trim(span_make((const char *)data, size));
    struct sip_cseq cseq;
    struct sip_fault fault;
    struct span name, found, params = value;
    uint32_t seconds;
    uint16_t q;
    bool bad = false;

    check_list(value);
    check_nameaddr(value);
    check_via(value);
    while (sip_param_next(&params, &name, &found, &bad))
        CHECK(within(found, value));
    if (sip_cseq_parse(value, &cseq, &fault))
        CHECK(sip_is_token(cseq.method));
    (void)sip_delta_seconds(value, &seconds);
    if (sip_qvalue(value, &q))
        CHECK(q <= 1000);
    return 0;
}

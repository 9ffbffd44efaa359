/*
 * What is forwarded parses again, keeps unknown fields and the body byte for
 * byte, and its answer finds the way back. The first byte chooses what changes.
 */
#include "check.h"

static char room[2 * ROOM];
static struct sip_message received, sent;

/* Fields that are added may be too many: nothing else may go wrong. */
static bool parses(struct buf *b, const char *allowed)
{
    struct sip_fault fault;
    enum sip_parsed parsed = sip_parse(buf_done(b), &sent, &fault);

    CHECK(!b->overflow);
    if (parsed == SIP_PARSED)
        return true;
    CHECK(parsed == SIP_BAD && (strcmp(fault.reason, "Too Many Header Fields") == 0 ||
                                strcmp(fault.reason, allowed) == 0));
    return false;
}

static void check_same_fields(void)
{
    const struct sip_header *a = sip_first(&received, SIP_H_OTHER);
    const struct sip_header *b = sip_first(&sent, SIP_H_OTHER);

    for (; a && b; a = sip_next(&received, a), b = sip_next(&sent, b))
        CHECK(span_eq(a->line, b->line));
    CHECK(!a && !b);
    CHECK(span_eq(received.body, sent.body));
    CHECK(sip_has(&sent, SIP_H_CONTENT_LENGTH));
}

static size_t count_values(const struct sip_message *m, enum sip_header_id id, bool *bad)
{
    struct sip_list it;
    struct span value;
    size_t count = 0;

    sip_list_init(&it, m, id);
    while (sip_list_next(&it, &value))
        count++;
    *bad = it.bad;
    return count;
}

/* received and rport stand once, and are what we saw. */
static void check_marked(const struct address *source)
{
    struct sip_via before, after;
    struct sip_fault fault;
    struct address seen;
    struct span params, name, value;
    bool bad = false;
    int times = 0;

    if (!sip_via_top(&received, &before, &fault))
        return;
    CHECK(sip_via_second(&sent, &after));
    CHECK(span_eq(after.branch, before.branch) && span_eq(after.host, before.host));
    CHECK(address_parse_ip(after.received, &seen) && address_same_host(&seen, source));
    CHECK(!before.has_rport || (after.has_rport && after.rport == source->port));
    params = after.params;
    while (sip_param_next(&params, &name, &value, &bad))
        times += span_ieq(name, SPAN("received"));
    CHECK(times == 1);
}

static void check_request(unsigned choice)
{
    struct address source = {.ip = {10, 0, 0, 1}, .port = 40000, .family = ADDRESS_IP4};
    struct sip_forward how = {
        .ruri = choice & 1 ? SPAN("sip:c@10.0.0.7") : SPAN_NONE,
        .via = SPAN("SIP/2.0/UDP us;branch=z9hG4bKu"),
        .record_routes = choice & 2 ? SPAN("Record-Route: <sip:us;lr>\r\n") : SPAN_NONE,
        .pop_routes = (int)(choice >> 6),
        .drop_routes = choice & 4,
        .max_forwards = 69,
        .remove = choice & 8 ? SIP_SET(SIP_H_P_ASSERTED_IDENTITY) | SIP_SET(SIP_H_CONTACT) : 0,
        .source = choice & 16 ? &source : NULL,
    };
    struct buf b = buf_make(room, sizeof room);
    bool bad_before, bad_after;
    size_t routes = count_values(&received, SIP_H_ROUTE, &bad_before);
    size_t pop = (size_t)how.pop_routes < routes ? (size_t)how.pop_routes : routes;

    sip_forward_request(&b, &received, &how);
    if (!parses(&b, ""))
        return;
    CHECK(sent.is_request && span_eq(sent.method_name, received.method_name));
    CHECK(span_eq(sip_value(&sent, SIP_H_MAX_FORWARDS), SPAN("69")));
    CHECK(!(choice & 8) || !sip_has(&sent, SIP_H_CONTACT));
    check_same_fields();
    if (choice & 16)
        check_marked(&source);
    if (!bad_before)
        CHECK(count_values(&sent, SIP_H_ROUTE, &bad_after) == (how.drop_routes ? 0 : routes - pop));
}

static void check_response(void)
{
    struct buf b = buf_make(room, sizeof room);
    bool bad_before, bad_after;
    size_t vias = count_values(&received, SIP_H_VIA, &bad_before);

    sip_forward_response(&b, &received);
    if (bad_before || !parses(&b, "Missing Via"))
        return;
    CHECK(!sent.is_request && sent.status == received.status);
    CHECK(span_eq(sent.reason, received.reason));
    check_same_fields();
    CHECK(count_values(&sent, SIP_H_VIA, &bad_after) == vias - 1);
}

static void check_cancel_and_ack(void)
{
    struct sip_via via;
    struct sip_fault fault;
    struct buf b = buf_make(room, sizeof room);

    if (!sip_via_top(&received, &via, &fault))
        return;
    sip_build_cancel(&b, &received, SPAN("SIP;cause=200"));
    if (parses(&b, ""))
        CHECK(sent.method == SIP_CANCEL && span_eq(sent.ruri, received.ruri));
    b = buf_make(room, sizeof room);
    sip_build_ack(&b, &received, &received);
    if (parses(&b, ""))
        CHECK(sent.method == SIP_ACK && span_eq(sip_value(&sent, SIP_H_VIA), via.text));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sip_fault fault;

    if (size == 0 ||
        sip_parse(span_make((const char *)data + 1, size - 1), &received, &fault) != SIP_PARSED)
        return 0;
    if (!received.is_request) {
        check_response();
        return 0;
    }
    check_request(data[0]);
    check_cancel_and_ack();
    return 0;
}

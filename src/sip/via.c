/*
 * sip/via: decodes Via and tells where a response goes. RFC 3261 18.2, 20.42.
 *
 * Called for each request and each response, on the core thread. Never
 * resolves a name, never allocates.
 */
#include "sip/header.h"
#include "sip/scan.h"

/* SLASH = SWS "/" SWS: takes a token and the slash behind it. NULL: bad. */
static const char *skip_protocol_part(const char *p, const char *end)
{
    const char *stop = skip_class(p, end, CHAR_TOKEN);
    const char *slash = skip_space(stop, end);

    if (stop == p || slash == end || *slash != '/')
        return NULL;
    return skip_space(slash + 1, end);
}

/* sent-by = host [ COLON port ], white space around the colon allowed. */
static const char *parse_sent_by(const char *p, const char *end, struct sip_via *out)
{
    const char *stop;

    if (p < end && *p == '[') {
        stop = skip_class(p + 1, end, CHAR_IP6);
        if (stop == end || *stop != ']')
            return NULL;
        stop++;
    } else {
        stop = skip_class(p, end, CHAR_HOST);
    }
    if (stop == p)
        return NULL;
    out->host = span_between(p, stop);
    p = skip_space(stop, end);
    if (p == end || *p != ':')
        return p;
    p = skip_space(p + 1, end);
    stop = p;
    while (stop < end && ascii_digit(*stop))
        stop++;
    if (!span_u32(span_between(p, stop), &out->port) || out->port == 0 || out->port > 65535) {
        out->port = 0;
        return NULL;
    }
    return skip_space(stop, end);
}

/* The parameters that something depends on. False: malformed. */
static bool parse_via_params(struct sip_via *out)
{
    struct span params = out->params;
    struct span name, value;
    bool bad = false;

    while (sip_param_next(&params, &name, &value, &bad)) {
        if (span_ieq(name, SPAN("branch"))) {
            out->branch = value;
        } else if (span_ieq(name, SPAN("received"))) {
            out->received = value;
        } else if (span_ieq(name, SPAN("maddr"))) {
            out->maddr = value;
        } else if (span_ieq(name, SPAN("rport"))) {
            out->has_rport = true;
            if (value.n && (!span_u32(value, &out->rport) || out->rport > 65535))
                return false;
        }
    }
    return !bad;
}

/* The host is set as soon as it is read: a bad message may be answered by it. */
bool sip_via_parse(struct span value, struct sip_via *out, struct sip_fault *fault)
{
    memset(out, 0, sizeof *out);
    value = span_trim(value);
    out->text = value;
    if (value.n == 0)
        return fault_400(fault, "Empty Via");

    const char *end = value.p + value.n;
    const char *p = skip_protocol_part(value.p, end);

    if (p)
        p = skip_protocol_part(p, end);
    if (!p)
        return fault_400(fault, "Bad Via Protocol");

    const char *stop = skip_class(p, end, CHAR_TOKEN);
    const char *sent_by = skip_space(stop, end);

    if (stop == p || sent_by == stop)
        return fault_400(fault, "Bad Via Protocol");
    out->transport = span_between(p, stop);
    p = parse_sent_by(sent_by, end, out);
    if (!p)
        return fault_400(fault, "Bad Via Sent-By");
    out->params = span_between(p, end);
    if (!parse_via_params(out))
        return fault_400(fault, "Bad Via Parameter");
    /* The magic cookie and nothing behind it names no transaction (RFC 4475 3.2.1). */
    if (span_ieq(out->branch, SPAN("z9hG4bK")))
        return fault_400(fault, "Empty Via Branch");
    return true;
}

void via_read_top(struct sip_message *m)
{
    struct span value = SPAN_NONE;
    struct sip_fault fault = {0};

    m->via_rest = sip_value(m, SIP_H_VIA);
    if (list_split(&m->via_rest, &value) <= 0) {
        memset(&m->via, 0, sizeof m->via);
        m->via_rest = SPAN_NONE;
        m->via_fault = "Bad Via";
    } else {
        m->via_fault = sip_via_parse(value, &m->via, &fault) ? NULL : fault.reason;
    }
}

bool sip_via_top(const struct sip_message *m, struct sip_via *out, struct sip_fault *fault)
{
    *out = m->via;
    return !m->via_fault || fault_400(fault, m->via_fault);
}

bool sip_via_second(const struct sip_message *m, struct sip_via *out)
{
    const struct sip_header *first = sip_first(m, SIP_H_VIA);
    struct span rest = m->via_rest;
    struct sip_fault fault;
    struct span value;

    if (rest.n == 0 && first && (first = sip_next(m, first)))
        rest = first->value;
    return list_split(&rest, &value) > 0 && sip_via_parse(value, out, &fault);
}

bool via_differs(const struct sip_via *via, const struct address *source)
{
    struct address sent_by;

    return sip_host_address(via->host, &sent_by) && !address_same_host(&sent_by, source);
}

/*
 * maddr (RFC 3261 18.2.2) is not followed: whoever forges it could have us send
 * answers to anybody, larger than what he sent. A source that names itself in
 * maddr is reached anyway. A sent-by name tells nothing about the source: with
 * no rport it gets the answer at its sent-by port, as RFC 3261 has it.
 */
void sip_via_reply_address(const struct sip_via *top, const struct address *source,
                           struct address *out)
{
    *out = *source;
    if (!top->has_rport && !via_differs(top, source))
        out->port = top->port ? (uint16_t)top->port : SIP_PORT;
}

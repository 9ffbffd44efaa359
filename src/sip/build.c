/*
 * sip/build: answers, CANCEL and ACK, and the pieces that messages are made of.
 *
 * Called by transactions, registrar and proxy on the core thread. Writes into
 * the caller's bounded buffer, which says whether all fitted. Never allocates,
 * never edits what was received.
 */
#include "sip/build.h"
#include "sip/scan.h"

void sip_put_field(struct buf *out, const char *name, struct span value)
{
    buf_str(out, name);
    buf_lit(out, ": ");
    buf_span(out, value);
    buf_lit(out, "\r\n");
}

void sip_put_end(struct buf *out, struct span body)
{
    buf_lit(out, "Content-Length: ");
    buf_u64(out, body.n);
    buf_lit(out, "\r\n\r\n");
    buf_span(out, body);
}

static void put_2_digits(struct buf *out, unsigned value)
{
    buf_char(out, (char)('0' + value / 10));
    buf_char(out, (char)('0' + value % 10));
}

/* Years, months and days from a count of days: Howard Hinnant's "civil from
 * days", with years that begin in March. */
void sip_put_date(struct buf *out, uint64_t wall_s)
{
    static const char weekdays[] = "ThuFriSatSunMonTueWed"; /* 1970 began on a Thursday */
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    uint64_t days = wall_s / 86400;
    unsigned second = (unsigned)(wall_s % 86400);
    uint64_t shifted = days + 719468;
    uint64_t era = shifted / 146097;
    unsigned day_of_era = (unsigned)(shifted % 146097);
    unsigned year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    unsigned day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    unsigned month = (5 * day_of_year + 2) / 153; /* 0: March */
    unsigned day = day_of_year - (153 * month + 2) / 5 + 1;

    month = month < 10 ? month + 2 : month - 10; /* 0: January */
    buf_put(out, weekdays + days % 7 * 3, 3);
    buf_lit(out, ", ");
    put_2_digits(out, day);
    buf_char(out, ' ');
    buf_put(out, months + month * 3, 3);
    buf_char(out, ' ');
    buf_u64(out, era * 400 + year_of_era + (month < 2));
    buf_char(out, ' ');
    put_2_digits(out, second / 3600);
    buf_char(out, ':');
    put_2_digits(out, second / 60 % 60);
    buf_char(out, ':');
    put_2_digits(out, second % 60);
    buf_lit(out, " GMT");
}

/* ---- Via of a received request -------------------------------------------- */

/* All parameters but received and rport, as they were written. */
static void put_other_params(struct buf *out, struct span params)
{
    struct span rest = params;
    struct span name, value;
    bool bad = false;

    for (const char *from = rest.p; sip_param_next(&rest, &name, &value, &bad); from = rest.p) {
        if (!span_ieq(name, SPAN("received")) && !span_ieq(name, SPAN("rport")))
            buf_span(out, span_trim(span_between(from, rest.p)));
    }
}

/* RFC 3261 18.2.1 and RFC 3581 4: where the request really came from; what the
 * sender wrote there itself is replaced. */
static void put_marked_via(struct buf *out, const struct sip_via *via, const struct address *source)
{
    buf_span(out, span_trim(span_between(via->text.p, via->params.p)));
    put_other_params(out, via->params);
    buf_lit(out, ";received=");
    address_put_ip(out, source);
    if (via->has_rport || via_differs(via, source)) {
        buf_lit(out, ";rport=");
        buf_u64(out, source->port);
    }
}

void put_received_via(struct buf *out, const struct sip_message *m, const struct address *source)
{
    buf_lit(out, "Via: ");
    if (source && !m->via_fault) {
        put_marked_via(out, &m->via, source);
        if (m->via_rest.n) {
            buf_lit(out, ", ");
            buf_span(out, span_trim(m->via_rest));
        }
    } else {
        buf_span(out, sip_value(m, SIP_H_VIA));
    }
    buf_lit(out, "\r\n");
}

/* ---- answers -------------------------------------------------------------- */

static void put_to(struct buf *out, struct span value, struct span to_tag)
{
    buf_lit(out, "To: ");
    buf_span(out, value);
    if (to_tag.n && sip_value_tag(value).n == 0) {
        buf_lit(out, ";tag=");
        buf_span(out, to_tag);
    }
    buf_lit(out, "\r\n");
}

void sip_reply_begin(struct buf *out, const struct sip_message *request, int status,
                     const char *reason, struct span to_tag, const struct address *source)
{
    const struct sip_header *via = sip_first(request, SIP_H_VIA);

    buf_lit(out, "SIP/2.0 ");
    buf_u64(out, (uint64_t)status);
    buf_char(out, ' ');
    buf_str(out, reason ? reason : sip_reason(status));
    buf_lit(out, "\r\n");
    if (via)
        put_received_via(out, request, source);
    while (via && (via = sip_next(request, via)))
        sip_put_field(out, "Via", via->value);
    sip_put_field(out, "From", sip_value(request, SIP_H_FROM));
    put_to(out, sip_value(request, SIP_H_TO), to_tag);
    sip_put_field(out, "Call-ID", sip_value(request, SIP_H_CALL_ID));
    sip_put_field(out, "CSeq", sip_value(request, SIP_H_CSEQ));
    /* RFC 3261 8.2.6.1: a 100 carries the request's Timestamp. */
    const struct sip_header *timestamp =
        status == 100 ? sip_find(request, SPAN("Timestamp")) : NULL;

    if (timestamp)
        sip_put_field(out, "Timestamp", timestamp->value);
}

/* ---- CANCEL and ACK ------------------------------------------------------- */

/* What CANCEL and ACK share: RFC 3261 9.1 and 17.1.1.3 ask for the Request-URI,
 * the top Via alone, From, Call-ID, the CSeq number and the Routes of the INVITE. */
static void put_same_transaction(struct buf *out, const struct sip_message *invite,
                                 const char *method, struct span to)
{
    struct sip_via via;
    struct sip_cseq cseq;
    struct sip_fault fault;

    buf_str(out, method);
    buf_char(out, ' ');
    buf_span(out, invite->ruri);
    buf_lit(out, " SIP/2.0\r\n");
    if (sip_via_top(invite, &via, &fault))
        sip_put_field(out, "Via", via.text);
    for (const struct sip_header *h = sip_first(invite, SIP_H_ROUTE); h; h = sip_next(invite, h))
        sip_put_field(out, "Route", h->value);
    buf_lit(out, "Max-Forwards: 70\r\n");
    sip_put_field(out, "From", sip_value(invite, SIP_H_FROM));
    sip_put_field(out, "To", to);
    sip_put_field(out, "Call-ID", sip_value(invite, SIP_H_CALL_ID));
    if (sip_cseq_parse(sip_value(invite, SIP_H_CSEQ), &cseq, &fault)) {
        buf_lit(out, "CSeq: ");
        buf_u64(out, cseq.number);
        buf_char(out, ' ');
        buf_str(out, method);
        buf_lit(out, "\r\n");
    }
}

void sip_build_cancel(struct buf *out, const struct sip_message *invite, struct span reason)
{
    put_same_transaction(out, invite, "CANCEL", sip_value(invite, SIP_H_TO));
    if (reason.n)
        sip_put_field(out, "Reason", reason);
    sip_put_end(out, SPAN_NONE);
}

void sip_build_ack(struct buf *out, const struct sip_message *invite,
                   const struct sip_message *response)
{
    put_same_transaction(out, invite, "ACK", sip_value(response, SIP_H_TO));
    sip_put_end(out, SPAN_NONE);
}

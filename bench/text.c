/*
 * text: writes and reads the messages of the benchmarks.
 *
 * Called by load and gate, on their one thread. Allocates nothing.
 */
#include "text.h"

#define OFFER                                                                                      \
    "v=0\r\no=- 3872 3872 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"              \
    "m=audio 40000 RTP/AVP 9 8 0 101\r\na=rtpmap:9 G722/8000\r\na=rtpmap:8 PCMA/8000\r\n"          \
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"             \
    "a=ptime:20\r\na=sendrecv\r\n"

/* splitmix64: texts that look like chance and are the same each time. */
static uint64_t mixed(uint64_t z)
{
    z = z * 0x9e3779b97f4a7c15 + 0x9e3779b97f4a7c15;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
    z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
    return z ^ (z >> 31);
}

void text_put_hex(struct buf *out, uint64_t value, unsigned digits)
{
    char text[16];

    for (unsigned i = digits; i-- > 0; value >>= 4)
        text[i] = "0123456789abcdef"[value & 15];
    buf_put(out, text, digits);
}

void text_put_user(struct buf *out, uint32_t aor)
{
    char text[TEXT_USER_SIZE] = {'u'};

    for (unsigned i = TEXT_USER_SIZE; i-- > 1; aor /= 10)
        text[i] = (char)('0' + aor % 10);
    buf_put(out, text, sizeof text);
}

void text_put_contact(struct buf *out, uint32_t aor, uint32_t contact, uint16_t port)
{
    size_t begin = out->n;

    buf_lit(out, "sip:");
    text_put_user(out, aor);
    buf_lit(out, "@127.0.0.1:");
    buf_u64(out, port);
    buf_lit(out, ";c=");
    text_put_hex(out, contact, 2);
    buf_lit(out, ";line=");
    for (uint64_t seed = mixed((uint64_t)aor << 8 | contact);
         out->n - begin < TEXT_CONTACT_SIZE && !out->overflow; seed >>= 4)
        text_put_hex(out, seed, 1);
}

void text_put_register_call_id(struct buf *out, uint32_t aor, uint32_t contact)
{
    uint64_t seed = (uint64_t)aor << 8 | contact;

    text_put_hex(out, mixed(seed), 16);
    text_put_hex(out, mixed(~seed), 16);
}

void text_put_via(struct buf *out, uint16_t port, uint32_t slot, uint32_t generation, char suffix)
{
    buf_lit(out, "Via: SIP/2.0/UDP 127.0.0.1:");
    buf_u64(out, port);
    buf_lit(out, ";branch=z9hG4bK");
    text_put_hex(out, slot, 8);
    text_put_hex(out, generation, 8);
    buf_char(out, suffix);
    buf_lit(out, ";rport\r\n");
}

static void put_party(struct buf *out, const char *name, uint32_t aor)
{
    buf_str(out, name);
    buf_lit(out, ": <sip:");
    text_put_user(out, aor);
    buf_lit(out, "@" TEXT_DOMAIN ">");
}

void text_put_register(struct buf *out, const struct text_register *r)
{
    buf_lit(out, "REGISTER sip:" TEXT_DOMAIN " SIP/2.0\r\n");
    text_put_via(out, r->port, r->slot, r->generation, 'r');
    buf_lit(out, "Max-Forwards: 70\r\n");
    put_party(out, "From", r->aor);
    buf_lit(out, ";tag=");
    text_put_hex(out, mixed(r->aor), 10);
    buf_lit(out, "\r\n");
    put_party(out, "To", r->aor);
    buf_lit(out, "\r\nCall-ID: ");
    text_put_register_call_id(out, r->aor, r->contact);
    buf_lit(out, "\r\nCSeq: ");
    buf_u64(out, r->cseq);
    buf_lit(out, " REGISTER\r\nContact: <");
    text_put_contact(out, r->aor, r->contact, r->port);
    buf_lit(out, ">\r\nExpires: ");
    buf_u64(out, r->expires_s);
    buf_lit(out,
            "\r\nUser-Agent: Benchmark Phone 4.2\r\n"
            "Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, REFER, NOTIFY, MESSAGE, INFO, UPDATE\r\n"
            "Supported: timer, replaces, norefersub\r\n"
            "Content-Length: 0\r\n\r\n");
}

void text_put_offer(struct buf *out)
{
    buf_lit(out, "Content-Type: application/sdp\r\nContent-Length: ");
    buf_u64(out, sizeof OFFER - 1);
    buf_lit(out, "\r\n\r\n" OFFER);
}

/* ---- reading ---- */

static void keep_line(struct span *lines, unsigned *count, struct span line)
{
    if (*count < TEXT_LINES_MAX)
        lines[(*count)++] = line;
}

static void keep_contact(struct fields *f, struct span value)
{
    if (f->contacts == 0)
        f->contact = value;
    for (size_t i = 0; i < value.n; i++)
        f->contacts += value.p[i] == '<';
}

static void keep_field(struct fields *f, struct span name, struct span value, struct span line)
{
    if (span_ieq(name, SPAN("Via")))
        keep_line(f->via, &f->vias, line);
    else if (span_ieq(name, SPAN("Record-Route")))
        keep_line(f->record_route, &f->record_routes, line);
    else if (span_ieq(name, SPAN("From")))
        f->from = value;
    else if (span_ieq(name, SPAN("To")))
        f->to = value;
    else if (span_ieq(name, SPAN("Call-ID")))
        f->call_id = value;
    else if (span_ieq(name, SPAN("CSeq")))
        f->cseq = value;
    else if (span_ieq(name, SPAN("Contact")))
        keep_contact(f, value);
    else if (span_ieq(name, SPAN("Expires")))
        f->expires = value;
    else if (span_ieq(name, SPAN("Reason")))
        f->reason = value;
}

static bool read_start(struct fields *f)
{
    const char *end = f->start.p + f->start.n;
    const char *space = memchr(f->start.p, ' ', f->start.n);
    const char *second;

    if (!space)
        return false;
    if (f->start.n >= 11 && memcmp(f->start.p, "SIP/2.0 ", 8) == 0) {
        f->status =
            (f->start.p[8] - '0') * 100 + (f->start.p[9] - '0') * 10 + (f->start.p[10] - '0');
        return f->status >= 100 && f->status <= 699;
    }
    second = memchr(space + 1, ' ', (size_t)(end - space - 1));
    if (!second)
        return false;
    f->method = span_between(f->start.p, space);
    f->ruri = span_between(space + 1, second);
    return true;
}

bool fields_read(struct span message, struct fields *out)
{
    const char *p = message.p;
    const char *end = message.p + message.n;

    *out = (struct fields){.start = SPAN_NONE};
    while (p < end) {
        const char *lf = memchr(p, '\n', (size_t)(end - p));
        const char *colon;
        struct span line;

        if (!lf || lf == p || lf[-1] != '\r')
            return false;
        line = span_between(p, lf - 1);
        if (line.n == 0)
            break;
        if (!out->start.p) {
            out->start = line;
            if (!read_start(out))
                return false;
        } else if ((colon = memchr(line.p, ':', line.n))) {
            keep_field(out, span_between(line.p, colon),
                       span_trim(span_between(colon + 1, line.p + line.n)),
                       span_between(p, lf + 1));
        }
        p = lf + 1;
    }
    return out->vias && out->from.n && out->to.n && out->call_id.n && out->cseq.n;
}

const char *text_find(struct span in, const char *what)
{
    return memmem(in.p, in.n, what, strlen(what));
}

bool text_hex(struct span text, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < text.n; i++) {
        int digit = ascii_hex(text.p[i]);

        if (digit < 0)
            return false;
        *value = *value << 4 | (unsigned)digit;
    }
    return text.n > 0 && text.n <= 16;
}

bool fields_branch(const struct fields *f, uint32_t *slot, uint32_t *generation)
{
    struct span via = f->vias ? f->via[0] : SPAN_NONE;
    const char *at = via.n ? text_find(via, "branch=z9hG4bK") : NULL;
    uint64_t value;

    if (!at || via.p + via.n < at + 14 + 17 || !text_hex(span_make(at + 14, 16), &value))
        return false;
    *slot = (uint32_t)(value >> 32);
    *generation = (uint32_t)value;
    return true;
}

bool text_aor_of(struct span value, uint32_t *aor)
{
    const char *at = text_find(value, "sip:u");

    return at && value.p + value.n >= at + 5 + TEXT_USER_SIZE && at[4 + TEXT_USER_SIZE] == '@' &&
           span_u32(span_make(at + 5, TEXT_USER_SIZE - 1), aor);
}

struct span text_uri_of(struct span value)
{
    const char *open = memchr(value.p, '<', value.n);
    const char *close = open ? memchr(open, '>', (size_t)(value.p + value.n - open)) : NULL;

    return close ? span_between(open + 1, close) : value;
}

void text_put_answer(struct buf *out, const struct fields *request, const char *status_line,
                     const char *tag)
{
    buf_lit(out, "SIP/2.0 ");
    buf_str(out, status_line);
    buf_lit(out, "\r\n");
    for (unsigned i = 0; i < request->vias; i++)
        buf_span(out, request->via[i]);
    for (unsigned i = 0; i < request->record_routes; i++)
        buf_span(out, request->record_route[i]);
    buf_lit(out, "From: ");
    buf_span(out, request->from);
    buf_lit(out, "\r\nTo: ");
    buf_span(out, request->to);
    if (!text_find(request->to, ";tag=")) {
        buf_lit(out, ";tag=");
        buf_str(out, tag);
    }
    buf_lit(out, "\r\nCall-ID: ");
    buf_span(out, request->call_id);
    buf_lit(out, "\r\nCSeq: ");
    buf_span(out, request->cseq);
    buf_lit(out, "\r\n");
}

void text_put_end(struct buf *out)
{
    buf_lit(out, "Content-Length: 0\r\n\r\n");
}

/*
 * sip/message: finds start line, header fields and body of one message.
 *
 * Called by the core for each datagram, on the core thread: the hot path, one
 * pass over the bytes. The index goes on behind a fault, so that a bad request
 * can be answered. A stray CR, LF or NUL is a fault, not a line end: other
 * programs read them as one, and who may add lines between us and them may
 * add identities. Never allocates, never reads past the datagram.
 */
#include "sip/header.h"
#include "sip/scan.h"

struct parser {
    struct sip_message *m;
    struct sip_fault *fault; /* reason NULL: none yet; the first one stays */
    const char *start;
    const char *end;
    bool dirty;                 /* the field being read is cut off or holds a stray byte */
    uint16_t last[SIP_H_COUNT]; /* index + 1 of the last field of each id */
};

static void bad(struct parser *ps, int status, const char *reason, const char *at)
{
    if (!ps->fault->reason)
        *ps->fault = (struct sip_fault){status, reason, (uint32_t)(at - ps->start)};
}

/*
 * The end of the line that p stands in: *stop is behind its last byte, what is
 * returned is the next line. Without a line end both are the end.
 */
static const char *line_end(struct parser *ps, const char *p, const char **stop)
{
    for (;; p++) {
        p = scan_line(p, ps->end);
        if (p == ps->end) {
            bad(ps, 400, "Truncated Header", p);
            ps->dirty = true;
            *stop = p;
            return p;
        }
        if (*p == '\r' && p + 1 < ps->end && p[1] == '\n') {
            *stop = p;
            return p + 2;
        }
        if (*p == '\n') {
            bad(ps, 400, "Bare LF in Header", p);
            *stop = p;
            return p + 1;
        }
        /* A quoted-pair may hold NUL (RFC 4475 3.1.1.2). */
        if (*p == 0 && p > ps->start && p[-1] == '\\')
            continue;
        bad(ps, 400, *p ? "Bare CR in Header" : "NUL in Header", p);
        ps->dirty = true;
    }
}

static bool is_fold(const struct parser *ps, const char *p)
{
    return p < ps->end && (*p == ' ' || *p == '\t');
}

static void add_field(struct parser *ps, struct span name, struct span value, struct span line)
{
    struct sip_message *m = ps->m;
    enum sip_header_id id = sip_header_of(name);

    if (m->header_count == SIP_HEADERS_MAX) {
        bad(ps, 400, "Too Many Header Fields", name.p);
        return;
    }
    m->header[m->header_count] = (struct sip_header){name, value, line, (uint16_t)id, 0};
    m->header_count++;
    if (ps->last[id])
        m->header[ps->last[id] - 1].next = m->header_count;
    else
        m->first[id] = m->header_count;
    ps->last[id] = m->header_count;
}

/* The field that begins at p, folds included; what is returned is the next line. */
static const char *parse_field(struct parser *ps, const char *p)
{
    const char *name_end = skip_class(p, ps->end, CHAR_TOKEN);
    const char *colon = name_end;
    const char *stop;

    /* HCOLON = *( SP / HTAB ) ":" SWS */
    while (is_fold(ps, colon))
        colon++;
    bool well = colon < ps->end && *colon == ':' && name_end > p;

    if (!well)
        bad(ps, 400, "Bad Header Field", p);
    ps->dirty = false;

    const char *next = line_end(ps, well ? colon + 1 : p, &stop);

    while (is_fold(ps, next)) {
        if (*stop != '\r')
            ps->dirty = true; /* folded behind a bare LF */
        next = line_end(ps, next, &stop);
    }
    if (well && !ps->dirty)
        add_field(ps, span_between(p, name_end), span_trim(span_between(colon + 1, stop)),
                  span_between(p, next));
    return next;
}

/* All fields; what is returned is the first byte of the body. */
static const char *parse_fields(struct parser *ps, const char *p)
{
    while (p < ps->end) {
        if (*p == '\r' && p + 1 < ps->end && p[1] == '\n')
            return p + 2;
        if (*p == '\n') {
            bad(ps, 400, "Bare LF in Header", p);
            return p + 1;
        }
        p = parse_field(ps, p);
    }
    bad(ps, 400, "Missing Empty Line", p);
    return p;
}

/* SIP-Version is case-insensitive (RFC 3261 7.1). */
static bool is_version(struct span s)
{
    return span_ieq(s, SPAN("SIP/2.0"));
}

static bool is_other_version(struct span s)
{
    if (s.n < 7 || !span_ieq(span_make(s.p, 4), SPAN("SIP/")))
        return false;
    for (size_t i = 4; i < s.n; i++)
        if (!ascii_digit(s.p[i]) && s.p[i] != '.')
            return false;
    return true;
}

/* Status-Line = SIP-Version SP Status-Code SP Reason-Phrase. Many leave the
 * last SP out where the phrase is empty. */
static void parse_status_line(struct parser *ps, struct span line)
{
    struct sip_message *m = ps->m;
    uint32_t status;

    m->is_request = false;
    if (line.n < 11 || !is_version(span_make(line.p, 7)) || line.p[7] != ' ' ||
        !span_u32(span_make(line.p + 8, 3), &status) || status < 100 || status > 699 ||
        (line.n > 11 && line.p[11] != ' ')) {
        bad(ps, 0, "Bad Status Line", line.p);
        return;
    }
    m->status = (int)status;
    if (line.n > 12)
        m->reason = span_make(line.p + 12, line.n - 12);
}

static void check_request_uri(struct parser *ps)
{
    struct sip_message *m = ps->m;
    struct sip_uri uri;
    struct sip_fault fault;

    if (!sip_uri_parse(m->ruri, &uri, &fault))
        bad(ps, 400, "Bad Request-URI", m->ruri.p);
    else if (uri.headers.n) /* RFC 3261 19.1.1, table 1 */
        bad(ps, 400, "Headers in Request-URI", uri.headers.p);
}

/*
 * Request-Line = Method SP Request-URI SP SIP-Version, each SP exactly one
 * (RFC 4475 3.1.2.7 to 3.1.2.10). False: this is no SIP at all.
 */
static bool parse_request_line(struct parser *ps, struct span line)
{
    struct sip_message *m = ps->m;
    const char *end = line.p + line.n;
    const char *p = skip_class(line.p, end, CHAR_TOKEN);

    if (p == line.p || p == end || *p != ' ')
        return false;
    m->method_name = span_between(line.p, p);
    m->method = sip_method_of(m->method_name);

    const char *uri_end = memchr(p + 1, ' ', (size_t)(end - p - 1));
    struct span version = uri_end ? span_between(uri_end + 1, end) : SPAN_NONE;

    if (uri_end && is_version(version)) {
        m->ruri = span_between(p + 1, uri_end);
        check_request_uri(ps);
        return true;
    }
    if (is_other_version(version)) {
        bad(ps, 505, sip_reason(505), version.p);
        return true;
    }
    bad(ps, 400, "Bad Request Line", line.p);
    return memmem(line.p, line.n, "SIP/", 4) != NULL;
}

static const struct {
    enum sip_header_id id;
    const char *missing;
    const char *repeated;
    const char *empty;
} required[] = {
    {SIP_H_VIA, "Missing Via", NULL, "Empty Via"},
    {SIP_H_FROM, "Missing From", "Repeated From", "Empty From"},
    {SIP_H_TO, "Missing To", "Repeated To", "Empty To"},
    {SIP_H_CALL_ID, "Missing Call-ID", "Repeated Call-ID", "Empty Call-ID"},
    {SIP_H_CSEQ, "Missing CSeq", "Repeated CSeq", "Empty CSeq"},
};

/* RFC 3261 8.1.1: what every message has, once each but Via. */
static void check_required(struct parser *ps)
{
    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        const struct sip_header *h = sip_first(ps->m, required[i].id);

        if (!h)
            bad(ps, 400, required[i].missing, ps->end);
        else if (h->value.n == 0)
            bad(ps, 400, required[i].empty, h->name.p);
        else if (h->next && required[i].repeated)
            bad(ps, 400, required[i].repeated, sip_next(ps->m, h)->name.p);
    }
}

static void check_cseq(struct parser *ps)
{
    struct sip_message *m = ps->m;
    const struct sip_header *h = sip_first(m, SIP_H_CSEQ);
    struct sip_cseq cseq;
    struct sip_fault fault;

    if (!h)
        return;
    if (!sip_cseq_parse(h->value, &cseq, &fault)) {
        bad(ps, 400, "Bad CSeq", h->value.p);
        return;
    }
    if (!m->is_request) {
        m->method_name = cseq.method;
        m->method = sip_method_of(cseq.method);
    } else if (!span_eq(cseq.method, m->method_name)) {
        /* RFC 4475 3.1.2.17 and 3.1.2.18 */
        bad(ps, 400, "CSeq Method Mismatch", cseq.method.p);
    }
}

static void check_call_id(struct parser *ps)
{
    struct span value = sip_value(ps->m, SIP_H_CALL_ID);

    const char *end = value.p + value.n;
    const char *space = value.n ? skip_class(value.p, end, CHAR_VALUE) : end;

    /* word may hold what a parameter's value may not, so look again, slowly. */
    while (space < end && !char_is_space(*space))
        space++;
    if (space < end)
        bad(ps, 400, "Bad Call-ID", space);
}

/* RFC 3261 20.22; RFC 4475 3.1.2.4 allows to refuse what is over 255. */
static void check_max_forwards(struct parser *ps)
{
    const struct sip_header *h = sip_first(ps->m, SIP_H_MAX_FORWARDS);
    uint32_t hops;

    if (!h)
        return;
    if (h->next)
        bad(ps, 400, "Repeated Max-Forwards", sip_next(ps->m, h)->name.p);
    else if (!span_u32(h->value, &hops) || hops > 255)
        bad(ps, 400, "Bad Max-Forwards", h->value.p);
}

/* RFC 3261 18.3: the body is what Content-Length says, the rest is discarded. */
static void find_body(struct parser *ps, const char *p)
{
    struct sip_message *m = ps->m;
    size_t room = (size_t)(ps->end - p);
    size_t take = room;
    uint32_t length, first = 0;

    for (const struct sip_header *h = sip_first(m, SIP_H_CONTENT_LENGTH); h; h = sip_next(m, h)) {
        if (!span_u32(h->value, &length)) {
            bad(ps, 400, "Bad Content-Length", h->name.p);
        } else if (h != sip_first(m, SIP_H_CONTENT_LENGTH) && length != first) {
            bad(ps, 400, "Contradicting Content-Length", h->name.p);
        } else if (length > room) {
            bad(ps, 400, "Content-Length Beyond Message", h->name.p);
        } else {
            first = length;
            take = length;
        }
    }
    m->body = span_make(p, take);
    m->raw = span_between(ps->start, p + take);
}

static void message_clear(struct sip_message *m)
{
    m->raw = m->ruri = m->reason = m->body = m->method_name = SPAN_NONE;
    m->is_request = true;
    m->method = SIP_METHOD_OTHER;
    m->status = 0;
    memset(&m->via, 0, sizeof m->via);
    m->via_fault = "Missing Via";
    m->via_rest = SPAN_NONE;
    m->header_count = 0;
    memset(m->first, 0, sizeof m->first); /* header[] is large: never cleared */
}

enum sip_parsed sip_parse(struct span datagram, struct sip_message *out, struct sip_fault *fault)
{
    struct parser ps = {.m = out, .fault = fault};
    const char *stop;

    message_clear(out);
    *fault = (struct sip_fault){0, NULL, 0};
    if (datagram.n == 0)
        return SIP_NOT_SIP;
    ps.end = datagram.p + datagram.n;
    ps.start = datagram.p;
    /* RFC 3261 7.5: empty lines before the start line are no part of it. */
    while (ps.start < ps.end && (*ps.start == '\r' || *ps.start == '\n'))
        ps.start++;
    if (ps.start == ps.end || !char_is(*ps.start, CHAR_TOKEN))
        return SIP_NOT_SIP;

    const char *p = line_end(&ps, ps.start, &stop);
    struct span line = span_between(ps.start, stop);

    if (line.n >= 4 && span_ieq(span_make(line.p, 4), SPAN("SIP/")))
        parse_status_line(&ps, line);
    else if (!parse_request_line(&ps, line))
        return SIP_NOT_SIP;
    p = parse_fields(&ps, p);
    find_body(&ps, p);
    if (sip_has(out, SIP_H_VIA))
        via_read_top(out);
    check_required(&ps);
    check_cseq(&ps);
    check_call_id(&ps);
    check_max_forwards(&ps);
    if (!fault->reason)
        return SIP_PARSED;
    if (!out->is_request)
        fault->status = 0; /* a response is never answered */
    return SIP_BAD;
}

bool sip_answerable(const struct sip_message *m)
{
    /* RFC 3261 17: an ACK has no answer. */
    if (!m->is_request || m->method == SIP_ACK)
        return false;
    for (size_t i = 0; i < sizeof required / sizeof *required; i++)
        if (sip_value(m, required[i].id).n == 0)
            return false;
    return !m->via_fault || m->via.host.n;
}

static struct span moved(struct span s, const char *from, const char *to)
{
    return s.p ? span_make(to + (s.p - from), s.n) : s;
}

static void via_move(struct sip_via *via, const char *from, const char *to)
{
    via->text = moved(via->text, from, to);
    via->transport = moved(via->transport, from, to);
    via->host = moved(via->host, from, to);
    via->params = moved(via->params, from, to);
    via->branch = moved(via->branch, from, to);
    via->received = moved(via->received, from, to);
    via->maddr = moved(via->maddr, from, to);
}

static size_t index_size(const struct sip_message *m)
{
    return offsetof(struct sip_message, header) + m->header_count * sizeof m->header[0];
}

size_t sip_message_copy_size(const struct sip_message *m)
{
    return index_size(m) + m->raw.n;
}

struct sip_message *sip_message_copy(void *room, const struct sip_message *m)
{
    struct sip_message *copy = room;
    const char *from = m->raw.p;
    char *to = (char *)room + index_size(m);

    memcpy(copy, m, index_size(m));
    memcpy(to, from, m->raw.n);
    copy->raw = span_make(to, m->raw.n);
    copy->method_name = moved(m->method_name, from, to);
    copy->ruri = moved(m->ruri, from, to);
    copy->reason = moved(m->reason, from, to);
    copy->body = moved(m->body, from, to);
    via_move(&copy->via, from, to);
    copy->via_rest = moved(m->via_rest, from, to);
    for (size_t i = 0; i < m->header_count; i++) {
        struct sip_header *h = &copy->header[i];

        h->name = moved(h->name, from, to);
        h->value = moved(h->value, from, to);
        h->line = moved(h->line, from, to);
    }
    return copy;
}

const struct sip_header *sip_find(const struct sip_message *m, struct span name)
{
    enum sip_header_id id = sip_header_of(name);

    if (id != SIP_H_OTHER)
        return sip_first(m, id);
    name = header_long_name(name);
    for (const struct sip_header *h = sip_first(m, SIP_H_OTHER); h; h = sip_next(m, h))
        if (span_ieq(header_long_name(h->name), name))
            return h;
    return NULL;
}

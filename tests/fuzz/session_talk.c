/*
 * session_talk: see the header. Writes into buffers of its own; knows SIP only as
 * far as a polite peer must.
 */
#include "session_talk.h"

#include "sip/header.h"

static char room[ROOM];          /* the message that is being written */
static struct sip_message heard; /* the one that "$x" is taken from */

/* ---- what a peer knows -------------------------------------------------------- */

/* The message, parsed; NULL: there is none, or it is bad. */
static const struct sip_message *parsed(const struct text *t)
{
    struct sip_fault fault;

    return t->p && sip_parse(text_span(t), &heard, &fault) == SIP_PARSED ? &heard : NULL;
}

static void put_value(struct buf *out, const struct text *t, enum sip_header_id id)
{
    const struct sip_message *m = parsed(t);

    buf_span(out, m ? sip_value(m, id) : SPAN("none"));
}

static void put_tagged(struct buf *out, const struct peer *p, struct span value)
{
    buf_span(out, value);
    if (!memmem(value.p ? value.p : "", value.n, "tag=", 4)) {
        buf_lit(out, ";tag=u");
        buf_u64(out, p->own.port + p->own.ip[3]);
    }
}

/* The URI of the last Contact. */
static void put_contact(struct buf *out, const struct peer *p)
{
    const struct sip_message *m = parsed(&p->latest);
    struct sip_nameaddr contact;
    struct sip_fault fault;

    if (m && sip_nameaddr_parse(sip_value(m, SIP_H_CONTACT), &contact, &fault))
        buf_span(out, contact.uri_text);
    else
        buf_lit(out, "sip:nobody@example.com");
}

/* The route set that came with it: a whole field, without line end. */
static void put_routes(struct buf *out, const struct peer *p)
{
    const struct sip_message *m = parsed(&p->latest);
    struct span routes[8];
    unsigned n = 0;
    struct sip_list it;

    if (!m || !sip_has(m, SIP_H_RECORD_ROUTE)) {
        buf_lit(out, "X-No-Route: 0");
        return;
    }
    sip_list_init(&it, m, SIP_H_RECORD_ROUTE);
    while (n < 8 && sip_list_next(&it, &routes[n]))
        n++;
    buf_lit(out, "Route: ");
    for (unsigned i = 0; i < n; i++) {
        if (i)
            buf_lit(out, ", ");
        buf_span(out, routes[m->is_request ? i : n - 1 - i]); /* RFC 3261 12.1 */
    }
}

static void put_known(struct buf *out, struct session_world *w, struct peer *p, char what)
{
    switch (what) {
    case 'v':
        buf_str(out, p->via);
        break;
    case 'b':
        buf_u64(out, ++w->numbers);
        break;
    case 'n':
        buf_u64(out, p->cseq);
        break;
    case 't':
        put_value(out, &p->answer, SIP_H_TO);
        break;
    case 'h':
        put_value(out, &p->got[0], SIP_H_FROM);
        break;
    case 'g':
        put_tagged(out, p, parsed(&p->got[0]) ? sip_value(&heard, SIP_H_TO) : SPAN("none"));
        break;
    case 'i':
        put_value(out, &p->got[0], SIP_H_CALL_ID);
        break;
    case 'm':
        put_contact(out, p);
        break;
    case 'r':
        put_routes(out, p);
        break;
    case 'c':
        buf_str(out, w->contact);
        break;
    case 'k':
        buf_str(out, w->token);
        break;
    case 'a':
        buf_lit(out, "Digest username=\"alice\", realm=\"example.com\", nonce=\"n\", "
                     "uri=\"sip:example.com\", response=\"00\"");
        break;
    case 'z':
        for (unsigned i = 0; i < 1500; i++)
            buf_char(out, 'z');
        break;
    default:
        if (what >= '0' && what <= '9')
            address_put(out, &w->peers[what - '0'].own);
        else
            buf_char(out, what);
    }
}

/* Lines end with CRLF, and "$x" is what the peer knows. */
static void put_script(struct buf *out, struct session_world *w, struct peer *p, struct span text)
{
    for (size_t i = 0; i < text.n && !out->overflow; i++) {
        if (text.p[i] == '\n' && (i == 0 || text.p[i - 1] != '\r'))
            buf_char(out, '\r');
        if (text.p[i] == '$' && i + 1 < text.n)
            put_known(out, w, p, text.p[++i]);
        else
            buf_char(out, text.p[i]);
    }
}

/* ---- requests ------------------------------------------------------------------- */

/* The head of a text that is not parsed yet: which fields are there? */
static sip_header_set fields_of(struct span head)
{
    sip_header_set set = 0;
    const char *end = head.p + head.n;
    const char *line = memchr(head.p, '\n', head.n);

    while (line && ++line < end) {
        const char *next = memchr(line, '\n', (size_t)(end - line));
        const char *stop = next ? next : end;
        const char *colon = memchr(line, ':', (size_t)(stop - line));

        if (colon)
            set |= SIP_SET(sip_header_of(span_trim(span_between(line, colon))));
        line = next;
    }
    return set;
}

static struct span method_of(struct span head)
{
    size_t n = 0;

    while (n < head.n && head.p[n] != ' ' && head.p[n] != '\r' && head.p[n] != '\n')
        n++;
    return span_make(head.p, n);
}

static void put_via(struct buf *out, struct session_world *w, struct peer *p,
                    enum sip_method method)
{
    struct buf via = buf_make(p->via, sizeof p->via - 1);
    const struct sip_message *invite = parsed(&p->invite);

    if ((method == SIP_CANCEL || method == SIP_ACK) && invite) {
        const struct sip_message *answer = parsed(&p->answer);
        bool fresh = method == SIP_ACK && answer && answer->status < 300;
        struct span again;

        invite = parsed(&p->invite); /* `heard` was the answer */
        again = invite && !fresh ? sip_value(invite, SIP_H_VIA) : SPAN_NONE;
        if (again.n) {
            buf_lit(out, "Via: ");
            buf_span(out, again);
            buf_lit(out, "\r\n");
            return;
        }
    }
    buf_lit(&via, "SIP/2.0/");
    buf_str(&via, transport_via_name(p->flow.transport));
    buf_char(&via, ' ');
    address_put(&via, &p->own);
    buf_lit(&via, ";rport;branch=z9hG4bK-");
    buf_u64(&via, ++w->numbers);
    p->via[via.n] = 0;
    buf_lit(out, "Via: ");
    buf_str(out, p->via);
    buf_lit(out, "\r\n");
}

static void put_aor(struct buf *out, const struct peer *p)
{
    buf_lit(out, "<sip:");
    buf_str(out, p->user);
    buf_lit(out, "@example.com>");
}

static void put_to(struct buf *out, struct peer *p, enum sip_method method, struct span ruri)
{
    const struct text *like = method == SIP_CANCEL ? &p->invite : &p->answer;

    buf_lit(out, "To: ");
    if ((method == SIP_CANCEL || method == SIP_ACK) && parsed(like)) {
        buf_span(out, sip_value(&heard, SIP_H_TO));
    } else if (method == SIP_REGISTER) {
        put_aor(out, p);
    } else {
        buf_char(out, '<');
        buf_span(out, ruri);
        buf_char(out, '>');
    }
    buf_lit(out, "\r\n");
}

static struct span ruri_of(struct span head)
{
    struct span rest = span_make(head.p + method_of(head).n, head.n - method_of(head).n);

    return method_of(span_trim(rest));
}

/* Adds what every request has and this one lacks. */
static void put_missing(struct buf *out, struct session_world *w, struct peer *p, struct span head)
{
    struct span name = method_of(head);
    struct span ruri = ruri_of(head);
    sip_header_set there = fields_of(head);
    enum sip_method method = sip_method_of(name);

    if (!(there & SIP_SET(SIP_H_VIA)))
        put_via(out, w, p, method);
    if (!(there & SIP_SET(SIP_H_FROM))) {
        buf_lit(out, "From: ");
        put_aor(out, p);
        buf_lit(out, ";tag=f\r\n");
    }
    if (!(there & SIP_SET(SIP_H_TO)))
        put_to(out, p, method, ruri);
    if (!(there & SIP_SET(SIP_H_CALL_ID))) {
        buf_str(out, method == SIP_REGISTER ? "Call-ID: r" : "Call-ID: c");
        buf_u64(out, p->own.port + p->own.ip[3]);
        buf_lit(out, "\r\n");
    }
    if (!(there & SIP_SET(SIP_H_CSEQ))) {
        if (method != SIP_CANCEL && method != SIP_ACK)
            p->cseq++;
        buf_lit(out, "CSeq: ");
        buf_u64(out, p->cseq);
        buf_char(out, ' ');
        buf_span(out, name);
        buf_lit(out, "\r\n");
    }
    if (!(there & SIP_SET(SIP_H_MAX_FORWARDS)))
        buf_lit(out, "Max-Forwards: 70\r\n");
}

static void put_length(struct buf *out, struct span head, struct span body)
{
    if (!(fields_of(head) & SIP_SET(SIP_H_CONTENT_LENGTH))) {
        buf_lit(out, "Content-Length: ");
        buf_u64(out, body.n);
        buf_lit(out, "\r\n");
    }
    buf_lit(out, "\r\n");
    buf_span(out, body);
}

/* Takes what is in front of the empty line off, its line end included. */
static struct span take_head(struct span *text)
{
    const char *empty = memmem(text->p, text->n, "\r\n\r\n", 4);
    struct span head = *text;

    if (empty) {
        head.n = (size_t)(empty - text->p) + 2;
        *text = span_make(text->p + head.n + 2, text->n - head.n - 2);
    } else {
        *text = SPAN_NONE;
    }
    return head;
}

static void talk_bytes(struct session_world *w, struct peer *p, struct span message)
{
    struct sip_fault fault;

    if (message.n == 0 || (p->flow.transport == TRANSPORT_UDP && message.n > DATAGRAM_MAX))
        return;
    text_set(&p->sent, message);
    if (sip_parse(message, &heard, &fault) == SIP_PARSED && heard.is_request &&
        heard.method == SIP_INVITE)
        text_set(&p->invite, message);
    world_send(w, p, text_span(&p->sent));
}

void talk_send(struct session_world *w, struct peer *p, struct span text, bool raw)
{
    static char script[ROOM];
    struct buf plain = buf_make(script, sizeof script);
    struct buf out = buf_make(room, sizeof room);
    struct span head, body;

    put_script(&plain, w, p, text);
    if (plain.overflow)
        return;
    if (raw) {
        talk_bytes(w, p, buf_done(&plain));
        return;
    }
    body = buf_done(&plain);
    head = take_head(&body);
    buf_span(&out, head);
    if (head.n == 0 || head.p[head.n - 1] != '\n')
        buf_lit(&out, "\r\n");
    put_missing(&out, w, p, head);
    put_length(&out, head, body);
    if (!out.overflow)
        talk_bytes(w, p, buf_done(&out));
}

void talk_relay(struct session_world *w, struct peer *p, struct span ruri)
{
    static char script[ROOM];
    static struct sip_message request;
    struct buf plain = buf_make(script, sizeof script);
    struct buf out = buf_make(room, sizeof room);
    struct sip_fault fault;
    char via[200];
    struct buf own = buf_make(via, sizeof via);

    put_script(&plain, w, p, ruri);
    if (plain.overflow || !p->got[0].p ||
        sip_parse(text_span(&p->got[0]), &request, &fault) != SIP_PARSED)
        return;
    put_via(&own, w, p, SIP_METHOD_OTHER);
    buf_span(&out, request.method_name);
    buf_char(&out, ' ');
    buf_span(&out, plain.n ? buf_done(&plain) : request.ruri);
    buf_lit(&out, " SIP/2.0\r\n");
    buf_span(&out, buf_done(&own));
    if (request.header_count)
        buf_span(&out, span_between(request.header[0].line.p, request.raw.p + request.raw.n));
    if (!out.overflow)
        talk_bytes(w, p, buf_done(&out));
}

/* ---- answers --------------------------------------------------------------------- */

static void put_lines(struct buf *out, const struct sip_message *m, enum sip_header_id id)
{
    for (const struct sip_header *h = sip_first(m, id); h; h = sip_next(m, h))
        buf_span(out, h->line);
}

/* Everything of an answer up to the fields of the script. */
static void put_answer(struct buf *out, const struct peer *p, const struct sip_message *request,
                       struct span status)
{
    buf_lit(out, "SIP/2.0 ");
    buf_span(out, status);
    if (status.n == 3)
        buf_lit(out, " Any");
    buf_lit(out, "\r\n");
    put_lines(out, request, SIP_H_VIA);
    put_lines(out, request, SIP_H_RECORD_ROUTE);
    put_lines(out, request, SIP_H_FROM);
    buf_lit(out, "To: ");
    if (status.n >= 3 && memcmp(status.p, "100", 3) == 0)
        buf_span(out, sip_value(request, SIP_H_TO));
    else
        put_tagged(out, p, sip_value(request, SIP_H_TO));
    buf_lit(out, "\r\n");
    put_lines(out, request, SIP_H_CALL_ID);
    put_lines(out, request, SIP_H_CSEQ);
}

/* A contact: the registrar's answer lists what was asked for, others name themselves. */
static void put_own_contact(struct buf *out, const struct peer *p,
                            const struct sip_message *request)
{
    if (request->method == SIP_REGISTER) {
        put_lines(out, request, SIP_H_CONTACT);
        return;
    }
    buf_lit(out, "Contact: <sip:");
    buf_str(out, p->user);
    buf_char(out, '@');
    address_put(out, &p->own);
    buf_lit(out, ">\r\n");
}

/* "200 OK\r\n..." and what follows as an answer to this request. */
static struct span build_answer(struct peer *p, const struct sip_message *request, struct span text)
{
    struct buf out = buf_make(room, sizeof room);
    struct span body = text;
    struct span head = take_head(&body);
    const char *end = memchr(head.p, '\r', head.n);
    struct span status = end ? span_between(head.p, end) : head;
    struct span fields = span_make(head.p + status.n, head.n - status.n);
    sip_header_set there = fields_of(head);

    if (fields.n >= 2)
        fields = span_make(fields.p + 2, fields.n - 2);
    put_answer(&out, p, request, status);
    if (!(there & SIP_SET(SIP_H_CONTACT)) && status.n && status.p[0] != '3')
        put_own_contact(&out, p, request);
    buf_span(&out, fields);
    if (fields.n && fields.p[fields.n - 1] != '\n')
        buf_lit(&out, "\r\n");
    put_length(&out, head, body);
    return out.overflow ? SPAN_NONE : buf_done(&out);
}

void talk_answer(struct session_world *w, struct peer *p, unsigned back, struct span text)
{
    static char script[ROOM];
    static struct sip_message request;
    struct buf plain = buf_make(script, sizeof script);
    const struct text *got = &p->got[back % GOT_MAX];
    struct sip_fault fault;

    put_script(&plain, w, p, text);
    if (plain.overflow || !got->p || sip_parse(text_span(got), &request, &fault) != SIP_PARSED ||
        !request.is_request)
        return;
    talk_bytes(w, p, build_answer(p, &request, buf_done(&plain)));
}

struct span talk_pbx_answer(struct session_world *w, struct peer *p,
                            const struct sip_message *request)
{
    bool proved =
        sip_has(request, SIP_H_AUTHORIZATION) || sip_has(request, SIP_H_PROXY_AUTHORIZATION);

    if (request->method == SIP_OPTIONS)
        return build_answer(p, request, SPAN("200"));
    if (request->method != SIP_REGISTER)
        return build_answer(p, request, SPAN("404"));
    if (w->habit == PBX_ACCEPTS || proved)
        return build_answer(p, request, SPAN("200"));
    return build_answer(p, request,
                        SPAN("401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"example.com\", "
                             "nonce=\"n\", qop=\"auth\"\r\n"));
}

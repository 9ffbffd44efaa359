/*
 * registrar/request: decodes a REGISTER for the rules.
 *
 * Called by the driver on the core thread, once per REGISTER. Never allocates,
 * never keeps anything of the message.
 */
#include "registrar/request.h"

static bool refuse(struct sip_fault *fault, int status, const char *reason)
{
    *fault = (struct sip_fault){status, reason, 0};
    return false;
}

static bool decode_to(const struct config *config, const struct sip_message *m,
                      struct register_request *out, struct sip_fault *fault)
{
    struct sip_nameaddr to;

    if (!sip_nameaddr_parse(sip_value(m, SIP_H_TO), &to, fault))
        return false;
    if (to.uri.scheme != SIP_SCHEME_SIP && to.uri.scheme != SIP_SCHEME_SIPS)
        return refuse(fault, 404, "Not Found (To is no sip URI)");
    if (!to.uri.has_user || to.uri.user.n == 0)
        return refuse(fault, 404, "Not Found (To has no user)");

    struct buf aor = buf_make(out->room, sizeof out->room);
    to.uri.host = config_domain(config, to.uri.host);
    if (!sip_canonical_aor(&aor, &to.uri) || aor.overflow)
        return refuse(fault, 400, "Bad To URI");
    out->aor = buf_done(&aor);
    out->room_used = aor.n;
    out->to_uri = to.uri_text;
    return true;
}

/* Keeps what is stored with the contact: everything but q and expires. */
static bool decode_params(struct register_request *out, struct register_contact *c,
                          struct span params, struct span *expires, struct sip_fault *fault)
{
    struct buf kept = buf_make(out->room + out->room_used, sizeof out->room - out->room_used);
    struct span name, value;
    bool bad = false;

    while (sip_param_next(&params, &name, &value, &bad)) {
        bool is_expires = span_ieq(name, SPAN("expires"));
        bool is_q = span_ieq(name, SPAN("q"));

        if ((is_expires && expires->p) || (is_q && c->q_given)) /* RFC 3261 7.3.1 */
            return refuse(fault, 400, "Parameter given twice in Contact");
        if (is_expires) {
            *expires = value;
        } else if (is_q) {
            if (!sip_qvalue(value, &c->q))
                return refuse(fault, 400, "Bad q in Contact");
            c->q_given = true;
        } else {
            buf_char(&kept, ';');
            buf_span(&kept, name);
            if (value.p) {
                buf_char(&kept, '=');
                buf_span(&kept, value);
            }
        }
    }
    if (bad)
        return refuse(fault, 400, "Bad parameter in Contact");
    if (kept.overflow)
        return refuse(fault, 400, "Contact parameters too long");
    c->params = buf_done(&kept);
    out->room_used += kept.n;
    return true;
}

/*
 * Takes in the contact behind the last one. The same contact twice would make two
 * changes of one binding; but who writes his contact anew and removes the old form
 * in one request (pjsip does) means one change, whatever is equal by RFC 3261 19.1.4.
 */
static bool add_contact(struct register_request *out, struct sip_fault *fault)
{
    const struct register_contact *c = &out->contact[out->contacts];

    for (unsigned i = 0; i < out->contacts; i++) {
        struct register_contact *o = &out->contact[i];

        if (!sip_uri_equal(&o->uri, &c->uri))
            continue;
        if ((o->expires_s == 0) == (c->expires_s == 0))
            return refuse(fault, 400, "Contact given twice");
        if (o->expires_s == 0)
            *o = *c;
        return true;
    }
    out->contacts++;
    return true;
}

static bool decode_contact(struct register_request *out, struct span value,
                           uint32_t default_expires_s, struct sip_fault *fault)
{
    struct register_contact *c = &out->contact[out->contacts];
    struct sip_nameaddr na;
    struct span expires = SPAN_NONE;
    struct span bnc;

    if (!sip_nameaddr_parse(value, &na, fault))
        return false;
    if (na.uri.scheme != SIP_SCHEME_SIP && na.uri.scheme != SIP_SCHEME_SIPS)
        return refuse(fault, 400, "Contact is no sip URI");
    if (sip_uri_param(&na.uri, SPAN("bnc"), &bnc)) /* RFC 6140 5.1: not without gin */
        return refuse(fault, 420, "Bad Extension (bulk registration)");
    if (na.uri_text.n > REQUEST_URI_MAX)
        return refuse(fault, 400, "Contact too long");
    *c = (struct register_contact){.uri_text = na.uri_text, .uri = na.uri, .q = 1000};
    if (!decode_params(out, c, na.params, &expires, fault))
        return false;
    c->expires_s = default_expires_s;
    /* An unreadable value counts as 3600 (RFC 3261 10.2.1.1). */
    if (expires.p && !sip_delta_seconds(expires, &c->expires_s))
        c->expires_s = REQUEST_EXPIRES_DEFAULT_S;

    return add_contact(out, fault);
}

static bool decode_contacts(const struct sip_message *m, struct register_request *out,
                            struct sip_fault *fault)
{
    uint32_t expires_s = REQUEST_EXPIRES_DEFAULT_S;
    const struct sip_header *expires = sip_first(m, SIP_H_EXPIRES);
    struct sip_list it;
    struct span value;

    if (expires && expires->next) /* RFC 3261 7.3.1: which of them is meant? */
        return refuse(fault, 400, "Repeated Expires");
    if (expires && !sip_delta_seconds(expires->value, &expires_s))
        expires_s = REQUEST_EXPIRES_DEFAULT_S;
    sip_list_init(&it, m, SIP_H_CONTACT);
    while (sip_list_next(&it, &value)) {
        if (span_eq(value, SPAN("*"))) {
            if (out->star)
                return refuse(fault, 400, "Contact * given twice");
            out->star = true;
            continue;
        }
        if (out->contacts == REQUEST_CONTACTS_MAX)
            return refuse(fault, 403, "Too Many Contacts");
        if (!decode_contact(out, value, expires_s, fault))
            return false;
    }
    if (it.bad)
        return refuse(fault, 400, "Bad Contact");
    /* RFC 3261 10.3 step 6. */
    if (out->star && out->contacts)
        return refuse(fault, 400, "Contact * must be alone");
    if (out->star && (expires_s != 0 || !expires))
        return refuse(fault, 400, "Contact * needs Expires: 0");
    return true;
}

static bool is_direct(const struct sip_message *m)
{
    struct sip_via second;

    return !sip_has(m, SIP_H_PATH) && !sip_via_second(m, &second);
}

/*
 * RFC 3327 5.3: the vector is kept in order. `Supported: path` is not asked for:
 * who put the Path there relies on it, and many phones behind edge proxies do
 * not say it.
 */
static bool decode_path(const struct sip_message *m, struct register_request *out,
                        struct sip_fault *fault)
{
    size_t most = sizeof out->room - out->room_used;
    struct buf path =
        buf_make(out->room + out->room_used, most < REQUEST_PATH_MAX ? most : REQUEST_PATH_MAX);
    unsigned uris = 0;
    struct sip_list it;
    struct span value;

    out->path = SPAN_NONE;
    sip_list_init(&it, m, SIP_H_PATH);
    while (sip_list_next(&it, &value)) {
        struct sip_nameaddr na;

        if (!sip_nameaddr_parse(value, &na, fault))
            return false;
        if (!na.bracketed || (na.uri.scheme != SIP_SCHEME_SIP && na.uri.scheme != SIP_SCHEME_SIPS))
            return refuse(fault, 400, "Bad Path");
        if (uris++)
            buf_lit(&path, ", ");
        buf_char(&path, '<'); /* what may stand before it is nobody's business */
        buf_span(&path, na.uri_text);
        buf_char(&path, '>');
        buf_span(&path, na.params);
    }
    if (it.bad)
        return refuse(fault, 400, "Bad Path");
    if (path.overflow || uris > REQUEST_PATH_URIS_MAX)
        return refuse(fault, 400, "Path too long");
    out->path = buf_done(&path);
    out->room_used += path.n;
    return true;
}

bool request_decode(const struct config *config, const struct sip_message *m,
                    const struct flow *from, struct register_request *out, struct sip_fault *fault)
{
    struct sip_nameaddr from_header;
    struct sip_cseq cseq;

    out->star = false;
    out->contacts = 0;
    out->hash = 0;
    out->flow = *from;
    out->call_id = sip_value(m, SIP_H_CALL_ID);
    out->credentials = sip_has(m, SIP_H_AUTHORIZATION) || sip_has(m, SIP_H_PROXY_AUTHORIZATION);
    out->direct = is_direct(m);
    if (!sip_nameaddr_parse(sip_value(m, SIP_H_FROM), &from_header, fault))
        return false;
    if (!sip_cseq_parse(sip_value(m, SIP_H_CSEQ), &cseq, fault))
        return false;
    out->cseq = cseq.number;
    return decode_to(config, m, out, fault) && decode_path(m, out, fault) &&
           decode_contacts(m, out, fault);
}

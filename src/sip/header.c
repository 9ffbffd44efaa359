/*
 * sip/header: lists, parameters, name-addr and the small fields.
 *
 * Called by every room that reads a field, on any thread. CR LF inside a value
 * is a fold and counts as white space. Never allocates, never reads past the
 * value; a malformed value is a fault, never a guess.
 */
#include "sip/header.h"
#include "sip/scan.h"

/* ---- lists ---------------------------------------------------------------- */

/* "Supported:" alone is grammar (RFC 3261 20.37), and nobody means harm with an
 * empty Require; an empty Via or Contact is a fault. */
static bool may_be_empty(const struct sip_header *h)
{
    return h->id == SIP_H_SUPPORTED || h->id == SIP_H_REQUIRE || h->id == SIP_H_PROXY_REQUIRE ||
           h->id == SIP_H_UNSUPPORTED;
}

void sip_list_init(struct sip_list *it, const struct sip_message *m, enum sip_header_id id)
{
    it->m = m;
    it->field = sip_first(m, id);
    it->rest = it->field ? it->field->value : SPAN_NONE;
    it->bad = it->field && it->rest.n == 0 && !may_be_empty(it->field);
}

bool sip_list_next(struct sip_list *it, struct span *value)
{
    while (it->field && !it->bad) {
        int taken = list_split(&it->rest, value);

        if (taken > 0)
            return true;
        if (taken < 0) {
            it->bad = true;
            break;
        }
        it->field = sip_next(it->m, it->field);
        if (!it->field)
            break;
        it->rest = it->field->value;
        it->bad = it->rest.n == 0 && !may_be_empty(it->field);
    }
    *value = SPAN_NONE;
    return false;
}

bool sip_list_has(const struct sip_message *m, enum sip_header_id id, struct span token)
{
    struct sip_list it;
    struct span value;

    sip_list_init(&it, m, id);
    while (sip_list_next(&it, &value))
        if (span_ieq(value, token))
            return true;
    return false;
}

/* ---- parameters ----------------------------------------------------------- */

/* gen-value = token / host / quoted-string; we take whatever cannot be taken
 * for a separator. Returns its end, or NULL. */
static const char *skip_value(const char *p, const char *end)
{
    if (p < end && *p == '"')
        return skip_quoted(p, end);
    return skip_class(p, end, CHAR_VALUE);
}

bool sip_param_next(struct span *params, struct span *name, struct span *value, bool *bad)
{
    if (params->n == 0)
        return false;

    const char *end = params->p + params->n;
    const char *p = skip_space(params->p, end);

    if (p == end)
        return false;
    if (*p == ';') {
        const char *from = skip_space(p + 1, end);

        p = skip_class(from, end, CHAR_TOKEN);
        if (p > from) {
            const char *after = skip_space(p, end);

            *name = span_between(from, p);
            *value = SPAN_NONE;
            if (after < end && *after == '=') {
                from = skip_space(after + 1, end);
                p = skip_value(from, end);
                if (p)
                    *value = span_between(from, p);
                after = p ? skip_space(p, end) : NULL;
            }
            if (after && (after == end || *after == ';')) {
                *params = span_between(after, end);
                return true;
            }
        }
    }
    *bad = true;
    return false;
}

bool sip_param(struct span params, struct span name, struct span *value)
{
    struct span found;
    bool bad = false;

    while (sip_param_next(&params, &found, value, &bad))
        if (span_ieq(found, name))
            return true;
    *value = SPAN_NONE;
    return false;
}

bool params_check(struct span params)
{
    struct span name, value;
    bool bad = false;

    while (sip_param_next(&params, &name, &value, &bad))
        ;
    return !bad;
}

/* ---- name-addr ------------------------------------------------------------ */

static bool ends_display(char c)
{
    return c == '<' || c == '"' || c == ',' || c == ';' || c == ':' || c == '>' || c == 0;
}

/*
 * Where the '<' of a name-addr is, or NULL where there is none (an addr-spec).
 * Unquoted, a display name should be tokens; we take all that is no separator,
 * but never guess where a quote is missing (RFC 4475 3.1.2.6, 3.1.2.15).
 */
static const char *find_bracket(const char *p, const char *end)
{
    if (*p == '"') {
        p = skip_quoted(p, end);
        p = p ? skip_space(p, end) : end;
    } else {
        while (p < end && !ends_display(*p))
            p++;
    }
    return p < end && *p == '<' ? p : NULL;
}

/* addr-spec without brackets: ends at white space, ';', and must not hold ','
 * or '?' (RFC 3261 20). */
static const char *skip_addr_spec(const char *p, const char *end)
{
    while (p < end && !char_is_space(*p) && *p != ';') {
        if (*p == ',' || *p == '?')
            return NULL;
        p++;
    }
    return p;
}

/* All but what is in the URI and whether the parameters are good. */
static bool nameaddr_split(struct span value, struct sip_nameaddr *out, struct sip_fault *fault)
{
    const char *end, *open, *p;

    value = span_trim(value);
    if (value.n == 0)
        return fault_400(fault, "Empty Address");
    end = value.p + value.n;
    p = value.p;
    open = find_bracket(p, end);
    out->bracketed = open != NULL;
    out->display = SPAN_NONE;
    if (open) {
        out->display = span_trim(span_between(p, open));
        p = memchr(open, '>', (size_t)(end - open));
        if (!p)
            return fault_400(fault, "Unbalanced <> in Address");
        out->uri_text = span_between(open + 1, p);
        p++;
    } else if (*p == '"') {
        return fault_400(fault, "Unbalanced Quotes in Address");
    } else {
        p = skip_addr_spec(p, end);
        if (!p)
            return fault_400(fault, "Missing <> or Quotes in Address");
        out->uri_text = span_between(value.p, p);
    }
    p = skip_space(p, end);
    out->params = span_between(p, end);
    return true;
}

bool sip_nameaddr_parse(struct span value, struct sip_nameaddr *out, struct sip_fault *fault)
{
    memset(out, 0, sizeof *out);
    return nameaddr_split(value, out, fault) && sip_uri_parse(out->uri_text, &out->uri, fault) &&
           (params_check(out->params) || fault_400(fault, "Bad Parameter in Address"));
}

struct span sip_tag(const struct sip_nameaddr *na)
{
    struct span value;

    sip_param(na->params, SPAN("tag"), &value);
    return value;
}

struct span sip_value_tag(struct span value)
{
    struct sip_nameaddr na;
    struct sip_fault fault;

    return nameaddr_split(value, &na, &fault) ? sip_tag(&na) : SPAN_NONE;
}

/* ---- the small ones ------------------------------------------------------- */

/* CSeq = 1*DIGIT LWS Method */
bool sip_cseq_parse(struct span value, struct sip_cseq *out, struct sip_fault *fault)
{
    if (value.n == 0)
        return fault_400(fault, "Empty CSeq");

    const char *end = value.p + value.n;
    const char *p = value.p;

    while (p < end && ascii_digit(*p))
        p++;

    const char *method = skip_space(p, end);

    if (!span_u32(span_between(value.p, p), &out->number) || method == p)
        return fault_400(fault, "Bad CSeq");
    out->method = span_between(method, end);
    return sip_is_token(out->method) || fault_400(fault, "Bad CSeq");
}

bool sip_delta_seconds(struct span value, uint32_t *out)
{
    for (size_t i = 0; i < value.n; i++)
        if (!ascii_digit(value.p[i]))
            return false;
    if (value.n == 0)
        return false;
    if (!span_u32(value, out))
        *out = UINT32_MAX;
    return true;
}

/* qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ) */
bool sip_qvalue(struct span value, uint16_t *out)
{
    unsigned q;

    if (value.n == 0 || value.n > 5 || (value.p[0] != '0' && value.p[0] != '1'))
        return false;
    if (value.n > 1 && value.p[1] != '.')
        return false;
    q = value.p[0] == '1' ? 1000 : 0;
    for (size_t i = 2, weight = 100; i < value.n; i++, weight /= 10) {
        if (!ascii_digit(value.p[i]))
            return false;
        q += (unsigned)(value.p[i] - '0') * (unsigned)weight;
    }
    if (q > 1000)
        return false;
    *out = (uint16_t)q;
    return true;
}

bool sip_is_token(struct span text)
{
    return text.n && skip_class(text.p, text.p + text.n, CHAR_TOKEN) == text.p + text.n;
}

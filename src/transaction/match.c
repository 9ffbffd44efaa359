/*
 * transaction/match: which server transaction a request belongs to.
 *
 * RFC 3261 17.2.3 and 9.2. Called by server.c, on the core thread; pure but for
 * the installation's hash key. Texts are compared byte by byte, although a
 * branch is case-insensitive by the letter (7.3.1): who sends a request again,
 * cancels or acknowledges it copies the bytes, while phones do make branches
 * that differ in case alone.
 */
#include "sip/header.h"
#include "transaction/kept.h"
#include "transaction/machine.h"

/* The method of the transaction: an ACK or CANCEL belongs to an INVITE. */
static struct span method_of(const struct sip_message *m)
{
    if (m->method == SIP_ACK || m->method == SIP_CANCEL)
        return SPAN("INVITE");
    return m->method_name;
}

static struct span tag_of(const struct sip_message *m, enum sip_header_id id)
{
    return sip_value_tag(sip_value(m, id));
}

/* The digits of the CSeq number, as they stand. */
static struct span cseq_number(const struct sip_message *m)
{
    struct span s = sip_value(m, SIP_H_CSEQ);
    size_t n = 0;

    while (n < s.n && ascii_digit(s.p[n]))
        n++;
    return span_make(s.p, n);
}

/* RFC 2543: no branch to rely on, so all that a copy of the request repeats. The
 * To tag is left to server_match_tags(): the ACK's is the answer's. */
static bool key_2543(struct runtime *rt, const struct sip_message *request,
                     const struct sip_via *via, uint64_t *key)
{
    struct sip_cseq cseq;
    struct sip_fault fault;

    if (!sip_cseq_parse(sip_value(request, SIP_H_CSEQ), &cseq, &fault))
        return false;

    const struct span pieces[] = {method_of(request),
                                  request->ruri,
                                  tag_of(request, SIP_H_FROM),
                                  sip_value(request, SIP_H_CALL_ID),
                                  via->text,
                                  span_make((const char *)&cseq.number, sizeof cseq.number)};

    *key = hash64_join(&rt->hasher, pieces, sizeof pieces / sizeof *pieces);
    return true;
}

bool server_match_key(struct runtime *rt, const struct sip_message *request, uint64_t *key,
                      bool *old)
{
    struct sip_via via;
    struct sip_fault fault;

    if (!sip_via_top(request, &via, &fault))
        return false;
    *old = !branch_has_cookie(via.branch);
    if (*old)
        return key_2543(rt, request, &via, key);

    /* Call-ID and CSeq are not asked for by 17.2.3, but true of every copy, ACK
     * and CANCEL; and some phones use one branch for all their requests. */
    const struct span pieces[] = {method_of(request),
                                  via.branch,
                                  via.host,
                                  sip_value(request, SIP_H_CALL_ID),
                                  cseq_number(request),
                                  span_make((const char *)&via.port, sizeof via.port)};

    *key = hash64_join(&rt->hasher, pieces, sizeof pieces / sizeof *pieces);
    return true;
}

bool server_match_tags(const struct server_tx *tx, const struct sip_message *request)
{
    struct span tag = tag_of(request, SIP_H_TO);
    struct sip_message answer;
    struct sip_fault fault;

    if (request->method != SIP_ACK)
        return span_eq(tag, tag_of(tx->request, SIP_H_TO));
    if (!tx->answer.p || sip_parse(kept_span(&tx->answer), &answer, &fault) != SIP_PARSED)
        return true; /* the answer is no longer kept: what else could it be for? */
    return span_eq(tag, tag_of(&answer, SIP_H_TO));
}

/*
 * pbx_register: REGISTERs at the main registrar: challenge, store, list.
 *
 * Line by line as FreeSWITCH was seen to behave: the Expires header beats the
 * parameter, contacts are identified by their exact string, there is no CSeq
 * check, the answer's contact is canonicalised.
 */
#include "sim.h"

#include <stdio.h>

#define EXPIRES_DEFAULT_S 300

static struct pbx *pbx_of(struct sim *s)
{
    return &s->pbx;
}

static void reply(struct sim *s, const struct sip_message *m, int aor, uint64_t key,
                  uint64_t merge_key, int status, struct span fields)
{
    struct buf out = buf_make(s->room, sizeof s->room);

    sip_reply_begin(&out, m, status, NULL, SPAN("pbx"), NULL);
    buf_span(&out, fields);
    sip_put_end(&out, SPAN_NONE);
    pbx_answer(s, aor, key, merge_key, buf_done(&out));
}

/* Whose contact was proved by these credentials: the cnonce says so. */
static void note_proof(struct sim *s, const struct sip_message *m)
{
    struct span cnonce = digest_param(sip_value(m, SIP_H_AUTHORIZATION), "cnonce");
    uint32_t phone, line;

    if (!cnonce.n || cnonce.p[cnonce.n - 1] != 'a')
        return;
    if (phone_of_line(s, span_make(cnonce.p, cnonce.n - 1), &phone, &line))
        phone_contact(&s->phones.list[phone], line)->proved_us = s->now_us;
}

/* ---- rows ------------------------------------------------------------------------------- */

/* The echo: escapes are undone where they need not be. Ours has none. */
static void canonical_contact(char *out, size_t cap, struct span uri)
{
    struct buf text = buf_make(out, cap - 1);

    for (size_t i = 0; i < uri.n; i++) {
        int high = i + 2 < uri.n && uri.p[i] == '%' ? ascii_hex(uri.p[i + 1]) : -1;
        char c = high < 0 ? uri.p[i] : (char)(high << 4 | ascii_hex(uri.p[i + 2]));

        buf_char(&text, c);
        i += high < 0 ? 0 : 2;
    }
    out[text.n] = '\0';
}

static bool row_is(const struct pbx *pbx, const struct pbx_row *row, const char *contact,
                   struct span call_id)
{
    switch (pbx->mode) {
    case PBX_MODE_FALSE:
        return true;
    case PBX_MODE_CONTACT:
        return strcmp(row->contact, contact) == 0;
    case PBX_MODE_CALL_ID:
        break;
    }
    return span_eq(span_of(row->call_id), call_id);
}

static void drop_rows(struct sim *s, int aor, const char *contact, struct span call_id)
{
    for (unsigned i = 0; i < PBX_ROWS; i++) {
        struct pbx_row *row = &pbx_of(s)->accounts[aor].rows[i];

        if (row->used && row_is(pbx_of(s), row, contact, call_id))
            row->used = false;
    }
}

static void insert_row(struct sim *s, int aor, const char *contact, struct span call_id,
                       uint32_t granted_s)
{
    struct pbx_account *account = &pbx_of(s)->accounts[aor];
    unsigned held = 0;

    for (unsigned i = 0; i < PBX_ROWS; i++) {
        struct pbx_row *row = &account->rows[i];

        if (row->used && row->gone_us <= s->now_us)
            row->used = false;
        held += row->used;
    }
    if (held > 0)
        check_fail(s, 3, aor, "the main registrar holds %s, and %s comes", account->rows[0].contact,
                   contact);
    for (unsigned i = 0; i < PBX_ROWS; i++) {
        struct pbx_row *row = &account->rows[i];

        if (row->used)
            continue;
        row->used = true;
        snprintf(row->contact, sizeof row->contact, "%s", contact);
        snprintf(row->call_id, sizeof row->call_id, "%.*s", (int)call_id.n, call_id.p);
        row->expires_us = s->now_us + granted_s * SECOND;
        row->gone_us = row->expires_us + chance_between(&pbx_of(s)->chance, 60, 95) * SECOND;
        return;
    }
}

bool pbx_believes(const struct sim *s, int aor)
{
    for (unsigned i = 0; i < PBX_ROWS; i++) {
        const struct pbx_row *row = &s->pbx.accounts[aor].rows[i];

        if (row->used && row->expires_us > s->now_us)
            return true;
    }
    return false;
}

static struct span put_rows(struct sim *s, int aor, char *room, size_t cap)
{
    struct buf out = buf_make(room, cap);

    for (unsigned i = 0; i < PBX_ROWS; i++) {
        const struct pbx_row *row = &pbx_of(s)->accounts[aor].rows[i];

        if (!row->used || row->expires_us <= s->now_us)
            continue;
        buf_lit(&out, "Contact: <");
        buf_str(&out, row->contact);
        buf_lit(&out, ">;expires=");
        buf_u64(&out, (row->expires_us - s->now_us) / SECOND);
        buf_lit(&out, "\r\n");
    }
    buf_lit(&out, "Supported: timer, path, replaces\r\n");
    return buf_done(&out);
}

/* ---- the REGISTER ------------------------------------------------------------------------- */

static uint32_t asked_s(const struct sip_message *m, const struct sip_nameaddr *contact)
{
    uint32_t seconds = EXPIRES_DEFAULT_S;
    struct span value;

    if (sip_has(m, SIP_H_EXPIRES))
        sip_delta_seconds(sip_value(m, SIP_H_EXPIRES), &seconds);
    else if (sip_param(contact->params, SPAN("expires"), &value))
        sip_delta_seconds(value, &seconds);
    return seconds;
}

static uint32_t grant_s(struct sim *s, uint32_t asked)
{
    if (asked == 0 || !pbx_of(s)->shortened)
        return asked;
    return (uint32_t)chance_between(&pbx_of(s)->chance, 60, 180);
}

/* It does not look at the CSeq. Where the network changed the order, what midreg
 * believes is wrong until the lease ends. */
static void note_order(struct sim *s, const struct sip_message *m, int aor)
{
    struct pbx_account *account = &pbx_of(s)->accounts[aor];
    struct sip_cseq cseq;
    struct sip_fault fault;

    if (!sip_cseq_parse(sip_value(m, SIP_H_CSEQ), &cseq, &fault))
        return;
    if (cseq.number < account->cseq) {
        TRACE(s, aor, "pbx carries out an old REGISTER");
        s->people.list[aor].disturbed_us = s->now_us;
    } else {
        account->cseq = cseq.number;
    }
}

static void carry_out(struct sim *s, const struct sip_message *m, int aor, uint32_t *granted)
{
    struct span call_id = sip_value(m, SIP_H_CALL_ID);
    struct sip_nameaddr contact;
    struct sip_fault fault;
    char text[160];

    if (!sip_nameaddr_parse(sip_value(m, SIP_H_CONTACT), &contact, &fault)) {
        check_fail(s, 3, aor, "a REGISTER to the main registrar has no good Contact");
        return;
    }
    *granted = grant_s(s, asked_s(m, &contact));
    canonical_contact(text, sizeof text, contact.uri_text);
    note_order(s, m, aor);
    drop_rows(s, aor, text, call_id);
    if (*granted)
        insert_row(s, aor, text, call_id, *granted);
    pbx_of(s)->registers++;
}

/* What it says without looking at who it is; 0: nothing. */
static int excuse(const struct sim *s)
{
    if (s->pbx.busy)
        return 503;
    return s->now_us < s->pbx.awake_us ? s->pbx.awake_status : 0;
}

void pbx_register(struct sim *s, const struct sip_message *m, uint64_t key)
{
    int aor = pbx_person(s, m, SIP_H_TO);
    struct span tag = SPAN_NONE;
    struct pbx_nonce *nonce = NULL;
    struct sip_nameaddr from;
    struct sip_fault fault;
    uint32_t granted = 0;
    char room[1024];
    bool stale;
    int status;

    if (sip_nameaddr_parse(sip_value(m, SIP_H_FROM), &from, &fault))
        tag = sip_tag(&from);
    uint64_t merge_key = pbx_key(sip_value(m, SIP_H_CALL_ID), sip_value(m, SIP_H_CSEQ), tag);
    if (pbx_seen_merged(s, merge_key)) {
        reply(s, m, aor, key, 0, 482, SPAN_NONE);
        return;
    }
    status = excuse(s);
    if (status) {
        reply(s, m, aor, key, merge_key, status, SPAN("Retry-After: 300\r\n"));
        return;
    }
    status = s->auth == AUTH_UPSTREAM
                 ? pbx_authenticate(s, m, SIP_H_AUTHORIZATION, aor, &stale, &nonce)
                 : 0;
    if (status == 401) {
        reply(s, m, aor, key, merge_key, 401,
              pbx_put_challenge(s, "WWW-Authenticate", room, sizeof room, stale));
        return;
    }
    if (status || aor < 0 || s->people.list[aor].refused) {
        if (aor >= 0 && s->people.list[aor].refused)
            s->people.list[aor].refused_us = s->now_us;
        reply(s, m, aor, key, merge_key, 403, SPAN_NONE);
        return;
    }
    carry_out(s, m, aor, &granted);
    if (nonce) {
        nonce->until_us = s->now_us + PBX_NONCE_UNUSED_US + granted * SECOND;
        note_proof(s, m);
    }
    reply(s, m, aor, key, merge_key, 200, put_rows(s, aor, room, sizeof room));
}

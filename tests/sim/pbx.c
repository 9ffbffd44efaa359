/*
 * pbx: what the main registrar hears, what it remembers, how it restarts.
 *
 * Called by the network and by the plan of faults.
 */
#include "sim.h"

#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Timer J: a copy of a request gets the same answer again. */
#define MEMORY_US T64_US

uint64_t pbx_key(struct span a, struct span b, struct span c)
{
    uint64_t h = XXH3_64bits(a.p, a.n);

    h = XXH3_64bits_withSeed(b.p, b.n, h);
    return XXH3_64bits_withSeed(c.p, c.n, h) | 1;
}

bool pbx_has(const struct sim *s, uint32_t wire)
{
    const struct wire *w = wire_find(s, wire);

    return w && w->state[WIRE_PEER] != WIRE_CLOSED;
}

bool pbx_uses(const struct sim *s, uint32_t wire)
{
    for (unsigned i = 0; i < PBX_CALLS; i++)
        if (s->pbx.calls[i].wire == wire &&
            (s->pbx.calls[i].state == CALL_CALLING || s->pbx.calls[i].state == CALL_PROCEEDING))
            return true;
    for (unsigned i = 0; i < PBX_INCOMING; i++)
        if (s->pbx.incoming[i].wire == wire && s->pbx.incoming[i].state != INCOMING_NONE &&
            s->pbx.incoming[i].state != INCOMING_OVER)
            return true;
    return false;
}

/* An answer whose connection is gone opens one to whom the Via names (RFC 3261
 * 18.2.2): midreg. */
static void send_over_wire(struct sim *s, struct span bytes)
{
    struct pbx *pbx = &s->pbx;

    if (!pbx_has(s, pbx->via)) {
        struct address from = pbx->address;

        pbx->next_port = pbx->next_port < 60000 ? (uint16_t)(pbx->next_port + 1) : 20000;
        from.port = pbx->next_port;
        pbx->via = wire_connect(s, WIRE_PBX, &from)->flow.connection;
    }
    wire_put(s, wire_find(s, pbx->via), bytes);
}

void pbx_send(struct sim *s, int aor, struct span bytes)
{
    if (s->pbx.silent) {
        trace_message(s, aor, "  pbx is silent, would say", bytes);
        return;
    }
    trace_message(s, aor, s->pbx.via ? "  pbx (tcp) > midreg" : "  pbx > midreg", bytes);
    if (s->pbx.via) {
        send_over_wire(s, bytes);
        return;
    }
    network_send(s, &s->pbx.address, &s->world.midreg, bytes);
}

/* ---- memory ----------------------------------------------------------------------- */

static void forget_old(struct pbx *pbx, uint64_t now_us)
{
    while (pbx->memory_count && pbx->memory[pbx->memory_first].until_us <= now_us) {
        pbx->memory_first = (pbx->memory_first + 1) % PBX_MEMORY;
        pbx->memory_count--;
    }
}

static struct pbx_answer *remembered(struct pbx *pbx, unsigned i)
{
    return &pbx->memory[(pbx->memory_first + i) % PBX_MEMORY];
}

void pbx_answer(struct sim *s, int aor, uint64_t key, uint64_t merge_key, struct span answer)
{
    struct pbx *pbx = &s->pbx;
    struct pbx_answer *a;

    forget_old(pbx, s->now_us);
    if (pbx->memory_count == PBX_MEMORY || answer.n > PBX_TEXT_MAX) {
        check_fail(s, 5, aor, "the main registrar is flooded");
        return;
    }
    a = remembered(pbx, pbx->memory_count++);
    a->key = key;
    a->merge_key = merge_key;
    a->until_us = s->now_us + MEMORY_US;
    a->n = (uint16_t)answer.n;
    memcpy(a->text, answer.p, answer.n);
    pbx_send(s, aor, answer);
}

bool pbx_seen_merged(const struct sim *s, uint64_t merge_key)
{
    struct pbx *pbx = (struct pbx *)&s->pbx;

    forget_old(pbx, s->now_us);
    for (unsigned i = pbx->memory_count; i-- > 0;)
        if (remembered(pbx, i)->merge_key == merge_key)
            return true;
    return false;
}

static bool answer_copy(struct sim *s, int aor, uint64_t key)
{
    struct pbx *pbx = &s->pbx;

    forget_old(pbx, s->now_us);
    for (unsigned i = pbx->memory_count; i-- > 0;) {
        const struct pbx_answer *a = remembered(pbx, i);

        if (a->key == key) {
            pbx_send(s, aor, span_make(a->text, a->n));
            return true;
        }
    }
    return false;
}

/* ---- receiving ---------------------------------------------------------------------- */

int pbx_person(const struct sim *s, const struct sip_message *m, enum sip_header_id id)
{
    struct sip_nameaddr na;
    struct sip_fault fault;

    return sip_nameaddr_parse(sip_value(m, id), &na, &fault) ? people_find(s, na.uri.user) : -1;
}

/* midreg asks whether anybody is there. */
static void pbx_pinged(struct sim *s, const struct sip_message *m, int aor, uint64_t key)
{
    struct buf out = buf_make(s->room, sizeof s->room);

    sip_reply_begin(&out, m, 200, NULL, SPAN("pbx"), NULL);
    sip_put_end(&out, SPAN_NONE);
    pbx_answer(s, aor, key, 0, buf_done(&out));
}

static void request(struct sim *s, const struct sip_message *m, int aor)
{
    struct sip_via via;
    struct sip_fault fault;
    uint64_t key;

    if (!sip_via_top(m, &via, &fault)) {
        check_fail(s, 0, aor, "midreg's request has no good Via");
        return;
    }
    key = pbx_key(via.branch, m->method_name, SPAN(""));
    if (answer_copy(s, aor, key))
        return;
    if (pbx_incoming_request(s, m, key))
        return;
    if (m->method == SIP_REGISTER)
        pbx_register(s, m, key);
    else if (m->method == SIP_BYE)
        pbx_dialog_bye(s, m, key);
    else if (m->method == SIP_OPTIONS)
        pbx_pinged(s, m, aor, key);
    else if (m->method == SIP_INVITE)
        check_fail(s, 8, aor, "a stranger's INVITE reached the main registrar");
}

void pbx_receive(struct sim *s, struct span bytes)
{
    struct sip_message *m = &s->message;
    struct sip_fault fault = {0};
    int aor;

    if (sip_parse(bytes, m, &fault) != SIP_PARSED) {
        check_fail(s, 0, NO_AOR, "midreg sent the main registrar what is not SIP: %s",
                   fault.reason ? fault.reason : "noise");
        return;
    }
    aor = pbx_person(s, m, SIP_H_TO);
    if (aor < 0)
        aor = pbx_person(s, m, SIP_H_FROM);
    trace_message(s, aor < 0 ? NO_AOR : aor,
                  s->pbx.silent ? "  midreg > pbx that is silent"
                  : s->pbx.via  ? "  midreg (tcp) > pbx"
                                : "  midreg > pbx",
                  bytes);
    if (s->pbx.silent)
        return;
    s->pbx.by_wire += s->pbx.via != 0;
    /* Others are for answers alone. */
    if (s->pbx.via && m->is_request && wire_find(s, s->pbx.via)->opened)
        s->pbx.wire = s->pbx.via;
    if (m->is_request)
        request(s, m, aor);
    else
        pbx_call_response(s, m);
}

/* ---- faults -------------------------------------------------------------------------- */

void pbx_flush(struct sim *s)
{
    for (unsigned i = 0; i < s->people.count; i++)
        for (unsigned row = 0; row < PBX_ROWS; row++)
            s->pbx.accounts[i].rows[row].used = false;
    s->faults.lost_us = s->now_us;
}

void pbx_restart(struct sim *s, bool purge)
{
    struct pbx *pbx = &s->pbx;

    pbx->memory_count = 0;
    memset(pbx->nonces, 0, sizeof pbx->nonces);
    pbx->ping_number = 0;
    for (unsigned i = 0; i < PBX_CALLS; i++)
        pbx->calls[i].state = CALL_NONE;
    for (unsigned i = 0; i < PBX_INCOMING; i++)
        pbx->incoming[i].state = INCOMING_NONE;
    wires_close_all(s, WIRE_PBX, WIRE_RESET);
    pbx->wire = 0;
    if (purge)
        pbx_flush(s);
}

void pbx_awake(struct sim *s, uint64_t until_us, int status)
{
    s->pbx.awake_us = until_us;
    s->pbx.awake_status = status;
}

/* ---- life ------------------------------------------------------------------------------ */

bool pbx_init(struct sim *s)
{
    struct pbx *pbx = &s->pbx;

    pbx->chance = chance_of(s->options->seed, STREAM_PBX);
    pbx->mode = (enum pbx_mode)chance_below(&pbx->chance, 3);
    pbx->accounts = calloc(s->people.count, sizeof *pbx->accounts);
    pbx->memory = malloc(PBX_MEMORY * sizeof *pbx->memory);
    pbx->incoming = calloc(PBX_INCOMING, sizeof *pbx->incoming);
    for (unsigned i = 0; i < PBX_CALLS; i++)
        pbx->calls[i].alarm = ALARM_NONE;
    for (unsigned i = 0; pbx->incoming && i < PBX_INCOMING; i++)
        pbx->incoming[i].alarm = ALARM_NONE;
    queue_push(&s->queue, 2 * MINUTE, EVENT_DIAL, 0, NULL);
    return pbx->accounts && pbx->memory && pbx->incoming &&
           address_parse(SPAN("10.0.0.5:5080"), 0, &pbx->address);
}

void pbx_fini(struct sim *s)
{
    free(s->pbx.accounts);
    free(s->pbx.memory);
    free(s->pbx.incoming);
}

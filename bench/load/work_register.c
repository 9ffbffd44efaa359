/*
 * work_register: one REGISTER and its answer.
 *
 * The answer must be 200 to this Call-ID and CSeq and list as many contacts as we
 * know the AOR to have. Called by the engine.
 */
#include "load.h"

static unsigned socket_of(uint32_t aor, uint32_t contact)
{
    return (aor + contact) % WIRE_PHONES;
}

static void begin(struct load *l, uint32_t slot)
{
    const struct slot *s = &l->slot[slot];
    uint32_t contact = l->order.contact;
    unsigned socket = socket_of(s->aor, contact);
    struct buf out = wire_reserve(&l->wire, socket);
    struct text_register r = {.aor = s->aor,
                              .contact = contact,
                              .cseq = ++l->cseq[contact][s->aor],
                              .expires_s = l->order.expires_s,
                              .port = l->wire.port[socket],
                              .slot = slot,
                              .generation = s->generation};

    text_put_register(&out, &r);
    wire_commit(&l->wire, socket, &out);
}

static bool is_ours(const struct load *l, const struct slot *s, const struct fields *f)
{
    char room[64];
    struct buf expected = buf_make(room, sizeof room);
    uint32_t contact = l->order.contact;

    text_put_register_call_id(&expected, s->aor, contact);
    if (!span_eq(f->call_id, buf_done(&expected)))
        return false;
    expected.n = 0;
    buf_u64(&expected, l->cseq[contact][s->aor]);
    buf_lit(&expected, " REGISTER");
    return span_eq(f->cseq, buf_done(&expected));
}

static void receive(struct load *l, unsigned socket, const struct fields *f, struct span datagram)
{
    uint32_t slot, generation;
    struct slot *s;

    (void)socket;
    if (!f->status || !fields_branch(f, &slot, &generation) ||
        !(s = engine_slot(l, slot, generation))) {
        engine_wrong(l, "unexpected message", datagram);
        return;
    }
    if (f->status == 100)
        return;
    if (f->status != 200) {
        engine_bad(l, slot, "not 200", datagram);
    } else if (!is_ours(l, s, f)) {
        engine_bad(l, slot, "another Call-ID or CSeq", f->call_id);
    } else {
        uint16_t bit = (uint16_t)(1u << l->order.contact);
        uint16_t bound = l->bound[s->aor];

        bound = l->order.expires_s ? bound | bit : bound & (uint16_t)~bit;
        l->bound[s->aor] = bound;
        if (f->contacts != (unsigned)__builtin_popcount(bound))
            engine_bad(l, slot, "another number of contacts", f->contact);
        else
            engine_good(l, slot);
    }
}

const struct work work_register = {begin, receive, NULL};

/*
 * pbx: a main registrar that behaves as a FreeSWITCH was seen to.
 *
 * pbx.c receives, remembers and restarts; pbx_register.c registers and challenges;
 * pbx_call.c calls the contacts it holds, pbx_dialog.c acknowledges and hangs up;
 * pbx_incoming.c answers the calls of phones; pbx_digest.c checks credentials.
 * It trusts midreg's address (auth none) or challenges every REGISTER (upstream).
 */
#ifndef MIDREG_SIM_PBX_H
#define MIDREG_SIM_PBX_H

#include "base/address.h"
#include "chance.h"
#include "queue.h"
#include "sip/message.h"

struct sim;

#define PBX_ROWS       4
#define PBX_MEMORY     8192
#define PBX_NONCES     4096
#define PBX_INCOMING   256
#define PBX_CALLS      64
#define PBX_DIALOGS    8
#define PBX_EXPECTED   12
#define PBX_TEXT_MAX   1800
#define PBX_INVITE_MAX 6144

/* What "multiple-registrations" says. */
enum pbx_mode { PBX_MODE_FALSE, PBX_MODE_CONTACT, PBX_MODE_CALL_ID };

struct pbx_row {
    bool used;
    char contact[160];
    char call_id[64];
    uint64_t expires_us; /* believed until then */
    uint64_t gone_us;    /* but the row stays a while */
};

struct pbx_account {
    struct pbx_row rows[PBX_ROWS];
    uint32_t cseq; /* of the last REGISTER that was carried out */
};

/* An answer that a copy of the request gets again. */
struct pbx_answer {
    uint64_t key;
    uint64_t merge_key; /* of the same request under another branch; 0: none */
    uint64_t until_us;
    uint16_t n;
    char text[PBX_TEXT_MAX];
};

/* A nonce lives so long unused (or after the expiry of what it proved last). */
#define PBX_NONCE_UNUSED_US (60 * SECOND)

struct pbx_nonce {
    uint32_t id; /* 0: none */
    uint32_t secret;
    uint32_t nc;
    uint64_t until_us;
};

enum pbx_call_state {
    CALL_NONE,
    CALL_CALLING, /* no answer yet */
    CALL_PROCEEDING,
    CALL_ANSWERED, /* has dialogs */
    CALL_REFUSED,  /* got a final answer of 300 to 699 */
    CALL_LOST,     /* no answer in time */
};

struct pbx_dialog {
    bool acked;
    bool over;
    char to[160]; /* with the tag */
    char target[160];
    char routes[1024]; /* Route fields */
    char answer_cseq[16];
    uint64_t hangup_us;
    /* its BYE */
    bool hanging_up;
    uint32_t bye_number;
    uint32_t interval_us;
    uint64_t bye_began_us;
    uint64_t resend_us;
    uint64_t give_up_us;
};

/* A phone that this call must reach. */
struct pbx_expected {
    uint32_t phone;
    uint16_t q;
    bool rang;
};

struct pbx_call {
    enum pbx_call_state state;
    struct alarm alarm;
    uint32_t number;
    int aor;
    uint32_t wire; /* over which it goes; 0: by datagram */
    uint32_t body; /* bytes more than the SDP */
    char contact[160];
    uint64_t began_us;
    uint64_t over_us; /* when it needs no phone's ringing any more; NEVER: it does */
    int status;
    uint32_t interval_us;
    uint64_t resend_us;
    uint64_t give_up_us;
    uint64_t cancel_at_us;
    bool cancel_wanted;
    bool cancel_answered;
    uint64_t cancelled_us; /* 0: no CANCEL was sent */
    uint32_t cancel_interval_us;
    uint64_t cancel_resend_us;
    uint64_t looked_us; /* when the expectations are next looked at */
    uint16_t top_q;     /* of the bindings when it began */
    unsigned dialog_count;
    struct pbx_dialog dialogs[PBX_DIALOGS];
    unsigned expected_count;
    struct pbx_expected expected[PBX_EXPECTED];
};

enum pbx_incoming_state {
    INCOMING_NONE,
    INCOMING_RINGING,
    INCOMING_REFUSED,  /* a final answer of 300 to 699 was sent, no ACK yet */
    INCOMING_ANSWERED, /* 200 was sent, no ACK yet */
    INCOMING_TALKING,
    INCOMING_ENDING, /* BYE was sent */
    INCOMING_OVER,
};

/* A call from a phone. */
struct pbx_incoming {
    enum pbx_incoming_state state;
    struct alarm alarm;
    int aor;
    uint32_t phone;
    uint32_t number;
    int status;
    int decision; /* the final answer to come; 0: rings on */
    uint64_t began_us;
    uint64_t due_us;
    uint64_t resend_us;
    uint64_t give_up_us;
    uint32_t interval_us;
    char branch[80];
    uint32_t cseq;
    size_t invite_n;
    char invite[PBX_INVITE_MAX];
    uint32_t wire; /* over which it came; 0: by datagram */
    size_t bye_n;
    char bye[PBX_TEXT_MAX];
};

struct pbx {
    struct address address;
    struct chance chance;
    enum pbx_mode mode;
    bool silent;
    bool busy;
    bool shortened;
    uint64_t awake_us; /* until then it answers awake_status */
    int awake_status;
    struct pbx_account *accounts; /* as many as people */
    struct pbx_answer *memory;    /* a ring */
    unsigned memory_first;
    unsigned memory_count;
    struct pbx_nonce nonces[PBX_NONCES];
    uint32_t nonce_last;
    uint32_t branches;
    uint32_t call_last;
    struct pbx_call calls[PBX_CALLS];
    struct pbx_incoming *incoming; /* PBX_INCOMING of them */
    uint32_t ping_number;          /* the OPTIONS on its way; 0: none */
    int ping_aor;
    uint64_t ping_us;
    uint32_t via;       /* the connection for what it sends now; 0: by datagram */
    uint32_t wire;      /* the last one that midreg opened to ask something */
    uint16_t next_port; /* of its own connections */
    uint64_t registers; /* carried out */
    uint64_t by_wire;   /* messages that came over a connection */
};

/* False: no memory. */
bool pbx_init(struct sim *s);
void pbx_fini(struct sim *s);

void pbx_receive(struct sim *s, struct span bytes);

/* Does it believe that this AOR is registered with our contact? */
bool pbx_believes(const struct sim *s, int aor);

/* Does a call need this connection? */
bool pbx_uses(const struct sim *s, uint32_t wire);
/* Is the connection of use to it? */
bool pbx_has(const struct sim *s, uint32_t wire);

/* ---- faults ---- */

/* All transactions, calls and nonces are gone, on a purge the registrations too. */
void pbx_restart(struct sim *s, bool purge);
void pbx_flush(struct sim *s);
/* Until then it answers REGISTERs with `status`. */
void pbx_awake(struct sim *s, uint64_t until_us, int status);

/* ---- between its files ---- */

void pbx_send(struct sim *s, int aor, struct span bytes);
/* Sends the answer and remembers it for copies of the request. */
void pbx_answer(struct sim *s, int aor, uint64_t key, uint64_t merge_key, struct span answer);
bool pbx_seen_merged(const struct sim *s, uint64_t merge_key);
/* A key over up to three texts. */
uint64_t pbx_key(struct span a, struct span b, struct span c);
/* The AOR that a To or From names; -1: nobody's. */
int pbx_person(const struct sim *s, const struct sip_message *m, enum sip_header_id id);

/* A challenge as a whole field, "WWW-Authenticate" or "Proxy-Authenticate". */
struct span pbx_put_challenge(struct sim *s, const char *field, char *room, size_t cap, bool stale);
/* 0: the credentials in this field are good, and *nonce is theirs. Else 401 (or
 * 407: the caller's choice) or 403. */
int pbx_authenticate(struct sim *s, const struct sip_message *m, enum sip_header_id field, int aor,
                     bool *stale, struct pbx_nonce **nonce);

void pbx_register(struct sim *s, const struct sip_message *m, uint64_t key);

/* It calls somebody, or pings a contact, and plans the next time. */
void pbx_dial(struct sim *s);
void pbx_call_event(struct sim *s, const struct event *e);
void pbx_call_response(struct sim *s, const struct sip_message *m);
/* The call that a Call-ID names, or NULL. */
struct pbx_call *pbx_call_find(struct sim *s, uint32_t number);
void pbx_call_arm(struct sim *s, struct pbx_call *c);

/* INVITE, CANCEL, ACK and BYE of a phone's call, and the answer to our BYE. False:
 * the Call-ID is none of a phone's call. */
bool pbx_incoming_request(struct sim *s, const struct sip_message *m, uint64_t key);
bool pbx_incoming_answer(struct sim *s, const struct sip_message *m);
void pbx_incoming_event(struct sim *s, const struct event *e);
/* The call with this Call-ID ("d7-3"), or NULL. */
struct pbx_incoming *pbx_incoming_find(struct sim *s, struct span call_id);

void pbx_dialog_answered(struct sim *s, struct pbx_call *c, const struct sip_message *m);
void pbx_dialog_timers(struct sim *s, struct pbx_call *c);
uint64_t pbx_dialog_due_us(const struct pbx_call *c);
/* A phone hung up. */
void pbx_dialog_bye(struct sim *s, const struct sip_message *m, uint64_t key);
void pbx_dialog_bye_answer(struct sim *s, const struct sip_message *m);

#endif

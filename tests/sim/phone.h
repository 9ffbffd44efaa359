/*
 * phone: a SIP phone: it registers, moves, dies, comes back, and answers calls.
 *
 *   OFF --boot--> ON --leaves--> LEAVING --200 or given up--> OFF
 *                  +--dies without a word------------------> OFF
 *
 * phone.c is its life, phone_wire.c its connection, phone_register.c its
 * registration, phone_call.c the calls it gets, phone_dial.c those it makes.
 * What is true of each of its contacts is kept here for the invariants.
 */
#ifndef MIDREG_SIM_PHONE_H
#define MIDREG_SIM_PHONE_H

#include "base/address.h"
#include "chance.h"
#include "queue.h"
#include "sip/message.h"
#include "wire.h"

struct sim;

#define PHONE_CALLS    6
#define PHONE_CONTACTS 8
#define PHONE_FLOWS    8
#define PHONE_TEXT_MAX 3000

/* RFC 3261 17.1.2.2, microseconds. */
#define T1_US  500000
#define T2_US  4000000
#define T64_US (64 * UINT64_C(500000))

enum phone_mind { PHONE_OFF, PHONE_ON, PHONE_LEAVING };

/* What it never changes. */
struct phone_habits {
    bool by_stream; /* lives on a TCP connection */
    bool pings;     /* ... and keeps it alive */
    bool behind_nat;
    bool asks_rport;
    bool preemptive;     /* keeps a nonce and sends credentials unasked */
    bool expires_header; /* rather than the contact parameter */
    bool instance;       /* +sip.instance */
    bool impatient;      /* leaves although an answer is due */
    uint8_t written;     /* how it writes its AOR: 0 or 1 */
    uint16_t q;          /* thousandths; 1000: does not say */
    uint16_t opaque;     /* bytes more in its credentials */
    uint32_t asks_s;
};

/* What is true of one contact, whatever anybody believes. */
struct contact_truth {
    uint32_t line;
    struct address local; /* what stands in it */
    uint8_t text_n;
    char text[95];       /* of its URI */
    uint64_t added_us;   /* a REGISTER that adds it was last sent */
    uint64_t proved_us;  /* the main registrar last accepted credentials for it */
    uint64_t removed_us; /* the phone got a 200 to its removal */
};

enum register_kind { REGISTER_ADD, REGISTER_SWAP, REGISTER_REMOVE, REGISTER_REMOVE_ALL };

struct register_tx {
    bool busy;
    bool again; /* credentials are in it */
    bool alone; /* a removal: nobody else was bound */
    enum register_kind kind;
    uint32_t number; /* in its branch */
    unsigned challenges;
    uint32_t interval_us;
    uint64_t next_us;
    uint64_t gives_up_us;
    uint64_t sent_us;
    uint32_t asked_s;
    struct address flow; /* whence it was sent */
    uint32_t wire;       /* ... over which connection; 0: by datagram */
    size_t n;
    char text[PHONE_TEXT_MAX];
};

/* What the phone was told last. An answer that is sent again says what was granted
 * when it was sent first, so the time counts from the request. */
struct phone_view {
    bool valid;
    uint32_t line;
    uint64_t since_us; /* when the REGISTER was sent that was answered */
    uint64_t until_us;
    struct address flow;
    uint32_t wire;
};

enum phone_call_state {
    PCALL_NONE,
    PCALL_SILENT, /* it does not even say 100 */
    PCALL_RINGING,
    PCALL_REFUSED,  /* a final answer of 300 to 699 was sent, no ACK yet */
    PCALL_ANSWERED, /* 2xx was sent, no ACK yet */
    PCALL_TALKING,
    PCALL_ENDING, /* BYE was sent */
    PCALL_OVER,   /* remembered, so that a copy does not ring again */
};

struct phone_call {
    enum phone_call_state state;
    uint32_t number; /* of the main registrar's call */
    uint32_t line;   /* the contact that was called */
    int status;      /* of the last answer */
    int decision;    /* the final answer to come; 0: rings on */
    uint64_t began_us;
    uint64_t answered_us;
    uint64_t due_us;     /* the next of what it does of itself */
    uint64_t resend_us;  /* NEVER: nothing is sent again */
    uint64_t give_up_us; /* of what is sent again */
    uint32_t interval_us;
    uint32_t tag;
    char branch[80];
    char *invite; /* a copy */
    size_t invite_n;
    char *bye;
    size_t bye_n;
};

enum dial_state { DIAL_NONE, DIAL_CALLING, DIAL_PROCEEDING, DIAL_TALKING, DIAL_ENDING };

/* A call that the phone makes. */
struct phone_dial {
    enum dial_state state;
    bool may; /* it was registered on this flow when it dialled */
    uint32_t number;
    uint32_t branch; /* of the INVITE or the BYE */
    uint32_t cseq;
    unsigned challenges;
    uint32_t body; /* bytes of its INVITE's */
    uint32_t interval_us;
    uint32_t cancel_interval_us;
    uint64_t began_us;
    uint64_t due_us; /* when it dials, gives up ringing, or hangs up */
    uint64_t resend_us;
    uint64_t give_up_us;
    uint64_t cancelled_us; /* 0: no CANCEL was sent */
    uint64_t cancel_resend_us;
    char nonce[64];
    char to[160]; /* with the tag */
    char target[160];
    char routes[1024]; /* Route fields */
};

struct phone {
    uint32_t index;
    int aor;
    struct phone_habits habits;
    enum phone_mind mind;
    struct alarm alarm;
    uint64_t changed_us;               /* when it last came, left, moved or died */
    uint64_t life_us;                  /* when it next does one of these */
    uint64_t act_us;                   /* when it next registers; NEVER: not of itself */
    bool leaves_next;                  /* it has just registered, and is about to leave */
    unsigned tries;                    /* to leave */
    struct address local;              /* what it believes to be its address */
    struct address public;             /* where its datagrams come from */
    struct address flows[PHONE_FLOWS]; /* the last ones it sent from */
    unsigned flow_count;
    uint32_t wire;     /* its connection; 0: none */
    uint64_t ping_us;  /* when it sends the next keep-alive */
    uint64_t pong_us;  /* an answer to one is due by then */
    uint64_t reads_us; /* it reads nothing until then; NEVER: it reads */
    uint16_t next_port;
    uint32_t line; /* its contact: a new one is a new contact */
    uint32_t old_line;
    struct contact_truth contacts[PHONE_CONTACTS]; /* by line */
    uint32_t call_id;
    uint32_t cseq;
    uint32_t branches; /* given out so far */
    struct register_tx tx;
    struct phone_view view;
    char nonce[64];
    uint32_t nc;
    struct phone_call calls[PHONE_CALLS];
    struct phone_dial dial;
};

struct phones {
    struct phone *list;
    unsigned count;
    struct chance chance;
    uint64_t life_mean_us;
    uint32_t stream_percent; /* so many live on TCP */
};

/* False: no memory. */
bool phones_init(struct sim *s);
void phones_fini(struct sim *s);

void phone_event(struct sim *s, const struct event *e);
/* False: not a phone's address. */
bool phones_receive(struct sim *s, const struct address *to, struct span bytes);
/* The phone whose host this is, or NULL. */
struct phone *phone_of_host(struct sim *s, const struct address *a);
/* Does it accept connections there? */
bool phone_listens(const struct phone *p, const struct address *a);
/* The evening has come: all leave or die within a minute. */
void phones_to_bed(struct sim *s);

/* Must it be bound, by all that it was told and by what others did to its AOR? */
bool phone_registered(const struct sim *s, const struct phone *p);
/* Must a call reach it? */
bool phone_reachable(const struct sim *s, const struct phone *p);

/* Which phone and contact a contact's "line" parameter names. False: no phone's. */
bool phone_of_line(const struct sim *s, struct span line, uint32_t *phone, uint32_t *number);

/* ---- between the files of the phone ---- */

void phone_arm(struct sim *s, struct phone *p);
void phone_send(struct sim *s, struct phone *p, struct span bytes);
void phone_turn_off(struct sim *s, struct phone *p);
void phone_new_port(struct phone *p);
/* "sip:p7@10.16.0.7:5060;line=7-1" */
void phone_put_contact(struct buf *out, struct phone *p, uint32_t line);
struct contact_truth *phone_contact(struct phone *p, uint32_t line);

void phone_register(struct sim *s, struct phone *p, enum register_kind kind);
void phone_register_timer(struct sim *s, struct phone *p);
/* True: it was the awaited 200, and was dealt with. */
bool phone_register_quick(struct sim *s, struct phone *p, struct span text);
void phone_register_answer(struct sim *s, struct phone *p, const struct sip_message *m);

/* The connection over which it was sent is gone. */
void phone_register_lost(struct sim *s, struct phone *p);

/* "TCP" or "UDP", for Via. */
const char *phone_transport(const struct phone *p);
/* Connects, where it lives on TCP and has no connection. */
void phone_connect(struct sim *s, struct phone *p);
void phone_disconnect(struct sim *s, struct phone *p, enum wire_close how);
void phone_wire_send(struct sim *s, struct phone *p, struct span bytes);
void phone_wire_off(struct sim *s, struct phone *p, bool politely);
/* Something happens to its connection. */
void phone_wire_trouble(struct sim *s, struct phone *p);
void phone_wire_timers(struct sim *s, struct phone *p);
uint64_t phone_wire_due_us(const struct phone *p);
/* wire.c tells: */
void phone_wire_opened(struct sim *s, struct phone *p, uint32_t number);
void phone_wire_heard(struct phone *p, uint32_t number);
void phone_wire_closed(struct sim *s, struct phone *p, uint32_t number);
void phone_wire_message(struct sim *s, struct phone *p, struct span message);

/* Ends what the phone calls, if anything, and plans its next call. */
void phone_dial_plan(struct sim *s, struct phone *p);
void phone_dial_timers(struct sim *s, struct phone *p);
uint64_t phone_dial_due_us(const struct phone *p);
/* False: not about a call that the phone made. */
bool phone_dial_answer(struct sim *s, struct phone *p, const struct sip_message *m);
bool phone_dial_bye(struct sim *s, struct phone *p, const struct sip_message *m);

void phone_call_request(struct sim *s, struct phone *p, const struct sip_message *m);
void phone_call_answer(struct sim *s, struct phone *p, const struct sip_message *m);
void phone_call_timers(struct sim *s, struct phone *p);
uint64_t phone_call_due_us(const struct phone *p);
void phone_call_forget_all(struct phone *p);

#endif

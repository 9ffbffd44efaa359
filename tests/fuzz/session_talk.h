/*
 * session_talk: what the peers of the session fuzzer say, from what a script says.
 *
 * Lines end with LF in a script and with CRLF on the wire; "$x" stands for what
 * the peer knows (README.md lists them); fields that every message has are added
 * where they are missing. Used by fuzz_session.c and session_world.c.
 */
#ifndef MIDREG_TESTS_FUZZ_SESSION_TALK_H
#define MIDREG_TESTS_FUZZ_SESSION_TALK_H

#include "session_world.h"

/* The peer sends this; `raw`: with nothing added. */
void talk_send(struct session_world *w, struct peer *p, struct span text, bool raw);

/* The peer answers the request that it got, `back` requests ago (0: the last).
 * `text` begins with the status; fields and body may follow in further lines. */
void talk_answer(struct session_world *w, struct peer *p, unsigned back, struct span text);

/* The peer sends the last request that it got on, to midreg, as a proxy does;
 * `ruri` empty: with the same Request-URI. */
void talk_relay(struct session_world *w, struct peer *p, struct span ruri);

/* What the main registrar with its present habit says to this request; an empty
 * span: nothing. Valid until the next call. */
struct span talk_pbx_answer(struct session_world *w, struct peer *p,
                            const struct sip_message *request);

#endif

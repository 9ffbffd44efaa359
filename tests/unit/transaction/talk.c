/*
 * talk: see the header.
 */
#include "talk.h"

#include <stdio.h>
#include <stdlib.h>

static void on_cancelled(void *self, struct server_tx *tx, const struct sip_message *cancel)
{
    struct talk *k = self;

    assert_int_equal(cancel->method, SIP_CANCEL);
    assert_int_equal(tx->state, SERVER_PROCEEDING);
    k->cancelled++;
}

static void on_server_ended(void *self, struct server_tx *tx)
{
    struct talk *k = self;

    assert_ptr_equal(server_get(tx->t, tx->handle), tx);
    k->ended++;
}

const struct server_user talk_server_user = {on_cancelled, on_server_ended};

static void on_response(void *self, struct client_tx *tx, const struct sip_message *response)
{
    struct talk *k = self;

    assert_int_equal(tx->status, response->status);
    k->responses++;
    k->last_status = response->status;
}

static void on_timeout(void *self, struct client_tx *tx)
{
    struct talk *k = self;

    assert_ptr_equal(client_get(tx->t, tx->handle), tx);
    k->timeouts++;
}

static void on_client_ended(void *self, struct client_tx *tx)
{
    struct talk *k = self;

    assert_ptr_equal(client_get(tx->t, tx->handle), tx);
    k->ended++;
}

const struct client_user talk_client_user = {on_response, on_timeout, on_client_ended};

int talk_setup(void **state)
{
    struct talk *k = calloc(1, sizeof *k);

    assert_non_null(k);
    fake_init(&k->fake);
    assert_true(transactions_init(&k->t, &k->fake.rt));
    k->peer = fake_flow("10.0.0.1:5060");
    *state = k;
    return 0;
}

int talk_teardown(void **state)
{
    struct talk *k = *state;

    /* Every transaction ends by itself, and leaves nothing behind. */
    fake_advance(&k->fake, 300000);
    assert_int_equal(k->t.servers.used, 0);
    assert_int_equal(k->t.clients.used, 0);
    assert_int_equal(k->t.server_keys.used, 0);
    assert_int_equal(k->fake.rt.wheel.armed, 0);
    transactions_fini(&k->t);
    fake_fini(&k->fake);
    free(k);
    return 0;
}

/* LF to CRLF into k->text, then parsed. */
static const struct sip_message *parse(struct talk *k, const char *lf)
{
    struct buf out = buf_make(k->text, sizeof k->text);
    struct sip_fault fault = {0};

    for (; *lf; lf++) {
        if (*lf == '\n')
            buf_char(&out, '\r');
        buf_char(&out, *lf);
    }
    assert_false(out.overflow);
    if (sip_parse(buf_done(&out), &k->m, &fault) != SIP_PARSED)
        fail_msg("%s in\n%.*s", fault.reason, (int)out.n, k->text);
    return &k->m;
}

const struct sip_message *talk_request(struct talk *k, const char *method, const char *via,
                                       const char *to, const char *lines)
{
    char lf[4096];

    snprintf(lf, sizeof lf,
             "%s sip:bob@example.com SIP/2.0\nVia: %s\nMax-Forwards: 70\n"
             "From: <sip:alice@example.com>;tag=f\nTo: %s\nCall-ID: call\nCSeq: 1 %s\n%s"
             "Content-Length: 0\n\n",
             method, via, to, method, lines);
    return parse(k, lf);
}

const struct sip_message *talk_response(struct talk *k, const struct fake_datagram *request,
                                        int status)
{
    char lf[4096];
    size_t n = 0;

    n += (size_t)snprintf(lf + n, sizeof lf - n, "SIP/2.0 %d Whatever\n", status);
    n += (size_t)snprintf(lf + n, sizeof lf - n, "Via: %s\n", fake_field(request->text, "Via"));
    n += (size_t)snprintf(lf + n, sizeof lf - n, "From: %s\n", fake_field(request->text, "From"));
    n += (size_t)snprintf(lf + n, sizeof lf - n, "To: %s;tag=t\n", fake_field(request->text, "To"));
    n += (size_t)snprintf(lf + n, sizeof lf - n, "Call-ID: call\nCSeq: %s\n",
                          fake_field(request->text, "CSeq"));
    snprintf(lf + n, sizeof lf - n, "Content-Length: 0\n\n");
    return parse(k, lf);
}

bool talk_starts(const struct fake_datagram *d, const char *start)
{
    return strncmp(d->text, start, strlen(start)) == 0;
}

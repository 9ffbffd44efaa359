/*
 * proxy/token: see token.h.
 *
 * Called by routes.c when a request is sent on (to write) and when one comes
 * back within its dialog (to read). Core thread; looks nothing up.
 *
 *   kind 1 | boot 4 | AOR hash 8 | binding 4 | upstream 1 | transport, listener 1 |
 *   port 2 | connection 4 | leg 4 | address 4 or 16 | MAC 10
 *
 * Numbers are in network order.
 */
#include "proxy/token.h"

#define TOKEN_KIND_IP4 0x14 /* format 1, IPv4 */
#define TOKEN_KIND_IP6 0x16 /* format 1, IPv6 */

#define TOKEN_HEAD      29 /* kind to leg */
#define TOKEN_BYTES_MAX (TOKEN_HEAD + 16 + MAC80_SIZE)

static uint8_t *write_number(uint8_t *at, uint64_t value, unsigned bytes)
{
    while (bytes--)
        *at++ = (uint8_t)(value >> 8 * bytes);
    return at;
}

static const uint8_t *read_number(const uint8_t *at, uint64_t *value, unsigned bytes)
{
    *value = 0;
    while (bytes--)
        *value = *value << 8 | *at++;
    return at;
}

/*
 * The MAC over the token's bytes and the Call-ID. The label keeps it apart from
 * everything else that is signed with the installation's secret.
 */
static void token_mac(const struct hasher *h, struct span call_id, const uint8_t *bytes, size_t n,
                      uint8_t out[MAC80_SIZE])
{
    static const char label[] = "midreg flow token";
    uint8_t room[sizeof label + 8 + TOKEN_BYTES_MAX];
    uint8_t *at = room;

    memcpy(at, label, sizeof label);
    at = write_number(at + sizeof label, hash64(h, call_id), 8);
    memcpy(at, bytes, n);
    mac80(h, span_make((const char *)room, (size_t)(at - room) + n), out);
}

void token_put(struct buf *out, const struct hasher *h, struct span call_id,
               const struct flow_token *token)
{
    bool ip6 = token->flow.peer.family == ADDRESS_IP6;
    size_t ip_n = ip6 ? 16 : 4;
    uint8_t bytes[TOKEN_BYTES_MAX];
    uint8_t *at = bytes;

    *at++ = ip6 ? TOKEN_KIND_IP6 : TOKEN_KIND_IP4;
    at = write_number(at, token->boot_id, 4);
    at = write_number(at, token->aor_hash, 8);
    at = write_number(at, token->binding_id, 4);
    *at++ = token->upstream;
    *at++ = (uint8_t)(token->flow.transport << 4 | token->flow.listener);
    at = write_number(at, token->flow.peer.port, 2);
    at = write_number(at, token->flow.connection, 4);
    at = write_number(at, token->leg_id, 4);
    memcpy(at, token->flow.peer.ip, ip_n);
    at += ip_n;
    token_mac(h, call_id, bytes, (size_t)(at - bytes), at);
    base32_put(out, bytes, (size_t)(at - bytes) + MAC80_SIZE);
}

/* The fields behind the kind; `bytes` is a whole token whose MAC holds. */
static void token_decode(const uint8_t *bytes, bool ip6, struct flow_token *out)
{
    const uint8_t *at = bytes + 1;
    uint64_t value;

    memset(out, 0, sizeof *out);
    at = read_number(at, &value, 4);
    out->boot_id = (uint32_t)value;
    at = read_number(at, &out->aor_hash, 8);
    at = read_number(at, &value, 4);
    out->binding_id = (uint32_t)value;
    out->upstream = *at++;
    out->flow.transport = *at >> 4;
    out->flow.listener = *at++ & 15;
    at = read_number(at, &value, 2);
    out->flow.peer.port = (uint16_t)value;
    at = read_number(at, &value, 4);
    out->flow.connection = (uint32_t)value;
    at = read_number(at, &value, 4);
    out->leg_id = (uint32_t)value;
    out->flow.peer.family = ip6 ? ADDRESS_IP6 : ADDRESS_IP4;
    memcpy(out->flow.peer.ip, at, ip6 ? 16 : 4);
}

enum token_verdict token_read(const struct hasher *h, struct span call_id, struct span text,
                              struct flow_token *out)
{
    uint8_t bytes[TOKEN_BYTES_MAX];
    uint8_t mac[MAC80_SIZE];
    int n = base32_get(text, bytes, sizeof bytes);
    bool ip6 = n > 0 && bytes[0] == TOKEN_KIND_IP6;

    if (n <= 0 || !(ip6 || bytes[0] == TOKEN_KIND_IP4) ||
        n != TOKEN_HEAD + (ip6 ? 16 : 4) + MAC80_SIZE)
        return TOKEN_NONE;
    token_mac(h, call_id, bytes, (size_t)n - MAC80_SIZE, mac);
    if (!mac80_equal(mac, bytes + n - MAC80_SIZE))
        return TOKEN_FORGED;
    token_decode(bytes, ip6, out);
    return TOKEN_GOOD;
}

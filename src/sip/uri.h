/*
 * sip/uri: SIP and SIPS URIs: decoding, parameters, comparison, canonical AOR.
 *
 * Zero copy: a decoded URI points into the text. Escapes stay as they are until
 * something is compared or made canonical. Pure. RFC 3261 19.1 and 25.1.
 */
#ifndef MIDREG_SIP_URI_H
#define MIDREG_SIP_URI_H

#include "base/address.h"
#include "sip/message.h"

/* Where a URI or a sent-by names no port: RFC 3261 19.1.2, 18.2.2. */
#define SIP_PORT  5060
#define SIPS_PORT 5061

enum sip_scheme { SIP_SCHEME_OTHER, SIP_SCHEME_SIP, SIP_SCHEME_SIPS, SIP_SCHEME_TEL };

struct sip_uri {
    struct span text; /* all of it */
    enum sip_scheme scheme;
    struct span user;     /* without password, escapes as written */
    struct span password; /* p NULL: none */
    struct span host;     /* a name, an IPv4 address, or [IPv6] with brackets */
    bool has_user;
    uint32_t port;       /* 0: none given */
    struct span params;  /* ";a=b;c" or empty */
    struct span headers; /* behind '?', or empty */
};

/*
 * Decodes a URI that is `text` and nothing else (no angle brackets, no white
 * space). Other schemes than sip and sips come back as SIP_SCHEME_OTHER or
 * SIP_SCHEME_TEL with `text` alone set. False: malformed, fault->status 400.
 */
bool sip_uri_parse(struct span text, struct sip_uri *out, struct sip_fault *fault);

/* A URI parameter by name (case-insensitive). True if present; *value is what
 * is behind '=', or empty. */
bool sip_uri_param(const struct sip_uri *uri, struct span name, struct span *value);

/* The IP address that a host is (IPv6 with brackets; RFC 5118 4.10's three colons
 * count as two), port 0. False: it is a name. */
bool sip_host_address(struct span host, struct address *out);

/* RFC 3261 19.1.4, for sip and sips; other schemes byte by byte. Unescapes,
 * ignores case where the rules do, treats user, ttl, method, maddr and
 * transport as significant on either side. URIs beyond 2 kB: byte by byte. */
bool sip_uri_equal(const struct sip_uri *a, const struct sip_uri *b);

/* What of a contact's URI may stand in a Request-URI or Route: all but its headers
 * and its method parameter (RFC 3261 16.6 step 1; 19.1.1, table 1). */
void sip_put_request_uri(struct buf *out, const struct sip_uri *uri);

/* Appends the unescaped form (%41 -> A). False: a bad escape. */
bool sip_unescape(struct buf *out, struct span text);

/* Appends "user" of the AOR canonically: unescaped where the character needs
 * no escape in a user part, else %XX in upper case. So that equal users have
 * equal bytes. False: a bad escape. RFC 3261 10.3 step 5. */
bool sip_canonical_user(struct buf *out, struct span user);

/* Appends the canonical AOR "sip:user@domain": sips becomes sip, user as
 * above, host in lower case, no port, no parameters. False: no user, or bad. */
bool sip_canonical_aor(struct buf *out, const struct sip_uri *uri);

#endif

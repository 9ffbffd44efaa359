/*
 * sip/names: the words of SIP: methods, header field names, reason phrases.
 *
 * Called by the parser for each field (a switch on length and first two
 * letters, then one comparison) and by the builders. Pure tables, any thread.
 */
#include "sip/scan.h"

static const struct span methods[] = {
    [SIP_METHOD_OTHER] = SPAN_NONE,  [SIP_INVITE] = SPAN("INVITE"),
    [SIP_ACK] = SPAN("ACK"),         [SIP_BYE] = SPAN("BYE"),
    [SIP_CANCEL] = SPAN("CANCEL"),   [SIP_REGISTER] = SPAN("REGISTER"),
    [SIP_OPTIONS] = SPAN("OPTIONS"), [SIP_MESSAGE] = SPAN("MESSAGE"),
    [SIP_NOTIFY] = SPAN("NOTIFY"),   [SIP_SUBSCRIBE] = SPAN("SUBSCRIBE"),
    [SIP_INFO] = SPAN("INFO"),       [SIP_UPDATE] = SPAN("UPDATE"),
    [SIP_PRACK] = SPAN("PRACK"),     [SIP_REFER] = SPAN("REFER"),
    [SIP_PUBLISH] = SPAN("PUBLISH"),
};

enum sip_method sip_method_of(struct span name)
{
    for (int m = SIP_INVITE; m <= SIP_PUBLISH; m++)
        if (span_eq(methods[m], name))
            return (enum sip_method)m;
    return SIP_METHOD_OTHER;
}

struct span sip_method_text(enum sip_method m)
{
    return methods[m];
}

/* RFC 3261 7.3.3: the compact forms that have an id. */
static enum sip_header_id compact_header(char letter)
{
    switch (ascii_lower(letter)) {
    case 'v':
        return SIP_H_VIA;
    case 'f':
        return SIP_H_FROM;
    case 't':
        return SIP_H_TO;
    case 'i':
        return SIP_H_CALL_ID;
    case 'm':
        return SIP_H_CONTACT;
    case 'l':
        return SIP_H_CONTENT_LENGTH;
    case 'c':
        return SIP_H_CONTENT_TYPE;
    case 'k':
        return SIP_H_SUPPORTED;
    case 'o':
        return SIP_H_EVENT;
    default:
        return SIP_H_OTHER;
    }
}

#define KEY(n, a, b) ((unsigned)(n) << 16 | (unsigned)(a) << 8 | (unsigned)(b))

/* `id` if the name, whose length is known to fit, is this one. Nearly all write
 * it as RFC 3261 20 does: a comparison of known length costs next to nothing. */
static inline enum sip_header_id if_name(struct span name, const char *usual, size_t n,
                                         enum sip_header_id id)
{
    if (memcmp(name.p, usual, n) == 0 || span_ieq(name, span_make(usual, n)))
        return id;
    return SIP_H_OTHER;
}

#define NAME(a, b, text, id)                                                                       \
    case KEY(sizeof(text) - 1, a, b):                                                              \
        return if_name(name, text, sizeof(text) - 1, id)

enum sip_header_id sip_header_of(struct span name)
{
    if (name.n < 2)
        return name.n ? compact_header(name.p[0]) : SIP_H_OTHER;
    if (name.n > 32)
        return SIP_H_OTHER;
    switch (KEY(name.n, (uint8_t)ascii_lower(name.p[0]), (uint8_t)ascii_lower(name.p[1]))) {
        NAME('v', 'i', "Via", SIP_H_VIA);
        NAME('f', 'r', "From", SIP_H_FROM);
        NAME('t', 'o', "To", SIP_H_TO);
        NAME('c', 'a', "Call-ID", SIP_H_CALL_ID);
        NAME('c', 's', "CSeq", SIP_H_CSEQ);
        NAME('c', 'o', "Contact", SIP_H_CONTACT);
        NAME('m', 'a', "Max-Forwards", SIP_H_MAX_FORWARDS);
        NAME('e', 'x', "Expires", SIP_H_EXPIRES);
        NAME('m', 'i', "Min-Expires", SIP_H_MIN_EXPIRES);
        NAME('r', 'o', "Route", SIP_H_ROUTE);
        NAME('r', 'e', "Record-Route", SIP_H_RECORD_ROUTE);
        NAME('p', 'a', "Path", SIP_H_PATH);
        NAME('s', 'e', "Service-Route", SIP_H_SERVICE_ROUTE);
        NAME('s', 'u', "Supported", SIP_H_SUPPORTED);
        NAME('r', 'e', "Require", SIP_H_REQUIRE);
        NAME('p', 'r', "Proxy-Require", SIP_H_PROXY_REQUIRE);
        NAME('u', 'n', "Unsupported", SIP_H_UNSUPPORTED);
        NAME('a', 'u', "Authorization", SIP_H_AUTHORIZATION);
        NAME('p', 'r', "Proxy-Authorization", SIP_H_PROXY_AUTHORIZATION);
        NAME('w', 'w', "WWW-Authenticate", SIP_H_WWW_AUTHENTICATE);
        NAME('p', 'r', "Proxy-Authenticate", SIP_H_PROXY_AUTHENTICATE);
        NAME('c', 'o', "Content-Length", SIP_H_CONTENT_LENGTH);
        NAME('c', 'o', "Content-Type", SIP_H_CONTENT_TYPE);
        NAME('d', 'a', "Date", SIP_H_DATE);
        NAME('r', 'e', "Reason", SIP_H_REASON);
        NAME('r', 'e', "Retry-After", SIP_H_RETRY_AFTER);
        NAME('e', 'v', "Event", SIP_H_EVENT);
        NAME('u', 's', "User-Agent", SIP_H_USER_AGENT);
        NAME('p', '-', "P-Asserted-Identity", SIP_H_P_ASSERTED_IDENTITY);
        NAME('p', '-', "P-Preferred-Identity", SIP_H_P_PREFERRED_IDENTITY);
        NAME('r', 'e', "Remote-Party-ID", SIP_H_REMOTE_PARTY_ID);
    default:
        return SIP_H_OTHER;
    }
}

/* The registry of compact forms at IANA: a field must not slip through by its short name. */
struct span header_long_name(struct span name)
{
    static const struct span compact[26] = {
        ['a' - 'a'] = SPAN("Accept-Contact"),
        ['b' - 'a'] = SPAN("Referred-By"),
        ['c' - 'a'] = SPAN("Content-Type"),
        ['d' - 'a'] = SPAN("Request-Disposition"),
        ['e' - 'a'] = SPAN("Content-Encoding"),
        ['f' - 'a'] = SPAN("From"),
        ['i' - 'a'] = SPAN("Call-ID"),
        ['j' - 'a'] = SPAN("Reject-Contact"),
        ['k' - 'a'] = SPAN("Supported"),
        ['l' - 'a'] = SPAN("Content-Length"),
        ['m' - 'a'] = SPAN("Contact"),
        ['n' - 'a'] = SPAN("Identity-Info"),
        ['o' - 'a'] = SPAN("Event"),
        ['r' - 'a'] = SPAN("Refer-To"),
        ['s' - 'a'] = SPAN("Subject"),
        ['t' - 'a'] = SPAN("To"),
        ['u' - 'a'] = SPAN("Allow-Events"),
        ['v' - 'a'] = SPAN("Via"),
        ['x' - 'a'] = SPAN("Session-Expires"),
        ['y' - 'a'] = SPAN("Identity"),
    };
    char letter = name.n == 1 ? ascii_lower(name.p[0]) : 0;

    if (letter < 'a' || letter > 'z' || !compact[letter - 'a'].p)
        return name;
    return compact[letter - 'a'];
}

static const struct {
    int status;
    const char *phrase;
} reasons[] = {
    {100, "Trying"},
    {180, "Ringing"},
    {181, "Call Is Being Forwarded"},
    {182, "Queued"},
    {183, "Session Progress"},
    {199, "Early Dialog Terminated"},
    {200, "OK"},
    {202, "Accepted"},
    {204, "No Notification"},
    {300, "Multiple Choices"},
    {301, "Moved Permanently"},
    {302, "Moved Temporarily"},
    {305, "Use Proxy"},
    {380, "Alternative Service"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {402, "Payment Required"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {407, "Proxy Authentication Required"},
    {408, "Request Timeout"},
    {410, "Gone"},
    {412, "Conditional Request Failed"},
    {413, "Request Entity Too Large"},
    {414, "Request-URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Unsupported URI Scheme"},
    {417, "Unknown Resource-Priority"},
    {420, "Bad Extension"},
    {421, "Extension Required"},
    {422, "Session Interval Too Small"},
    {423, "Interval Too Brief"},
    {424, "Bad Location Information"},
    {428, "Use Identity Header"},
    {429, "Provide Referrer Identity"},
    {430, "Flow Failed"},
    {433, "Anonymity Disallowed"},
    {436, "Bad Identity Info"},
    {437, "Unsupported Credential"},
    {438, "Invalid Identity Header"},
    {439, "First Hop Lacks Outbound Support"},
    {440, "Max-Breadth Exceeded"},
    {469, "Bad Info Package"},
    {470, "Consent Needed"},
    {480, "Temporarily Unavailable"},
    {481, "Call/Transaction Does Not Exist"},
    {482, "Loop Detected"},
    {483, "Too Many Hops"},
    {484, "Address Incomplete"},
    {485, "Ambiguous"},
    {486, "Busy Here"},
    {487, "Request Terminated"},
    {488, "Not Acceptable Here"},
    {489, "Bad Event"},
    {491, "Request Pending"},
    {493, "Undecipherable"},
    {494, "Security Agreement Required"},
    {500, "Server Internal Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Server Time-out"},
    {505, "Version Not Supported"},
    {513, "Message Too Large"},
    {555, "Push Notification Service Not Supported"},
    {580, "Precondition Failure"},
    {600, "Busy Everywhere"},
    {603, "Decline"},
    {604, "Does Not Exist Anywhere"},
    {606, "Not Acceptable"},
    {607, "Unwanted"},
    {608, "Rejected"},
};

const char *sip_reason(int status)
{
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++)
        if (reasons[i].status == status)
            return reasons[i].phrase;
    return "Unknown";
}

bool sip_name_matches(struct span name, struct span pattern)
{
    name = header_long_name(name);
    if (pattern.n && pattern.p[pattern.n - 1] == '*')
        return name.n >= pattern.n - 1 &&
               span_ieq(span_make(name.p, pattern.n - 1), span_make(pattern.p, pattern.n - 1));
    return span_ieq(name, header_long_name(pattern));
}

"""SIP messages: built, parsed, answered. Text in, text out; knows no socket."""
import random
import re

COMPACT = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "l": "content-length",
           "c": "content-type", "k": "supported", "s": "subject", "e": "content-encoding"}
LISTS = {"via", "contact", "route", "record-route", "path", "supported", "unsupported", "require",
         "proxy-require", "allow", "service-route"}
PHRASES = {100: "Trying", 180: "Ringing", 183: "Session Progress", 200: "OK", 302: "Moved Temporarily",
           400: "Bad Request", 401: "Unauthorized", 403: "Forbidden", 404: "Not Found",
           407: "Proxy Authentication Required", 410: "Gone", 423: "Interval Too Brief",
           480: "Temporarily Unavailable", 482: "Request Merged", 486: "Busy Here",
           487: "Request Terminated", 500: "Server Internal Error",
           503: "Maximum Calls In Progress", 600: "Busy Everywhere", 603: "Decline"}
SDP = (b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
       b"m=audio 40000 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n")


class BadMessage(Exception):
    """What came is not SIP."""


chance = random.SystemRandom()


def seed(number=None):
    """All chance of the toolkit comes from this number from now on; None: from the system again."""
    global chance
    chance = random.SystemRandom() if number is None else random.Random(number)


def token(n=10):
    """So many random hexadecimal digits."""
    return "%0*x" % (n, chance.getrandbits(4 * n))


def new_branch():
    return "z9hG4bK" + token(16)


def canonical_name(name):
    name = name.strip().lower()
    return COMPACT.get(name, name)


def split_list(value):
    """A comma list, split outside of quotes and angle brackets."""
    parts, start, quoted, angle = [], 0, False, False
    i = 0
    while i < len(value):
        c = value[i]
        if quoted and c == "\\":
            i += 1
        elif c == '"':
            quoted = not quoted
        elif c in "<>" and not quoted:
            angle = c == "<"
        elif c == "," and not quoted and not angle:
            parts.append(value[start:i].strip())
            start = i + 1
        i += 1
    parts.append(value[start:].strip())
    return [p for p in parts if p]


def parse_params(text):
    """";a=b;c" as a dictionary with lower-case names; a flag's value is None."""
    found = re.findall(r';\s*([^;=\s"]+)\s*(?:=\s*("(?:\\.|[^"\\])*"|[^;\s]*))?', text)
    return {name.lower(): value or None for name, value in found}


class Address:
    """A name-addr or addr-spec with its header parameters."""

    def __init__(self, value):
        m = re.match(r'\s*(?:"(?:\\.|[^"\\])*"|[^<"]*?)\s*<([^>]*)>(.*)$', value, re.S)
        if m:
            self.uri, rest = m.group(1).strip(), m.group(2)
        else:
            uri, semicolon, rest = value.strip().partition(";")
            self.uri, rest = uri.strip(), semicolon + rest
        self.text = value
        self.params = parse_params(rest)

    @property
    def tag(self):
        return self.params.get("tag")

    @property
    def expires(self):
        return int(self.params["expires"])

    def __repr__(self):
        return self.text


class Uri:
    """A sip URI in its parts, nothing unescaped."""

    def __init__(self, text):
        m = re.match(r"(sips?):(?:([^@]*)@)?(\[[^\]]*\]|[^:;?]+)(?::(\d+))?(;[^?]*)?(?:\?.*)?$", text)
        if not m:
            raise BadMessage("not a SIP URI: %r" % text)
        self.scheme, self.user, self.host = m.group(1), m.group(2), m.group(3)
        self.port = int(m.group(4) or 5060)
        self.params = parse_params(m.group(5) or "")

    @property
    def place(self):
        return (self.host.strip("[]"), self.port)


class Message:
    """One request or response. Headers keep their order and spelling."""

    def __init__(self, start, headers=(), body=b""):
        self.start, self.headers, self.body = start, list(headers), body
        self.source = self.time = None

    @classmethod
    def parse(cls, data):
        head, empty, body = data.partition(b"\r\n\r\n")
        lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "surrogateescape")).split("\r\n")
        if not empty or "SIP/2.0" not in lines[0]:
            raise BadMessage(data[:80])
        headers = [line.partition(":")[::2] for line in lines[1:]]
        return cls(lines[0], [(n.strip(), v.strip()) for n, v in headers], body)

    def bytes(self):
        headers = self.headers
        if not self.all("content-length"):
            headers = headers + [("Content-Length", str(len(self.body)))]
        lines = [self.start] + ["%s: %s" % h for h in headers]
        return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + self.body

    @property
    def is_request(self):
        return not self.start.startswith("SIP/2.0")

    @property
    def method(self):
        """Of a response: of the request that it answers."""
        return self.start.split(" ")[0] if self.is_request else self.get("cseq").split()[1]

    @property
    def uri(self):
        return self.start.split(" ")[1]

    @property
    def status(self):
        return 0 if self.is_request else int(self.start.split(" ")[1])

    @property
    def reason_phrase(self):
        return self.start.split(" ", 2)[2]

    def all(self, name):
        name = canonical_name(name)
        values = [v for n, v in self.headers if canonical_name(n) == name]
        return [p for v in values for p in split_list(v)] if name in LISTS else values

    def get(self, name, default=None):
        values = self.all(name)
        return values[0] if values else default

    def has(self, name):
        return bool(self.all(name))

    def set(self, name, *values):
        """Replaces all of a header, at its first place."""
        same = [canonical_name(n) == canonical_name(name) for n, _ in self.headers]
        at = same.index(True) if True in same else len(self.headers)
        rest = [h for h, drop in zip(self.headers, same) if not drop]
        self.headers = rest[:at] + [(name, v) for v in values] + rest[at:]
        return self

    @property
    def call_id(self):
        return self.get("call-id", "")

    @property
    def cseq(self):
        return int(self.get("cseq").split()[0])

    @property
    def branch(self):
        return parse_params(self.get("via", "").partition(";")[1] + self.get("via", "").partition(";")[2]).get("branch")

    @property
    def from_(self):
        return Address(self.get("from"))

    @property
    def to(self):
        return Address(self.get("to"))

    @property
    def contacts(self):
        return [Address(c) for c in self.all("contact")]

    def contact(self, uri):
        """The contact with this URI, or None."""
        return next((c for c in self.contacts if c.uri == uri), None)

    def identity(self):
        """Equal for copies of one message, different for any two others."""
        return (self.start, self.branch, self.call_id, self.get("cseq"),
                self.to.tag if self.has("to") else None)

    def __repr__(self):
        return "<%s, CSeq %s, Call-ID %.12s>" % (self.start, self.get("cseq"), self.call_id)


def respond(request, status, phrase=None, tag=None, headers=(), body=b""):
    """A response as a UAS builds it, RFC 3261 8.2.6."""
    to = request.get("to")
    if tag and status > 100 and not Address(to).tag:
        to += ";tag=" + tag
    copied = [("Via", v) for v in request.all("via")]
    if 100 < status < 300:
        copied += [("Record-Route", v) for v in request.all("record-route")]
    copied += [("From", request.get("from")), ("To", to), ("Call-ID", request.call_id),
               ("CSeq", request.get("cseq"))]
    start = "SIP/2.0 %d %s" % (status, phrase or PHRASES.get(status, "Whatever"))
    return Message(start, copied + list(headers), body)

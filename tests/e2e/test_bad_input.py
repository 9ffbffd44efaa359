"""Malformed messages get 400 with a reason, noise gets nothing, and midreg goes on."""
import pytest

from toolkit.endpoint import is_response
from toolkit.sip import Message

REGISTER = """REGISTER sip:example.com SIP/2.0
Via: SIP/2.0/UDP {here};branch=z9hG4bKbad;rport
Max-Forwards: 70
From: <sip:al@example.com>;tag=1
To: <sip:al@example.com>
Call-ID: bad
CSeq: 1 REGISTER
Contact: <sip:al@{here}>
Content-Length: 0

"""


def raw(text, endpoint):
    return text.format(here=endpoint.hostport).replace("\n", "\r\n").encode("utf-8", "surrogateescape")


def changed(line, to=""):
    """The REGISTER with the line that starts so replaced."""
    lines = REGISTER.split("\n")
    at = next(i for i, l in enumerate(lines) if l.startswith(line))
    return "\n".join(lines[:at] + ([to] if to else []) + lines[at + 1:])


BAD = {
    "CSeq of another method": changed("CSeq", "CSeq: 1 INVITE"),
    "CSeq that is no number": changed("CSeq", "CSeq: one REGISTER"),
    "CSeq beyond 31 bits": changed("CSeq", "CSeq: 36893488147419103232 REGISTER"),
    "Content-Length beyond the datagram": changed("Content-Length", "Content-Length: 500"),
    "negative Content-Length": changed("Content-Length", "Content-Length: -1"),
    "unclosed quote": changed("To", 'To: "Al <sip:al@example.com>'),
    "unclosed angle": changed("To", "To: <sip:al@example.com"),
    "two Call-IDs": changed("Call-ID", "Call-ID: bad\nCall-ID: worse"),
    "bad Contact": changed("Contact", "Contact: <sip:al@>"),
    "Request-URI in angle brackets": changed("REGISTER", "REGISTER <sip:example.com> SIP/2.0"),
}


@pytest.fixture
def caller(house, endpoint):
    house.start()
    return endpoint()


def still_works(house):
    assert house.registered("al").register().status == 200


def answer_of(house, caller, text):
    caller.send(raw(text, caller), house.midreg.address)
    return caller.wait(lambda m: not m.is_request, "answer")


@pytest.mark.parametrize("what", BAD)
def test_malformed_is_400_with_a_reason(house, caller, what):
    answer = answer_of(house, caller, BAD[what])
    assert answer.status == 400 and len(answer.reason_phrase) > 3
    assert answer.get("via").startswith("SIP/2.0/UDP " + caller.hostport)
    house.fence()
    assert house.registrar.of("al") == []
    still_works(house)


@pytest.mark.parametrize("missing", ["Via", "From", "To", "Call-ID", "CSeq"])
def test_what_cannot_be_answered_is_dropped_and_counted(house, caller, missing):
    """Without one of these no answer can be built that its sender would understand."""
    caller.send(raw(changed(missing), caller), house.midreg.address)
    house.midreg.wait_status("bad_message", 1)
    still_works(house)
    assert caller.received(lambda m: not m.is_request) == []


def test_another_sip_version_is_505(house, caller):
    assert answer_of(house, caller, changed("REGISTER", "REGISTER sip:example.com SIP/7.0")).status == 505


def test_an_unknown_scheme_is_416(house, caller):
    text = changed("REGISTER", "OPTIONS nobodyKnowsThis:total SIP/2.0").replace("1 REGISTER", "1 OPTIONS")
    assert answer_of(house, caller, text).status == 416


NOISE = [b"", b"\r\n\r\n", b"\0", b"x", b"\0" * 1500, b"\xff" * 65000, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
         b"SIP/2.0 200 OK\r\n\r\n", b"SIP/2.0 999999 OK\r\nVia: x\r\n\r\n", b"REGISTER", b"REGISTER sip:x SIP/2.0\r\n",
         b"REGISTER sip:x SIP/2.0\r\n\r\n", b" :\r\n" * 500, b"ACK sip:x SIP/2.0\r\nVia: \r\n\r\n",
         b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12)]


def test_noise_is_ignored(house, caller):
    for noise in NOISE:
        caller.send(noise, house.midreg.address)
    still_works(house)
    assert caller.received(lambda m: m.status == 200) == []
    assert house.midreg.status()["bad_message"] >= 5


def test_every_beginning_of_a_message_is_survived(house, caller):
    whole = raw(REGISTER, caller)
    for n in range(len(whole)):
        caller.send(whole[:n], house.midreg.address)
    still_works(house)
    caller.settle()
    assert all(m.status in (200, 400) for m in caller.log)


def test_a_header_too_many_is_survived(house, caller):
    for text in (REGISTER.replace("Max-Forwards", "X: y\n" * 3000 + "Max-Forwards"),
                 REGISTER.replace("Max-Forwards", "X: " + "y" * 60000 + "\nMax-Forwards"),
                 REGISTER.replace("Max-Forwards", "Via: SIP/2.0/UDP h;branch=z9hG4bK1\n" * 500 + "Max-Forwards"),
                 changed("Contact", "Contact: " + ", ".join("<sip:al@192.0.2.%d>" % (i % 250) for i in range(1000)))):
        caller.send(raw(text, caller), house.midreg.address)
    still_works(house)


def test_a_body_beyond_content_length_is_cut_off(house, caller):
    answer = answer_of(house, caller, REGISTER + "garbage after the message")
    assert answer.status == 200


def test_folded_and_compact_headers_are_understood(house, caller):
    text = """REGISTER sip:example.com SIP/2.0
v: SIP/2.0/UDP {here}
 ;branch=z9hG4bKcompact;rport
max-FORWARDS  :   70
f: "Al, <the> \\"Great\\""
  <sip:al@example.com>;tag=1
t: <sip:al@example.com>
i: compact
CSeq: 1
  REGISTER
m: <sip:al@{here}>
l: 0

"""
    answer = answer_of(house, caller, text)
    assert answer.status == 200 and len(answer.contacts) == 1


def test_answers_go_where_the_via_says(house, endpoint):
    """received and rport, RFC 3581; without rport to the port of sent-by."""
    house.start()
    asked, other = endpoint(), endpoint()
    request = asked.request("OPTIONS", "sip:example.com", "<sip:x@example.com>;tag=1", "<sip:x@example.com>")
    answer = asked.exchange(request, house.midreg.address)
    assert "rport=%d" % asked.port in answer.get("via") and "received=127.0.0.1" in answer.get("via")
    request = asked.request("OPTIONS", "sip:example.com", "<sip:x@example.com>;tag=1", "<sip:x@example.com>")
    request.set("Via", "SIP/2.0/UDP %s;branch=z9hG4bKother" % other.hostport)
    asked.send(request, house.midreg.address)
    assert other.wait(is_response(request, 200), "answer at sent-by")


def test_stray_responses_are_dropped(house, caller):
    house.registered("al")
    stray = Message("SIP/2.0 200 OK", [
        ("Via", "SIP/2.0/UDP %s:%d;branch=z9hG4bKstray" % house.midreg.address),
        ("Via", "SIP/2.0/UDP %s;branch=z9hG4bKnext" % caller.hostport),
        ("From", "<sip:a@b>;tag=1"), ("To", "<sip:a@b>;tag=2"), ("Call-ID", "stray"), ("CSeq", "1 INVITE")])
    for _ in range(3):
        caller.send(stray, house.midreg.address)
    house.midreg.wait_status("stray_response", 3)
    assert caller.received(lambda m: not m.is_request) == []

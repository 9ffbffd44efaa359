"""Attacks that fail: what strangers and phones might try, and what comes of it.

docs/security.md lists all of them with the test that shows it; those that belong to one room's subject
are in its file.
"""
import re
from pathlib import Path

import pytest

from toolkit.dialog import Dialog
from toolkit.endpoint import is_request, poll
from toolkit.sip import Message, new_branch, token

NUMBER = "sip:4711@example.com"


@pytest.fixture
def proved(house):
    """midreg before a main registrar that challenges everybody; al's password is "secret"."""
    house.registrar.trusted = False
    house.registrar.passwords = {"al": "secret", "bo": "hidden"}
    house.start(auth="upstream")
    house.registrar.wait_probe()
    return house


def al_of(house):
    return house.phone("al", "secret").registered()


def uris(answer):
    return sorted(c.uri for c in answer.contacts)


def rings(house, phone, *others):
    """A call to al rings this phone and none of the others."""
    call = house.registrar.call("al")
    phone.refuse(phone.wait_invite(call), 486)
    assert call.final().status == 486
    assert all(other.invites() == [] for other in others)


# -- registrations ---------------------------------------------------------------------------------------
def test_a_captured_register_sent_from_elsewhere_changes_and_tells_nothing(proved):
    """Byte by byte as it was accepted, credentials included; and once more with a higher CSeq."""
    al = al_of(proved)
    captured = proved.registrar.wait_register("al", lambda r: r.status == 200).request
    captured = al.register_request(cseq=al.cseq, headers=[("Authorization", captured.get("authorization"))])
    thief = proved.phone("al")
    thief.send(captured.bytes(), thief.server)
    again = thief.register_request(contacts=["<%s>" % thief.uri], call_id=al.call_id, cseq=al.cseq + 1,
                                   headers=[("Authorization", captured.get("authorization"))])
    assert thief.exchange(again, thief.server).status in (401, 403)
    assert all(m.contacts == [] for m in thief.received(lambda m: not m.is_request))
    assert uris(al.register()) == [al.uri]
    rings(proved, al, thief)


def test_a_contact_that_names_somebody_else_brings_him_no_call(house, endpoint):
    """Requests go where the REGISTER came from, whatever its Contact says: no traffic at third parties."""
    house.start()
    victim = endpoint(host="127.0.0.2")
    al = house.phone("al").registered(contacts=["<sip:al@%s>" % victim.hostport])
    call = house.registrar.call("al")
    assert al.wait_invite(call).uri == "sip:al@" + victim.hostport
    call.cancel()
    assert victim.received(lambda m: True) == []


def test_a_contact_that_names_the_main_registrar_makes_no_call_there(house):
    """Registering a number of the main registrar as one's contact, then calling oneself."""
    house.start()
    al = house.phone("al").registered(contacts=["<sip:0900@%s>" % house.registrar.hostport])
    call = house.registrar.call("al")
    al.refuse(al.wait_invite(call), 486)
    assert call.final().status == 486
    assert house.registrar.received(is_request("INVITE")) == []


def test_a_path_to_the_main_registrar_makes_no_call_there(house):
    """The same by Path (RFC 3327), which requests to a binding follow otherwise."""
    house.start()
    al = house.phone("al").registered(contacts=["<sip:0900@%s>" % house.registrar.hostport],
                                      headers=[("Path", "<sip:%s;lr>" % house.registrar.hostport)])
    call = house.registrar.call("al")
    al.refuse(al.wait_invite(call), 486)
    assert call.final().status == 486
    assert house.registrar.received(is_request("INVITE")) == []


def test_a_flood_of_strangers_does_not_lock_the_phone_out(proved):
    al = al_of(proved)
    for _ in range(100):
        stranger = proved.phone("al") if _ == 0 else stranger
        stranger.send(stranger.register_request(call_id=token(16), contacts=["<sip:al@192.0.2.%d>" % _]),
                      stranger.server)
    assert uris(al.register()) == [al.uri]
    # One without credentials is a stranger among them: it comes when they have had their answers.
    poll(lambda: len(stranger.log) == 100, "the strangers are answered", 60)
    moved = proved.phone("al", "secret")
    assert moved.register().status == 200
    assert proved.midreg.status()["bindings"] == 2


def test_strangers_with_ever_new_names_leave_nothing_behind(proved):
    stranger = proved.phone("nobody")
    for i in range(200):
        stranger.user = "nobody%d" % i
        stranger.send(stranger.register_request(call_id=token(16)), stranger.server)
    al_of(proved)
    assert proved.midreg.status()["bindings"] == 1
    poll(lambda: proved.midreg.status()["aors"] == 1, "their names are forgotten", 60)


# -- who is the main registrar ---------------------------------------------------------------------------
def test_another_port_of_the_main_registrars_host_is_a_stranger(house, endpoint):
    house.start()
    al = house.registered("al")
    liar = endpoint()
    assert liar.host == house.registrar.host
    contact = house.registrar.stored_contact("al")
    for method in ("INVITE", "MESSAGE", "NOTIFY"):
        request = liar.request(method, contact, "<sip:boss@example.com>;tag=1", "<%s>" % contact,
                               headers=[("Contact", "<sip:x@%s>" % liar.hostport)])
        request.set("Via", "SIP/2.0/UDP %s;branch=%s;rport" % (house.registrar.hostport, new_branch()))
        liar.send(request, house.midreg.address)
        assert liar.wait(lambda m: not m.is_request and m.status >= 200, "answer").status == 403
    assert al.received(lambda m: m.is_request) == []


def test_a_registration_through_our_own_contact_is_refused(proved):
    """A REGISTER in the name of the main registrar, at our contact."""
    al = al_of(proved)
    liar = proved.phone("al")
    request = liar.register_request()
    request.start = "REGISTER %s SIP/2.0" % proved.registrar.stored_contact("al")
    assert liar.exchange(request, liar.server).status >= 400
    assert uris(al.register()) == [al.uri]


# -- calls ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("from_", [
    "sip:bo@EXAMPLE.com", "sips:%62o@example.com:5061;transport=tls", "sip:al@example.com@example.com",
    "sip:al@other.example", "tel:+4930", "sip:example.com", "sip:al;x@example.com"])
def test_a_from_written_oddly_is_still_somebody_else(house, from_):
    house.start()
    house.registered("bo")
    al = house.registered("al")
    assert al.call(NUMBER, from_=from_).final().status in (400, 403, 416)
    assert house.registrar.received(is_request("INVITE")) == []


def test_a_stranger_cannot_call_a_phone_past_the_main_registrar(house):
    house.start()
    al = house.registered("al")
    eve = house.phone("eve")
    for uri in (house.registrar.stored_contact("al"), al.uri, al.aor, "sip:al@127.0.0.1:%d" % house.port):
        assert eve.call(uri).final().status in (403, 404)
    assert al.invites() == []


def test_identity_headers_in_a_phones_answers_are_removed(house):
    house.start()
    al = house.registered("al")
    call = house.registrar.call("al")
    invite = al.wait_invite(call)
    lies = [("P-Asserted-Identity", "<sip:boss@example.com>"), ("X-FS-Display-Name", "Boss"),
            ("Remote-Party-ID", "<sip:boss@example.com>"), ("X-Fine", "yes")]
    al.reply(invite, 180, headers=lies)
    al.reply(invite, 486, headers=lies)
    for answer in (call.provisional(180), call.final()):
        assert answer.get("x-fine") == "yes"
        assert not any(answer.has(name) for name, _ in lies[:3])


def test_a_phone_cannot_leave_a_message_count_for_others(house):
    """A NOTIFY that is kept for phones to come must be the main registrar's."""
    house.start()
    al, bo = house.registered("al"), house.registered("bo")
    for uri in (house.registrar.stored_contact("al"), al.aor):
        notify = bo.request("NOTIFY", uri, "<%s>;tag=1" % al.aor, "<%s>" % al.aor,
                            headers=[("Event", "message-summary"), ("Contact", "<%s>" % bo.uri)],
                            body=b"Messages-Waiting: yes\r\n")
        assert bo.exchange(notify, bo.server).status == 403
    later = house.registered("al")
    assert later.received(is_request("NOTIFY")) == [] and al.received(is_request("NOTIFY")) == []


# -- Via ---------------------------------------------------------------------------------------------------
def test_a_forged_via_sends_no_answer_to_a_third_party(house, endpoint):
    """received, rport, maddr and sent-by of the sender's own making."""
    house.start()
    liar, victim = endpoint(), endpoint(host="127.0.0.2")
    for n, via in enumerate(("SIP/2.0/UDP {v};branch={b}", "SIP/2.0/UDP {v};branch={b};rport={p}",
                             "SIP/2.0/UDP {l};branch={b};received=127.0.0.2;rport={p}",
                             "SIP/2.0/UDP {l};branch={b};rport;maddr=127.0.0.2;ttl=1")):
        request = liar.request("OPTIONS", "sip:example.com", "<sip:x@example.com>;tag=1", "<sip:x@example.com>")
        request.set("Via", via.format(v=victim.hostport, l=liar.hostport, p=victim.port, b=new_branch()))
        liar.send(request, house.midreg.address)
        answer = liar.wait(lambda m: m.call_id == request.call_id, "answer %d" % n)
        assert "received=127.0.0.1" in answer.get("via")
    assert victim.received(lambda m: True) == []


def test_a_forged_via_takes_no_answer_of_the_main_registrar_elsewhere(house, endpoint):
    house.start()
    al, victim = house.registered("al"), endpoint(host="127.0.0.2")
    invite = al.invite_request(NUMBER)
    invite.set("Via", "SIP/2.0/UDP %s;branch=%s;received=127.0.0.2;maddr=127.0.0.2"
               % (victim.hostport, new_branch()))
    al.send(invite, al.server)
    at_pbx = house.registrar.wait_request("INVITE")
    assert "received=127.0.0.1" in at_pbx.all("via")[1]
    house.registrar.reply(at_pbx, 486)
    assert al.wait(lambda m: m.status == 486, "486")
    assert victim.received(lambda m: True) == []


def test_answers_to_nothing_are_dropped(house, endpoint):
    """The branches of a running call cannot be guessed; the other phone's answer does not count for it."""
    house.start()
    al, bo = house.registered("al"), house.registered("bo")
    call = house.registrar.call("al")
    invite = al.wait_invite(call)
    for branch in (new_branch(), invite.branch[:25] + ("a" if invite.branch[25] != "a" else "b") + invite.branch[26:],
                   invite.branch[:12], invite.branch + "a"):
        answer = Message("SIP/2.0 200 OK", [
            ("Via", "SIP/2.0/UDP 127.0.0.1:%d;branch=%s" % (house.port, branch)),
            ("Via", call.invite.get("via")), ("From", invite.get("from")), ("To", invite.get("to") + ";tag=evil"),
            ("Call-ID", invite.call_id), ("CSeq", invite.get("cseq")), ("Contact", "<%s>" % bo.uri)])
        bo.send(answer, bo.server)
    house.midreg.wait_status("stray_response", 4)
    al.refuse(invite, 486)
    assert call.final().status == 486


# -- foreign dialogs ----------------------------------------------------------------------------------------
def talking(house):
    al = house.registered("al")
    call = house.registrar.call("al")
    invite = al.wait_invite(call)
    dialog = al.accept(invite)
    assert call.final().status == 200
    al.wait_ack(invite)
    return al, call, dialog


@pytest.mark.parametrize("method", ["BYE", "INVITE", "REFER", "INFO", "UPDATE"])
def test_a_stranger_who_knows_the_dialog_but_not_its_route_gets_nowhere(house, method):
    """Call-ID, tags and CSeq are seen by many; the flow token by the two sides alone."""
    house.start()
    al, call, dialog = talking(house)
    eve = house.phone("eve")
    for local, remote, target in ((dialog.local, dialog.remote, dialog.target),
                                  (dialog.remote, dialog.local, al.uri),
                                  (dialog.remote, dialog.local, house.registrar.stored_contact("al"))):
        for routes in ([], ["<sip:127.0.0.1:%d;lr>" % house.port]):
            stolen = Dialog(eve, dialog.call_id, local, remote, target, routes, 100)
            request = stolen.request(method)
            eve.send(request, house.midreg.address)
            assert eve.final(request, house.midreg.address).status in (403, 481)
    assert al.received(is_request(method, dialog.call_id)) == (
        [] if method != "INVITE" else al.invites()[:1])
    assert [m for m in house.registrar.received(is_request(method)) if m.call_id == dialog.call_id] == []


def test_a_cancel_from_another_host_ends_no_call(house, endpoint):
    """Everybody who was called has seen the Via, Call-ID and CSeq that a CANCEL must repeat."""
    house.start()
    al = house.registered("al")
    call = house.registrar.call("al")
    invite = al.wait_invite(call)
    al.ring(invite)
    call.provisional(180)
    eve = endpoint(host="127.0.0.2")
    cancel = house.registrar.request("CANCEL", call.invite.uri, call.invite.get("from"), call.invite.get("to"),
                                     call.call_id, call.invite.cseq)
    cancel.set("Via", call.invite.get("via"))
    eve.send(cancel, house.midreg.address)
    assert eve.wait(lambda m: m.method == "CANCEL", "answer").status == 481
    al.accept(invite)
    assert call.final().status == 200
    assert al.received(is_request("CANCEL")) == []


def test_an_ack_into_a_foreign_dialog_goes_nowhere(house):
    house.start()
    al, call, dialog = talking(house)
    eve = house.phone("eve")
    before = len(al.received(is_request("ACK")))
    stolen = Dialog(eve, dialog.call_id, dialog.remote, dialog.local, al.uri, [], 1)
    eve.send(stolen.request("ACK"), house.midreg.address)
    house.fence()
    assert len(al.received(is_request("ACK"))) == before
    assert eve.received(lambda m: not m.is_request) == []


def test_a_strict_route_is_no_way_to_third_parties(house, endpoint):
    """Our own value as Request-URI and a foreign one behind it, as a strict router leaves them."""
    house.start()
    trap = endpoint(host="127.0.0.2")
    al, call, dialog = talking(house)
    token_uri = dialog.routes[0].strip("<>")
    dialog.routes = ["<sip:%s;lr>" % trap.hostport, "<sip:%s>" % trap.hostport]
    dialog.target = token_uri
    request = dialog.request("INFO")
    al.send(request, house.midreg.address)
    house.registrar.reply(house.registrar.wait_request("INFO"), 481)
    assert al.final(request, house.midreg.address).status == 481
    assert trap.received(lambda m: True) == []


# -- amplification -------------------------------------------------------------------------------------------
def test_one_datagram_of_a_stranger_brings_one_answer(house, endpoint):
    """And it is no larger than a few hundred bytes more than what was asked."""
    house.start()
    stranger = endpoint()
    sizes = []
    for method, uri in (("OPTIONS", "sip:example.com"), ("INVITE", NUMBER), ("MESSAGE", NUMBER),
                        ("BYE", NUMBER), ("SUBSCRIBE", "sip:al@example.com"), ("FROB", "tel:1")):
        request = stranger.request(method, uri, "<sip:x@example.com>;tag=1", "<sip:x@example.com>")
        stranger.send(request, house.midreg.address)
        answer = stranger.wait(lambda m: m.call_id == request.call_id, method)
        sizes.append(len(answer.bytes()) - len(request.bytes()))
    assert max(sizes) < 300
    assert len(stranger.received(lambda m: True)) == 6
    assert sum(stranger.copies.values()) == 6


def test_a_log_line_cannot_be_forged(proved):
    """What comes from the network is quoted in the log."""
    liar = proved.phone("al")
    liar.user = "al%0A%22event=started"
    liar.register_once()
    al = proved.phone("al", "guess")
    al.register()
    assert not [l for l in proved.midreg.lines[3:] if l.startswith("event=") or "\nevent=started" in l]


# -- the list of all this -------------------------------------------------------------------------------------
def test_every_attack_of_the_documentation_has_its_test():
    """docs/security.md names tests as `file: test`; a row without one would be a claim."""
    tests = Path(__file__).resolve().parents[1]
    rows = [line for line in (tests.parent / "docs" / "security.md").read_text().splitlines()
            if re.match(r"\| \d+ \|", line)]
    assert [int(row.split("|")[1]) for row in rows] == list(range(1, len(rows) + 1)) and len(rows) >= 25
    for row in rows:
        named = re.findall(r"`([\w/.]+\.(?:py|c)): (\w+)`", row.split("|")[-2])
        assert named, row
        for file, test in named:
            text = (tests / ("e2e" if file.endswith(".py") else "unit") / file).read_text()
            assert re.search(r"^(?:def|static void) %s\(" % test, text, re.M), "%s: %s" % (file, test)
            assert file.endswith(".py") or text.count(test) >= 2, "%s is not run" % test

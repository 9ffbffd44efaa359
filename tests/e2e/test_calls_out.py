"""Calls from phones: up to the main registrar, challenges passed; strangers and lies are not."""
import pytest

from toolkit import digest
from toolkit.dialog import Dialog
from toolkit.endpoint import is_request
from toolkit.sip import SDP

NUMBER = "sip:4711@example.com"


def accept(registrar, invite):
    """The main registrar answers a phone's call; its dialog."""
    answer = registrar.reply(invite, 200, headers=[("Contact", "<sip:4711@%s>" % registrar.hostport)], body=SDP)
    return Dialog.as_callee(registrar, invite, answer)


def refused(house, phone, uri=NUMBER, **kwargs):
    """The call's status, which must not have reached the main registrar."""
    call = phone.call(uri, **kwargs)
    status = call.final().status
    assert house.registrar.received(is_request("INVITE")) == []
    return status


def test_a_call_of_a_registered_phone_goes_up_and_is_talked_and_ended(house):
    house.start()
    al = house.registered("al")
    call = al.call(NUMBER)
    invite = house.registrar.wait_request("INVITE")
    assert invite.uri == NUMBER and invite.body == SDP
    assert invite.get("from") == call.invite.get("from") and invite.has("record-route")
    house.registrar.reply(invite, 180)
    call.provisional(180)
    dialog = accept(house.registrar, invite)
    assert call.final().status == 200
    house.registrar.wait_request("ACK")
    bye = dialog.request("BYE")
    house.registrar.send(bye, dialog.next_hop())
    al.reply(al.wait(is_request("BYE"), "BYE"), 200)
    assert house.registrar.final(bye, dialog.next_hop()).status == 200
    assert house.midreg.status()["calls_out"] == 1


def test_the_challenge_of_a_call_passes_down_and_the_credentials_up(house):
    house.registrar.passwords = {"al": "secret"}
    house.start()
    al = house.phone("al", "secret").registered()
    call = al.call(NUMBER)
    first = house.registrar.wait_request("INVITE")
    house.registrar.challenge(first)
    challenge = call.final()
    assert challenge.status == 407
    auth = digest.credentials(challenge.get("proxy-authenticate"), "al", "secret", "INVITE", NUMBER)
    again = al.call(NUMBER, headers=[("Proxy-Authorization", auth)], call_id=call.call_id, cseq=2)
    second = house.registrar.wait_request("INVITE")
    assert house.registrar.authenticates(second)
    accept(house.registrar, second)
    assert again.final().status == 200


def test_a_phone_cancels_its_call(house):
    house.start()
    al = house.registered("al")
    call = al.call(NUMBER)
    invite = house.registrar.wait_request("INVITE")
    house.registrar.reply(invite, 180)
    call.provisional(180)
    cancel = call.cancel()
    at_pbx = house.registrar.wait_request("CANCEL")
    assert at_pbx.branch == invite.branch
    house.registrar.reply(at_pbx, 200), house.registrar.reply(invite, 487)
    assert al.final(cancel, al.server).status == 200
    assert call.final().status == 487


@pytest.mark.parametrize("method", ["MESSAGE", "SUBSCRIBE", "OPTIONS"])
def test_other_requests_of_a_registered_phone_go_up(house, method):
    house.start()
    al = house.registered("al")
    request = al.request(method, NUMBER, "<%s>;tag=1" % al.aor, "<%s>" % NUMBER)
    al.send(request, al.server)
    house.registrar.reply(house.registrar.wait_request(method), 202)
    assert al.final(request, al.server).status == 202


# -- strangers ------------------------------------------------------------------------------------------------
def test_a_call_of_a_stranger_is_refused(house):
    house.start()
    house.registered("al")
    assert refused(house, house.phone("al")) == 403
    assert house.midreg.status()["request_refused"] == 1


def test_a_registered_phone_cannot_call_as_somebody_else(house):
    house.start()
    house.registered("bo")
    assert refused(house, house.registered("al"), from_="sip:bo@example.com") == 403


def test_a_phone_that_left_is_a_stranger(house):
    house.start()
    al = house.registered("al")
    al.unregister()
    house.registrar.wait_removed("al")
    assert refused(house, al) == 403


def test_any_phone_may_call_a_main_registrar_that_challenges_calls(house):
    house.start(upstream={"challenges-calls": True})
    stranger = house.phone("eve")
    call = stranger.call(NUMBER, headers=[("Proxy-Authorization", 'Digest username="eve"')])
    invite = house.registrar.wait_request("INVITE")
    assert invite.get("proxy-authorization") == 'Digest username="eve"'
    house.registrar.reply(invite, 403)
    assert call.final().status == 403


def test_a_challenging_register_does_not_make_calls_pass(house):
    house.registrar.trusted, house.registrar.passwords = False, {}
    house.start(auth="upstream")
    house.registrar.wait_probe()
    assert refused(house, house.phone("eve")) == 403


# -- where it goes ----------------------------------------------------------------------------------------------
def test_a_foreign_route_is_not_followed(house, endpoint):
    house.start()
    al, trap = house.registered("al"), endpoint()
    call = al.call(NUMBER, headers=[("Route", "<sip:%s;lr>" % trap.hostport)])
    invite = house.registrar.wait_request("INVITE", call.call_id)
    house.registrar.reply(invite, 486)
    assert call.final().status == 486
    assert trap.received(lambda m: True) == []


def test_a_foreign_maddr_is_refused(house, endpoint):
    house.start()
    trap = endpoint(host="127.0.0.2")
    assert refused(house, house.registered("al"), "sip:4711@example.com:%d;maddr=127.0.0.2" % trap.port) == 403
    assert trap.received(lambda m: True) == []


def test_a_foreign_host_as_request_uri_is_not_followed(house, endpoint):
    house.start()
    al, trap = house.registered("al"), endpoint()
    call = al.call("sip:x@%s" % trap.hostport)
    house.registrar.reply(house.registrar.wait_request("INVITE", call.call_id), 404)
    assert call.final().status == 404
    assert trap.received(lambda m: True) == []


def test_our_contact_is_no_way_around_the_main_registrar(house):
    house.start()
    al, bo = house.registered("al"), house.registered("bo")
    assert refused(house, al, house.registrar.stored_contact("bo")) == 403
    assert bo.invites() == []


# -- what it says --------------------------------------------------------------------------------------------------
IDENTITIES = [("P-Asserted-Identity", "<sip:boss@example.com>"), ("p-preferred-identity", "<sip:boss@example.com>"),
              ("Remote-Party-ID", "<sip:boss@example.com>;party=calling"), ("X-AUTH-IP", "127.0.0.1"),
              ("x-fs-support", "1"), ("X-Secret-Thing", "1"), ("X-Folded", "a\r\n b")]


def test_identity_headers_of_phones_are_removed(house):
    house.start(strip_headers=["X-Secret-*", "x-folded"])
    al = house.registered("al")
    call = al.call(NUMBER, headers=IDENTITIES + [("X-Harmless", "stays"), ("P-Access-Network-Info", "IEEE-802.11")])
    invite = house.registrar.wait_request("INVITE")
    for name, _ in IDENTITIES:
        assert not invite.has(name), name
    assert invite.get("x-harmless") == "stays" and invite.has("p-access-network-info")
    dialog = accept(house.registrar, invite)
    assert call.final().status == 200
    house.registrar.wait_request("ACK")
    side = call.dialogs[0]
    request = side.request("INFO", IDENTITIES)
    al.send(request, side.next_hop())
    info = house.registrar.wait_request("INFO")
    for name, _ in IDENTITIES:
        assert not info.has(name), name + " within the dialog"
    assert dialog.call_id == info.call_id


def test_identity_headers_of_the_main_registrar_reach_the_phone(house):
    house.start()
    al = house.registered("al")
    call = house.registrar.call("al", headers=IDENTITIES[:3])
    invite = al.wait_invite(call)
    assert all(invite.has(name) for name, _ in IDENTITIES[:3])
    al.refuse(invite, 486)
    call.final()

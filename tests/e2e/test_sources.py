"""A FreeSWITCH that sends what is too large for a datagram over connections of its own: `sources` and `listen`."""
import pytest

from toolkit.endpoint import is_response
from toolkit.midreg import free_port
from toolkit.sip import Uri
from toolkit.stream import Connection

LARGE = [("X-Large", "x" * 3000)]


@pytest.fixture
def own(house):
    """midreg with a listen address that is the main registrar's own; its port."""
    port = free_port()
    house.start(advertise="127.0.0.7:%d" % free_port(), upstream={"sources": ["127.0.0.0/30"],
                          "listen": ["%s:127.0.0.1:%d" % (transport, port) for transport in ("udp", "tcp")]})
    return port


def invite_over(house, connection):
    """A large INVITE from the main registrar over a connection that it opened."""
    request = house.registrar.request_to("INVITE", house.registrar.stored_contact("al"), headers=LARGE)
    request.set("Via", "SIP/2.0/TCP %s;rport;branch=%s" % (house.registrar.hostport, request.branch))
    connection.send(request)
    return request


def answer(house, request):
    return house.registrar.wait(is_response(request, 200), "answer at the main registrar")


def test_the_contact_names_the_upstreams_own_address(house, own):
    house.registered("al")
    assert Uri(house.registrar.stored_contact("al")).place == ("127.0.0.1", own)
    call = house.registrar.call("al")
    al = house.phones[0]
    al.accept(al.wait_invite(call))
    assert call.final().status == 200


def test_a_large_call_over_a_connection_from_any_port_rings(house, own):
    al = house.registered("al")
    connection = Connection.to(house.registrar, ("127.0.0.1", own))
    request = invite_over(house, connection)
    invite = al.wait_invite()
    assert invite.get("x-large") == LARGE[0][1]
    dialog = al.accept(invite)
    ok = answer(house, request)
    assert ok.status == 200 and ok.source is connection
    # The phone hangs up; that goes to the main registrar's address.
    bye = dialog.request("BYE")
    al.send(bye, al.server)
    got = house.registrar.wait_request("BYE", request.call_id)
    house.registrar.reply(got, 200)
    assert al.wait(is_response(bye, 200), "answer to BYE").status == 200


def test_the_same_to_the_phones_address_is_a_stranger(house, own):
    al = house.registered("al")
    request = invite_over(house, Connection.to(house.registrar, house.midreg.address))
    assert answer(house, request).status == 403
    assert al.invites() == []


def test_a_phone_at_its_own_address_may_not_register(house, own):
    """Who is a source is no phone there; and who is not a source is a phone like all others."""
    phone = house.tcp_phone("al")
    phone.server = ("127.0.0.1", own)
    connection = Connection.to(phone, phone.server)
    request = phone.register_request()
    connection.send(request)
    assert phone.wait(is_response(request, 200), "answer").status == 482


def test_an_address_that_is_no_source_is_a_stranger_there(house):
    port = free_port()
    house.start(upstream={"sources": ["192.0.2.0/24"],
                          "listen": ["%s:127.0.0.1:%d" % (transport, port) for transport in ("udp", "tcp")]})
    house.registered("al")
    request = invite_over(house, Connection.to(house.registrar, ("127.0.0.1", port)))
    assert answer(house, request).status == 403

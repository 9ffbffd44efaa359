"""IPv6: phones, the main registrar, or both; where they differ midreg stands on both sides."""
import pytest

from toolkit.dialog import ask
from toolkit.endpoint import is_request
from toolkit.main_registrar import MainRegistrar
from toolkit.midreg import free_port, has_ipv6
from toolkit.phone import Phone, TcpPhone
from toolkit.sip import Uri


pytestmark = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6 loopback")


def place_of(value):
    return Uri(value.strip("<>")).place


class Sides:
    """midreg with a side towards phones and one towards the main registrar, each 4 or 6."""

    hosts = {4: "127.0.0.1", 6: "::1"}

    def __init__(self, house, phones, upstream, kind):
        if upstream == 6:
            house.registrar.close()
            house.registrar = MainRegistrar(place=("::1", free_port()))
        listen = ["%s:%s:%d" % (transport, host, house.port)
                  for transport in ("udp", "tcp") for host in ("127.0.0.1", "[::1]")]
        house.start(listen=listen)
        self.house, self.registrar = house, house.registrar
        self.near = (self.hosts[phones], house.port)   # midreg, as phones see it
        self.far = (self.hosts[upstream], house.port)  # as the main registrar does
        self.is_one = self.near == self.far and kind.transport == "UDP"
        self.phone = kind(self.near, "al", host=self.near[0])
        house.phones.append(self.phone)


@pytest.fixture(params=[(6, 6, Phone), (6, 4, Phone), (4, 6, Phone), (6, 6, TcpPhone), (6, 4, TcpPhone), (4, 6, TcpPhone)],
                ids=lambda p: "%d-%d-%s" % (p[0], p[1], p[2].transport))
def sides(house, request):
    return Sides(house, *request.param)


def test_a_phone_registers_and_leaves(sides):
    answer = sides.phone.register()
    assert answer.status == 200 and [c.uri for c in answer.contacts] == [sides.phone.uri]
    assert Uri(sides.registrar.wait_register("al").contact).place == sides.far
    sides.phone.registered()
    assert sides.phone.unregister().status == 200
    sides.registrar.wait_register("al", lambda r: r.expires == 0)


def test_a_call_comes_is_talked_and_ended_by_either(sides):
    sides.phone.registered()
    sides.registrar.wait_register("al")
    for ends in ("phone", "registrar"):
        call = sides.registrar.call("al")
        invite = sides.phone.wait_invite(call)
        assert invite.uri == sides.phone.uri
        routes = [place_of(r) for r in invite.all("record-route")]
        assert routes == ([sides.near] if sides.is_one else [sides.near, sides.far])
        dialog = sides.phone.accept(invite)
        assert call.final().status == 200
        sides.phone.wait_ack(invite)
        theirs = call.dialogs[0]
        assert ask(theirs, sides.phone, "INFO")[1].status == 200
        one, other = (dialog, sides.registrar) if ends == "phone" else (theirs, sides.phone)
        assert ask(one, other, "BYE")[1].status == 200


def test_a_phone_calls(sides):
    sides.phone.registered()
    sides.registrar.wait_register("al")
    call = sides.phone.call("sip:bo@example.com")
    invite = sides.registrar.wait(is_request("INVITE", call.call_id), "INVITE at the main registrar")
    assert place_of(invite.all("record-route")[0]) == sides.far
    sides.registrar.reply(invite, 486)
    assert call.final().status == 486

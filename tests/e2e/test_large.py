"""Requests of more than 1300 bytes: over a connection where the main registrar takes one (RFC 3261 18.1.1)."""
from toolkit.dialog import Dialog
from toolkit.endpoint import is_request, poll
from toolkit.sip import SDP
from toolkit.stream import Connection

NUMBER = "sip:4711@example.com"
BULK = [("X-Bulk", "b" * 1500)]


def by_connection(request):
    return isinstance(request.source, Connection)


def talk(house, phone, **kwargs):
    """A call to the number, answered; how its INVITE came, and the dialogs of both sides."""
    call = phone.call(NUMBER, **kwargs)
    invite = house.registrar.wait_request("INVITE", call.call_id)
    answer = house.registrar.reply(invite, 200, headers=[("Contact", "<sip:4711@%s>" % house.registrar.hostport)],
                                   body=SDP)
    assert call.final().status == 200
    house.registrar.wait_request("ACK", call.call_id)
    return invite, call.dialogs[0], Dialog.as_callee(house.registrar, invite, answer)


def connected(house, phone):
    """The first large call opens the connection, and goes by datagram itself."""
    house.registrar.listen()
    invite, _, _ = talk(house, phone, headers=BULK)
    assert not by_connection(invite)
    connection = house.registrar.listener.wait_connection()
    poll(lambda: by_connection(talk(house, phone, headers=BULK)[0]), "a large call over the connection")
    return connection


def test_large_calls_use_a_connection_once_it_has_been_tried(house):
    house.start()
    al = house.registered("al")
    connection = connected(house, al)
    small, _, _ = talk(house, al)
    assert not by_connection(small)
    large, mine, theirs = talk(house, al, headers=BULK)
    assert large.source is connection
    assert large.get("via").startswith("SIP/2.0/TCP 127.0.0.1:%d;" % house.port)
    # What follows is measured by itself, and may come back over the connection.
    request = mine.request("INFO", BULK)
    al.send(request, mine.next_hop())
    info = house.registrar.wait_request("INFO")
    assert info.source is connection
    house.registrar.reply(info, 200)
    assert al.final(request, mine.next_hop()).status == 200
    bye = theirs.request("BYE")
    bye.set("Via", bye.get("via").replace("UDP", "TCP"))
    connection.send(bye)
    al.reply(al.wait(is_request("BYE"), "BYE"), 200)
    assert house.registrar.final(bye, house.midreg.address).source is connection
    assert len(house.registrar.listener.connections) == 1


def test_where_nobody_listens_large_calls_go_by_datagram(house):
    house.start()
    al = house.registered("al")
    for _ in range(2):
        invite, _, _ = talk(house, al, headers=BULK)
        assert not by_connection(invite)


def test_after_the_connection_has_closed_large_calls_go_by_datagram(house):
    house.start()
    al = house.registered("al")
    connection = connected(house, al)
    connection.close()
    invite, _, _ = talk(house, al, headers=BULK)
    assert not by_connection(invite)


def test_a_large_call_to_a_phone_over_udp_is_a_datagram(house):
    house.start()
    al = house.registered("al")
    house.registrar.listen()
    call = house.registrar.call("al", headers=BULK)
    invite = al.wait_invite(call)
    assert invite.source == house.midreg.address and invite.get("x-bulk") == BULK[0][1]
    al.refuse(invite, 486)
    assert call.final().status == 486
    assert house.registrar.listener.connections == []

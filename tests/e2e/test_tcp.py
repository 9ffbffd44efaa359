"""Phones, callers and the main registrar over TCP: framing, connections that close, peers that do not read."""
import time

import pytest

from toolkit.dialog import Dialog
from toolkit.endpoint import is_request, is_response, poll
from toolkit.sip import Address, Uri
from toolkit.stream import PING, Connection

LARGE = b"x" * 3000  # a request with it is beyond what leaves by datagram (RFC 3261 18.1.1)


def uris(answer):
    return sorted(c.uri for c in answer.contacts)


def registered(house, user="al", **kwargs):
    return house.tcp_phone(user, **kwargs).registered()


def closed(house, connection, how="close"):
    """Closes a phone's connection; midreg has seen it when it has answered what came later."""
    getattr(connection, how)()
    house.midreg.status()


def transport(value):
    """Of a Route or Record-Route."""
    return Uri(Address(value).uri).params.get("transport", "udp").lower()


# -- registration ------------------------------------------------------------------------------------
def test_a_phone_registers_and_refreshes_over_its_connection(house):
    house.start()
    al = house.tcp_phone()
    for _ in range(3):
        answer = al.register()
        assert answer.status == 200 and uris(answer) == [al.uri] and answer.source is al.connection
    assert "received=" not in answer.get("via") or "rport=%d" % al.connection.port in answer.get("via")
    house.fence()
    assert len(house.registrar.of("al")) == 1
    assert house.midreg.status()["connections"] == 1


def test_the_contact_upstream_is_reached_by_datagram_whatever_the_phone_uses(house):
    house.start()
    registered(house)
    contact = Uri(house.registrar.wait_register("al").contact)
    assert contact.params.get("transport") in (None, "udp") and contact.place == house.midreg.address


def test_an_answer_goes_where_the_request_came_from_whatever_the_via_says(house):
    house.start()
    al = house.tcp_phone()
    request = al.register_request()
    request.set("Via", "SIP/2.0/TCP 192.0.2.7:5060;branch=z9hG4bKodd")
    assert al.exchange(request, al.server).status == 200


def test_phones_of_both_transports_share_an_identity(house):
    house.start()
    one, two = house.registered("al"), house.tcp_phone("al")
    assert uris(two.register()) == sorted([one.uri, two.uri])
    call = house.registrar.call("al")
    at_one, at_two = one.wait_invite(call), two.wait_invite(call)
    assert at_one.get("via").startswith("SIP/2.0/UDP") and at_two.get("via").startswith("SIP/2.0/TCP")
    one.ring(at_one)
    call.provisional(180)
    two.accept(at_two)
    assert call.final().status == 200
    two.wait_ack(at_two)
    assert one.wait_cancel(at_one).has("reason")


# -- calls --------------------------------------------------------------------------------------------
def test_a_tcp_phone_is_called_over_its_connection_and_either_side_hangs_up(house):
    house.start()
    al = registered(house)
    for hangs_up in ("phone", "caller"):
        call = house.registrar.call("al")
        invite = al.wait_invite(call)
        assert invite.source is al.connection and invite.uri == al.uri
        al.ring(invite)
        call.provisional(180)
        at_phone = al.accept(invite)
        assert call.final().status == 200
        assert al.wait_ack(invite).source is al.connection
        if hangs_up == "phone":
            bye = at_phone.request("BYE")
            al.send(bye, al.server)
            house.registrar.reply(house.registrar.wait_request("BYE", call.call_id), 200)
            assert al.final(bye, al.server).status == 200
        else:
            bye = call.dialogs[0].request("BYE")
            house.registrar.send(bye, call.dialogs[0].next_hop())
            al.reply(al.wait(is_request("BYE", call.call_id), "BYE"), 200)
            assert house.registrar.final(bye, call.dialogs[0].next_hop()).status == 200
    assert house.midreg.status()["connections_opened"] == 0, "nobody can connect to a phone"


def test_both_sides_record_a_route_of_their_own_transport(house):
    house.start()
    al = registered(house)
    call = house.registrar.call("al")
    invite = al.wait_invite(call)
    routes = invite.all("record-route")
    assert [transport(r) for r in routes] == ["tcp", "udp"], "ours is entered twice, the phone's side on top"
    al.accept(invite)
    assert call.final().status == 200
    assert [transport(r) for r in call.dialogs[0].routes] == ["udp", "tcp"]


def test_the_callers_cancel_reaches_a_tcp_phone(house):
    house.start()
    al = registered(house)
    call = house.registrar.call("al")
    invite = al.wait_invite(call)
    al.ring(invite)
    call.provisional(180)
    cancel = call.cancel()
    assert al.wait_cancel(invite).source is al.connection
    assert house.registrar.final(cancel, call.to).status == 200
    assert call.final().status == 487


def test_a_tcp_phone_calls_out_and_both_hang_up(house):
    house.start(upstream={"challenges-calls": True})
    al = registered(house)
    call = al.call("sip:100@example.com")
    invite = house.registrar.wait_request("INVITE", call.call_id)
    assert [transport(r) for r in invite.all("record-route")] == ["udp", "tcp"]
    answer = house.registrar.reply(invite, 200, headers=[("Contact", "<sip:100@%s>" % house.registrar.hostport)])
    assert call.final().source is al.connection
    house.registrar.wait_request("ACK", call.call_id)
    at_registrar = Dialog.as_callee(house.registrar, invite, answer)
    bye = at_registrar.request("BYE")
    house.registrar.send(bye, at_registrar.next_hop())
    al.reply(al.wait(is_request("BYE", call.call_id), "BYE"), 200)
    assert house.registrar.final(bye, at_registrar.next_hop()).status == 200


# -- framing ---------------------------------------------------------------------------------------------
def test_a_request_may_be_split_at_every_byte(house):
    house.start()
    al = registered(house)
    for at in range(1, len(al.register_request().bytes())):
        request = al.register_request()
        al.connection.send_split(request, at, 100000)
        assert al.final(request, al.server).status == 200, "split at %d" % at


def test_a_request_may_come_byte_by_byte(house):
    house.start()
    al = house.tcp_phone()
    request = al.register_request()
    al.connection.send_split(request, 1)
    assert al.final(request, al.server).status == 200
    message = al.request("MESSAGE", "sip:bo@example.com", "<%s>;tag=1" % al.aor, "<sip:bo@example.com>", body=LARGE)
    al.connection.send_split(message, 7)
    got = house.registrar.wait_request("MESSAGE", message.call_id)
    assert got.body == LARGE
    house.registrar.reply(got, 200)
    assert al.final(message, al.server).status == 200


def test_glued_requests_are_all_answered(house):
    house.start()
    al = registered(house)
    requests = [al.register_request() for _ in range(20)]
    requests[3].body = requests[11].body = b"REGISTER sip:example.com SIP/2.0\r\n\r\n"
    glue = b"".join(r.bytes() + (PING if i % 5 == 2 else b"") for i, r in enumerate(requests))
    al.connection.send_split(glue, 5000)
    assert [al.final(r, al.server).status for r in requests] == [200] * 20
    assert al.connection.framer.crlfs == 4


def test_answers_and_requests_are_cut_where_content_length_says(house):
    house.start()
    al = registered(house)
    body = b"Content-Length: 0\r\n\r\nSIP/2.0 200 OK\r\n\r\n"
    call = house.registrar.request_to("MESSAGE", house.registrar.stored_contact("al"), body=body)
    to = Uri(house.registrar.stored_contact("al")).place
    house.registrar.send(call, to)
    got = al.wait(is_request("MESSAGE", call.call_id), "MESSAGE")
    assert got.body == body
    al.reply(got, 200, body=body)
    assert house.registrar.final(call, to).body == body


@pytest.mark.parametrize("bytes_sent", [
    b"GET / HTTP/1.1\r\nHost: example.com\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 30,
    b"REGISTER sip:example.com SIP/2.0\r\nContent-Length: 99999999\r\n\r\n",
    b"REGISTER sip:example.com SIP/2.0\r\n" + b"X: y\r\n" * 20000], ids=["http", "tls", "huge", "endless head"])
def test_a_connection_that_cannot_be_cut_is_closed_and_hurts_nobody(house, bytes_sent):
    house.start()
    al = registered(house)
    rude = house.tcp_phone("rude")
    try:
        rude.connection.send(bytes_sent)
    except OSError:
        pass  # it closed before all was sent
    rude.connection.wait_ended()
    assert al.register().status == 200 and al.connection.ended is False


@pytest.mark.parametrize("length", [66000, 99999999])
def test_a_request_that_is_too_large_is_513_and_the_connection_is_closed(house, length):
    house.start()
    al = house.tcp_phone()
    request = al.register_request()
    al.connection.send(request.bytes().replace(b"Content-Length: 0", b"Content-Length: %d" % length))
    assert al.final(request, al.server).status == 513
    al.connection.wait_ended()


def test_a_request_without_content_length_is_400_and_the_connection_is_closed(house):
    house.start()
    al = house.tcp_phone()
    request = al.register_request()
    al.connection.send(request.bytes().replace(b"Content-Length: 0\r\n", b""))
    answer = al.final(request, al.server)
    assert answer.status == 400 and "Content-Length" in answer.reason_phrase
    al.connection.wait_ended()


# -- keep-alive -------------------------------------------------------------------------------------------
def test_a_ping_is_answered_by_a_pong_also_one_that_is_split(house):
    house.start()
    al = registered(house)
    al.connection.wait_pong()
    al.connection.wait_pong(5)
    before = al.connection.framer.crlfs
    al.connection.send(b"\r\n\r")
    assert al.connection.framer.crlfs == before, "half a ping"
    al.connection.send(b"\n")
    poll(lambda: al.connection.framer.crlfs == before + 1, "a pong")
    assert al.register().status == 200


def test_a_single_crlf_gets_no_answer(house):
    house.start()
    al = registered(house)
    before = al.connection.framer.crlfs
    request = al.register_request()
    al.connection.send(b"\r\n" + request.bytes())
    assert al.final(request, al.server).status == 200
    assert al.connection.framer.crlfs == before


# -- connections that are slow, silent or many --------------------------------------------------------------
def test_a_peer_that_does_not_read_is_cut_while_others_are_served(house):
    house.start()
    slow = house.tcp_phone("slow", receive_buffer=4096)
    slow.registered()
    al, bo = registered(house, "al"), house.registered("bo")
    slow.connection.pause()
    slow.connection.send(PING)  # its answer is the last that is read
    contact = house.registrar.stored_contact("slow")

    def cut():
        for _ in range(20):
            house.registrar.send(house.registrar.request_to("MESSAGE", contact, body=b"y" * 60000),
                                 Uri(contact).place)
        begun = time.monotonic()
        assert al.register().status == bo.register().status == 200
        assert time.monotonic() - begun < 1, "others wait"
        return house.midreg.status()["connections_cut"]
    poll(cut, "the peer that does not read is cut", 20)
    assert house.registrar.call_contact(contact).final().status == 480
    assert al.connection.ended is False


def test_two_hundred_connections_register_and_are_all_called(house):
    house.start()
    phones = [house.tcp_phone("u%d" % i) for i in range(200)]
    requests = [p.register_request() for p in phones]
    for phone, request in zip(phones, requests):
        phone.send(request, phone.server)
    assert {p.final(r, p.server).status for p, r in zip(phones, requests)} == {200}
    calls = [house.registrar.call(p.user) for p in phones]
    for phone, call in zip(phones, calls):
        phone.refuse(phone.wait_invite(call), 486)
        assert call.final().status == 486
    assert house.midreg.status()["connections"] == 200


@pytest.mark.slow
def test_a_connection_that_says_nothing_is_closed_one_that_registered_stays(house):
    house.start()
    al, silent, begun = registered(house), house.tcp_phone("silent"), house.tcp_phone("begun")
    begun.connection.send(b"REGISTER sip:example.com SIP/2.0\r\nVia: ")
    silent.connection.wait_ended(40)
    begun.connection.wait_ended(10)
    assert al.register().status == 200 and al.connection.ended is False


def test_half_a_close_still_gets_its_answer(house):
    house.start()
    house.registrar.held = []
    al = house.tcp_phone()
    request = al.register_request()
    al.send(request, al.server)
    al.connection.end_sending()
    house.registrar.wait_register("al")
    house.registrar.release()
    assert al.final(request, al.server, 3).status == 200  # RFC 3261 18.2.2


# -- connections that close ---------------------------------------------------------------------------------
@pytest.mark.parametrize("how", ["close", "reset", "end_sending"])
def test_a_phone_whose_connection_closed_is_not_called(house, how):
    house.start()
    al = registered(house)
    closed(house, al.connection, how)
    begun = time.monotonic()
    assert house.registrar.call("al").final().status == 480
    assert time.monotonic() - begun < 1


def test_only_the_phones_that_can_be_reached_are_called(house):
    house.start()
    gone, al = registered(house), house.registered("al")
    closed(house, gone.connection)
    call = house.registrar.call("al")
    al.refuse(al.wait_invite(call), 486)
    assert call.final().status == 486, "not what the unreachable one would have said"


def test_a_call_whose_only_phone_closes_its_connection_ends_at_once(house):
    house.start()
    al = registered(house)
    call = house.registrar.call("al")
    al.ring(al.wait_invite(call))
    call.provisional(180)
    al.connection.close()
    assert call.final(2).status in (430, 480, 503, 500)


def test_a_phone_that_reconnects_and_registers_is_called_over_the_new_connection(house):
    house.start()
    al = registered(house)
    al.reconnect().registered()
    assert uris(al.query()) == [al.uri]
    call = house.registrar.call("al")
    invite = al.wait_invite(call)
    assert invite.source is al.connection
    al.refuse(invite, 486)
    assert call.final().status == 486
    house.fence()
    assert len(house.registrar.of("al")) == 1, "absorbed"


def test_a_call_survives_the_phones_new_connection(house):
    house.start()
    al = registered(house)
    call = house.registrar.call("al")
    invite = al.wait_invite(call)
    al.accept(invite)
    assert call.final().status == 200
    al.wait_ack(invite)
    al.reconnect().registered()
    bye = call.dialogs[0].request("BYE")
    house.registrar.send(bye, call.dialogs[0].next_hop())
    got = al.wait(is_request("BYE", call.call_id), "BYE")
    assert got.source is al.connection
    al.reply(got, 200)
    assert house.registrar.final(bye, call.dialogs[0].next_hop()).status == 200


# -- flow-grace -----------------------------------------------------------------------------------------------
def test_a_closed_phone_is_listed_until_flow_grace_is_over(house):
    house.start(flow_grace=2)
    gone, al = registered(house), house.registered("al")
    begun = time.monotonic()
    closed(house, gone.connection)
    assert uris(al.register()) == sorted([gone.uri, al.uri])
    poll(lambda: uris(al.register()) == [al.uri], "the closed phone is gone", 4)
    assert time.monotonic() - begun > 1.9
    assert len(house.registrar.of("al")) == 1, "upstream hears nothing"


def test_the_last_phones_closed_connection_ends_the_lease_after_flow_grace(house):
    house.start(flow_grace=2)
    al = registered(house)
    begun = time.monotonic()
    closed(house, al.connection)
    removed = house.registrar.wait_removed("al")
    assert 1.9 < removed.time - begun < 3.5
    assert house.registrar.contacts("al") == []


def test_a_phone_that_comes_back_within_flow_grace_stays(house):
    house.start(flow_grace=2)
    al, bo = registered(house, "al"), registered(house, "bo")
    closed(house, al.connection)
    closed(house, bo.connection)
    al.connect().registered()
    house.registrar.wait_removed("bo")  # the time is over for both
    assert uris(al.query()) == [al.uri]
    call = house.registrar.call("al")
    al.refuse(al.wait_invite(call), 486)
    assert call.final().status == 486
    assert len(house.registrar.of("al")) == 1


# -- row 10: absorbed REGISTERs and connections ---------------------------------------------------------------
def test_row10_an_absorbed_register_ties_the_contact_to_its_new_connection(house):
    house.start()
    al = registered(house)
    old = al.connection
    al.connect().registered()  # absorbed, over a second connection
    closed(house, old)
    call = house.registrar.call("al")
    invite = al.wait_invite(call)
    assert invite.source is al.connection
    al.refuse(invite, 486)
    assert call.final().status == 486
    assert len(house.registrar.of("al")) == 1


@pytest.mark.slow
def test_row10_absorbed_registers_keep_the_connection_alive(house):
    house.start()
    al = registered(house)
    end = time.monotonic() + 45  # longer than anything that is bounded in half a minute
    while time.monotonic() < end:
        al.registered()
        time.sleep(1)
    call = house.registrar.call("al")
    invite = al.wait_invite(call)
    assert invite.source is al.connections[0] and not al.connection.ended
    al.refuse(invite, 486)
    assert call.final().status == 486
    assert len(house.registrar.of("al")) == 1


# -- the peer ends its side ---------------------------------------------------------------------------------------
def test_a_connection_of_which_the_peer_ended_its_side_is_closed_when_nothing_is_owed(house):
    house.start()
    al = registered(house)
    al.connection.end_sending()
    al.connection.wait_ended()


def test_an_answer_that_is_owed_leaves_before_the_connection_is_closed(house):
    house.start()
    registered(house, "bo")
    house.registrar.held = []
    al = house.tcp_phone("al")
    request = al.register_request()
    al.send(request, al.server)
    house.registrar.wait_register("al")
    al.connection.end_sending()
    house.midreg.status()
    assert not al.connection.ended
    house.registrar.release()
    assert al.wait(is_response(request, 200), "answer").status == 200
    al.connection.wait_ended()


# -- to the main registrar ---------------------------------------------------------------------------------------
def large_call(al):
    return al.call("sip:100@example.com", headers=[("X-Large", LARGE.decode())])


def test_large_requests_reach_the_main_registrar_by_tcp_once_it_has_answered_there(house):
    listener = house.registrar.listen()
    house.start(upstream={"challenges-calls": True})
    al = house.registered("al")
    first = large_call(al)
    invite = house.registrar.wait_request("INVITE", first.call_id)
    assert not isinstance(invite.source, Connection), "nobody waits for a connection"
    house.registrar.reply(invite, 486)
    first.final()
    connection = listener.wait_connection()

    def by_tcp():
        call = large_call(al)
        request = house.registrar.wait_request("INVITE", call.call_id)
        house.registrar.reply(request, 486)
        assert call.final().status == 486
        return request.source is connection and request
    request = poll(by_tcp, "a large request comes by TCP")
    assert request.get("via").startswith("SIP/2.0/TCP")
    house.registrar.wait(is_request("ACK", request.call_id), "ACK")
    small = al.call("sip:100@example.com")
    invite = house.registrar.wait_request("INVITE", small.call_id)
    assert not isinstance(invite.source, Connection)
    house.registrar.reply(invite, 486)
    assert small.final().status == 486


def test_a_large_register_goes_up_by_tcp_and_its_answer_comes_back(house):
    listener = house.registrar.listen()
    house.registrar.passwords["al"], house.registrar.trusted = "secret", False
    house.start(auth="upstream")
    al = house.phone("al", "secret")

    def large_register():
        """What the main registrar gets of a REGISTER with credentials of 2000 bytes."""
        contact = "<%s>;n=%d" % (al.uri, len(house.registrar.of("al")))  # another each time: goes up
        challenge = al.register_once(contacts=[contact])
        assert challenge.status == 401
        al.meet(challenge.get("www-authenticate"))
        name, value = "Authorization", al.credentials("REGISTER", al.registrar_uri) + ', padding="%s"' % ("x" * 2000)
        assert al.register_once(contacts=[contact], headers=[(name, value)]).status == 200
        return house.registrar.of("al")[-1].request.source
    assert not isinstance(large_register(), Connection), "nobody waits for a connection"
    connection = listener.wait_connection()
    poll(lambda: large_register() is connection, "a large REGISTER comes by TCP")


def test_a_main_registrar_without_tcp_gets_large_requests_by_datagram(house):
    house.start(upstream={"challenges-calls": True})
    al = house.registered("al")
    for _ in range(3):
        call = large_call(al)
        invite = house.registrar.wait_request("INVITE", call.call_id)
        assert LARGE.decode() == invite.get("x-large") and not isinstance(invite.source, Connection)
        house.registrar.reply(invite, 486)
        assert call.final().status == 486


def test_when_the_main_registrar_closes_the_connection_datagrams_are_taken_again(house):
    listener = house.registrar.listen()
    house.start(upstream={"challenges-calls": True})
    al = house.registered("al")

    def source():
        call = large_call(al)
        invite = house.registrar.wait_request("INVITE", call.call_id)
        house.registrar.reply(invite, 486)
        assert call.final().status == 486
        return invite.source
    poll(lambda: isinstance(source(), Connection), "a large request comes by TCP")
    closed(house, listener.connections[0])
    assert not isinstance(source(), Connection)


def test_a_connection_from_the_main_registrars_host_is_not_the_main_registrar(house):
    """Its port says nothing, and phones of that host have the same address."""
    house.start()
    registered(house)
    contact = house.registrar.stored_contact("al")
    stranger = house.tcp_phone("bo")
    request = house.registrar.request_to("INVITE", contact)
    request.set("Via", stranger.via())
    stranger.send(request, stranger.server)
    answer = stranger.wait(is_response(request, 200), "answer")
    assert answer.status in (403, 404)

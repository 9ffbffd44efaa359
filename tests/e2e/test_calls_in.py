"""Calls from the main registrar to our contact: forked to the phones, one wins."""
import pytest

from toolkit.endpoint import is_request, is_response
from toolkit.sip import Message, Uri

ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'


def ringing(house, *phones):
    """A call and its INVITE at each phone."""
    call = house.registrar.call(phones[0].user)
    return call, [p.wait_invite(call) for p in phones]


def cancelled(phone, invite):
    """The CANCEL's Reason, spaces left out."""
    return phone.wait_cancel(invite).get("reason", "").replace("; ", ";")


# -- the fork ------------------------------------------------------------------------------------------
def test_a_call_rings_all_phones_at_once_and_the_first_to_answer_wins(house):
    house.start()
    one, two, three = (house.registered("al") for _ in range(3))
    call, invites = ringing(house, one, two, three)
    one.ring(invites[0]), three.ring(invites[2])
    call.provisional(180)
    two.accept(invites[1])
    assert call.final().status == 200
    two.wait_ack(invites[1])
    assert cancelled(one, invites[0]) == cancelled(three, invites[2]) == ELSEWHERE
    status = house.midreg.status()
    assert (status["calls"], status["branches"], status["cancels"], status["answered"]) == (1, 3, 2, 1)


def test_row26_the_losers_cancel_says_completed_elsewhere(house):
    house.start()
    winner, loser = house.registered("al"), house.registered("al")
    call, (at_winner, at_loser) = ringing(house, winner, loser)
    loser.ring(at_loser)
    winner.accept(at_winner)
    assert cancelled(loser, at_loser) == ELSEWHERE
    assert call.final().status == 200


def test_the_invite_at_the_phone(house):
    house.start()
    al = house.registered("al")
    call, (invite,) = ringing(house, al)
    assert invite.uri == al.uri
    assert invite.call_id == call.call_id and invite.get("from") == call.invite.get("from")
    assert invite.get("to") == call.invite.get("to"), "To is the main registrar's business"
    assert invite.body == call.invite.body
    assert int(invite.get("max-forwards")) == 69
    assert len(invite.all("via")) == 2 and Uri("sip:" + invite.get("via").split()[1].split(";")[0]).port == house.port
    assert invite.has("record-route") and ";lr" in invite.get("record-route")
    assert not invite.has("route")
    al.refuse(invite, 486)
    assert call.final().status == 486


def test_branches_of_a_fork_have_different_vias(house):
    house.start()
    one, two = house.registered("al"), house.registered("al")
    call, (at_one, at_two) = ringing(house, one, two)
    assert at_one.branch != at_two.branch
    one.refuse(at_one, 486), two.refuse(at_two, 486)
    call.final()


def test_row15_more_than_12_phones_all_ring(house):
    house.start(max_contacts=20)
    phones = [house.registered("al") for _ in range(15)]
    call, invites = ringing(house, *phones)
    for phone, invite in zip(phones, invites):
        phone.ring(invite)
    phones[14].accept(invites[14])
    assert call.final().status == 200
    for phone, invite in list(zip(phones, invites))[:14]:
        assert cancelled(phone, invite) == ELSEWHERE


def test_a_phone_behind_nat_is_called_where_its_register_came_from(house):
    house.start()
    al = house.phone("al")
    al.uri = "sip:al@10.1.2.3:7777;line=1"
    al.registered()
    call, (invite,) = ringing(house, al)
    assert invite.uri == al.uri
    al.refuse(invite, 486)
    call.final()


def test_phones_of_lower_q_ring_when_the_better_ones_have_failed(house):
    house.start(fork_timeout=20)
    first, second = house.phone("al"), house.phone("al")
    first.registered(contacts=["<%s>;q=0.9" % first.uri])
    second.registered(contacts=["<%s>;q=0.2" % second.uri])
    call = house.registrar.call("al")
    invite = first.wait_invite(call)
    first.ring(invite)
    call.provisional(180)
    assert second.invites() == []
    first.refuse(invite, 486)
    second.accept(second.wait_invite(call))
    assert call.final().status == 200


def test_phones_of_lower_q_join_after_fork_timeout_while_the_better_ones_ring_on(house):
    house.start(fork_timeout=1)
    first, second = house.phone("al"), house.phone("al")
    first.registered(contacts=["<%s>;q=0.9" % first.uri])
    second.registered(contacts=["<%s>;q=0.2" % second.uri])
    call = house.registrar.call("al")
    at_first = first.wait_invite(call)
    first.ring(at_first)
    at_second = second.wait_invite(call, timeout=3)
    second.ring(at_second)
    assert 0.9 < at_second.time - at_first.time < 2
    first.accept(at_first)
    assert call.final().status == 200
    assert cancelled(second, at_second) == ELSEWHERE


# -- the end ---------------------------------------------------------------------------------------------
def test_the_callers_cancel_reaches_all_phones_with_its_own_reason(house):
    house.start()
    one, two = house.registered("al"), house.registered("al")
    call, (at_one, at_two) = ringing(house, one, two)
    one.ring(at_one), two.ring(at_two)
    cancel = call.cancel([("Reason", 'Q.850;cause=16;text="NORMAL_CLEARING"')])
    assert house.registrar.final(cancel, house.midreg.address).status == 200
    for phone, invite in ((one, at_one), (two, at_two)):
        assert cancelled(phone, invite).startswith("Q.850;cause=16")
    assert call.final().status == 487


def test_a_cancel_before_any_answer_waits_for_a_provisional(house):
    house.start()
    al = house.registered("al")
    call, (invite,) = ringing(house, al)
    cancel = call.cancel()
    assert house.registrar.final(cancel, house.midreg.address).status == 200
    assert al.received(is_request("CANCEL")) == [], "RFC 3261 9.1: not before a provisional answer"
    al.ring(invite)
    al.wait_cancel(invite)
    assert call.final().status == 487


def test_a_phone_that_answers_in_spite_of_cancel_is_heard_upstream(house):
    house.start()
    one, two = house.registered("al"), house.registered("al")
    call, (at_one, at_two) = ringing(house, one, two)
    one.ring(at_one), two.ring(at_two)
    one.accept(at_one)
    two.accept(at_two)
    assert {call.final().status, call.final().status} == {200}
    assert len({d.remote for d in call.dialogs}) == 2
    one.wait_ack(at_one), two.wait_ack(at_two)
    status = house.midreg.status()
    assert status["calls"] == 1


def test_a_6xx_ends_the_fork(house):
    house.start()
    one, two = house.registered("al"), house.registered("al")
    call, (at_one, at_two) = ringing(house, one, two)
    two.ring(at_two)
    one.refuse(at_one, 603)
    two.wait_cancel(at_two)
    assert call.final().status == 603


@pytest.mark.parametrize("answers, best", [
    ((486, 500), 486), ((503, 486), 486), ((500, 500), 500), ((486, 302), 302), ((404, 600), 600)])
def test_the_best_answer_is_passed_on_when_all_have_refused(house, answers, best):
    house.start()
    one, two = house.registered("al"), house.registered("al")
    call, (at_one, at_two) = ringing(house, one, two)
    one.refuse(at_one, answers[0])
    if answers[0] < 600:
        two.refuse(at_two, answers[1])
    assert call.final().status == best


def test_503_of_a_phone_is_500_to_the_main_registrar(house):
    house.start()
    al = house.registered("al")
    call, (invite,) = ringing(house, al)
    al.refuse(invite, 503, [("Retry-After", "3600")])
    assert call.final().status == 500, "RFC 3261 16.7 step 6: a phone's 503 is not ours"


def test_challenges_of_several_phones_are_put_together(house):
    house.start()
    one, two = house.registered("al"), house.registered("al")
    call, (at_one, at_two) = ringing(house, one, two)
    one.refuse(at_one, 407, [("Proxy-Authenticate", 'Digest realm="one", nonce="1"')])
    two.refuse(at_two, 407, [("Proxy-Authenticate", 'Digest realm="two", nonce="2"')])
    answer = call.final()
    assert answer.status == 407 and len(answer.all("proxy-authenticate")) == 2


def test_timer_c_ends_a_phone_that_only_rings(house):
    house.start(timer_c=1, fork_timeout=1)
    al = house.registered("al")
    call, (invite,) = ringing(house, al)
    al.ring(invite)
    al.wait_cancel(invite)
    assert call.final().status in (408, 480, 487)


def test_provisionals_pass_and_100_does_not(house):
    house.start()
    al = house.registered("al")
    call, (invite,) = ringing(house, al)
    al.reply(invite, 100)
    al.ring(invite, 183)
    assert call.provisional(183).to.tag == al.tag
    hundreds = house.registrar.received(is_response(call.invite, 100, 100))
    assert len(hundreds) == 1 and not hundreds[0].to.tag, "one 100, our own"
    al.refuse(invite, 486)
    call.final()


# -- nobody there ----------------------------------------------------------------------------------------
def test_a_call_to_an_identity_without_phones_is_480(house):
    house.start()
    al = house.registered("al")
    contact = house.registrar.stored_contact("al")
    al.unregister()
    house.registrar.wait_removed("al")
    assert house.registrar.call_contact(contact).final().status == 480


def test_an_expired_phone_does_not_ring(house):
    house.start(phone_expires=1)
    al = house.registered("al")
    contact = house.registrar.stored_contact("al")
    house.registrar.wait_removed("al", 4)
    assert house.registrar.call_contact(contact).final().status == 480
    assert al.invites() == []


def test_our_contact_is_known_whatever_host_port_and_parameters_it_has(house):
    house.start()
    al = house.registered("al")
    stored = Uri(house.registrar.stored_contact("al"))
    uri = "sip:al@pbx.example.net:9999;transport=udp;mr=%s;ob" % stored.params["mr"]
    request = house.registrar.request_to("OPTIONS", uri)
    assert house.registrar.exchange(request, house.midreg.address).status == 200
    assert al.port  # it was answered here


@pytest.mark.parametrize("make, status", [
    (lambda c: c.replace("sip:al@", "sip:bo@"), 404),
    (lambda c: c.partition(";")[0] + ";mr=aaaaaaaaaaaaa", 480),
    (lambda c: c.partition(";")[0] + ";mr=short", 404),
    (lambda c: c.partition(";")[0], 404)])
def test_what_is_not_our_contact_is_refused(house, make, status):
    """Another user's token, a token of nobody, no token: and the host is no domain of ours."""
    house.start()
    house.registered("al")
    contact = make(house.registrar.stored_contact("al"))
    request = house.registrar.request_to("INVITE", contact)
    house.registrar.send(request, house.midreg.address)
    answer = house.registrar.wait(is_response(request, 200), "answer")
    house.registrar.send(house.registrar.request("ACK", request.uri, request.get("from"), answer.get("to"),
                                                 request.call_id).set("Via", request.get("via")), house.midreg.address)
    assert answer.status == status


def test_a_call_to_the_identity_itself_rings_its_phones(house):
    house.start()
    al = house.registered("al")
    request = house.registrar.request_to("INVITE", "sip:al@example.com")
    house.registrar.send(request, house.midreg.address)
    invite = al.wait_invite()
    al.reply(invite, 486)
    assert house.registrar.wait(is_response(request, 486, 486), "486")


# -- other methods ---------------------------------------------------------------------------------------
def test_options_pings_to_our_contact_are_answered_here(house):
    house.start()
    al = house.registered("al")
    contact = house.registrar.stored_contact("al")
    assert house.registrar.ping("al").status == 200
    assert al.received(is_request("OPTIONS")) == []
    al.unregister()
    house.registrar.wait_removed("al")
    assert house.registrar.ping("al", contact=contact).status == 480


@pytest.mark.parametrize("method", ["MESSAGE", "NOTIFY", "INFO"])
def test_other_requests_reach_the_phones_too(house, method):
    house.start()
    al = house.registered("al")
    contact = house.registrar.stored_contact("al")
    request = house.registrar.request_to(method, contact, to="<sip:al@example.com>")
    house.registrar.send(request, house.midreg.address)
    al.reply(al.wait(is_request(method), method), 200)
    assert house.registrar.final(request, house.midreg.address).status == 200


def test_a_refused_message_is_passed_on(house):
    house.start()
    al = house.registered("al")
    request = house.registrar.request_to("MESSAGE", house.registrar.stored_contact("al"))
    house.registrar.send(request, house.midreg.address)
    al.reply(al.wait(is_request("MESSAGE"), "MESSAGE"), 415)
    assert house.registrar.final(request, house.midreg.address).status == 415


# -- what a proxy checks ------------------------------------------------------------------------------------
def test_max_forwards_0_is_483(house):
    house.start()
    al = house.registered("al")
    request = house.registrar.request_to("MESSAGE", house.registrar.stored_contact("al")).set("Max-Forwards", "0")
    assert house.registrar.exchange(request, house.midreg.address).status == 483
    assert al.received(is_request("MESSAGE")) == []


def test_a_request_that_comes_back_unchanged_is_a_loop(house):
    house.start()
    al = house.registered("al")
    call, (invite,) = ringing(house, al)
    loop = Message(call.invite.start, call.invite.headers, call.invite.body)
    loop.set("Via", house.registrar.via(), *invite.all("via"))
    house.registrar.send(loop, house.midreg.address)
    assert house.registrar.wait(is_response(loop, 200), "answer").status == 482
    al.refuse(invite, 486)
    assert call.final().status == 486
    assert len(al.invites()) == 1


def test_an_extension_that_proxies_must_know_is_420(house):
    house.start()
    house.registered("al")
    request = house.registrar.request_to("MESSAGE", house.registrar.stored_contact("al"),
                                         headers=[("Proxy-Require", "mind-reading")])
    answer = house.registrar.exchange(request, house.midreg.address)
    assert answer.status == 420 and answer.all("unsupported") == ["mind-reading"]


def test_a_cancel_of_nothing_is_481(house):
    house.start()
    house.registered("al")
    request = house.registrar.request_to("CANCEL", house.registrar.stored_contact("al"))
    assert house.registrar.exchange(request, house.midreg.address).status == 481


def test_a_retransmitted_invite_rings_once(house):
    house.start()
    al = house.registered("al")
    call, (invite,) = ringing(house, al)
    al.ring(invite)
    call.provisional(180)
    house.registrar.send(call.invite, call.to)
    al.refuse(invite, 486)
    call.final()
    assert len(al.invites()) == 1
    assert house.midreg.status()["calls"] == 1

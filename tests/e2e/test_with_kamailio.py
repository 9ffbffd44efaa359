"""Kamailio as the main registrar: digest, its way of listing contacts, a proxy that sends calls back to us."""
import pytest

from toolkit import digest
from toolkit.endpoint import is_request, poll
from toolkit.kamailio import Kamailio, password
from toolkit.phone import Phone


@pytest.fixture
def kamailio(tmp_path):
    """Starts it with these defines; ends with the test."""
    running = []

    def start(*defines):
        running.append(Kamailio(tmp_path, *defines))
        return running[0]
    yield start
    for k in running:
        k.stop()


def start(house, kamailio, **options):
    house.start(upstream={"address": kamailio.hostport}, **{"auth": "upstream", **options})
    return kamailio


def phone(house, user):
    return house.phone(user, password(user))


def uris(answer):
    return sorted(c.uri for c in answer.contacts)


def call(phone, uri):
    """Calls, answering the challenge: the second call and its INVITE as it went out."""
    first = phone.call(uri)
    challenge = first.final()
    assert challenge.status == 407
    auth = digest.credentials(challenge.get("proxy-authenticate"), phone.user, phone.password, "INVITE", uri)
    return phone.call(uri, headers=[("Proxy-Authorization", auth)], call_id=first.call_id, cseq=2)


def test_the_toolkits_phone_registers_directly(kamailio):
    k = kamailio()
    p = Phone(k.address, "al", password("al"))
    assert p.register().status == 200 and k.contacts("al") == [p.uri]
    p.close()


def test_phones_register_and_leave_and_kamailio_holds_one_contact(house, kamailio):
    k = start(house, kamailio())
    one, two = phone(house, "al"), phone(house, "al")
    assert uris(one.register()) == [one.uri]
    assert uris(two.register()) == sorted([one.uri, two.uri])
    (contact,) = k.contacts("al")
    assert contact.startswith("sip:al@127.0.0.1:%d;mr=" % house.port)
    for p in (one, two):
        assert p.register().status == 200
        assert p.unregister().status == 200
        poll(lambda: k.contacts("al") == ([contact] if p is one else []), "kamailio knows who is left")


def test_a_wrong_password_is_challenged_again_and_leaves_nothing(house, kamailio):
    k = start(house, kamailio())
    assert house.phone("al", "wrong").register().status == 401
    assert k.contacts("al") == []
    good = phone(house, "al")
    assert uris(good.register()) == [good.uri]


def test_a_call_goes_up_and_comes_back_down_to_the_other_phones(house, kamailio):
    """Through midreg twice: no loop (RFC 3261 16.3), and both dialogs' routes hold."""
    start(house, kamailio())
    al, one, two = (phone(house, u).registered() for u in ("al", "bo", "bo"))
    outgoing = call(al, "sip:bo@example.com")
    at_one, at_two = one.wait_invite(), two.wait_invite()
    two.ring(at_two)
    dialog = one.accept(at_one)
    assert outgoing.final().status == 200
    one.wait_ack(at_one)
    assert 'text="Call completed elsewhere"' in two.wait_cancel(at_two).get("reason", "")
    reinvite = dialog.request("INVITE")
    one.send(reinvite, dialog.next_hop())
    came = al.wait_invite()
    al.accept(came)
    answer = one.final(reinvite, dialog.next_hop())
    assert answer.status == 200
    dialog.ack(answer)
    al.wait_ack(came)
    caller = outgoing.dialogs[0]
    bye = caller.request("BYE")
    al.send(bye, caller.next_hop())
    one.reply(one.wait(is_request("BYE"), "BYE"), 200)
    assert al.final(bye, caller.next_hop()).status == 200


def test_a_call_to_nobody_and_a_cancelled_call(house, kamailio):
    start(house, kamailio())
    al, bo = phone(house, "al").registered(), phone(house, "bo").registered()
    assert call(al, "sip:nobody@example.com").final().status == 480
    outgoing = call(al, "sip:bo@example.com")
    invite = bo.wait_invite()
    bo.ring(invite)
    outgoing.provisional(180)
    outgoing.cancel()
    bo.wait_cancel(invite)
    assert outgoing.final().status == 487


def test_the_lease_is_refreshed_at_a_trusting_kamailio_that_grants_little(house, kamailio):
    k = start(house, kamailio("TRUSTED", "MAX_EXPIRES=3"), auth="none")
    house.registered("al")
    (contact,) = k.contacts("al")

    poll(lambda: house.midreg.status()["lease_refreshed"] >= 2, "midreg refreshes by itself", 8)
    assert k.contacts("al") == [contact]


def test_the_last_phone_expires_and_kamailio_hears_of_it(house, kamailio):
    k = start(house, kamailio("TRUSTED"), auth="none", phone_expires=1)
    house.registered("al")
    assert len(k.contacts("al")) == 1
    poll(lambda: k.contacts("al") == [], "kamailio has been told", 4)

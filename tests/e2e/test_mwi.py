"""Message-waiting indications: all phones get them, and phones that come later get the last one."""
import pytest

from toolkit.endpoint import is_request
from toolkit.sip import Uri


def summary(house, user, messages, body=None):
    """The NOTIFY as FreeSWITCH sends it, outside of any dialog."""
    contact = house.registrar.stored_contact(user)
    body = body or b"Messages-Waiting: %s\r\nMessage-Account: sip:%s@example.com\r\nVoice-Message: %d/0 (0/0)\r\n" % (
        b"yes" if messages else b"no", user.encode(), messages)
    notify = house.registrar.request_to("NOTIFY", contact, to="<sip:%s@example.com>" % user, headers=[
        ("Event", "message-summary"), ("Subscription-State", "terminated;reason=noresource")], body=body)
    return notify.set("Content-Type", "application/simple-message-summary")


def send(house, notify):
    place = Uri(notify.uri).place
    house.registrar.send(notify, place)
    return lambda: house.registrar.final(notify, place)


def wait_notify(phone):
    notify = phone.wait(is_request("NOTIFY"), "NOTIFY at " + phone.user)
    phone.reply(notify, 200)
    return notify


def notified(house, messages, *phones):
    """One that all these phones get."""
    final = send(house, summary(house, phones[0].user, messages))
    for phone in phones:
        assert b"Voice-Message: %d/" % messages in wait_notify(phone).body
    assert final().status == 200


@pytest.fixture
def al(house):
    house.start()
    return house.registered("al")


def test_all_phones_get_it_whatever_their_q(house, al):
    low = house.phone("al")
    low.registered(contacts=["<%s>;q=0.1" % low.uri])
    notified(house, 3, al, low)


def test_a_phone_that_comes_later_gets_the_last_one(house, al):
    notified(house, 1, al)
    notified(house, 2, al)
    later = house.registered("al")
    given = wait_notify(later)
    assert b"Voice-Message: 2/" in given.body and given.uri == later.uri
    assert given.get("event") == "message-summary" and given.get("content-type") == "application/simple-message-summary"
    assert given.get("subscription-state").startswith("terminated")
    assert given.source == house.midreg.address
    house.fence()
    assert len(later.received(is_request("NOTIFY"))) == 1 and len(al.received(is_request("NOTIFY"))) == 2


def test_its_200_comes_first(house, al):
    notified(house, 1, al)
    later = house.registered("al")
    wait_notify(later)
    assert [m.status or m.method for m in later.log] == [200, "NOTIFY"]


def test_a_refresh_brings_no_second_one_a_reboot_does(house, al):
    notified(house, 1, al)
    later = house.registered("al")
    wait_notify(later)
    later.registered()
    house.fence()
    assert len(later.received(is_request("NOTIFY"))) == 1
    later.call_id, later.cseq = "after-the-reboot", 0
    later.registered()
    wait_notify(later)


def test_a_phone_that_comes_back_after_it_left_gets_it_again(house, al):
    notified(house, 1, al)
    later = house.registered("al")
    wait_notify(later)
    later.unregister()
    later.registered()
    wait_notify(later)


def test_nobody_else_gets_it(house, al):
    notified(house, 1, al)
    bo = house.registered("bo")
    house.fence()
    assert bo.received(is_request("NOTIFY")) == []


def test_it_is_forgotten_with_the_identity(house, al):
    notified(house, 1, al)
    al.unregister()
    house.registrar.wait_removed("al")
    again = house.registered("al")  # a first registration: the main registrar sends it itself
    house.fence()
    assert again.received(is_request("NOTIFY")) == []


def test_what_a_phone_answers_to_a_kept_one_is_nobodys_business(house, al):
    notified(house, 1, al)
    later = house.registered("al")
    later.reply(later.wait(is_request("NOTIFY"), "NOTIFY"), 481)
    house.fence()
    assert house.registrar.received(lambda m: m.status == 481) == []


def test_without_phones_it_is_480_and_not_kept(house, al):
    notify = summary(house, "al", 1)
    al.unregister()
    assert send(house, notify)().status in (404, 480)
    again = house.registered("al")
    house.fence()
    assert again.received(is_request("NOTIFY")) == []


def test_a_huge_one_passes_and_is_not_kept(house, al):
    body = b"X" * 3000
    final = send(house, summary(house, "al", 1, body))
    assert wait_notify(al).body == body
    assert final().status == 200
    later = house.registered("al")
    house.fence()
    assert later.received(is_request("NOTIFY")) == []

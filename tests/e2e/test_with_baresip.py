"""Real phones (baresip), a real main registrar (Kamailio), midreg between them."""
import pytest

from toolkit.baresip import Baresip
from toolkit.endpoint import poll
from toolkit.kamailio import Kamailio, password


@pytest.fixture
def town(house, tmp_path):
    """Kamailio and midreg run; town(user) is a registered baresip."""
    directory = tmp_path / "kamailio"
    directory.mkdir()
    running = [Kamailio(directory)]
    house.kamailio = running[0]
    house.start(auth="upstream", upstream={"address": running[0].hostport})
    house.midreg.wait_log("event=started")

    def phone(user, **kwargs):
        running.append(Baresip(tmp_path / ("baresip%d" % len(running)), house.midreg.address, user,
                               password(user), **kwargs))
        return running[-1].wait_registered()
    yield phone
    for p in reversed(running[1:]):
        p.close()
    running[0].stop()


def test_phones_register_and_leave(house, town):
    al = town("al")
    assert len(house.kamailio.contacts("al")) == 1
    assert ";mr=" in house.kamailio.contacts("al")[0]
    al.stop()  # de-registers on its way out
    poll(lambda: house.kamailio.contacts("al") == [], "kamailio was told")


def test_a_call_from_phone_to_phone(house, town):
    al, bo = town("al"), town("bo")
    al.command("dial", "sip:bo@example.com")
    bo.wait_event("CALL_INCOMING")
    al.wait_event("CALL_RINGING")
    bo.command("accept")
    al.wait_event("CALL_ESTABLISHED"), bo.wait_event("CALL_ESTABLISHED")
    bo.command("hangup")
    al.wait_event("CALL_CLOSED")
    status = house.midreg.status()
    assert status["calls"] == status["answered"] == 1 and status["calls_out"] >= 1


def test_a_call_forks_to_two_phones_and_the_other_stops_ringing(house, town):
    al, one, two = town("al"), town("bo"), town("bo")
    assert len(house.kamailio.contacts("bo")) == 1
    al.command("dial", "sip:bo@example.com")
    one.wait_event("CALL_INCOMING"), two.wait_event("CALL_INCOMING")
    two.command("accept")
    al.wait_event("CALL_ESTABLISHED"), two.wait_event("CALL_ESTABLISHED")
    one.wait_event("CALL_CLOSED")
    assert not one.saw("CALL_ESTABLISHED") and not two.saw("CALL_CLOSED")
    al.command("hangup")
    two.wait_event("CALL_CLOSED")
    status = house.midreg.status()
    assert (status["branches"], status["cancels"]) == (2, 1)


def test_a_caller_who_gives_up_stops_the_ringing(house, town):
    al, one, two = town("al"), town("bo"), town("bo")
    al.command("dial", "sip:bo@example.com")
    one.wait_event("CALL_INCOMING"), two.wait_event("CALL_INCOMING")
    al.wait_event("CALL_RINGING")
    al.command("hangup")
    one.wait_event("CALL_CLOSED"), two.wait_event("CALL_CLOSED")

"""The tests' own parts against each other: the scripted main registrar behaves like FreeSWITCH."""
import subprocess

import pytest

from toolkit.endpoint import is_request
from toolkit.main_registrar import MainRegistrar
from toolkit.midreg import environment
from toolkit.phone import Phone
from toolkit.simulation import DRIVE, SimulatedHouse
from toolkit.sip import Address, Message, Uri


@pytest.fixture
def registrar():
    r = MainRegistrar()
    r.passwords = {"al": "secret"}
    yield r
    r.close()


@pytest.fixture
def phone(registrar):
    p = Phone(registrar.address, "al", "secret")
    yield p
    p.close()


def test_a_message_survives_parsing_and_building():
    text = (b'INVITE sip:a@b SIP/2.0\r\nv: SIP/2.0/UDP h;branch=z9hG4bK1\r\nm: "x, <y" <sip:a@b,c;d=e>;q=0.5,'
            b' <sip:f@g>\r\nSubject: folded\r\n  line\r\nContent-Length: 2\r\n\r\nab')
    message = Message.parse(text)
    assert message.branch == "z9hG4bK1" and message.get("subject") == "folded line"
    assert [c.uri for c in message.contacts] == ["sip:a@b,c;d=e", "sip:f@g"]
    assert message.contacts[0].params == {"q": "0.5"}
    assert Message.parse(message.bytes()).bytes() == message.bytes()
    assert Uri("sips:u@[::1]:99;x=y?h=v").place == ("::1", 99)
    assert Address("sip:a@b;tag=t").tag == "t"


def test_trusted_registration_is_granted_and_listed(registrar, phone):
    answer = phone.register(1200)
    assert answer.status == 200 and answer.contact(phone.uri).expires == 1200
    assert answer.has("date") and registrar.contacts("al") == [phone.uri]


def test_expires_header_beats_the_parameter_and_only_the_first_contact_counts(registrar, phone):
    phone.register(1200, contacts=["<%s>;expires=600" % phone.uri, "<sip:other@127.0.0.1>"])
    assert registrar.of("al")[0].expires == 1200
    assert registrar.contacts("al") == [phone.uri]
    assert phone.register(None).contacts[0].expires == 300


def test_digest_is_asked_checked_and_counted(registrar, phone):
    registrar.trusted = False
    first = phone.register_once()
    assert first.status == 401 and 'realm="example.com"' in first.get("www-authenticate")
    assert phone.register().status == 200
    phone.nonce_count = 0  # a replay
    again = phone.register_once(headers=[("Authorization", phone.credentials("REGISTER", "sip:example.com"))])
    assert again.status == 401 and "stale=true" in again.get("www-authenticate")
    phone.password = "wrong"
    phone.meet(again.get("www-authenticate"))
    assert phone.register().status == 403


@pytest.mark.parametrize("multiple", ["contact", "call-id", "false"])
def test_multiple_registrations_govern_what_is_replaced_and_removed(multiple):
    registrar = MainRegistrar(multiple)
    phone = Phone(registrar.address, "al")
    phone.register(contacts=["<sip:one@127.0.0.1>"], call_id="first")
    phone.register(contacts=["<sip:two@127.0.0.1>"], call_id="second")
    rows = {"contact": 2, "call-id": 2, "false": 1}[multiple]
    assert len(registrar.contacts("al")) == rows
    phone.register(0, contacts=["*"], call_id="second")
    assert len(registrar.contacts("al")) == {"contact": 2, "call-id": 1, "false": 0}[multiple]
    phone.close(), registrar.close()


def test_a_merged_request_gets_482_a_retransmission_the_same_answer(registrar, phone):
    request = phone.register_request()
    assert phone.exchange(request, registrar.address).status == 200
    phone.send(request, registrar.address)
    request.set("Via", phone.via())
    assert phone.exchange(request, registrar.address).status == 482
    assert len(registrar.of("al")) == 2


def test_a_call_rings_at_the_stored_contact_and_ends(registrar, phone):
    phone.registered()
    call = registrar.call("al")
    invite = phone.wait_invite(call)
    assert invite.to.uri == phone.uri
    phone.ring(invite)
    call.provisional(180)
    dialog = phone.accept(invite)
    assert call.final().status == 200
    phone.wait_ack(invite)
    bye = dialog.request("BYE")
    phone.send(bye, dialog.next_hop())
    registrar.reply(registrar.wait(is_request("BYE"), "BYE"), 200)
    assert phone.final(bye, dialog.next_hop()).status == 200


def test_a_call_is_cancelled(registrar, phone):
    phone.registered()
    call = registrar.call("al")
    invite = phone.wait_invite(call)
    cancel = call.cancel([("Reason", "SIP;cause=200")])
    received = phone.wait(is_request("CANCEL"), "CANCEL")
    assert received.get("reason") == "SIP;cause=200" and received.branch == invite.branch
    phone.reply(received, 200)
    phone.reply(invite, 487)
    assert registrar.final(cancel, phone.address).status == 200
    assert call.final().status == 487
    phone.wait_ack(invite)


def test_starting_restarting_and_silent(registrar, phone):
    registrar.state = "starting"
    answer = phone.register()
    assert answer.status == 503 and answer.get("retry-after") == "300"
    registrar.state = "restarting"
    assert phone.register().status == 410
    registrar.state = "silent"
    request = phone.register_request()
    phone.send(request, registrar.address)
    registrar.wait_register("al", count=3)
    registrar.state = "running"
    assert phone.final(request, registrar.address).status == 200


@pytest.fixture
def simulated(tmp_path):
    house = SimulatedHouse(tmp_path)
    yield house
    house.close()


def test_a_simulated_day_has_all_its_refreshes(simulated):
    """And a phone that falls silent is gone when its time is over, not before."""
    simulated.start(auth="none", expires_jitter=0)
    phone = simulated.phone("al")
    for _ in range(24 * 60):
        phone.registered()
        simulated.world.sleep(60)
    assert simulated.midreg.status()["register_absorbed"] >= 24 * 60 - 1
    simulated.world.sleep(59)
    assert not any(r.removes for r in simulated.registrar.of("al"))
    assert simulated.registrar.wait_removed("al", 2).time == pytest.approx(24 * 3600 + 60, abs=3)


@pytest.mark.parametrize("commands, why", [
    ("sing", "there is no command"), ("advance soon", "not MILLISECONDS"), ("datagram 10.0.0.1 10.0.0.2", "not FROM TO LENGTH"),
    ("datagram 10.0.1.1:5060 10.0.0.9:5060 1\nx", "does not listen there"), ("datagram 10.0.1.1:1 10.0.0.1:5060 9\nx", "bytes are missing"),
    ("datagram 10.0.1.1:1 10.0.0.1:5060 65508\n", "no datagram is so long")])
def test_the_drive_refuses_what_it_cannot_do(simulated, commands, why):
    simulated.start()
    done = subprocess.run([DRIVE, simulated.midreg.config_file], input=commands + "\n", capture_output=True, text=True,
                          env=environment(), timeout=10)
    assert done.returncode == 1 and why in done.stderr and done.stderr.count("\n") == 1


def test_the_drive_has_no_connections(tmp_path):
    config = tmp_path / "midreg.conf"
    for listen in ('"udp:10.0.0.1:5060", "tcp:10.0.0.1:5060"', '"udp:0.0.0.0:5060"'):
        config.write_text('listen = [ %s ]\ndomains = [ "a.example" ]\nupstream = { pbx = { address = "10.0.0.5" } }\n' % listen)
        done = subprocess.run([DRIVE, config], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              env=environment(), timeout=10)
        assert done.returncode == 1 and done.stderr.startswith("%s: listen: " % config)

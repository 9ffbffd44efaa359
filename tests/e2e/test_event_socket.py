"""FreeSWITCH's event socket: what midreg hears there, and what it does with it."""
import time

import pytest

from test_store import rows
from toolkit.endpoint import poll
from toolkit.event_socket import EventSocket


@pytest.fixture
def events(house):
    events = EventSocket(house.registrar)
    yield events
    events.close()


def start(house, events, password="ClueCon", **options):
    house.start(upstream={"event-socket": {"address": events.hostport, "password": password}}, **options)


def start_and_wait(house, events, **options):
    start(house, events, **options)
    house.midreg.wait_log("event=event_socket_up upstream=pbx")
    events.wait_command("api global_getvar core_uuid")


def test_it_listens_to_what_it_needs(house, events):
    start_and_wait(house, events)
    assert events.commands[0] == "event plain HEARTBEAT CUSTOM sofia::expire sofia::unregister"
    assert house.midreg.status()["event_socket"] == 1
    assert "ClueCon" not in house.midreg.output


def test_row06_a_restart_is_seen_by_another_core_uuid(house, events):
    start_and_wait(house, events)
    for user in ("al", "bo"):
        house.registered(user)
    house.registrar.purge()
    events.restart()
    house.midreg.wait_log("event=upstream_restarted upstream=pbx sign=Core-UUID", timeout=10)
    for user in ("al", "bo"):
        house.registrar.wait_register(user, count=2)
    house.midreg.wait_log("event=reload_ended upstream=pbx done=2 failed=0")


def test_row06_a_restart_is_healed_once(house, events):
    """Pings notice it, and its event socket is back later: that is no other restart."""
    house.start(upstream={"ping-interval": 1, "event-socket": {"address": events.hostport, "password": "ClueCon"}})
    events.wait_command("api global_getvar core_uuid")
    house.registered("al")
    house.registrar.state = "silent"
    house.registrar.purge()
    events.close()
    events.restart()
    house.midreg.wait_log("event=upstream_down", timeout=12)
    house.registrar.state = "running"
    house.midreg.wait_log("event=reload_ended upstream=pbx done=1 failed=0", timeout=12)
    events.open()
    events.wait_command("api global_getvar core_uuid", count=2, timeout=40)
    house.fence()
    events.heartbeat()
    poll(lambda: rows(house, "SELECT run FROM upstream") == [(events.core_uuid,)], "it knows it")
    assert "upstream_restarted" not in house.midreg.output
    assert len([r for r in house.registrar.registers if r.user == "al"]) == 2


@pytest.mark.parametrize("killed", [False, True])
def test_row06_a_restart_while_midreg_was_away(house, events, killed):
    """Its Core-UUID is another one than the one that the last run has written down."""
    start_and_wait(house, events)
    house.registered("al")
    poll(lambda: rows(house, "SELECT run FROM upstream") == [(events.core_uuid,)], "its Core-UUID is stored")
    house.midreg.kill()
    start(house, events)
    house.midreg.wait_log("event=event_socket_up upstream=pbx")
    house.registrar.purge()
    if killed:
        house.midreg.kill()
    else:
        house.midreg.stop()
    assert "upstream_restarted" not in house.midreg.output, "it is the same one"
    events.restart()
    start(house, events)
    house.midreg.wait_log("event=upstream_restarted upstream=pbx sign=Core-UUID", timeout=10)
    house.registrar.wait_register("al", count=2, timeout=10)
    house.midreg.wait_log("event=reload_ended upstream=pbx done=1 failed=0")


def test_a_restart_is_seen_by_a_lower_uptime(house, events):
    start_and_wait(house, events)
    house.registered("al")
    events.started -= 1000
    events.heartbeat()
    events.started = time.monotonic()
    events.heartbeat()
    house.midreg.wait_log("event=upstream_restarted upstream=pbx sign=Up-Time")
    house.registrar.wait_register("al", count=2)


def test_heartbeats_alone_change_nothing(house, events):
    start_and_wait(house, events)
    house.registered("al")
    for _ in range(5):
        events.heartbeat()
        time.sleep(0.01)
    events.cut()
    events.wait_accepted(2)
    house.midreg.wait_log("event=event_socket_down upstream=pbx reason=\"closed\"")
    house.fence()
    assert len(house.registrar.of("al")) == 1 and "restarted" not in house.midreg.output


def test_a_restarted_one_is_not_ready_before_it_takes_a_register(house, events):
    start_and_wait(house, events)
    house.registered("al")
    house.registrar.purge()
    house.registrar.state = "starting"
    events.restart()
    house.midreg.wait_log("event=upstream_restarted", timeout=10)
    poll(lambda: len([r for r in house.registrar.registers if r.user.startswith("midreg-probe")]) >= 2, "it is probed")
    assert len(house.registrar.of("al")) == 1, "nothing is sent that gets 503"
    house.registrar.state = "running"
    house.registrar.wait_register("al", count=2)


def test_row06_a_purge_of_one_user_is_healed_at_once(house, events):
    start_and_wait(house, events)
    house.registered("al")
    house.registered("bo")
    contact = house.registrar.stored_contact("al")
    house.registrar.purge()
    events.expire(contact)
    events.expire("sip:al@10.1.2.3:5060")  # somebody else's
    house.registrar.wait_register("al", count=2)
    house.fence()
    assert len(house.registrar.of("al")) == 2 and len(house.registrar.of("bo")) == 1


def start_without_means(house, events):
    house.registrar.trusted, house.registrar.passwords = False, {"al": "secret"}
    start_and_wait(house, events, auth="upstream", phone_expires=2)
    house.registrar.wait_probe()
    return house.phone("al", "secret").registered()


def test_row08_a_contact_that_midreg_may_not_remove_is_flushed(house, events):
    start_without_means(house, events)
    call_id = house.registrar.of("al")[-1].request.call_id
    assert len(house.registrar.contacts("al")) == 1
    events.wait_command("api sofia profile internal flush_inbound_reg " + call_id, timeout=8)  # its phone is silent
    poll(lambda: house.registrar.contacts("al") == [], "it is gone there")
    poll(lambda: house.midreg.status()["lease_removed"] == 1, "it is known to be gone")
    assert house.midreg.status()["lease_lapsed"] == 0


def test_a_refused_flush_is_told_with_the_remedy(house, events):
    events.refuses_flush = True
    start_without_means(house, events)
    assert "profile" in house.midreg.wait_log("event=flush_refused upstream=pbx", timeout=8)
    poll(lambda: house.midreg.status()["lease_lapsed"] == 1, "it lapses")


def test_a_wrong_password_is_told_and_not_tried_often(house, events):
    start(house, events, password="wrong")
    line = house.midreg.wait_log("event=event_socket_down upstream=pbx reason=\"wrong password\"")
    assert "remedy=" in line and "wrong" not in line.replace("wrong password", "")
    assert house.midreg.status()["event_socket"] == 0
    house.registered("al")
    assert events.accepted == 1


def test_those_that_it_denies(house, events):
    events.rude = True
    start(house, events)
    assert "apply-inbound-acl" in house.midreg.wait_log("event=event_socket_down upstream=pbx reason=\"denied\"")


NONSENSE = {"http": b"HTTP/1.1 200 OK\r\nServer: x\r\n\r\n" * 10, "zeros": b"\0" * 1000,
            "too large": b"Content-Length: 99999999\n\n", "endless": b"x" * 200000,
            "negative": b"Content-Type: auth/request\nContent-Length: -1\n\n"}


@pytest.mark.parametrize("greeting", NONSENSE)
def test_nonsense_is_survived(house, events, greeting):
    events.greeting = NONSENSE[greeting]
    start(house, events)
    house.registered("al")
    events.wait_accepted(1)
    assert house.registered("bo").register().status == 200
    assert house.midreg.status()["event_socket"] == 0


def test_one_that_is_not_there_is_tried_again(house, events):
    events.close()
    start(house, events)
    house.midreg.wait_log("event=event_socket_down upstream=pbx reason=\"cannot be reached\"")
    events.open()
    house.midreg.wait_log("event=event_socket_up", timeout=15)


def test_a_cut_connection_is_made_again_and_restarts_are_still_seen(house, events):
    start_and_wait(house, events)
    house.registered("al")
    for count in (2, 3):
        events.cut()
        events.wait_accepted(count)
        events.wait_command("api global_getvar core_uuid", count=count)
    assert len(house.registrar.of("al")) == 1
    events.restart()
    house.registrar.wait_register("al", count=2, timeout=15)


def test_what_is_no_uuid_is_no_restart(house, events):
    start_and_wait(house, events)
    house.registered("al")
    for text in ("-ERR", "", "another", "x" * 36):
        events.core_uuid = text
        events.heartbeat()
    house.fence()
    assert "restarted" not in house.midreg.output

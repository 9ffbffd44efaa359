"""A FreeSWITCH is restarted under thousands of registrations: all are back, and nobody did anything."""
import os
import time
from pathlib import Path

import pytest

from test_store import rows
from toolkit.crowd import Crowd, Exchange
from toolkit.endpoint import poll
from toolkit.house import House
from toolkit.midreg import command, free_port

PING = 2  # seconds
RATE_MAX = 900


class BusyHouse(House):
    exchange = None

    def places(self):
        server, registrar = super().places()
        registrar.close()
        self.exchange = Exchange()
        return server, self.exchange

    def close(self):
        super().close()


@pytest.fixture
def house(tmp_path):
    house = BusyHouse(tmp_path)
    yield house
    house.close()


def start(house, count, rate_max=RATE_MAX):
    house.start(upstream={"rate": 100, "rate-max": rate_max, "ping-interval": PING}, phone_expires=120,
                upstream_expires=3600)
    crowd = Crowd(house.server, count)
    house.phones.append(crowd)
    answered = crowd.register(rate=600, within=120)
    poll(lambda: len(house.exchange.rows) == count, "all are registered", 120)
    return crowd, answered


def restart(house):
    """It ends; when it runs again it takes no REGISTERs for a while. Returns when it is ready."""
    downs = lambda: sum("event=upstream_down" in line for line in house.midreg.lines)  # noqa: E731
    before = downs()
    house.exchange.stop()
    poll(lambda: downs() > before, "it is down", 2 * PING + 1)
    house.exchange.start("starting")
    time.sleep(1.5)  # as long as it takes to start, whatever midreg does
    house.exchange.state = "running"
    return time.monotonic()


def check_restart(house, count, idle=0):
    crowd, _ = start(house, count)
    time.sleep(idle)
    ready = restart(house)
    poll(lambda: len(house.exchange.rows) == count, "all are registered again", count / 50 + 20)
    took = time.monotonic() - ready
    ended = house.midreg.wait_log("event=reload_ended", timeout=20)
    assert "done=%d failed=0" % count in ended
    again = [entry for entry in house.exchange.history if entry[0] >= ready]
    assert len(again) == count, "each once"
    reached = max(house.midreg.status()["rate"], 1)
    assert took <= count / reached + 10, "%.1f s, the pacer reached %d a second" % (took, reached)
    assert house.exchange.most_in_a_second() <= RATE_MAX * 1.15, "a burst of a tenth of a second is allowed"
    assert not house.exchange.drops
    return crowd, ready, took


def test_row06_all_leases_are_registered_again_after_a_restart(house):
    crowd, _, _ = check_restart(house, 1500)
    assert crowd.register(rate=3000) == {200: 1500}, "no phone noticed anything"


@pytest.mark.parametrize("when", ["while it is away", "while it is given back"])
def test_row06_though_midreg_is_killed_too(house, when):
    """The next run knows that it owes a reload, until it is done."""
    count = 1000
    crowd, _ = start(house, count)
    house.exchange.stop()
    house.midreg.wait_log("event=upstream_down", timeout=2 * PING + 1)
    lost = "SELECT lost FROM upstream"
    poll(lambda: rows(house, lost) == [(1,)], "that is stored")
    if when == "while it is away":
        house.midreg.kill()
    house.exchange.start("running")
    poll(lambda: when == "while it is away" or len(house.exchange.rows) > 100, "it has begun")
    house.midreg.kill()
    assert len(house.exchange.rows) < count
    house.midreg = house.run(house.midreg.config_file)
    poll(lambda: len(house.exchange.rows) == count, "all are registered again", 30)
    house.midreg.wait_log("event=reload_ended .*failed=0", timeout=20)
    poll(lambda: rows(house, lost) == [(0,)], "and it owes nothing any more")
    sent = len(house.exchange.history)
    house.midreg.kill()
    house.midreg = house.run(house.midreg.config_file)
    assert crowd.register(rate=3000) == {200: count}
    assert len(house.exchange.history) == sent, "it does it once"


def test_known_phones_get_200_while_it_is_away(house):
    crowd, _ = start(house, 300)
    house.exchange.stop()
    house.midreg.wait_log("event=upstream_down", timeout=2 * PING + 1)
    assert crowd.register(rate=1000, within=5) == {200: 300}
    assert house.midreg.status()["register_upstream"] == 300


def test_a_profile_restart_is_survived_without_a_reload(house):
    """410 for a moment, two seconds of silence, and what it held is kept."""
    crowd, _ = start(house, 100)
    house.exchange.state = "restarting"
    time.sleep(0.1)
    house.exchange.state = "running"
    assert crowd.register(rate=1000, within=5) == {200: 100}
    assert len(house.exchange.rows) == 100
    assert "upstream_down" not in house.midreg.output


@pytest.mark.slow
def test_twenty_thousand(house):
    """With the plot of docs/, if MIDREG_PLOT names a file for it."""
    crowd, ready, _ = check_restart(house, 20000, idle=4)  # the plot shows how quiet it is
    if os.environ.get("MIDREG_PLOT"):
        from toolkit.restart_plot import restart_svg
        Path(os.environ["MIDREG_PLOT"]).write_text(restart_svg(house.exchange.history, house.exchange.stopped, ready))
    assert crowd.register(rate=3000, within=60) == {200: 20000}


@pytest.mark.slow
def test_one_that_drops_all_above_1000_a_second(house):
    """The pacer may climb above it, and is thrown back: all are back all the same."""
    count = 8000
    house.start(upstream={"rate": 100, "rate-max": 4000, "ping-interval": PING}, upstream_expires=3600)
    crowd = Crowd(house.server, count)
    house.phones.append(crowd)
    crowd.storm(range(count), 600, 120)  # it may drop some here, too: they come again
    ready = restart(house)
    highest = []

    def all_are_back():
        highest.append(house.midreg.status()["rate"])
        return len(house.exchange.rows) == count
    poll(all_are_back, "all are registered again", 60)
    took = time.monotonic() - ready
    assert max(highest) > 1000 and house.exchange.dropped, "it was too fast for it"
    assert house.midreg.status()["rate"] < max(highest), "and noticed"
    assert took <= count / 500 + 10, "%.1f s: half of what it takes, at the worst" % took


@pytest.mark.slow
def test_one_whose_cost_grows_with_its_bindings(house):
    """6 ms for each REGISTER with 10,000 bindings: it takes 160 a second, and says so by being late."""
    count = 6000
    start(house, count)
    house.exchange.cost, house.exchange.cost_of_row = 0.001, 0.5e-6
    ready = restart(house)
    poll(lambda: len(house.exchange.rows) == count, "all are registered again", 120)
    took = time.monotonic() - ready
    capacity = 1 / (0.001 + 0.5e-6 * count)  # at the end
    assert took <= count / (capacity / 2) + 10, "%.1f s" % took


class BusyPair(BusyHouse):
    """Two of them, both hold everybody."""
    two = None

    def places(self):
        self.two = Exchange(cost=0.002)
        self.phones.append(self.two)
        return super().places()

    def configuration(self):
        config = super().configuration()
        config["upstream"]["two"] = {"address": self.two.hostport, "rate": 0, "ping-interval": PING}
        return config


def test_a_reload_of_all_leaves_none_out(tmp_path):
    """With the policy "all", a REGISTER of a lease at one of them is no reason to leave out that at the other."""
    house, count = BusyPair(tmp_path), 200
    both = lambda n: len(house.exchange.rows) == len(house.two.rows) == n  # noqa: E731
    try:
        house.start(policy="all", upstream={"rate": 0, "ping-interval": PING}, upstream_expires=3600)
        crowd = Crowd(house.server, count)
        house.phones.append(crowd)
        crowd.register(rate=200)
        poll(lambda: both(count), "all are registered at both")
        house.exchange.rows.clear()
        house.two.rows.clear()
        told = command("reload", "-c", house.midreg.config_file, timeout=60)
        assert told.returncode == 0, told.stdout + told.stderr
        poll(lambda: both(count), "all are registered again at both")
    finally:
        house.close()


@pytest.mark.parametrize("ends", ["kill", "stop"])
def test_a_contact_of_ours_that_moves_has_moved_though_midreg_ends_meanwhile(house, ends):
    """What the leases are for is forgotten when none is for that any more, not before."""
    count, old = 150, "127.0.0.1:%d" % free_port()
    new = b"127.0.0.1:%d" % free_port()
    options = {"phone_expires": 120, "upstream_expires": 3600}
    house.start(upstream={"contact": old, "rate": 0}, **options)
    house.phones.append(Crowd(house.server, count))
    house.phones[-1].register()
    poll(lambda: len(house.exchange.rows) == count, "all are registered")
    house.midreg.stop()
    moved = lambda: sum(new in contact for contact in list(house.exchange.rows.values()))  # noqa: E731
    house.start(upstream={"contact": new.decode(), "rate": 60, "rate-max": 60}, **options)
    poll(lambda: moved() > 20, "some have moved")
    getattr(house.midreg, ends)()
    assert moved() < count
    house.start(upstream={"contact": new.decode(), "rate": 0}, **options)
    house.midreg.wait_log("event=contact_moved upstream=pbx before=%s" % old)
    poll(lambda: moved() == count, "all have moved")
    poll(lambda: rows(house, "SELECT lost, contact_before FROM upstream") == [(0, "")], "it owes nothing any more")

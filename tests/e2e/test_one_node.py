"""Row 11 of what other systems get wrong, for one node: two nodes both de-register; gaps at 10,000 phones."""
import pytest

from test_restart_of_upstream import BusyHouse
from toolkit.crowd import Crowd
from toolkit.endpoint import poll
from toolkit.house import House
from toolkit.midreg import Midreg, command, free_port

USERS = ["u%d" % i for i in range(8)]


@pytest.fixture
def stored(tmp_path):
    house = House(tmp_path)
    house.start(upstream={"contact": "127.0.0.1:%d" % house.port}, store="sqlite")
    yield house
    house.close()


@pytest.fixture
def busy(tmp_path):
    house = BusyHouse(tmp_path)
    house.start(upstream={"rate": 0}, store="sqlite", phone_expires=120, upstream_expires=3600)
    yield house
    house.close()


def crash(house):
    house.midreg.kill()
    house.midreg = house.run(house.midreg.config_file)


def take_over(house):
    """Another midreg, at another port, with the store of the first."""
    other = free_port()
    text = house.midreg.config_file.read_text()
    for transport in ("udp", "tcp"):  # its contact stays: it is the address that moves with the service
        text = text.replace("%s:127.0.0.1:%d" % (transport, house.port), "%s:127.0.0.1:%d" % (transport, other))
    house.midreg.stop()
    path = house.directory / "other.conf"
    path.write_text(text)
    house.server = ("127.0.0.1", other)
    house.midreg = Midreg(path, other)
    for phone in house.phones:
        phone.server = house.server


@pytest.mark.parametrize("change", [crash, House.restart, take_over])
def test_row11_each_identity_is_de_registered_once_by_whoever_runs(stored, change):
    phones = {user: stored.registered(user) for user in USERS}
    first = {user: stored.registrar.wait_register(user) for user in USERS}
    change(stored)
    for user in USERS:
        assert phones[user].unregister().status == 200
    for user in USERS:
        removal = stored.registrar.wait_removed(user)
        assert removal.request.call_id == first[user].request.call_id
        assert int(removal.request.get("cseq").split()[0]) > int(first[user].request.get("cseq").split()[0])
    poll(lambda: not any(stored.registrar.contacts(user) for user in USERS), "nobody is registered")
    stored.fence()
    assert all(len([r for r in stored.registrar.of(user) if r.removes]) == 1 for user in USERS)


def test_row11_a_second_midreg_does_not_run_on_the_same_store(stored):
    text = stored.midreg.config_file.read_text().replace(":%d" % stored.port, ":%d" % free_port())
    other = stored.directory / "other.conf"
    other.write_text(text)
    done = command("run", "-c", other)
    assert done.returncode != 0 and str(stored.midreg.process.pid) in done.stderr
    stored.registered("al")  # the first one goes on


@pytest.mark.parametrize("change", [crash, pytest.param(House.restart, marks=pytest.mark.slow)])
def test_row11_none_of_10000_phones_is_missing(busy, change):
    count = 10000
    crowd = Crowd(busy.server, count)
    busy.phones.append(crowd)
    assert crowd.register(rate=900) == {200: count}
    poll(lambda: len(busy.exchange.rows) == count, "all are registered", 30)
    change(busy)
    assert busy.midreg.status()["aors"] == busy.midreg.status()["bindings"] == count
    before = len(busy.exchange.history)
    assert crowd.register(rate=2500) == {200: count}
    assert len(busy.exchange.history) == before, "all were absorbed"

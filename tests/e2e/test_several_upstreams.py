"""Several main registrars: who serves whom, and what becomes of leases and calls when one goes and comes back."""
import time

import pytest

from toolkit.endpoint import is_request, poll
from toolkit.house import House
from toolkit.main_registrar import MainRegistrar
from toolkit.midreg import command
from toolkit.sip import SDP

PING = 1  # seconds
USERS = ["u%d" % i for i in range(12)]
NUMBER = "sip:4711@example.com"


class PairHouse(House):
    """Two main registrars: "pbx" (self.registrar) and "two"."""
    two = None

    def places(self):
        server, registrar = super().places()
        self.two = MainRegistrar()
        return server, registrar

    def configuration(self):
        config = super().configuration()
        config["upstream"]["two"] = {"address": self.two.hostport, "rate": 0, "ping-interval": PING}
        return config

    def start(self, **options):
        return super().start(upstream={"ping-interval": PING}, **options)

    def close(self):
        self.phones.append(self.two)
        super().close()

    @property
    def both(self):
        return self.registrar, self.two

    def home(self, user):
        """The one that holds the user's contact; he must have one home."""
        holders = [r for r in self.both if r.contacts(user)]
        assert len(holders) == 1, "%s is registered at %d main registrars" % (user, len(holders))
        return holders[0]

    def other(self, registrar):
        return self.two if registrar is self.registrar else self.registrar

    def name(self, registrar):
        return "two" if registrar is self.two else "pbx"

    def crowd(self, **kwargs):
        """All USERS, registered, by name."""
        return {user: self.phone(user, **kwargs).registered() for user in USERS}

    def users_of(self, registrar):
        return [user for user in USERS if registrar.contacts(user)]

    def dies(self, registrar):
        registrar.state = "silent"

    def is_back(self, registrar):
        """After a restart: it holds nothing."""
        registrar.purge()
        registrar.state = "running"


@pytest.fixture
def house(tmp_path):
    house = PairHouse(tmp_path)
    yield house
    house.close()


def talk(registrar, phone):
    """A call of the phone that this main registrar takes."""
    call = phone.call(NUMBER)
    invite = registrar.wait_request("INVITE", call.call_id)
    registrar.reply(invite, 200, headers=[("Contact", "<sip:4711@%s>" % registrar.hostport)], body=SDP)
    assert call.final().status == 200


def ring(registrar, phone):
    """A call of the main registrar that the phone takes."""
    call = registrar.call(phone.user)
    phone.accept(phone.wait_invite(call))
    assert call.final().status == 200


def wait_registered(registrar, users):
    poll(lambda: all(registrar.contacts(user) for user in users), "all are registered there", 15)


def wait_gone(registrar, users):
    poll(lambda: not any(registrar.contacts(user) for user in users), "the old contacts are removed", 15)


# -- who serves whom -----------------------------------------------------------------------------------
def test_hash_gives_each_identity_one_home_and_both_have_some(house):
    house.start()
    phones = house.crowd()
    shares = {house.name(house.home(user)) for user in USERS}
    assert shares == {"pbx", "two"}
    for phone in phones.values():
        assert phone.register().status == 200
    assert all(len(r.of(user)) <= 1 for r in house.both for user in USERS), "absorbed"
    for user in USERS[:4]:
        ring(house.home(user), phones[user])
        talk(house.home(user), phones[user])


def test_the_last_phone_that_leaves_is_removed_at_its_home_alone(house):
    house.start()
    phones = house.crowd()
    for user in USERS[:4]:
        home = house.home(user)
        assert phones[user].unregister().status == 200
        home.wait_removed(user)
        assert house.other(home).of(user) == []


def test_weights_share_the_identities(house):
    config = house.configuration
    house.configuration = lambda: {**config(), "upstream": {
        name: dict(values, weight=weight) for (name, values), weight in zip(config()["upstream"].items(), (1, 1000))}}
    house.start()
    house.crowd()
    assert len(house.users_of(house.two)) >= len(USERS) - 1


def test_failover_uses_the_first_that_is_up(house):
    house.start(policy="failover")
    phones = house.crowd()
    assert house.users_of(house.two) == []
    house.dies(house.registrar)
    wait_registered(house.two, USERS)
    ring(house.two, phones["u0"])
    talk(house.two, phones["u0"])
    house.is_back(house.registrar)
    wait_registered(house.registrar, USERS)
    wait_gone(house.two, USERS)
    talk(house.registrar, phones["u0"])


def test_each_domain_may_have_its_own_policy(house):
    house.start(domains=["a.example", "b.example", "c.example"], policy="failover",
                domain_policy=["b.example=all", "c.example=hash"])
    users = {domain: {user: house.phone(user, domain=domain).registered() for user in USERS}
             for domain in ("a.example", "b.example", "c.example")}

    def held(registrar, domain):
        return {user for user in USERS if registrar.contacts(user, domain)}
    poll(lambda: held(house.registrar, "b.example") == held(house.two, "b.example") == set(USERS), "both have them")
    assert held(house.registrar, "a.example") == set(USERS) and not held(house.two, "a.example")
    shares = held(house.registrar, "c.example"), held(house.two, "c.example")
    assert all(shares) and not shares[0] & shares[1] and shares[0] | shares[1] == set(USERS)
    for user in sorted(shares[1])[:2]:
        talk(house.two, users["c.example"][user])
        talk(house.registrar, users["a.example"][user])
    house.dies(house.registrar)
    poll(lambda: held(house.two, "a.example") == held(house.two, "c.example") == set(USERS), "they have moved", 15)
    talk(house.two, users["a.example"]["u0"])


# -- one dies ------------------------------------------------------------------------------------------
def refresh_until(phones, done, what, patience=15):
    """Every phone registers, again and again: nothing but 200 is heard meanwhile."""
    deadline = time.monotonic() + patience
    while not done():
        assert time.monotonic() < deadline, what
        for phone in phones.values():
            assert phone.register().status == 200


@pytest.mark.parametrize("policy", ["hash", "all"])
def test_one_dies_under_calls_and_registrations(house, policy):
    house.start(policy=policy)
    phones = house.crowd()
    wait_registered(house.registrar, USERS if policy == "all" else house.users_of(house.registrar))
    wait_registered(house.two, USERS if policy == "all" else house.users_of(house.two))
    # The one that takes the calls of u0.
    probe = phones["u0"].call(NUMBER)
    poll(lambda: any(r.received(is_request("INVITE", probe.call_id)) for r in house.both), "the call has a way")
    dead = next(r for r in house.both if r.received(is_request("INVITE", probe.call_id)))
    alive = house.other(dead)
    probe_invite = dead.wait_request("INVITE", probe.call_id)
    dead.reply(probe_invite, 486)
    dead.wait_request("ACK", probe.call_id)
    talk_users = [user for user in USERS if policy == "all" or dead.contacts(user)]
    house.dies(dead)
    died = time.monotonic()
    tried = []

    def passes():
        tried.append(phones["u0"].call(NUMBER))
        time.sleep(0.1)  # between two tries
        return bool(alive.received(is_request("INVITE")))
    refresh_until(phones, passes, "new calls pass", 10)
    assert time.monotonic() - died <= 2 * PING + 0.6, "within two ping intervals, and what a round of tries takes"
    refresh_until(phones, lambda: all(alive.contacts(user) for user in talk_users), "the leases have moved")
    for user in talk_users[:3]:
        ring(alive, phones[user])
    house.is_back(dead)
    refresh_until(phones, lambda: all(dead.contacts(user) for user in talk_users), "they are back")
    if policy == "hash":
        wait_gone(alive, talk_users)
    else:
        assert all(alive.contacts(user) for user in USERS)
    ring(dead, phones["u0"])
    talk(dead, phones["u0"])


def test_a_call_that_was_on_its_way_to_it_is_taken_by_the_other(house):
    house.start(policy="failover")
    al = house.registered("al")
    house.registrar.wait_register("al")
    house.dies(house.registrar)
    died = time.monotonic()
    call = al.call(NUMBER)
    invite = house.two.wait_request("INVITE", call.call_id)
    assert time.monotonic() - died <= 2 * PING + 0.6, "two ping intervals"
    house.two.reply(invite, 200, headers=[("Contact", "<sip:4711@%s>" % house.two.hostport)], body=SDP)
    assert call.final().status == 200


def test_the_old_contact_goes_when_the_new_home_holds_one(house):
    """Never is an identity registered nowhere, and what moved back is removed once."""
    house.start()
    house.crowd()
    moved = house.users_of(house.registrar)
    house.dies(house.registrar)
    wait_registered(house.two, moved)
    assert all(r.expires for user in moved for r in house.two.of(user)), "nothing was removed"
    house.is_back(house.registrar)
    wait_registered(house.registrar, moved)
    wait_gone(house.two, moved)
    for user in moved:
        back = house.registrar.of(user)[-1]
        (removal,) = [r for r in house.two.of(user) if r.removes]
        assert removal.time > back.time
        assert removal.contact == house.two.of(user)[0].contact
        assert removal.request.call_id == house.two.of(user)[0].request.call_id
        assert back.request.call_id != removal.request.call_id


def test_a_phone_that_leaves_while_its_home_is_down_is_removed_there_when_it_is_back(house):
    house.start()
    phones = house.crowd()
    moved = house.users_of(house.registrar)
    house.dies(house.registrar)
    wait_registered(house.two, moved)
    assert phones[moved[0]].unregister().status == 200
    house.two.wait_removed(moved[0])
    house.registrar.state = "running"  # it had only hung: it holds all contacts still
    house.registrar.wait_removed(moved[0])
    poll(lambda: not house.registrar.contacts(moved[0]), "he is registered nowhere")
    wait_gone(house.two, moved)
    assert all(house.registrar.contacts(user) for user in moved[1:])


def test_a_challenging_pair_hears_the_phones_when_one_dies(house):
    """auth = "upstream", means none: the next REGISTER of each phone goes to the new home, with credentials."""
    for registrar in house.both:
        registrar.trusted = False
        registrar.passwords = {user: "secret" for user in USERS}
    house.start(auth="upstream")
    phones = house.crowd(password="secret")
    moved = house.users_of(house.registrar)
    house.dies(house.registrar)
    house.midreg.wait_log("event=upstream_down", timeout=5)
    refresh_until(phones, lambda: all(house.two.contacts(user) for user in moved), "they have moved")
    house.is_back(house.registrar)
    house.midreg.wait_log("event=upstream_up", timeout=10)
    refresh_until(phones, lambda: all(house.registrar.contacts(user) for user in moved), "they are back")


def test_a_register_that_is_on_its_way_when_its_main_registrar_dies_goes_to_the_other(house):
    house.start(forward_timeout_new="15s")
    house.crowd()
    house.dies(house.registrar)
    phones = [house.phone("late%d" % i) for i in range(6)]
    requests = [phone.register_request() for phone in phones]
    for phone, request in zip(phones, requests):
        phone.send(request, phone.server)
    for phone, request in zip(phones, requests):
        assert phone.final(request, phone.server, 10).status == 200
        assert house.two.contacts(phone.user)


# -- all ------------------------------------------------------------------------------------------------
def test_all_registers_each_identity_at_both_and_removes_it_at_both(house):
    house.start(policy="all")
    phones = house.crowd()
    for registrar in house.both:
        wait_registered(registrar, USERS)
    for user in USERS:
        first, second = (r.of(user)[0] for r in house.both)
        assert first.request.call_id != second.request.call_id, "two registrations"
    assert phones["u0"].unregister().status == 200
    for registrar in house.both:
        registrar.wait_removed("u0")
    for phone in list(phones.values())[1:]:
        assert phone.register().status == 200
    assert all(len(r.of(user)) == 1 for r in house.both for user in USERS[1:]), "absorbed"


def test_all_refreshes_each_lease_by_itself(house):
    house.two.grant_at_most = 4
    house.start(policy="all")
    house.phone("al").registered()
    house.two.wait_register("al", count=3, timeout=15)
    assert len(house.registrar.of("al")) == 1


def test_all_keeps_who_is_unknown_to_one_of_them(house):
    house.two.refuse = {user: 404 for user in USERS}
    house.start(policy="all")
    phones = [house.phone(user) for user in USERS]
    known = [phone for phone in phones if phone.register().status == 200]
    assert known, "those whose home is the other one"
    for phone in known:
        house.two.wait_register(phone.user)
        assert phone.register().status == 200
        assert house.registrar.contacts(phone.user)


# -- restarts of midreg ---------------------------------------------------------------------------------
def test_after_a_restart_of_midreg_the_old_contacts_are_still_removed(house):
    house.start()
    house.crowd()
    moved = house.users_of(house.registrar)
    house.dies(house.registrar)
    wait_registered(house.two, moved)
    house.restart()
    house.registrar.state = "running"
    wait_registered(house.registrar, moved)
    wait_gone(house.two, moved)


def test_what_show_says_of_leases_at_two(house):
    house.start(policy="all")
    house.phone("al").registered()
    for registrar in house.both:
        wait_registered(registrar, ["al"])
    said = command("show", "al@example.com", "-c", house.midreg.config_file).stdout
    assert "lease at pbx: held" in said and "lease at two: held" in said

"""Main registrars with a name: looked up, followed when it moves, kept when nobody can be asked."""
import re

import pytest

from toolkit.dialog import ask
from toolkit.dns import A, NAPTR, SRV, Dns
from toolkit.endpoint import poll
from toolkit.house import House
from toolkit.main_registrar import MainRegistrar
from toolkit.midreg import command, free_port, has_ipv6

NAME = "pbx.example.net"


class NamedHouse(House):
    """The upstream has a name, which a DNS server of the test's knows."""

    def __init__(self, directory):
        self.dns = Dns()
        super().__init__(directory)

    def begin(self, address, **options):
        return self.start(upstream={"address": address, "ping-interval": 1}, resolver=self.dns.hostport, **options)

    def close(self):
        super().close()
        self.dns.close()


@pytest.fixture
def house(tmp_path):
    house = NamedHouse(tmp_path)
    yield house
    house.close()


def second_registrar(house, host):
    """Another one, with the same port at another address of loopback."""
    registrar = MainRegistrar(place=(host, house.registrar.port))
    house.phones.append(registrar)
    return registrar


def status(house):
    return command("status", "-c", house.midreg.config_file).stdout


def named(house):
    return "%s:%d" % (NAME, house.registrar.port)


def test_phones_are_registered_where_the_name_leads(house):
    house.dns.address(NAME, "127.0.0.1")
    house.begin(named(house))
    house.midreg.wait_log("event=upstream_moved upstream=pbx host=pbx.example.net from=nowhere to=127.0.0.1:")
    house.midreg.wait_log("event=upstream_up")
    house.registered("al")
    assert house.registrar.contacts("al")
    assert house.dns.count("_sip._udp." + NAME, SRV) == 0, "a port is written"


def test_a_name_without_a_port_leads_where_its_srv_records_say(house):
    house.dns.address("a." + NAME, "127.0.0.1")
    house.dns.address("b." + NAME, "127.0.0.9")
    house.dns.service(NAME, (20, 0, 5060, "b." + NAME), (10, 0, house.registrar.port, "a." + NAME))
    house.begin(NAME)
    house.midreg.wait_log("event=upstream_up")
    house.registered("al")
    assert house.registrar.contacts("al")


def test_naptr_records_lead_to_the_srv_records(house):
    house.dns.address("a." + NAME, "127.0.0.1")
    house.dns.address("b." + NAME, "127.0.0.9")
    house.dns.service(NAME, (10, 0, 5060, "b." + NAME))
    house.dns.service("sip." + NAME, (10, 0, house.registrar.port, "a." + NAME))
    house.dns.naptr(NAME, (10, 10, "SIPS+D2T", "_sips._tcp." + NAME), (10, 20, "SIP+D2U", "_sip._udp.sip." + NAME))
    house.begin(NAME)
    house.midreg.wait_log("event=upstream_up")
    house.registered("al")
    assert house.registrar.contacts("al")
    assert house.dns.count(NAME, NAPTR) >= 1 and house.dns.count("_sip._udp." + NAME, SRV) == 0


def test_when_the_record_changes_all_leases_move_and_no_phone_notices(house):
    house.dns.address(NAME, "127.0.0.1")
    house.begin(named(house))
    house.midreg.wait_log("event=upstream_up")
    phones = [house.registered("u%d" % i) for i in range(5)]
    other = second_registrar(house, "127.0.0.2")
    house.dns.address(NAME, "127.0.0.2")
    answers = []

    def all_moved():
        answers.extend(phone.register().status for phone in phones)
        return all(other.contacts("u%d" % i) for i in range(5))
    poll(all_moved, "all leases are at the new address", 15)
    answers.extend(phone.register().status for phone in phones)
    assert set(answers) == {200}
    house.midreg.wait_log(r"event=upstream_moved .*from=127.0.0.1:\d+ to=127.0.0.2:")
    house.registered("new")
    assert other.contacts("new") and not house.registrar.contacts("new")


def test_a_call_of_the_new_address_reaches_the_phone(house):
    house.dns.address(NAME, "127.0.0.1")
    house.begin(named(house))
    house.midreg.wait_log("event=upstream_up")
    phone = house.registered("al")
    other = second_registrar(house, "127.0.0.2")
    house.dns.address(NAME, "127.0.0.2")
    poll(lambda: other.contacts("al"), "the lease is at the new address", 15)
    call = other.call("al")
    phone.wait_invite(call)


def test_without_a_dns_server_the_last_address_is_used_on(house):
    house.dns.address(NAME, "127.0.0.1")
    house.begin(named(house))
    house.midreg.wait_log("event=upstream_up")
    house.registered("al")
    house.dns.close()
    house.midreg.wait_log(r"event=name_unknown .*no DNS server answers.*goes_on_with=127.0.0.1:", timeout=25)
    house.registered("bo")
    assert house.registrar.contacts("bo")
    assert "upstream_down" not in house.midreg.output


def test_a_name_that_is_gone_leaves_the_last_address(house):
    house.dns.address(NAME, "127.0.0.1")
    house.begin(named(house))
    house.midreg.wait_log("event=upstream_up")
    house.dns.forget(NAME)
    house.midreg.wait_log(r"event=name_unknown .*has no addresses.*goes_on_with=127.0.0.1:", timeout=15)
    house.registered("bo")
    assert house.registrar.contacts("bo")


def test_before_the_first_answer_new_phones_get_503(house):
    house.begin(named(house))
    house.midreg.wait_log("event=name_awaited upstream=pbx host=pbx.example.net")
    house.midreg.wait_log("event=name_unknown .*counts as down")
    answer = house.phone("al").register()
    assert answer.status == 503 and 1 <= int(answer.get("retry-after")) <= 30
    assert re.search(r"^pbx +pbx.example.net +down", status(house), re.M)
    house.dns.address(NAME, "127.0.0.1")
    house.midreg.wait_log("event=upstream_up", timeout=15)
    assert re.search(r"^pbx +127.0.0.1:\d+ +up", status(house), re.M)
    house.registered("al")
    assert house.registrar.contacts("al")


def test_a_restart_makes_no_storm(house):
    """Where the leases are is known from before, also while no DNS server answers."""
    house.dns.address(NAME, "127.0.0.1")
    house.begin(named(house), store="sqlite")
    house.midreg.wait_log("event=upstream_up")
    for i in range(5):
        house.registered("u%d" % i)
    house.dns.silent = True
    registers = [r for i in range(5) for r in house.registrar.of("u%d" % i)]
    house.restart()
    house.registered("new")
    assert house.registrar.contacts("new")
    house.dns.silent = False
    asked = house.dns.count(NAME, A)
    house.dns.wait_asked(NAME, A, asked + 2)  # the first has been answered then
    assert "upstream_moved" not in house.midreg.output
    assert [r for i in range(5) for r in house.registrar.of("u%d" % i)] == registers


def test_after_a_crash_it_is_not_known_where_the_leases_are(house):
    house.dns.address(NAME, "127.0.0.1")
    house.begin(named(house), store="sqlite")
    house.midreg.wait_log("event=upstream_up")
    house.registered("al")
    house.restart()
    house.registered("bo")  # it runs
    house.midreg.kill()
    house.midreg = house.run(house.midreg.config_file)
    house.registrar.wait_register("al", count=2)


def test_another_contact_of_ours_after_a_crash(house):
    """It is known only when the name is resolved, and compared then: the earlier contact does not stay."""
    house.dns.address(NAME, "127.0.0.1")
    house.begin(named(house))
    house.midreg.wait_log("event=reload_ended")
    house.registered("al")
    first = house.registrar.wait_register("al")
    house.midreg.kill()
    house.start(upstream={"address": named(house), "ping-interval": 1, "contact": "127.0.0.1:%d" % free_port()},
                resolver=house.dns.hostport)
    house.midreg.wait_log("event=contact_moved upstream=pbx before=%s:%d" % house.server)
    assert house.registrar.wait_removed("al", timeout=10).contact == first.contact
    house.midreg.wait_log("event=reload_ended upstream=pbx done=1 failed=0", timeout=10)
    assert len(house.registrar.contacts("al")) == 1


def test_a_name_that_led_elsewhere_while_midreg_was_away(house):
    house.dns.address(NAME, "127.0.0.1")
    house.begin(named(house), store="sqlite")
    house.midreg.wait_log("event=upstream_up")
    house.registered("al")
    other = second_registrar(house, "127.0.0.2")
    house.midreg.stop()
    house.dns.address(NAME, "127.0.0.2")
    house.midreg = house.run(house.midreg.config_file)
    poll(lambda: other.contacts("al"), "the lease is where the name leads", 15)


def test_the_next_address_of_the_name_takes_over(house):
    house.dns.address(NAME, "127.0.0.1", "127.0.0.2", ttl=60)
    other = second_registrar(house, "127.0.0.2")
    house.begin(named(house))
    house.midreg.wait_log("event=upstream_up")
    phone = house.registered("al")
    first, second = (house.registrar, other) if house.registrar.contacts("al") else (other, house.registrar)
    first.close()
    answers = []

    def moved():
        answers.append(phone.register().status)
        return second.contacts("al")
    poll(moved, "the lease is at the other address", 15)
    assert set(answers) == {200}


def test_a_call_of_another_address_of_the_name_ends_where_it_began(house):
    house.dns.address(NAME, "127.0.0.1", "127.0.0.2", ttl=60)
    other = second_registrar(house, "127.0.0.2")
    house.begin(named(house))
    house.midreg.wait_log("event=upstream_up")
    phone = house.registered("al")
    holder, caller = (house.registrar, other) if house.registrar.contacts("al") else (other, house.registrar)
    call = caller.call_contact(holder.stored_contact("al"))
    invite = phone.wait_invite(call)
    dialog = phone.accept(invite)
    assert call.final().status == 200
    phone.wait_ack(invite)
    came, answer = ask(dialog, caller, "BYE")
    assert came.method == "BYE" and answer.status == 200


def test_a_stop_in_the_middle_of_a_move(house):
    """Where the leases are is not where the name leads: they are registered there all the same."""
    house.dns.address(NAME, "127.0.0.1")
    house.begin(named(house), store="sqlite")
    house.midreg.wait_log("event=upstream_up")
    house.registered("al")
    house.dns.address(NAME, "127.0.0.2")  # nobody is there yet
    house.midreg.wait_log("event=upstream_moved .* to=127.0.0.2:", timeout=15)
    house.midreg.stop()
    other = second_registrar(house, "127.0.0.2")
    house.midreg = house.run(house.midreg.config_file)
    poll(lambda: other.contacts("al"), "the lease is where the name leads", 15)


class SpareHouse(NamedHouse):
    """A second upstream, by address, takes over while the first is not to be had."""
    spare = None

    def places(self):
        server, registrar = super().places()
        self.spare = MainRegistrar()
        return server, registrar

    def configuration(self):
        config = super().configuration()
        config["upstream"]["spare"] = {"address": self.spare.hostport, "rate": 0, "ping-interval": 1}
        return config

    def close(self):
        self.phones.append(self.spare)
        super().close()


@pytest.fixture
def spare_house(tmp_path):
    house = SpareHouse(tmp_path)
    yield house
    house.close()


def test_while_one_is_not_known_another_serves(spare_house):
    house = spare_house
    house.begin(named(house), policy="failover")
    phone = house.registered("al")
    assert house.spare.contacts("al")
    house.dns.address(NAME, "127.0.0.1")
    house.midreg.wait_log("event=upstream_up upstream=pbx", timeout=15)
    poll(lambda: house.registrar.contacts("al") and not house.spare.contacts("al"),
         "the lease is at the first", 10)
    assert phone.register().status == 200


def test_when_it_moves_another_bridges_the_gap(spare_house):
    house = spare_house
    house.dns.address(NAME, "127.0.0.1")
    house.begin(named(house), policy="failover")
    house.midreg.wait_log("event=upstream_up upstream=pbx")
    phone = house.registered("al")
    assert house.registrar.contacts("al")
    house.dns.address(NAME, "127.0.0.2")  # nobody is there yet
    answers = []

    def bridged():
        answers.append(phone.register().status)
        return house.spare.contacts("al")
    poll(bridged, "the lease is at the other upstream", 15)
    other = second_registrar(house, "127.0.0.2")
    poll(lambda: other.contacts("al") and not house.spare.contacts("al"), "it is where the name leads", 15)
    answers.append(phone.register().status)
    assert set(answers) == {200}


def test_a_connection_to_where_the_name_leads_bears_the_upstreams_own_address(house):
    own, listener = free_port(), house.registrar.listen()
    house.dns.address(NAME, "127.0.0.1")
    house.start(resolver=house.dns.hostport, upstream={
        "address": named(house), "challenges-calls": True, "sources": ["127.0.0.1"],
        "listen": ["%s:127.0.0.1:%d" % (transport, own) for transport in ("udp", "tcp")]})
    house.midreg.wait_log("event=upstream_up")
    al = house.registered("al")

    def large_call():
        call = al.call("sip:100@example.com", headers=[("X-Large", "x" * 3000)])
        request = house.registrar.wait_request("INVITE", call.call_id)
        house.registrar.reply(request, 486)
        assert call.final().status == 486
        return request
    large_call()
    connection = listener.wait_connection()
    request = poll(lambda: next((r for r in [large_call()] if r.source is connection), None), "it comes by TCP")
    assert request.get("via").startswith("SIP/2.0/TCP 127.0.0.1:%d;" % own)


def test_strangers_may_call_by_the_name_of_one_that_challenges_calls(house):
    house.dns.address(NAME, "127.0.0.1")
    house.start(upstream={"address": named(house), "challenges-calls": True}, resolver=house.dns.hostport)
    house.midreg.wait_log("event=upstream_up")
    call = house.phone("stranger").call("sip:100@%s" % NAME)
    request = house.registrar.wait_request("INVITE", call.call_id)
    house.registrar.reply(request, 486)
    assert call.final().status == 486
    elsewhere = house.phone("stranger").call("sip:100@other.example.net")
    assert elsewhere.final().status == 403


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 here")
def test_a_move_to_the_other_family(house):
    """Our contact there is another one, and known after a restart."""
    house.dns.address(NAME, "127.0.0.1")
    house.begin(named(house), store="sqlite", listen=["udp:127.0.0.1:%d" % house.port, "udp:[::1]:%d" % house.port])
    house.midreg.wait_log("event=upstream_up")
    phone = house.registered("al")
    house.restart()  # now the contact is noted
    other = second_registrar(house, "::1")
    house.dns.address(NAME, "::1")
    poll(lambda: other.contacts("al"), "the lease is at the new address", 15)
    assert "@[::1]:%d" % house.port in other.contacts("al")[0]
    phone.accept(phone.wait_invite(other.call("al")))
    house.midreg.wait_log("event=reload_ended")
    registers = other.of("al")
    house.restart()
    house.registered("bo")
    assert other.contacts("bo") and other.of("al") == registers
    assert "contact_moved" not in house.midreg.output and "upstream_moved" not in house.midreg.output

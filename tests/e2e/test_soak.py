"""midreg is killed at random moments under load: what it had answered with 200 is so afterwards.

SOAK_KILLS says how often (`make soak`: 200); SOAK_SEED which moments and phones.
"""
import os
import random
import re
import select
import socket
import time

import pytest

from toolkit.crowd import Exchange, field
from toolkit.house import House

KILLS = int(os.environ.get("SOAK_KILLS", 20))
SEED = int(os.environ.get("SOAK_SEED", 1))
USERS, CONTACTS = 150, 3
COPY_AFTER = 0.3  # seconds without an answer
IN_FLIGHT = 60
A_DAY = 86400
CONTACT_URI = re.compile(rb"<(sip:u\d+-\d+@[^>]*)>")


class Contact:
    """A phone: one contact of a user, with a Call-ID of its own. `there`: True, False, or None while the answer to
    what it asked for is not known."""

    def __init__(self, user, number, place):
        self.user, self.name = user, b"u%d-%d" % (user, number)
        self.uri = b"sip:%s@%s" % (self.name, place)
        self.cseq, self.there, self.asked = 0, False, None
        self.message, self.copy_at, self.statuses = None, 0, []


class Phones:
    def __init__(self, server, seed):
        self.server, self.dice = server, random.Random(seed)
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(("127.0.0.1", 0))
        self.place = b"127.0.0.1:%d" % self.socket.getsockname()[1]
        self.contacts = [Contact(u, n, self.place) for u in range(USERS) for n in range(CONTACTS)]
        self.by_name = {c.name: c for c in self.contacts}
        self.waiting = {}
        self.answered = 0

    def request(self, user, call_id, cseq, lines):
        return (b"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP %s;rport;branch=z9hG4bK%s.%d\r\n"
                b"Max-Forwards: 70\r\nFrom: <sip:u%d@example.com>;tag=t\r\nTo: <sip:u%d@example.com>\r\n"
                b"Call-ID: %s\r\nCSeq: %d REGISTER\r\n%sContent-Length: 0\r\n\r\n") % (
                    self.place, call_id, cseq, user, user, call_id, cseq, lines)

    def ask(self, c, there):
        c.cseq += 1
        c.asked, c.there = there, c.there if c.there == there else None
        c.message = self.request(c.user, c.name, c.cseq, b"Contact: <%s>;expires=%d\r\n" % (c.uri, A_DAY if there else 0))
        self.waiting[c.name] = c
        self.send(c)

    def send(self, c):
        self.socket.sendto(c.message, self.server)
        c.copy_at = time.monotonic() + COPY_AFTER

    def take_answers(self, within):
        while select.select([self.socket], [], [], within)[0]:
            within = 0
            data = self.socket.recv(65536)
            c = self.waiting.get(field(data, b"Call-ID"))
            status = int(data[8:11])
            if status < 200 or not c or field(data, b"CSeq") != b"%d REGISTER" % c.cseq:
                continue
            del self.waiting[c.name]
            c.statuses.append(status)
            assert status == 200, "%s got %d" % (c.name.decode(), status)
            c.there, c.asked = c.asked, None
            self.answered += 1

    def live(self, seconds):
        """New ones, refreshes and removals, as fast as they are answered."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            while len(self.waiting) < IN_FLIGHT:
                c = self.dice.choice(self.contacts)
                if c.name not in self.waiting:
                    self.ask(c, self.dice.random() < (0.8 if c.there else 0.6))
            self.copy_late_ones()
            self.take_answers(0.02)

    def copy_late_ones(self):
        for c in [c for c in self.waiting.values() if c.copy_at < time.monotonic()]:
            self.send(c)

    def settle(self):
        """Everybody gets his answer."""
        end = time.monotonic() + 20
        while self.waiting and time.monotonic() < end:
            self.copy_late_ones()
            self.take_answers(0.02)
        assert not self.waiting, "%d phones got no answer" % len(self.waiting)

    def listed(self, number):
        """{user: the contacts that a query lists}"""
        found, end = {}, time.monotonic() + 20
        while len(found) < USERS and time.monotonic() < end:
            for user in range(USERS):
                if user not in found:
                    self.socket.sendto(self.request(user, b"q%d" % user, number, b""), self.server)
            while select.select([self.socket], [], [], 0.1)[0]:
                data = self.socket.recv(65536)
                call_id = field(data, b"Call-ID")
                if call_id.startswith(b"q") and data.startswith(b"SIP/2.0 200"):
                    found[int(call_id[1:])] = set(CONTACT_URI.findall(data))
        assert len(found) == USERS, "only %d of the queries were answered" % len(found)
        return found

    def check(self, number):
        """What had its 200 is so; nobody knows of the others."""
        listed = self.listed(number)
        for c in self.contacts:
            is_there = c.uri in listed[c.user]
            if c.there is not None:
                assert is_there == c.there, "%s: answered with 200 as %s, is %s" % (c.name, c.there, is_there)

    def close(self):
        self.socket.close()


class KilledHouse(House):
    exchange = None

    def places(self):
        server, registrar = super().places()
        registrar.close()
        self.exchange = Exchange()
        return server, self.exchange

    def kill_and_restart(self):
        self.midreg.kill()
        self.midreg = self.run(self.midreg.config_file)


@pytest.fixture
def house(tmp_path):
    house = KilledHouse(tmp_path)
    yield house
    house.close()


@pytest.mark.slow
def test_killed_at_random_moments(house):
    house.exchange.MOST_A_SECOND = 1 << 30
    house.start(store="sqlite", phone_expires=A_DAY, upstream_expires=2 * A_DAY)
    phones = Phones(house.server, SEED)
    house.phones.append(phones)
    contacts_upstream = {}
    for kill in range(1, KILLS + 1):
        phones.live(phones.dice.uniform(0.05, 0.8))
        house.kill_and_restart()
        phones.check(kill)
        phones.settle()
        for user, contact in list(house.exchange.rows.items()):
            address = contact.split(b">")[0]
            assert contacts_upstream.setdefault(user, address) == address, "a lease is doubled upstream"
    phones.check(KILLS + 1)
    wanted = {b"u%d" % c.user for c in phones.contacts if c.there}
    deadline = time.monotonic() + 20
    while set(house.exchange.rows) != wanted and time.monotonic() < deadline:
        time.sleep(0.1)
    assert set(house.exchange.rows) == wanted, "registered upstream if and only if somebody is here"
    print("%d kills, %d answers" % (KILLS, phones.answered))

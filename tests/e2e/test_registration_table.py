"""Every row of the tables in docs/registration.md, played over the wire and in simulation.

The document is the expectation: this file knows only how to bring about what the first four
columns say and how to name what it sees in the words of the others.
"""
import contextlib
import re
from collections import namedtuple
from pathlib import Path

import pytest

from toolkit.house import House
from toolkit.simulation import SimulatedHouse

DOCUMENT = Path(__file__).parents[2] / "docs" / "registration.md"
COLUMNS = ("registered", "who", "what", "credentials", "proof", "hears", "gets", "after")
SECRET = "secret"

# Of one REGISTER: what went up and what came back, in the document's words; did the main registrar accept
# the phone's credentials?
Seen = namedtuple("Seen", "heard told accepted")


class Wire:
    """The program over real sockets. Time is real, so it is short."""

    house = House
    lease, phone = 8, 4  # seconds granted where the lease shall become due: to midreg, and at least to a phone
    options = {"phone_expires": 60, "min_expires": 2, "forward_timeout": "500ms", "forward_timeout_new": 1}


class Simulation:
    """The core in a simulated world. Waiting costs nothing: all times are midreg's defaults."""

    house = SimulatedHouse
    lease, phone = 3600, 108  # a phone's 120 less the jitter
    options = {}


WORLDS = {"wire": Wire, "simulation": Simulation}


def rows():
    auth = None
    for line in DOCUMENT.read_text().splitlines():
        heading = re.match(r"#+ (.*)", line)
        if heading:
            found = re.match(r'auth = "(\w+)"$', heading[1])
            auth = found and found[1]
        cells = [c.strip() for c in line.strip("|").split("|")]
        if auth and line.startswith("|") and cells[0] not in ("registered", "---"):
            assert len(cells) == len(COLUMNS), line
            yield dict(zip(COLUMNS, cells), auth=auth)


def name_of(row):
    return ": ".join([row["auth"], row["registered"], " ".join((row["who"], row["what"], row["credentials"]))])


class Scene:
    """The identity `al` with its phones, each known by a letter."""

    def __init__(self, world, house, row):
        self.world, self.house, self.registrar = world, house, house.registrar
        self.setting = row["registered"].split(", ")
        self.proves = row["auth"] == "upstream"
        self.due = "lease due" in self.setting
        self.registrar.passwords = {"al": SECRET}
        self.registrar.trusted = not (self.proves or self.due)
        self.phones = {}
        self.before_reboot = ("no such Call-ID", 0)
        house.start(auth=row["auth"], max_contacts=2 if "two are the most" in row["what"] else 10,
                    **world.options)
        if self.proves:
            self.registrar.wait_probe()
        if self.due:
            self.registrar.grant_at_most = world.lease
        for letter in self.setting:
            if len(letter) == 1:
                self.register(letter)
        if self.due:
            self.let_it_become_due()
        house.fence()
        if "silent" in self.setting:
            self.registrar.silent_for.add("al")

    def phone(self, letter):
        if letter not in self.phones:
            self.phones[letter] = self.house.phone("al", SECRET)
        return self.phones[letter]

    def register(self, letter):
        self.phone(letter).registered()

    def let_it_become_due(self):
        """Until half of the lease has passed the phone refreshes, then it lets a little time pass."""
        now, sleep = self.house.world.now, self.house.world.sleep
        half, pause = now() + self.world.lease / 2, self.world.phone * 0.7
        while now() + pause < half:
            sleep(pause)
            self.register("A")
        sleep(max(0.0, half + self.world.phone * 0.2 - now()))

    # -- the asking ----------------------------------------------------------------------------
    def asker(self, who):
        letter, _, how = who.partition(" ")
        if who == "stranger":
            return self.house.phone("al", SECRET)
        phone = self.phone(letter)
        if how == "moved":
            return self.moved(phone)
        if how == "rebooted":
            self.before_reboot = (phone.call_id, phone.cseq)
            phone.call_id, phone.cseq = "rebooted-" + phone.call_id, 0
        return phone

    def moved(self, phone):
        """The same phone at another address."""
        moved = self.house.phone("al", SECRET)
        moved.call_id, moved.cseq, moved.uri, moved.tag = phone.call_id, phone.cseq, phone.uri, phone.tag
        return moved

    def authorize(self, phone, credentials):
        """The Authorization field to send, for a nonce that somebody else was given."""
        if credentials == "none":
            return []
        challenge = self.house.phone("visitor").register_once()
        assert challenge.status == 401
        phone.meet(challenge.get("www-authenticate"))
        phone.password = SECRET if credentials == "good" else "wrong"
        return [("Authorization", phone.credentials("REGISTER", phone.registrar_uri))]

    def request(self, phone, what, headers):
        own = "<%s>" % phone.uri
        if what == "repeat":
            return phone.last_request
        kinds = {
            "register": {},
            "register, two are the most": {},
            "change": {"contacts": [own + ";q=0.5"]},
            "remove": {"expires": 0},
            "remove A": {"expires": 0, "contacts": ["<%s>" % self.phones["A"].uri] if "A" in self.phones else []},
            "remove all": {"expires": 0, "contacts": ["*"]},
            "query": {"expires": None, "contacts": []},
            "old": {"cseq": phone.cseq - 1},
            "brief": {"expires": 1},
        }
        return phone.register_request(headers=headers, **kinds[what])

    def ask(self, row, elsewhere=False):
        """`elsewhere`: but the REGISTER comes from another address than it should."""
        phone = self.asker(row["who"])
        if row["what"] == "old":
            phone.cseq += 5
            self.register(row["who"])
        if row["what"] == "repeat":
            phone.last_request = phone.register_request()
            assert phone.exchange(phone.last_request, phone.server).status == 200
            phone.copies.clear()
        what = row["what"]
        if elsewhere:
            phone = self.moved(phone)
            if what == "repeat":  # from there it is no copy, and would come too late (RFC 3261 10.3)
                what = "register"
        headers = self.authorize(phone, row["credentials"])
        before = len(self.registrar.of("al"))
        answer = phone.exchange(self.request(phone, what, headers), phone.server)
        self.house.fence()
        registers = self.registrar.of("al")[before:]
        accepted = any(r.status == 200 and r.request.has("authorization") for r in registers)
        return Seen(self.heard(registers), self.told(answer), accepted)

    # -- the words for what is seen ------------------------------------------------------------
    @staticmethod
    def heard(registers):
        def word(r):
            return ("removal" if r.removes else "registration") + (
                " with credentials" if r.request.get("authorization") else "")
        return " and ".join(word(r) for r in registers) or "nothing"

    def names(self, contacts):
        letters = {phone.uri: letter for letter, phone in self.phones.items()}
        return ", ".join(sorted(letters[c.uri] for c in contacts)) or "nobody"

    def told(self, answer):
        if answer.status != 200:
            assert answer.contacts == []
            return str(answer.status)
        return "200: " + self.names(answer.contacts)

    def after(self):
        """By the word of a phone that may ask: one that is registered, or anybody if none is."""
        for phone in [p for p in self.house.phones if p.user == "al"]:
            for call_id, cseq in ((phone.call_id, phone.cseq), self.before_reboot):
                answer = phone.register_once(None, contacts=[], call_id=call_id, cseq=cseq + 1)
                if answer.status == 200:
                    return self.names(answer.contacts)
        return "somebody who is not known"


@contextlib.contextmanager
def played(directory, world, row, **how):
    """The scene after this row, and what was seen in it."""
    directory.mkdir()
    with contextlib.closing(world.house(directory)) as house:
        scene = Scene(world, house, row)
        yield scene, scene.ask(row, **how)


def proof_of(directory, world, row, seen):
    """Why it was believed. The flow was the proof if the same is not believed from elsewhere."""
    if not seen.told.startswith("200"):
        return "none"
    if seen.accepted:
        return "main registrar"
    with played(directory, world, row, elsewhere=True) as (_, moved):
        if moved.accepted or not moved.told.startswith("200"):
            return "flow"
    return "network" if row["auth"] == "none" else "none"  # there was nothing to prove


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("row", list(rows()), ids=name_of)
def test_row(tmp_path, row, world):
    with played(tmp_path / "here", WORLDS[world], row) as (scene, seen):
        assert (seen.heard, seen.told, scene.after()) == (row["hears"], row["gets"], row["after"])
    assert proof_of(tmp_path / "elsewhere", WORLDS[world], row, seen) == row["proof"]


def test_the_simulation_says_the_same_bytes_each_time(tmp_path):
    row = next(r for r in rows() if "lease due" in r["registered"] and r["credentials"] == "good")
    transcripts = []
    for time in ("first", "second"):
        with played(tmp_path / time, Simulation, row) as (scene, _):
            transcripts.append(scene.house.world.transcript)
    assert len(transcripts[0]) > 50 and transcripts[0] == transcripts[1]


def test_the_tables_are_there():
    counts = {auth: sum(r["auth"] == auth for r in rows()) for auth in ("none", "upstream")}
    assert counts["none"] >= 20 and counts["upstream"] >= 35
    assert len({name_of(r) for r in rows()}) == sum(counts.values())

"""The machine's clock is set, while midreg runs and while it does not: nothing vanishes, and nothing lives for ever.

libfaketime lies to midreg about the time of day; the seconds since the machine's start stay true.
"""
import glob
import os
import sqlite3
import time

import pytest

from toolkit.endpoint import poll
from toolkit.house import House
from toolkit.midreg import Midreg, environment

DAY = 86400
LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)


class ClockHouse(House):
    """midreg's clock is so many seconds off, also while it runs."""

    def __init__(self, directory):
        super().__init__(directory)
        self.file = directory / "clock"
        self.set_clock(0)

    def set_clock(self, seconds):
        new = self.file.with_suffix(".new")
        new.write_text("%+d" % seconds)
        new.rename(self.file)

    def run(self, config_file):
        lies = {"LD_PRELOAD": LIBRARY, "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1",
                "ASAN_OPTIONS": environment()["ASAN_OPTIONS"] + ":verify_asan_link_order=0"}
        return Midreg(config_file, self.port, more=lies)

    def stored(self, phone):
        """In how many of our seconds this phone's contact expires, as the file says."""
        with sqlite3.connect("file:%s?mode=ro" % (self.directory / "state" / "midreg.db"), uri=True) as db:
            rows = db.execute("SELECT expires FROM binding WHERE contact = ?", (phone.uri,)).fetchall()
        return rows[0][0] - time.time() if rows else None

    def killed_and_set(self, seconds):
        self.midreg.kill()
        for left in glob.glob("/dev/shm/*faketime_*_%d" % self.midreg.process.pid):
            os.unlink(left)  # the library's
        self.set_clock(seconds)
        self.midreg = self.run(self.midreg.config_file)


@pytest.fixture
def house(tmp_path):
    assert LIBRARY, "libfaketime is not there: tools/install-deps test"
    house = ClockHouse(tmp_path)
    yield house
    house.close()


@pytest.fixture(params=[DAY, -DAY], ids=["forward", "back"])
def jump(request):
    return request.param


def rings(house, phone):
    call = house.registrar.call(phone.user)
    phone.refuse(phone.wait_invite(call), 486)
    return call.final().status == 486


def registers(house, phone):
    return house.registrar.of(phone.user)


def leaves(house, phone, within):
    """Its lease is given back, and no sooner than it expires."""
    house.registrar.wait_register(phone.user, match=lambda r: r.removes, timeout=within)
    return registers(house, phone)[-1]


# -- while it runs ---------------------------------------------------------------------------------------
def test_a_clock_that_is_set_while_midreg_runs_changes_nothing(house, jump):
    house.start()
    al = house.registered("al")
    first = house.registrar.wait_register("al")
    house.set_clock(jump)
    bo = house.registered("bo")
    poll(lambda: house.stored(bo) is not None, "bo is stored")
    assert abs(house.stored(bo) - 60 - jump) < 30, "midreg sees the clock that was set"
    assert al.registered() and rings(house, al) and rings(house, bo)
    house.fence()
    assert len(registers(house, al)) == 1
    assert al.unregister().status == 200
    last = leaves(house, al, within=5)
    assert last.request.call_id == first.request.call_id and last.request.cseq > first.request.cseq


def test_what_was_granted_ends_when_it_was_to_end(house, jump):
    house.start()
    al = house.phone("al").registered(3)
    begun = time.monotonic()
    house.registrar.wait_register("al")
    house.set_clock(jump)
    assert rings(house, al)
    leaves(house, al, within=10)
    assert 1.9 < time.monotonic() - begun < 8


def test_cseq_goes_on_after_the_clock_went_there_and_back(house):
    house.start()
    al = house.phone("al")
    seen = []
    for seconds in (0, DAY, -DAY, 0):
        house.set_clock(seconds)
        assert al.registered() and al.unregister().status == 200
        house.registrar.wait_removed("al", count=len(seen) // 2 + 1)
        seen = [r.request.cseq for r in registers(house, al)]
    assert len(seen) == 8 and seen == sorted(set(seen)), seen
    assert seen[2] - seen[1] > DAY / 2, "the clock was seen"


# -- while it is down --------------------------------------------------------------------------------------
def test_nobody_vanishes_when_the_clock_was_set_meanwhile(house, jump):
    house.start()
    phones = [house.registered("al%d" % i) for i in range(10)]
    for phone in phones:
        house.registrar.wait_register(phone.user)
    house.killed_and_set(jump)
    house.midreg.wait_log("event=store_loaded aors=10 bindings=10 refused=0")
    assert all(rings(house, phone) for phone in phones)
    for phone in phones:  # what is left of a lease is not known any more: each goes up once
        house.registrar.wait_register(phone.user, count=2, timeout=10)
        assert phone.registered()
    house.fence()
    for phone in phones:
        first, second = registers(house, phone)
        assert second.request.call_id == first.request.call_id and second.contact == first.contact
        assert second.request.cseq > first.request.cseq


def test_nobody_lives_for_ever_when_the_clock_was_set_meanwhile(house, jump):
    """He lives on for longer than the five seconds within which stored leases are looked after."""
    house.start()
    al = house.phone("al").registered(7)
    first = house.registrar.wait_register("al")
    house.killed_and_set(jump)
    house.registrar.wait_register("al", count=2, timeout=6)
    last = leaves(house, al, within=15)
    assert last.request.call_id == first.request.call_id and last.request.cseq > first.request.cseq
    assert house.registrar.contacts("al") == []


def test_a_machine_that_woke_up_in_1970(house):
    """It has no clock of its own, and asks the network later."""
    house.start()
    al = house.registered("al")
    first = house.registrar.wait_register("al")
    house.killed_and_set(-int(time.time()) + 100)
    assert rings(house, al)
    second = house.registrar.wait_register("al", count=2, timeout=10)
    assert second.request.cseq > first.request.cseq
    house.set_clock(0)
    assert al.registered() and al.unregister().status == 200
    assert leaves(house, al, within=5).request.cseq > second.request.cseq

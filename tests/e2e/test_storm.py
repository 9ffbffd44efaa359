"""All phones come back within a minute: known ones get 200 at once, new ones are let in by and by."""
import os
import random
import re
import threading

import pytest

from test_restart_of_upstream import BusyHouse
from toolkit.crowd import Crowd
from toolkit.endpoint import poll
from toolkit.midreg import command


@pytest.fixture
def house(tmp_path):
    house = BusyHouse(tmp_path)
    yield house
    house.close()


def logged(house, what):
    return [line for line in house.midreg.lines if what in line]


def check_storm(house, known, new, rate, arrival):
    house.start(upstream={"rate": rate, "rate-max": rate}, phone_expires=600,
                upstream_expires=3600, forward_timeout_new="4s")
    crowd = Crowd(house.server, known + new)
    house.phones.append(crowd)
    crowd.storm(range(known), rate * 0.9, known / rate * 1.5 + 10)
    assert not logged(house, "event=storm"), "as fast as it takes them is none"
    before = house.midreg.status()["register_upstream"]
    seen = {}

    def look_on():
        house.midreg.wait_log("event=storm ", timeout=60)
        seen["status"] = command("status", "-c", house.midreg.config_file).stdout
    onlooker = threading.Thread(target=look_on)
    onlooker.start()
    everybody = random.Random(1).sample(range(known + new), known + new)
    answers = crowd.storm(everybody, arrival, (known + new) / arrival + new / rate * 1.5 + 30)
    onlooker.join(60)
    assert all([status for _, status, _ in answers[n]] == [200] for n in range(known)), "known ones are served"
    assert house.midreg.status()["register_upstream"] - before == new, "each new one once, known ones not"
    assert len(house.exchange.rows) == known + new
    assert house.exchange.most_in_a_second() <= rate * 1.15, "a burst of a tenth of a second is allowed"
    waits = [wait for n in range(known, known + new) for _, status, wait in answers[n] if status == 503]
    assert waits and set(waits) <= set(range(2, 9)) and len(set(waits)) > 3, "short, and not all the same"
    assert "until all phones that register anew are in" in seen["status"]
    first = logged(house, "event=storm ")[0]
    said = int(re.search(r"seconds=(\d+)", first).group(1))
    assert said >= 5
    poll(lambda: logged(house, "event=storm_over"), "it is over", 30)
    assert house.midreg.status()["storm"] == 0
    return answers


def test_a_storm_of_new_phones_is_let_in_by_and_by(house):
    check_storm(house, 200, 1500, 100, 1500)


@pytest.mark.slow
def test_a_storm_of_many_phones(house):
    """STORM_PHONES=100000 for the whole of it."""
    phones = int(os.environ.get("STORM_PHONES", "20000"))
    answers = check_storm(house, phones // 4, phones * 3 // 4, 900, max(3000, phones / 60) if phones < 100000 else phones / 60)
    print("the last phone was in after %.1f s" % max(answers[n][-1][0] for n in answers))

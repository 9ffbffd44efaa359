"""The black-box conformance cases that live beside the project: none fails, none is skipped."""
import json
import subprocess
import sys

import pytest

from toolkit.midreg import PROJECT, free_port

RUNNER = PROJECT.parent / "shared" / "conformance" / "sipconf" / "run.py"
TRUSTING = ["MID-01", "MID-02", "MID-03", "MID-05", "MID-06", "MID-07", "MID-13", "MID-15", "MID-16",
            "MID-17", "MID-19", "MID-20", "MID-22"]
PROVING = ["MID-20", "MID-22", "MID-23"]


def run(house, cases, options, *arguments):
    """Runs the cases against midreg with these options; what came of each."""
    if not RUNNER.exists():
        pytest.skip("%s is not there" % RUNNER)
    upstream = "127.0.0.1:%d" % free_port()
    house.start(**{"phone_expires": 4, "upstream_expires": 12, "fork_timeout": 4,
                   "upstream": {"address": upstream}, **options})
    report = house.directory / "report.json"
    command = [sys.executable, RUNNER, "--target", "127.0.0.1:%d" % house.port, "--upstream-listen", upstream,
               "--phone-expires", "4", "--upstream-expires", "12", "--without", "tcp", "--jobs", "8",
               "--json", report, *arguments]
    for case in cases:
        command += ["--only", case]
    done = subprocess.run([str(a) for a in command], capture_output=True, text=True, timeout=300)
    results = {r["id"]: r["status"] for r in json.loads(report.read_text())}
    assert results == {c: "PASS" for c in cases}, done.stdout + done.stderr


def test_phones_in_a_trusted_network(house):
    run(house, TRUSTING, {"auth": "none"})


def test_phones_that_the_main_registrar_proves(house):
    run(house, PROVING, {"auth": "upstream", "allow_open_upstream": True}, "--features", "authabsorb")


@pytest.mark.slow
def test_transactions_that_end_by_their_timers(house):
    run(house, ["PRX-28", "PRX-29", "PRX-31"], {"auth": "none", "timer_c": 20},
        "--timer-c", "20", "--features", "timerc", "--slow")

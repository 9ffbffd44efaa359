"""The sub-commands that ask a running midreg, as an operator types them."""
import json
import re

import pytest

from toolkit.endpoint import poll
from toolkit.midreg import command


def ask(house, name, *arguments):
    return command(name, "-c", house.midreg.config_file, *arguments)


def good(house, name, *arguments):
    done = ask(house, name, *arguments)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


@pytest.fixture
def busy(house):
    house.start()
    for user in ("al", "bo", "cy"):
        house.registered(user)
    return house


def test_status(busy):
    out = good(busy, "status")
    assert re.search(r"^midreg \S+, pid %d, up \d+s, auth none$" % busy.midreg.process.pid, out, re.M)
    assert "3 identities, 3 contacts" in out
    row = next(line for line in out.splitlines() if line.startswith("pbx "))
    assert row.split()[1] == busy.registrar.hostport and row.split()[2] == "up"
    assert json.loads(good(busy, "status", "--json"))["aors"] == 3


def test_list(busy):
    out = good(busy, "list").splitlines()
    assert out[0].split()[:2] == ["AOR", "CONTACTS"] and len(out) == 4
    assert [line.split()[0] for line in good(busy, "list", "BO").splitlines()[1:]] == ["sip:bo@example.com"]
    assert len(good(busy, "list", "--limit", "2").splitlines()) == 3
    rows = [json.loads(line) for line in good(busy, "list", "--json").splitlines()]
    assert {row["aor"] for row in rows} == {"sip:%s@example.com" % user for user in ("al", "bo", "cy")}
    assert good(busy, "list", "nobody").splitlines()[1:] == []


def test_show(busy):
    out = good(busy, "show", "al")
    assert out.startswith("sip:al@example.com\n  lease at pbx: held for ")
    assert busy.phones[0].uri in out and "expires in" in out
    assert json.loads(good(busy, "show", "al@example.com", "--json"))["contacts"] == 1


def test_kick(busy):
    al = busy.phones[0]
    assert good(busy, "kick", "al", al.uri) == "1 contact removed\n"
    busy.registrar.wait_removed("al")
    refused = ask(busy, "kick", "al")
    assert refused.returncode == 1 and "nobody is registered there" in refused.stderr


def test_reload(busy):
    out = good(busy, "reload")
    assert "3 of 3, 0 failed" in out.splitlines()[-1]
    assert all(len(busy.registrar.of(user)) == 2 for user in ("al", "bo", "cy"))
    assert "dry run" in good(busy, "reload", "--dry-run") and len(busy.registrar.of("al")) == 2
    assert "show" in good(busy, "reload", "--aor", "al")
    busy.registrar.wait_register("al", count=3)
    good(busy, "reload", "--stop")
    failed = ask(busy, "reload", "--upstream", "nobody")
    assert failed.returncode == 1 and "no upstream of this name" in failed.stderr


def test_a_reload_that_fails_is_told_by_the_exit_status(busy):
    busy.registrar.refuse["bo"] = 500
    failed = ask(busy, "reload")
    assert failed.returncode == 1 and "2 of 3, 1 failed" in failed.stdout
    poll(lambda: "1 failed" in good(busy, "status"), "it stays to be seen")


def test_nobody_is_there(house):
    house.start()
    path = house.midreg.config_file
    house.midreg.stop()
    for name in ("status", "list", "reload"):
        done = command(name, "-c", path)
        assert done.returncode == 1 and "is midreg running" in done.stderr and done.stdout == ""
    done = command("status", "--socket", house.directory / "nothing.sock")
    assert done.returncode == 1 and "nothing.sock" in done.stderr


@pytest.mark.parametrize("arguments", [("show",), ("status", "x"), ("list", "a", "b"), ("kick",), ("status", "--dry-run"),
                                       ("list", "--limit", "0"), ("list", "--limit"), ("reload", "--nonsense"),
                                       ("reload", "--aor", "al", "--rate", "5"), ("reload", "--stop", "--dry-run")])
def test_wrong_usage(busy, arguments):
    done = ask(busy, *arguments)
    assert done.returncode == 2 and "midreg help" in done.stderr and done.stdout == ""


def test_wrong_values(busy):
    for arguments in (("reload", "--rate", "fast"), ("show", "a b@c d"), ("show", "nobody")):
        done = ask(busy, *arguments)
        assert done.returncode == 1 and "; " in done.stderr, done.stderr

"""midreg export and import: the store as JSON lines, and back."""
import json
import sqlite3

import pytest

from toolkit.endpoint import poll
from toolkit.house import House
from toolkit.midreg import command


@pytest.fixture
def stored(tmp_path):
    house = House(tmp_path)
    house.start(store="sqlite")
    yield house
    house.close()


@pytest.fixture
def other(tmp_path):
    """Another installation, with a secret of its own, that is not running."""
    directory = tmp_path / "other"
    directory.mkdir()
    house = House(directory)
    house.start(store="sqlite")
    house.midreg.stop()
    yield house
    house.close()


def good(name, house, *arguments):
    done = command(name, "-c", house.midreg.config_file, *arguments)
    assert done.returncode == 0, done.stderr
    return done


def bad(name, house, *arguments):
    done = command(name, "-c", house.midreg.config_file, *arguments)
    assert done.returncode == 1 and len(done.stderr.strip().splitlines()) == 1, done.stderr
    return done.stderr


def exported(house):
    return [json.loads(line) for line in good("export", house).stdout.splitlines()]


def populate(house, users=("al", "bo", "cy")):
    for user in users:
        house.registered(user)
    house.phone(users[0]).registered(headers=[("Path", "<sip:edge@127.0.0.1;lr>")])


def test_export_shows_what_is_registered_while_midreg_runs(stored):
    populate(stored)
    head, *aors = exported(stored)
    assert head["midreg"] == "registrations" and head["schema"] == 3 and list(head["contacts"]) == ["pbx"]
    rows = {row["aor"]: row for row in aors}
    assert sorted(rows) == ["sip:%s@example.com" % user for user in ("al", "bo", "cy")]
    al = rows["sip:al@example.com"]
    assert len(al["bindings"]) == 2 and al["lease_upstream"] == "pbx" and al["leases"] == []
    assert {b["contact"] for b in al["bindings"]} == {p.uri for p in stored.phones if p.user == "al"}
    assert stored.phones[0].register().status == 200, "it goes on"


def test_to_a_file_that_is_its_owners_alone_and_not_written_over(stored, tmp_path):
    populate(stored)
    out = tmp_path / "all.jsonl"
    assert "3 identities with 4 contacts exported" in good("export", stored, out).stderr
    assert out.stat().st_mode & 0o777 == 0o600 and len(out.read_text().splitlines()) == 4
    assert "File exists" in bad("export", stored, out)


def test_round_trip_is_the_same_to_the_byte(stored, other, tmp_path):
    populate(stored)
    first = good("export", stored).stdout
    text = first.replace('"call_id":"%s"' % stored.phones[0].call_id, '"call_id":{"hex":"ff00fe"}')
    (tmp_path / "in.jsonl").write_text(text)
    assert "3 identities with 4 contacts imported" in good("import", other, "--replace", tmp_path / "in.jsonl").stderr
    assert good("export", other).stdout == text


def test_what_was_imported_is_served_and_its_phones_are_absorbed(stored, other, tmp_path):
    """Another installation has another secret, and so other numbers: each identity stays one row."""
    populate(stored)
    out = tmp_path / "all.jsonl"
    good("export", stored, out)
    stored.midreg.stop()
    good("import", other, "--replace", out)
    other.midreg = other.run(other.midreg.config_file)
    assert other.midreg.status()["bindings"] == 4
    for user in ("al", "bo", "cy"):  # under its own contact there
        other.registrar.wait_register(user, lambda r: not r.removes, timeout=10)
    for phone in stored.phones:
        answer = phone.exchange(phone.register_request(), other.server)
        assert answer.status == 200 and any(phone.uri in c.uri for c in answer.contacts)
    call = stored.phones[1].register_request(contacts=["<%s>;q=0.5" % stored.phones[1].uri])
    assert stored.phones[1].exchange(call, other.server).status == 200, "a change, which is written"
    other.midreg.stop()
    with sqlite3.connect(str(tmp_path / "other" / "state" / "midreg.db")) as db:
        assert sorted(db.execute("SELECT aor, count(*) FROM aor GROUP BY aor")) == [
            ("sip:%s@example.com" % user, 1) for user in ("al", "bo", "cy")]
        assert list(db.execute("SELECT count(*) FROM binding")) == [(4,)]
        assert list(db.execute("SELECT count(*) FROM binding WHERE aor NOT IN (SELECT id FROM aor)")) == [(0,)]
    other.midreg = other.run(other.midreg.config_file)
    assert other.midreg.status()["bindings"] == 4


def test_leases_of_another_address_are_registered_anew(stored, other, tmp_path):
    """Both have one secret; only our address differs, which the first line tells."""
    secret = (tmp_path / "state" / "secret").read_bytes()
    (tmp_path / "other" / "state" / "secret").write_bytes(secret)
    populate(stored)
    out = tmp_path / "all.jsonl"
    good("export", stored, out)
    good("import", other, out)
    other.midreg = other.run(other.midreg.config_file)
    other.midreg.wait_log("event=contact_moved")
    for user in ("al", "bo", "cy"):
        assert other.registrar.wait_removed(user, timeout=10).contact == stored.registrar.wait_register(user).contact
        other.registrar.wait_register(user, lambda r: not r.removes, timeout=10)


def test_what_was_lost_since_the_export_is_given_back(stored, tmp_path):
    populate(stored)
    out = tmp_path / "all.jsonl"
    good("export", stored, out)
    stored.midreg.stop()
    stored.registrar.purge()
    good("import", stored, "--replace", out)
    stored.midreg = stored.run(stored.midreg.config_file)
    poll(lambda: all(stored.registrar.contacts(user) for user in ("al", "bo", "cy")), "all are registered again")


def test_who_is_there_stays_as_he_is(stored, other, tmp_path):
    populate(stored)
    out = tmp_path / "all.jsonl"
    good("export", stored, out)
    good("import", other, "--replace", out)
    said = good("import", other, out).stderr
    assert "0 identities with 0 contacts imported, 3 were there already" in said


def test_not_while_midreg_runs(stored, tmp_path):
    populate(stored)
    out = tmp_path / "all.jsonl"
    good("export", stored, out)
    assert str(stored.midreg.process.pid) in bad("import", stored, out)


@pytest.mark.parametrize("line, text, says", [
    (1, "", "it is empty"),
    (1, "what is this\n", ":1: this is no JSON object"),
    (1, '{"midreg":"something else"}\n', ":1: this is no export of midreg"),
    (1, '{"midreg":"registrations","schema":99}\n', ":1: it was exported by a midreg of another schema"),
    (2, "[]\n", ":2: this is no JSON object"),
    (2, '{"aor":"sip:x@y"}\n', ":2: this is no identity"),
    (2, '{"id":1,"aor":"sip:x@y"}\n', ":2: there is no to_uri"),
    (3, None, ":3: this makes no sense: call_id"),
    (4, None, ":4: the store says NOT NULL constraint failed: binding.contact"),
])
def test_a_bad_line_is_told_and_nothing_is_imported(stored, other, tmp_path, line, text, says):
    populate(stored)
    lines = good("export", stored).stdout.splitlines(keepends=True)
    row = json.loads(lines[line - 1])
    if line == 3:
        row["bindings"][0]["call_id"] = {"hex": "f"}
    if line == 4:
        row["bindings"][0]["contact"] = None
    source = tmp_path / "in.jsonl"
    source.write_text("".join(lines[:line - 1]) + (json.dumps(row) + "\n" if text is None else text))
    said = bad("import", other, "--replace", source)
    assert says in said and (line > 1 or "nothing was imported" in said)
    assert len(exported(other)) == 1


def test_usage(stored):
    assert command("import").returncode == command("export", "a", "b").returncode == 2
    assert command("export", "--all").returncode == 2

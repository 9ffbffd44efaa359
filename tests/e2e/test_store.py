"""What midreg keeps on disk: nothing that was accepted is lost, nothing that was removed comes back."""
import resource
import sqlite3
import time

import pytest

from toolkit.endpoint import poll
from toolkit.main_registrar import MainRegistrar
from toolkit.midreg import command, free_port


def killed(house):
    """As a crash does; and started again."""
    house.midreg.kill()
    house.midreg = house.run(house.midreg.config_file)
    return house


def database(house):
    return house.directory / "state" / "midreg.db"


def rows(house, sql):
    """As an operator looks at it, while midreg runs."""
    with sqlite3.connect("file:%s?mode=ro" % database(house), uri=True) as db:
        return db.execute(sql).fetchall()


def rings(house, phone):
    call = house.registrar.call(phone.user)
    phone.refuse(phone.wait_invite(call), 486)
    return call.final().status == 486


def registers(house, user):
    return len([r for r in house.registrar.registers if r.user == user])


def start_upstream(house, **options):
    house.registrar.trusted = False
    house.registrar.passwords["al"] = "secret"
    house.start(auth="upstream", **options)
    house.registrar.wait_probe()
    return house


@pytest.fixture(params=["killed", "stopped"])
def again(request):
    return killed if request.param == "killed" else lambda house: house.restart()


# -- restart ---------------------------------------------------------------------------------------------
def test_after_a_restart_a_call_rings_before_any_register(house, again):
    house.start()
    al = house.registered("al")
    house.registrar.wait_register("al")
    again(house)
    house.midreg.wait_log(r"event=store_loaded aors=1 bindings=1 refused=0")
    assert rings(house, al)


def test_row09_a_restart_makes_no_storm_upstream(house, again):
    house.start()
    phones = [house.registered("al%d" % i) for i in range(20)]
    for phone in phones:
        house.registrar.wait_register(phone.user)
    sent = len(house.registrar.registers)
    again(house)
    for phone in phones:
        phone.registered()
    house.fence()
    assert len(house.registrar.registers) == sent + 1, "only the fence's own"


def test_row08_what_was_answered_200_is_there_after_a_crash(house):
    """The 200 leaves when the change is on the disk, so that it may be killed at once."""
    house.start()
    phones = []
    for i in range(30):
        phones.append(house.registered("al%d" % i))
        if i % 5 == 4:
            killed(house)
    assert all(rings(house, phone) for phone in phones)


def test_what_was_removed_with_a_200_does_not_come_back(house):
    house.start()
    al, bo = house.registered("al"), house.registered("bo")
    house.registrar.wait_register("al")
    contact = house.registrar.stored_contact("al")
    assert al.unregister().status == 200
    killed(house)
    assert house.registrar.call_contact(contact).final().status == 480
    assert rings(house, bo)


def test_a_late_copy_does_not_bring_back_what_was_removed_before_a_crash(house):
    """As a network may deliver it: a REGISTER from before the removal, after the restart."""
    house.start()
    al, other = house.registered("al"), house.registered("al")
    late = al.register_request()
    assert al.unregister().status == 200
    killed(house)
    assert al.exchange(late, house.server).status in (200, 500)
    assert rows(house, "SELECT contact FROM binding") == [(other.uri,)]


@pytest.mark.parametrize("others", [0, 1])
def test_a_removal_again_after_a_crash_gets_its_200_again(house, others):
    """The 200 may be lost with the process that sent it: the phone sends the same again."""
    house.start()
    al = house.registered("al")
    others = [house.registered("al") for _ in range(others)]
    removal = al.register_request(expires=0)
    assert al.exchange(removal, house.server).status == 200
    killed(house)
    al.copies.clear()  # as if the first answer had not come
    assert al.exchange(removal, house.server).status == 200
    assert rows(house, "SELECT contact FROM binding") == [(other.uri,) for other in others]


def test_a_contact_that_changed_is_the_new_one_after_a_crash(house):
    house.start()
    old = house.registered("al")
    new = house.registered("al")
    assert old.unregister().status == 200
    killed(house)
    assert rings(house, new) and not old.invites()


def test_the_lease_is_known_after_a_restart(house, again):
    """Its last phone leaves: the main registrar is told, under the Call-ID of before."""
    house.start()
    al = house.registered("al")
    first = house.registrar.wait_register("al")
    again(house)
    assert al.unregister().status == 200
    last = poll(lambda: next((r for r in house.registrar.registers if r.user == "al" and r.expires == 0), None),
                "the removal")
    assert last.request.call_id == first.request.call_id
    assert last.contact == first.contact and last.request.cseq > first.request.cseq


# -- auth = upstream ----------------------------------------------------------------------------------------
def test_a_udp_phone_is_absorbed_after_a_restart(house, again):
    start_upstream(house)
    al = house.phone("al", "secret").registered()
    sent = registers(house, "al")
    again(house)
    assert al.register_once().status == 200
    assert registers(house, "al") == sent


def test_another_flow_must_prove_itself_after_a_restart(house, again):
    """A stored binding proves who sends from its very flow, and nobody else."""
    start_upstream(house)
    al = house.phone("al", "secret").registered()
    again(house)
    thief = house.phone("al")
    thief.call_id, thief.cseq = al.call_id, al.cseq + 10
    assert thief.register_once(contacts=["<%s>" % al.uri]).status == 401
    assert al.register_once().status == 200


def test_a_tcp_phone_is_forwarded_after_a_restart(house, again):
    """Its flow is new: under auth = upstream it proves itself again."""
    start_upstream(house)
    al = house.tcp_phone("al", "secret").registered()
    sent = registers(house, "al")
    again(house)
    al.reconnect()
    assert al.registered()
    assert registers(house, "al") > sent
    assert rings(house, al)


def test_a_tcp_phone_is_unreachable_until_it_returns(house, again):
    house.start()
    al = house.tcp_phone("al").registered()
    house.registrar.wait_register("al")
    again(house)
    call = house.registrar.call("al")
    assert call.final().status == 480
    al.reconnect().registered()
    assert rings(house, al)


# -- what an operator sees ------------------------------------------------------------------------------------
def test_the_file_is_readable_by_anybody_with_sqlite(house):
    house.start()
    al = house.registered("al")
    house.registrar.wait_register("al")
    [(aor, contact, call_id, peer, expires)] = rows(
        house, "SELECT a.aor, b.contact, call_id, peer, expires FROM aor a JOIN binding b ON b.aor = a.id")
    assert (aor, contact, call_id, peer) == (al.aor, al.uri, al.call_id, al.hostport)
    assert 0 < expires - time.time() <= 61
    poll(lambda: rows(house, "SELECT lease_until - strftime('%s') FROM aor")[0][0] > 500, "the lease is stored")


def test_a_pure_refresh_writes_nothing(house):
    house.start()
    al = house.registered("al")
    house.registrar.wait_register("al")
    house.fence()
    poll(lambda: rows(house, "SELECT lease_until FROM aor WHERE aor LIKE '%al@%'")[0][0] > 0, "all is written")
    before = rows(house, "SELECT * FROM binding WHERE contact LIKE '%al@%'")
    size = (house.directory / "state" / "midreg.db-wal").stat().st_size
    for _ in range(50):
        al.registered()
    assert rows(house, "SELECT * FROM binding WHERE contact LIKE '%al@%'") == before
    assert (house.directory / "state" / "midreg.db-wal").stat().st_size == size


def test_an_aor_that_is_gone_leaves_no_row(house):
    house.start(flow_grace="1s")
    al = house.registered("al")
    house.registrar.wait_register("al")
    al.unregister()
    poll(lambda: rows(house, "SELECT count(*) FROM binding") == [(0,)], "the binding is gone")


def test_memory_keeps_nothing(house):
    house.start(store="memory")
    al = house.registered("al")
    house.registrar.wait_register("al")
    assert not database(house).exists()
    killed(house)
    assert house.registrar.call("al").final().status == 480
    assert al.registered()


def test_the_store_may_be_another_file(house, tmp_path):
    other = tmp_path / "elsewhere.db"
    house.start(store="sqlite:%s" % other)
    house.registered("al")
    assert other.exists() and not database(house).exists()


# -- trouble ---------------------------------------------------------------------------------------------------
def test_a_damaged_file_is_put_aside(house):
    (house.directory / "state").mkdir()
    database(house).write_bytes(b"this was a database once " * 100)
    house.start()
    house.midreg.wait_log("is damaged: it was put aside as")
    assert house.registered("al")
    assert list((house.directory / "state").glob("midreg.db.damaged-*"))


def test_a_file_of_a_newer_midreg_is_left_alone(house):
    house.start()
    house.registered("al")
    house.midreg.stop()
    with sqlite3.connect(database(house)) as db:
        db.execute("UPDATE meta SET value = '1000' WHERE name = 'schema_version'")
    done = command("run", "-c", house.midreg.config_file)
    assert done.returncode == 1
    assert "was written by a newer midreg (schema 1000, this one knows 3)" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_no_directory_for_the_store(house):
    with pytest.raises(AssertionError, match="cannot be opened"):
        house.start(store="sqlite:%s/none/midreg.db" % house.directory)


def test_a_store_that_cannot_write_holds_nobody_up_for_long(house):
    """Somebody holds the file: served from memory after two seconds, with the alarm, then it catches up."""
    house.start()
    house.registered("al")
    house.registrar.wait_register("al")
    other = sqlite3.connect(database(house), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    bo = house.phone("bo")
    begun = time.monotonic()
    assert bo.register_once(timeout=10).status == 200
    assert time.monotonic() - begun > 0.9, "it waited for the disk first"
    house.midreg.wait_log(r"level=error event=store_behind .*remedy=")
    begun = time.monotonic()
    cy = house.registered("cy")
    assert time.monotonic() - begun < 0.9, "nobody waits any more"
    assert house.midreg.status()["undurable"] > 0
    other.execute("ROLLBACK")
    other.close()
    house.midreg.wait_log("event=store_caught_up")
    poll(lambda: len(rows(house, "SELECT aor FROM binding")) == 3, "all three are written")
    killed(house)
    assert rings(house, bo) and rings(house, cy)


# -- another address -------------------------------------------------------------------------------------------
def test_leases_for_another_contact_of_ours_are_registered_anew(house, again):
    house.start()
    al = house.registered("al")
    first = house.registrar.wait_register("al")
    house.midreg.kill()
    house.start(upstream={"contact": "127.0.0.1:%d" % free_port()})
    house.midreg.wait_log(r"event=contact_moved upstream=pbx before=%s:%d now=127" % house.server)
    removal = house.registrar.wait_removed("al", timeout=10)
    assert removal.contact == first.contact
    moved = house.registrar.wait_register("al", count=3)
    assert moved.contact != first.contact and moved.request.call_id == first.request.call_id
    poll(lambda: rows(house, "SELECT lost, contact_before FROM upstream") == [(0, "")], "it owes nothing any more")
    again(house)
    house.fence()
    assert house.registrar.contacts("al") == [moved.contact]
    assert registers(house, "al") == 3 and "contact_moved" not in house.midreg.output
    assert al.registered()


def test_another_address_under_the_same_name_is_another_main_registrar(house, again):
    """It holds nothing of ours, whatever leases were granted under that name."""
    house.start()
    phones = [house.registered(user) for user in ("al", "bo")]
    house.midreg.kill()
    other = MainRegistrar()
    house.phones.append(other)
    house.start(upstream={"address": other.hostport})
    house.midreg.wait_log("event=address_changed upstream=pbx before=.*%s.* now=%s" % (
        house.registrar.hostport, other.hostport))
    for user in ("al", "bo"):
        other.wait_register(user, timeout=10)
    poll(lambda: rows(house, "SELECT lost FROM upstream") == [(0,)], "it owes nothing any more")
    again(house)
    assert "address_changed" not in house.midreg.output
    assert [phone.register().status for phone in phones] == [200, 200]
    assert all(len(other.contacts(user)) == 1 for user in ("al", "bo"))
    house.registered("cy")
    other.wait_register("cy")
    assert len([r for r in other.registers if r.user == "al"]) == 1


def test_a_store_has_one_midreg(house, tmp_path):
    """Another state directory does not help: the second one ends, and names the first."""
    store = tmp_path / "shared.db"
    house.start(store="sqlite:%s" % store)
    house.registered("al")
    (tmp_path / "other").mkdir()
    text = house.midreg.config_file.read_text()
    port = free_port()
    other = tmp_path / "other.conf"
    other.write_text(text.replace(":%d" % house.port, ":%d" % port).replace("/state", "/other"))
    second = command("run", "-c", other)
    assert second.returncode == 1
    assert "store %s: midreg runs already, with pid %d" % (store, house.midreg.process.pid) in second.stderr
    killed(house)  # the lock goes with its holder
    assert house.registered("bo").register().status == 200


def test_a_full_disk_is_survived_and_caught_up_with(house):
    """No file may grow: phones are served from memory, and once there is room again nothing is missing."""
    house.start()
    house.registered("al")
    pid = house.midreg.process.pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
    bo = house.registered("bo")
    house.midreg.wait_log("event=store_behind")
    house.midreg.wait_log("event=store_failed")
    cy = house.registered("cy")
    assert cy.register().status == 200
    house.midreg.wait_status("undurable", 1)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    house.midreg.wait_log("event=store_caught_up")
    killed(house)
    assert rings(house, bo) and rings(house, cy)

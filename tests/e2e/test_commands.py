"""The sub-commands that ask a running midreg, as an operator types them."""
import http.server
import json
import os
import re
import select
import signal
import socketserver
import subprocess
import termios
import threading
from pathlib import Path

import pytest

from toolkit.endpoint import poll
from toolkit.midreg import BINARY, command, environment


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


def test_top_once(busy):
    over = threading.Event()

    def refresh():
        while not over.wait(0.02):
            busy.phones[0].register()
    phone = threading.Thread(target=refresh)
    phone.start()
    out = good(busy, "top", "--once", "--interval", "1")
    over.set()
    phone.join()
    lines = out.splitlines()
    assert lines[0].startswith("midreg ") and "3 identities" in out and "\033" not in out
    at = next(i for i, line in enumerate(lines) if line.split()[:2] == ["RECEIVED", "ABSORBED"])
    received, absorbed = map(float, lines[at + 1].split()[:2])
    assert 0 < received < 60 and abs(received - absorbed) < 2
    assert good(busy, "top", "--interval", "0.2").splitlines()[0].startswith("midreg "), "no terminal: one frame"


def test_top_json(busy):
    top = subprocess.Popen([BINARY, "top", "-c", busy.midreg.config_file, "--json", "--interval", "0.2"],
                           stdout=subprocess.PIPE, env=environment())
    frames = [json.loads(top.stdout.readline()) for _ in range(3)]
    top.send_signal(signal.SIGINT)
    assert top.wait(5) == 0
    assert all(frame["rates"]["register_received"] == 0 and frame["status"]["aors"] == 3 for frame in frames)
    assert all(0.15 < frame["seconds"] < 2 for frame in frames)


def on_terminal(house, *arguments):
    """The process, and what it writes there; keys are written to it."""
    ours, its = os.openpty()
    done = subprocess.Popen([BINARY, "top", "-c", house.midreg.config_file, *arguments], stdin=its, stdout=its,
                            stderr=its, env=environment())
    os.close(its)
    return done, ours


def read_until(fd, text):
    seen = b""
    while text not in seen:
        assert select.select([fd], [], [], 5)[0], seen
        seen += os.read(fd, 65536)
    return seen


def test_top_on_a_terminal_ends_with_q_and_leaves_it_as_it_was(busy):
    top, fd = on_terminal(busy, "--interval", "0.2")
    before = termios.tcgetattr(fd)
    read_until(fd, b"q ends it")
    read_until(fd, b"q ends it")
    assert not termios.tcgetattr(fd)[3] & termios.ECHO
    os.write(fd, b"q")
    assert top.wait(5) == 0
    assert termios.tcgetattr(fd)[3] & termios.ECHO == before[3] & termios.ECHO | termios.ECHO
    os.close(fd)


def state_of(process):
    return Path("/proc/%d/stat" % process.pid).read_text().rsplit(")", 1)[1].split()[0]


def test_top_gives_the_terminal_back_while_it_is_stopped(busy):
    """Ctrl-Z, and fg."""
    top, fd = on_terminal(busy, "--interval", "0.2")
    for _ in range(2):
        read_until(fd, b"q ends it")
        assert not termios.tcgetattr(fd)[3] & termios.ECHO
        top.send_signal(signal.SIGTSTP)
        poll(lambda: state_of(top) == "T", "it is stopped")
        assert termios.tcgetattr(fd)[3] & termios.ECHO
        top.send_signal(signal.SIGCONT)
        poll(lambda: not termios.tcgetattr(fd)[3] & termios.ECHO, "it has the terminal again")
        read_until(fd, b"\033[2J")
    os.write(fd, b"q")
    assert top.wait(5) == 0
    assert termios.tcgetattr(fd)[3] & termios.ECHO
    os.close(fd)


class ScriptedStatus(http.server.BaseHTTPRequestHandler):
    runs = iter(())

    def do_GET(self):
        pid, uptime, received = next(self.runs)
        body = json.dumps({"pid": pid, "uptime": uptime, "counters": {"register_received": received}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def address_string(self):
        return "top"

    def log_message(self, *_):
        pass


@pytest.mark.parametrize("pid, uptime", [(8, 3000), (7, 2)])
def test_top_counts_from_the_start_of_another_run(house, pid, uptime):
    """In a container all have one pid."""
    house.start()
    house.midreg.stop()
    ScriptedStatus.runs = iter([(7, 1000, 50), (7, 1001, 60), (pid, uptime, 100), (pid, uptime + 1, 130)])
    socket_path = str(house.directory / "state" / "admin.sock")
    with socketserver.UnixStreamServer(socket_path, ScriptedStatus) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        top = subprocess.Popen([BINARY, "top", "-c", house.midreg.config_file, "--json", "--interval", "0.1"],
                               stdout=subprocess.PIPE, env=environment())
        frames = [json.loads(top.stdout.readline()) for _ in range(3)]
        top.kill()
        top.wait()
        server.shutdown()
    assert [round(f["rates"]["register_received"] * f["seconds"]) for f in frames] == [10, 100, 30]


def test_top_says_that_midreg_has_ended(busy):
    top, fd = on_terminal(busy, "--interval", "0.2")
    read_until(fd, b"q ends it")
    busy.midreg.stop()
    said = read_until(fd, b"midreg: ")
    assert top.wait(5) == 1, said
    os.close(fd)


@pytest.mark.parametrize("interval", ["0", "-1", "x", "", "1e9", "nan"])
def test_top_refuses_an_interval(busy, interval):
    done = ask(busy, "top", "--interval", interval)
    assert done.returncode == 2 and "--interval takes seconds from 0.1 to 3600" in done.stderr


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


def test_what_is_lost_and_not_given_back_is_told(house):
    """Whoever stops the reload after a restart of the main registrar sees what is missing."""
    users = ["u%d" % i for i in range(8)]
    house.start(upstream={"rate": 5, "rate-max": 5, "ping-interval": 1})
    for user in users:
        house.registered(user)
    assert "may have lost" not in good(house, "status")
    house.registrar.state = "silent"
    house.midreg.wait_log("event=upstream_down")
    house.registrar.purge()
    house.registrar.state = "running"
    house.midreg.wait_log("event=reload_begun")
    assert "may have lost" not in good(house, "status"), "that is being done"
    good(house, "reload", "--stop")
    poll(lambda: "pbx may have lost registrations" in good(house, "status"), "it is told")
    assert len([user for user in users if house.registrar.contacts(user)]) < len(users)
    good(house, "reload")
    assert all(house.registrar.contacts(user) for user in users)
    assert "may have lost" not in good(house, "status")


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


def test_show_says_that_the_main_registrar_is_down(house):
    house.start(upstream={"ping-interval": 1})
    house.registered("al")
    house.registrar.state = "silent"
    house.midreg.wait_log("event=upstream_down", timeout=5)
    assert "next: nothing until it is up" in good(house, "show", "al")


def test_bytes_of_a_phone_do_not_reach_the_terminal(house):
    """Control characters that a phone wrote could move the cursor, or worse."""
    house.start()
    al = house.phone("al")
    for contact in ('<%s>;x="\x1b[2J"' % al.uri, "<%s;x=\x1b>" % al.uri, '<%s>;x="\x7f\x9b2J"' % al.uri):
        al.register(contacts=[contact], call_id="c\x1b" if "9b" in repr(contact) else None)
    for name in ("list",), ("show", "al"), ("list", "--json"), ("show", "al", "--json"):
        done = ask(house, *name)
        assert not set(done.stdout) & set(map(chr, [*range(10), *range(11, 32), *range(127, 160)])), repr(done.stdout)

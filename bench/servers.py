"""bench/servers: the three that are measured, and the session that loads one of them.

Each server runs on one processor of its own where there are two, the load generator
on another. All are started here and ended by stage.end_all(), by process id.
"""

import json
import os
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools"))

import stage  # noqa: E402

BUILD = ROOT / "build-bench"
KAMAILIO_CONFIG = ROOT / "bench" / "kamailio.cfg"
KAMAILIO_HASH_BITS = 16

MIDREG_CONFIG = """\
# Written by bench/run.py: every REGISTER is believed, the main registrar is as fast
# as it can be, nothing expires
# while it is measured, and registrations are in memory on both sides.
listen = [ "udp:127.0.0.1:{port}" ]
auth = "none"
phone-expires = "1d"
upstream-expires = "1w"
max-contacts = 16
log-level = "warn"
state-dir = "{state}"
admin = [ ]
store = "memory"
upstream = {{ pbx = {{ address = "127.0.0.1:{upstream}", rate = 0, means = "acl" }} }}
"""


def on_processor(number):
    """The words before a command that keep it on one processor."""
    allowed = sorted(os.sched_getaffinity(0))
    if len(allowed) < 2:
        return []
    return ["taskset", "-c", str(allowed[number % len(allowed)])]


def process_tree(root):
    """A process and all its descendants."""
    children = {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            text = path.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        parent = int(text.rsplit(")", 1)[1].split()[1])
        children.setdefault(parent, []).append(int(path.parent.name))
    found, todo = [], [root]
    while todo:
        found.append(todo.pop())
        todo += children.get(found[-1], [])
    return sorted(found)


def settled_tree(root):
    """The processes, once none has been added for a second."""
    seen, since = process_tree(root), time.monotonic()
    while time.monotonic() - since < 1:
        time.sleep(0.1)
        now = process_tree(root)
        if now != seen:
            seen, since = now, time.monotonic()
    return seen


class Session:
    """bench/load against one server; ask() is one command and its result."""

    def __init__(self, name, port, upstream, phones, aors, pids):
        self.name = name
        self.process = subprocess.Popen(
            [*on_processor(1), str(BUILD / "bench" / "load"), "--server", str(port),
             "--upstream", str(upstream), "--ports", str(phones), "--aors", str(aors),
             "--pids", ",".join(map(str, pids))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            preexec_fn=stage.die_with_parent)

    def ask(self, work, **settings):
        command = " ".join([work, *(f"{name}={value}" for name, value in settings.items())])
        try:
            self.process.stdin.write(command + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise stage.StageError(f"{self.name}: the load generator gave up at: {command}")
        return {"command": command, **json.loads(line)}

    def stop(self, seconds=5):
        self.process.stdin.close()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Server:
    """A server and its load. `number` keeps the ports of those that run together apart."""

    name = None

    def __init__(self, programs, folder, aors, number):
        self.port = 21060 + number
        self.upstream = 21160 + number
        self.folder = folder / f"{self.name}-{number}"
        self.folder.mkdir(parents=True, exist_ok=True)
        stage.require_port("127.0.0.1", self.port)
        self.program = stage.Program(self.name, [*on_processor(0), *self.command()],
                                     self.folder / "log")
        programs.append(self.program)
        stage.wait_for(lambda: self.program.check() and stage.udp_bound(("127.0.0.1", self.port)),
                       20, f"{self.name} listens")
        self.pids = settled_tree(self.program.process.pid)
        self.load = Session(self.name, self.port, self.upstream, 21200 + 20 * number, aors,
                            self.pids)
        programs.append(self.load)

    def command(self):
        raise NotImplementedError

    def ask(self, work, **settings):
        self.program.check()
        return self.load.ask(work, **settings)

    def pss(self):
        return self.ask("pss")["pss"]

    def stop(self):
        self.load.stop()
        self.program.stop()


class Midreg(Server):
    name = "midreg"

    def command(self):
        config = self.folder / "midreg.conf"
        config.write_text(MIDREG_CONFIG.format(port=self.port, upstream=self.upstream,
                                               state=self.folder / "state"))
        return [BUILD / "midreg", "run", "-c", config]


class Kamailio(Server):
    name = "Kamailio"

    def command(self):
        return [stage.find_program("kamailio"), "-DD", "-E", "-x", "fm", "-m", "4096", "-M", "64",
                "-b", "8388608", "-f", KAMAILIO_CONFIG, "-A", f"LISTEN=udp:127.0.0.1:{self.port}",
                "-A", f"HASH_BITS={KAMAILIO_HASH_BITS}", "-Y", self.folder,
                "-P", self.folder / "pid"]


class Floor(Server):
    name = "floor"

    def command(self):
        return [BUILD / "bench" / "floor", str(self.port)]

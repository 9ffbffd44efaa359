"""The simulated world: the core at the end of a pipe (tests/drive), endpoints without sockets, a virtual clock.

Nothing happens but while somebody waits, and then at once: the clock jumps to what happens next. All
on the test's thread. The same test gives the same bytes each time.
"""
import heapq
import itertools
import math
import os
import subprocess
import tempfile
from pathlib import Path

from toolkit import sip
from toolkit.house import House
from toolkit.main_registrar import MainRegistrar
from toolkit.midreg import BINARY, SANITIZER, counters_of, environment
from toolkit.program import die_with_parent

DRIVE = Path(os.environ.get("MIDREG_DRIVE") or BINARY.parent / "tests" / "drive" / "midreg-drive")
WALL = 1767225600     # tests/drive/world.c: the first moment
DELAY_MS = 1          # of every datagram
MIDREG = ("10.0.0.1", 5060)
REGISTRAR = ("10.0.0.5", 5080)


def place_of(text):
    host, _, port = text.rpartition(":")
    return host, int(port)


class Drive:
    """midreg's core, as toolkit.midreg.Midreg is the program."""

    def __init__(self, config_file):
        assert DRIVE.exists(), "%s is not there: build with -Dtests=true, or name it with MIDREG_DRIVE=..." % DRIVE
        self.config_file, self.lines, self.counters = config_file, [], ""
        self.errors = tempfile.TemporaryFile()
        self.process = subprocess.Popen([DRIVE, config_file], env=environment(), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=self.errors, preexec_fn=die_with_parent)

    @property
    def output(self):
        self.errors.seek(0)
        return "".join(self.lines) + self.errors.read().decode(errors="replace")

    def do(self, command, data=b""):
        """The datagrams that come of a command, as (ms, from, to, data); the time after it in ms."""
        if command:
            self.process.stdin.write(command.encode() + b"\n" + data)
            self.process.stdin.flush()
        sent = []
        while True:
            line = self.process.stdout.readline().decode(errors="replace")
            word, _, rest = line.strip().partition(" ")
            if word == "datagram":
                at, source, to, length = rest.split()
                sent.append((int(at), place_of(source), place_of(to), self.process.stdout.read(int(length))))
            elif word == "done":
                return sent, int(rest)
            elif word == "status":
                self.counters = rest
            else:
                assert word == "log", "midreg-drive ended:\n" + line + self.output
                self.lines.append(rest + "\n")

    def status(self):
        self.do("status")
        return counters_of(self.counters)

    def stop(self):
        self.process.stdin.close()
        self.process.stdout.close()
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.kill()
        output = self.output
        self.errors.close()
        assert not SANITIZER.search(output), output
        assert self.process.returncode == 0, "ended with %d:\n%s" % (self.process.returncode, output)

    def kill(self):
        self.process.kill()
        self.process.wait()


class Link:
    """An address of the simulated network."""

    def __init__(self, simulation, address):
        self.simulation, self.address, self.endpoint = simulation, address, None

    def read(self, endpoint):
        self.endpoint = endpoint

    def send(self, data, to):
        self.simulation.send(self.address, to, data)

    def settle(self, _):
        self.simulation.settle()

    def close(self):
        self.simulation.links.pop(self.address, None)


class Simulation:
    """A network and a clock, with the functions of toolkit.world.Wire."""

    patience = 40.0  # longer than any SIP timer that something may hang on

    def __init__(self):
        self.now_ms = 0
        self.flying = []     # heap of (when it arrives in ms, number, from, to, data)
        self.numbers = itertools.count(1)
        self.links = {}      # address -> Link
        self.hosts = itertools.count(1)
        self.drive, self.began_ms = None, 0
        self.transcript = [] # all that was sent

    def run(self, config_file):
        """midreg starts, at this moment."""
        self.drive, self.began_ms = Drive(config_file), self.now_ms
        self._launch(*self.drive.do(""))
        return self.drive

    # -- what endpoints ask for --------------------------------------------------------------
    def now(self):
        return self.now_ms / 1000

    def wall(self):
        return WALL + self.now_ms // 1000

    def link(self, host=None, port=0):
        """Everybody has a host of his own unless he says which."""
        address = (host or "10.0.1.%d" % next(self.hosts), port or 5060)
        assert address not in self.links
        self.links[address] = Link(self, address)
        return self.links[address]

    def sleep(self, seconds):
        end_ms = self.now_ms + math.ceil(seconds * 1000)
        while self._step(end_ms):
            pass

    def wait_for(self, _, condition, timeout):
        end_ms = self.now_ms + math.ceil(timeout * 1000)
        while True:
            value = condition()
            if value or not self._step(end_ms):
                return value

    def settle(self):
        """Returns when nothing is on its way any more."""
        while self.flying:
            self._step(self.flying[0][0])

    # -- what happens ------------------------------------------------------------------------
    def send(self, source, to, data):
        self._fly(self.now_ms, source, to, data)

    def _fly(self, at_ms, source, to, data):
        self.transcript.append((at_ms, source, to, data))
        heapq.heappush(self.flying, (at_ms + DELAY_MS, next(self.numbers), source, to, data))

    def _launch(self, sent, drive_ms):
        """What came of a command of midreg's."""
        self.now_ms = self.began_ms + drive_ms
        for at_ms, source, to, data in sent:
            self._fly(self.began_ms + at_ms, source, to, data)

    def _step(self, end_ms):
        """The next thing happens. False: nothing does before `end_ms`, which is now."""
        if self.flying and self.flying[0][0] <= self.now_ms:
            self._arrive(*heapq.heappop(self.flying)[2:])
            return True
        if self.now_ms >= end_ms:
            return False
        until_ms = min([end_ms] + [f[0] for f in self.flying[:1]])
        if self.drive:
            self._launch(*self.drive.do("advance %d" % (until_ms - self.now_ms)))
        else:
            self.now_ms = until_ms
        return True

    def _arrive(self, source, to, data):
        if to == MIDREG and self.drive:
            self._launch(*self.drive.do("datagram %s:%d %s:%d %d" % (*source, *to, len(data)), data))
        elif to in self.links:
            self.links[to].endpoint.receive(data, source)


class SimulatedHouse(House):
    """The usual set in a simulated world; midreg's times are its defaults."""

    def __init__(self, directory):
        self.world = Simulation()
        sip.seed(1)
        super().__init__(directory)

    def places(self):
        return MIDREG, MainRegistrar(place=REGISTRAR, world=self.world)

    def configuration(self):
        return {"listen": ["udp:%s:%d" % MIDREG], "domains": ["example.com"],
                "upstream": {"pbx": {"address": self.registrar.hostport}}}

    def run(self, config_file):
        return self.world.run(config_file)

    def close(self):
        try:
            super().close()
        finally:
            sip.seed()

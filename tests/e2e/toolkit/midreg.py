"""The program under test: run, asked, ended; its sanitizers must stay silent."""
import os
import random
import re
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from toolkit.endpoint import poll
from toolkit.program import die_with_parent
from toolkit.stream import family_of

PROJECT = Path(__file__).resolve().parents[3]
BINARY = Path(os.environ.get("MIDREG", "build/midreg"))
BINARY = BINARY if BINARY.is_absolute() else PROJECT / BINARY
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|runtime error:|ThreadSanitizer")
END_WITHIN = 3.0


LEAKS_SEEN = Path("/proc/self/task").exists()  # LeakSanitizer stops the other threads through it


def environment():
    return dict(os.environ, ASAN_OPTIONS="detect_leaks=%d:exitcode=99:detect_stack_use_after_return=1" % LEAKS_SEEN,
                UBSAN_OPTIONS="print_stacktrace=1:halt_on_error=1")


def is_free(port, kind, host="127.0.0.1"):
    with socket.socket(family_of(host), kind) as s:
        try:
            s.bind((host, port))
        except (OSError, OverflowError):
            return False
        return True


def has_ipv6():
    return is_free(0, socket.SOCK_DGRAM, "::1")


PORTS = range(10000, 20000)  # below those that the kernel gives to whoever asks for any
port_lock, next_port = threading.Lock(), random.choice(PORTS)


def free_port(count=1):
    """The first of so many ports, for UDP and TCP, that nobody had a moment ago. None is given out
    twice before all others were, so that tests that run together keep out of each other's way."""
    global next_port
    hosts = ("127.0.0.1", "::1") if has_ipv6() else ("127.0.0.1",)
    while True:
        with port_lock:
            port = next_port if next_port + count <= PORTS.stop else PORTS.start
            next_port = port + count
        if all(is_free(p, kind, host) for p in range(port, port + count)
               for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM) for host in hosts):
            return port


def command(*arguments, timeout=10):
    """A sub-command that ends by itself."""
    return subprocess.run([BINARY, *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout, env=environment())


class Midreg:
    """`midreg run -c FILE`, from start to SIGTERM; `more` of its environment."""

    def __init__(self, config_file, port, more=None):
        self.port, self.address = port, ("127.0.0.1", port)
        self.config_file = config_file
        self.lines, self.news = [], threading.Condition()
        self.process = subprocess.Popen([BINARY, "run", "-c", config_file], env=dict(environment(), **(more or {})),
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True, errors="replace",
                                        preexec_fn=die_with_parent)
        self.ended = False
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        try:
            self._await_start()
        except BaseException:
            self.kill()
            raise

    def _await_start(self):
        """Its sockets are open when it says so."""
        def started():
            return self.ended or any("event=started" in line for line in self.lines)
        with self.news:
            self.news.wait_for(started, 10)
            assert started() and not self.ended, "midreg did not start:\n" + self.output

    def _read(self):
        for line in self.process.stderr:
            with self.news:
                self.lines.append(line)
                self.news.notify_all()
        with self.news:
            self.ended = True
            self.news.notify_all()

    @property
    def output(self):
        return "".join(self.lines)

    def status(self):
        """The counters, as it prints them on SIGUSR1."""
        before = len(self.lines)
        self.process.send_signal(signal.SIGUSR1)

        def status_line():
            return next((l for l in self.lines[before:] if "register_received=" in l), None)
        with self.news:
            assert self.news.wait_for(status_line, 5), "no status on SIGUSR1:\n" + self.output
            return counters_of(status_line())

    def wait_status(self, name, value):
        """Waits until a counter has reached a value."""
        poll(lambda: self.status()[name] >= value, "%s=%d" % (name, value))

    def wait_log(self, pattern, timeout=5):
        """A line of the log that matches."""
        def found():
            return next((l for l in self.lines if re.search(pattern, l)), None)
        with self.news:
            assert self.news.wait_for(found, timeout), "no line %r in:\n%s" % (pattern, self.output)
            return found()

    def stop(self, number=signal.SIGTERM):
        """Ends it and returns the seconds it took; checks how it ended."""
        begun = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            self.process.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("did not end within %.0f s of SIGTERM:\n%s" % (END_WITHIN, self.output))
        took = time.monotonic() - begun
        self.reader.join(5)
        assert not SANITIZER.search(self.output), self.output
        assert self.process.returncode == 0, "ended with %d:\n%s" % (self.process.returncode, self.output)
        return took

    def kill(self):
        """As a crash does; nothing is checked."""
        self.process.kill()
        self.process.wait()
        self.reader.join(5)


def counters_of(line):
    return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)\b", line)}

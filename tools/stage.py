"""tools/stage: programs that `make run` and `make demo` start, and end again.

Each program has a session of its own, so that Ctrl-C reaches only the script,
which then ends what it started, and nothing else, in reverse order. Should the
script be killed, the kernel ends them (PR_SET_PDEATHSIG).
"""

import ctypes
import errno
import os
import pathlib
import re
import signal
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
MIDREG = ROOT / "build" / "midreg"
KAMAILIO_CONFIG = ROOT / "examples" / "kamailio" / "kamailio.cfg"
PR_SET_PDEATHSIG = 1


class StageError(Exception):
    """Told to the user as it is."""


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def find_program(name):
    for folder in (*os.environ.get("PATH", "").split(":"), "/usr/sbin", "/usr/bin"):
        if os.access(pathlib.Path(folder) / name, os.X_OK):
            return str(pathlib.Path(folder) / name)
    raise StageError(f"{name} is not installed: tools/install-deps demo")


def wait_for(condition, seconds, what):
    """The first true value of `condition()`; StageError after the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise StageError(f"not within {seconds} s: {what}")
        time.sleep(0.05)


def socket_inodes(protocol, port):
    """The inodes of the sockets on this local port."""
    for table in (f"/proc/net/{protocol}", f"/proc/net/{protocol}6"):
        try:
            lines = pathlib.Path(table).read_text(encoding="ascii").splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            fields = line.split()
            if int(fields[1].rsplit(":", 1)[1], 16) == port:
                yield fields[9]


def port_holder(protocol, port):
    """Who holds a port: "kamailio (process 123)", as far as we may see."""
    wanted = {f"socket:[{inode}]" for inode in socket_inodes(protocol, port)}
    for fd in pathlib.Path("/proc").glob("[0-9]*/fd/*"):
        try:
            if os.readlink(fd) in wanted:
                pid = fd.parts[2]
                name = pathlib.Path("/proc", pid, "comm").read_text(encoding="utf-8").strip()
                return f"{name} (process {pid})"
        except OSError:
            continue
    return "a process that cannot be seen from here (try as root: ss -lnp)"


def require_port(host, port, protocol="udp"):
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, kind) as probe:
        if protocol == "tcp":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise StageError(f"{host}:{port} cannot be used: {error.strerror}") from error
            raise StageError(f"{protocol} port {host}:{port} is taken by "
                             f"{port_holder(protocol, port)}; end that first") from error


class Program:
    """One program that we started, its log, and its end."""

    def __init__(self, name, command, log, cwd=ROOT):
        self.name = name
        self.log = pathlib.Path(log)
        with open(self.log, "wb") as out:
            self.process = subprocess.Popen(
                [str(word) for word in command], cwd=cwd, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.STDOUT, start_new_session=True, preexec_fn=die_with_parent)

    def alive(self):
        return self.process.poll() is None

    def text(self):
        return self.log.read_text(encoding="utf-8", errors="replace")

    def check(self):
        """StageError, with the end of its log, when it has ended by itself."""
        if not self.alive():
            tail = "\n".join(self.text().splitlines()[-15:])
            raise StageError(f"{self.name} ended with code {self.process.returncode}:\n{tail}")
        return True

    def stop(self, seconds=5):
        """SIGTERM, and SIGKILL to its whole session if that is not obeyed."""
        if not self.alive():
            return
        self.process.terminate()
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def kill(self):
        """As a phone dies whose battery is empty."""
        self.process.kill()
        self.process.wait()


class Midreg(Program):
    def __init__(self, config, address, log, cwd=ROOT):
        require_port(*address)
        super().__init__("midreg", [MIDREG, "run", "-c", config], log, cwd)
        wait_for(lambda: self.check() and udp_bound(address), 5, "midreg listens")

    def counters(self):
        """{name: value}, as midreg prints them on SIGUSR1."""
        before = len(self.text())
        self.process.send_signal(signal.SIGUSR1)

        def printed():
            self.check()
            lines = [line for line in self.text()[before:].split("\n")[:-1]
                     if "register_received=" in line]
            return lines[-1] if lines else None
        line = wait_for(printed, 3, "midreg prints its counters on SIGUSR1")
        return {name: int(value) for name, value in re.findall(r"(\w+)=(\d+)", line)}


class Kamailio(Program):
    """Debian's kamailio with our configuration and little memory."""

    def __init__(self, address, log, folder, *options):
        require_port(*address)
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket = self.folder / "kamailio_ctl"
        self.socket.unlink(missing_ok=True)
        super().__init__("kamailio", [
            find_program("kamailio"), "-DD", "-E", "-f", KAMAILIO_CONFIG, "-m", "32", "-M", "8",
            "-Y", self.folder, "-P", self.folder / "kamailio.pid",
            "-A", "LISTEN=udp:%s:%d" % address, *options], log)
        wait_for(lambda: self.check() and self.socket.exists() and udp_bound(address), 10,
                 "kamailio listens")

    def contacts(self, user):
        """What its location table holds of this user."""
        answer = subprocess.run(
            [find_program("kamcmd"), "-s", f"unix:{self.socket}", "ul.lookup", "location",
             f"s:{user}"], capture_output=True, text=True, check=False)
        return re.findall(r"Address: (\S+)", answer.stdout)


def udp_bound(address):
    """Is this address taken by now?"""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind(address)
        except OSError:
            return True
    return False


def end_all(programs):
    for program in reversed(programs):
        program.stop()


def main(story):
    """Runs `story(programs)`; whatever happens, ends what it has started."""
    programs = []
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(129))
    try:
        return story(programs)
    except StageError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print()
        return 0
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        end_all(programs)

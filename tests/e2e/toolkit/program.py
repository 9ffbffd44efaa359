"""Programs of others that a test starts, and ends again by their pid."""
import ctypes
import os
import shutil
import signal
import socket
import subprocess

import pytest

PR_SET_PDEATHSIG = 1


def find(name):
    """The program's path; without it the test is skipped."""
    path = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")
    if not path:
        pytest.skip("%s is not installed: tools/install-deps test" % name)
    return path


def die_with_parent():
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def listens(port):
    """Is there a UDP socket on this port of 127.0.0.1? Else the empty datagram comes back refused."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("127.0.0.1", port))
        probe.settimeout(0.05)
        try:
            probe.send(b"")
            probe.recv(1)
        except ConnectionRefusedError:
            return False
        except TimeoutError:
            pass
        return True


class Program:
    """Runs in a session of its own, all its output in a file."""

    def __init__(self, arguments, log, cwd=None):
        self.log = log
        self.name = os.path.basename(str(arguments[0]))
        with open(log, "wb") as out:
            self.process = subprocess.Popen([str(a) for a in arguments], stdin=subprocess.DEVNULL, stdout=out,
                                            stderr=subprocess.STDOUT, cwd=cwd, start_new_session=True,
                                            preexec_fn=die_with_parent)

    @property
    def output(self):
        return self.log.read_text(errors="replace")

    def check(self):
        """Fails the test when it has ended by itself."""
        assert self.process.poll() is None, "%s ended with %s:\n%s" % (self.name, self.process.returncode,
                                                                     self.output[-3000:])
        return True

    def finish(self, timeout):
        """Waits for its end; anything but exit status 0 fails the test."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError("%s did not end within %d s:\n%s" % (self.name, timeout, self.output[-3000:]))
        assert self.process.returncode == 0, "%s ended with %d:\n%s" % (self.name, self.process.returncode,
                                                                       self.output[-3000:])

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self):
        """At once, as a phone dies whose battery is empty; its children too."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

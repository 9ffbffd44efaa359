"""Debian's kamailio as main registrar, in the foreground, on a free port."""
import re
import subprocess
from pathlib import Path

from toolkit.endpoint import poll
from toolkit.midreg import free_port
from toolkit.program import Program, find, listens

CONFIG = Path(__file__).resolve().parents[1] / "peers" / "kamailio.cfg"


def password(user):
    return "pw-" + user


class Kamailio(Program):
    def __init__(self, directory, *defines):
        """`defines`: TRUSTED, MAX_EXPIRES=N, as in its configuration."""
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.control = directory / "kamailio_ctl"
        self.kamcmd = find("kamcmd")
        arguments = [find("kamailio"), "-DD", "-E", "-f", CONFIG, "-m", "32", "-M", "8", "-Y", directory,
                     "-P", directory / "kamailio.pid", "-A", "LISTEN=udp:127.0.0.1:%d" % self.port]
        for define in defines:
            arguments += ["-A", define]
        super().__init__(arguments, directory / "kamailio.log")
        try:
            poll(lambda: self.check() and self.control.exists() and listens(self.port), "kamailio listens", 10)
        except BaseException:
            self.stop()
            raise

    @property
    def hostport(self):
        return "127.0.0.1:%d" % self.port

    def contacts(self, user):
        """What its location table holds of a user."""
        done = subprocess.run([self.kamcmd, "-s", "unix:%s" % self.control, "ul.lookup", "location", "s:" + user],
                              capture_output=True, text=True, timeout=10)
        return re.findall(r"Address: (\S+)", done.stdout)

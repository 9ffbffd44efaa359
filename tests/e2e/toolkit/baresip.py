"""A baresip phone without screen and sound card, steered over its TCP socket."""
import json
import socket
import threading
from pathlib import Path

from toolkit.endpoint import PATIENCE, poll
from toolkit.midreg import free_port
from toolkit.program import Program, find

TEMPLATE = Path(__file__).resolve().parents[1] / "peers" / "baresip.config"
MODULES = "/usr/lib/baresip/modules"


class Baresip(Program):
    """Registers at `server` as user@example.com as soon as it runs."""

    def __init__(self, directory, server, user, password, regint=60):
        directory.mkdir()
        self.user, self.events, self.news = user, [], threading.Condition()
        control, rtp = free_port(), 20000 + free_port() % 10000 // 2 * 2
        self.port = free_port(2)  # it takes the next one, too, for TLS
        (directory / "config").write_text(TEMPLATE.read_text().format(
            sip=self.port, control=control, rtp=rtp, rtp_end=rtp + 50, modules=MODULES))
        (directory / "accounts").write_text(
            '<sip:%s@example.com>;auth_user=%s;auth_pass=%s;outbound="sip:%s:%d;transport=udp";regint=%d;'
            "answermode=manual\n" % (user, user, password, *server, regint))
        (directory / "contacts").write_text("")
        super().__init__([find("baresip"), "-f", directory], directory / "baresip.log", directory)
        try:
            self.connection = poll(lambda: self._connect(control), "baresip can be steered", 10)
        except BaseException:
            self.stop()
            raise
        threading.Thread(target=self._read, daemon=True).start()

    def _connect(self, control):
        self.check()
        try:
            return socket.create_connection(("127.0.0.1", control), 1)
        except OSError:
            return None

    def _read(self):
        """Netstrings of JSON: "27:{...},"."""
        self.connection.settimeout(None)
        stream = self.connection.makefile("rb")
        while True:
            length = b""
            while (digit := stream.read(1)) not in (b":", b""):
                length += digit
            if not length:
                return
            message = json.loads(stream.read(int(length) + 1)[:-1])
            with self.news:
                self.events.append(message)
                self.news.notify_all()

    def command(self, word, params=""):
        text = json.dumps({"command": word, "params": params}).encode()
        self.connection.sendall(b"%d:%s," % (len(text), text))

    def wait_event(self, kind, count=1, timeout=PATIENCE):
        """The count-th event of this type."""
        def found():
            return [e for e in self.events if e.get("type") == kind]
        with self.news:
            assert self.news.wait_for(lambda: len(found()) >= count, timeout), "no %s at %s; events: %s\n%s" % (
                kind, self.user, self.events, self.output[-2000:])
            return found()[count - 1]

    def wait_registered(self):
        """Read from its log: it may have happened before anybody could listen for events."""
        poll(lambda: self.check() and "200 OK" in self.output, self.user + " is registered", 10)
        return self

    def saw(self, kind):
        with self.news:
            return any(e.get("type") == kind for e in self.events)

    def close(self):
        self.stop()
        self.connection.close()

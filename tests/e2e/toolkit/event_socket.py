"""mod_event_socket of a scripted FreeSWITCH: the inbound mode, as far as midreg speaks it."""
import socket
import threading
import time
import urllib.parse
import uuid


class EventSocket:
    """Listens until close(). Attributes may be changed at any time."""

    def __init__(self, registrar, password="ClueCon", profile="internal"):
        self.registrar, self.password, self.profile = registrar, password, profile
        self.core_uuid, self.started = str(uuid.uuid4()), time.monotonic()
        self.silent = False        # it accepts connections, and says nothing
        self.rude = False          # its access list keeps everybody out
        self.greeting = None       # bytes instead of the usual first ones
        self.refuses_flush = False
        self.commands = []         # what came, without passwords
        self.connections, self.accepted = [], 0
        self.news = threading.Condition()
        self.listener = None
        self.port = 0
        self.open()

    def open(self):
        self.listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    @property
    def hostport(self):
        return "127.0.0.1:%d" % self.port

    def _accept(self, listener):
        while True:
            try:
                s, _ = listener.accept()
            except OSError:
                return
            with self.news:
                self.connections.append(s)
                self.accepted += 1
                self.news.notify_all()
            threading.Thread(target=self._serve, args=(s,), daemon=True).start()

    def _serve(self, s):
        try:
            if self.silent:
                return
            if self.greeting is not None:
                s.sendall(self.greeting)
                return
            if self.rude:
                s.sendall(b"Content-Type: text/rude-rejection\nContent-Length: 24\n\nAccess Denied, go away.\n")
                s.close()
                return
            s.sendall(b"Content-Type: auth/request\n\n")
            known = False
            lines = s.makefile("rb")
            while True:
                command = self._read(lines)
                if command is None:
                    return
                known = self._answer(s, command, known)
        except OSError:
            return

    @staticmethod
    def _read(lines):
        """A command: the lines before an empty one; None: the end."""
        found = []
        for line in lines:
            if line.strip() == b"":
                if found:
                    return b"\n".join(found).decode()
                continue
            found.append(line.strip())
        return None

    def _answer(self, s, command, known):
        if command.startswith("auth "):
            if command[5:] == self.password:
                self._reply(s, "+OK accepted")
                return True
            self._reply(s, "-ERR invalid")
            bye = b"Disconnected, goodbye.\nSee you at ClueCon! http://www.cluecon.com/\n"
            s.sendall(b"Content-Type: text/disconnect-notice\nContent-Length: %d\n\n%s" % (len(bye), bye))
            s.close()
            return False
        assert known, "a command before the password: " + command
        with self.news:
            self.commands.append(command)
            self.news.notify_all()
        if command.startswith("event plain "):
            self._reply(s, "+OK event listener enabled plain")
        elif command == "api global_getvar core_uuid":
            self._api(s, self.core_uuid)
        elif command.startswith("api sofia profile %s flush_inbound_reg " % self.profile):
            self._flush(s, command.rsplit(" ", 1)[1])
        else:
            self._api(s, "-ERR no reply\n" if command.startswith("api sofia") else "-USAGE\n")
        return True

    def _flush(self, s, what):
        if self.refuses_flush:
            self._api(s, "Invalid Profile!")
            return
        with self.registrar.news:
            dropped = self.registrar.bindings.flush(what)
        self._api(s, "+OK flushing all registrations matching specified call_id\n")
        for contact in dropped:
            self.expire(contact)

    @staticmethod
    def _reply(s, text):
        s.sendall(("Content-Type: command/reply\nReply-Text: %s\n\n" % text).encode())

    @staticmethod
    def _api(s, text):
        s.sendall(("Content-Type: api/response\nContent-Length: %d\n\n%s" % (len(text), text)).encode())

    def event(self, name, **fields):
        """To all that listen."""
        fields = {"Event-Name": name, "Core-UUID": self.core_uuid, **fields}
        body = "".join("%s: %s\n" % (k, urllib.parse.quote(str(v), safe="")) for k, v in fields.items()) + "\n"
        with self.news:
            listeners = list(self.connections)
        for s in listeners:
            try:
                s.sendall(("Content-Length: %d\nContent-Type: text/event-plain\n\n%s" % (len(body), body)).encode())
            except OSError:
                continue

    def heartbeat(self):
        up = time.monotonic() - self.started
        self.event("HEARTBEAT", **{"Event-Info": "System Ready", "Uptime-msec": int(up * 1000),
                                   "Up-Time": "0 years, 0 days, 0 hours, 0 minutes, %d seconds" % up})

    def expire(self, contact):
        self.event("CUSTOM", **{"Event-Subclass": "sofia::expire", "profile-name": self.profile,
                                "contact": '"" <%s>' % contact})

    def cut(self):
        """Every connection ends."""
        with self.news:
            cut, self.connections = self.connections, []
        for s in cut:
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    def restart(self):
        """Another process: nothing is said, connections end."""
        self.core_uuid, self.started = str(uuid.uuid4()), time.monotonic()
        self.cut()

    def wait_command(self, begin, count=1, timeout=5):
        with self.news:
            done = self.news.wait_for(lambda: len([c for c in self.commands if c.startswith(begin)]) >= count, timeout)
            assert done, "no command %r; came: %s" % (begin, self.commands)

    def wait_accepted(self, count, timeout=10):
        with self.news:
            assert self.news.wait_for(lambda: self.accepted >= count, timeout), "%d connections" % self.accepted

    def close(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)  # a close alone waits for the thread in accept()
        except OSError:
            pass
        self.listener.close()
        self.cut()

"""SIP over TCP: the framing of RFC 3261 18.3, and a connection that an endpoint reads from."""
import re
import socket
import threading
import time

from toolkit.sip import BadMessage, Message

LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*(\d+)[ \t]*\r$", re.I | re.M)
PING, PONG = b"\r\n\r\n", b"\r\n"
PATIENCE = 6.0


def family_of(host):
    return socket.AF_INET6 if ":" in host else socket.AF_INET


class Framer:
    """Bytes in, whole messages out; CRLFs between them are counted (RFC 5626 4.4.1)."""

    def __init__(self):
        self.unread, self.crlfs = b"", 0

    def take(self, data):
        """The messages that have become whole."""
        self.unread += data
        messages = []
        while True:
            while self.unread.startswith(PONG):
                self.unread, self.crlfs = self.unread[2:], self.crlfs + 1
            head, empty, rest = self.unread.partition(b"\r\n\r\n")
            length = LENGTH.search(head + b"\r")
            if empty and not length:
                raise BadMessage("no Content-Length: %r" % head)
            if not empty or len(rest) < int(length.group(1)):
                return messages
            end = len(head) + 4 + int(length.group(1))
            messages.append(self.unread[:end])
            self.unread = self.unread[end:]


class Connection:
    """A TCP connection of `owner`, whose inbox its messages come to; it is their `source`."""

    def __init__(self, owner, sock):
        self.owner, self.socket = owner, sock
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.host, self.port = sock.getsockname()[:2]
        self.framer = Framer()
        self.ended = False      # the peer's end, or ours
        self.faults = []        # what came that is no SIP
        self.may_read = threading.Event()
        self.may_read.set()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    @classmethod
    def to(cls, owner, address, receive_buffer=None):
        sock = socket.socket(family_of(address[0]))
        if receive_buffer:  # before connect(): it is the window that is offered
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(PATIENCE)
        sock.connect(address)
        sock.settimeout(None)
        return cls(owner, sock)

    # -- receiving -------------------------------------------------------------------------
    def _run(self):
        while True:
            self.may_read.wait()
            try:
                data = self.socket.recv(65536)
            except OSError:
                data = b""
            if not data:
                break
            try:
                self._deliver(data)
            except BadMessage as fault:
                self.faults.append(fault)
                break
        with self.owner.news:
            self.ended = True
            self.owner.news.notify_all()

    def _deliver(self, data):
        with self.owner.news:
            messages = self.framer.take(data)
            self.owner.news.notify_all()
        for data in messages:
            message = Message.parse(data)
            message.source, message.time = self, time.monotonic()
            self.owner.deliver(message)

    def pause(self):
        """Reads nothing from now on, but for what is being waited for already."""
        self.may_read.clear()

    def resume(self):
        self.may_read.set()

    def wait_ended(self, timeout=PATIENCE):
        """The peer closes it."""
        with self.owner.news:
            assert self.owner.news.wait_for(lambda: self.ended, timeout), "the connection stays open"
        assert not self.faults, self.faults

    def wait_pong(self, pings=1):
        """Sends keep-alives and awaits the CRLF for each: then all that was sent before is read."""
        before = self.framer.crlfs
        self.send(PING * pings)
        with self.owner.news:
            assert self.owner.news.wait_for(lambda: self.ended or self.framer.crlfs >= before + pings, PATIENCE), \
                "%d pongs for %d pings" % (self.framer.crlfs - before, pings)
            assert self.framer.crlfs == before + pings, "%d pongs for %d pings, ended: %s" % (
                self.framer.crlfs - before, pings, self.ended)

    # -- sending ---------------------------------------------------------------------------
    def send(self, data):
        self.socket.sendall(data.bytes() if isinstance(data, Message) else data)

    def send_split(self, data, *sizes):
        """In pieces of these sizes, the last for the rest; each a segment of its own."""
        data, at = data.bytes() if isinstance(data, Message) else data, 0
        while at < len(data):
            size, sizes = sizes[0], sizes[1:] or sizes
            self.socket.sendall(data[at:at + size])
            at += size

    def end_sending(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """Closes with a RST, as a machine does that has lost power."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.close()

    def close(self):
        self.may_read.set()
        try:
            if self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_LINGER, 8)[:1] == b"\0":
                self.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
        except OSError:
            pass
        self.socket.close()

    def __repr__(self):
        return "<connection from port %d%s>" % (self.port, ", ended" if self.ended else "")


class Listener:
    """Accepts connections for an endpoint on its own address."""

    def __init__(self, owner):
        self.owner, self.connections = owner, []
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(owner.address)
        self.socket.listen(64)
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while True:
            try:
                sock, _ = self.socket.accept()
            except OSError:
                return
            with self.owner.news:
                self.connections.append(Connection(self.owner, sock))
                self.owner.news.notify_all()

    def wait_connection(self, count=1):
        with self.owner.news:
            assert self.owner.news.wait_for(lambda: len(self.connections) >= count, PATIENCE), "nobody connects"
            return self.connections[count - 1]

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)  # wakes the thread
        except OSError:
            pass
        self.socket.close()
        for connection in self.connections:
            connection.close()

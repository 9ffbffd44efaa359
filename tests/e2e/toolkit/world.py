"""What endpoints live in: clock, waiting, and the network. This is the real one.

toolkit/simulation.py has the other, in which time passes only when somebody waits.
"""
import socket
import threading
import time

from toolkit.stream import PATIENCE, family_of


class UdpLink:
    """A UDP socket, and the thread that reads it."""

    def __init__(self, host, port):
        self.socket = socket.socket(family_of(host), socket.SOCK_DGRAM)
        self.socket.bind((host, port))
        self.address = self.socket.getsockname()[:2]
        self.endpoint, self.marks, self.closed = None, set(), False
        self.thread = threading.Thread(target=self._run, daemon=True)

    def read(self, endpoint):
        """From now on what comes goes to endpoint.receive()."""
        self.endpoint = endpoint
        self.thread.start()

    def _run(self):
        while not self.closed:
            try:
                data, source = self.socket.recvfrom(65535)
            except ConnectionError:
                continue
            if data.startswith(b"mark "):
                with self.endpoint.news:
                    self.marks.add(data)
                    self.endpoint.news.notify_all()
            else:
                self.endpoint.receive(data, source[:2])

    def send(self, data, to):
        self.socket.sendto(data, to)

    def settle(self, mark):
        """Returns when everything sent to this link before now has been read; `mark`: a text that is not used again."""
        mark = b"mark " + mark.encode()
        self.socket.sendto(mark, self.address)
        with self.endpoint.news:
            assert self.endpoint.news.wait_for(lambda: mark in self.marks, PATIENCE), "endpoint does not read"

    def close(self):
        self.closed = True
        self.socket.sendto(b"", self.address)  # wakes the thread
        self.thread.join()
        self.socket.close()


class Wire:
    """Real time, and UDP on loopback."""

    patience = PATIENCE  # seconds that are waited for what should come
    now = staticmethod(time.monotonic)
    wall = staticmethod(time.time)
    sleep = staticmethod(time.sleep)

    @staticmethod
    def wait_for(news, condition, timeout):
        """Waits until condition() is true, asked again at each of the news (which the caller holds); its last value."""
        return news.wait_for(condition, timeout)

    @staticmethod
    def link(host=None, port=0):
        return UdpLink(host or "127.0.0.1", port)


WIRE = Wire()

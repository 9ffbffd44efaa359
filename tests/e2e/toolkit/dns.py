"""A DNS server on loopback: what names stand for is the test's, and may change at any time."""
import socket
import struct
import threading

A, CNAME, AAAA, SRV, NAPTR = 1, 5, 28, 33, 35
NO_NAME = 3


def packed(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


class Dns:
    """`records`: (name, type) -> [(ttl, data)], data as it stands in the packet."""

    def __init__(self):
        self.records, self.asked, self.news = {}, [], threading.Condition()
        self.silent = False
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.hostport = "127.0.0.1:%d" % self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self._serve, daemon=True)
        self.thread.start()

    # -- what it knows -----------------------------------------------------------------------
    def address(self, name, *hosts, ttl=1):
        """The name's A and AAAA records; without hosts it has none."""
        with self.news:
            self.records[name, A] = [(ttl, socket.inet_aton(host)) for host in hosts if ":" not in host]
            self.records[name, AAAA] = [(ttl, socket.inet_pton(socket.AF_INET6, host)) for host in hosts if ":" in host]

    def service(self, name, *targets, ttl=1):
        """The SRV records for SIP over UDP; each target: (priority, weight, port, name)."""
        with self.news:
            self.records["_sip._udp." + name, SRV] = [
                (ttl, struct.pack("!HHH", *target[:3]) + packed(target[3])) for target in targets]

    def naptr(self, name, *services, ttl=1):
        """Each: (order, preference, service, replacement)."""
        with self.news:
            self.records[name, NAPTR] = [
                (ttl, struct.pack("!HH", *service[:2]) + b"".join(bytes([len(t)]) + t.encode() for t in ("s", service[2], ""))
                 + packed(service[3])) for service in services]

    def forget(self, name):
        with self.news:
            self.records = {key: value for key, value in self.records.items() if key[0] != name}

    # -- asked -------------------------------------------------------------------------------
    def _serve(self):
        while True:
            try:
                data, source = self.socket.recvfrom(4096)
            except OSError:
                return
            if not data:
                return
            answer = self._answer(data)
            if answer:
                self.socket.sendto(answer, source)

    def _answer(self, question):
        at, labels = 12, []
        while question[at]:
            labels.append(question[at + 1:at + 1 + question[at]].decode())
            at += 1 + question[at]
        kind, = struct.unpack_from("!H", question, at + 1)
        name, section = ".".join(labels).lower(), question[12:at + 5]
        with self.news:
            self.asked.append((name, kind))
            self.news.notify_all()
            if self.silent:
                return None
            records = self.records.get((name, kind), [])
            known = any(key[0] == name for key in self.records)
        body = b"".join(b"\xc0\x0c" + struct.pack("!HHIH", kind, 1, ttl, len(data)) + data
                        for ttl, data in records)
        head = struct.pack("!HHHHHH", struct.unpack("!H", question[:2])[0],
                           0x8180 | (0 if known else NO_NAME), 1, len(records), 0, 0)
        return head + section + body

    def count(self, name, kind):
        with self.news:
            return self.asked.count((name, kind))

    def wait_asked(self, name, kind, count=1, timeout=15):
        """Until this was asked so often."""
        with self.news:
            assert self.news.wait_for(lambda: self.asked.count((name, kind)) >= count, timeout), \
                "%s was not asked for: %s" % (name, self.asked)

    def close(self):
        """It is no more: what is sent to it is refused."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()
        self.thread.join(2)

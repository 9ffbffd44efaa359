"""Thousands of phones, and a main registrar that is quick enough for them.

Both read no more of a message than they must. The main registrar has the habits of a FreeSWITCH that is restarted.
"""
import heapq
import re
import select
import socket
import threading
import time

from toolkit.midreg import free_port

FIELD = {name: re.compile(rb"^%s:[ \t]*(.*)\r$" % name, re.M | re.I)
         for name in (b"Via", b"From", b"To", b"Call-ID", b"CSeq", b"Contact", b"Expires")}
USER = re.compile(rb"sip:([^@>;]+)@")
RETRY_AFTER = re.compile(rb"^Retry-After:[ \t]*(\d+)", re.M | re.I)


def field(message, name):
    found = FIELD[name].search(message)
    return found.group(1) if found else b""


def answer(request, status, reason, lines=b""):
    head = b"".join(b"%s: %s\r\n" % (name, field(request, name)) for name in (b"Via", b"From", b"Call-ID", b"CSeq"))
    return b"SIP/2.0 %d %s\r\n%sTo: %s;tag=x\r\n%sContent-Length: 0\r\n\r\n" % (
        status, reason, head, field(request, b"To"), lines)


class Exchange:
    """A main registrar on a thread of its own; `history` is [(time, status or None, rows)], one for each REGISTER of a
    user (probes are not counted)."""
    MOST_A_SECOND = 1000  # max-recv-requests-per-second: one second above it, and all of the next is dropped

    def __init__(self, cost=0.0, cost_of_row=0.0):
        self.cost, self.cost_of_row = cost, cost_of_row  # seconds of work for each REGISTER
        self.rows, self.history = {}, []
        self.state = "running"  # "starting": 503; "restarting": 410
        self.busy_until = 0.0
        self.second, self.came, self.drops = 0, 0, False
        self.dropped = 0  # messages
        self.later = []  # answers that are not due yet
        self.socket, self.stopped = None, None
        self.place = ("127.0.0.1", free_port())  # it comes back there
        self.open()
        self.ending = False
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def open(self):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        s.bind(self.place)
        self.place = s.getsockname()
        self.socket = s

    @property
    def hostport(self):
        return "%s:%d" % self.place

    def _run(self):
        while not self.ending:
            s = self.socket
            now = time.monotonic()
            while self.later and self.later[0][0] <= now:
                _, _, data, to = heapq.heappop(self.later)
                if s:
                    s.sendto(data, to)
            if s is None:
                time.sleep(0.01)
                continue
            wait = min(0.05, max(0, self.later[0][0] - now)) if self.later else 0.05
            try:
                if select.select([s], [], [], wait)[0]:
                    self._receive(*s.recvfrom(65536))
            except (OSError, ValueError):
                continue  # it was closed meanwhile

    def _receive(self, message, source):
        now = time.monotonic()
        if int(now) != self.second:
            self.drops = self.came > self.MOST_A_SECOND
            self.second, self.came = int(now), 0
        self.came += 1
        if self.drops:
            self.dropped += 1
            return
        if message.startswith(b"OPTIONS "):
            self.socket.sendto(answer(message, 200, b"OK"), source)
        elif message.startswith(b"REGISTER "):
            self._register(message, source, now)

    def _register(self, message, source, now):
        user = USER.search(field(message, b"To")).group(1)
        due = now
        if self.state == "starting":
            status, data = 503, answer(message, 503, b"Maximum Calls In Progress", b"Retry-After: 300\r\n")
        elif self.state == "restarting":
            status, data = 410, answer(message, 410, b"Gone")
        else:
            self.busy_until = due = max(now, self.busy_until) + self.cost + self.cost_of_row * len(self.rows)
            contact = field(message, b"Contact")
            status, data = 200, answer(message, 200, b"OK", b"Contact: %s\r\n" % contact)
            if not user.startswith(b"midreg-probe-"):
                if int(field(message, b"Expires")):
                    self.rows[user] = contact
                else:
                    self.rows.pop(user, None)
        if not user.startswith(b"midreg-probe-"):
            self.history.append((now, status, len(self.rows)))
        heapq.heappush(self.later, (due, len(self.history), data, source))

    def stop(self):
        """The process ends: nobody has the port open."""
        self.stopped = time.monotonic()
        s, self.socket = self.socket, None
        s.close()

    def start(self, state="starting"):
        """Another process; registrations were kept in memory."""
        self.rows, self.later, self.busy_until = {}, [], 0.0
        self.state = state
        self.open()

    def most_in_a_second(self):
        """REGISTERs, in any window of one second."""
        times, most, first = [t for t, _, _ in self.history], 0, 0
        for last, t in enumerate(times):
            while times[first] <= t - 1:
                first += 1
            most = max(most, last - first + 1)
        return most

    def close(self):
        self.ending = True
        self.thread.join(5)
        if self.socket:
            self.socket.close()


class Crowd:
    """Phones u0, u1, ... behind one socket, each with a contact and Call-ID of its own."""

    def __init__(self, server, count):
        self.server, self.count = server, count
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        self.socket.bind(("127.0.0.1", 0))
        self.place = b"127.0.0.1:%d" % self.socket.getsockname()[1]
        self.cseq = 0

    def message(self, number):
        return (b"REGISTER sip:example.com SIP/2.0\r\nVia: SIP/2.0/UDP %s;rport;branch=z9hG4bK%d.%d\r\n"
                b"Max-Forwards: 70\r\nFrom: <sip:u%d@example.com>;tag=t\r\nTo: <sip:u%d@example.com>\r\n"
                b"Call-ID: c%d\r\nCSeq: %d REGISTER\r\nContact: <sip:u%d@%s>\r\nExpires: 3600\r\n"
                b"Content-Length: 0\r\n\r\n") % (self.place, number, self.cseq, number, number, number, self.cseq,
                                                 number, self.place)

    def register(self, rate=2000, within=60):
        """All of them once, with copies where no answer comes; {status: how many}."""
        self.cseq += 1
        statuses, waiting, begun = {}, {}, time.monotonic()
        number = 0
        while (number < self.count or waiting) and time.monotonic() < begun + within:
            now = time.monotonic()
            while number < self.count and number < (now - begun) * rate:
                self.socket.sendto(self.message(number), self.server)
                waiting[number] = now + 2
                number += 1
            self._take_answers(statuses, waiting)
            for late in [n for n, at in waiting.items() if at < now][:200]:
                self.socket.sendto(self.message(late), self.server)
                waiting[late] = now + 2
        assert not waiting, "%d phones got no answer" % len(waiting)
        return statuses

    def storm(self, numbers, rate, within):
        """All these phones at this rate; who gets 503 comes again when it was told. {number: [(time, status, seconds to
        wait)]} of all answers."""
        self.cseq += 1
        begun = time.monotonic()
        due = [(begun + i / rate, number, self.cseq) for i, number in enumerate(numbers)]
        heapq.heapify(due)
        answers, missing = {number: [] for number in numbers}, set(numbers)
        while missing and time.monotonic() < begun + within:
            while due and due[0][0] <= time.monotonic():
                _, number, cseq = heapq.heappop(due)
                if number in missing and cseq == self.cseq_of(answers[number]):
                    self.socket.sendto(self.message_of(number, cseq), self.server)
                    heapq.heappush(due, (time.monotonic() + 4, number, cseq))  # a copy, if nothing comes
            while select.select([self.socket], [], [], 0.002)[0]:
                data = self.socket.recv(65536)
                number, status = int(field(data, b"Call-ID")[1:]), int(data[8:11])
                cseq = int(field(data, b"CSeq").split()[0])
                if status < 200 or number not in missing or cseq != self.cseq_of(answers[number]):
                    continue
                wait = int(RETRY_AFTER.search(data).group(1)) if status == 503 else 0
                answers[number].append((time.monotonic() - begun, status, wait))
                if status == 200:
                    missing.discard(number)
                else:
                    heapq.heappush(due, (time.monotonic() + wait, number, self.cseq_of(answers[number])))
        assert not missing, "%d phones are not in" % len(missing)
        return answers

    def cseq_of(self, answers):
        return self.cseq + len(answers)

    def message_of(self, number, cseq):
        kept, self.cseq = self.cseq, cseq
        try:
            return self.message(number)
        finally:
            self.cseq = kept

    def _take_answers(self, statuses, waiting):
        while select.select([self.socket], [], [], 0.005)[0]:
            data = self.socket.recv(65536)
            number = int(field(data, b"Call-ID")[1:])
            status = int(data[8:11])
            if status >= 200 and field(data, b"CSeq") == b"%d REGISTER" % self.cseq and waiting.pop(number, None):
                statuses[status] = statuses.get(status, 0) + 1

    def close(self):
        self.socket.close()

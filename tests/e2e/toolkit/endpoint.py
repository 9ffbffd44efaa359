"""A place on the network that speaks SIP: an inbox without copies, waiting with deadlines.

Copies of a message (retransmissions) are counted, not delivered again; what was answered is
answered again, as a transaction would. What came over a connection is answered on it.
"""
import threading
import time

from toolkit.sip import BadMessage, Message, new_branch, respond, token
from toolkit.stream import PATIENCE, Connection
from toolkit.world import WIRE


def poll(condition, what, timeout=PATIENCE):
    """Waits until condition() is true; returns its value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, "not within %.1f s: %s" % (timeout, what)
        time.sleep(0.01)


def is_request(method, call_id=None):
    return lambda m: m.is_request and m.method == method and call_id in (None, m.call_id)


def is_response(to, low=100, high=699):
    """A response to this request."""
    return lambda m: (not m.is_request and low <= m.status <= high and m.call_id == to.call_id
                      and m.get("cseq") == to.get("cseq") and m.branch == to.branch)


class Endpoint:
    transport = "UDP"  # in the Vias of its requests

    def __init__(self, port=0, host=None, world=WIRE):
        self.world = world
        self.link = world.link(host, port)
        self.host, self.port = self.link.address
        self.tag = token(8)
        self.news = threading.Condition()
        self.inbox = []    # not yet taken by wait()
        self.log = []      # all that came, without copies
        self.copies = {}   # identity -> how many came
        self.replies = {}  # identity -> (what it was answered with, where to)
        self.closed = False
        self.link.read(self)

    @property
    def address(self):
        return (self.host, self.port)

    @property
    def hostport(self):
        return ("[%s]:%d" if ":" in self.host else "%s:%d") % self.address

    def close(self):
        if not self.closed:
            self.closed = True
            self.link.close()

    # -- receiving -------------------------------------------------------------------------
    def receive(self, data, source):
        """A datagram that came."""
        try:
            message = Message.parse(data)
        except BadMessage:
            return
        message.source, message.time = source, self.world.now()
        self.deliver(message)

    def deliver(self, message):
        identity = message.identity()
        with self.news:
            self.copies[identity] = self.copies.get(identity, 0) + 1
            again = self.copies[identity] > 1
            reply = self.replies.get(identity)
            if not again:
                self.log.append(message)
                if not self.handle(message):
                    self.inbox.append(message)
            self.news.notify_all()
        if again and reply:
            self.send(*reply)
        elif again:
            self.handle_again(message)

    def handle(self, message):
        """For those who answer by themselves: true takes the message out of the inbox."""
        return False

    def handle_again(self, message):
        """A copy of a message that was not answered."""

    def take(self, match):
        with self.news:
            for message in self.inbox:
                if match(message):
                    self.inbox.remove(message)
                    return message
        return None

    def wait_for(self, condition, timeout=None):
        """Waits until condition() is true, at most so many seconds; its last value. Call with the news held."""
        return self.world.wait_for(self.news, condition, self.world.patience if timeout is None else timeout)

    def wait(self, match, what, timeout=None):
        """The first message in the inbox that matches."""
        with self.news:
            message = self.wait_for(lambda: self.take(match), timeout)
            assert message, "no %s within %s s; there is %s" % (what, timeout or self.world.patience, self.inbox)
            return message

    def settle(self):
        """Returns when everything sent to this endpoint before now has been read."""
        self.link.settle(token())

    def received(self, match):
        """All messages so far that match; nothing that was sent before is missed."""
        self.settle()
        with self.news:
            return [m for m in self.log if match(m)]

    # -- sending ---------------------------------------------------------------------------
    def send(self, message, to):
        """`to`: a place (host, port), or the connection that a request came by."""
        data = message.bytes() if isinstance(message, Message) else message
        if isinstance(to, Connection):
            to.send(data)
        else:
            self.link.send(data, to)

    def via(self, branch=None):
        return "SIP/2.0/%s %s;rport;branch=%s" % (self.transport, self.hostport, branch or new_branch())

    def request(self, method, uri, from_, to, call_id=None, cseq=1, headers=(), body=b""):
        fixed = [("Via", self.via()), ("Max-Forwards", "70"), ("From", from_), ("To", to),
                 ("Call-ID", call_id or token(16)), ("CSeq", "%d %s" % (cseq, method))]
        if body:
            fixed.append(("Content-Type", "application/sdp"))
        return Message("%s %s SIP/2.0" % (method, uri), fixed + list(headers), body)

    def final(self, request, to, timeout=None):
        """Waits for the final response; repeats the request as RFC 3261 17.1.2.2 says."""
        now = self.world.now
        end, pause = now() + (self.world.patience if timeout is None else timeout), 0.5
        while request.method != "INVITE" and now() + pause < end:
            try:
                return self.wait(is_response(request, 200), "", pause)
            except AssertionError:
                self.send(request, to)
                pause = min(2 * pause, 4)
        return self.wait(is_response(request, 200), "final response to " + request.start, max(end - now(), 0.01))

    def exchange(self, request, to, timeout=None):
        """Sends a request other than INVITE and returns its final response."""
        self.send(request, to)
        return self.final(request, to, timeout)

    def reply(self, request, status, phrase=None, headers=(), body=b""):
        """Answers a request; the same again for its retransmissions."""
        headers = list(headers)
        if body:
            headers.append(("Content-Type", "application/sdp"))
        message = respond(request, status, phrase, self.tag, headers, body)
        self.replies[request.identity()] = (message, request.source)
        self.send(message, request.source)
        return message
